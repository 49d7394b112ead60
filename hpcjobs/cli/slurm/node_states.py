"""A node's state in Slurm's words: short (``drng*``), long (``draining*``), complete (``mixed+drain``). Pure.

A state is one of a few bases with flags, as bits (node_states in slurm.h); the words are those of sinfo 26.05.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BASES: Final = ("UNKNOWN", "DOWN", "IDLE", "ALLOCATED", "ERROR", "MIXED", "FUTURE")
UNKNOWN, DOWN, IDLE, ALLOCATED, ERROR, MIXED, FUTURE = range(7)
BASE: Final = 0xF

FLAGS: Final[Mapping[str, int]] = {
    "BLOCKED": 1 << 27,
    "CLOUD": 1 << 7,
    "COMPLETING": 1 << 10,
    "DRAIN": 1 << 9,
    "DYNAMIC_FUTURE": 1 << 19,
    "DYNAMIC_NORM": 1 << 26,
    "EXTERNAL": 1 << 4,
    "INVALID_REG": 1 << 22,
    "FAIL": 1 << 13,
    "MAINTENANCE": 1 << 15,
    "POWER_DOWN": 1 << 23,
    "POWER_UP": 1 << 24,
    "POWERED_DOWN": 1 << 12,
    "REBOOT_REQUESTED": 1 << 16,
    "REBOOT_ISSUED": 1 << 20,
    "RESERVED": 1 << 5,
    "RESUME": 1 << 8,
    "NOT_RESPONDING": 1 << 11,
    "PLANNED": 1 << 21,
    "POWERING_UP": 1 << 14,
    "POWERING_DOWN": 1 << 18,
}
"""In the order in which Slurm writes them behind the base."""

OTHER_FLAGS: Final[Mapping[str, int]] = {"UNDRAIN": 1 << 6, "REBOOT_CANCELED": 1 << 17, "POWER_DRAIN": 1 << 25}
"""Those that only Slurm's JSON names."""

SHORT: Final[Mapping[str, str]] = {
    "ALLOCATED": "ALLOC", "BLOCKED": "BLOCK", "COMPLETING": "COMP", "DRAINED": "DRAIN", "DRAINING": "DRNG",
    "FAILING": "FAILG", "FUTURE": "FUTR", "MIXED": "MIX", "PLANNED": "PLND", "REBOOT": "BOOT", "RESERVED": "RESV",
    "UNKNOWN": "UNK",
}  # fmt: skip
"""Short words that differ from the long ones."""

_MARKED: Final = (
    ("MAINTENANCE", "$"),
    ("REBOOT_ISSUED", "^"),
    ("REBOOT_REQUESTED", "@"),
    ("POWERING_UP", "#"),
    ("POWERING_DOWN", "%"),
    ("POWERED_DOWN", "~"),
    ("POWER_DOWN", "!"),
    ("NOT_RESPONDING", "*"),
)
"""Flags that are a character behind the word; the first that is set."""


def bits_of(raw_state: str) -> int:
    """A state as bits.

    Args:
        raw_state: Slurm's words joined by ``+``, in any order; what is not known counts for nothing.
    """
    bits = 0
    for word in raw_state.upper().split("+"):
        if word in BASES:
            bits |= BASES.index(word)
        else:
            bits |= FLAGS.get(word, 0) | OTHER_FLAGS.get(word, 0)
    return bits


def _has(bits: int, *names: str) -> bool:
    return any(bits & FLAGS[name] for name in names)


def _mark(bits: int) -> str:
    return next((mark for name, mark in _MARKED if _has(bits, name)), "")


def _star(bits: int) -> str:
    return "*" if _has(bits, "NOT_RESPONDING") else ""


def _word(bits: int) -> tuple[str, str]:
    """The word and the character behind it."""
    base = bits & BASE
    busy = base in (ALLOCATED, MIXED)
    if _has(bits, "INVALID_REG"):
        return "INVAL", ""
    if _has(bits, "MAINTENANCE") and not _has(bits, "DRAIN") and not busy and base != DOWN:
        return "MAINT", _star(bits)
    if _has(bits, "REBOOT_REQUESTED", "REBOOT_ISSUED") and not busy:
        return "REBOOT", "^" if _has(bits, "REBOOT_ISSUED") else _star(bits)
    working = busy or _has(bits, "COMPLETING")
    if _has(bits, "DRAIN"):
        return "DRAINING" if working else "DRAINED", _mark(bits)
    if _has(bits, "FAIL"):
        return "FAILING" if working else "FAIL", _star(bits)
    if base == ALLOCATED:
        return "ALLOCATED", _mark(bits) or ("+" if _has(bits, "COMPLETING") else "")
    if _has(bits, "COMPLETING") and base != DOWN:
        return "COMPLETING", _mark(bits)
    if base == IDLE and not _mark(bits):
        return next((name for name in ("RESERVED", "BLOCKED", "PLANNED") if _has(bits, name)), "IDLE"), ""
    if base == MIXED:
        return "MIXED", _mark(bits) or ("-" if _has(bits, "PLANNED") else "")
    if base == UNKNOWN:
        return "UNKNOWN", _star(bits)
    return ("?", "") if base == ERROR else (BASES[base], _mark(bits))


def long_state(bits: int) -> str:
    """As ``%T`` of sinfo, in capitals."""
    return "".join(_word(bits))


def short_state(bits: int) -> str:
    """As ``%t`` of sinfo, in capitals."""
    word, mark = _word(bits)
    return SHORT.get(word, word) + mark


def complete_state(bits: int) -> str:
    """The base with every flag, as scontrol writes it: ``IDLE+DRAIN``."""
    base = bits & BASE
    words = [BASES[base] if base < len(BASES) else "INVALID"]
    return "+".join(words + [name for name, bit in FLAGS.items() if bits & bit])


def is_draining(bits: int) -> bool:
    """Whether it takes no more jobs and still has some."""
    return _has(bits, "DRAIN") and (_has(bits, "COMPLETING") or bits & BASE in (ALLOCATED, MIXED, ERROR))


def json_states(bits: int) -> list[str]:
    """As Slurm's JSON lists them: the base, then flags by their bits."""
    base = bits & BASE
    by_bit = sorted({**FLAGS, **OTHER_FLAGS}.items(), key=lambda flag: flag[1])
    return [BASES[base] if base < len(BASES) else "INVALID"] + [name for name, bit in by_bit if bits & bit]
