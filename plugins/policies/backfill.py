"""What Slurm's backfill should look at, how long jobs really run, and nodes for jobs that wait too long.

Slurm's sched/backfill starts a job ahead of others where it delays none of them, as far as it looks: so far into the
future, at so many jobs. How far that should be follows from the queue. It believes time limits, which users set too
high; and jobs of a higher priority that keep coming may pass a large one for ever.

What it does to Slurm: TimeMin of waiting jobs that go on from a checkpoint, so that backfill may give them a shorter
limit; reservations of whole nodes for waiting jobs, which then come first (Nice), because Slurm looks at so many jobs
and no further; and it says which SchedulerParameters fit the queue, which
``hpcjobs tune`` sets. Mode ``easy``: one reservation at a time, for the job that has waited longest once that is
``starving_s``, else for the largest of those that have waited for ``largest_s``. Mode ``conservative``: for ``ahead``
jobs at a time; after those, for the first jobs of the queue in its order. Who has nodes keeps them until it starts,
and nobody gets nodes while one before it could have some if others had fewer: so each job's turn comes.
When not to use it: where all limits are exact, and on clusters whose jobs start at once; conservative not where jobs
share nodes, because whole nodes are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Annotated, Final, Literal

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import Fate, JobRecord
from hpcjobs.model.steering import Action, LimitMin, Prefer, Reserve, Tune
from hpcjobs.sbatch.asks import ask_of
from hpcjobs_plugins.policies.kept import name_of, reserve, reserved, room_kept
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.queue import FOR_ROOM, first, gpus_of, waiting, waits_for_room
from hpcjobs_plugins.policies.room import freed, room_for
from hpcjobs_plugins.policies.tuning import parameters

PREFIX: Final = "hpcjobs_bf_"
OF_ROOM: Final = (*(FOR_ROOM - {""}), "Reservation", "ReqNodeNotAvail")
"""How the reasons of a job begin that has nodes; with another, as a limit, it would leave them idle."""
MINUTE_S: Final = 60.0
Like = tuple[str, str, int]
"""Whose job, its name, and its number of nodes: jobs that are alike in these run about as long."""


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        mode: ``easy`` or ``conservative``.
        least_runs: Runs of like jobs that a prediction takes.
        margin: The longest of these runs times this is the prediction.
        starving_s: A job that has waited for so long gets nodes, in seconds.
        largest_s: The largest of the jobs that have waited for so long gets nodes, in seconds.
        ahead: Jobs that have nodes at a time in mode conservative.
        points: Points of priority more for a job that has nodes.
        window_s: How long a reservation lasts beyond its start, in seconds; prolonged while its job waits.
    """

    period_s: Annotated[float, msgspec.Meta(ge=1)] = 30.0
    mode: Literal["easy", "conservative"] = "easy"
    least_runs: Annotated[int, msgspec.Meta(ge=2)] = 5
    margin: Annotated[float, msgspec.Meta(ge=1)] = 1.5
    starving_s: Annotated[float, msgspec.Meta(ge=1)] = 86_400.0
    largest_s: Annotated[float, msgspec.Meta(ge=1)] = 14_400.0
    ahead: Annotated[int, msgspec.Meta(ge=1)] = 8
    points: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 3)] = 1_000_000
    window_s: Annotated[float, msgspec.Meta(ge=120)] = 600.0


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    queue = [(job, hints) for job, hints in waiting(view)]
    runs = predictions(settings, view)
    for job, hints in queue:
        predicted = runs.get(like(job))
        if predicted is not None and hints.preemptible and job.wall_s is not None and predicted < job.wall_s:
            why = f"Like jobs ran {predicted / settings.margin / MINUTE_S:.0f} minutes at the most."
            yield LimitMin(job.slurm_job_id, predicted, why)
    yield from _kept(settings, view, [job for job, hints in queue if hints.gang_size < 2 and not job.array_job_id], now)
    if queue:
        longest_s = max((job.wall_s or 0 for job in view.jobs.values() if job.fate is None), default=0)
        wanted = parameters(len(queue), longest_s, int(settings.mode == "easy"))
        yield Tune(wanted, f"{len(queue)} jobs wait, the longest limit is {longest_s} s; mode {settings.mode}.")


def like(job: JobRecord) -> Like:
    """By what jobs are known as like."""
    return job.user, job.name, job.nodes


def predictions(settings: Settings, view: ClusterView) -> dict[Like, float]:
    """How long jobs run, in seconds, from those that the listing still has and that came to their end."""
    ran: dict[Like, list[int]] = defaultdict(list)
    for job in view.jobs.values():
        if job.fate is Fate.COMPLETED and 0 < job.start_time < job.end_time:
            ran[like(job)].append(job.end_time - job.start_time)
    return {key: settings.margin * max(found) for key, found in ran.items() if len(found) >= settings.least_runs}


def _kept(settings: Settings, view: ClusterView, queue: list[JobRecord], now: float) -> Iterator[Prefer | Reserve]:
    """Nodes for jobs in their turn: the earliest, and the same ones from tick to tick."""
    nodes, taken = freed(view), reserved(view)
    left = 1 if settings.mode == "easy" else settings.ahead
    never: set[Hashable] = set()
    for job in _turns(settings, view, queue, now):
        name = name_of(PREFIX, job)
        ask = ask_of(job, view, name)
        if ask is None or (ask.nodes, ask.kind) in never:
            continue
        room = room_kept(name, [ask], view, nodes, taken, now)
        if room is not None:
            taken.update(room.nodes)
            left -= 1
            why = f"It has waited for {(now - job.eligible_time) / 3600:.1f} hours; mode {settings.mode}."
            yield Prefer(job.slurm_job_id, settings.points, why)
            yield reserve(name, room, [job], view, settings.window_s, now, why)
        elif room_for([ask], nodes, (), now) is None:
            never.add((ask.nodes, ask.kind))
        if not left or (room is None and (ask.nodes, ask.kind) not in never):
            return


def _turns(settings: Settings, view: ClusterView, queue: list[JobRecord], now: float) -> Iterable[JobRecord]:
    """Jobs in the order in which they get nodes: those that have some; who starves, longest first; the largest."""
    mine = [job for job in queue if name_of(PREFIX, job) in view.reservations]
    has = [job for job in mine if not job.reason or job.reason.startswith(OF_ROOM)]  # changed jobs have no reason yet
    ready = [job for job in queue if waits_for_room(job, now) and not job.particulars.reservation]
    starving = [job for job in ready if now - job.eligible_time >= settings.starving_s]
    starving.sort(key=lambda job: (job.eligible_time, job.slurm_job_id))
    long = [job for job in ready if now - job.eligible_time >= settings.largest_s]
    largest = sorted(long, key=lambda job: (-job.nodes, -gpus_of(job), job.eligible_time, job.slurm_job_id))[:1]
    rest = first(ready) if settings.mode == "conservative" else []
    return {job.slurm_job_id: job for job in (*first(has), *starving, *largest, *rest)}.values()


PLUGIN = policy("backfill", Settings, tick)
