"""Files as the service tells of them."""

from __future__ import annotations

from typing import Literal

import msgspec

FileType = Literal["file", "dir", "symlink", "fifo", "socket", "device"]


class FileEntry(msgspec.Struct, frozen=True):
    """A file, folder, link or other thing.

    Attributes:
        name: Last part of the path, for people: bytes that are no UTF-8 are shown as U+FFFD.
        quoted_path: The exact path, percent-encoded: what to put after ``?path=``.
        type: What it is. A link in a listing is told as a link.
        size_bytes: Length.
        mode: Permission bits, octal.
        owner: Name of the owner, or the number.
        group: Name of the group, or the number.
        mtime: Unix seconds of the last change.
        target: Where a link points, for people; null: it is none.
        etag: For If-Match; changes with the file.
    """

    name: str
    quoted_path: str
    type: FileType
    size_bytes: int
    mode: str
    owner: str
    group: str
    mtime: float
    target: str | None
    etag: str


class FilePage(msgspec.Struct, frozen=True):
    """What is at a path, and what is in it.

    Attributes:
        file: What the path leads to.
        items: What a folder holds, by name.
        next_cursor: Ask for the next page with it; null: this was the last.
    """

    file: FileEntry
    items: list[FileEntry]
    next_cursor: str | None


class FileChecksum(msgspec.Struct, frozen=True):
    """SHA-256 of a file.

    Attributes:
        sha256: In hexadecimal.
        size_bytes: Of how many bytes.
        etag: Of which file: as its content has it.
    """

    sha256: str
    size_bytes: int
    etag: str


class UploadStatus(msgspec.Struct, frozen=True):
    """How far an upload is.

    Attributes:
        id: Names it in URLs.
        offset: How many bytes are there: where to go on.
        size_bytes: How many there will be.
        complete: Whether it has become the file.
        file: The file, once it is complete.
    """

    id: str
    offset: int
    size_bytes: int
    complete: bool
    file: FileEntry | None
