"""Keys as they are pressed."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from typing import Final

NAMES: Final = {"\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down", "\x1b[5~": "page up",
    "\x1b[6~": "page down", "\x1b": "escape", "\r": "enter", "\n": "enter"}  # fmt: skip


@contextlib.contextmanager
def pressed() -> Iterator[int]:
    """A terminal that hands out keys at once; as it was before, after. Yields its file number."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        yield number
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def next_key(number: int, wait_s: float) -> str:
    """The next key, ``""`` for none in that time; arrows and their like by name."""
    ready, _, _ = select.select([number], [], [], wait_s)
    if not ready:
        return ""
    text = os.read(number, 16).decode(errors="replace")
    return NAMES.get(text, text[:1])
