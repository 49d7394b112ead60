"""``/v1/clusters/{cluster}/files``: a cluster's files, always and only as who asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final
from urllib.parse import quote, unquote_to_bytes

from litestar import Controller, HttpMethod, Response, delete, get, post, put, route
from litestar.di import NamedDependency
from litestar.exceptions import InternalServerException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from hpcjobs import files, uploads
from hpcjobs.api import conditional
from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ClusterName
from hpcjobs.api.common import problems as common_problems
from hpcjobs.errors import BodyBroken, FileMissing, PreconditionFailed
from hpcjobs.files import FileInfo, FileSystem, shown
from hpcjobs.identity import Scope
from hpcjobs.model.file import FileChecksum, FileEntry, FilePage
from hpcjobs.model.problem import Problem
from hpcjobs.service import Service

MAX_LIMIT: Final = 10_000
OCTETS: Final = "application/octet-stream"
SHA256_HEX: Final = "^[0-9A-Fa-f]{64}$"
HEAD_TOO: Final = [HttpMethod.GET, HttpMethod.HEAD]
MORE_PROBLEMS: Final = {
    status: ResponseSpec(
        data_container=Problem, description=description, media_type="application/problem+json", generate_examples=False
    )
    for status, description in {
        412: "If-Match or If-None-Match does not hold; nothing was changed.",
        416: "The file has none of these bytes; Content-Range says how many it has.",
        507: "No room on the file system, or none left of a quota.",
    }.items()
}

PARTS: Final = {
    206: ResponseSpec(bytes, description="The range; Content-Range says which.", media_type=OCTETS),
    304: ResponseSpec(None, description="If-None-Match names the file: the caller has it."),
}


def problems(*more: int) -> dict[int, ResponseSpec]:
    """The problem documents of a route: those that any may give, and its own."""
    ours = {status: MORE_PROBLEMS[status] for status in more if status in MORE_PROBLEMS}
    return common_problems(409, 501) | ours


Path = Annotated[
    str,
    QueryParameter(
        name="path",
        description="Absolute path. A name that is no UTF-8 is sent percent-encoded, byte by byte: `quoted_path` of "
        "a listing is what to put here as it is.",
    ),
]
Sha256 = Annotated[
    str | None, QueryParameter(pattern=SHA256_HEX, description="SHA-256 of the whole file, in hexadecimal.")
]
Overwrite = Annotated[bool, QueryParameter(description="Whether to replace what has the path already.")]
ByteRange = Annotated[
    str | None, HeaderParameter(name="Range", description="Which bytes, as `bytes=0-1023`; one range.")
]
IfRange = Annotated[
    str | None,
    HeaderParameter(name="If-Range", description="ETag of the file that the range is of; of another, all is sent."),
]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description="Only if the file is one of these.")]
IfNoneMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="Only if the file is none of these.")
]
ContentDigest = Annotated[
    str | None,
    HeaderParameter(name="Content-Digest", description="Digest of the body, as `sha-256=:<base64>:` (RFC 9530)."),
]


def exact(request: Asked, name: str = "path") -> bytes:
    """A query parameter as the bytes that were sent; Litestar has made sure that it is there."""
    found = b""
    for pair in request.scope["query_string"].split(b"&"):
        key, _, value = pair.partition(b"=")
        if unquote_to_bytes(key.replace(b"+", b" ")) == name.encode():
            found = unquote_to_bytes(value.replace(b"+", b" "))
    return found


def tag(etag: str) -> str:
    """The etag as a header has it."""
    return f'"{etag}"'


def entry(info: FileInfo, path: bytes) -> FileEntry:
    """As it is shown."""
    return FileEntry(
        name=shown(info.name),
        quoted_path=quote(path),
        type=info.type,
        size_bytes=info.size_bytes,
        mode=f"{info.mode:04o}",
        owner=info.owner,
        group=info.group,
        mtime=info.mtime_ns / 1e9,
        target=None if info.target is None else shown(info.target),
        etag=tag(info.etag),
    )


async def body_of(request: Asked) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        BodyBroken: The client went away.
    """
    stream = request.stream()
    while True:
        try:
            data = await anext(stream)
        except StopAsyncIteration:
            return
        except InternalServerException as error:
            raise BodyBroken(
                "The request ended before its body did.", kept="What came of an upload is kept."
            ) from error
        yield data


async def expected(fs: FileSystem, path: bytes, if_match: str | None, if_none_match: str | None) -> str | None:
    """The etag of the only file that a PUT may replace; None: of any.

    Raises:
        PreconditionFailed: The headers do not hold.
    """
    if if_match is None and if_none_match in (None, "*"):
        return None
    try:
        there = await fs.status(path, follow=False)
    except FileMissing as error:
        if if_match is None:
            return None
        raise PreconditionFailed("There is no file for If-Match.") from error
    if if_match is not None and not conditional.names(if_match, there.etag):
        raise PreconditionFailed("The file is not the one that If-Match names.")
    if conditional.names(if_none_match, there.etag, weakly=True):
        raise PreconditionFailed("The file is the one that If-None-Match names.")
    return there.etag


class FilesController(Controller):
    """Look, read, write."""

    path = "/v1/clusters/{cluster:str}/files"
    tags = ("files",)

    @get(
        security=needs(Scope.FILES_READ),
        responses=problems(),
        summary="List a folder, or look at a file",
        description="Links of the path are followed as far as the reachable folders go; those of a listing are told.",
    )
    async def page(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        path: Annotated[
            str | None, QueryParameter(description="Absolute path; the user's own folder where it is left out.")
        ] = None,
        cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Most files of the page.")] = 1000,
    ) -> FilePage:
        """List."""
        fs = service.files(cluster, request.user.user)
        exact_path = fs.home if path is None else exact(request)
        info = await fs.status(exact_path)
        if info.type != "dir":
            return FilePage(entry(info, exact_path), [], None)
        listing = await fs.entries(exact_path, unquote_to_bytes(cursor or ""), limit)
        stem = exact_path.rstrip(b"/") + b"/"
        items = [entry(item, stem + item.name) for item in listing.items]
        return FilePage(entry(info, exact_path), items, quote(listing.last, safe="") if listing.last else None)

    @delete(
        security=needs(Scope.FILES_WRITE),
        responses=problems(),
        summary="Remove a file, a link or an empty folder",
        description="A link is removed, never what it leads to. A folder with files in it is a 409.",
    )
    async def remove(self, request: Asked, service: NamedDependency[Service], cluster: ClusterName, path: Path) -> None:
        """Remove."""
        await service.files(cluster, request.user.user).remove(exact(request))

    @post(
        "/mkdir",
        security=needs(Scope.FILES_WRITE),
        responses=problems(507),
        summary="Make a folder",
        description="With the permissions that the user's umask leaves.",
    )
    async def mkdir(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        path: Path,
        parents: Annotated[
            bool, QueryParameter(description="Make those above it too, and do not mind if it is there.")
        ] = False,
    ) -> FileEntry:
        """Make."""
        fs, exact_path = service.files(cluster, request.user.user), exact(request)
        await fs.make_folder(exact_path, parents)
        return entry(await fs.status(exact_path), exact_path)

    @post(
        "/rename",
        security=needs(Scope.FILES_WRITE),
        status_code=200,
        responses=problems(507),
        summary="Give a file, link or folder another path",
        description="On one file system, in one step: whoever looks sees the old path or the new one.",
    )
    async def rename(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        path: Path,
        to: Annotated[str, QueryParameter(description="The new path, absolute; on the same file system.")],
        overwrite: Overwrite = False,
    ) -> FileEntry:
        """Rename."""
        fs, new = service.files(cluster, request.user.user), exact(request, "to")
        await fs.rename(exact(request), new, overwrite)
        return entry(await fs.status(new, follow=False), new)

    @get(
        "/checksum",
        security=needs(Scope.FILES_READ),
        responses=problems(),
        summary="SHA-256 of a file",
        description="Read on the cluster, which takes seconds a gigabyte. A file that does not hold still is a 503.",
    )
    async def checksum(
        self, request: Asked, service: NamedDependency[Service], cluster: ClusterName, path: Path
    ) -> FileChecksum:
        """Add up."""
        found = await service.files(cluster, request.user.user).checksum(exact(request))
        return FileChecksum(found.sha256, found.size_bytes, tag(found.etag))

    @route(
        "/content",
        security=needs(Scope.FILES_READ),
        http_method=HEAD_TOO,
        responses=problems(412, 416) | PARTS,
        media_type=OCTETS,
        summary="Read a file",
        description="Whole, or one range of it (RFC 9110: Range, If-Range, If-Match, If-None-Match). A stream that "
        "breaks goes on with Range and If-Range.",
    )
    async def content(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        path: Path,
        byte_range: ByteRange = None,
        if_range: IfRange = None,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response[bytes] | Stream:
        """Read."""
        fs, exact_path = service.files(cluster, request.user.user), exact(request)
        first = await fs.read(exact_path, 0, 0)
        info = first.file
        assert info is not None  # noqa: S101  read below the roots always tells
        head = request.method == "HEAD"
        part = conditional.wanted(
            info.etag,
            info.size_bytes,
            if_match=if_match,
            if_none_match=if_none_match,
            if_range=if_range,
            byte_range=None if head else byte_range,
        )
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": conditional.disposition(shown(info.name)),
            "Content-Length": str(part.end - part.start),
            "ETag": tag(info.etag),
            "X-Content-Type-Options": "nosniff",
        }
        if part.status == 304:
            del headers["Content-Length"]
        if part.status == 206:
            headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{info.size_bytes}"
        if head or part.start == part.end:
            return Response(b"", status_code=part.status, headers=headers, media_type=OCTETS)
        chunks = files.content(fs, exact_path, info, part.start, part.end)
        return Stream(chunks, status_code=part.status, headers=headers, media_type=OCTETS)

    @put(
        "/content",
        security=needs(Scope.FILES_WRITE),
        request_max_body_size=None,
        responses=problems(412, 507) | {201: ResponseSpec(FileEntry, description="The file is new.")},
        summary="Write a file in one call",
        description="The body is the file. The old one stays whole until the new one is. `If-None-Match: *` replaces "
        "none, `If-Match` only the one it names; with `sha256` or `Content-Digest` the bytes are checked first.",
    )
    async def put(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        path: Path,
        sha256: Sha256 = None,
        content_digest: ContentDigest = None,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response[FileEntry]:
        """Write."""
        fs, exact_path = service.files(cluster, request.user.user), exact(request)
        digest = (sha256 or conditional.sha256_of(content_digest)).lower()
        committed = await uploads.put(
            fs,
            exact_path,
            request.content_length,
            digest,
            body_of(request),
            new=(if_none_match or "").strip() == "*",
            if_match=await expected(fs, exact_path, if_match, if_none_match),
        )
        return Response(
            entry(committed.file, exact_path),
            status_code=200 if committed.replaced else 201,
            headers={"ETag": tag(committed.file.etag)},
        )
