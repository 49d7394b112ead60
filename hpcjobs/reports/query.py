"""A report's question as SQL: text of ours, and words of whoever asks as parameters only. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hpcjobs.identity.policy import Visibility
from hpcjobs.model.sample import BUCKET_S
from hpcjobs.reports.asked import OF_POOL, Asked
from hpcjobs.reports.dimensions import DIMENSIONS, NO_GPU, UNRESOLVED
from hpcjobs.reports.measures import MEASURES, OF_ENERGY, Of
from hpcjobs.usage import charges
from hpcjobs.usage.amounts import held_s, used_s
from hpcjobs.usage.energy import ENERGY_J, g_per_kwh, of_gpus
from hpcjobs.usage.samples import STILL, of_runs

FROM_RUNS: Final = "FROM runs AS r JOIN clusters AS c ON c.cluster = r.cluster"
"""Where every amount is of (hpcjobs.usage.amounts)."""
NODE_SHARES: Final = "node_shares"
POOL_PARTS: Final = "pool_parts"
LOST_PARTS: Final = "lost_parts"
KIND: Final = f"CASE WHEN g.kind = '' THEN '{UNRESOLVED}' ELSE g.kind END"
MAIN_KIND: Final = """LEFT JOIN (
    SELECT run, arg_max(kind, (devices, kind)) AS kind FROM run_gpus GROUP BY run
) AS g ON g.run = r.run"""
GPUS_OF: Final = """LEFT JOIN (
    SELECT run, sum(devices) AS gpus FROM run_gpus GROUP BY run
) AS size ON size.run = r.run"""


class Sql(NamedTuple):
    """A statement.

    Attributes:
        text: With ``$name`` for parameters.
        parameters: By name.
        made: Tables that it reads and that have to be made before (hpcjobs.reports.made).
    """

    text: str
    parameters: dict[str, Any]
    made: tuple[str, ...] = ()


def seen(a: str = "$since", b: str = "$until") -> str:
    """The condition on runs that can have anything to do with a time from a until before b, over ``r`` and ``c``."""
    return f"coalesce(r.start_time, r.end_time) < {b} AND coalesce(r.end_time, c.read_until) >= {a}"


def may_see(visible: Visibility) -> tuple[str, dict[str, Any]]:
    """The condition that keeps to what somebody may see, over ``r``, and its parameters."""
    if visible.everything:
        return "TRUE", {}
    condition = "(r.\"user\" = $me OR list_contains($managed, r.cluster || '/' || r.account))"
    return condition, {"me": visible.user, "managed": [f"{where}/{account}" for where, account in visible.accounts]}


def _condition(name: str, of: Of) -> str:
    """One condition of a question: it keeps the rows that would be told apart by it."""
    return f"list_contains($where_{name}, {_dimension(name, of)})"


COSTS: Final = frozenset({Of.GPU_COST, Of.COST})
"""Relations of what runs cost."""
OWN: Final = (Of.SAMPLES, Of.POOL)
"""Relations whose lines ``s`` know their own cluster, node and kind."""


def _of_size() -> str:
    return DIMENSIONS["size"].sql.replace("gpus", "coalesce(size.gpus, 0)")


def _dimension(name: str, of: Of) -> str:
    """What tells rows apart, never NULL. Samples know their own node and kind."""
    if of in OWN and name in OF_POOL:
        return KIND.replace("g.", "s.") if name == "gpu" else f"s.{name}"
    if name == "gpu":
        return KIND if of in (Of.GPUS, Of.GPU_COST, Of.LOST) else f"coalesce({KIND}, '{NO_GPU}')"
    return _of_size() if name == "size" else DIMENSIONS[name].sql


def relation(asked: Asked, by: tuple[str, ...], step: str, of: Of, visible: str) -> str:
    """The lines of a relation: what tells them apart as ``d0``, ``d1`` ..., and the amounts that measures are of.

    Args:
        asked: The question.
        by: What tells lines apart.
        step: What of it cuts time, or ``""``.
        of: The relation.
        visible: The condition on what may be seen.
    """
    a, b = ("b.since", "b.until") if step else ("$since", "$until")
    asks = {*by, *asked.where}
    told = ["b.place" if name == step else _dimension(name, of) for name in by]
    lines = [f"{sql} AS d{index}" for index, sql in enumerate(told)]
    source = [_source(of)]
    conditions = [_condition(name, of) for name in asked.where if name != "node" or of in OWN]
    conditions.append(_meets(of))
    if of is not Of.POOL:
        conditions.append(visible)
    if of is Of.SAMPLES:
        conditions.append(STILL)
    if step:
        source.append(f"JOIN buckets AS b ON {_meets(of, a, b)}")
    if of in (Of.GPUS, Of.GPU_COST, Of.LOST):
        source.append("JOIN run_gpus AS g ON g.run = r.run")
    elif "gpu" in asks and of in (Of.RUNS, Of.COST):
        source.append(MAIN_KIND)
    if of in COSTS:
        source.append(charges.joined(a, b, of is Of.GPU_COST))
    if "size" in asks:
        source.append(GPUS_OF)
    share = "1" if of in COSTS else "1.0"  # what is charged stays a whole number
    if "node" in asks and of not in OWN:
        source.append(f"JOIN ({_nodes('node' in by, 'node' in asked.where)}) AS n ON n.node_list = r.node_list")
        share = "n.share"
    lines += _amounts(of, a, b, share)
    if of is Of.RUNS and not OF_ENERGY.isdisjoint(asked.measures):
        source.append(f"LEFT JOIN ({of_gpus(_sampled_runs())}) AS e ON e.run = r.run")
        lines += _energy(asked, a, b)
    return f"SELECT {', '.join(lines)}\n  {' '.join(source)}\n  WHERE {' AND '.join(conditions)}"


def _meets(of: Of, a: str = "$since", b: str = "$until") -> str:
    """The condition on lines that have anything to do with a time from a until before b."""
    if of is Of.SAMPLES:
        return f"s.bucket >= {a} AND s.bucket < {b}"
    return f"s.since < {b} AND s.until > {a}" if of in (Of.POOL, Of.LOST) else seen(a, b)


def _source(of: Of) -> str:
    if of is Of.POOL:
        return f"FROM {POOL_PARTS} AS s"
    if of is Of.LOST:
        return f"{FROM_RUNS} JOIN {LOST_PARTS} AS s ON s.run = r.run"
    if of is not Of.SAMPLES:
        return FROM_RUNS
    return f"FROM {of_runs(_sampled_runs())} JOIN clusters AS c ON c.cluster = r.cluster"


def _sampled_runs() -> str:
    """The runs that samples can be of."""
    return f"SELECT r.* {FROM_RUNS} WHERE {seen(b=f'$until + {BUCKET_S}')} AND r.start_time IS NOT NULL"


def _nodes(apart: bool, some: bool) -> str:
    """Shares of the nodes of a list: one line each node, or one with what those that are asked for have together."""
    condition = " WHERE list_contains($where_node, node)" if some else ""
    if apart:
        return f"FROM {NODE_SHARES}{condition}"
    return f"SELECT node_list, sum(share) AS share FROM {NODE_SHARES}{condition} GROUP BY node_list"


def _amounts(of: Of, a: str, b: str, share: str) -> list[str]:
    """The columns of a relation that measures are of."""
    if of is Of.POOL:
        return [f"s.whole * (least(s.until, {b}) - greatest(s.since, {a})) AS there_s", "s.usable AS usable"]
    if of is Of.LOST:
        lost = f"least(s.until, {b}) - greatest(s.since, {a})"
        return ["s.part AS part", f"{lost} AS lost_s", "g.held AS held", f"{share} AS share"]
    if of in COSTS:
        told = ["t.resource AS resource", "t.kind AS kind", "t.micros AS micros", f"{share} AS share"]
        return [*told, f"{charges.part_s(a, b, of is Of.GPU_COST)} AS part_s"]
    used = [f"{used_s(a, b)} AS used_s", f"{held_s(a, b)} AS held_s", f"{share} AS share", "r.raw_state AS state"]
    if of is Of.GPUS:
        return [*used, "g.kind AS kind", "g.devices AS devices", "g.equivalent AS equivalent", "g.held AS held"]
    if of is Of.SAMPLES:
        return ["s.busy_s AS busy_s", "s.covered_s AS covered_s"]
    ended = _ended(a, b)
    started = f"r.start_time >= {a} AND r.start_time < {b}"
    wait = "greatest(r.start_time - coalesce(r.eligible_time, r.submit_time), 0)"
    ran = "greatest(r.end_time - r.start_time - r.suspended_s, 0)"
    return [
        *used, "r.cluster AS cluster", "r.slurm_job_id AS slurm_job_id", "r.cpus AS cpus", "r.nodes AS nodes",
        "r.mem_bytes AS mem_bytes", f"{ended} AS ended",
        f"CASE WHEN {started} THEN {wait} END AS wait_s",
        f"CASE WHEN {ended} AND r.start_time IS NOT NULL THEN {wait} END AS ended_wait_s",
        f"CASE WHEN {ended} AND r.start_time IS NOT NULL THEN {ran} END AS ended_run_s",
        f"CASE WHEN {ended} THEN r.cpu_used_s END AS ended_cpu_s",
        f"CASE WHEN {ended} AND r.cpu_used_s IS NOT NULL THEN r.cpus * {ran} END AS ended_cpu_capacity_s",
    ]  # fmt: skip


def _ended(a: str, b: str) -> str:
    return f"coalesce(r.end_time >= {a} AND r.end_time < {b}, FALSE)"


def _energy(asked: Asked, a: str, b: str) -> list[str]:
    """The columns that measures of energy are of."""
    ended = _ended(a, b)
    return [
        f"CASE WHEN {ended} THEN {ENERGY_J} END AS ended_energy_j",
        f"CASE WHEN {ended} THEN {ENERGY_J} * {g_per_kwh(asked.carbon)} END AS ended_co2",
    ]


COUNTS: Final = "used_s > 0 OR held_s > 0 OR ended"
"""Which lines of runs count: those that merely touch a period have nothing in it."""


def _aggregate(asked: Asked, by: tuple[str, ...], step: str, of: Of, visible: str) -> str:
    """One line for each combination of what tells rows apart, with all measures of one relation."""
    names = [f"d{index}" for index in range(len(by))]
    sums = [f"{MEASURES[name].sql} AS {name}" for name in _summed(asked) if MEASURES[name].of is of]
    lines = ", ".join([*names, *sums])
    grouped = f" GROUP BY {', '.join(names)}" if names else ""
    counted = f" WHERE {COUNTS}" if of is Of.RUNS else ""
    return f"SELECT {lines} FROM (\n  {relation(asked, by, step, of, visible)}\n){counted}{grouped}"


def _summed(asked: Asked) -> list[str]:
    """The measures that are sums of their own, with those that others of the question are made of."""
    return list(dict.fromkeys(part for name in asked.measures for part in MEASURES[name].parts or (name,)))


def sql_of(asked: Asked, visible: Visibility, total: bool = False) -> Sql:
    """The statement that answers a question.

    Args:
        asked: The question.
        visible: What may be seen of usage.
        total: Whether the one row is wanted that is the total.

    Returns:
        Its columns are ``d0`` ... and the measures, in their order, and how many rows there are without the limit;
        pieces of time are their place in ``asked.pieces``.
    """
    by, step = ((), "") if total else (asked.by, asked.step)
    relations = [of for of in Of if any(MEASURES[name].of is of for name in _summed(asked))]
    condition, parameters = may_see(visible)
    if relations == [Of.POOL]:
        parameters = {}  # it is everybody's to see, and DuckDB wants no parameter that no text names
    tables = {of: f"({_aggregate(asked, by, step, of, condition)}) AS {of}" for of in relations}
    first, *others = relations
    joined, names = tables[first], [f"d{index}" for index in range(len(by))]
    for of in others:
        joined += f"\nFULL JOIN {tables[of]} USING ({', '.join(names)})" if names else f"\nCROSS JOIN {tables[of]}"
    absent = {name: MEASURES[name].absent for name in asked.measures}
    told = {name: MEASURES[name].sql if MEASURES[name].parts else name for name in asked.measures}
    measured = [f"{sql if absent[name] is None else f'coalesce({sql}, 0)'} AS {name}" for name, sql in told.items()]
    columns = ", ".join([*names, *measured, "count(*) OVER ()"])
    parameters |= {"since": asked.period.since, "until": asked.period.until}
    parameters |= {f"where_{name}": list(words) for name, words in asked.where.items()}
    text = f"SELECT {columns} FROM {joined}"
    if step:
        pieces = "SELECT unnest($places) AS place, unnest($firsts) AS since, unnest($lasts) AS until"
        text = f"WITH buckets AS ({pieces})\n{text}"
        parameters |= {
            "places": [f"{place:05d}" for place in range(len(asked.pieces))],
            "firsts": [piece.since for piece in asked.pieces],
            "lasts": [piece.until for piece in asked.pieces],
        }
    if not total:
        key = f"d{by.index(asked.order)}" if asked.order in by else asked.order
        order = [f"{key} {'DESC' if asked.falling else 'ASC'} NULLS LAST", *names] if names else []
        text += (f"\nORDER BY {', '.join(order)}" if order else "") + f"\nLIMIT {asked.limit}"
    made = [NODE_SHARES] if "node" in by or "node" in asked.where else []
    made += [POOL_PARTS] if Of.POOL in relations else []
    made += [LOST_PARTS] if Of.LOST in relations else []
    made += [charges.TARIFF] if not COSTS.isdisjoint(relations) else []
    return Sql(text, parameters, tuple(made))
