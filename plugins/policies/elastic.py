"""Elastic jobs: with fewer nodes rather than later, with more when nobody else wants them, and back when others wait.

A job that says how many nodes it can do with (``--elastic MIN-MAX``) starts with those that are free, if they are
enough, and goes back to more as long as it waits and the others leave them. One that also says that it goes on from a
checkpoint (``--preemptible``) is requeued with more nodes when some are free and nobody waits, and with fewer when the
first job that waits could start then. Between two changes it runs for a while.

What it does to Slurm: NumNodes of waiting jobs, and requeues of running ones. When not to use it: for jobs whose work
is laid out for one number of nodes; they should not say otherwise. Slurm lets a running job give nodes back, but every
later srun in it fails then, because its environment tells of the nodes that it had: it is requeued instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import Action, Requeue, Resize
from hpcjobs.plugin import PLUGIN_API, Admit, Plugin, Tick
from hpcjobs.sbatch.asks import Ask, ask_of
from hpcjobs_plugins.policies.board import Board
from hpcjobs_plugins.policies.elastic_sizes import range_of, shrunk
from hpcjobs_plugins.policies.kept import reserved
from hpcjobs_plugins.policies.made import PolicySettings
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
    placed: list[tuple[Ask, tuple[str, ...]]] = []
    for job in first(job for job, _ in waiting(view) if waits_for_room(job, now) and not job.array_job_id):
        ask = ask_of(job, view)
        if ask is None:
            continue
        size = _sized(ask, range_of(job, view), len(board.roomy(ask)))
        if size is None:
            stuck = ask
            break  # who comes after it must not take what it waits for
        placed.append((ask, board.place(ask._replace(nodes=size))))
    yield from _resized(placed, board, view)
    changeable = [job for job in movable(view, settings.cooldown_s, now) if range_of(job, view)]
    if stuck is not None:
        yield from shrunk(stuck, changeable, board, view, settings.per_tick)
    else:
        yield from _grown(settings, changeable, board, view, now)


def _sized(ask: Ask, sizes: tuple[int, int] | None, free: int) -> int | None:
    """With how many nodes a job would start now; None: with none that it can do with."""
    if free >= ask.nodes:
        return ask.nodes
    return free if sizes is not None and free >= sizes[0] else None


def _resized(placed: list[tuple[Ask, tuple[str, ...]]], board: Board, view: ClusterView) -> Iterator[Resize]:
    """Jobs that can start, and on which nodes, with what the others leave of the rest as far as they can use it."""
    for ask, names in placed:
        sizes = range_of(ask.job, view)
        most = sizes[1] if sizes is not None else 0
        more = [name for name in board.roomy(ask) if name not in names][: max(0, most - len(names))] if most else []
        board.promise(ask, more)
        if (size := len(names) + len(more)) != ask.nodes:
            why = f"{size} nodes are free now for this job, which asks for {ask.nodes}."
            yield Resize(ask.job.slurm_job_id, size, why)


def _grown(
    settings: Settings, changeable: list[JobRecord], board: Board, view: ClusterView, now: float
) -> Iterator[Requeue]:
    """Running jobs that go on with idle nodes beside their own: first those with the least of what they could use."""
    changed = 0
    wanting = [(job, sizes) for job in changeable if (sizes := range_of(job, view)) is not None]
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


def admit(spec: JobSpec) -> JobSpec:
    """Have a job say as its most what it asks for, where it says none: what it asks for is changed. See Admit."""
    hints = spec.hints
    if not hints.nodes_min or hints.nodes_max:
        return spec
    most = max(hints.nodes_min, spec.resources.nodes or 1)
    return msgspec.structs.replace(spec, hints=msgspec.structs.replace(hints, nodes_max=most))


def _hooks(settings: Settings) -> list[Admit | Tick]:
    ticks = Tick(lambda view, now: tuple(tick(settings, view, now)), settings.period_s)
    return [Admit(lambda spec, _: admit(spec)), ticks]


PLUGIN = Plugin(name="elastic", api=PLUGIN_API, settings=Settings, hooks=_hooks)
