"""How a budget of GPU-hours stands: its period, what is left of it, and when nothing will be. Pure."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from hpcjobs.errors import Refusal
from hpcjobs.model.tenant import Budget, BudgetState, Period

DAY_S: Final = 86_400
RATE_DAYS: Final = 14
"""The use of so many days says how fast a budget is used."""
_MONTHS: Final = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}


def _months_begin(month: int, zone: ZoneInfo) -> int:
    """Unix seconds of the first second of a month, counted from year 0."""
    return int(datetime(month // 12, month % 12 + 1, 1, tzinfo=zone).timestamp())


def bounds(budget: Budget, now: float, back: int = 0) -> tuple[int, int]:
    """From when until before when a budget counts.

    Args:
        budget: Which.
        now: Unix seconds.
        back: So many periods earlier.

    Returns:
        Unix seconds; an end of 0 is none. For ``fixed`` and ``decay`` there is no period before: it is empty.
    """
    if budget.period is Period.FIXED:
        return (budget.first, budget.until) if not back else (budget.first, budget.first)
    if budget.period is Period.DECAY:
        return (0, 0)
    zone = ZoneInfo(budget.timezone)
    today = datetime.fromtimestamp(now, zone)
    length = _MONTHS[budget.period]
    month = (today.year * 12 + today.month - 1) // length * length - back * length
    return _months_begin(month, zone), _months_begin(month + length, zone)


def carried(budget: Budget, used_before_h: float) -> float:
    """GPU-hours that come over from the period before, in which so many were used."""
    return min(budget.carry_over_h, max((budget.hard_h or 0.0) - used_before_h, 0.0))


def state(budget: Budget, used_h: float, used_before_h: float, rate_h: float, now: float) -> BudgetState:
    """How a budget stands.

    At a steady rate r a period's use grows by r a day. With decay, dU/dt = r - U ln 2 / half-life, so that U goes
    towards r half-life / ln 2. Slurm's own use halves in the same way (slurm.conf(5), PriorityDecayHalfLife).

    Args:
        budget: Which.
        used_h: GPU-hours used since ``bounds(budget, now)[0]``; with decay what of it still counts.
        used_before_h: In the period before.
        rate_h: GPU-hours a day of late.
        now: Unix seconds.
    """
    first, until = bounds(budget, now)
    came_h = carried(budget, used_before_h)
    available = None if budget.hard_h is None else budget.hard_h + came_h
    left = None if available is None else max(available - used_h, 0.0)
    over = budget.period is Period.FIXED and not first <= now < until
    return BudgetState(
        budget=budget,
        first=first,
        until=until,
        used_h=used_h,
        carried_h=came_h,
        left_h=left,
        soft_passed=budget.soft_h is not None and used_h >= budget.soft_h + came_h,
        hard_passed=left is not None and (left == 0.0 or over),
        rate_h=rate_h,
        exhausted_at=None if available is None else _exhausted_at(budget, used_h, available, rate_h, now, until),
    )


def _exhausted_at(budget: Budget, used_h: float, most_h: float, rate_h: float, now: float, until: int) -> int | None:
    """Unix seconds when use comes to the bound; None: not before the end."""
    if used_h >= most_h:
        return int(now)
    if rate_h <= 0:
        return None
    if budget.period is Period.DECAY:
        lasting_h = rate_h / DAY_S * budget.half_life_s / math.log(2)
        if lasting_h <= most_h:
            return None
        wait_s = budget.half_life_s * math.log2((lasting_h - used_h) / (lasting_h - most_h))
        return int(now + wait_s)
    at = now + (most_h - used_h) / rate_h * DAY_S
    return int(at) if at < until else None


def faults(budget: Budget, field: str) -> list[Refusal]:
    """What cannot be meant by a budget.

    Args:
        budget: Which.
        field: Its place in the request.
    """
    found = []
    if budget.period is Period.FIXED and budget.until <= budget.first:
        found.append(Refusal(f"{field}.until", "A fixed period ends after it begins."))
    if (budget.period is Period.DECAY) != (budget.half_life_s > 0):
        found.append(Refusal(f"{field}.half_life_s", "It goes with period decay, and decay with it."))
    if budget.carry_over_h and (budget.period not in _MONTHS or budget.hard_h is None):
        found.append(Refusal(f"{field}.carry_over_h", "Only what comes again and has hard_h leaves something over."))
    if None not in (budget.soft_h, budget.hard_h) and (budget.soft_h or 0) > (budget.hard_h or 0):
        found.append(Refusal(f"{field}.soft_h", "The soft bound is not above the hard one."))
    try:
        ZoneInfo(budget.timezone)
    except (ValueError, OSError, KeyError):
        found.append(Refusal(f"{field}.timezone", f"{budget.timezone[:80]!r} is no time zone."))
    return found
