"""SchedulerParameters of slurm.conf: some of them changed and the others kept, with a comment that says what was. Pure.

The comment stands on a line of its own before the key, so that what tuned Slurm can be seen there and undone::

    # hpcjobs tune: bf_window=4320 was bf_window=1440, bf_continue was nothing
    SchedulerParameters=defer,bf_window=4320,bf_continue
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from hpcjobs.slurmconf.conf import SlurmConf, amended
from hpcjobs.slurmconf.lines import Unreadable, lines_of, pairs_of

KEY: Final = "SchedulerParameters"
COMMENT: Final = "# hpcjobs tune:"
NOTHING: Final = "nothing"
"""What a parameter was that was not there."""

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
VALUE: Final = re.compile(r"[A-Za-z0-9_.:;+/*-]{0,200}")
"""What is written into slurm.conf comes from a service: nothing that could end a value or a line."""

_ITEM: Final = re.compile(r"(\S+) was (\S+)")


class Move(msgspec.Struct, frozen=True):
    """One parameter that changes.

    Attributes:
        name: As ``bf_window``, in small letters: Slurm takes them for large ones.
        old: As it is, ``bf_window=1440``; ``""``: it is not there.
        new: As it shall be; ``""``: it goes.
    """

    name: str
    old: str
    new: str


class Tuning(NamedTuple):
    """What is to be done.

    Attributes:
        value: Of SchedulerParameters, as it shall be; ``""``: the key goes.
        moves: What changes of it.
        kept: Parameters that were to be undone and that somebody has changed since, as they are.
        files: New texts of the files that change, by name.
    """

    value: str
    moves: tuple[Move, ...]
    kept: tuple[str, ...]
    files: Mapping[str, str]


def parameters_of(value: str) -> dict[str, str]:
    """The words of a value, in their order, by name; of several of one name the first, as Slurm has it."""
    found: dict[str, str] = {}
    for word in filter(None, (word.strip() for word in value.split(","))):
        found.setdefault(_name(word), word)
    return found


def _name(word: str) -> str:
    return word.partition("=")[0].lower()


def checked(wanted: Mapping[str, str]) -> dict[str, str]:
    """Parameters as words, by name.

    Args:
        wanted: Values by name, as ``bf_window``: ``4320``; of a word that has no value, as ``bf_continue``, ``""``.

    Raises:
        Unreadable: A name or a value is none.
    """
    for name, value in wanted.items():
        if not NAME.fullmatch(name) or not VALUE.fullmatch(value):
            raise Unreadable(f"{f'{name}={value}'!r:.100} can be no parameter of {KEY}; nothing was changed")
    return {name.lower(): f"{name}={value}" if value else name for name, value in wanted.items()}


def tuned(conf: SlurmConf, wanted: Mapping[str, str]) -> Tuning:
    """Some parameters changed.

    Args:
        conf: The slurm.conf that is.
        wanted: See ``checked``; all others are kept.

    Raises:
        Unreadable: A parameter is none, or its line must be changed by hand.
    """
    words = checked(wanted)
    old = parameters_of(conf.settings.get(KEY.lower(), ""))
    moves = tuple(Move(name, old.get(name, ""), word) for name, word in words.items() if old.get(name) != word)
    noted = {move.name: move for move in _noted(conf.files)}
    for move in moves:
        earlier = noted.pop(move.name, None)
        first = earlier.old if earlier and earlier.new == move.old else move.old
        if first != move.new:
            noted[move.name] = Move(move.name, first, move.new)
    return _tuning(conf, moves, (), noted)


def undone(conf: SlurmConf) -> Tuning:
    """What ``tuned`` changed as it was before; what somebody else has changed since stays.

    Raises:
        Unreadable: The line must be changed by hand.
    """
    noted = _noted(conf.files)
    old = parameters_of(conf.settings.get(KEY.lower(), ""))
    moves = tuple(Move(move.name, move.new, move.old) for move in noted if old.get(move.name) == move.new)
    kept = tuple(old.get(move.name, "") or f"no {move.name}" for move in noted if old.get(move.name) != move.new)
    return _tuning(conf, moves, kept, {})


def _tuning(conf: SlurmConf, moves: tuple[Move, ...], kept: tuple[str, ...], noted: Mapping[str, Move]) -> Tuning:
    value = _moved(conf.settings.get(KEY.lower(), ""), moves)
    texts = {**conf.files, **(amended(conf.files, {KEY: value or None}) if moves else {})}
    texts = _with_comment(texts, noted)
    return Tuning(value, moves, kept, {name: text for name, text in texts.items() if text != conf.files[name]})


def _moved(value: str, moves: tuple[Move, ...]) -> str:
    """Words in their old places, new ones at the end."""
    new = {move.name: move.new for move in moves}
    words = [word.strip() for word in value.split(",") if word.strip()]
    there = {_name(word) for word in words}
    words = [new.get(_name(word), word) for word in words] + [word for name, word in new.items() if name not in there]
    return ",".join(filter(None, words))


def _noted(files: Mapping[str, str]) -> list[Move]:
    """What the comment says."""
    rows = (row for text in files.values() for row in text.split("\n") if row.startswith(COMMENT))
    items = (_ITEM.fullmatch(item.strip()) for row in rows for item in row[len(COMMENT) :].split(","))
    return [Move(_name(item[1]), "" if item[2] == NOTHING else item[2], item[1]) for item in items if item]


def _with_comment(files: Mapping[str, str], noted: Mapping[str, Move]) -> dict[str, str]:
    """The files with the comment where the key stands last, and nowhere else; with none if there is nothing to note."""
    new = {name: _without(text) for name, text in files.items()}
    places = [(name, number) for name, text in new.items() for number in _places(text)]
    if noted and places:
        name, number = places[-1]
        rows = new[name].split("\n")
        items = (f"{move.new} was {move.old or NOTHING}" for move in noted.values())
        rows.insert(number - 1, f"{COMMENT} {', '.join(items)}")
        new[name] = "\n".join(rows)
    return new


def _without(text: str) -> str:
    return "\n".join(row for row in text.split("\n") if not row.startswith(COMMENT))


def _places(text: str) -> Iterator[int]:
    """Numbers of the lines that have the key."""
    for line in lines_of(text):
        if any(pair.key.lower() == KEY.lower() for pair in pairs_of(line.text)[0]):
            yield line.number
