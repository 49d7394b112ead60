"""Whether a job that runs does anything."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import Final

import msgspec

from hpcjobs.model.failure import Activity

TIMES: Final = 10.0
"""So many times the usual interval may pass."""
LEAST_S: Final = 600.0
"""So long may pass in any case, in seconds: an evaluation or a checkpoint takes its time."""
LEAST_SEEN: Final = 4
"""As often must something have been seen, before its interval is known."""


class Idle(msgspec.Struct, frozen=True):
    """That a job does nothing.

    Attributes:
        since: When it was last seen to do something, in Unix seconds.
        idle_s: How long ago that is.
        usual_s: How long it usually takes from one to the next: the median.
    """

    since: float
    idle_s: float
    usual_s: float


def idle(
    activity: Activity, now: float, *, times: float = TIMES, least_s: float = LEAST_S, after_s: float = 0.0
) -> Idle | None:
    """Whether a job has done nothing for much longer than it usually does.

    Steps and checkpoints are what counts; a job that reports no steps is judged by output, heartbeats and checkpoints.
    Heartbeats and output may go on in a job whose steps have stopped, so they do not excuse it. What once took long may
    take twice as long again.

    Args:
        activity: When it was seen to do something.
        now: Unix seconds.
        times: So many times the usual interval may pass.
        least_s: So many seconds may pass in any case.
        after_s: So many seconds may pass, as the job says itself, whatever its pace is; its start counts, too. 0: it
            says nothing of it.

    Returns:
        None: it does something, or too little was seen to say.
    """
    enough = 1 if after_s else LEAST_SEEN
    steps = activity.steps if len(activity.steps) >= enough else (*activity.outputs, *activity.heartbeats)
    began = (activity.began,) if after_s and activity.began is not None else ()
    seen = sorted({time for time in (*began, *steps, *activity.checkpoints) if time <= now})
    gaps = [after - before for before, after in pairwise(seen)]
    usual_s = median(gaps) if gaps else 0.0
    if after_s:
        idle_s = now - seen[-1] if seen else 0.0
        return Idle(seen[-1], idle_s, usual_s) if idle_s > after_s else None
    if len(seen) < LEAST_SEEN:
        return None
    idle_s = now - seen[-1]
    return Idle(seen[-1], idle_s, usual_s) if idle_s > max(times * usual_s, 2 * max(gaps), least_s) else None
