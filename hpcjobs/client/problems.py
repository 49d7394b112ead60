"""What goes wrong with a call.

ApiProblem
+-- Refused              the request can never succeed as it stands; ``errors`` has one entry per fault
|   +-- ChecksumMismatch other bytes came than were announced
+-- NotAuthenticated     no token, or one that does not hold
+-- NotAllowed           the token's scopes, the user's role or the file's permissions are not enough
+-- NotFound             no such job, cluster, file, output, upload or webhook, or none that one may see
|   +-- EventsGone       events are not kept any more: those from ``oldest`` on are
+-- Conflict             the request contradicts what is already so
|   +-- UploadOffset     an upload is not as long as was believed
+-- PreconditionFailed   the file is another one, or has none of the bytes asked for
+-- NotSupported         no way to this cluster can do it; the detail says why
+-- NoSpace              no room on the file system, or none left of a quota
+-- AnswerLost           it was sent and no answer came, and saying it twice could do it twice: look whether it is done
+-- ServiceFault         the service has a fault, or something between says what no service of ours says
+-- Transient            try again after ``retry_after_s``
    +-- RateLimited      asked more often than is fair
    +-- Unavailable      Slurm, a worker or the database does not answer the service
    +-- Unreachable      the service does not answer
    +-- StreamEnded      a stream broke off
Changed                  a file did not hold still while it was read
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx
import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.event import Gap

GATEWAYS: Final = frozenset({502, 503, 504})
"""What stands between answers so when the service does not; what the service has done then is unknown."""
AWAY_RETRY_S: Final = 2.0
"""When a service that does not answer is asked again."""
BROKEN_RETRY_S: Final = 1.0
"""When a stream that broke off is taken up again."""
MAYBE_DONE: Final = frozenset({"worker-lost", "outcome-unknown"})
"""Codes of answers that leave open whether it was done."""


class Changed(Exception):
    """A file is not, or no longer, the one that was asked for."""


class ApiProblem(Exception):
    """The service answered with a problem document, or not at all.

    Attributes:
        status: HTTP status, 0 where no answer came.
        code: Stable code of the problem: finer than the class.
        detail: What was wrong.
        kept: What survives in spite of it, or ``""``.
        errors: One entry per fault of a refused request.
        retry_after_s: When a retry is worth while, in seconds; None where it cannot help.
        transient: Whether a retry can help.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        kept: str = "",
        errors: tuple[Refusal, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.kept = kept
        self.errors = errors
        self.retry_after_s = retry_after_s

    @property
    def transient(self) -> bool:
        """Whether a retry can help."""
        return self.retry_after_s is not None

    @property
    def sentences(self) -> list[str]:
        """What was wrong, a sentence for each fault of a refused request."""
        return [fault.detail for fault in self.errors] or [self.detail]

    def __str__(self) -> str:
        return " ".join(filter(None, [self.detail, self.kept]))


class Refused(ApiProblem):
    """The request can never succeed as it stands."""


class ChecksumMismatch(Refused):
    """Other bytes came than were announced."""


class NotAuthenticated(ApiProblem):
    """No token, or one that does not hold."""


class NotAllowed(ApiProblem):
    """The token's scopes, the user's role or the file's permissions are not enough."""


class NotFound(ApiProblem):
    """It is not there, or one may not know of it."""


class EventsGone(NotFound):
    """Events are not kept any more.

    Attributes:
        oldest: The first ``seq`` that still is.
    """

    def __init__(self, gap: Gap) -> None:
        detail = f"Events after {gap.after} are not kept any more; those from {gap.oldest} on are."
        super().__init__(410, "events-gone", detail, kept=f"Go on with after={gap.oldest - 1}.")
        self.oldest = gap.oldest


class Conflict(ApiProblem):
    """The request contradicts what is already so."""


class UploadOffset(Conflict):
    """An upload is not as long as was believed."""


class PreconditionFailed(ApiProblem):
    """The file is another one, or has none of the bytes asked for."""


class NotSupported(ApiProblem):
    """No way to this cluster can do it."""


class NoSpace(ApiProblem):
    """No room on the file system, or none left of a quota."""


class AnswerLost(ApiProblem):
    """It was sent, no answer came, and saying it twice could do it twice."""


class ServiceFault(ApiProblem):
    """The service has a fault, or something between says what no service of ours says."""


class Transient(ApiProblem):
    """Try again after ``retry_after_s``."""


class RateLimited(Transient):
    """Asked more often than is fair; nothing was done."""


class Unavailable(Transient):
    """Slurm, a worker or the database does not answer the service."""


class Unreachable(Transient):
    """The service does not answer.

    Attributes:
        sent: Whether it may have been asked all the same.
    """

    sent = True


class StreamEnded(Transient):
    """A stream broke off."""


BY_CODE: Final[Mapping[str, type[ApiProblem]]] = {
    "checksum-mismatch": ChecksumMismatch,
    "upload-offset": UploadOffset,
}
BY_STATUS: Final[Mapping[int, type[ApiProblem]]] = {
    400: Refused,
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    405: Refused,
    409: Conflict,
    412: PreconditionFailed,
    413: Refused,
    415: Refused,
    416: PreconditionFailed,
    422: Refused,
    429: RateLimited,
    501: NotSupported,
    503: Unavailable,
    507: NoSpace,
}


class _Document(msgspec.Struct, frozen=True):
    code: str
    detail: str = ""
    kept: str = ""
    errors: tuple[Refusal, ...] = ()
    retry_after_s: float | None = None


def problem_of(status: int, reason: str, body: bytes) -> ApiProblem:
    """What an answer that is an error says.

    Args:
        status: HTTP status.
        reason: The words after it.
        body: A problem document, or whatever something between says.
    """
    kind: type[ApiProblem]
    try:
        document = msgspec.json.decode(body, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        again = AWAY_RETRY_S if status in GATEWAYS else None
        kind = Unreachable if again else ServiceFault
        return kind(status, "unreadable", f"{status} {reason}", retry_after_s=again)
    kind = BY_CODE.get(document.code) or BY_STATUS.get(status, ServiceFault)
    return kind(status, document.code, document.detail, document.kept, document.errors, document.retry_after_s)


def unreachable(url: str, why: Exception) -> Unreachable:
    """No answer came."""
    words = str(why) or type(why).__name__
    problem = Unreachable(0, "service-unreachable", f"{url} does not answer: {words}", retry_after_s=AWAY_RETRY_S)
    problem.sent = not isinstance(why, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return problem


def stream_ended(why: str) -> StreamEnded:
    """A stream ended before what it tells of did."""
    return StreamEnded(0, "stream-ended", why, retry_after_s=BROKEN_RETRY_S)


def answer_lost(problem: ApiProblem) -> AnswerLost:
    """A problem that leaves open whether what must not be said twice was done."""
    return AnswerLost(
        problem.status, "answer-lost", f"{problem.detail} Whether it was done is not known.", kept=problem.kept
    )
