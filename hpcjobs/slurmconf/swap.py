"""Several files exchanged for new ones, so that a death at any point leaves the old or the new ones, and a note of it.

New texts are written beside the old ones and backups are made; then a journal names what is to be; then each file is
renamed into place; when the controller has shown that it took them, the journal goes. Who finds a journal finds a swap
that nobody finished, and puts the old files back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Conflict, Unavailable
from hpcjobs.slurmconf.runner import Runner, must, read_bytes, write_beside

JOURNAL: Final = ".hpcjobs-conf.journal"
"""Name of the journal, in the folder of slurm.conf."""

NEW: Final = "hpcjobs-new"
"""What new files are called behind their name, while they wait."""


class Change(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        path: Where it is; no symbolic link.
        old: What is in it; None: it is not there.
        new: What shall be in it; None: it shall go.
    """

    path: str
    old: bytes | None
    new: bytes | None


class Entry(msgspec.Struct, frozen=True):
    """One file, in the journal.

    Attributes:
        path: Where it is.
        backup: Where the old one is kept; ``""``: there was none.
        gone: Whether the new state is that it is not there.
    """

    path: str
    backup: str
    gone: bool = False


class Journal(msgspec.Struct, frozen=True):
    """What is being done.

    Attributes:
        stamp: When it began, as in the names of backups.
        entries: In the order in which they are put in place.
    """

    stamp: str
    entries: tuple[Entry, ...]


_MOVE: Final = """set -eu
if [ "$1" = put ]; then mv -f -T -- "$2" "$3"; else rm -f -- "$3"; fi
sync "$(dirname -- "$3")"
"""

_KEEP: Final = """set -eu
cp -p -T -- "$1" "$2"
sync "$2"
"""

CHANGED: Final = 45
"""Exit code of _AS_READ for a file that is not as it was read."""

_AS_READ: Final = f"""set -eu
if [ -e "$1" ]; then is=$(sha256sum <"$1" | cut -c 1-64); else is=; fi
[ "$is" = "$2" ] || exit {CHANGED}
"""


def swap(runner: Runner, folder: str, changes: Sequence[Change], stamp: str) -> Journal:
    """Exchange files. Before the first is, all new ones and all backups are on disk.

    Args:
        runner: The machine.
        folder: Where the journal is kept.
        changes: In the order in which they are put in place.
        stamp: For the names of backups.

    Raises:
        Conflict: A file is not as it was read: somebody else has written it since. Nothing is left behind.
        Unavailable: Something could not be written. Where the journal is there, ``put_back`` undoes the rest; where it
            is not, nothing is left behind.
    """
    journal = Journal(
        stamp,
        tuple(
            Entry(change.path, f"{change.path}.hpcjobs-{stamp}" if change.old is not None else "", change.new is None)
            for change in changes
        ),
    )
    try:
        for change, entry in zip(changes, journal.entries, strict=True):
            if entry.backup:
                must(runner, ["sh", "-c", _KEEP, "sh", entry.path, entry.backup], f"{entry.path} cannot be kept")
            if change.new is not None:
                write_beside(runner, entry.path, change.new, NEW, f"{folder}/slurm.conf")
            # The backup is what was there when it was made: it is compared, not the file, which may change again.
            _as_read(runner, change, entry.backup or entry.path)
        _write_journal(runner, folder, journal)
    except (Conflict, Unavailable):
        left = [f"{entry.path}.{NEW}" for entry in journal.entries]
        left += [entry.backup for entry in journal.entries if entry.backup]
        runner.run(["rm", "-f", "--", *left])
        raise
    for entry in journal.entries:
        _move(runner, "" if entry.gone else f"{entry.path}.{NEW}", entry.path)
    return journal


def _as_read(runner: Runner, change: Change, path: str) -> None:
    """See that what was in a file when it was read was still in it."""
    digest = "" if change.old is None else hashlib.sha256(change.old).hexdigest()
    ran = runner.run(["sh", "-c", _AS_READ, "sh", path, digest])
    if ran.code == CHANGED:
        raise Conflict(f"{change.path} was changed by somebody else after it was read: nothing was written")
    if ran.code:
        raise Unavailable(f"{path} cannot be read: {ran.complaint}")


def put_back(runner: Runner, folder: str, journal: Journal) -> None:
    """The old files again, in the reverse order, whichever of them had been exchanged; the journal goes.

    Raises:
        Unavailable: A file cannot be written; the journal stays.
    """
    for entry in reversed(journal.entries):
        must(runner, ["rm", "-f", "--", f"{entry.path}.{NEW}"], f"{entry.path}.{NEW} cannot be removed")
        if entry.backup:
            words = ["sh", "-c", _KEEP, "sh", entry.backup, f"{entry.path}.{NEW}"]
            must(runner, words, f"{entry.backup} cannot be copied")
        _move(runner, f"{entry.path}.{NEW}" if entry.backup else "", entry.path)
    finish(runner, folder)


def finish(runner: Runner, folder: str) -> None:
    """Forget the journal: what is there now is meant to be."""
    _move(runner, "", f"{folder}/{JOURNAL}")


def unfinished(runner: Runner, folder: str) -> Journal | None:
    """The journal of a swap that nobody finished.

    Raises:
        Unavailable: It cannot be read.
    """
    data = read_bytes(runner, f"{folder}/{JOURNAL}")
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Journal)
    except msgspec.MsgspecError as error:
        raise Unavailable(f"{folder}/{JOURNAL} is no journal of ours ({error}): look what it is") from None


def _write_journal(runner: Runner, folder: str, journal: Journal) -> None:
    path = f"{folder}/{JOURNAL}"
    write_beside(runner, path, msgspec.json.encode(journal), NEW, f"{folder}/slurm.conf")
    _move(runner, f"{path}.{NEW}", path)


def _move(runner: Runner, new: str, path: str) -> None:
    words = ["put", new, path] if new else ["take", "", path]
    must(runner, ["sh", "-c", _MOVE, "sh", *words], f"{path} cannot be put in place")
