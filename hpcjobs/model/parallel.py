"""What a training says of how it is parallel: words with values. What they mean is for the plugin that places it."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"([a-z][a-z_]{0,31})=([a-z0-9]{1,16})")


def parse_parallel(text: str) -> dict[str, str]:
    """Read words, as ``tp=8,pp=4,dp=32``.

    Raises:
        ValueError: It is of no such form, or says a word twice.
    """
    said: dict[str, str] = {}
    for word in text.split(","):
        found = _WORD.fullmatch(word.strip())
        if found is None:
            raise ValueError(f"{word.strip()[:40]!r} is no word with a value; write tp=8,pp=4,dp=32")
        if found[1] in said:
            raise ValueError(f"{found[1]} is said twice")
        said[found[1]] = found[2]
    return said
