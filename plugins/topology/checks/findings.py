"""What a check says: findings, how bad they are, and what a fabric is allowed. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import natural

Value = str | int | float | tuple[str, ...]
"""What evidence is made of."""


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # the fabric is not cabled, or not named, as it was meant
    WARNING = "warning"  # something is missing, slow or short
    NOTE = "note"  # worth knowing; may well be meant


_RANK: Final = tuple(Severity)


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One thing that a fabric's administrator should look at.

    Attributes:
        code: A stable word for the kind of it, as ``cable-missing``; ``codes`` says what each means.
        severity: How bad it is.
        subject: Name of the switch, host or fabric that it is about.
        text: What was found and what was expected, a sentence.
        evidence: What the sentence was made of: counts, ratios, ports, names.
        fabric: Name of the fabric, or ``""`` where it is about several.
        names: Every switch and host that is concerned.
        links: Every pair of neighbours whose cables are concerned, or between which a cable is missing.
    """

    code: str
    severity: Severity
    subject: str
    text: str
    evidence: Mapping[str, Value] = {}
    fabric: str = ""
    names: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a fabric is allowed.

    Attributes:
        oversubscription: Bandwidth of hosts and lower switches to bandwidth upward, at most, of a tier and of a switch.
        imbalance: Cables or bandwidth of the most and of the least used of several equal spines, at most.
        ignore: Codes of findings that are not told.
    """

    oversubscription: float = 4.0
    imbalance: float = 1.25
    ignore: frozenset[str] = frozenset()


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in a stable order: errors first, then by code and as people count."""
    return sorted(
        findings, key=lambda one: (_RANK.index(one.severity), one.fabric, one.code, natural(one.subject), one.text)
    )


def exit_code(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """What a command that checks a fabric ends with.

    Args:
        findings: All of them.
        strict: Whether warnings are a failure.

    Returns:
        2 if there is an error; 1 if there is a warning and ``strict``; else 0.
    """
    severities = {one.severity for one in findings}
    if Severity.ERROR in severities:
        return 2
    return int(strict and Severity.WARNING in severities)
