"""Time and memory as sbatch reads them (sbatch(1), --time and --mem)."""

from __future__ import annotations

import re
from typing import Final

_DIGITS: Final = "[0-9]{1,19}"
_TIME: Final = (r"^(?:(?P<days>N)-(?P<h>N)(?::(?P<m>N)(?::(?P<s>N))?)?"
                   r"|(?P<a>N)(?::(?P<b>N)(?::(?P<c>N))?)?)$".replace("N", _DIGITS))  # fmt: skip
_MEMORY: Final = rf"(?i)^(?P<number>{_DIGITS})(?:(?P<unit>[KMGT])B?)?$"
_SCALE: Final = {"K": 2**10, "": 2**20, "M": 2**20, "G": 2**30, "T": 2**40}
_COUNT: Final = {"": 1, "k": 2**10, "m": 2**20}


def ceil_div(amount: int, unit: int) -> int:
    """Whole units that hold the amount."""
    return -(-amount // unit)


def parse_time(text: str) -> int:
    """Read a time limit.

    Args:
        text: ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``,
            ``days-hours:minutes`` or ``days-hours:minutes:seconds``.

    Returns:
        Seconds; 0 is no limit, as ``0``, ``-1``, ``infinite`` and ``unlimited`` say.

    Raises:
        ValueError: The text is of no such form.
    """
    if text.strip().lower() in ("-1", "infinite", "unlimited"):
        return 0
    match = re.match(_TIME, text.strip())
    if match is None:
        raise ValueError(f"Invalid time limit specification {text!r}: write minutes, hh:mm:ss or days-hh:mm:ss")
    part = {name: int(value or 0) for name, value in match.groupdict().items()}
    if match["days"] is not None:
        return ((part["days"] * 24 + part["h"]) * 60 + part["m"]) * 60 + part["s"]
    if match["c"] is not None:
        return (part["a"] * 60 + part["b"]) * 60 + part["c"]
    return part["a"] * 60 + part["b"]


def parse_memory(text: str) -> int:
    """Read an amount of memory.

    Args:
        text: A whole number with K, M, G or T, in powers of 1024; M where no letter stands.

    Returns:
        Bytes.

    Raises:
        ValueError: The text is of no such form.
    """
    match = re.match(_MEMORY, text.strip())
    if match is None:
        raise ValueError(f"Invalid memory specification {text!r}: write a whole number with K, M, G or T")
    return int(match["number"]) * _SCALE[(match["unit"] or "").upper()]


def parse_count_range(text: str) -> tuple[int, int]:
    """Read ``4`` or ``2-4``, as --nodes takes them; ``2k`` is 2,048 and ``1m`` 1,048,576.

    Raises:
        ValueError: The text is of no such form, or the range is upside down.
    """
    match = re.match(rf"^({_DIGITS})([km]?)(?:-({_DIGITS})([km]?))?$", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is not a count or a range of counts")
    low = int(match[1]) * _COUNT[match[2].lower()]
    high = int(match[3]) * _COUNT[match[4].lower()] if match[3] else low
    if high < low:
        raise ValueError(f"{text!r} is a range upside down")
    return low, high


def count_range_text(low: int | None, high: int | None) -> str | None:
    """A range of numbers of nodes as Slurm reads it; None: neither end is known."""
    return None if low is None and high is None else f"{low or 1}-{high or low}"


def time_text(seconds: int) -> str:
    """A duration as sbatch reads it, to the second.

    Args:
        seconds: The duration; 0 is no limit.
    """
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours // 24}-{hours % 24:02}:{minute:02}:{second:02}"


def memory_text(amount: int) -> str:
    """An amount of memory as sbatch reads it.

    Args:
        amount: Bytes; what is left over a KiB, sbatch's smallest unit, counts as one more.
    """
    return f"{ceil_div(amount, 2**10)}K" if amount % 2**20 else f"{amount // 2**20}M"
