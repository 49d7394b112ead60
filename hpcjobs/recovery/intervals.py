"""How often to save: seconds of work between two checkpoints, without the time that saving takes. Pure.

Failures come at a constant rate, also while a checkpoint is written or read. ``down_s`` is the time after a failure in
which none is met, because nothing runs.

- Young, "A first order approximation to the optimum checkpoint interval", CACM 17(9), 1974.
- Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", FGCS 22(3), 2006.
- Bougeret, Casanova, Rabie, Robert, Vivien, "Checkpointing strategies for parallel jobs", SC 2011.
"""

from __future__ import annotations

import math
from typing import Final

from hpcjobs.model.reliability import Intervals, Recovery
from hpcjobs.recovery.checked import checked

_HALVINGS: Final = 100


def young_s(save_s: float, mtbf_s: float) -> float:
    """Young's: the square root of twice the product; for saving that is short beside the time between failures.

    Raises:
        Refused: A number that cannot be.
    """
    checked(save_s=save_s)
    checked(mtbf_s=mtbf_s, above=0.0)
    return math.sqrt(2 * save_s * mtbf_s)


def daly_first_s(save_s: float, restart_s: float, mtbf_s: float) -> float:
    """Daly's first order, in which a restart counts; at least 0.

    Raises:
        Refused: A number that cannot be.
    """
    checked(save_s=save_s, restart_s=restart_s)
    checked(mtbf_s=mtbf_s, above=0.0)
    return max(0.0, math.sqrt(2 * save_s * (mtbf_s + restart_s)) - save_s)


def daly_s(save_s: float, mtbf_s: float) -> float:
    """Daly's higher order; the mean time between failures itself where saving takes twice that and more.

    Raises:
        Refused: A number that cannot be.
    """
    checked(save_s=save_s)
    checked(mtbf_s=mtbf_s, above=0.0)
    if save_s >= 2 * mtbf_s:
        return mtbf_s
    part = math.sqrt(save_s / (2 * mtbf_s))
    return math.sqrt(2 * save_s * mtbf_s) * (1 + part / 3 + part**2 / 9) - save_s


def best_s(save_s: float, mtbf_s: float) -> float:
    """Where the expected time is least, exactly, if failures are exponential.

    With x = interval / mtbf it is where (1 - x) e^x = e^(-save / mtbf): the derivative of ``slowdown`` is zero there
    (Daly 2006 writes it with Lambert's function). Neither a restart nor the time down moves it.

    Raises:
        Refused: A number that cannot be.
    """
    checked(save_s=save_s)
    checked(mtbf_s=mtbf_s, above=0.0)
    low, high, value = 0.0, 1.0, math.exp(-save_s / mtbf_s)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if (1 - middle) * math.exp(middle) > value else (low, middle)
    return (low + high) / 2 * mtbf_s


def slowdown(interval_s: float, recovery: Recovery, mtbf_s: float) -> float:
    """Expected seconds for a second of work, if failures are exponential; ``inf`` where it never ends.

    Bougeret et al. 2011: work of W with a checkpoint of C takes e^(R/M) (M + D) (e^((W + C)/M) - 1), where R is the
    restart, D the time down and M the mean time between failures; without D it is Daly's complete cost function.

    Raises:
        Refused: A number that cannot be.
    """
    checked(save_s=recovery.save_s, restart_s=recovery.restart_s, down_s=recovery.down_s)
    checked(interval_s=interval_s, mtbf_s=mtbf_s, above=0.0)
    try:
        again = math.exp(recovery.restart_s / mtbf_s) * (mtbf_s + recovery.down_s)
        return again * math.expm1((interval_s + recovery.save_s) / mtbf_s) / interval_s
    except OverflowError:
        return math.inf


def lost_s(interval_s: float, save_s: float, mtbf_s: float) -> float:
    """Expected seconds that a failure undoes, of work and of saving, if it comes before the next checkpoint is whole.

    Bougeret et al. 2011; nearly half of the interval where that is short beside the time between failures.

    Raises:
        Refused: A number that cannot be.
    """
    checked(save_s=save_s)
    checked(interval_s=interval_s, mtbf_s=mtbf_s, above=0.0)
    span = (interval_s + save_s) / mtbf_s
    return mtbf_s if span > 700 else mtbf_s - (interval_s + save_s) / math.expm1(span)


def intervals(recovery: Recovery, mtbf_s: float) -> Intervals:
    """All of them.

    Raises:
        Refused: A number that cannot be.
    """
    return Intervals(
        young_s=young_s(recovery.save_s, mtbf_s),
        daly_first_s=daly_first_s(recovery.save_s, recovery.restart_s, mtbf_s),
        daly_s=daly_s(recovery.save_s, mtbf_s),
        best_s=best_s(recovery.save_s, mtbf_s),
    )
