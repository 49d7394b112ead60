"""Every error that crosses a border of hpcjobs, in one tree.

Each says what was wrong (``detail``), what was kept (``kept``) and whether trying again can help
(``transient``); ``code`` is stable and safe to test for.

    HpcjobsError
    +-- Refused              the request can never succeed as it stands; carries one Refusal per fault
    |   +-- ParameterUnknown the route has no such query parameter
    +-- NotAuthenticated     no identity, or one that does not hold
    +-- NotAllowed           a known identity that may not do this
    |   +-- ScopeMissing     its user might, but this token is not for that
    |   +-- PathOutside      the path leads out of the folders that can be reached
    +-- NotFound
    |   +-- JobUnknown
    |   +-- ClusterUnknown
    |   +-- NodeUnknown      the cluster has no node of this name
    |   +-- OutputMissing    the job is known, its output is not there (yet)
    |   +-- FileMissing      nothing has this path
    |   +-- UploadUnknown    no such upload is under way
    |   +-- ReportUnknown    no report has this name
    |   +-- InvoiceUnknown   no invoice has this number, or it is another project's
    |   +-- WebhookUnknown   no webhook has this id, or it is somebody else's
    +-- Conflict             the request contradicts what is already so
    |   +-- FileExists       the path is taken
    |   +-- WrongKind        a folder where a file was meant, a device, the reverse
    |   +-- UploadOffset     the upload is not as long as the caller believes
    +-- PreconditionFailed   If-Match or If-None-Match does not hold
    +-- RangeUnsatisfiable   the file has none of these bytes
    +-- ChecksumMismatch     what came is not what was announced
    +-- BodyBroken           the request ended before its body did
    +-- NoSpace              no room on the file system, or none left of a quota
    +-- NotSupported         this backend cannot do it; says why
    +-- RateLimited          transient: a user asks more often than is fair
    +-- SettingsError        the settings cannot be used; the service does not start
    +-- Unavailable          transient: try again
        +-- SlurmUnavailable the controller does not answer; nothing was sent
        +-- WorkerLost       a worker process died or hung
        +-- PluginFailed     a plugin could not judge the job, or make the report
        +-- OutcomeUnknown   it was sent and its answer lost: it may have been done
        +-- ViewStale        what is known of the cluster is older than the caller accepts
        +-- RegistryDown     a registry of images does not answer, or not now
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """One fault of a request.

    Attributes:
        field: Path of the field at fault (``resources.gpus_per_node``), or ``""`` for the whole request.
        detail: What is wrong with it and, where it is known, what would be right.
        code: Stable name of the fault; for a fault that Slurm found, Slurm's own error name.
    """

    field: str
    detail: str
    code: str = "invalid"


class HpcjobsError(Exception):
    """Root of the tree.

    Args:
        detail: What was wrong, in one or two sentences for the person who asked.
        kept: What survives in spite of the error ("job 01f… is kept"), or ``""``.
        retry_after_s: When a retry is worth while, in seconds; None where a retry cannot help.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"
    transient: ClassVar[bool] = False

    def __init__(self, detail: str, *, kept: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.kept = kept
        self.retry_after_s = retry_after_s
        self.replayed = False
        """Whether an earlier request with the same key had this answer."""

    def of_old(self) -> Self:
        """The same error, as the answer to an earlier request with the same key."""
        self.replayed = True
        return self


class Refused(HpcjobsError):
    """The request can never succeed as it stands."""

    code = "refused"
    title = "The request was refused"

    def __init__(self, refusals: Sequence[Refusal], *, kept: str = "") -> None:
        super().__init__("; ".join(refusal.detail for refusal in refusals), kept=kept)
        self.refusals = tuple(refusals)


class ParameterUnknown(Refused):
    """The route has no such query parameter; nothing was done."""

    code = "unknown-parameter"
    title = "There is no such parameter"


class NotAuthenticated(HpcjobsError):
    """No identity, or one that does not hold."""

    code = "not-authenticated"
    title = "Who are you?"


class NotAllowed(HpcjobsError):
    """A known identity that may not do this."""

    code = "not-allowed"
    title = "Not allowed"


class ScopeMissing(NotAllowed):
    """The user might do this, but the token was made for less."""

    code = "scope-missing"
    title = "The token is not for this"


class PathOutside(NotAllowed):
    """The path leads out of the folders that can be reached."""

    code = "path-outside"
    title = "Outside of the reachable folders"


class NotFound(HpcjobsError):
    """What was asked for is not there."""

    code = "not-found"
    title = "Not found"


class ReportUnknown(NotFound):
    """No report has this name."""

    code = "report-unknown"
    title = "Unknown report"


class InvoiceUnknown(NotFound):
    """No invoice has this number, or it is of a project that the caller does not manage."""

    code = "invoice-unknown"
    title = "Unknown invoice"


class JobUnknown(NotFound):
    """No job has this id."""

    code = "job-unknown"
    title = "Unknown job"


class ClusterUnknown(NotFound):
    """No cluster has this name."""

    code = "cluster-unknown"
    title = "Unknown cluster"


class NodeUnknown(NotFound):
    """The cluster has no node of this name."""

    code = "node-unknown"
    title = "Unknown node"


class OutputMissing(NotFound):
    """The job is known, its output is not there (yet)."""

    code = "output-missing"
    title = "No output"


class FileMissing(NotFound):
    """Nothing has this path."""

    code = "file-missing"
    title = "No such file"


class UploadUnknown(NotFound):
    """No such upload is under way."""

    code = "upload-unknown"
    title = "Unknown upload"


class WebhookUnknown(NotFound):
    """No webhook has this id."""

    code = "webhook-unknown"
    title = "Unknown webhook"


class Conflict(HpcjobsError):
    """The request contradicts what is already so."""

    code = "conflict"
    title = "Conflict"


class FileExists(Conflict):
    """The path is taken."""

    code = "file-exists"
    title = "The path is taken"


class WrongKind(Conflict):
    """Another kind of thing is at the path: a folder where a file was meant, a device, the reverse."""

    code = "wrong-kind"
    title = "Another kind of file"


class UploadOffset(Conflict):
    """The upload is not as long as the caller believes.

    Args:
        detail: What was wrong.
        offset: How many bytes are there: go on with this one.
    """

    code = "upload-offset"
    title = "The upload is elsewhere"

    def __init__(self, detail: str, *, offset: int = 0) -> None:
        super().__init__(detail)
        self.offset = offset


class PreconditionFailed(HpcjobsError):
    """If-Match or If-None-Match does not hold; nothing was changed."""

    code = "precondition-failed"
    title = "The precondition does not hold"


class RangeUnsatisfiable(HpcjobsError):
    """The file has none of these bytes.

    Args:
        detail: What was wrong.
        size_bytes: How many it has.
    """

    code = "range-unsatisfiable"
    title = "No such range"

    def __init__(self, detail: str, *, size_bytes: int = 0) -> None:
        super().__init__(detail)
        self.size_bytes = size_bytes


class ChecksumMismatch(HpcjobsError):
    """What came is not what was announced; it was thrown away."""

    code = "checksum-mismatch"
    title = "Other bytes than announced"


class BodyBroken(HpcjobsError):
    """The request ended before its body did."""

    code = "body-broken"
    title = "The body broke off"


class NoSpace(HpcjobsError):
    """No room on the file system, or none left of a quota."""

    code = "no-space"
    title = "No space"


class NotSupported(HpcjobsError):
    """The backend cannot do this; the detail says why."""

    code = "not-supported"
    title = "Not supported here"


class RateLimited(HpcjobsError):
    """A user asks more often than the settings allow; nothing was done."""

    code = "rate-limited"
    title = "Too many requests"
    transient = True

    def __init__(self, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class SettingsError(HpcjobsError):
    """The settings cannot be used; the service does not start."""

    code = "settings"
    title = "Bad settings"


class Unavailable(HpcjobsError):
    """A part that is needed does not answer now."""

    code = "unavailable"
    title = "Temporarily unavailable"
    transient = True

    def __init__(self, detail: str, *, kept: str = "", retry_after_s: int = 5) -> None:
        super().__init__(detail, kept=kept, retry_after_s=retry_after_s)


class SlurmUnavailable(Unavailable):
    """The Slurm controller does not answer; the request did not reach it."""

    code = "slurm-unavailable"
    title = "Slurm does not answer"


class WorkerLost(Unavailable):
    """A worker process died or hung before it answered.

    Args:
        detail: What was wrong.
        sent: Whether the request had been handed over, so that it may have taken effect.
    """

    code = "worker-lost"
    title = "A worker was lost"

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail, retry_after_s=2)
        self.sent = sent


class PluginFailed(Unavailable):
    """A plugin that must be asked about a job, or makes the report, could not answer. Nothing was kept or sent."""

    code = "plugin-failed"
    title = "A plugin did not do what it was asked"


class OutcomeUnknown(Unavailable):
    """It was sent and its answer lost; a submission is settled by the observer, an order may have been done."""

    code = "outcome-unknown"
    title = "The outcome is not known yet"


class ViewStale(Unavailable):
    """What is known of the cluster is older than the caller accepts."""

    code = "view-stale"
    title = "The view of the cluster is too old"


class RegistryDown(Unavailable):
    """A registry of images does not answer, or says that it cannot now; nothing was kept or sent."""

    code = "registry-down"
    title = "A registry does not answer"
