"""What the view shows, and in which order. Pure: it is told the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hpcjobs.model.cluster import ClusterSummary, Node
from hpcjobs.model.job import Job, State

RUNNING: Final = frozenset({State.RUNNING, State.COMPLETING})
WAITING: Final = frozenset({State.PENDING, State.HELD, State.SUBMITTING})


class Seen(NamedTuple):
    """What the service has told.

    Attributes:
        user: Who looks.
        url: Whom was asked.
        clusters: The clusters.
        nodes: Their nodes, by cluster; one that does not answer is missing.
        jobs: Jobs that have not ended, as far as one may see them.
        more: Whether there are more jobs than these.
        at: Unix seconds when it was told.
    """

    user: str
    url: str
    clusters: Sequence[ClusterSummary]
    nodes: Mapping[str, Sequence[Node]]
    jobs: Sequence[Job]
    more: bool
    at: float


class Choice(NamedTuple):
    """What the person who looks has chosen.

    Attributes:
        sort: Letter of the order.
        backwards: The other way round.
        everybody: Jobs of others too.
        row: Which job is marked.
        question: What is asked in the last line, or what has been done.
    """

    sort: str = "s"
    backwards: bool = False
    everybody: bool = False
    row: int = 0
    question: str = ""


class Use(NamedTuple):
    """How much of something is in use.

    Attributes:
        used: In use.
        whole: What there is that can be used.
    """

    used: int
    whole: int


class ClusterLine(NamedTuple):
    """One cluster.

    Attributes:
        name: Its name.
        trouble: Why it does not answer, or ``""``.
        gpus: GPUs of usable nodes.
        cpus: CPUs of usable nodes.
        nodes: Usable nodes among all.
        running: Jobs, and tasks of arrays, that run.
        waiting: Those that wait.
    """

    name: str
    trouble: str
    gpus: Use
    cpus: Use
    nodes: Use
    running: int
    waiting: int


def _count(job: Job, states: frozenset[State]) -> int:
    """How many tasks of an array are so; of another job one, or none."""
    if job.array_size:
        return sum(count for state, count in job.tasks.items() if state in states)
    return int(job.state in states)


def cluster_lines(seen: Seen) -> list[ClusterLine]:
    """A line a cluster."""
    lines = []
    for cluster in seen.clusters:
        nodes = seen.nodes.get(cluster.name, ())
        usable = [node for node in nodes if node.usable]
        gpus = sum(sum(node.gpus_alloc.values()) for node in nodes), sum(sum(node.gpus.values()) for node in usable)
        jobs = [job for job in seen.jobs if job.cluster == cluster.name]
        lines.append(
            ClusterLine(
                cluster.name,
                "" if cluster.up else cluster.trouble or "does not answer",
                Use(*gpus),
                Use(sum(node.cpus_alloc for node in nodes), sum(node.cpus for node in usable)),
                Use(len(usable), len(nodes)),
                sum(_count(job, RUNNING) for job in jobs),
                sum(_count(job, WAITING) for job in jobs),
            )
        )
    return lines


_STATES: Final = tuple(State)


def _began(job: Job) -> float:
    return job.start_time or float("inf")


SORTS: Final[Mapping[str, tuple[str, Callable[[Job], Any]]]] = {
    "s": ("state", lambda job: (job.state not in RUNNING, _STATES.index(job.state), _began(job))),
    "j": ("job", lambda job: (job.slurm_job_id or 1 << 62, job.id)),
    "n": ("name", lambda job: (job.name, job.id)),
    "t": ("time", lambda job: (_began(job), job.id)),
    "g": ("GPUs", lambda job: (-sum(job.gpus.values()), job.id)),
    "u": ("user", lambda job: (job.user, job.id)),
}
"""Orders, by the key that chooses them: a word, and what is compared."""


def shown_jobs(seen: Seen, choice: Choice) -> list[Job]:
    """The jobs in the order in which they are wanted."""
    jobs = [job for job in seen.jobs if choice.everybody or job.user == seen.user]
    return sorted(jobs, key=SORTS[choice.sort][1], reverse=choice.backwards)


def time_of(job: Job, now: float, *, limit: bool = True) -> str:
    """For how long a job has run and may run, as ``00:12:03/01:00:00``; ``-``: it does not run."""
    from hpcjobs.cli.show import duration

    if job.state not in RUNNING | {State.SUSPENDED} or not job.start_time:
        return "-"
    may = f"/{duration(job.wall_s)}" if limit and job.wall_s is not None else ""
    return duration(now - job.start_time) + may


def where_of(job: Job, now: float) -> str:
    """Where a job runs, or why it does not."""
    if job.array_size:
        return ", ".join(f"{count} {state.lower()}" for state, count in sorted(job.tasks.items()))
    if job.node_list:
        return job.node_list
    if job.start_time and job.state in WAITING:
        form = "%H:%M" if job.start_time < now + 12 * 3600 else "%d %b %H:%M"
        return f"({job.reason}) starts {time.strftime(form, time.localtime(job.start_time))}?"
    return f"({job.reason})" if job.reason else job.detail or "-"
