"""How things are written into requests and read out of answers; nothing here calls anybody."""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, TypedDict

import httpx
import msgspec

from hpcjobs.model.event import EventKind
from hpcjobs.model.job import Fate, Job, State

BLOCK: Final = 1024 * 1024
"""Bytes of a local file that are read at once."""
FOREVER: Final = httpx.Timeout(None, connect=10.0)
SILENCE_S: Final = 50.0
"""A stream of events that has not even beaten for so long is broken."""
NDJSON: Final = "application/x-ndjson"

JobName = str | int | Job
"""A job: our id, Slurm's number, ``123_4``, ``123_[1-5]``, ``123+1``, or one that the service has shown."""
RemotePath = str | bytes | PurePosixPath
"""An absolute path on a cluster; as text where it is some, else as its bytes."""


class JobFilters(TypedDict, total=False):
    """Which jobs: every field that is given must hold.

    ``since`` and ``until`` are Unix seconds; ``tasks`` lists the tasks that Slurm has split off their arrays too;
    ``listed`` leaves what Slurm's controller lists now, tasks and components too, as squeue shows it; ``max_age_s`` is
    how old the listing may be that answers.
    """

    user: str | None
    cluster: str | None
    state: Iterable[State] | None
    fate: Iterable[Fate] | None
    account: str | None
    partition: str | None
    name: str | None
    parent: str | None
    tasks: bool
    listed: bool
    since: float | None
    until: float | None
    max_age_s: float | None


class EventFilters(TypedDict, total=False):
    """Which events: every field that is given must hold."""

    kind: Iterable[EventKind] | None
    cluster: str | None
    job_id: str | None
    user: str | None
    account: str | None
    state: Iterable[State] | None
    fate: Iterable[Fate] | None


class AuditFilters(TypedDict, total=False):
    """Which entries of the audit log; ``since`` and ``until`` are Unix seconds."""

    user: str | None
    action: str | None
    status: int | None
    request_id: str | None
    since: float | None
    until: float | None


class AccountingFilters(TypedDict, total=False):
    """Which jobs of accounting: every field that is given must hold.

    ``number`` has Slurm's numbers; ``since`` and ``until`` are Unix seconds, 0: any and now; ``state`` has Slurm's own
    words; ``nodes`` is a hostlist; ``cpus`` and ``node_count`` are counts or ranges, as ``2-8``; ``steps`` brings the
    steps too, ``duplicates`` every run of a requeued job.
    """

    number: Iterable[int] | None
    since: int
    until: int
    steps: bool
    user: Iterable[str] | None
    account: Iterable[str] | None
    partition: Iterable[str] | None
    name: Iterable[str] | None
    state: Iterable[str] | None
    nodes: str
    qos: Iterable[str] | None
    wckey: Iterable[str] | None
    reason: Iterable[str] | None
    group: Iterable[str] | None
    constraint: Iterable[str] | None
    association: Iterable[int] | None
    cpus: str
    node_count: str
    duplicates: bool


class ReportFilters(TypedDict, total=False):
    """A report: ``by`` and ``measures`` in place of its own, the period, and which jobs (GET /v1/reports explains all).

    ``period`` is ``2026-10``, ``last-month``, ``30d``; ``timezone`` an IANA name; ``order`` a column, with ``-`` before
    it the smallest first; the others are words of which a job must have one.
    """

    period: str
    timezone: str
    by: Iterable[str]
    measures: Iterable[str]
    user: Iterable[str] | None
    project: Iterable[str] | None
    partition: Iterable[str] | None
    qos: Iterable[str] | None
    cluster: Iterable[str] | None
    gpu: Iterable[str] | None
    node: Iterable[str] | None
    state: Iterable[str] | None
    size: Iterable[str] | None
    nodes: Iterable[str] | None
    reservation: Iterable[str] | None
    wckey: Iterable[str] | None
    cause: Iterable[str] | None
    order: str
    limit: int


def address_of(url: str) -> str:
    """The address of a service, checked.

    Raises:
        ValueError: It is none: no retry can help.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not the address of a service: {error}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError(f"{url!r} is not the address of a service, which looks like http://127.0.0.1:8080")
    return url


def bearer(token: str) -> str:
    """The Authorization header.

    Raises:
        ValueError: The token cannot be sent.
    """
    if not token.isascii() or not token.strip():
        raise ValueError(
            "there is no token that could be sent: call hpcjobs login, or set HPCJOBS_TOKEN "
            "(one in the configuration file goes only to the url that stands with it)"
        )
    return f"Bearer {token.strip()}"


def segment(name: str) -> str:
    """A name as one segment of a path, whatever is in it."""
    return urllib.parse.quote(name, safe="") or "-"


def job_path(job: JobName, rest: str = "") -> str:
    """Where a job is."""
    return f"/v1/jobs/{segment(name_of(job))}{rest}"


def name_of(job: JobName) -> str:
    """A job's name in a request."""
    return job.id if isinstance(job, Job) else str(job)


def cluster_of(job: JobName, cluster: str | None) -> str | None:
    """On which cluster a job's name counts."""
    return job.cluster if cluster is None and isinstance(job, Job) else cluster


def _values(value: object) -> list[str | bytes]:
    if value is None:
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, str | bytes):
        return [value]
    if isinstance(value, Iterable):
        return [str(item) for item in value]
    return [str(value)]


def with_query(path: str, query: Mapping[str, object]) -> str:
    """A path with its query, written out here: httpx would take the bytes of a path for text."""
    pairs = [(name, word) for name, value in query.items() for word in _values(value)]
    return f"{path}?{urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)}" if pairs else path


def path_bytes(path: RemotePath | None) -> bytes | None:
    """A path of a cluster as it is sent."""
    return None if path is None else os.fsencode(path)


def body_of(given: msgspec.Struct | Mapping[str, object] | None, more: Mapping[str, object]) -> bytes:
    """A JSON object of what was given, and over it of what was given by name."""
    told = msgspec.to_builtins(given or {}) | {name: value for name, value in more.items() if value is not None}
    return msgspec.json.encode(told)


class Lines:
    """Makes lines of bytes as they come, cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in these bytes, without empty ones."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line for line in lines if line]


def sha256_of(path: Path) -> tuple[str, int]:
    """SHA-256 of a local file, in hexadecimal, and its size in bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def block_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Some bytes of a file from an offset on: at most BLOCK."""
    file.seek(offset)
    return file.read(min(BLOCK, size))


def part_of(to: Path, etag: str) -> Path:
    """Where what has come of a download waits, beside where it goes."""
    return to.with_name(f".{to.name[:180]}.{hashlib.sha256(etag.encode()).hexdigest()[:16]}.part")
