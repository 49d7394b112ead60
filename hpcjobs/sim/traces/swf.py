"""The Standard Workload Format of the Parallel Workloads Archive. Pure.

18 numbers a line, -1 where a value is not known, and a header of comments, ``; MaxNodes: 128``
(https://www.cs.huji.ac.il/labs/parallel/workload/swf.html; Chapin et al., "Benchmarks and Standards for the
Evaluation of Parallel Job Schedulers", JSSPP 1999).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from hpcjobs.model.job import Fate
from hpcjobs.sim.traces.assembly import gathered, in_order, limit_of, some
from hpcjobs.sim.traces.lines import LeftOut, Tally, amount, count, refused
from hpcjobs.sim.workload import SimJob, SimNode, Workload

COLUMNS: Final = ("job", "submit", "wait", "run", "allocated", "cpu", "memory", "processors", "limit", "asked memory",
    "status", "user", "group", "application", "queue", "partition", "preceding", "think")  # fmt: skip
MOST_NODES: Final = 1_000_000
"""As many nodes as a header may name."""

Unit = Literal["nodes", "processors"]
_HEADER: Final = re.compile(r";\s*(MaxNodes|MaxProcs|UnixStartTime):\s*(\d{1,15})")
_PARTIAL: Final = frozenset({"2", "3", "4"})
_FATES: Final = {"0": Fate.FAILED, "5": Fate.CANCELLED}
_UNKNOWN: Final = "-1"


class Header(NamedTuple):
    """What the header says; 0: it does not.

    Attributes:
        nodes: MaxNodes.
        processors: MaxProcs.
        start_s: UnixStartTime, in Unix seconds.
    """

    nodes: int = 0
    processors: int = 0
    start_s: int = 0


def read_swf(
    lines: Iterable[str],
    origin: str = "SWF",
    *,
    unit: Unit | None = None,
    size: int = 0,
    stretch_limits: bool = False,
) -> Workload:
    """A workload in the Standard Workload Format.

    Jobs have their nodes for themselves. Memory is left out: headers do not say what nodes have. A job asks for the
    processors that it asked for or, where that is not known, those that it got. Where no limit was asked for, the run
    time is the limit. Lines of status 2 to 4 are parts of jobs that are listed whole and are left out, and so are
    jobs that never ran. The columns are only told apart by their place, so a line of fewer is broken.

    Args:
        lines: Of the file.
        origin: What it is called.
        unit: What is handed out: ``nodes`` of MaxProcs / MaxNodes processors each, whole, or ``processors``, each for
            itself. None: nodes where the header says how many, else processors.
        size: How many of them there are; 0: as the header says.
        stretch_limits: Whether a limit that the job ran beyond is raised to its run time; else the job is cut there.

    Raises:
        Refused: It has no job, or nobody says how large the machine is.
    """
    dropped, remarks = Tally(), Tally()
    said: dict[str, int] = {}

    def read(line: int, cells: list[str]) -> SimJob:
        return _job(line, cells, stretch_limits, remarks)

    found = gathered(_cells(lines, said), read, dropped, "job", origin)
    header = Header(said.get("MaxNodes", 0), said.get("MaxProcs", 0), said.get("UnixStartTime", 0))
    unit = unit or ("nodes" if header.nodes else "processors")
    nodes, processors = _machine(header, unit, size, origin)
    jobs = [_on_nodes(job, processors) for job in found] if processors > 1 else found
    for _ in range(sum(job.nodes > nodes for job in jobs)):
        dropped.add(f"it asks for more than {nodes} {unit}")
    jobs = [job for job in jobs if job.nodes <= nodes]
    some(jobs, "job", origin, dropped)
    return Workload(
        nodes=tuple(SimNode(name=f"n{index}", cpus=processors) for index in range(1, nodes + 1)),
        jobs=in_order(jobs),
        origin=f"{origin} (SWF, {nodes} {unit})",
        dropped=dropped.told(),
        remarks=remarks.told(),
        started_at=_started_at(header, min(job.submit_s for job in jobs)),
    )


def _cells(lines: Iterable[str], said: dict[str, int]) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that is no comment, with its number; what the header says goes into ``said``."""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.startswith(";"):
            if match := _HEADER.match(text):
                said.setdefault(match[1], int(match[2]))
        elif text:
            yield number, text.split()


def _started_at(header: Header, first_s: float) -> float | None:
    """Unix seconds of the first submission, which counts from UnixStartTime or, against the format, from 1970."""
    if not header.start_s:
        return None
    return first_s if first_s >= header.start_s else header.start_s + first_s


def _machine(header: Header, unit: Unit, size: int, origin: str) -> tuple[int, int]:
    """How many nodes, and processors on each."""
    wanted = size or (header.nodes if unit == "nodes" else header.processors or header.nodes)
    if not 0 < wanted <= MOST_NODES:
        what = "MaxNodes" if unit == "nodes" else "MaxProcs"
        raise refused(origin, 0, f"its header names no {what} from 1 to {MOST_NODES}: say how many {unit} there are")
    if unit == "processors" or not header.nodes:
        return wanted, 1
    return wanted, max(1, header.processors // header.nodes)


def _on_nodes(job: SimJob, processors: int) -> SimJob:
    """A job that was read with a node for each processor, on nodes of several."""
    return msgspec.structs.replace(
        job, nodes=-(-job.nodes // processors), cpus_per_node=min(job.nodes, processors)
    )  # fmt: skip


def _named(letter: str, value: str) -> str:
    return "" if value == _UNKNOWN else f"{letter}{value}"


def _job(line: int, cells: list[str], stretch_limits: bool, remarks: Tally) -> SimJob:
    """The job of a line, with one node for each processor.

    Raises:
        LeftOut: It is none that could be simulated.
        ValueError: The line is broken.
    """
    if len(cells) < len(COLUMNS):
        raise ValueError(f"fewer than {len(COLUMNS)} columns")
    row = dict(zip(COLUMNS, cells, strict=False))
    if row["status"] in _PARTIAL:
        raise LeftOut("part of a job that is listed whole")
    submit_s = amount(row["submit"], "the submission")
    if row["run"] == _UNKNOWN:
        raise LeftOut("it never ran")
    run_s = amount(row["run"], "the run time")
    processors = next((row[name] for name in ("processors", "allocated") if row[name] not in (_UNKNOWN, "0")), "0")
    if not (nodes := count(processors, "the number of processors")):
        raise LeftOut("nobody knows its processors")
    wall_s = 0.0 if row["limit"] == _UNKNOWN else amount(row["limit"], "the limit")
    if not wall_s:
        remarks.add("no limit is known: its run time was taken", line)
        wall_s = limit_of(run_s)
    elif run_s > wall_s:
        remarks.add("it ran beyond its limit: " + ("the limit was raised" if stretch_limits else "it is cut"), line)
        wall_s = run_s if stretch_limits else wall_s
    if len(cells) > len(COLUMNS):
        remarks.add(f"columns after the {len(COLUMNS)}th were not read", line)
    return SimJob(
        number=0, submit_s=submit_s, run_s=run_s, wall_s=wall_s, nodes=nodes, exclusive=True,
        user=_named("u", row["user"]), account=_named("g", row["group"]), name=_named("app", row["application"]),
        fate=_FATES.get(row["status"], Fate.COMPLETED),
    )  # fmt: skip
