"""What Slurm's backfill should look at, how long jobs really run, and nodes for jobs that wait too long.

Slurm's sched/backfill starts a job ahead of others where it delays none of them, as far as it looks: so far into the
future, at so many jobs. How far that should be follows from the queue. It also believes time limits, which users set
too high.

What it does to Slurm: TimeMin of waiting jobs that go on from a checkpoint, so that backfill may give them a shorter
limit; a reservation for each of the first ``ahead`` jobs that have waited for ``starving_s``; and it says which
SchedulerParameters fit the queue (``hpcjobs policies backfill``), which an admin has to set: no call of Slurm changes
them. With ``ahead`` 1 that is EASY's promise to the head of the queue, with more it comes near conservative
backfilling. When not to use it: where all limits are exact, and on clusters whose jobs start at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import Fate, JobRecord
from hpcjobs.model.steering import Action, LimitMin, Reserve, Tune
from hpcjobs_plugins.policies.kept import name_of, reserve, reserved, room_kept
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.queue import first, waiting, waits_for_room
from hpcjobs_plugins.policies.room import freed

PREFIX: Final = "hpcjobs_bf_"
MINUTE_S: Final = 60.0
Like = tuple[str, str, int]
"""Whose job, its name, and its number of nodes: jobs that are alike in these run about as long."""


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        least_runs: Runs of like jobs that a prediction takes.
        margin: The longest of these runs times this is the prediction.
        starving_s: A job that has waited for so long gets nodes of its own, in seconds.
        ahead: Jobs that have such nodes at a time.
        window_s: How long such a reservation lasts beyond its start, in seconds; prolonged while its job waits.
    """

    period_s: Annotated[float, msgspec.Meta(ge=1)] = 30.0
    least_runs: Annotated[int, msgspec.Meta(ge=2)] = 5
    margin: Annotated[float, msgspec.Meta(ge=1)] = 1.5
    starving_s: Annotated[float, msgspec.Meta(ge=1)] = 86_400.0
    ahead: Annotated[int, msgspec.Meta(ge=0)] = 1
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
    yield from _kept(settings, view, [job for job, hints in queue if hints.gang_size < 2], now)
    if queue:
        longest_s = max((job.wall_s or 0 for job in view.jobs.values() if job.fate is None), default=0)
        yield Tune(parameters(len(queue), longest_s), f"{len(queue)} jobs wait, the longest limit is {longest_s} s.")


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


def parameters(queued: int, longest_s: float) -> Mapping[str, str]:
    """SchedulerParameters (slurm.conf(5)) for a queue.

    Backfill's window must reach beyond the longest limit, or jobs that run as long are not planned around; a coarser
    resolution keeps its map at about a thousand steps; and it must look at all that waits, as far as that is bearable.

    Args:
        queued: Jobs that wait.
        longest_s: Longest time limit of a job that waits or runs, in seconds.
    """
    window_min = max(1440, -(-int(longest_s) // 60))
    return {
        "bf_window": str(window_min),
        "bf_resolution": str(max(60, window_min * 60 // 1000)),
        "bf_max_job_test": str(max(500, min(5000, queued))),
    }


def _kept(settings: Settings, view: ClusterView, queue: list[JobRecord], now: float) -> Iterator[Reserve]:
    """Nodes for jobs that have waited too long: the earliest, and the same ones from tick to tick."""
    own = {job.slurm_job_id: name_of(PREFIX, job) for job in queue}
    starving = [
        job
        for job in first(queue)
        if own[job.slurm_job_id] in view.reservations
        or (_asks_for_none(job, now) and now - job.eligible_time >= settings.starving_s)
    ]
    starving.sort(key=lambda job: own[job.slurm_job_id] not in view.reservations)
    nodes, taken = freed(view), reserved(view)
    for job in starving[: settings.ahead]:
        name = own[job.slurm_job_id]
        room = room_kept(name, [job], view, nodes, taken, now)
        if room is not None:
            taken.update(room.nodes)
            why = f"It has waited for {(now - job.eligible_time) / 3600:.0f} hours."
            yield reserve(name, room, [job], view, settings.window_s, now, why)


def _asks_for_none(job: JobRecord, now: float) -> bool:
    """Whether a job waits for room, and not in a reservation of its own."""
    return waits_for_room(job, now) and not job.particulars.reservation


PLUGIN = policy("backfill", Settings, tick)
