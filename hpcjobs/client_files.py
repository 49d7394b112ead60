"""A cluster's files from outside: listed, downloaded and uploaded so that a break costs nothing but time."""

from __future__ import annotations

import hashlib
import os
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import httpx
import msgspec

from hpcjobs.client import RETRY_FOR_S, ApiProblem, Client
from hpcjobs.model.file import FileChecksum, FileEntry, FilePage, UploadStatus

T = TypeVar("T")
PIECE: Final = 64 * 1024 * 1024
"""Bytes of one PATCH; what a proxy holds or a break may cost."""
BLOCK: Final = 1024 * 1024
RESTARTS: Final = 5
"""Downloads begun anew because the file changed."""


class Changed(Exception):
    """The file is not, or no longer, the one that was asked for."""


def blocks(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    """So many bytes of a file from an offset on."""
    file.seek(start)
    while size > 0 and (data := file.read(min(BLOCK, size))):
        yield data
        size -= len(data)


def sha256_of(path: Path) -> str:
    """SHA-256 of a local file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ClientFiles:
    """Files of one cluster.

    Args:
        client: Whose.
        cluster: Name of the cluster; None: the service's first.
        progress: Told how many bytes of how many are there, now and then.
    """

    def __init__(
        self,
        client: Client,
        cluster: str | None = None,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        self._client = client
        name = cluster or str(client.clusters()[0]["name"])
        self._at = f"/v1/clusters/{urllib.parse.quote(name, safe='')}/files"
        self._progress = progress

    def _url(self, what: str, path: bytes | None = None, **query: object) -> str:
        """Written out here: httpx would take a path for text."""
        told = {} if path is None else {"path": path}
        words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
        text = urllib.parse.urlencode({**told, **words}, quote_via=urllib.parse.quote)
        return f"{self._at}{what}?{text}" if text else self._at + what

    def _do(self, result: type[T], method: str, url: str, **more: Any) -> T:  # noqa: ANN401  httpx's own
        return msgspec.json.decode(self._client.call(method, url, **more).content, type=result)

    def stat(self, path: bytes) -> FileEntry:
        """What is at a path, links followed."""
        return self._do(FilePage, "GET", self._url("", path, limit=1)).file

    def ls(self, path: bytes | None = None) -> Iterator[FileEntry]:
        """What a folder holds, by name; of a file itself. None is the user's own folder."""
        page = self._do(FilePage, "GET", self._url("", path))
        if page.file.type != "dir":
            yield page.file
        yield from page.items
        while page.next_cursor is not None:
            page = self._do(FilePage, "GET", self._url("", path, cursor=page.next_cursor))
            yield from page.items

    def mkdir(self, path: bytes, parents: bool = False) -> FileEntry:
        """Make a folder."""
        return self._do(FileEntry, "POST", self._url("/mkdir", path, parents=parents))

    def rm(self, path: bytes) -> None:
        """Remove a file, a link or an empty folder."""
        self._client.call("DELETE", self._url("", path))

    def rename(self, path: bytes, to: bytes, overwrite: bool = False) -> FileEntry:
        """Give another path."""
        return self._do(FileEntry, "POST", self._url("/rename", path, to=to, overwrite=overwrite))

    def checksum(self, path: bytes) -> FileChecksum:
        """SHA-256, added up on the cluster."""
        return self._do(FileChecksum, "GET", self._url("/checksum", path), timeout=httpx.Timeout(None, connect=10.0))

    def download(self, path: bytes, to: Path, check: bool = True) -> FileEntry:
        """Copy a file from the cluster.

        What came before a break waits beside ``to``, and the same call goes on with it. ``to`` has its name only
        when it is whole, and, with ``check``, when its checksum is that of the cluster.

        Args:
            path: Absolute path on the cluster.
            to: The local file; replaced where it is there.
            check: Whether to compare checksums.

        Raises:
            ApiProblem: The service refuses, or is away for too long.
            Changed: The file never held still, or what came is not what is there.
        """
        for _ in range(RESTARTS):
            there = self.stat(path)
            part = to.with_name(f".{to.name[:180]}.{hashlib.sha256(there.etag.encode()).hexdigest()[:16]}.part")
            try:
                self._fetch(path, there, part)
            except Changed:
                part.unlink(missing_ok=True)
                continue
            if check:
                found = self.checksum(path)
                if found.etag != there.etag:
                    part.unlink()
                    continue
                if found.sha256 != sha256_of(part):
                    part.unlink()
                    raise Changed(f"what came of {os.fsdecode(path)} has another checksum than the file on the cluster")
            part.replace(to)
            return there
        raise Changed(f"{os.fsdecode(path)} does not hold still")

    def _fetch(self, path: bytes, there: FileEntry, part: Path) -> None:
        give_up = time.monotonic() + RETRY_FOR_S
        with part.open("ab") as file:
            while (done := file.tell()) < there.size_bytes:
                headers = {"Range": f"bytes={done}-", "If-Match": there.etag, "Accept-Encoding": "identity"}
                try:
                    with self._client.stream("GET", self._url("/content", path), headers=headers) as response:
                        if response.status_code != 206:  # whoever stands between ignores ranges
                            file.truncate(0)
                        for data in response.iter_raw():
                            file.write(data)
                            give_up = time.monotonic() + RETRY_FOR_S
                            self._progress(file.tell(), there.size_bytes)
                except ApiProblem as problem:
                    if problem.status in (412, 416):
                        raise Changed from problem
                    self._client.pause(problem, give_up)
                file.flush()

    def upload(self, local: Path, path: bytes, overwrite: bool = False) -> FileEntry:
        """Copy a file to the cluster.

        What came before a break stays there, and the same call, even from another process, goes on with it. The
        file has its name only when it is whole and its checksum is that of the local one.

        Args:
            local: The local file.
            path: Absolute path on the cluster, of the file itself.
            overwrite: Whether to replace one that is there.

        Raises:
            ApiProblem: The service refuses, or is away for too long.
        """
        with local.open("rb") as file:
            sha256, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
            begin = self._url("/uploads", path, size_bytes=size, sha256=sha256, overwrite=overwrite)
            forever = {"timeout": httpx.Timeout(None, connect=10.0)}  # it may be done already: then it is checked
            status = self._do(UploadStatus, "POST", begin, **forever)
            give_up = time.monotonic() + RETRY_FOR_S
            while status.file is None:
                self._progress(status.offset, size)
                try:
                    status = self._send(file, status)
                    give_up = time.monotonic() + RETRY_FOR_S
                except ApiProblem as problem:
                    if problem.code != "upload-offset":
                        self._client.pause(problem, give_up)
                    status = self._do(UploadStatus, "POST", begin, **forever)
        self._progress(size, size)
        return status.file

    def _send(self, file: BinaryIO, status: UploadStatus) -> UploadStatus:
        size = min(PIECE, status.size_bytes - status.offset)
        headers = {"Upload-Offset": str(status.offset), "Content-Length": str(size)}
        url, body = self._url(f"/uploads/{status.id}"), blocks(file, status.offset, size)
        with self._client.stream("PATCH", url, headers=headers, content=body) as response:
            return msgspec.json.decode(response.read(), type=UploadStatus)
