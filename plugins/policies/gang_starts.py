"""When the members of a gang start, and what they are told until then. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.steering import Action, Hold, Prefer, Requeue, Reserve, Start
from hpcjobs_plugins.policies.gang_members import Gang
from hpcjobs_plugins.policies.queue import is_idle


def together(gang: Gang, *, starts: bool) -> Iterator[Action]:
    """All members start, or none does."""
    for job in gang.waiting:
        if starts:
            yield Start(job.slurm_job_id, f"All {len(gang.waiting)} members start together.")
        elif job.restarts:
            yield Hold(job.slurm_job_id, "It starts again together with the others of its gang.")


def behind(gang: Gang, why: str) -> Iterator[Action]:
    """Its members wait on, and who looks at them is told why."""
    for job in gang.waiting:
        yield Prefer(job.slurm_job_id, -1, f"{why} It holds nothing of that time, and waits on.")


def ready(gang: Gang, kept: Reserve, view: ClusterView, now: float) -> bool:
    """Whether the reservation is there as wished, has begun, holds all members, and all its nodes are idle."""
    there = view.reservations.get(kept.name)
    return (
        there is not None
        and there.start <= now
        and {*there.nodes} == {*kept.nodes}
        and all(job.particulars.reservation == kept.name for job in gang.waiting)
        and all(one in view.nodes and is_idle(view.nodes[one]) for one in there.nodes)
    )


def heal(gang: Gang, heal_s: float, points: int, now: float) -> Iterator[Action]:
    """Some run and some wait: the others as soon as possible; after a while all anew.

    Args:
        gang: The gang.
        heal_s: That while, in seconds.
        points: Points of priority more for those that wait.
        now: Unix seconds.
    """
    started = [job.start_time for job in gang.running]
    since = max(started + [job.submit_time for job in gang.waiting if job.restarts])
    if now - since > heal_s:
        for job in gang.running:
            yield Requeue(job.slurm_job_id, f"Its gang has been broken for {heal_s:g} s: all start anew.")
        for job in gang.members:
            yield Hold(job.slurm_job_id, "It starts again together with the others of its gang.")
        return
    for job in gang.waiting:
        yield Prefer(job.slurm_job_id, points, "The others of its gang run and wait for it.")
        yield Start(job.slurm_job_id, "The others of its gang run and wait for it.")
