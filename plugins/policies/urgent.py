"""Urgent jobs come first; each user, and each project, may have so many of them at a time.

What it does to Slurm: Nice of waiting jobs whose hints say ``urgent``. When not to use it: where a quality of service
with a priority of its own and limits in Slurm's accounting does the same, because that is enforced by Slurm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import State
from hpcjobs.model.steering import Prefer
from hpcjobs_plugins.policies.made import PolicySettings, policy
from hpcjobs_plugins.policies.queue import waiting, waits_for_room

AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        points: Points of priority more for an urgent job; more than the site's whole priority, so that it is first.
        per_user: Urgent jobs that a user may have at a time, those that run counted.
        per_account: The same of an account.
        accounts: Accounts whose jobs may be urgent; empty: all.
    """

    points: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 3)] = 1_000_000
    per_user: AtLeastOne = 1
    per_account: AtLeastOne = 4
    accounts: tuple[str, ...] = ()


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Prefer]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    running = [
        view.jobs[number]
        for number, hints in view.hints.items()
        if hints.urgent and number in view.jobs and view.jobs[number].state in (State.RUNNING, State.SUSPENDED)
    ]
    of_user = Counter(job.user for job in running)
    of_account = Counter(job.account for job in running)
    for job, hints in waiting(view):
        allowed = not settings.accounts or job.account in settings.accounts
        if not hints.urgent or not allowed or not waits_for_room(job, now):
            continue
        if of_user[job.user] >= settings.per_user or of_account[job.account] >= settings.per_account:
            continue
        of_user[job.user] += 1
        of_account[job.account] += 1
        yield Prefer(job.slurm_job_id, settings.points, f"{job.user} says that it is urgent.")


PLUGIN = policy("urgent", Settings, tick)
