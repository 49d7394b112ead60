"""Which running jobs would have to leave so that another has room. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush, nlargest
from typing import Final

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.sbatch.asks import Ask
from hpcjobs_plugins.policies.board import Board
from hpcjobs_plugins.policies.queue import gpus_of

HOUR_S: Final = 3600.0


def taken_off(ask: Ask, board: Board, offered: Iterable[JobRecord]) -> list[JobRecord] | None:
    """Take jobs off, in the order in which they are offered, until another has room; no more than it needs.

    Args:
        ask: The job that needs room.
        board: The cluster; the jobs have left it afterwards.
        offered: Jobs that may leave; asked for the next one only while there is no room.

    Returns:
        Those that leave: without any one of them there would be no room. None: there is none if all leave.
    """
    roomy = set(board.roomy(ask))
    gone: list[JobRecord] = []
    for job in offered if len(roomy) < ask.nodes else ():
        board.take_off(job)
        gone.append(job)
        roomy |= {name for name in board.where[job.slurm_job_id] if board.takes(ask, name)}
        if len(roomy) >= ask.nodes:
            break
    if len(roomy) < ask.nodes:
        for job in gone:
            board.put_back(job)
        return None
    needed = []
    for job in reversed(gone):
        board.put_back(job)
        lost = {name for name in board.where[job.slurm_job_id] if name in roomy and not board.takes(ask, name)}
        if len(roomy) - len(lost) >= ask.nodes:
            roomy -= lost
            continue
        board.take_off(job)
        needed.append(job)
    return needed[::-1]


def are_too_few(ask: Ask, board: Board, may_go: Iterable[JobRecord], most: int) -> bool:
    """Whether a job lacks more GPUs than so many others have, whichever leave: a quick look before they are tried.

    Args:
        ask: The job that needs room.
        board: The cluster.
        may_go: Jobs that may leave.
        most: So many of them do at the most.
    """
    asked = sum(ask.gpus.values())
    lacking = sorted(max(0, asked - sum(board.free(name).gpus.values())) for name in board.able(ask))
    given = nlargest(most, (max(gpus_of(job), job.nodes) for job in may_go))  # a share may be all that is left of a GPU
    return sum(lacking[: ask.nodes]) > sum(given)


def nearest(ask: Ask, board: Board, may_go: Iterable[JobRecord], now: float) -> Iterator[JobRecord]:
    """Offer jobs to be taken off, node by node: first of the node that the fewest have to leave.

    Of nodes that as many have to leave, that first where least is lost: GPUs times seconds since the start. It looks at
    the board after each node, so what has left several nodes counts once. That is a greedy choice: not always the
    fewest jobs of all.

    Args:
        ask: The job that needs room.
        board: The cluster; whoever is offered the jobs takes them off it.
        may_go: Jobs that may leave.
        now: Unix seconds.
    """
    on: dict[str, list[JobRecord]] = defaultdict(list)
    able = {name for name in board.able(ask) if ask.fits(board.nodes[name])}
    for job in may_go:
        for name in able.intersection(board.where.get(job.slurm_job_id, ())):
            on[name].append(job)
    ways: dict[str, tuple[int, float, str, list[JobRecord]]] = {}
    stale = set(on)
    while True:
        for name in stale & on.keys():
            ways.pop(name, None)
            if way := _way(ask, board, name, on[name]):
                lost = sum(gpus_of(job) * (now - job.start_time) for job in way)
                ways[name] = (len(way), lost, name, way)
        if not ways:
            return
        way = min(ways.values(), key=lambda one: one[:3])[3]
        yield from way
        stale = {name for job in way for name in board.where[job.slurm_job_id]}


def _way(ask: Ask, board: Board, name: str, offered: Iterable[JobRecord]) -> list[JobRecord]:
    """Jobs that would have to leave one node; none where it has room, or would have none."""
    there = [job for job in offered if job.slurm_job_id not in board.gone]
    there.sort(key=lambda job: (-(gpus_of(job) // max(1, job.nodes)), -job.cpus, job.slurm_job_id))
    return taken_off(ask._replace(nodes=1), board.part([name]), there) or []


def age(job: JobRecord) -> tuple[int, int]:
    """Orders jobs, the youngest last."""
    return job.start_time, job.slurm_job_id


def furthest(lent: Iterable[JobRecord], over: Counter[str]) -> Iterator[JobRecord]:
    """Offer jobs: the youngest one of the account that is furthest above its quota, and that stays above or at it.

    Args:
        lent: Jobs that may leave, the youngest last.
        over: GPUs that accounts have above their quotas.
    """
    above, own = Counter(over), defaultdict[str, list[JobRecord]](list)
    for job in lent:
        own[job.account].append(job)
    heap: list[tuple[int, int, int, str]] = []

    def line_up(account: str) -> None:
        """Put an account into the heap, with the youngest job that it can give."""
        mine = own[account]
        while mine and gpus_of(mine[-1]) > above[account]:
            mine.pop()
        if mine:
            heappush(heap, (-above[account], -mine[-1].start_time, -mine[-1].slurm_job_id, account))

    for account in own:
        line_up(account)
    while heap:
        account = heappop(heap)[-1]
        job = own[account].pop()
        above[account] -= gpus_of(job)
        yield job
        line_up(account)


def moved(view: ClusterView, now: float) -> int:
    """How many jobs that may be moved have been requeued within the last hour."""
    jobs = (view.jobs.get(number) for number, hints in view.hints.items() if hints.preemptible)
    return sum(1 for job in jobs if job is not None and job.restarts and now - job.submit_time < HOUR_S)
