# Made by scripts/unasync of hpcjobs/client/_async/files.py; change that and run it. Alike on purpose.
"""A cluster's files from outside, so that a break costs nothing but time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from hpcjobs.client._sync.caller import Caller
from hpcjobs.client.patience import Patience, Stream, apart
from hpcjobs.client.problems import ApiProblem, Changed, PreconditionFailed, UploadOffset
from hpcjobs.client.wire import FOREVER, RemotePath, block_at, part_of, path_bytes, segment, sha256_of
from hpcjobs.model.cluster import ClusterSummary
from hpcjobs.model.file import FileChecksum, FileEntry, FilePage, UploadStatus

PIECE: Final = 64 * 1024 * 1024
"""Bytes of one PATCH; what a proxy holds or a break may cost."""
RESTARTS: Final = 5
"""Downloads begun anew because the file changed."""
UNSATISFIABLE: Final = 416
PARTIAL: Final = 206


def _nobody(_done: int, _size: int) -> None:
    """Nobody wants to know how far it is."""


class Files:
    """Files of one cluster, always and only as who asks. Paths are absolute.

    Args:
        caller: How to call.
        cluster: Name of the cluster; None: the service's default one.
    """

    def __init__(self, caller: Caller, cluster: str | None = None) -> None:
        self._caller = caller
        self._cluster = cluster

    def _at(self, what: str = "") -> str:
        if self._cluster is None:
            self._cluster = (self._caller.ask(list[ClusterSummary], "GET", "/v1/clusters"))[0].name
        return f"/v1/clusters/{segment(self._cluster)}/files{what}"

    def stat(self, path: RemotePath) -> FileEntry:
        """What is at a path, links followed."""
        return (self.page(path, limit=1)).file

    def page(self, path: RemotePath | None = None, *, cursor: str | None = None, limit: int = 1000) -> FilePage:
        """What is at a path, and one page of what is in it.

        Args:
            path: None is one's own folder.
            cursor: ``next_cursor`` of the page before.
            limit: Most entries, up to 10,000.
        """
        query = {"path": path_bytes(path), "cursor": cursor, "limit": limit}
        return self._caller.ask(FilePage, "GET", self._at(), query)

    def ls(self, path: RemotePath | None = None) -> Stream[FileEntry]:
        """What a folder holds, by name; of a file itself. None is one's own folder."""
        page = self.page(path)
        if page.file.type != "dir":
            yield page.file
        while True:
            yield from page.items
            if page.next_cursor is None:
                return
            page = self.page(path, cursor=page.next_cursor)

    def mkdir(self, path: RemotePath, *, parents: bool = False) -> FileEntry:
        """Make a folder.

        Args:
            path: Where.
            parents: Make those above it too, and do not mind if it is there.
        """
        query = {"path": path_bytes(path), "parents": parents}
        return self._caller.ask(FileEntry, "POST", self._at("/mkdir"), query, repeatable=parents)

    def remove(self, path: RemotePath) -> None:
        """Remove a file, a link or an empty folder."""
        self._caller.request("DELETE", self._at(), {"path": path_bytes(path)}, repeatable=False)

    def rename(self, path: RemotePath, to: RemotePath, *, overwrite: bool = False) -> FileEntry:
        """Give a file, link or folder another path on the same file system."""
        query = {"path": path_bytes(path), "to": path_bytes(to), "overwrite": overwrite}
        return self._caller.ask(FileEntry, "POST", self._at("/rename"), query, repeatable=False)

    def checksum(self, path: RemotePath) -> FileChecksum:
        """SHA-256, added up on the cluster: seconds a gigabyte."""
        query = {"path": path_bytes(path)}
        return self._caller.ask(FileChecksum, "GET", self._at("/checksum"), query, timeout=FOREVER)

    def read(self, path: RemotePath, start: int = 0, end: int | None = None) -> bytes:
        """Bytes of a file.

        Args:
            path: Which.
            start: The first.
            end: One after the last; None: to the end of the file.

        Returns:
            As a slice: fewer, where the file ends before.
        """
        if end is not None and end <= start:
            return b""
        headers = {"Accept-Encoding": "identity"}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            query = {"path": path_bytes(path)}
            answer = self._caller.request("GET", self._at("/content"), query, headers=headers)
        except PreconditionFailed as problem:
            if problem.status != UNSATISFIABLE:
                raise
            return b""
        return answer.content if answer.status_code == PARTIAL else answer.content[start:end]

    def content(self, path: RemotePath, start: int = 0) -> Stream[bytes]:
        """A file from an offset on, as it comes; what breaks off goes on where it was.

        Args:
            path: Which.
            start: The first byte.

        Raises:
            Changed: The file has changed in between: what came is not of one file.
        """
        there = self.stat(path)
        with closing(self._content(path, there, start)) as pieces:
            yield from pieces

    def _content(self, path: RemotePath, there: FileEntry, done: int) -> Stream[bytes]:
        patient = Patience(self._caller.retry_for_s)
        query, url = {"path": path_bytes(path)}, self._at("/content")
        while done < there.size_bytes:
            headers = {"Range": f"bytes={done}-", "If-Match": there.etag, "Accept-Encoding": "identity"}
            try:
                with self._caller.stream("GET", url, query, headers=headers) as response:
                    skip = 0 if response.status_code == PARTIAL else done  # whoever stands between ignores ranges
                    for data in response.iter_raw():
                        patient.renew()
                        fresh, skip = data[skip:], max(0, skip - len(data))
                        done += len(fresh)
                        if fresh:
                            yield fresh
            except PreconditionFailed as problem:
                raise Changed(f"{os.fsdecode(path)} has changed") from problem
            except ApiProblem as problem:
                self._caller.pause(problem, patient)

    def download(
        self,
        path: RemotePath,
        to: Path,
        *,
        check: bool = True,
        progress: Callable[[int, int], None] = _nobody,
    ) -> FileEntry:
        """Copy a file from the cluster.

        What came before a break waits beside ``to``, and the same call goes on with it. ``to`` has its name only
        when it is whole, and, with ``check``, when its checksum is that of the cluster.

        Args:
            path: The file there.
            to: The local file; replaced where it is there.
            check: Whether to compare checksums.
            progress: Told how many bytes of how many are there, now and then.

        Raises:
            ApiProblem: The service refuses, or is away for too long.
            Changed: The file never held still, or what came is not what is there.
        """
        for _ in range(RESTARTS):
            there = self.stat(path)
            part = part_of(to, there.etag)
            try:
                self._fetch(path, there, part, progress)
            except Changed:
                part.unlink(missing_ok=True)
                continue
            if check:
                found = self.checksum(path)
                if found.etag != there.etag:
                    part.unlink()
                    continue
                if found.sha256 != (apart(sha256_of, part))[0]:
                    part.unlink()
                    raise Changed(f"what came of {os.fsdecode(path)} has another checksum than the file on the cluster")
            part.replace(to)
            return there
        raise Changed(f"{os.fsdecode(path)} does not hold still")

    def _fetch(self, path: RemotePath, there: FileEntry, part: Path, progress: Callable[[int, int], None]) -> None:
        with apart(_appended, part) as file, closing(self._content(path, there, file.tell())) as pieces:
            for data in pieces:
                apart(file.write, data)
                progress(file.tell(), there.size_bytes)

    def write(self, path: RemotePath, data: bytes, *, new: bool = False, if_match: str | None = None) -> FileEntry:
        """Write a small file in one call. The old one stays whole until the new one is; the bytes are checked.

        Args:
            path: Where.
            data: What.
            new: Replace none that is there.
            if_match: Replace only the one with this ``etag``.

        Raises:
            PreconditionFailed: Another file is there, or none.
        """
        headers = {"Content-Type": "application/octet-stream"}
        headers |= {"If-None-Match": "*"} if new else {}
        headers |= {} if if_match is None else {"If-Match": if_match}
        query = {"path": path_bytes(path), "sha256": hashlib.sha256(data).hexdigest()}
        again = not new and if_match is None
        url = self._at("/content")
        return self._caller.ask(
            FileEntry, "PUT", url, query, body=data, headers=headers, timeout=FOREVER, repeatable=again
        )

    def upload(
        self,
        local: Path,
        path: RemotePath,
        *,
        overwrite: bool = False,
        progress: Callable[[int, int], None] = _nobody,
    ) -> FileEntry:
        """Copy a file to the cluster.

        What came before a break stays there, and the same call, even from another process, goes on with it. The
        file has its name only when it is whole and its checksum is that of the local one.

        Args:
            local: The local file.
            path: Absolute path on the cluster, of the file itself.
            overwrite: Whether to replace one that is there.
            progress: Told how many bytes of how many are there, now and then.

        Raises:
            ApiProblem: The service refuses, or is away for too long.
        """
        sha256, size = apart(sha256_of, local)
        with apart(_opened, local) as file:
            status = self.begin_upload(path, size, sha256=sha256, overwrite=overwrite)
            patient = Patience(self._caller.retry_for_s)
            while status.file is None:
                progress(status.offset, size)
                try:
                    status = self._send(file, status)
                    patient.renew()
                except ApiProblem as problem:
                    if not isinstance(problem, UploadOffset):
                        self._caller.pause(problem, patient)
                    status = self.begin_upload(path, size, sha256=sha256, overwrite=overwrite)
        progress(size, size)
        return status.file

    def _send(self, file: BinaryIO, status: UploadStatus) -> UploadStatus:
        size = min(PIECE, status.size_bytes - status.offset)
        headers = {
            "Upload-Offset": str(status.offset),
            "Content-Length": str(size),
            "Content-Type": "application/octet-stream",
        }
        url = self._at(f"/uploads/{segment(status.id)}")
        body = _blocks(file, status.offset, size)
        with self._caller.stream("PATCH", url, body=body, headers=headers) as response:
            return msgspec.json.decode(response.read(), type=UploadStatus)

    def begin_upload(
        self, path: RemotePath, size_bytes: int, *, sha256: str | None = None, overwrite: bool = False
    ) -> UploadStatus:
        """Begin an upload; with ``sha256``, find one again that was broken off, or done."""
        query = {"path": path_bytes(path), "size_bytes": size_bytes, "sha256": sha256, "overwrite": overwrite}
        url = self._at("/uploads")
        return self._caller.ask(
            UploadStatus, "POST", url, query, timeout=FOREVER, repeatable=sha256 is not None
        )  # it may be done already: then it is checked

    def upload_status(self, upload_id: str) -> UploadStatus:
        """How far an upload is."""
        return self._caller.ask(UploadStatus, "GET", self._at(f"/uploads/{segment(upload_id)}"))

    def abort_upload(self, upload_id: str) -> None:
        """Give an upload up: what came of it is removed."""
        self._caller.request("DELETE", self._at(f"/uploads/{segment(upload_id)}"), repeatable=False)


def _appended(path: Path) -> BinaryIO:
    return path.open("ab")


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _blocks(file: BinaryIO, offset: int, size: int) -> Stream[bytes]:
    """So many bytes of a file from an offset on."""
    while size > 0 and (data := apart(block_at, file, offset, size)):
        yield data
        offset += len(data)
        size -= len(data)
