"""What runs cost: which price each of them has when, and the SQL of seconds times prices (docs/BILLING.md).

``tariff`` is a table of a question, made before it: of each cluster, account, partition, QOS and resource that the
question meets, which price holds from when to when. The expressions speak of it as ``t``, and of the GPUs of a run as
``g``, beside ``r`` and ``c`` of hpcjobs.usage.amounts. All amounts are whole numbers, so that sums are exact.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import duckdb

from hpcjobs.devices.worth import whole_of
from hpcjobs.model.money import MICROS
from hpcjobs.model.price import Price, PriceList
from hpcjobs.usage.amounts import ENDED, STARTED, held_s, used_s

PARTS: Final = 40_320_000
"""Of these are one GPU, CPU, GiB or node: 1,000 x 8!, so that sevenths (MIG), hundredths (MPS), shares of 2 to 10
(shards) and MiB are whole numbers of them. What is none is rounded to the nearest."""
HOUR: Final = PARTS * 3600
"""Parts times seconds in an hour of one."""
UNIT: Final = HOUR * MICROS
"""Parts times seconds times millionths in one unit of a currency."""
GPU: Final = "gpu"
TARIFF: Final = "tariff"


class Key(NamedTuple):
    """What the price of a run's resource depends on.

    Attributes:
        cluster: Where it ran.
        project: Whom it is charged to.
        partition: Where it ran.
        qos: Its quality of service.
        resource: ``gpu``, ``cpu``, ``mem_gib`` or ``node``.
        kind: Of GPUs; ``""``: not known, or no GPU.
    """

    cluster: str
    project: str
    partition: str
    qos: str
    resource: str
    kind: str


class Piece(NamedTuple):
    """A time at which one price holds.

    Attributes:
        since: Unix seconds.
        until: Unix seconds; not in it.
        micros: The price in millionths; None: there is none.
    """

    since: int
    until: int
    micros: int | None


def holds_for(price: Price, key: Key) -> bool:
    """Whether a price is one for this, at any time. Pure."""
    resource, _, kind = price.resource.partition(":")
    wanted = ((price.cluster, key.cluster), (price.project, key.project), (price.partition, key.partition),
              (price.qos, key.qos))  # fmt: skip
    fits = kind in ("", key.kind) or kind == whole_of(key.kind)
    return resource == key.resource and fits and all(only in ("", has) for only, has in wanted)


def particular(price: Price, key: Key) -> tuple[bool, ...]:
    """By what the most particular of several prices for something is found: the largest. Pure.

    One for the project comes before any that is not; then one for the quality of service, for the partition, for the
    cluster; then one for the very kind of GPU, and one for the kind of which it is a slice.
    """
    _, of_kind, kind = price.resource.partition(":")
    only = (price.project, price.qos, price.partition, price.cluster, kind == key.kind and of_kind, of_kind)
    return tuple(map(bool, only))


def pieces(prices: Iterable[Price], key: Key, since: int, until: int) -> Iterator[Piece]:
    """Cut a time where the price of something changes. Pure.

    Args:
        prices: Among which its prices are.
        key: What.
        since: Unix seconds.
        until: Unix seconds; not in it.

    Yields:
        The pieces in order, without gaps; no two that follow each other have the same price.
    """
    ours = [price for price in prices if holds_for(price, key)]
    ranked = sorted(ours, key=lambda price: particular(price, key), reverse=True)
    borders = {since, until} | {at for price in ours for at in (price.since, price.until) if at is not None}
    last: Piece | None = None
    for a, b in itertools.pairwise(sorted(at for at in borders if since <= at <= until)):
        micros = next((price.micros for price in ranked if price.meets(a, b)), None)
        if last is not None and last.micros == micros:
            last = last._replace(until=b)
            continue
        if last is not None:
            yield last
        last = Piece(a, b, micros)
    if last is not None:
        yield last


def charged(prices: Iterable[Price]) -> tuple[str, ...]:
    """The resources that cost something at some time: what these are used without a price is told. Pure."""
    return tuple(sorted({price.resource.partition(":")[0] for price in prices if price.meets(0, None)}))


def tariff_of(
    prices: Sequence[Price], met: Iterable[tuple[str, str, str, str, str | None]], since: int, until: int
) -> Iterator[tuple[Key, Piece]]:
    """The lines of the tariff. Pure.

    Args:
        prices: In one currency.
        met: Cluster, project, partition, QOS and kind of GPUs (None: no GPU) of runs.
        since: Unix seconds.
        until: Unix seconds; not in it.
    """
    known: defaultdict[str, list[Price]] = defaultdict(list)
    for price in prices:
        known[price.resource.partition(":")[0]].append(price)
    resources, keys = charged(prices), set()
    for cluster, project, partition, qos, kind in met:
        for resource in resources:
            if resource != GPU or kind is not None:
                keys.add(Key(cluster, project, partition, qos, resource, (kind or "") if resource == GPU else ""))
    words = {(one.cluster, one.project, one.partition, one.qos) for one in prices}
    named = [frozenset(column) for column in zip(*words, strict=True)]
    cut: dict[Key, tuple[Piece, ...]] = {}  # most projects, partitions and so on are named by no price: alike to all
    for key in sorted(keys):
        where = (word if word in there else "" for word, there in zip(key, named, strict=False))
        alike = Key._make((*where, key.resource, key.kind))
        if alike not in cut:
            cut[alike] = tuple(pieces(known[key.resource], alike, since, until))
        for piece in cut[alike]:
            yield key, piece


def make_tariff(
    connection: duckdb.DuckDBPyConnection, prices: PriceList, since: int, until: int, meets: str,
    parameters: dict[str, Any],
) -> None:  # fmt: skip
    """Make ``tariff`` for a question.

    Args:
        connection: To usage.
        prices: What is charged; those in other currencies are not.
        since: Unix seconds at which the time in question begins.
        until: Unix seconds before which it ends.
        meets: The condition on the runs that it meets, over ``r`` and ``c``.
        parameters: Of that.
    """
    ours = [price for price in prices.prices if price.currency == prices.currency]
    met = connection.execute(
        "SELECT DISTINCT r.cluster, r.account, r.partition, r.qos, h.kind FROM runs AS r"
        f" JOIN clusters AS c ON c.cluster = r.cluster LEFT JOIN run_gpus AS h ON h.run = r.run WHERE {meets}",
        parameters,
    ).fetchall()
    lines = [(*key, *piece) for key, piece in tariff_of(ours, met, since, until)]
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {TARIFF} (cluster VARCHAR, account VARCHAR, partition VARCHAR, qos VARCHAR,"
        " resource VARCHAR, kind VARCHAR, since BIGINT, until BIGINT, micros BIGINT, held BOOLEAN)"
    )
    names = ("cluster", "account", "partition", "qos", "resource", "kind", "since", "until", "micros")
    types = ("VARCHAR",) * 6 + ("BIGINT",) * 3
    columns = list(zip(*lines, strict=True)) or [()] * len(names)
    connection.execute(
        f"INSERT INTO {TARIFF} SELECT "
        + ", ".join(f"unnest(${name}::{kind}[])" for name, kind in zip(names, types, strict=True))
        + ", $held",
        {name: list(column) for name, column in zip(names, columns, strict=True)} | {"held": prices.basis == "held"},
    )


def joined(a: str, b: str, gpus: bool) -> str:
    """What is joined to ``r`` and ``c``: each price that something of a run has at some time from a until before b.

    Args:
        a: Unix seconds, or SQL that has them.
        b: Likewise, no sooner than ``a``.
        gpus: Whether of its GPUs, which ``run_gpus AS g`` has; else of all the rest.
    """
    # One value: told apart, DuckDB would join all that runs of a project could have to each run, and then its GPUs.
    kind = "g.kind" if gpus else "''"
    run = f"row(r.cluster, r.account, r.partition, r.qos, {kind})"
    return (
        f"JOIN {TARIFF} AS t ON row(t.cluster, t.account, t.partition, t.qos, t.kind) = {run}"
        f" AND t.resource {'=' if gpus else '<>'} '{GPU}'"
        f" AND least({b}, t.until, {ENDED}) > greatest({a}, t.since, {STARTED})"
    )


def part_s(a: str, b: str, gpus: bool) -> str:
    """Parts of a resource times seconds from a until before b at the price of ``t``, a whole number; see joined()."""
    first, last = f"greatest({a}, t.since)", f"least({b}, t.until)"
    seconds = f"CASE WHEN t.held THEN {held_s(first, last)} ELSE {used_s(first, last)} END"
    return f"({_PARTS_OF_GPUS if gpus else _PARTS_OF_REST} * ({seconds}))"


_PARTS_OF_GPUS: Final = f"round(CASE WHEN t.held THEN g.held ELSE g.equivalent END * {PARTS})::HUGEINT"
_PARTS_OF_REST: Final = f"""CASE t.resource
    WHEN 'cpu' THEN r.cpus::HUGEINT * {PARTS}
    WHEN 'mem_gib' THEN r.mem_bytes::HUGEINT * {PARTS} // {2**30}
    ELSE r.nodes::HUGEINT * {PARTS} END"""
