"""Time limits as users ask for them: too long, and round. Pure.

Users ask for a few round values again and again, and for several times what their jobs need (Mu'alem and Feitelson,
"Utilization, Predictability, Workloads, and User Runtime Estimates in Scheduling the IBM SP2 with Backfilling", TPDS
2001, with the model in which the estimate is the run time times 1 to 1 + f; Tsafrir, Etsion and Feitelson, "Modeling
User Runtime Estimates", JSSPP 2005, for the round values).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from random import Random
from typing import Final

import msgspec

from hpcjobs.sim.workload import SimJob, Workload

FACTOR: Final = 4.0
"""The f of the model; it gives a mean of run time / estimate of ln(1 + f) / f = 0.40 before rounding."""
ROUND_S: Final = tuple(60.0 * minutes for minutes in (
    5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1080, 1440, 2880, 4320, 7200, 10080))  # fmt: skip
"""Limits that users ask for, in seconds; beyond the last they ask for whole weeks."""


def round_limit(least_s: float) -> float:
    """The shortest limit of those that users ask for that is no shorter than this, in seconds."""
    at = bisect_left(ROUND_S, least_s)
    return ROUND_S[at] if at < len(ROUND_S) else ROUND_S[-1] * math.ceil(least_s / ROUND_S[-1])


def overestimated(workload: Workload, seed: int, factor: float = FACTOR) -> Workload:
    """The same jobs with such limits, each for itself, as for a trace that has none.

    No job is cut by its new limit; one that its old limit cut runs to its end.

    Args:
        workload: With jobs.
        seed: Where chance begins.
        factor: The f of the model, 0 or more.
    """
    rng = Random(seed)  # noqa: S311

    def asked(job: SimJob) -> SimJob:
        return msgspec.structs.replace(job, wall_s=round_limit(job.run_s * (1.0 + factor * rng.random())))

    return msgspec.structs.replace(
        workload,
        jobs=tuple(map(asked, workload.jobs)),
        origin=f"{workload.origin}, with limits as users ask for them (f = {factor:g}, seed {seed})",
        remarks=workload.remarks | {"its limit was made up": len(workload.jobs)},
    )
