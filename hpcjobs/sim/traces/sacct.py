r"""What Slurm's accounting printed: ``sacct -P`` with a header line. Pure.

A dump that says all that is read here, of all users and without steps::

    sacct -aXPD -S 2026-01-01 -E now -o JobID,JobIDRaw,JobName,User,Account,Partition,Submit,Eligible,Start,End,\
        ElapsedRaw,TimelimitRaw,State,NNodes,NCPUS,ReqTRES,AllocTRES,NodeList

Columns may stand in any order, and others are not heeded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Final, NamedTuple

import msgspec

from hpcjobs.model.gres import UNTYPED, gpus_of_tres, parse_tres
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import Fate
from hpcjobs.sbatch.units import ceil_div, parse_time
from hpcjobs.sim.traces.assembly import gathered, in_order, limit_of
from hpcjobs.sim.traces.lines import MOST, LeftOut, Tally, amount, count, moment
from hpcjobs.sim.traces.sacct_nodes import Held, nodes_held
from hpcjobs.sim.traces.tables import Row, first, rows
from hpcjobs.sim.workload import SimJob, Workload

NEEDED: Final = (
    ("JobID", "JobIDRaw"),
    ("Submit",),
    ("Start",),
    ("End",),
    ("NNodes", "AllocNodes", "ReqNodes", "AllocTRES", "ReqTRES"),
)
_FATES: Final = {**Fate.__members__, "REQUEUED": Fate.CANCELLED}
NOTHING: Final = frozenset({"", "Unknown", "None", "N/A", "INVALID"})
"""What sacct prints where there is no time."""


class _Told(NamedTuple):
    job: SimJob
    held: Held
    het: str


def read_sacct(lines: Iterable[str], origin: str = "sacct", *, zone: tzinfo = UTC) -> Workload:
    """The jobs of a dump, and the nodes that they ran on.

    Left out are steps, jobs that never started and jobs that had not ended. A job counts from when it could begin
    (Eligible), where that is after its submission. Of a job that was requeued each run is a job of its own, if the
    dump has them (``-D``). Parts of a heterogeneous job are a gang. A limit that is none, or the partition's, is not
    known; then the run time is taken. Of the nodes there is as much as jobs ever held of them at one time, since
    accounting does not say what they have; where the dump has no NodeList there are no nodes.

    Args:
        lines: Of the dump.
        origin: What it is called.
        zone: Of its times; sacct prints those of the machine that it ran on.

    Raises:
        Refused: It is no such dump, lacks a column, or has no job that ended.
    """
    dropped, remarks = Tally(), Tally()

    def read(line: int, row: Row) -> _Told:
        return _told(line, row, zone, remarks)

    told = gathered(rows(lines, origin, NEEDED, dropped, "|"), read, dropped, "job", origin)
    gangs = Counter(one.het for one in told if one.het)
    nodes, mixed = nodes_held([one.held for one in told], remarks)
    jobs = [_settled(one, gangs[one.het], mixed, remarks) for one in told]
    return Workload(
        nodes=nodes,
        jobs=in_order(jobs),
        origin=origin,
        dropped=dropped.told(),
        remarks=remarks.told(),
        started_at=min(job.submit_s for job in jobs),
    )


def _settled(told: _Told, parts: int, mixed: frozenset[str], remarks: Tally) -> SimJob:
    """The job, as what is known of all others allows."""
    job = told.job
    if parts > 1:
        job = msgspec.structs.replace(job, hints=Hints(gang=f"het{told.het}", gang_size=parts))
    if mixed.intersection(job.gpu_types):
        remarks.add("its type of GPU is not heeded: nodes have that and others")
        job = msgspec.structs.replace(job, gpu_types=())
    return job


def _told(line: int, row: Row, zone: tzinfo, remarks: Tally) -> _Told:
    job_id = first(row, "JobID", "JobIDRaw")
    if "." in job_id:
        raise LeftOut("a step")
    state = first(row, "State").partition(" ")[0]
    start, end = first(row, "Start"), first(row, "End")
    if start in NOTHING or first(row, "NodeList") == "None assigned":
        raise LeftOut("it never started")
    if end in NOTHING:
        raise LeftOut("it had not ended")
    submit_s = moment(first(row, "Submit"), "Submit", zone)
    start_s, end_s = moment(start, "Start", zone), moment(end, "End", zone)
    run_s = _run(row, start_s, end_s)
    eligible = first(row, "Eligible")
    eligible_s = submit_s if eligible in NOTHING else moment(eligible, "Eligible", zone)
    if submit_s < eligible_s <= start_s:
        remarks.add("it could not begin at once: it counts from when it could", line)
        submit_s = eligible_s
    alloc, asked = _tres(row, "AllocTRES"), _tres(row, "ReqTRES")
    nodes = _number(row, "NNodes", "AllocNodes", "ReqNodes") or alloc.get("node", 0) or asked.get("node", 0)
    if not nodes:
        raise ValueError("nobody knows its number of nodes")
    cpus = _number(row, "NCPUS", "AllocCPUS", "ReqCPUS") or alloc.get("cpu", 0) or asked.get("cpu", 0) or nodes
    gpus = sum(gpus_of_tres(alloc or asked).values())
    if gpus % nodes:
        remarks.add("its GPUs do not divide into its nodes: it gets some more", line)
    job = SimJob(
        number=0, submit_s=submit_s, run_s=run_s, wall_s=_limit(line, row, run_s, remarks), nodes=nodes,
        cpus_per_node=ceil_div(cpus, nodes), gpus_per_node=ceil_div(gpus, nodes),
        mem_per_node_bytes=ceil_div((alloc or asked).get("mem", 0), nodes),
        gpu_types=tuple(sorted(_types(asked or alloc) & _types(alloc or asked))),
        user=first(row, "User"), account=first(row, "Account"), partition=first(row, "Partition") or "main",
        name=first(row, "JobName"), fate=_FATES.get(state, Fate.COMPLETED),
    )  # fmt: skip
    held = Held(first(row, "NodeList"), start_s, max(end_s, start_s + 1), job, _types(alloc or asked))
    return _Told(job, held, job_id.partition("+")[0] if "+" in job_id else "")


def _types(tres: dict[str, int]) -> frozenset[str]:
    return frozenset(gpus_of_tres(tres)) - {UNTYPED}


def _run(row: Row, start_s: float, end_s: float) -> float:
    if elapsed := first(row, "ElapsedRaw"):
        return amount(elapsed, "ElapsedRaw")
    if elapsed := first(row, "Elapsed"):
        return amount(str(parse_time(elapsed)), "Elapsed")
    if end_s < start_s:
        raise ValueError("it ends before it begins")
    return end_s - start_s


def _limit(line: int, row: Row, run_s: float, remarks: Tally) -> float:
    text = first(row, "TimelimitRaw", "Timelimit")
    wall_s = 0 if not text or text == "Partition_Limit" else parse_time(text)
    if not wall_s:
        remarks.add("no limit is known: its run time was taken", line)
        return limit_of(run_s)
    if wall_s > MOST:
        raise ValueError("the limit is beyond 1e15 s")
    if run_s > wall_s:
        remarks.add("it ran beyond its limit: it is cut", line)
    return float(wall_s)


def _number(row: Row, *columns: str) -> int:
    """The first of these columns that has a number above 0, as of AllocNodes and ReqNodes; 0: none."""
    found = (count(row[column.lower()], column) for column in columns if row.get(column.lower()))
    return next(filter(None, found), 0)


def _tres(row: Row, column: str) -> dict[str, int]:
    """Trackable resources by name.

    Raises:
        ValueError: There is more of one than a trace may have.
    """
    tres = parse_tres(first(row, column))
    if max(tres.values(), default=0) > MOST * 1024:
        raise ValueError(f"{column} is beyond all bounds")
    return tres
