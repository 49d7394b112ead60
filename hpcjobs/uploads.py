"""Uploads that survive whatever breaks: the client's connection, an agent, the service.

Nothing of them is kept here. An upload's id says all that was asked for, and the part file on the cluster says how
far it got. Where the client gave the checksum, the same request finds the same upload again.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Final

import msgspec

from hpcjobs.errors import (
    BodyBroken,
    ChecksumMismatch,
    FileExists,
    FileMissing,
    HpcjobsError,
    PreconditionFailed,
    Refusal,
    Refused,
    UploadOffset,
    UploadUnknown,
    WorkerLost,
)
from hpcjobs.files import Committed, FileInfo, FileSystem, shown

PIECE: Final = 1024 * 1024
WORKERS: Final = 3
"""Agents that may be lost over one piece."""


class Upload(msgspec.Struct, frozen=True, array_like=True):
    """What was asked for.

    Attributes:
        path: The file to be.
        size_bytes: How long it will be.
        sha256: What it will hold, in hexadecimal; ``""``: not told.
        overwrite: Whether it may replace a file.
        token: Names its part file.
    """

    path: bytes
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]
    overwrite: bool
    token: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]

    @property
    def id(self) -> str:
        """All of it, as one segment of a URL."""
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()


class Progress(msgspec.Struct, frozen=True):
    """How far an upload is; ``file`` is what it became."""

    upload: Upload
    offset: int
    file: FileInfo | None = None


def new_upload(user: str, path: bytes, size_bytes: int, sha256: str, overwrite: bool) -> Upload:
    """An upload: the same for the same request, if it names the content."""
    token = secrets.token_hex(16)
    if sha256:
        asked = msgspec.msgpack.encode([user, path, size_bytes, sha256, overwrite])
        token = hashlib.sha256(asked).hexdigest()[:32]
    return Upload(path, size_bytes, sha256, overwrite, token)


def read_id(upload_id: str) -> Upload:
    """The upload that an id speaks of. It gives no right: what it asks for is done as the caller, as anything else.

    Raises:
        UploadUnknown: It is no id of ours.
    """
    try:
        packed = base64.b64decode(upload_id + "=" * (-len(upload_id) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(packed, type=Upload)
    except (ValueError, msgspec.MsgspecError) as error:
        raise UploadUnknown("This is not the id of an upload.") from error


async def begin(files: FileSystem, upload: Upload) -> Progress:
    """Begin, or find out that it was begun or even done.

    Raises:
        FileExists: There is a file, and it must not be replaced.
        NoSpace: It does not fit.
    """
    if (done := await _done(files, upload)) is not None:
        return done
    offset = await files.part_begin(upload.path, upload.token, upload.size_bytes, upload.overwrite)
    if offset > upload.size_bytes:
        await files.part_remove(upload.path, upload.token)
        offset = await files.part_begin(upload.path, upload.token, upload.size_bytes, upload.overwrite)
    return await _finish(files, upload) if offset == upload.size_bytes else Progress(upload, offset)


async def state(files: FileSystem, upload: Upload) -> Progress:
    """How far it is.

    Raises:
        UploadUnknown: There is no such upload, or no longer.
    """
    try:
        return Progress(upload, await files.part_state(upload.path, upload.token))
    except FileMissing as error:
        if (done := await _done(files, upload)) is not None:
            return done
        raise _gone(upload) from error


def _gone(upload: Upload) -> UploadUnknown:
    return UploadUnknown(f"There is no such upload to {shown(upload.path)}: it was done or given up, or never begun.")


async def _done(files: FileSystem, upload: Upload) -> Progress | None:
    """The upload as done, where its very content is at its path; only a checksum can say so."""
    if not upload.sha256:
        return None
    try:
        there = await files.status(upload.path, follow=False)
        if there.type != "file" or there.size_bytes != upload.size_bytes:
            return None
        if (await files.checksum(upload.path)).sha256 != upload.sha256:
            return None
    except HpcjobsError:  # not there, or not ours to read: then it is not done
        return None
    return Progress(upload, upload.size_bytes, there)


async def append(files: FileSystem, upload: Upload, offset: int, body: AsyncIterator[bytes]) -> Progress:
    """Take what comes next; with the last byte the upload becomes the file.

    Args:
        files: As whom.
        upload: Which.
        offset: Where the body begins.
        body: Bytes as they come. What came before it broke (BodyBroken) is kept.

    Raises:
        UploadOffset: The upload is not that long.
        UploadUnknown: There is no such upload.
        ChecksumMismatch: All bytes are there, but not those that were announced.
    """
    now = await state(files, upload)
    if now.offset != offset:
        raise _astray(upload, now.offset)
    if now.file is not None:
        return now
    try:
        offset = await _take(files, upload, offset, body)
    except FileMissing as error:
        raise _gone(upload) from error
    return await _finish(files, upload) if offset == upload.size_bytes else Progress(upload, offset)


def _astray(upload: Upload, offset: int) -> UploadOffset:
    return UploadOffset(f"The upload to {shown(upload.path)} has {offset} of {upload.size_bytes} bytes.", offset=offset)


async def _take(files: FileSystem, upload: Upload, offset: int, body: AsyncIterator[bytes]) -> int:
    held = bytearray()
    try:
        async for data in body:
            held += data
            if 0 <= upload.size_bytes < offset + len(held):
                raise Refused([Refusal("", f"The upload has {upload.size_bytes} bytes; this body goes on after that.")])
            if len(held) >= PIECE:
                offset = await _write(files, upload, offset, bytes(held))
                held.clear()
    except BodyBroken:
        if held:
            await _write(files, upload, offset, bytes(held))
        raise
    return await _write(files, upload, offset, bytes(held)) if held else offset


async def _write(files: FileSystem, upload: Upload, offset: int, data: bytes) -> int:
    """Write one piece. An agent that was lost over it may have written all, some or none of it."""
    end = offset + len(data)
    for left in reversed(range(WORKERS)):
        try:
            now = await files.part_write(upload.path, upload.token, offset, data[offset - end :])
        except WorkerLost:
            if not left:
                raise
            now = await files.part_state(upload.path, upload.token)
            if offset <= now < end:
                offset = now
                continue
        if now != end:
            raise _astray(upload, now)
        return now
    raise AssertionError


async def _finish(files: FileSystem, upload: Upload) -> Progress:
    """Check the bytes and give the file its name."""
    try:
        committed = await _commit(files, upload, None)
    except (FileMissing, WorkerLost) as error:
        # Done by another request, or by an agent that was lost before it could say so.
        if (done := await _done(files, upload)) is not None:
            return done
        if isinstance(error, WorkerLost):
            raise
        raise _gone(upload) from error
    return Progress(upload, upload.size_bytes, committed.file)


async def _commit(files: FileSystem, upload: Upload, if_match: str | None) -> Committed:
    etag = ""
    if upload.sha256:
        found = await files.checksum(upload.path, upload.token)
        if found.sha256 != upload.sha256:
            await files.part_remove(upload.path, upload.token)
            raise ChecksumMismatch(
                f"What came for {shown(upload.path)} has the SHA-256 {found.sha256}, not {upload.sha256}: "
                "it was thrown away; the file is as it was."
            )
        etag = found.etag
    return await files.part_commit(upload.path, upload.token, etag, upload.overwrite, if_match)


async def abort(files: FileSystem, upload: Upload) -> None:
    """Give it up.

    Raises:
        UploadUnknown: There is no such upload.
    """
    try:
        await files.part_remove(upload.path, upload.token)
    except FileMissing as error:
        raise _gone(upload) from error


async def put(
    files: FileSystem,
    path: bytes,
    size_bytes: int | None,
    sha256: str,
    body: AsyncIterator[bytes],
    *,
    new: bool = False,
    if_match: str | None = None,
) -> Committed:
    """Write a file in one go; the old one stays whole until the new one is.

    Args:
        files: As whom.
        path: The file.
        size_bytes: How long it will be; None: nobody said.
        sha256: What it will hold, in hexadecimal; ``""``: not told.
        body: Bytes as they come.
        new: Only where there is none yet.
        if_match: Etag of the only file that it may replace.

    Raises:
        PreconditionFailed: There is one, or another one.
        NoSpace: It does not fit.
        ChecksumMismatch: These are not the bytes that were announced.
    """
    upload = Upload(path, -1 if size_bytes is None else size_bytes, sha256, not new, secrets.token_hex(16))
    try:
        await files.part_begin(path, upload.token, size_bytes, upload.overwrite)
    except FileExists as error:
        raise PreconditionFailed(error.detail) from error
    try:
        await _take(files, upload, 0, body)
        return await _commit(files, upload, if_match)
    except BaseException as error:
        with suppress(HpcjobsError):
            await files.part_remove(path, upload.token)
        if isinstance(error, FileExists):
            raise PreconditionFailed(error.detail) from error
        raise
