"""On which of several clusters a job would start first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hpcjobs.errors import HpcjobsError, Refusal, Refused, Unavailable
from hpcjobs.model.spec import JobSpec
from hpcjobs.submission import Submission, Target


async def soonest(
    submission: Submission, user: str, targets: Sequence[tuple[str, Target | HpcjobsError]], spec: JobSpec
) -> Target:
    """The cluster on which a job would start first; where nothing else tells, the first that would have it.

    Args:
        submission: Who judges.
        user: Whom it runs as.
        targets: Clusters by name, in order; for one that is not there, why.
        spec: The job.

    Raises:
        Refused: None of them would have it; every reason of each is in it.
        Unavailable: None of them can be asked now, or those that can would not have it.
    """
    refusals: list[Refusal] = []
    away: Unavailable | None = None
    starts: list[tuple[float, int, Target]] = []
    for number, (name, target) in enumerate(targets):
        if isinstance(target, HpcjobsError):
            refusals.append(Refusal("cluster", f"{name}: {target.detail}", target.code))
            continue
        try:
            verdict = await submission.validate(user, target, spec)
        except Unavailable as error:
            away = error
            continue
        except HpcjobsError as error:
            refusals.append(Refusal("", f"{name}: {error.detail}", error.code))
            continue
        refusals += [Refusal(fault.field, f"{name}: {fault.detail}", fault.code) for fault in verdict.errors]
        if verdict.valid:
            start = math.inf if verdict.estimate is None else verdict.estimate.start_time
            starts.append((start, number, target))
    if starts:
        return min(starts)[2]
    if away is not None:
        raise away
    raise Refused(refusals)
