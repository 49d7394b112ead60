"""What every reader needs: bytes as text, and a place for what is odd."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from hashlib import blake2b
from typing import Final

from hpcjobs_plugins.topology.fabric import FabricError, Notice

MOST_NOTICES: Final = 20
"""As many notices of one code are told one by one; the others are counted."""

SAMPLE: Final = 1 << 16
"""As many characters at the start tell whether it is text."""

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_=>])")
_CONTROL: Final = frozenset(map(chr, range(32))) - frozenset("\t\n\r\f\b\x07\x1b")


def decoded(data: bytes, source: str) -> str:
    """Text, with one line feed at the end of each line.

    Terminal logs are taken as they are, with CRLF and colours; UTF-16 where a mark says so, as Windows writes it. Bytes
    that are no UTF-8 become U+FFFD.

    Raises:
        FabricError: There is nothing, or it is no text.
    """
    if not data.strip():
        raise FabricError("it is empty", source)
    encoding = "utf-8"
    for mark, name in _BOMS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
            break
    text = data.decode(encoding, "replace")
    nul = text.find("\0")
    start = text[:SAMPLE]
    odd = sum(map(start.count, _CONTROL)) + start.count("\ufffd")
    if nul >= 0 or odd * 20 > len(start):
        what = f"a character 0 at {nul}" if nul >= 0 else f"of the first {len(start)} characters {odd} are no text's"
        raise FabricError(f"it is no text: {what}", source, text.count("\n", 0, max(nul, 0)) + 1)
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        text = text if "\n" in text else text.replace("\r", "\n")
    return text


class Oddities:
    """Notices as they are found; what occurs often is counted."""

    def __init__(self) -> None:
        self._found: list[Notice] = []
        self._count: Counter[str] = Counter()

    def add(self, code: str, text: str, line: int = 0, subject: str = "") -> None:
        """Something odd.

        Args:
            code: A stable word for it.
            text: What was found and what was made of it, a sentence.
            line: Of the source.
            subject: GUID or name.
        """
        self._count[code] += 1
        if self._count[code] <= MOST_NOTICES:
            self._found.append(Notice(code, text, line, subject))

    def notices(self) -> tuple[Notice, ...]:
        """In the order they were found in, then what was only counted."""
        more = [
            Notice(code, f"and {count - MOST_NOTICES} more of this kind", more=count - MOST_NOTICES)
            for code, count in self._count.items()
            if count > MOST_NOTICES
        ]
        return (*self._found, *more)


def made_up(digits: int, *words: str) -> str:
    """A GUID (16 digits) or MAC address (12) for what tells none: the same for the same words.

    It is none that a maker has given: the bit for that is set (IEEE 802, U/L).
    """
    text = chr(0).join(words).encode(errors="surrogateescape")
    return f"02{blake2b(text, digest_size=digits // 2 - 1).hexdigest()}"
