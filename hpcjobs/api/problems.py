"""The one table from errors to RFC 9457 problem documents."""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from hpcjobs.api.trail import CODE, request_id
from hpcjobs.errors import (
    BodyBroken,
    ChecksumMismatch,
    Conflict,
    HpcjobsError,
    NoSpace,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSupported,
    ParameterUnknown,
    PreconditionFailed,
    RangeUnsatisfiable,
    RateLimited,
    Refusal,
    Refused,
    Unavailable,
    UploadOffset,
)
from hpcjobs.model.problem import Problem

log = logging.getLogger(__name__)

STATUS: Final[dict[type[HpcjobsError], int]] = {
    Refused: 422,
    ParameterUnknown: 400,
    NotAuthenticated: 401,
    NotAllowed: 403,
    NotFound: 404,
    Conflict: 409,
    RateLimited: 429,
    BodyBroken: 400,
    PreconditionFailed: 412,
    RangeUnsatisfiable: 416,
    ChecksumMismatch: 422,
    NoSpace: 507,
    NotSupported: 501,
    Unavailable: 503,
    HpcjobsError: 500,
}


NAMES: Final = {"job_state": "state", "idempotency_key": "Idempotency-Key", "upload_offset": "Upload-Offset",
                "last_event_id": "Last-Event-ID"}  # fmt: skip
"""What the caller calls the parameters that have another name in our functions."""


FRAMEWORK_CODES: Final = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}
"""Codes of what the framework refuses, by HTTP status."""


def _respond(request: Request[Any, Any, Any], problem: Problem, headers: dict[str, str] | None = None) -> Response[Any]:
    request.scope["state"][CODE] = problem.code
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers or {},
    )


def _urn(code: str) -> str:
    return f"urn:hpcjobs:problem:{code}"


def status_of(error: HpcjobsError) -> int:
    """The HTTP status of an error: that of its nearest class in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem_of(error: HpcjobsError, instance: str) -> Problem:
    """An error as a problem document.

    Args:
        error: Any of the tree.
        instance: Path of the request.
    """
    return Problem(
        type=_urn(error.code),
        title=error.title,
        status=status_of(error),
        detail=error.detail,
        instance=instance,
        code=error.code,
        kept=error.kept,
        transient=error.transient,
        retry_after_s=error.retry_after_s,
        errors=error.refusals if isinstance(error, Refused) else (),
    )


def _ours(request: Request[Any, Any, Any], error: HpcjobsError) -> Response[Any]:
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="hpcjobs"'
    if isinstance(error, UploadOffset):
        headers["Upload-Offset"] = str(error.offset)
    if isinstance(error, RangeUnsatisfiable):
        headers["Content-Range"] = f"bytes */{error.size_bytes}"
    return _respond(request, problem_of(error, request.url.path), headers)


def _litestars(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """What the framework refuses: no such path, wrong method, a body that does not fit."""
    code = FRAMEWORK_CODES.get(error.status_code, f"http-{error.status_code}")
    faults = error.extra if isinstance(error.extra, list) else []
    refusals = tuple(
        Refusal(NAMES.get(name, name), str(fault.get("message", "")), "bad-value")
        for fault in faults
        if isinstance(fault, dict)
        for name in [str(fault.get("key", ""))]
    )
    detail = "; ".join(f"{fault.field}: {fault.detail}" if fault.field else fault.detail for fault in refusals)
    return _respond(
        request,
        Problem(
            type=_urn(code),
            title="The request does not fit the API",
            status=error.status_code,
            detail=detail or error.detail,
            instance=request.url.path,
            code=code,
            errors=refusals,
        ),
        dict(error.headers or {}),
    )


def _too_deep(request: Request[Any, Any, Any], _error: Exception) -> Response[Any]:
    return _litestars(request, ValidationException("The JSON is nested too deeply."))


def _no_text(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    return _litestars(request, ValidationException(f"The request is no UTF-8: {error}."))


def _unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.error("%s %s (%s) failed", request.method, request.url.path, request_id(request.scope), exc_info=error)
    return _respond(
        request,
        Problem(
            type=_urn("internal"),
            title="A fault of the service",
            status=500,
            detail=f"{type(error).__name__}; the service's log holds the rest.",
            instance=request.url.path,
            code="internal",
        ),
    )


HANDLERS: Final[ExceptionHandlersMap] = {
    HpcjobsError: _ours,
    HTTPException: _litestars,
    RecursionError: _too_deep,
    UnicodeDecodeError: _no_text,
    Exception: _unforeseen,
}
