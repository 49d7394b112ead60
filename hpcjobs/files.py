"""Files of a cluster as one of its users: what can be done with them, and the way that does it through agents.

Paths and names are bytes, as they are to the system. SFTP will be another FileSystem.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec

from hpcjobs.agents.pool import AgentFailure, AgentPool, Key, SpawnRefused
from hpcjobs.errors import (
    Conflict,
    FileExists,
    FileMissing,
    HpcjobsError,
    NoSpace,
    NotAllowed,
    NotSupported,
    PathOutside,
    PreconditionFailed,
    Refusal,
    Refused,
    Unavailable,
    WorkerLost,
    WrongKind,
)
from hpcjobs.model.file import FileType

T = TypeVar("T")
CHUNK: Final = 1024 * 1024
CALL_TIMEOUT_S: Final = 30.0
SUM_TRIES: Final = 3


class FileInfo(msgspec.Struct, frozen=True):
    """What is at a path.

    Attributes:
        name: Last part of the path.
        type: Kind of thing.
        size_bytes: Length; of a link, that of its target's name.
        mode: Permission bits.
        owner: Name of the owner, or the number where it has none.
        group: Likewise.
        mtime_ns: Unix nanoseconds of the last change.
        target: Where a link points; None: it is none.
        etag: Changes whenever another file or other bytes are there.
    """

    name: bytes
    type: FileType
    size_bytes: int
    mode: int
    owner: str
    group: str
    mtime_ns: int
    target: bytes | None
    etag: str

    def same_file(self, other: FileInfo) -> bool:
        """Whether it is the same file, though it may have grown."""
        return self.etag.partition("-")[0] == other.etag.partition("-")[0]


class Listing(msgspec.Struct, frozen=True):
    """A page of a folder, and the last name of the page where more follows."""

    items: list[FileInfo]
    last: bytes | None


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a file: bytes, where they start, the file's size then, and which file it was where that was told."""

    data: bytes
    offset: int
    size: int
    file: FileInfo | None = None


class Checksum(msgspec.Struct, frozen=True):
    """A file's checksum: in hexadecimal, of how many bytes, and of which file. With a ticket it is not done yet."""

    ticket: str
    sha256: str
    size_bytes: int
    etag: str


class Offset(msgspec.Struct, frozen=True):
    """How many bytes of an upload are there."""

    offset: int


class Committed(msgspec.Struct, frozen=True):
    """An upload that has become a file, and whether it replaced one."""

    file: FileInfo
    replaced: bool


class FileSystem(Protocol):
    """Files as one user. Every method may raise FileMissing, NotAllowed, PathOutside, WrongKind and Unavailable."""

    @property
    def home(self) -> bytes:
        """The user's own folder."""
        ...

    async def status(self, path: bytes, follow: bool = True) -> FileInfo:
        """What is at a path; a link itself where it is not followed."""
        ...

    async def entries(self, path: bytes, after: bytes, limit: int) -> Listing:
        """A page of a folder, by name, beginning after a name."""
        ...

    async def read(self, path: bytes, offset: int, limit: int) -> Chunk:
        """A range of a file; a negative offset counts from the end."""
        ...

    async def checksum(self, path: bytes, token: str = "") -> Checksum:
        """SHA-256 of a file, or of what an upload has of it."""
        ...

    async def make_folder(self, path: bytes, parents: bool) -> None:
        """Make a folder, and those above it; or FileExists."""
        ...

    async def remove(self, path: bytes) -> None:
        """Remove a file, a link or an empty folder; or Conflict."""
        ...

    async def rename(self, path: bytes, to: bytes, overwrite: bool) -> None:
        """Give another path; or FileExists."""
        ...

    async def part_begin(self, path: bytes, token: str, size_bytes: int | None, overwrite: bool) -> int:
        """Begin an upload, or find it; how many bytes are there. Or FileExists, NoSpace."""
        ...

    async def part_state(self, path: bytes, token: str) -> int:
        """How many bytes of an upload are there."""
        ...

    async def part_write(self, path: bytes, token: str, offset: int, data: bytes) -> int:
        """Append to an upload where it has that length; how long it is now. Or NoSpace."""
        ...

    async def part_commit(
        self, path: bytes, token: str, part_etag: str, overwrite: bool, if_match: str | None, private: bool = False
    ) -> Committed:
        """Give an upload its name, whole and at once; or FileExists, PreconditionFailed.

        ``private``: its owner alone may read it, whoever may what it replaces.
        """
        ...

    async def part_remove(self, path: bytes, token: str) -> None:
        """Give an upload up."""
        ...


def shown(path: bytes) -> str:
    """A path for people; exact unless it is no UTF-8."""
    return path.decode("utf-8", "replace")


KINDS: Final[dict[int, type[HpcjobsError]]] = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), FileMissing),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP), NotAllowed),
    **dict.fromkeys((errno.EISDIR, errno.EINVAL, errno.ENXIO), WrongKind),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), NoSpace),
    **dict.fromkeys((errno.ENOSYS, errno.ENOTSUP), NotSupported),
    errno.EXDEV: PathOutside,
    errno.EEXIST: FileExists,
    errno.ENOTEMPTY: Conflict,
    errno.ECANCELED: PreconditionFailed,
}
"""What the system's error numbers are to a caller; any other may be of the moment."""


VERBS: Final = {"status": "look at", "entries": "list", "make_folder": "make", "remove": "remove", "rename": "move"}


def error_of(failure: AgentFailure, user: str, op: str, path: str) -> HpcjobsError:
    """What an agent's failure is to the caller."""
    told, said = failure.failure, f"{path}: {failure.failure.message}."
    if told.kind == "value" or told.errno in (errno.ENAMETOOLONG, errno.EILSEQ):
        return Refused([Refusal("path", said)])
    if told.kind == "bug":
        return HpcjobsError(f"A fault of the service: {said}")
    kind = KINDS.get(told.errno, Unavailable)
    verb = VERBS.get(op, "write" if op.startswith("part_") else "read")
    return kind(f"{user} may not {verb} {said}" if kind is NotAllowed else said)


async def ask_agent(
    pool: AgentPool, user: str, op: str, args: dict[str, Any], path: str, result: type[T], tries: int = 1
) -> T:
    """Have a user's files agent do one call.

    Args:
        pool: Where the agents come from.
        user: In whose name.
        op: Name of the operation.
        args: Its arguments.
        path: What it is about, for the message of an error.
        result: Type of the result.
        tries: How many agents may be lost over it: more than one where doing it twice is doing it once.

    Raises:
        HpcjobsError: As error_of() has it; NotAllowed: no agent acts for this user.
    """
    while True:
        tries -= 1
        try:
            return await pool.call(Key("files", user), op, args, result, CALL_TIMEOUT_S)
        except SpawnRefused as error:
            raise NotAllowed(f"{error}.") from error
        except AgentFailure as error:
            raise error_of(error, user, op, path) from error
        except WorkerLost:
            if not tries:
                raise


class AgentFiles:
    """Files below the roots of a cluster, through the user's agent: the kernel judges each call.

    Args:
        pool: Where the agents come from.
        user: In whose name.
        roots: Absolute paths of the folders that can be reached.
    """

    def __init__(self, pool: AgentPool, user: str, roots: tuple[str, ...]) -> None:
        self.pool = pool
        self.user = user
        self.roots = [root.encode() for root in roots]

    @property
    def home(self) -> bytes:
        """See FileSystem."""
        return self.roots[0]

    async def _ask(self, op: str, path: bytes, result: type[T], more: Mapping[str, object], tries: int = 1) -> T:
        args = {"roots": self.roots, "path": path, **more}
        return await ask_agent(self.pool, self.user, op, args, shown(path), result, tries)

    async def status(self, path: bytes, follow: bool = True) -> FileInfo:
        """See FileSystem."""
        return await self._ask("status", path, FileInfo, {"follow": follow}, tries=2)

    async def entries(self, path: bytes, after: bytes, limit: int) -> Listing:
        """See FileSystem."""
        return await self._ask("entries", path, Listing, {"after": after, "limit": limit}, tries=2)

    async def read(self, path: bytes, offset: int, limit: int) -> Chunk:
        """See FileSystem."""
        return await self._ask("read", path, Chunk, {"offset": offset, "limit": limit}, tries=2)

    async def checksum(self, path: bytes, token: str = "") -> Checksum:
        """See FileSystem."""
        for left in reversed(range(SUM_TRIES)):
            try:
                done = await self._ask("checksum", path, Checksum, {"ticket": "", "token": token})
                while done.ticket:
                    done = await self._ask("checksum", path, Checksum, {"ticket": done.ticket, "token": token})
            except Unavailable:  # its agent was lost, or the file was written to: from the start
                if not left:
                    raise
            else:
                return done
        raise AssertionError

    async def make_folder(self, path: bytes, parents: bool) -> None:
        """See FileSystem."""
        await self._ask("make_folder", path, type(None), {"parents": parents})

    async def remove(self, path: bytes) -> None:
        """See FileSystem."""
        await self._ask("remove", path, type(None), {})

    async def rename(self, path: bytes, to: bytes, overwrite: bool) -> None:
        """See FileSystem."""
        await self._ask("rename", path, type(None), {"to": to, "overwrite": overwrite})

    async def part_begin(self, path: bytes, token: str, size_bytes: int | None, overwrite: bool) -> int:
        """See FileSystem."""
        more = {"token": token, "size_bytes": size_bytes, "overwrite": overwrite}
        return (await self._ask("part_begin", path, Offset, more, tries=2)).offset

    async def part_state(self, path: bytes, token: str) -> int:
        """See FileSystem."""
        return (await self._ask("part_state", path, Offset, {"token": token}, tries=2)).offset

    async def part_write(self, path: bytes, token: str, offset: int, data: bytes) -> int:
        """See FileSystem."""
        return (await self._ask("part_write", path, Offset, {"token": token, "offset": offset, "data": data})).offset

    async def part_commit(
        self, path: bytes, token: str, part_etag: str, overwrite: bool, if_match: str | None, private: bool = False
    ) -> Committed:
        """See FileSystem."""
        more = {"token": token, "part_etag": part_etag, "overwrite": overwrite, "if_match": if_match}
        if private:  # a spawner that was started before this one knows no such word
            more["private"] = True
        return await self._ask("part_commit", path, Committed, more)

    async def part_remove(self, path: bytes, token: str) -> None:
        """See FileSystem."""
        await self._ask("part_remove", path, type(None), {"token": token})


async def content(files: FileSystem, path: bytes, known: FileInfo, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes of a file from start to end, of this file alone: one that replaces it meanwhile breaks the stream off.

    Args:
        files: As whom.
        path: Absolute path.
        known: The file that is meant.
        start: First byte.
        end: One after the last byte.

    Raises:
        Unavailable: Another file is there now, or it was cut short.
    """
    while start < end:
        chunk = await files.read(path, start, min(CHUNK, end - start))
        if chunk.file is None or not chunk.file.same_file(known) or not chunk.data:
            raise Unavailable(f"{shown(path)} was replaced or cut short while it was read.")
        yield chunk.data
        start += len(chunk.data)
