"""How the service says that something went wrong (RFC 9457)."""

from __future__ import annotations

import msgspec

from hpcjobs.errors import Refusal


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An RFC 9457 problem document.

    Attributes:
        type: ``urn:hpcjobs:problem:`` and the code.
        title: The same for every occurrence of the code.
        status: HTTP status.
        detail: What was wrong this time.
        instance: Path of the request.
        code: Stable; test for this one.
        kept: What survives in spite of the error.
        transient: Whether trying again can help.
        retry_after_s: When, in seconds; also in the Retry-After header.
        errors: For a refused request: one entry per fault.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    kept: str = ""
    transient: bool = False
    retry_after_s: int | None = None
    errors: tuple[Refusal, ...] = ()
