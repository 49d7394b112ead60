"""A report's question as SQL: text of ours, and words of whoever asks as parameters only. Pure."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hpcjobs.identity.policy import Visibility
from hpcjobs.reports.asked import Asked
from hpcjobs.reports.dimensions import DIMENSIONS, NO_GPU, UNRESOLVED
from hpcjobs.reports.measures import MEASURES, Of
from hpcjobs.usage.amounts import held_s, used_s
from hpcjobs.usage.samples import OF_RUN

FROM_RUNS: Final = "FROM runs AS r JOIN clusters AS c ON c.cluster = r.cluster"
"""Where every amount is of (hpcjobs.usage.amounts)."""
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
        nodes: Whether it reads ``node_shares``, which has to be made before.
    """

    text: str
    parameters: dict[str, Any]
    nodes: bool = False


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
    """One condition of a question, over ``r``; on GPUs and nodes: of whatever the relation has of them."""
    if name == "gpu":
        asked = f"SELECT run FROM run_gpus AS g WHERE list_contains($where_gpu, {KIND})"
        none = f"list_contains($where_gpu, '{NO_GPU}') AND r.run NOT IN (SELECT run FROM run_gpus)"
        if of is not Of.RUNS:
            return f"list_contains($where_gpu, {_dimension(name, of)})"
        return f"(r.run IN ({asked}) OR ({none}))"
    if name == "node" and of is Of.SAMPLES:
        return "list_contains($where_node, s.node)"
    if name == "node":
        return "r.node_list IN (SELECT node_list FROM node_shares WHERE list_contains($where_node, node))"
    if name == "size":
        return f"list_contains($where_size, {_of_size()})"
    return f"list_contains($where_{name}, {DIMENSIONS[name].sql})"


def _of_size() -> str:
    return DIMENSIONS["size"].sql.replace("gpus", "coalesce(size.gpus, 0)")


def _dimension(name: str, of: Of) -> str:
    """What tells rows apart, never NULL. Samples know their own node and kind."""
    if of is Of.SAMPLES and name in ("gpu", "node"):
        return KIND.replace("g.kind", "s.kind") if name == "gpu" else "s.node"
    if name == "gpu":
        return KIND if of is Of.GPUS else f"coalesce({KIND}, '{NO_GPU}')"
    return _of_size() if name == "size" else DIMENSIONS[name].sql


def _relation(asked: Asked, by: tuple[str, ...], step: str, of: Of, visible: str) -> str:
    """The lines of a relation: what tells them apart as ``d0``, ``d1`` ..., and the amounts that measures are of."""
    a, b = ("b.since", "b.until") if step else ("$since", "$until")
    asks = {*by, *asked.where}
    told = ["b.place" if name == step else _dimension(name, of) for name in by]
    lines = [f"{sql} AS d{index}" for index, sql in enumerate(told)]
    source, conditions = [FROM_RUNS], [seen(), visible]
    conditions += [_condition(name, of) for name in asked.where]
    if step:
        source.append(f"JOIN buckets AS b ON {seen(a, b)}")
    if of is Of.GPUS:
        source.append("JOIN run_gpus AS g ON g.run = r.run")
    elif "gpu" in by and of is Of.RUNS:
        source.append(MAIN_KIND)
    if "size" in asks:
        source.append(GPUS_OF)
    share = "1.0"
    if "node" in by and of is not Of.SAMPLES:
        source.append("JOIN node_shares AS n ON n.node_list = r.node_list")
        share = "n.share"
        if "node" in asked.where:
            conditions.append("list_contains($where_node, n.node)")
    lines += _amounts(of, a, b, share)
    if of is Of.SAMPLES:
        source.append(f"JOIN samples AS s ON {OF_RUN}")
        conditions.append(f"s.bucket >= {a} AND s.bucket < {b}")
    return f"SELECT {', '.join(lines)}\n  {' '.join(source)}\n  WHERE {' AND '.join(conditions)}"


def _amounts(of: Of, a: str, b: str, share: str) -> list[str]:
    """The columns of a relation that measures are of."""
    used = [f"{used_s(a, b)} AS used_s", f"{held_s(a, b)} AS held_s", f"{share} AS share", "r.raw_state AS state"]
    if of is Of.GPUS:
        return [*used, "g.kind AS kind", "g.devices AS devices", "g.equivalent AS equivalent", "g.held AS held"]
    if of is Of.SAMPLES:
        return ["s.busy_s AS busy_s", "s.covered_s AS covered_s"]
    ended = f"coalesce(r.end_time >= {a} AND r.end_time < {b}, FALSE)"
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
        f"CASE WHEN {ended} THEN r.energy_j END AS ended_energy_j",
    ]  # fmt: skip


COUNTS: Final = "used_s > 0 OR held_s > 0 OR ended"
"""Which lines of runs count: those that merely touch a period have nothing in it."""


def _aggregate(asked: Asked, by: tuple[str, ...], step: str, of: Of, visible: str) -> str:
    """One line for each combination of what tells rows apart, with all measures of one relation."""
    names = [f"d{index}" for index in range(len(by))]
    sums = [f"{MEASURES[name].sql} AS {name}" for name in asked.measures if MEASURES[name].of is of]
    lines = ", ".join([*names, *sums])
    grouped = f" GROUP BY {', '.join(names)}" if names else ""
    counted = f" WHERE {COUNTS}" if of is Of.RUNS else ""
    return f"SELECT {lines} FROM (\n  {_relation(asked, by, step, of, visible)}\n){counted}{grouped}"


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
    condition, parameters = may_see(visible)
    relations = [of for of in Of if any(MEASURES[name].of is of for name in asked.measures)]
    tables = {of: f"({_aggregate(asked, by, step, of, condition)}) AS {of}" for of in relations}
    first, *others = relations
    joined, names = tables[first], [f"d{index}" for index in range(len(by))]
    for of in others:
        joined += f"\nFULL JOIN {tables[of]} USING ({', '.join(names)})" if names else f"\nCROSS JOIN {tables[of]}"
    absent = {name: MEASURES[name].absent for name in asked.measures}
    measured = [name if absent[name] is None else f"coalesce({name}, 0) AS {name}" for name in asked.measures]
    columns = ", ".join([*names, *measured, "count(*) OVER ()"])
    parameters |= {"since": asked.period.since, "until": asked.period.until}
    parameters |= {f"where_{name}": list(words) for name, words in asked.where.items()}
    text = f"SELECT {columns} FROM {joined}"
    if step:
        told = "SELECT unnest($places) AS place, unnest($firsts) AS since, unnest($lasts) AS until"
        text = f"WITH buckets AS ({told})\n{text}"
        parameters |= {
            "places": [f"{place:05d}" for place in range(len(asked.pieces))],
            "firsts": [piece.since for piece in asked.pieces],
            "lasts": [piece.until for piece in asked.pieces],
        }
    if not total:
        key = f"d{by.index(asked.order)}" if asked.order in by else asked.order
        order = [f"{key} {'DESC' if asked.falling else 'ASC'} NULLS LAST", *names] if names else []
        text += (f"\nORDER BY {', '.join(order)}" if order else "") + f"\nLIMIT {asked.limit}"
    return Sql(text, parameters, "node" in by or "node" in asked.where)
