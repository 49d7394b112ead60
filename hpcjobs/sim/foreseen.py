"""When and where a job could start beside what runs, found as Slurm's backfill finds it. Pure.

Slurm lets running jobs end one after the other, those together that end in one window, until the job fits. A window
reaches 30 s beyond the next multiple of 30 s after the first end, then 60 s, 120 s and so on (``_future_run_test`` of
src/plugins/select/cons_tres/job_test.c). Of all nodes that have room by its end some are taken as they would be now,
and the job starts when the last of these has room: it may be planned later than it could start, and on other nodes.
That 24.11.5 and 26.05.5 do so was seen in the logs of slurmctld.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from hpcjobs.sim.bookings import Bookings
from hpcjobs.sim.lives import Life
from hpcjobs.sim.placed import Floats, Ints
from hpcjobs.sim.space import Kept

WINDOW_S: Final = 30.0


def window_end_s(clock: Floats, enough_s: float) -> float:
    """The end of the window in which a time lies.

    Args:
        clock: When each node has room, -infinity where it has it now; shape (nodes,).
        enough_s: A time at which some node comes to have room, or -infinity.
    """
    first_s = float(clock[clock > -np.inf].min(initial=np.inf))
    if not first_s <= enough_s < np.inf:
        return enough_s
    base_s, window_s = first_s + WINDOW_S - first_s % WINDOW_S, WINDOW_S
    while base_s + window_s < enough_s:
        window_s *= 2
    return base_s + window_s


def foreseen(
    clock: Floats, life: Life, after_s: float, until_s: float, booked: Bookings, choose: Callable[[Ints], Ints]
) -> tuple[Kept | None, float]:
    """When and on which nodes a job could start.

    Args:
        clock: When each node has room for it, -infinity: now, infinity: never; shape (nodes,).
        life: The job.
        after_s: No sooner than then.
        until_s: Before this; nobody looks further.
        booked: What is booked.
        choose: Takes as many as the job wants of nodes that have room, as indices in ascending order.

    Returns:
        What is to be kept for it, None: nothing before ``until_s``; and before when there was certainly nothing.
    """
    count, wall_s, at_s = life.nodes, life.wall_s, after_s
    while at_s < until_s:
        shut = booked.shut(life.number, at_s, at_s + wall_s)
        free = clock if shut is None else np.where(shut, np.inf, clock)
        enough_s = float(np.partition(free, count - 1)[count - 1])
        later_s = booked.over_after(at_s)
        if enough_s < np.inf:
            nodes = choose(np.flatnonzero(free <= window_end_s(free, enough_s)))
            start_s = max(at_s, float(free[nodes].max()))
            if start_s <= later_s:
                shut = booked.shut(life.number, start_s, start_s + wall_s) if start_s > at_s else None
                if shut is None or not shut[nodes].any():
                    if start_s >= until_s:
                        return None, at_s
                    return Kept(start_s, start_s + wall_s, count, frozenset(nodes.tolist()), (life.number,)), at_s
                later_s = min(later_s, start_s)
        at_s = later_s
    return None, until_s
