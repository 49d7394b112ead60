"""Calls the service, again where that can help."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
import msgspec

from hpcjobs.client import patience
from hpcjobs.client.patience import Patience, async_sleep
from hpcjobs.client.problems import (
    MAYBE_DONE,
    ApiProblem,
    ServiceFault,
    Unreachable,
    answer_lost,
    problem_of,
    stream_ended,
    unreachable,
)
from hpcjobs.client.wire import FOREVER, address_of, bearer, with_query
from hpcjobs.profiles import load

T = TypeVar("T")
NONE: Final[Mapping[str, object]] = {}
NO_HEADERS: Final[Mapping[str, str]] = {}
TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
KEEP_ALIVE_S: Final = 3.0
"""Shorter than servers keep a connection: one that is closed in the moment of its use is an answer lost."""


class AsyncCaller:
    """Calls the service.

    Args:
        url: As ``http://127.0.0.1:8080``.
        token: Bearer token, or what gives one: it is asked before each call.
        waiting: Told the problem when a call is about to be tried again.
        retry_for_s: For how long calls are tried again while the service is away, in seconds.
        verify: How the service's certificate is checked: see httpx.
        transport: How requests travel; None: over the network.

    Raises:
        ValueError: The URL is not one of a service, or the token cannot be sent: no retry can help.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        waiting: Callable[[ApiProblem], None] = lambda _problem: None,
        *,
        retry_for_s: float | None = None,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = address_of(url)
        self.retry_for_s = patience.RETRY_FOR_S if retry_for_s is None else retry_for_s
        if isinstance(token, str):
            bearer(token)
        self._token = token
        self._waiting = waiting
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=TIMEOUT,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
            verify=verify if httpx.URL(url).scheme == "https" else False,  # certificates take time to read
            transport=transport,
        )

    @classmethod
    def from_config(cls, waiting: Callable[[ApiProblem], None] = lambda _problem: None) -> Self:
        """As the command line: HPCJOBS_URL and HPCJOBS_TOKEN, else ``~/.config/hpcjobs/config.toml``.

        Raises:
            ValueError: The configuration cannot be read or used.
        """
        config = load()
        return cls(config.url, config.token, waiting)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _headers(self, more: Mapping[str, str], body: bytes | None) -> dict[str, str]:
        token = self._token if isinstance(self._token, str) else self._token()
        json = {} if body is None else {"Content-Type": "application/json"}
        return {"Authorization": bearer(token)} | json | dict(more)

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] = NONE,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout: httpx.Timeout = TIMEOUT,  # noqa: ASYNC109  of one try, not of the call
        retry_for_s: float | None = None,
        repeatable: bool = True,
    ) -> httpx.Response:
        """One call, tried again while the service or what it needs is away.

        Args:
            method: HTTP's.
            path: Path, its segments quoted.
            query: What comes after it; what is None is left out.
            body: What is sent; JSON where the headers do not say otherwise.
            headers: More of them.
            timeout: Of one try.
            retry_for_s: For how long to try; None: as the client was told.
            repeatable: Whether saying it twice does it once. What is not is only said again where the first try
                certainly did nothing.

        Raises:
            AnswerLost: What is not repeatable may have been done.
            ApiProblem: The service refuses, or has not answered in that time.
        """
        patient = Patience(self.retry_for_s if retry_for_s is None else retry_for_s)
        url = with_query(path, query)
        while True:
            try:
                response = await self._http.request(
                    method, url, content=body, headers=self._headers(headers, body), timeout=timeout
                )
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                problem: ApiProblem = unreachable(self.url, error)  # nothing was sent
            except httpx.HTTPError as error:
                problem = unreachable(self.url, error)
                if not repeatable:
                    raise answer_lost(problem) from error
            else:
                if response.is_success:
                    return response
                problem = problem_of(response.status_code, response.reason_phrase, response.content)
                if not repeatable and (problem.code in MAYBE_DONE or isinstance(problem, Unreachable)):
                    raise answer_lost(problem)
            await self.pause(problem, patient)

    async def ask(
        self,
        result: type[T],
        method: str,
        path: str,
        query: Mapping[str, object] = NONE,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout: httpx.Timeout = TIMEOUT,  # noqa: ASYNC109
        retry_for_s: float | None = None,
        repeatable: bool = True,
    ) -> T:
        """The same, for the answer as what it is.

        Raises:
            ServiceFault: The answer is something else.
            ApiProblem: See request().
        """
        response = await self.request(
            method,
            path,
            query,
            body=body,
            headers=headers,
            timeout=timeout,
            retry_for_s=retry_for_s,
            repeatable=repeatable,
        )
        try:
            return msgspec.json.decode(response.content, type=result)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ServiceFault(
                response.status_code, "unreadable", f"{method} {path} was not answered as expected: {error}"
            ) from error

    async def pause(self, problem: ApiProblem, patient: Patience) -> None:
        """Wait as long as a problem says before the next try.

        Args:
            problem: Why the last one failed.
            patient: Whether there is another.

        Raises:
            ApiProblem: No other try can help, or it is too late.
        """
        seconds = patient.pause_s(problem)
        self._waiting(problem)
        await async_sleep(seconds)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] = NONE,
        *,
        body: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout: httpx.Timeout = FOREVER,  # noqa: ASYNC109
    ) -> AsyncIterator[httpx.Response]:
        """One call whose answer, or body, is long and comes as it comes. Tried once.

        Raises:
            StreamEnded: The connection broke in the middle.
            ApiProblem: The service refuses, or does not answer.
        """
        begun = False
        try:
            async with self._http.stream(
                method,
                with_query(path, query),
                content=body,
                headers=self._headers(headers, None),
                timeout=timeout,
            ) as response:
                begun = True
                if not response.is_success:
                    await response.aread()
                    raise problem_of(response.status_code, response.reason_phrase, response.content)
                yield response
        except httpx.HTTPError as error:
            if begun:
                raise stream_ended(f"The stream broke: {error}") from error
            raise unreachable(self.url, error) from error
