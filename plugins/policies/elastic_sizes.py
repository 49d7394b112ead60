"""Elastic jobs: which sizes they can have, and which of those that run give nodes back. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.hints import NO_HINTS
from hpcjobs.model.job import JobRecord
from hpcjobs.model.steering import Requeue
from hpcjobs.sbatch.asks import Ask, ask_of
from hpcjobs_plugins.policies.board import Board


def range_of(job: JobRecord, view: ClusterView) -> tuple[int, int] | None:
    """Fewest and most nodes of a job; None: it has one size, or asks for GPUs or tasks as a whole."""
    hints = view.hints.get(job.slurm_job_id, NO_HINTS)
    if not hints.nodes_min or job.array_job_id or job.het_job_id or job.particulars.tres_per_job:
        return None
    return hints.nodes_min, max(hints.nodes_max, hints.nodes_min)


def shrunk(
    stuck: Ask, changeable: list[JobRecord], board: Board, view: ClusterView, per_tick: int
) -> Iterator[Requeue]:
    """Running jobs that go on with fewer nodes so that the first job that waits can start; only where it then can.

    Args:
        stuck: What that job asks for.
        changeable: Running jobs whose size may be changed.
        board: What is free.
        view: The last listing.
        per_tick: As many jobs are changed at the most.
    """
    missing = stuck.nodes - len(board.roomy(stuck))
    given: list[tuple[JobRecord, int]] = []
    for job in sorted(changeable, key=lambda job: (-_spare(job, view), job.slurm_job_id)):
        gives = min(_spare(job, view), missing)
        if gives <= 0 or len(given) == per_tick:
            break
        if ask_of(job, view) is not None and _gains(stuck, job, board) >= job.nodes:
            given.append((job, job.nodes - gives))
            missing -= gives
    for job, size in given if missing <= 0 else ():
        why = f"It goes on with {size} nodes so that job {stuck.job.slurm_job_id} of {stuck.nodes} can start."
        yield Requeue(job.slurm_job_id, why, nodes=size)


def _gains(stuck: Ask, job: JobRecord, board: Board) -> int:
    """On how many nodes a job that waits would have room without another, and now has none."""
    names = [name for name in board.where.get(job.slurm_job_id, ()) if not board.takes(stuck, name)]
    after = board.part(names)
    after.take_off(job)
    return len(after.roomy(stuck))


def _spare(job: JobRecord, view: ClusterView) -> int:
    sizes = range_of(job, view)
    return job.nodes - sizes[0] if sizes is not None else 0
