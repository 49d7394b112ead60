"""What a checkpoint consists of: MANIFEST.json, written last, with the size and sha256 of each file."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .errors import Torn
from .register import sync_folder, write_synced

NAME = "MANIFEST.json"
FORMAT = 1
CHUNK_BYTES = 4 << 20


class File(NamedTuple):
    """One file of a checkpoint.

    Attributes:
        path: Below the checkpoint's folder, with slashes.
        size: Bytes.
        sha256: Hexadecimal.
    """

    path: str
    size: int
    sha256: str


class Manifest(NamedTuple):
    """What a checkpoint consists of.

    Attributes:
        step: Of the program.
        attempt: Which one wrote it.
        time: When it was sealed, Unix seconds.
        files: All of them, by path.
        format: Of the manifest.
    """

    step: int
    attempt: int
    time: float
    files: tuple[File, ...]
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def seal(folder: Path, step: int, attempt: int, now: float) -> str:
    """Read all files of a checkpoint, have them on disk, and write its manifest last.

    Args:
        folder: Of the checkpoint.
        step: Of the program.
        attempt: Which one wrote it.
        now: Unix seconds.

    Returns:
        sha256 of the manifest.

    Raises:
        Torn: It has no files, or something that is neither file nor folder.
        OSError: As when the disk is full; there is no manifest then.
    """
    (folder / NAME).unlink(missing_ok=True)  # sealed before, and not published
    files = tuple(_measured(folder, path, sync=True) for path in sorted(_below(folder)))
    if not files:
        raise Torn(f"{folder}: a checkpoint without files")
    made = Manifest(step, attempt, now, files)
    text = json.dumps({**made._asdict(), "files": [file._asdict() for file in files]}, indent=1).encode()
    write_synced(folder / NAME, text)
    for inner, _, _ in os.walk(folder):
        sync_folder(Path(inner))
    return hashlib.sha256(text).hexdigest()


def read(folder: Path, digest: str) -> Manifest:
    """The manifest of a checkpoint, without a look at the files.

    Args:
        folder: Of the checkpoint.
        digest: What ``seal`` gave.

    Raises:
        Torn: It is gone, or not the one that was written.
    """
    try:
        text = (folder / NAME).read_bytes()
    except OSError as error:
        raise Torn(f"{folder}: no manifest: {error.strerror}") from error
    if hashlib.sha256(text).hexdigest() != digest:
        raise Torn(f"{folder}: the manifest was changed")
    told = json.loads(text)
    if told["format"] != FORMAT:
        raise Torn(f"{folder}: format {told['format']} of manifests is not known, only {FORMAT}")
    return Manifest(**{**told, "files": tuple(File(**file) for file in told["files"])})


def check(folder: Path, digest: str, *, content: bool = True) -> Manifest:
    """Hold a checkpoint against its manifest. Files that the manifest does not name are nobody's concern.

    Args:
        folder: Of the checkpoint.
        digest: What ``seal`` gave.
        content: Read every byte; else sizes alone.

    Raises:
        Torn: A file is missing, shorter, longer or another.
    """
    manifest = read(folder, digest)
    for file in manifest.files:
        try:
            size = (folder / file.path).stat().st_size
            found = _measured(folder, file.path) if content and size == file.size else file._replace(size=size)
        except OSError as error:
            raise Torn(f"{folder / file.path}: {error.strerror}") from error
        if found.size != file.size:
            raise Torn(f"{folder / file.path}: {found.size} bytes, not {file.size}")
        if found.sha256 != file.sha256:
            raise Torn(f"{folder / file.path}: its content is not what was saved")
    return manifest


def remove(folder: Path, manifest: Manifest) -> None:
    """Remove what a manifest names, itself last, and the folder unless others put something there.

    Args:
        folder: Of the checkpoint.
        manifest: Its own.
    """
    for file in manifest.files:
        (folder / file.path).unlink(missing_ok=True)
    (folder / NAME).unlink(missing_ok=True)
    for inner, _, _ in os.walk(folder, topdown=False):
        if not os.listdir(inner):
            os.rmdir(inner)


def _below(folder: Path) -> Iterator[str]:
    for inner, folders, names in os.walk(folder):
        for name in folders:
            if (Path(inner) / name).is_symlink():
                raise Torn(f"{Path(inner) / name}: a link to a folder, whose content nobody would check")
        for name in names:
            yield (Path(inner) / name).relative_to(folder).as_posix()


def _measured(folder: Path, path: str, *, sync: bool = False) -> File:
    digest, size = hashlib.sha256(), 0
    opened = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(opened, "rb", buffering=0) as content:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise Torn(f"{folder / path}: not a file")
        while True:
            chunk = content.read(CHUNK_BYTES)
            if not chunk:
                break
            size += len(chunk)
            digest.update(chunk)
        if sync:
            os.fsync(opened)
    return File(path, size, digest.hexdigest())
