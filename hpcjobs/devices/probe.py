"""Whether the devices of a node are well, by what a vendor's command says. Pure: others run it."""

from __future__ import annotations

import re

import msgspec

from hpcjobs.nodecheck.accelerators import fault as told


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command that says whether the devices of a node are well: it ends with 0, and nothing that is ill is told.

    Attributes:
        argv: The command; it only reads, and ends by itself.
        ill: Regular expression of a line that tells an ill device; None: there is none, the exit code says it.
        well: Regular expression of a line that a well node tells; None: silence is well, too.
    """

    argv: tuple[str, ...]
    ill: str | None = None
    well: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no regular expression."""
        for pattern in filter(None, (self.ill, self.well)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


def fault(probe: Probe, code: int, output: str) -> str:
    """What is wrong with a node's devices.

    Args:
        probe: How they were asked.
        code: With what the command ended.
        output: What it printed.

    Returns:
        A line for people; ``""``: they are well.
    """
    return told(probe.argv, probe.ill or "", probe.well or "", code, output)
