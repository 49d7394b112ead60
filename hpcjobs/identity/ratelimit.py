"""How often a user may ask: a token bucket for each, kept as one number (GCRA).

A bucket is full after a pause, is emptied by one token a request and fills at a steady rate. It is stored as the
moment at which it will be full again (the "theoretical arrival time" of the ATM Forum's Traffic Management
Specification 4.0, 4.4.2).
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from hpcjobs.settings import Allowance

MOST_BUCKETS: Final = 50_000
"""Buckets that are full again are forgotten when there are so many."""


class Standing(msgspec.Struct, frozen=True):
    """How a user stands after a request.

    Attributes:
        limit: Requests that a full bucket holds.
        remaining: Requests that could follow at once.
        reset_s: Seconds until the bucket is full again.
        wait_s: 0 for a request that was let through, else seconds after which it would be.
    """

    limit: int
    remaining: int
    reset_s: float
    wait_s: float = 0.0


class RateLimiter:
    """The buckets of one process."""

    def __init__(self) -> None:
        self._full_at: dict[tuple[str, str], float] = {}

    def take(self, kind: str, user: str, allowance: Allowance, now: float) -> Standing:
        """Take one token, if there is one.

        Args:
            kind: Which of the user's buckets.
            user: Whose.
            allowance: Size and rate of the bucket.
            now: Seconds of a clock that does not jump.

        Returns:
            ``wait_s`` says whether the request may go on. One that may not has taken nothing.
        """
        key = (kind, user)
        each_s = 1.0 / allowance.per_s
        full_at = max(self._full_at.get(key, now), now)
        free = allowance.burst - (full_at - now) * allowance.per_s
        if free < 1.0 - 1e-9:  # floats: a token that is there to nine digits is there
            return Standing(allowance.burst, 0, full_at - now, wait_s=(1.0 - free) * each_s)
        if len(self._full_at) >= MOST_BUCKETS:
            self._full_at = {known: at for known, at in self._full_at.items() if at > now}
        self._full_at[key] = full_at + each_s
        return Standing(allowance.burst, math.floor(max(free - 1.0, 0.0) + 1e-9), full_at + each_s - now)
