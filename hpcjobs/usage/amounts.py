"""Seconds of a run inside a period, in SQL: what every sum over usage multiplies (docs/adr/0021).

The expressions speak of two tables: ``runs AS r`` and ``clusters AS c``, joined by ``cluster``. A run that has not
ended is counted until ``c.read_until``; one that never started, or whose cluster was never read, has no seconds.
Whatever is cut at whichever borders, the parts are whole seconds and add up to the whole.
"""

from __future__ import annotations

from typing import Final

STARTED: Final = "coalesce(r.start_time, r.end_time, c.read_until)"
"""From when a run counts: where it never started, no sooner than it ended."""
ENDED: Final = f"greatest(coalesce(r.end_time, c.read_until), {STARTED})"
"""Until when a run counts."""
_LASTS: Final = f"({ENDED} - {STARTED})"
_WORKS: Final = f"greatest({_LASTS} - r.suspended_s, 0)"


def _until(time: str | int) -> str:
    return f"(least(greatest({time}, {STARTED}), {ENDED}) - {STARTED})"


def _worked_until(time: str | int) -> str:
    return f"({_until(time)} * {_WORKS} // greatest({_LASTS}, 1))"


def held_s(a: str | int, b: str | int) -> str:
    """Seconds of a run from a until before b, with those in which it was suspended: it keeps its GPUs meanwhile.

    Args:
        a: Unix seconds, or SQL that has them: ``days.first``.
        b: Likewise, no sooner than ``a``.

    Returns:
        SQL of a whole number over ``r`` and ``c``.
    """
    return f"coalesce({_until(b)} - {_until(a)}, 0)"


def used_s(a: str | int, b: str | int) -> str:
    """Seconds of a run from a until before b, without those in which it was suspended.

    Slurm says how long that was and not when, so it is spread evenly: the run has worked by a time for its share of
    the whole, rounded down, and a period has the difference of two such. Parts therefore add up exactly.

    Args:
        a: Unix seconds, or SQL that has them.
        b: Likewise, no sooner than ``a``.

    Returns:
        SQL of a whole number over ``r`` and ``c``.
    """
    spread = f"coalesce({_worked_until(b)} - {_worked_until(a)}, 0)"
    return f"CASE WHEN r.suspended_s = 0 THEN {held_s(a, b)} ELSE {spread} END"
