"""A little SVG: elements, text that is safe in XML, and how wide text is, about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Final

_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""

_NARROW: Final = frozenset("iljtfrI.,:;|'!()[]-/ ")
_WIDE: Final = frozenset("mwMWABCDEGHKNOQRSUVXYZ@%")


def safe(text: str) -> str:
    """Text as it may stand in an element or an attribute."""
    return escape(_FORBIDDEN.sub("\ufffd", text))


def element(name: str, content: str = "", **attributes: str | float) -> str:
    """An element with safe attributes.

    Args:
        name: Of the element.
        content: What is in it, as XML; nothing: it is closed at once.
        attributes: A final underscore is dropped, another one is a hyphen; numbers have one decimal at most.
    """
    words = [name]
    for key, value in attributes.items():
        text = value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
        words.append(f'{key.removesuffix("_").replace("_", "-")}="{safe(text)}"')
    start = " ".join(words)
    return f"<{start}>{content}</{name}>" if content else f"<{start}/>"


def titled(name: str, title: str, content: str = "", **attributes: str | float) -> str:
    """An element with what is shown of it to who points at it."""
    return element(name, element("title", safe(title)) + content, **attributes)


def text(words: str, x: float, y: float, **attributes: str | float) -> str:
    """Text, from x on unless ``text_anchor`` says otherwise."""
    return element("text", safe(words), x=x, y=y, **attributes)


def width(words: str, size: float) -> float:
    """About how wide text is in a font without serifs.

    Args:
        words: The text.
        size: Of the font, as is what is returned.
    """
    ems = sum(0.36 if letter in _NARROW else 0.74 if letter in _WIDE else 0.62 for letter in words)
    return ems * size


def cut(words: str, size: float, most: float) -> str:
    """Text with its middle left out if it is wider than may be."""
    if width(words, size) <= most:
        return words
    keep = len(words)
    while keep > 2:
        keep -= 1
        short = f"{words[: (keep + 1) // 2]}…{words[len(words) - keep // 2 :]}"
        if width(short, size) <= most:
            return short
    return "…"


def wrapped(words: str, size: float, most: float) -> Iterator[str]:
    """Text in lines."""
    line = ""
    for word in words.split():
        longer = f"{line} {word}".strip()
        if line and width(longer, size) > most:
            yield line
            line = word
        else:
            line = longer
    yield line
