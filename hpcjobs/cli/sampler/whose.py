"""Which jobs have which devices of a node, as its processes say: nobody has to ask Slurm's controller.

slurmstepd's title says of which job it is (``slurmstepd: [123.batch]``), and root alone can write that; the processes
that it starts get the devices of their job, by index, in ``SLURM_JOB_GPUS`` and ``SLURM_STEP_GPUS`` (sbatch(1), OUTPUT
ENVIRONMENT VARIABLES). A job that lies about its own can have its own devices counted wrongly, never another's number.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from hpcjobs.sbatch.hostlists import expand_hostlist

STEPD: Final = re.compile(r"slurmstepd: \[(\d+)\.")
VARIABLES: Final = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS")
MOST_BYTES: Final = 1 << 20


class Process(NamedTuple):
    """One process.

    Attributes:
        pid: Its number.
        parent: That of its parent.
        title: Its command line.
        variables: Its environment, of ``VARIABLES``.
    """

    pid: int
    parent: int
    title: str
    variables: dict[str, str]


def jobs_by_device(processes: Iterable[Process]) -> dict[int, tuple[int, ...]]:
    """Numbers of the jobs that have a device, by its index.

    Args:
        processes: All of a node.
    """
    told = list(processes)
    steps = {one.pid: int(found[1]) for one in told if (found := STEPD.match(one.title))}
    jobs: dict[int, set[int]] = defaultdict(set)
    for one in told:
        job = steps.get(one.parent)
        if job is not None:
            for name in VARIABLES:
                for index in _indices(one.variables.get(name, "")):
                    jobs[index].add(job)
    return {index: tuple(sorted(those)) for index, those in jobs.items()}


def _indices(text: str) -> Iterator[int]:
    """``0,1`` and ``0-3``: what is no list of indices, as UUIDs of slices, has none."""
    if re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        try:
            yield from (int(word) for word in expand_hostlist(f"[{text}]"))
        except ValueError:
            return


def processes(proc: Path = Path("/proc")) -> Iterator[Process]:
    """The processes of this node that slurmstepd is or has started; those that end meanwhile are left out."""
    titles: dict[int, tuple[int, str]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(errors="replace")
                title = (entry / "cmdline").read_bytes()[:4096].replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            titles[int(entry.name)] = int(stat.rpartition(")")[2].split()[1]), title
    for pid, (parent, title) in titles.items():
        if STEPD.match(title):
            yield Process(pid, parent, title, {})
        elif parent in titles and STEPD.match(titles[parent][1]):
            yield Process(pid, parent, title, _variables(proc / str(pid) / "environ"))


def _variables(file: Path) -> dict[str, str]:
    try:
        with file.open("rb") as opened:
            words = opened.read(MOST_BYTES).decode(errors="replace").split("\0")
    except OSError:
        return {}
    told = (word.partition("=") for word in words)
    return {name: value for name, _, value in told if name in VARIABLES}
