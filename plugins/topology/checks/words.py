"""Words of the sentences that findings are made of. No I/O."""

from __future__ import annotations

from collections.abc import Sequence


def number(count: int) -> str:
    """How many cables."""
    return ("no cable", "one cable")[count] if count < 2 else f"{count} cables"


def tier_word(row: int, count: int) -> str:
    """What so many switches of a row are called."""
    if row == 1:
        return "leaf" if count == 1 else "leaves"
    return f"switch of tier {row}" if count == 1 else f"switches of tier {row}"


def which(cables: Sequence[str]) -> str:
    """The one cable, or one of several."""
    return f"Cable {cables[0]}" if len(cables) == 1 else f"One of {', '.join(cables)}"


def gbps(rate: float) -> str:
    """A rate as it is shown."""
    if rate >= 10_000_000:
        return f"{rate / 1000:,.0f} Tbit/s"
    return f"{rate / 1000:.4g} Tbit/s" if rate >= 10_000 else f"{rate:.4g} Gbit/s"
