"""SchedulerParameters of slurm.conf(5) that fit a queue. Pure.

Figures are rounded up, so that they change seldom: each change is a ``scontrol reconfigure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DAY_MIN: Final = 1440
STEPS: Final = 1000
"""Steps of backfill's map, about."""

DEPTHS: Final = (500, 1000, 2000, 5000)


def parameters(queued: int, longest_s: float, reserved: int) -> Mapping[str, str]:
    """What backfill should look at.

    Its window must reach beyond the longest limit, or jobs that run as long are not planned around; a coarser
    resolution keeps its map small; it must look at all that waits, as far as that is bearable, and go on where it was
    when it has let others have the locks.

    Args:
        queued: Jobs that wait.
        longest_s: Longest time limit of a job that waits or runs, in seconds.
        reserved: So many jobs of each partition are not to be delayed by those behind them: 1 is EASY backfilling
            (Lifka 1995); 0: all of them, which is conservative backfilling, and Slurm's default.

    Returns:
        Values by name; that of a word that stands alone is empty.
    """
    window_min = max(1, -(-int(longest_s) // 60 // DAY_MIN)) * DAY_MIN
    resolution_s = -(-window_min * 60 // STEPS // 60) * 60
    return {
        "bf_window": str(window_min),
        "bf_resolution": str(resolution_s),
        "bf_max_job_test": str(next((depth for depth in DEPTHS if queued <= depth), DEPTHS[-1])),
        "bf_job_part_count_reserve": str(reserved),
        "bf_continue": "",
    }
