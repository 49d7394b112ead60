"""What the audit log holds, and the chain that ties each entry to all before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

GENESIS: Final = "0" * 64
"""What the first entry is chained to."""


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was asked for, and what came of it. Never a body, a query or a token.

    Attributes:
        at: Unix seconds of the answer.
        user: Who asked; ``""`` where that is not known.
        role: Their role, or ``""``.
        token: Id of their token, or ``""``.
        issuer: Who made the token, or ``""``.
        client: Address that the request came from.
        request_id: X-Request-ID of the answer.
        action: Method and route, as ``DELETE /v1/jobs/{job_id}``.
        target: What it was about: the path, or what it made.
        status: HTTP status of the answer.
        code: Code of the problem document, ``""`` where there was none.
        count: How many alike requests it stands for; refused ones that follow each other closely are one entry.
    """

    at: float
    user: str = ""
    role: str = ""
    token: str = ""
    issuer: str = ""
    client: str = ""
    request_id: str = ""
    action: str = ""
    target: str = ""
    status: int = 0
    code: str = ""
    count: int = 1


class AuditEntry(AuditEvent, frozen=True, kw_only=True):
    """An event in its place in the log.

    Attributes:
        seq: 1 for the first; no number is left out.
        hash: SHA-256, in hexadecimal, of the hash before it and of this entry.
    """

    seq: int
    hash: str


EVENT_NAMES: Final = AuditEvent.__struct_fields__


def chained(previous: str, seq: int, event: AuditEvent) -> AuditEntry:
    """The entry of an event.

    Args:
        previous: Hash of the entry before it, GENESIS for the first.
        seq: Its number.
        event: What happened.
    """
    told = {name: getattr(event, name) for name in EVENT_NAMES}
    text = msgspec.json.encode([previous, seq, *told.values()])
    return AuditEntry(seq=seq, hash=hashlib.sha256(text).hexdigest(), **told)


def first_fault(previous: str, after: int, entries: Iterable[AuditEntry]) -> str:
    """Look for the first entry that is not what its place in the chain says.

    Args:
        previous: Hash of the entry before the first.
        after: Number of the entry before the first, 0 where there is none.
        entries: In order.

    Returns:
        What is wrong, or ``""``.
    """
    for entry in entries:
        after += 1
        if entry.seq != after:
            return f"entry {after} is missing: the next one is {entry.seq}"
        if chained(previous, after, entry).hash != entry.hash:
            return f"entry {after} was changed, or the one before it was"
        previous = entry.hash
    return ""


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, newest first.

    Attributes:
        items: The entries.
        next_cursor: Ask for the next page with it; None: this was the last.
    """

    items: list[AuditEntry]
    next_cursor: int | None
