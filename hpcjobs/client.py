"""The client of the REST API that the command line uses."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import httpx
import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.cluster import Node
from hpcjobs.model.detail import JobDetail
from hpcjobs.model.event import Event
from hpcjobs.model.job import Job
from hpcjobs.sse import MEDIA_TYPE, Message, Parser

T = TypeVar("T")
RETRY_FOR_S: Final = 60.0
SILENCE_S: Final = 50.0
"""A stream of events that has not even beaten for so long is broken."""


class ApiProblem(Exception):
    """The service answered with a problem document, or not at all.

    Attributes:
        status: HTTP status, 0 where no answer came.
        code: Stable code of the problem.
        detail: What was wrong.
        kept: What survives.
        errors: One entry per fault of a refused request.
        retry_after_s: When a retry is worth while; None where it cannot help.
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


class _Document(msgspec.Struct, frozen=True):
    code: str = "unreadable"
    detail: str = ""
    kept: str = ""
    errors: tuple[Refusal, ...] = ()
    retry_after_s: float | None = None


class _Page(msgspec.Struct, frozen=True):
    items: list[Job]
    next_cursor: str | None


class _Gap(msgspec.Struct, frozen=True):
    after: int
    oldest: int

    def problem(self) -> ApiProblem:
        return ApiProblem(410, "events-gone", f"Events after {self.after} are not kept any more; those from "
                          f"{self.oldest} on are.", kept=f"Go on with after={self.oldest - 1}.")  # fmt: skip


class _EventPage(msgspec.Struct, frozen=True):
    items: list[Event]
    next_after: int
    more: bool
    gap: _Gap | None = None


class _Bye(msgspec.Struct, frozen=True):
    reason: str


class _Nodes(msgspec.Struct, frozen=True):
    items: list[Node]


def _problem(response: httpx.Response) -> ApiProblem:
    try:
        document = msgspec.json.decode(response.content, type=_Document)
    except msgspec.MsgspecError:
        document = _Document(detail=f"{response.status_code} {response.reason_phrase}")
    return ApiProblem(
        response.status_code,
        document.code,
        document.detail,
        document.kept,
        document.errors,
        document.retry_after_s,
    )


def _quoted(name: str) -> str:
    """A name as one segment of a path, whatever is in it."""
    return urllib.parse.quote(name, safe="") or "-"


class Client:
    """Calls the service.

    Args:
        url: As ``http://127.0.0.1:8080``.
        token: Bearer token.
        waiting: Told the problem when a call is about to be tried again.

    Raises:
        ValueError: The URL is not one of a service: no retry can help.
    """

    def __init__(self, url: str, token: str, waiting: Callable[[ApiProblem], None] = lambda _problem: None) -> None:
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"{url!r} is not the address of a service: {error}") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise ValueError(f"{url!r} is not the address of a service, which looks like http://127.0.0.1:8080")
        if not token.isascii() or not token.strip():
            raise ValueError("there is no token that could be sent: set HPCJOBS_TOKEN, or token in the configuration")
        self.url = url
        self._waiting = waiting
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token.strip()}"},
            timeout=httpx.Timeout(60.0, connect=10.0),
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401  httpx's own
        """One call; a 503 and a refused connection are tried again for RETRY_FOR_S.

        Raises:
            ApiProblem: The service refuses, or has not answered in that time.
        """
        give_up = time.monotonic() + RETRY_FOR_S
        while True:
            try:
                response = self._http.request(method, path, **more)
            except httpx.HTTPError as error:
                problem = ApiProblem(0, "service-unreachable", f"{self.url} does not answer: {error}", retry_after_s=2)
            else:
                if response.is_success:
                    return response
                problem = _problem(response)
            self.pause(problem, give_up)

    def pause(self, problem: ApiProblem, give_up: float) -> None:
        """Wait as long as a problem says before the next try.

        Args:
            problem: Why the last one failed.
            give_up: When it is too late for another, by time.monotonic().

        Raises:
            ApiProblem: No other try can help, or it is too late.
        """
        if problem.retry_after_s is None or time.monotonic() + problem.retry_after_s > give_up:
            raise problem
        self._waiting(problem)
        time.sleep(problem.retry_after_s)

    @contextmanager
    def stream(self, method: str, path: str, **more: Any) -> Iterator[httpx.Response]:  # noqa: ANN401  httpx's own
        """One call whose answer, or body, is long and comes as it comes.

        Raises:
            ApiProblem: The service refuses, or the connection breaks before or in the middle.
        """
        try:
            more = {"timeout": httpx.Timeout(None, connect=10.0)} | more
            with self._http.stream(method, path, **more) as response:
                if not response.is_success:
                    response.read()
                    raise _problem(response)
                yield response
        except httpx.HTTPError as error:
            raise ApiProblem(0, "service-unreachable", f"the stream broke: {error}", retry_after_s=1) from error

    def submit(self, request: dict[str, Any], key: str) -> Job:
        """Submit a job; tried again with the same key until the service has an answer.

        Args:
            request: Body of POST /v1/jobs.
            key: Idempotency key: one per job that is wanted.
        """
        response = self.call("POST", "/v1/jobs", json=request, headers={"Idempotency-Key": key})
        return msgspec.json.decode(response.content, type=Job)

    def job(self, job_id: str, **query: Any) -> Job:  # noqa: ANN401
        """One job."""
        return msgspec.json.decode(self.call("GET", f"/v1/jobs/{_quoted(job_id)}", params=query).content, type=Job)

    def jobs(self, limit: int, **query: Any) -> Iterator[Job]:  # noqa: ANN401
        """Jobs, newest first, page by page, up to ``limit``."""
        cursor: str | None = None
        while limit > 0:
            more = {"cursor": cursor} if cursor else {}
            response = self.call("GET", "/v1/jobs", params={**query, **more, "limit": min(limit, 1000)})
            found = msgspec.json.decode(response.content, type=_Page)
            yield from found.items
            limit -= len(found.items)
            cursor = found.next_cursor
            if cursor is None:
                return

    def cancel(self, job_id: str, **query: Any) -> Job:  # noqa: ANN401
        """Cancel a job."""
        return msgspec.json.decode(self.call("DELETE", f"/v1/jobs/{_quoted(job_id)}", params=query).content, type=Job)

    def act(self, job_id: str, verb: str, body: dict[str, Any], **query: Any) -> Job:  # noqa: ANN401
        """Have something done with a job.

        Args:
            job_id: By any of its names.
            verb: ``cancel``, ``hold``, ``release``, ``requeue``, ``suspend``, ``resume`` or ``signal``.
            body: What the verb needs besides: ``hold``, ``signal``, ``scope``.
            query: ``cluster``.
        """
        if verb == "cancel":
            return self.cancel(job_id, **query)
        path = f"/v1/jobs/{_quoted(job_id)}/{verb}"
        more = {"json": body} if body else {}
        return msgspec.json.decode(self.call("POST", path, params=query, **more).content, type=Job)

    def detail(self, job_id: str, **query: Any) -> JobDetail:  # noqa: ANN401
        """Everything about one job."""
        response = self.call("GET", f"/v1/jobs/{_quoted(job_id)}/detail", params=query)
        return msgspec.json.decode(response.content, type=JobDetail)

    def nodes(self, cluster: str, **query: Any) -> list[Node]:  # noqa: ANN401
        """The nodes of a cluster."""
        response = self.call("GET", f"/v1/clusters/{_quoted(cluster)}/nodes", params=query)
        return msgspec.json.decode(response.content, type=_Nodes).items

    def clusters(self) -> list[dict[str, Any]]:
        """The clusters."""
        return msgspec.json.decode(self.call("GET", "/v1/clusters").content, type=list[dict[str, Any]])

    def output(self, job_id: str, **query: Any) -> bytes:  # noqa: ANN401
        """What a job has written so far."""
        return self.call("GET", f"/v1/jobs/{_quoted(job_id)}/output", params=query).content

    def follow(self, job_id: str, **query: Any) -> Iterator[bytes]:  # noqa: ANN401
        """What a job writes, as it writes it, until it has ended. A broken stream goes on where it broke."""
        offset = int(query.pop("offset", 0))
        give_up = time.monotonic() + RETRY_FOR_S
        while True:
            try:
                query = {**query, "follow": True, "offset": offset}
                with self.stream("GET", f"/v1/jobs/{_quoted(job_id)}/output", params=query) as response:
                    for data in response.iter_raw():
                        give_up = time.monotonic() + RETRY_FOR_S
                        offset += len(data)
                        yield data
                    return
            except ApiProblem as problem:
                self.pause(problem, give_up)

    def events(self, after: int | None = None, **query: Any) -> Iterator[Event]:  # noqa: ANN401
        """What happens, as it happens, for ever; each event once, whatever breaks in between.

        Args:
            after: Begin after the event with this ``seq``; None: with what happens from now on.
            query: Filters of GET /v1/events: kind, cluster, job_id, user, account, state, fate.

        Raises:
            ApiProblem: ``events-gone``: what would follow is not kept any more. Else the service refuses, as when the
                token has expired, or has not answered for RETRY_FOR_S.
        """
        give_up = time.monotonic() + RETRY_FOR_S
        while True:
            try:
                for message in self._messages(after, query):
                    give_up = time.monotonic() + RETRY_FOR_S
                    if message.id is not None:
                        after = int(message.id)
                        if message.data:
                            yield msgspec.json.decode(message.data, type=Event)
            except ApiProblem as problem:
                self.pause(problem, give_up)

    def _messages(self, after: int | None, query: dict[str, Any]) -> Iterator[Message]:
        """One stream of events, until it breaks or ends; a message with nothing in it is a sign of life.

        Raises:
            ApiProblem: Always: for a gap, one that no retry helps against.
        """
        headers = {"Accept": MEDIA_TYPE} | ({} if after is None else {"Last-Event-ID": str(after)})
        silence = httpx.Timeout(10.0, read=SILENCE_S)
        with self.stream("GET", "/v1/events", params=query, headers=headers, timeout=silence) as response:
            parser = Parser()
            for data in response.iter_raw():
                for message in parser.feed(data) or [Message()]:  # a heartbeat says that the stream lives
                    if message.event == "gap":
                        raise msgspec.json.decode(message.data, type=_Gap).problem()
                    if message.event == "bye":
                        reason = msgspec.json.decode(message.data, type=_Bye).reason
                        raise ApiProblem(0, "stream-ended", f"The stream ends: {reason}.", retry_after_s=1)
                    yield message
        raise ApiProblem(0, "stream-ended", "The stream has ended.", retry_after_s=1)

    def past_events(self, after: int | None = None, **query: Any) -> Iterator[Event]:  # noqa: ANN401
        """What has happened, page by page, up to now.

        Args:
            after: Begin after the event with this ``seq``; None: with the first that is kept.
            query: As for events().

        Raises:
            ApiProblem: As for events().
        """
        place, more = after or 0, True
        while more:
            response = self.call("GET", "/v1/events", params={**query, "after": place, "limit": 1000},
                                 headers={"Accept": "application/json"})  # fmt: skip
            page = msgspec.json.decode(response.content, type=_EventPage)
            if page.gap and after is not None:
                raise page.gap.problem()
            yield from page.items
            place, more, after = page.next_after, page.more, page.next_after
