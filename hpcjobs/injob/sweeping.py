"""What older attempts left in a checkpoint folder: put aside, and removed when it is old enough."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from . import manifest
from .errors import CheckpointError, Torn
from .state import Saved, State

ORPHANS_KEPT = 2
STATUS_KEPT = 20

_OURS = re.compile(r"attempt-(\d{6,})(?:\.\d+)?(?:\.json|\.ending)?")
_SAVED = re.compile(r"step-\d+\.attempt-(\d+)\.[0-9a-f]{12}")


def name_of(attempt: int) -> str:
    """The name of what is an attempt's own.

    Args:
        attempt: Its number.
    """
    return f"attempt-{attempt:06d}"


def aside(root: Path, path: Path, attempt: int) -> None:
    """Move something to the orphans.

    Args:
        root: The checkpoint folder.
        path: What; may be gone.
        attempt: Whose it is.
    """
    target = root / "orphans" / name_of(attempt)
    target.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        _moved(path, target / path.name)


def clear(root: Path, given_up: tuple[Saved, ...]) -> None:
    """Remove checkpoints that are none any more: the files that their manifests name, and nothing else.

    Args:
        root: The checkpoint folder.
        given_up: Which.
    """
    for one in given_up:
        with contextlib.suppress(OSError):  # tried again with the next checkpoint
            _remove(root, one)


def sweep(root: Path, now: State) -> None:
    """What older attempts left unfinished goes to the orphans, and of those the oldest go for good.

    Args:
        root: The checkpoint folder.
        now: Attempts and checkpoints.
    """
    clear(root, now.dropped)
    for left in _listed(root / "work"):
        if _number(left) < now.newest:
            (root / "orphans").mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                _moved(left, root / "orphans" / left.name)
    known = {one.path for one in now.saved}
    for left in _listed(root / "saved"):
        by = _SAVED.fullmatch(left.name)
        # What newer attempts place meanwhile is theirs; what older ones placed can be published no more. Without a
        # manifest it is what others had put into a checkpoint that was removed.
        old = by and int(by[1]) < now.newest and f"saved/{left.name}" not in known
        if by and old and (left / manifest.NAME).exists():
            aside(root, left, int(by[1]))
    orphans = [left for left in _listed(root / "orphans") if _number(left)]
    for left in sorted(orphans, key=_number)[:-ORPHANS_KEPT]:
        shutil.rmtree(left, ignore_errors=True)
    told = _listed(root / "status")
    for left in sorted(filter(_number, told), key=_number)[:-STATUS_KEPT]:
        left.unlink(missing_ok=True)
    for left in told:
        if left.is_symlink() and not left.exists():  # of a job whose last attempt is not told of any more
            left.unlink(missing_ok=True)


def _remove(root: Path, one: Saved) -> None:
    folder = root / one.path
    if not (folder / manifest.NAME).exists():
        return  # removed before; what may still be there is others'
    try:
        manifest.remove(folder, manifest.read(folder, one.digest))
    except Torn:
        aside(root, folder, one.attempt)


def _moved(path: Path, target: Path) -> Path:
    """Rename to a name that nothing has, with a number behind it where it must be."""
    for count in range(1, 1000):
        free = target if count == 1 else target.with_name(f"{target.name}.{count}")
        try:
            if not free.exists():
                path.rename(free)
                return free
        except FileNotFoundError:
            raise
        except OSError:
            if not free.exists():
                raise
    raise CheckpointError(f"{target}: a thousand names are taken")


def _listed(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder))]
    except FileNotFoundError:
        return []


def _number(path: Path) -> int:
    found = _OURS.fullmatch(path.name)
    return int(found[1]) if found else 0
