"""The line that a benchmark ends with."""

from __future__ import annotations

from typing import NamedTuple


class Verdict(NamedTuple):
    """A ratio and its bar.

    Attributes:
        name: What was compared.
        ratio: What came out.
        bar: Where it should be.
        most: Whether the bar is an upper one.
        note: What else there is to say.
    """

    name: str
    ratio: float
    bar: float
    most: bool = False
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is where it should be."""
        return self.ratio <= self.bar if self.most else self.ratio >= self.bar

    def __str__(self) -> str:
        end = f"  ({self.note})" if self.note else ""
        return f"{self.name} ratio={self.ratio:.2f} bar={self.bar:g} {'holds' if self.holds else 'short'}{end}"
