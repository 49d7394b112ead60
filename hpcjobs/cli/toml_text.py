"""Changes a setting in the text of a TOML file and leaves all else as it was written, comments too. Pure.

What it makes is read again and compared with what was meant: a file in which it cannot find its way is left to
whoever wrote it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

Value = str | bool | None
_HEADER: Final = re.compile(r"\s*\[")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    """JSON's form is TOML's too, but for the one control character that JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _written(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else _text(value)


def _names(line: str) -> list[str] | None:
    """The table that a header begins; None: the line is no header, or one of an array of tables."""
    if not _HEADER.match(line):
        return None
    try:
        inner: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    names = []
    while isinstance(inner, dict) and inner:
        ((name, inner),) = inner.items()
        names.append(name)
    return names if isinstance(inner, dict) else None


def _says(line: str, name: str) -> bool:
    """Whether a line begins a setting of this name."""
    return re.match(rf"\s*(?:{re.escape(name)}|\"{re.escape(name)}\"|'{re.escape(name)}')\s*=", line) is not None


def _comment(line: str) -> str:
    """The comment behind a setting that stands in one line, with the space before it."""
    for mark in re.finditer(r"\s*#", line):
        try:
            tomllib.loads(line[: mark.start()])
        except tomllib.TOMLDecodeError:
            continue
        return line[mark.start() :]
    return ""


def _place(lines: Sequence[str], table: Sequence[str]) -> tuple[int, int] | None:
    """Where a table's settings begin and end, as numbers of lines."""
    headers = [at for at, line in enumerate(lines) if _HEADER.match(line)]
    if not table:
        return 0, headers[0] if headers else len(lines)
    for at in headers:
        if _names(lines[at]) == list(table):
            return at + 1, next((other for other in headers if other > at), len(lines))
    return None


def _meant(before: Mapping[str, Any], table: Sequence[str], settings: Mapping[str, Value]) -> dict[str, Any]:
    after = deepcopy(dict(before))
    inner = after
    for name in table:
        inner = inner.setdefault(name, {})
    for name, value in settings.items():
        if value is None:
            inner.pop(name, None)
        else:
            inner[name] = value
    return after


def with_settings(text: str, table: Sequence[str], settings: Mapping[str, Value]) -> str:
    """The text of a TOML file with some settings of one table as they are given.

    Args:
        text: The file.
        table: Names of the table, outermost first; empty: the top of the file.
        settings: Values by name; None takes a setting away.

    Raises:
        ValueError: The file is not TOML, or is written in a way in which this cannot be changed.
    """
    meant = _meant(tomllib.loads(text), table, settings)
    lines = (
        text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
    )  # TOML knows no other ends of lines
    place = _place(lines, table)
    if place is None:
        lines += [*([""] if lines and lines[-1].strip() else []), f"[{'.'.join(map(_key, table))}]"]
        place = len(lines), len(lines)
    begin, end = place
    for name, value in settings.items():
        found = next((at for at in range(begin, end) if _says(lines[at], name)), None)
        new = [] if value is None else [f"{_key(name)} = {_written(value)}"]
        if found is not None:
            comment = _comment(lines[found])
            lines[found : found + 1] = [line + comment for line in new]
            end += len(new) - 1
        else:
            last = max((at + 1 for at in range(begin, end) if lines[at].strip()[:1] not in ("", "#")), default=begin)
            if not table and last == begin:  # comments at the top of a file are the file's
                last = next((at for at in range(begin, end) if not lines[at].strip()), end)
            lines[last:last] = new
            end += len(new)
    changed = "".join(f"{line}\n" for line in lines)
    try:
        made = tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        made = {}
    if made != meant:
        raise ValueError(f"it is written in a way in which {', '.join(settings)} cannot be set: please do it by hand")
    return changed
