"""Patterns of messages, and tables of Slurm's words and exit codes: data in ``patterns/``, read strictly."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from hpcjobs.errors import SettingsError
from hpcjobs.model.failure import FailureClass

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class Pattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One message that programs print when something goes wrong.

    Attributes:
        name: As findings call it, unique.
        failure: The class that it speaks for.
        words: Words that each such line has, letter by letter: only lines that have them are looked at.
        regex: What else the line must be like, searched in it; ``""``: the words are enough. The groups ``node``,
            ``device`` and ``rank`` name those. Repeats are possessive but for one, so no line takes long.
        symptom: It follows from something else that may be told elsewhere.
        weak: It can have other causes.
        after: It is printed when all is over, whenever its cause was: within a log it stands before all others.
        general: It says less than any other pattern that knows the same line.
        source: The public page that documents the message.
        example: A line that it is meant for.
    """

    name: str
    failure: FailureClass
    words: str
    regex: str = ""
    symptom: bool = False
    weak: bool = False
    after: bool = False
    general: bool = False
    source: str
    example: str

    @property
    def search(self) -> re.Pattern[str]:
        """The compiled expression."""
        return _compiled(self.regex)


class Xid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number of NVIDIA's Xid catalog.

    Attributes:
        code: The number.
        title: What the catalog calls it.
        failure: ``device``: the GPU or its links; ``user``: mostly the program.
        symptom: It follows from another error.
        weak: It can have other causes.
    """

    code: int
    title: str
    failure: FailureClass
    symptom: bool = False
    weak: bool = False


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A state, a reason, an exit code or a signal, and what it means.

    Attributes:
        word: The state or the beginning of the reason; the number of an exit code or signal.
        failure: The class that it speaks for.
        means: In words that complete "Slurm says that", or "exit code 127 means that".
        weak: Lines of logs know better.
    """

    word: str
    failure: FailureClass
    means: str
    weak: bool = False


class Class(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of a class.

    Attributes:
        name: The class.
        says: A sentence for people: what happened.
        hint: What would help, a sentence; ``""``: nothing to be done by people.
    """

    name: FailureClass
    says: str
    hint: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str = ""
    patterns: tuple[Pattern, ...] = ()
    xids: tuple[Xid, ...] = ()
    classes: tuple[Class, ...] = ()
    states: tuple[Word, ...] = ()
    reasons: tuple[Word, ...] = ()
    exits: tuple[Word, ...] = ()
    signals: tuple[Word, ...] = ()


class Knowledge(msgspec.Struct, frozen=True):
    """All that ``patterns/`` says.

    Attributes:
        patterns: Of messages, those of Xids among them.
        classes: What is said of each class.
        states: Slurm's states, by word.
        reasons: Slurm's reasons, by how they begin.
        exits: Exit codes, by number.
        signals: Signals, by number.
    """

    patterns: tuple[Pattern, ...]
    classes: dict[FailureClass, Class]
    states: dict[str, Word]
    reasons: dict[str, Word]
    exits: dict[int, Word]
    signals: dict[int, Word]


@cache
def knowledge() -> Knowledge:
    """Read ``patterns/``, once.

    Raises:
        SettingsError: A file is no TOML, has a field that is not known, or lacks one that is needed.
    """
    folder = resources.files("hpcjobs.recovery") / "patterns"
    files = [_read(file) for file in sorted(folder.iterdir(), key=lambda entry: entry.name)]
    known = [_of_xid(xid, file.source) for file in files for xid in file.xids]
    return Knowledge(
        patterns=(*(one for file in files for one in file.patterns), *known),
        classes={one.name: one for file in files for one in file.classes},
        states={one.word: one for file in files for one in file.states},
        reasons={one.word: one for file in files for one in file.reasons},
        exits={int(one.word): one for file in files for one in file.exits},
        signals={int(one.word): one for file in files for one in file.signals},
    )


def _read(file: Traversable) -> _File:
    try:
        return msgspec.toml.decode(file.read_bytes(), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"the patterns of failures in {file.name} cannot be read: {error}") from error


def _of_xid(xid: Xid, source: str) -> Pattern:
    return Pattern(
        name=f"xid-{xid.code}",
        failure=xid.failure,
        words="Xid (",
        regex=rf"(?<!S)Xid \((?:PCI:)?(?P<device>[0-9a-fA-F:.]{{4,32}}+)\): {xid.code}\b",
        symptom=xid.symptom,
        weak=xid.weak,
        source=source,
        example=f"NVRM: Xid (PCI:0000:3b:00): {xid.code}, pid=4242, name=python, {xid.title}",
    )


@cache
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)
