"""Preconditions, ranges and digests of RFC 9110 and RFC 9530: which bytes a request means."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

from hpcjobs.errors import PreconditionFailed, RangeUnsatisfiable, Refusal, Refused

ENTITY_TAG: Final = re.compile(r'(W/)?"([^"]*)"')
ONE_RANGE: Final = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})", re.IGNORECASE | re.ASCII)
SHA_256: Final = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]*):", re.IGNORECASE)
SHA_256_BYTES: Final = 32


class Part(NamedTuple):
    """What of a file is sent: status, first byte, one after the last."""

    status: Literal[200, 206, 304]
    start: int
    end: int


def names(header: str | None, etag: str, *, weakly: bool = False) -> bool:
    """Whether an If-Match or If-None-Match names this entity tag.

    Args:
        header: Its value; None names nothing.
        etag: Without quotes.
        weakly: Whether a weak tag counts.
    """
    if header is None:
        return False
    tags = ENTITY_TAG.findall(header)
    return header.strip() == "*" or any(tag == etag and (weakly or not weak) for weak, tag in tags)


def wanted(
    etag: str,
    size_bytes: int,
    *,
    if_match: str | None,
    if_none_match: str | None,
    if_range: str | None,
    byte_range: str | None,
) -> Part:
    """What to answer a GET with, in the order of RFC 9110, section 13.2.2.

    Several ranges, another unit than bytes and what is no range are answered with the whole file, as it allows.

    Args:
        etag: The file's, without quotes.
        size_bytes: Its size.
        if_match: Header of the request, or None; so are the others.
        if_none_match: Likewise.
        if_range: Likewise; only an entity tag can hold.
        byte_range: The Range header, or None.

    Raises:
        PreconditionFailed: If-Match does not name the file.
        RangeUnsatisfiable: The file has none of the bytes.
    """
    if if_match is not None and not names(if_match, etag):
        raise PreconditionFailed("The file is not the one that If-Match names.")
    if names(if_none_match, etag, weakly=True):
        return Part(304, 0, 0)
    found = ONE_RANGE.fullmatch((byte_range or "").strip())
    if found is None or (if_range is not None and not (if_range.strip() != "*" and names(if_range, etag))):
        return Part(200, 0, size_bytes)
    first, last = found.groups()
    if first and (not last or int(first) <= int(last)):
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
    elif last and not first:
        if size_bytes == 0 and int(last) > 0:
            return Part(200, 0, 0)
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        return Part(200, 0, size_bytes)
    if start >= size_bytes:
        raise RangeUnsatisfiable(f"The file has {size_bytes} bytes.", size_bytes=size_bytes)
    return Part(206, start, end)


def sha256_of(header: str | None) -> str:
    """The SHA-256 of a Content-Digest header in hexadecimal; ``""``: it has none.

    Raises:
        Refused: It is none.
    """
    found = SHA_256.search(header or "")
    if found is None:
        return ""
    try:
        digest = base64.b64decode(found[1], validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != SHA_256_BYTES:
        raise Refused([Refusal("Content-Digest", "sha-256 is not the base64 of 32 bytes.")])
    return digest.hex()


def disposition(name: str) -> str:
    """A Content-Disposition that gives a name of any characters to a file that is saved (RFC 6266)."""
    plain = re.sub(r"[^ !#$&+\-.0-9A-Z^_`a-z{|}~()@,;=\[\]]", "_", name)
    exact = quote(name, safe="!#$&+-.^_`|~", errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"
