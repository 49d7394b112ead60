"""Counts of what happens by chance at a constant rate. Pure; exact to rounding, without tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from hpcjobs.recovery.checked import checked

_HALVINGS: Final = 200
"""More would halve below what a float can tell apart."""


def at_most(count: int, mean: float) -> float:
    """Probability of at most so many, where so many are expected.

    The terms are added from ``count`` outward, on the side where they only fall.
    """
    if count < 0:
        return 0.0
    if not mean:
        return 1.0
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    below = count < mean
    total = term if below else 0.0
    number = count
    while term > total * 1e-17 and (number or not below):
        if below:
            term *= number / mean
            number -= 1
        else:
            number += 1
            term *= mean / number
        total += term
    return min(1.0, total) if below else max(0.0, 1.0 - total)


def at_least(count: float, mean: float) -> float:
    """Probability of at least so many, where so many are expected; between whole numbers Gamma fills in.

    That is the regularised lower incomplete gamma function P(count, mean), by the series of DLMF 8.11.4, whose terms
    are added from the largest outward.

    Args:
        count: At least 0.
        mean: At least 0.

    Raises:
        Refused: A number that cannot be.
    """
    checked(count=count, mean=mean)
    if not count:
        return 1.0
    if not mean:
        return 0.0
    steps = max(0, math.floor(mean - count))
    top = count + steps
    term = largest = total = math.exp(top * math.log(mean) - mean - math.lgamma(top + 1))
    number = top
    while term > total * 1e-17:
        number += 1
        term *= mean / number
        total += term
    term, number = largest, top
    for _ in range(steps):
        term *= number / mean
        number -= 1
        total += term
        if term <= total * 1e-17:
            break
    return min(1.0, total)


def quantile(mean: float, confidence: float) -> int:
    """The least count that is not exceeded with this probability.

    Raises:
        Refused: The mean is no number of at least 0, or the confidence is not between 0 and 1.
    """
    checked(mean=mean)
    checked(confidence=confidence, below=1.0)
    high = 1
    while at_most(high, mean) < confidence:
        high *= 2
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if at_most(middle, mean) >= confidence else (middle, high)
    return high


def bounds(count: int, confidence: float) -> tuple[float, float]:
    """Between which means the true one lies, where so many were counted.

    Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936: exact, so that they hold the true mean
    at least as often as is said; quantiles of Gamma(count) and Gamma(count + 1).

    Args:
        count: What was counted.
        confidence: How often they shall hold it; half of the rest lies on each side.

    Raises:
        Refused: The count is negative, or the confidence is not between 0 and 1.
    """
    checked(count=count)
    checked(confidence=confidence, below=1.0)
    tail = (1 - confidence) / 2
    wide = count + 10 * math.sqrt(count + 1) - 2 * math.log(tail) + 10
    low = _where(lambda mean: at_most(count - 1, mean), 1 - tail, wide) if count else 0.0
    return low, _where(lambda mean: at_most(count, mean), tail, wide)


def _where(falling: Callable[[float], float], value: float, high: float) -> float:
    """Where between 0 and high a falling function has this value."""
    low = 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > value else (low, middle)
    return (low + high) / 2
