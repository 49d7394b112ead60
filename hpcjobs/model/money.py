"""Decimals as whole numbers of their last digit, and as text: nothing is lost on the way, as it is in floats. Pure."""

from __future__ import annotations

from typing import Final

MICRO_DIGITS: Final = 6
"""Of prices and hours."""
MICROS: Final = 10**MICRO_DIGITS
"""Of these are one unit of a currency, or an hour: no price is finer."""
CENT_DIGITS: Final = 2
"""Of what is charged."""


def parsed(text: str, digits: int) -> int:
    """``-2.5`` with 6 digits: -2500000.

    Raises:
        ValueError: It is no decimal, or has more digits.
    """
    whole, _, part = text.removeprefix("-").partition(".")
    if len(part) > digits or not (whole + part).isdecimal():
        raise ValueError(f"{text!r} is no decimal of {digits} digits")
    return int(whole + part.ljust(digits, "0")) * (-1 if text.startswith("-") else 1)


def text_of(number: int, digits: int, least: int = CENT_DIGITS) -> str:
    """-2500000 with 6 digits: ``-2.50``.

    Args:
        number: How many of the last digit.
        digits: How many digits there are behind the point.
        least: So many are written also where they are zeros.
    """
    whole, part = divmod(abs(number), 10**digits)
    behind = f"{part:0{digits}d}"
    return f"{'-' if number < 0 else ''}{whole}.{behind[:least]}{behind[least:].rstrip('0')}"
