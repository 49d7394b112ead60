"""Which form a file has: known by its name or by its first lines. Where ``hpcjobs simulate`` names its input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

from hpcjobs.errors import Refusal, Refused
from hpcjobs.sim.traces.clos import read_clos
from hpcjobs.sim.traces.fleet import read_fleet
from hpcjobs.sim.traces.lines import lines_of, refused
from hpcjobs.sim.traces.openb import read_openb_nodes, read_openb_pods
from hpcjobs.sim.traces.philly import read_philly
from hpcjobs.sim.traces.sacct import read_sacct
from hpcjobs.sim.traces.swf import COLUMNS, read_swf
from hpcjobs.sim.workload import Workload

FIRST_LINES: Final = 100
"""As many lines tell which form it is."""


class Format(NamedTuple):
    """A form of file.

    Attributes:
        name: What it is called on the command line.
        what: What it is and has, in a line.
        read: Its reader, of lines and the file's name.
        columns: Columns of its header, in lower case, by which it is known; empty: it has none.
        separator: What stands between them.
    """

    name: str
    what: str
    read: Callable[[Iterable[str], str], Workload]
    columns: frozenset[str] = frozenset()
    separator: str = ","

    def knows(self, line: str) -> bool:
        """Whether a line that is neither empty nor a comment is the first of such a file."""
        if self.columns:
            return self.columns <= {cell.strip().strip('"').lower() for cell in line.split(self.separator)}
        cells = line.split()
        return len(cells) >= len(COLUMNS) and all(cell.strip("+-.").replace(".", "").isdigit() for cell in cells)


FORMATS: Final = (
    Format("swf", "Standard Workload Format: jobs and how many nodes there are", read_swf),
    Format("sacct", "sacct -P with a header: jobs and the nodes that they ran on", read_sacct,
           frozenset({"submit", "start", "end"}), "|"),
    Format("openb-nodes", "nodes of alibaba cluster-trace-gpu-v2023", read_openb_nodes,
           frozenset({"sn", "cpu_milli", "gpu"})),
    Format("openb-pods", "pods of alibaba cluster-trace-gpu-v2023: jobs, with shares of GPUs", read_openb_pods,
           frozenset({"num_gpu", "gpu_milli", "gpu_spec"})),
    Format("philly", "Philly subset of ElasticFlow: jobs", read_philly,
           frozenset({"timestamp", "duration", "num_gpus"})),
    Format("fleet", "nodes of alibaba cluster-trace-v2026-spot-gpu", read_fleet,
           frozenset({"gpu_model", "gpu_capacity_num", "node_name"})),
    Format("clos", "hosts and switches of alibaba-lingjun-dataset-2023", read_clos,
           frozenset({"ip", "dsw", "psw", "asw"})),
)  # fmt: skip


def format_named(name: str) -> Format:
    """The form of that name.

    Raises:
        Refused: There is none.
    """
    for known in FORMATS:
        if known.name == name:
            return known
    raise Refused([Refusal("format", f"No form is called {name[:80]!r}; there are {_names()}.", "trace-format")])


def load(path: Path, format_name: str = "") -> Workload:
    """What a file has.

    Args:
        path: The file, plain or gzip.
        format_name: Its form; ``""``: as its first lines have it.

    Raises:
        Refused: It cannot be read, is of no form that is known, or not of the one that was named.
    """
    known = format_named(format_name) if format_name else None
    lines = lines_of(path)
    head = list(islice(lines, FIRST_LINES))
    found = known or _recognised(head, str(path))
    return found.read(chain(head, lines), str(path))


def _recognised(head: Sequence[str], origin: str) -> Format:
    told = ((number, line) for number, line in enumerate(head, start=1) if line.strip() and line.lstrip()[0] != ";")
    number, line = next(told, (0, ""))
    for known in FORMATS:
        if known.knows(line):
            return known
    if not line and head and any(line.strip() for line in head):
        return FORMATS[0]  # nothing but comments yet: only SWF has them
    what = f"it is of no form that is known: {line[:60]!r}" if line else "it is empty"
    raise refused(origin, number, f"{what}; there are {_names()}")


def _names() -> str:
    return ", ".join(known.name for known in FORMATS)


def joined(parts: Sequence[Workload]) -> Workload:
    """Nodes of one file and jobs of another, as one workload.

    Args:
        parts: In the order of the command line. Nodes are those of the first that has nodes and jobs of the first
            that has jobs.

    Raises:
        Refused: There are no nodes, or no jobs, or a part gives neither.
    """
    nodes = next((part for part in parts if part.nodes), None)
    jobs = next((part for part in parts if part.jobs), None)
    if nodes is None or jobs is None:
        what = "nodes" if nodes is None else "jobs"
        raise Refused([Refusal(what, f"None of the files has {what}: name one that has.", "trace-incomplete")])
    for part in parts:
        if part is not nodes and part is not jobs:
            raise Refused([Refusal("", f"{part.origin} gives nothing: nodes and jobs are of others.", "trace-unused")])
    if nodes is jobs:
        return jobs
    return Workload(
        nodes=nodes.nodes,
        jobs=jobs.jobs,
        origin=f"{jobs.origin} on {nodes.origin}",
        dropped=_of(nodes, nodes.dropped) | _of(jobs, jobs.dropped),
        remarks=_of(nodes, nodes.remarks) | _of(jobs, jobs.remarks),
        started_at=jobs.started_at,
    )


def _of(part: Workload, counts: Mapping[str, int]) -> dict[str, int]:
    return {f"{part.origin}: {reason}": count for reason, count in counts.items()}
