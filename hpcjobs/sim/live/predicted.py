"""How long jobs will run, from how long like ones have. Pure.

The last run times of like jobs are a better guess than users' limits: Tsafrir, Etsion, Feitelson, "Backfilling Using
System-Generated Predictions Rather than User Runtime Estimates", IEEE TPDS 18(6), 2007. They take the mean of a user's
last two jobs; here it is the median of jobs of one user and one name, where there are enough of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Final

from hpcjobs.model.job import Fate, JobFacts

LEAST: Final = 3
"""So many like jobs must have ended."""
_WHOLE: Final = frozenset({Fate.COMPLETED, Fate.TIMEOUT})


class Predictor:
    """Guesses run times.

    Args:
        history: Jobs that have ended; those that failed or were cancelled say nothing of how long a whole one runs.
    """

    def __init__(self, history: Iterable[JobFacts] = ()) -> None:
        self._ran: dict[tuple[str, str], list[float]] = {}
        for job in history:
            if job.fate in _WHOLE and 0 < job.start_time <= job.end_time:
                self._ran.setdefault((job.user, job.name), []).append(float(job.end_time - job.start_time))

    def run_s(self, job: JobFacts, already_s: float = 0.0) -> float | None:
        """How long a job will run in all, in seconds; None: too few like it have run so long.

        Args:
            job: The job.
            already_s: So long it has run already; only like jobs that ran longer count.
        """
        like = [ran_s for ran_s in self._ran.get((job.user, job.name), ()) if ran_s > already_s]
        return statistics.median(like) if len(like) >= LEAST else None
