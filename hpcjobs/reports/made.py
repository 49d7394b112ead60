"""Tables that a question needs and usage does not keep: made before it is asked, and gone with its connection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

import duckdb

from hpcjobs.devices.worth import worth
from hpcjobs.identity.policy import Visibility
from hpcjobs.model.gres import parse_node_gres
from hpcjobs.reports import lost
from hpcjobs.reports.asked import Asked
from hpcjobs.reports.query import FROM_RUNS, LOST_PARTS, NODE_SHARES, POOL_PARTS, may_see, seen
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.usage import charges


def _node_shares(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility) -> None:
    """The nodes of each list that the question meets, and the share of each in it."""
    condition, parameters = may_see(visible)
    parameters |= {"since": asked.period.since, "until": asked.period.until}
    lists = connection.execute(
        f"SELECT DISTINCT r.node_list {FROM_RUNS} WHERE {seen()} AND {condition}", parameters
    ).fetchall()
    told: list[tuple[str, str, float]] = []
    for (node_list,) in lists:
        nodes = expand_hostlist(node_list) if node_list else [""]
        told += [(node_list, node, 1 / len(nodes)) for node in nodes]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {NODE_SHARES} (node_list VARCHAR, node VARCHAR, share DOUBLE)")
    columns = list(zip(*told, strict=True)) or [(), (), ()]
    connection.execute(
        f"INSERT INTO {NODE_SHARES}"
        " SELECT unnest($lists::VARCHAR[]), unnest($nodes::VARCHAR[]), unnest($shares::DOUBLE[])",
        {"lists": list(columns[0]), "nodes": list(columns[1]), "shares": list(columns[2])},
    )


def _pool_parts(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility) -> None:
    """The GPUs that each node had, by kind, in whole GPUs: from when that was told until it was told otherwise.

    Listings come before accounting: nothing is told of the time after it was read, when nobody knows what was used.
    """
    del visible  # what a cluster has is everybody's to see
    rows = connection.execute(
        """SELECT cluster, node, gres, usable, since, least(next, read_until) AS until FROM (
            SELECT *, lead(since) OVER (PARTITION BY cluster, node ORDER BY since) AS next
            FROM node_kinds JOIN clusters USING (cluster)
        ) WHERE since < $until AND until > greatest(since, $since) ORDER BY cluster, node, since""",
        {"since": asked.period.since, "until": asked.period.until},
    ).fetchall()
    columns: dict[str, list[str | float | bool]] = defaultdict(list)
    for cluster, node, gres, usable, since, until in rows:
        for kind, count in parse_node_gres(gres).items():
            told = (cluster, node, kind, float(count * worth(kind)), usable, since, until)
            for name, value in zip("abcdefg", told, strict=True):
                columns[name].append(value)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {POOL_PARTS}"
        " (cluster VARCHAR, node VARCHAR, kind VARCHAR, whole DOUBLE, usable BOOLEAN, since BIGINT, until BIGINT)"
    )
    connection.execute(
        f"INSERT INTO {POOL_PARTS} SELECT unnest($a::VARCHAR[]), unnest($b::VARCHAR[]), unnest($c::VARCHAR[]),"
        " unnest($d::DOUBLE[]), unnest($e::BOOLEAN[]), unnest($f::BIGINT[]), unnest($g::BIGINT[])",
        {name: columns[name] for name in "abcdefg"},
    )


def _tariff(connection: duckdb.DuckDBPyConnection, asked: Asked, visible: Visibility) -> None:
    """Which price everything has that the question meets, and when."""
    condition, parameters = may_see(visible)
    since, until = asked.period.since, asked.period.until
    parameters |= {"since": since, "until": until}
    charges.make_tariff(connection, asked.prices, since, until, f"{seen()} AND {condition}", parameters)


MADE: Final[dict[str, Callable[[duckdb.DuckDBPyConnection, Asked, Visibility], None]]] = {
    NODE_SHARES: _node_shares,
    POOL_PARTS: _pool_parts,
    LOST_PARTS: lost.make,
    charges.TARIFF: _tariff,
}
"""How each is made."""
