"""``/v1/clusters/{cluster}/files/uploads``: uploads that can be gone on with."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Controller, Response, delete, patch, post, route
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from hpcjobs import uploads
from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ClusterName
from hpcjobs.api.files import HEAD_TOO, Overwrite, Path, Sha256, body_of, entry, exact, problems
from hpcjobs.errors import Refusal, Refused
from hpcjobs.identity import Scope
from hpcjobs.model.file import UploadStatus
from hpcjobs.service import Service

MAX_BYTES: Final = 2**62
UploadId = Annotated[str, PathParameter(description="`id` of the upload.")]


def upload_reply(progress: uploads.Progress, status: int, location: str = "") -> Response[UploadStatus]:
    """How far an upload is, for people and for HTTP libraries."""
    upload = progress.upload
    headers = {
        "Cache-Control": "no-store",
        "Upload-Offset": str(progress.offset),
        "Upload-Length": str(upload.size_bytes),
        "Upload-Complete": "?1" if progress.file else "?0",
    }
    if location:
        headers["Location"] = f"{location}/{upload.id}"
    file = entry(progress.file, upload.path) if progress.file else None
    told = UploadStatus(upload.id, progress.offset, upload.size_bytes, file is not None, file)
    return Response(told, status_code=status, headers=headers)


class UploadsController(Controller):
    """Uploads that can be gone on with."""

    path = "/v1/clusters/{cluster:str}/files/uploads"
    tags = ("files",)

    @post(
        security=needs(Scope.FILES_WRITE),
        responses=problems(507),
        summary="Begin an upload, or find it again",
        description="With `sha256` the same request finds the same upload, however it was broken off: go on at "
        "`offset`. Send the bytes with PATCH; with the last one they are checked and get their name.",
    )
    async def begin(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        path: Path,
        size_bytes: Annotated[int, QueryParameter(ge=0, le=MAX_BYTES, description="Size of the whole file.")],
        sha256: Sha256 = None,
        overwrite: Overwrite = False,
    ) -> Response[UploadStatus]:
        """Begin."""
        user = request.user.user
        upload = uploads.new_upload(user, exact(request), size_bytes, (sha256 or "").lower(), overwrite)
        progress = await uploads.begin(service.files(cluster, user), upload)
        return upload_reply(progress, 201, request.url.path)

    @route(
        "/{upload_id:str}",
        security=needs(Scope.FILES_WRITE),
        http_method=HEAD_TOO,
        responses=problems(),
        summary="How far an upload is",
        description="Go on with PATCH at `offset`.",
    )
    async def state(
        self, request: Asked, service: NamedDependency[Service], cluster: ClusterName, upload_id: UploadId
    ) -> Response[UploadStatus]:
        """Look."""
        progress = await uploads.state(service.files(cluster, request.user.user), uploads.read_id(upload_id))
        return upload_reply(progress, 200)

    @patch(
        "/{upload_id:str}",
        security=needs(Scope.FILES_WRITE),
        request_max_body_size=None,
        responses=problems(507),
        summary="Send the next bytes of an upload",
        description="The body is any number of bytes from `Upload-Offset` on. Where the upload has another length the "
        "answer is a 409 whose `Upload-Offset` says which. What came before a break is kept.",
    )
    async def append(
        self,
        request: Asked,
        service: NamedDependency[Service],
        cluster: ClusterName,
        upload_id: UploadId,
        upload_offset: Annotated[
            int, HeaderParameter(name="Upload-Offset", ge=0, le=MAX_BYTES, description="Of the body's first byte.")
        ],
    ) -> Response[UploadStatus]:
        """Go on."""
        fs, upload = service.files(cluster, request.user.user), uploads.read_id(upload_id)
        if upload_offset + (request.content_length or 0) > upload.size_bytes:
            raise Refused([Refusal("", f"The upload has {upload.size_bytes} bytes; this body goes on after that.")])
        return upload_reply(await uploads.append(fs, upload, upload_offset, body_of(request)), 200)

    @delete(
        "/{upload_id:str}",
        security=needs(Scope.FILES_WRITE),
        responses=problems(),
        summary="Give an upload up",
        description="What has come of it is thrown away.",
    )
    async def abort(
        self, request: Asked, service: NamedDependency[Service], cluster: ClusterName, upload_id: UploadId
    ) -> None:
        """Abort."""
        await uploads.abort(service.files(cluster, request.user.user), uploads.read_id(upload_id))
