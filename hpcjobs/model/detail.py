"""A job with all that belongs to it."""

from __future__ import annotations

import msgspec

from hpcjobs.model.attempt import Attempt
from hpcjobs.model.event import Event
from hpcjobs.model.history import Step
from hpcjobs.model.job import Job
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.why import Why


class JobDetail(msgspec.Struct, frozen=True):
    """One job with all that belongs to it.

    Attributes:
        job: The job.
        why: Why it does not run, in plain words; None where it runs or has ended.
        spec: What was asked for, where it was asked for here; its script, arguments and environment for the owner and
            for operators only.
        members: Of a gang that is one heterogeneous job: what each member asked for, in the order of components; same
            reserve as ``spec``.
        steps: Its steps, as accounting has them.
        steps_note: Why there are no steps though it has run, or ``""``.
        attempts: How it came into Slurm, first to last.
        events: What happened to it, oldest first, the last 200.
        quotas: What its project, or one above, has passed a bound of, in plain words; none where it has ended.
        observed_at: Unix seconds of the listing that this is from; None where there was none yet.
    """

    job: Job
    why: Why | None
    spec: JobSpec | None
    steps: tuple[Step, ...]
    steps_note: str
    attempts: list[Attempt]
    events: list[Event]
    observed_at: float | None
    members: tuple[JobSpec, ...] = ()
    quotas: tuple[str, ...] = ()
