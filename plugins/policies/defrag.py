"""Defragmentation: running jobs that may be moved make room for a large one that waits for no more than that.

A large job waits though as many GPUs are free as it needs, because they are scattered. The nodes that take the fewest
moves are reserved for it first; when the job is in its reservation, the jobs in the way are requeued, and start again
elsewhere: where there is no room for all of them, nothing is moved. Whatever it does next it reads from the
reservation, so it can be stopped at any point.

What it does to Slurm: one reservation for one large job at a time, and requeue of jobs whose hints say
``preemptible`` and not ``pinned``. When not to use it: where jobs start slowly or write checkpoints seldom, because
each move costs what they have done since; and where preemption by quality of service (PreemptType) already makes that
room.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.model.steering import Action, Requeue, Reserve
from hpcjobs.sbatch.asks import ask_of
from hpcjobs_plugins.policies.board import Board
from hpcjobs_plugins.policies.kept import name_of, reserve, reserved
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.moving import are_too_few, moved, nearest, taken_off
from hpcjobs_plugins.policies.queue import first, gpus_of, movable, waiting, waits_for_room
from hpcjobs_plugins.policies.room import Free, Room, freed, room_for

PREFIX: Final = "hpcjobs_defrag_"
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        large_gpus: Jobs of so many GPUs are large.
        ahead: Large jobs that are looked at, those of the highest priority; room is made for the first that it helps.
        wait_s: How long a large job has waited before others are moved, in seconds.
        ran_s: How long a job has run before it is moved, in seconds.
        soon_s: Nothing is moved where the room comes by itself within so many seconds.
        patience_s: How long nodes are kept for a large job, in seconds.
        per_hour: Jobs that are moved within an hour; every requeue of such a job counts, whoever wanted it.
        window_s: How long a reservation lasts beyond now, in seconds; it is prolonged while its job waits.
    """

    large_gpus: Annotated[int, msgspec.Meta(ge=2)] = 8
    ahead: Annotated[int, msgspec.Meta(ge=1)] = 4
    wait_s: Seconds = 300.0
    ran_s: Seconds = 600.0
    soon_s: Seconds = 600.0
    patience_s: Annotated[float, msgspec.Meta(ge=60)] = 1800.0
    per_hour: Annotated[int, msgspec.Meta(ge=1)] = 8
    window_s: Annotated[float, msgspec.Meta(ge=120)] = 600.0


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    large = [
        job
        for job, hints in waiting(view)
        if gpus_of(job) >= settings.large_gpus and hints.gang_size < 2 and not job.array_job_id
    ]
    begun = [job for job in large if name_of(PREFIX, job) in view.reservations]
    for job in begun:
        yield from _go_on(settings, job, view, now)
    if begun:
        return
    ready = [job for job in large if waits_for_room(job, now) and now - job.eligible_time >= settings.wait_s]
    most = settings.per_hour - moved(view, now)
    may_go = movable(view, settings.ran_s, now) if ready and most > 0 else []
    if not may_go:
        return
    taken = reserved(view)
    soon = [free for free in freed(view) if free.at <= now + settings.soon_s]
    seen = _Seen(view, Board.of(view, view.nodes.keys() - taken), soon, taken, may_go)
    for job in first(ready)[: settings.ahead]:
        if begin := tuple(_begin(settings, job, seen, most, now)):
            yield from begin
            return


class _Seen(NamedTuple):
    """What is found once for all large jobs.

    Attributes:
        view: The last listing.
        board: The nodes that are not reserved, as they are.
        soon: The nodes that are free soon; see room.freed.
        taken: Names of the nodes that are reserved.
        may_go: Jobs that may be moved.
    """

    view: ClusterView
    board: Board
    soon: list[Free]
    taken: set[str]
    may_go: list[JobRecord]


def _begin(settings: Settings, job: JobRecord, seen: _Seen, most: int, now: float) -> Iterator[Reserve]:
    """Nodes for a large job, if no more than so many others can be moved off them."""
    view, ask = seen.view, ask_of(job, seen.view)
    if ask is None or len(seen.board.roomy(ask)) >= ask.nodes:
        return
    if room_for([ask], seen.soon, seen.taken, now) is not None or are_too_few(ask, seen.board, seen.may_go, most):
        return
    board = seen.board.copy()
    gone = taken_off(ask, board, nearest(ask, board, seen.may_go, now))
    if not gone or len(gone) > most:
        return
    nodes = board.roomy(ask)[: ask.nodes]
    others = board.part(board.nodes.keys() - {*nodes})
    asked = [ask_of(one, view) for one in gone]
    if all(one is not None and others.place(one) for one in asked):
        why = f"{len(gone)} jobs can be moved so that {gpus_of(job)} GPUs are free together."
        yield reserve(name_of(PREFIX, job), Room(tuple(sorted(nodes)), now), [job], view, settings.window_s, now, why)


def _go_on(settings: Settings, job: JobRecord, view: ClusterView, now: float) -> Iterator[Action]:
    """Keep what is reserved, and move what is in the way, as soon as nobody else can come."""
    there = view.reservations[name_of(PREFIX, job)]
    ask, board = ask_of(job, view, there.name), Board.of(view, there.nodes)
    if ask is None or now - there.start > settings.patience_s:
        return
    gone = taken_off(ask, board, nearest(ask, board, movable(view, settings.ran_s, now), now))
    if gone is None:
        return
    why = f"{gpus_of(job)} GPUs of these nodes are kept for it."
    yield reserve(there.name, Room(there.nodes, float(there.start)), [job], view, settings.window_s, now, why)
    if job.particulars.reservation == there.name and there.start <= now:
        for one in gone:
            yield Requeue(one.slurm_job_id, f"It makes room for job {job.slurm_job_id} of {gpus_of(job)} GPUs.")


PLUGIN = policy("defrag", Settings, tick)
