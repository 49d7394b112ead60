"""When jobs are submitted: a Poisson process whose rate has a daily and a weekly wave. Pure."""

from __future__ import annotations

import math
from random import Random
from typing import Annotated, Final

import msgspec

DAY_S: Final = 86400.0
WEEK_S: Final = 7 * DAY_S
BUSIEST_S: Final = 15 * 3600.0
"""The time of day at which most is submitted; traces of the Parallel Workloads Archive have it in the afternoon."""


class Wave(msgspec.Struct, frozen=True):
    """How the rate of submissions goes up and down. Time 0 is a Monday, 0:00.

    Attributes:
        day: How much more than the mean there is at the busiest time of day, and less at the quietest, from 0 to 1.
        weekend: The rate on Saturday and Sunday, of that of other days, above 0.
    """

    day: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    weekend: Annotated[float, msgspec.Meta(gt=0, le=100)] = 0.6

    def rate(self, at_s: float) -> float:
        """The rate at a time, in no unit: only its ratios mean something."""
        of_day = 1.0 + self.day * math.cos(2 * math.pi * (at_s - BUSIEST_S) / DAY_S)
        return of_day * (self.weekend if at_s % WEEK_S >= 5 * DAY_S else 1.0)

    @property
    def most(self) -> float:
        """A rate that is never exceeded."""
        return (1.0 + self.day) * max(1.0, self.weekend)


EVEN: Final = Wave(day=0.0, weekend=1.0)
"""No wave."""


def arrivals(count: int, span_s: float, wave: Wave, rng: Random) -> list[float]:
    """Times of submission, in order.

    Given their number, the points of a Poisson process are independent, with the rate as density (Kingman, "Poisson
    Processes", 1993, 2.4); they are drawn by rejection.

    Args:
        count: How many.
        span_s: From 0 until when, in seconds.
        wave: The rate.
        rng: Where chance is from.
    """
    times: list[float] = []
    most = wave.most
    while len(times) < count:
        at_s = rng.random() * span_s
        if rng.random() * most < wave.rate(at_s):
            times.append(at_s)
    return sorted(times)
