"""Elastic jobs: with fewer nodes rather than later, with more when nobody else wants them, and back when others wait.

A job that says how many nodes it can do with (``--elastic MIN-MAX``) starts with those that are free, if they are
enough. One that also says that it goes on from a checkpoint (``--preemptible``) is requeued with more nodes when some
are free and nobody waits, and with fewer when the first job that waits could start then. Between two changes it runs
for a while.

What it does to Slurm: NumNodes of waiting jobs, and requeues of running ones. When not to use it: for jobs whose work
is laid out for one number of nodes; they should not say otherwise. Slurm lets a running job give nodes back, but every
later srun in it fails then, because its environment tells of the nodes that it had: it is requeued instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.hints import NO_HINTS
from hpcjobs.model.job import JobRecord
from hpcjobs.model.steering import Action, Requeue, Resize
from hpcjobs_plugins.policies.board import Ask, Board, ask_of
from hpcjobs_plugins.policies.kept import reserved
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.queue import first, movable, waiting, waits_for_room


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        cooldown_s: How long a job has run before its size is changed, in seconds.
        left_s: A job with less time than this until its limit is not made larger, in seconds.
        gain: A job is made larger where it gets at least so many times its nodes.
        per_tick: Running jobs whose size is changed at a time.
    """

    cooldown_s: Annotated[float, msgspec.Meta(ge=1)] = 1800.0
    left_s: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    gain: Annotated[float, msgspec.Meta(gt=1)] = 1.5
    per_tick: Annotated[int, msgspec.Meta(ge=1)] = 1


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    board = Board.of(view, view.nodes.keys() - reserved(view))
    stuck: Ask | None = None
    for job in first(job for job, _ in waiting(view) if waits_for_room(job, now) and not job.array_job_id):
        ask = ask_of(job, view)
        if ask is None:
            continue
        size = _sized(ask, _range_of(job, view), len(board.roomy(ask)))
        if size is None:
            stuck = ask
            break  # who comes after it must not take what it waits for
        if size != ask.nodes:
            yield Resize(job.slurm_job_id, size, f"{size} nodes are free now, {ask.nodes} are not.")
        board.place(ask._replace(nodes=size))
    changeable = [job for job in movable(view, settings.cooldown_s, now) if _range_of(job, view)]
    if stuck is not None:
        yield from _shrunk(settings, stuck, changeable, board, view)
    else:
        yield from _grown(settings, changeable, board, view, now)


def _range_of(job: JobRecord, view: ClusterView) -> tuple[int, int] | None:
    """Fewest and most nodes of a job; None: it has one size, or asks for GPUs or tasks as a whole."""
    hints = view.hints.get(job.slurm_job_id, NO_HINTS)
    if not hints.nodes_min or job.array_job_id or job.het_job_id or job.particulars.tres_per_job:
        return None
    return hints.nodes_min, max(hints.nodes_max, hints.nodes_min)


def _sized(ask: Ask, sizes: tuple[int, int] | None, free: int) -> int | None:
    """With how many nodes a job would start now; None: with none that it can do with."""
    if free >= ask.nodes:
        return ask.nodes
    return free if sizes is not None and free >= sizes[0] else None


def _shrunk(
    settings: Settings, stuck: Ask, changeable: list[JobRecord], board: Board, view: ClusterView
) -> Iterator[Requeue]:
    """Running jobs that go on with fewer nodes so that the first job that waits can start; only where it then can."""
    missing = stuck.nodes - len(board.roomy(stuck))
    given: list[tuple[JobRecord, int]] = []
    for job in sorted(changeable, key=lambda job: (-_spare(job, view), job.slurm_job_id)):
        gives = min(_spare(job, view), missing)
        if gives <= 0 or len(given) == settings.per_tick:
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
    sizes = _range_of(job, view)
    return job.nodes - sizes[0] if sizes is not None else 0


def _grown(
    settings: Settings, changeable: list[JobRecord], board: Board, view: ClusterView, now: float
) -> Iterator[Requeue]:
    """Running jobs that go on with idle nodes beside their own: first those with the least of what they could use."""
    changed = 0
    wanting = [(job, sizes) for job in changeable if (sizes := _range_of(job, view)) is not None]
    for job, (_, most) in sorted(wanting, key=lambda pair: (pair[0].nodes / pair[1][1], pair[0].slurm_job_id)):
        ask = ask_of(job, view)
        ends_soon = bool(job.end_time) and job.end_time - now < settings.left_s
        if changed == settings.per_tick:
            break
        if ask is None or ends_soon or most < settings.gain * job.nodes:
            continue
        own = {*board.where[job.slurm_job_id]}
        more = [name for name in board.roomy(ask) if name not in own]
        size = min(most, job.nodes + len(more))
        if size < settings.gain * job.nodes:
            continue
        changed += 1
        board.promise(ask, more[: size - job.nodes])
        yield Requeue(job.slurm_job_id, f"{size - job.nodes} nodes are free and nobody waits for them.", nodes=size)


PLUGIN = policy("elastic", Settings, tick)
