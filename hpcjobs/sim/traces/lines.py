"""Files as lines of text, and what every reader needs: numbers, and a count of what it left out."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import IO, Final, cast

from hpcjobs.errors import Refusal, Refused

GZIP: Final = b"\x1f\x8b"
"""The first bytes of what gzip writes (RFC 1952, 2.3.1)."""
MOST_BYTES: Final = 1 << 30
"""As many bytes as a file may have, unpacked."""
MOST_LINE_BYTES: Final = 1 << 20
"""As many bytes as a line may have."""
MOST: Final = 10**15
"""No number of a trace is larger: seconds, bytes of a node and counts are all below it."""


def refused(origin: str, line: int, what: str) -> Refused:
    """What a file that cannot be read is refused with.

    Args:
        origin: The file, as in messages.
        line: Number of the line at fault; 0: the file as a whole.
        what: What is wrong.
    """
    where = f"{origin}, line {line}" if line else origin
    return Refused([Refusal(field=where, detail=f"{where}: {what}", code="trace")], kept="nothing was simulated")


def lines_of(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[str]:
    """The lines of a file without their ends; gzip is known by its first bytes. What is no UTF-8 becomes U+FFFD.

    Args:
        path: The file.
        most_bytes: As many bytes as it may have, unpacked.

    Raises:
        Refused: It cannot be read, is cut short or broken, or is too long; so is a single line.
    """
    number = read = 0
    try:
        with path.open("rb") as file:
            packed = file.peek(len(GZIP))[: len(GZIP)] == GZIP
            with cast("IO[bytes]", gzip.open(file) if packed else file) as plain:
                while line := plain.readline(MOST_LINE_BYTES + 1):
                    number += 1
                    read += len(line)
                    if read > most_bytes:
                        raise refused(str(path), number, f"it has more than {most_bytes} bytes, unpacked")
                    if len(line) > MOST_LINE_BYTES:
                        raise refused(str(path), number, f"the line has more than {MOST_LINE_BYTES} bytes")
                    text = line.decode(errors="replace").rstrip("\r\n")
                    yield text.removeprefix("\ufeff") if number == 1 else text
    except OSError as error:
        raise refused(str(path), number, f"it cannot be read: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise refused(str(path), number, f"after this line it is cut short or broken: {error}") from error


class LeftOut(Exception):
    """A line that is whole and yet gives nothing that could be simulated; its text is the reason."""


class Tally:
    """What is left out or odd, counted by reason; the first line of each is named."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def add(self, reason: str, line: int = 0) -> None:
        """One more.

        Args:
            reason: Why.
            line: Number of the line; 0: of none.
        """
        self._count[reason] = self._count.get(reason, 0) + 1
        self._first.setdefault(reason, line)

    def told(self) -> dict[str, int]:
        """Count by reason, in the order in which they were met, each with its first line."""
        return {
            f"{reason} (first in line {first})" if (first := self._first[reason]) else reason: count
            for reason, count in self._count.items()
        }


def amount(text: str, what: str) -> float:
    """A number that is not negative.

    Raises:
        ValueError: It is none, negative, or beyond ``MOST``.
    """
    try:
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not 0 <= number <= MOST:
        raise ValueError(f"{what} is no number from 0 to 1e15")
    return number


def count(text: str, what: str) -> int:
    """A whole number that is not negative; ``4.0`` is 4.

    Raises:
        ValueError: It is none, negative, or beyond ``MOST``.
    """
    number = amount(text, what)
    if number != int(number):
        raise ValueError(f"{what} is no whole number")
    return int(number)


def moment(text: str, what: str, zone: tzinfo) -> float:
    """Unix seconds of a time in the form of ISO 8601, or of Unix seconds themselves.

    Args:
        text: Such as ``2017-10-09T07:01:55`` or ``2017-10-09 07:01:55``.
        what: What it is, for the error.
        zone: Of a time that does not say its own.

    Raises:
        ValueError: It is none, or before 1970.
    """
    if text.isdecimal():
        return amount(text, what)
    try:
        time = datetime.fromisoformat(text)
        unix_s = (time if time.tzinfo else time.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        unix_s = -1.0
    if unix_s < 0:
        raise ValueError(f"{what} is no time since 1970 of the form 2017-10-09T07:01:55")
    return unix_s
