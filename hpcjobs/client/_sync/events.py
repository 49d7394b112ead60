# Made by scripts/unasync of hpcjobs/client/_async/events.py; change that and run it. Alike on purpose.
"""What happens, as it happens; and waiting for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Final, Unpack

import httpx
import msgspec

from hpcjobs.client._sync.jobs import Jobs
from hpcjobs.client.patience import Patience, Stream, sleep
from hpcjobs.client.problems import ApiProblem, EventsGone, NotAllowed, NotFound, RateLimited, Transient, stream_ended
from hpcjobs.client.wire import SILENCE_S, EventFilters, JobName
from hpcjobs.model.event import Event, EventPage, Gap
from hpcjobs.model.job import Job
from hpcjobs.sse import MEDIA_TYPE, Message, Parser

JSON: Final = {"Accept": "application/json"}
LONG_POLL_S: Final = 30.0
"""How long one question for the next event stays open."""
POLL_S: Final = 5.0
"""How often a job is looked at where events cannot be had."""


class _Bye(msgspec.Struct, frozen=True):
    reason: str


def ended(job: Job) -> bool:
    """Whether a job has ended."""
    return job.final


class Events(Jobs):
    """Events."""

    def events(self, after: int | None = None, **filters: Unpack[EventFilters]) -> Stream[Event]:
        """What happens, as it happens, for ever; each event once, whatever breaks in between.

        Args:
            after: Begin after the event with this ``seq``; None: with what happens from now on.
            filters: Which events.

        Raises:
            EventsGone: What would follow is not kept any more.
            ApiProblem: The service refuses, as when the token has expired, or stays away for ``retry_for_s``.
        """
        patient = Patience(self.retry_for_s)
        while True:
            try:
                with closing(self._messages(after, filters)) as messages:
                    for message in messages:
                        patient.renew()
                        if message.id is not None:
                            after = int(message.id)
                            if message.data:
                                yield msgspec.json.decode(message.data, type=Event)
            except ApiProblem as problem:
                self.pause(problem, patient)

    def _messages(self, after: int | None, filters: EventFilters) -> Stream[Message]:
        """One stream of events, until it breaks or ends; a message with nothing in it is a sign of life.

        Raises:
            ApiProblem: Always: for a gap, one that no retry helps against.
        """
        headers = {"Accept": MEDIA_TYPE} | ({} if after is None else {"Last-Event-ID": str(after)})
        silence = httpx.Timeout(10.0, read=SILENCE_S)
        with self.stream("GET", "/v1/events", filters, headers=headers, timeout=silence) as response:
            parser = Parser()
            for data in response.iter_raw():
                for message in parser.feed(data) or [Message()]:  # a heartbeat says that the stream lives
                    if message.event == "gap":
                        raise EventsGone(msgspec.json.decode(message.data, type=Gap))
                    if message.event == "bye":
                        reason = msgspec.json.decode(message.data, type=_Bye).reason
                        raise stream_ended(f"The stream ends: {reason}.")
                    yield message
        raise stream_ended("The stream has ended.")

    def events_page(
        self,
        *,
        after: int | None = None,
        wait_s: float = 0.0,
        limit: int = 100,
        retry_for_s: float | None = None,
        **filters: Unpack[EventFilters],
    ) -> EventPage:
        """One page of events, oldest first.

        Args:
            after: ``next_after`` of the page before; None: begin now.
            wait_s: How long to wait for the first of them, in seconds, up to 60.
            limit: Most events, up to 1000.
            retry_for_s: For how long to try again while the service is away; None: as the client was told.
            filters: Which events.
        """
        query = {**filters, "after": after, "wait_s": wait_s, "limit": limit}
        wait = httpx.Timeout(60.0 + wait_s, connect=10.0)
        return self.ask(EventPage, "GET", "/v1/events", query, headers=JSON, timeout=wait, retry_for_s=retry_for_s)

    def past_events(self, after: int | None = None, **filters: Unpack[EventFilters]) -> Stream[Event]:
        """What has happened, up to now.

        Args:
            after: Begin after the event with this ``seq``; None: with the first that is kept.
            filters: Which events.

        Raises:
            EventsGone: What would follow is not kept any more.
        """
        place, more = after or 0, True
        while more:
            page = self.events_page(after=place, limit=1000, **filters)
            if page.gap and after is not None:
                raise EventsGone(page.gap)
            yield from page.items
            place, more, after = page.next_after, page.more, page.next_after

    def wait(
        self,
        job: JobName,
        *,
        until: Callable[[Job], bool] = ended,
        timeout_s: float | None = None,
        cluster: str | None = None,
    ) -> Job:
        """Wait until a job has ended, or is otherwise as wanted.

        The job is looked at when an event of it comes, and not before; every few seconds, where the token is not
        for events or one listens too often already. The service may be away for up to ``retry_for_s`` at a time.

        Args:
            job: By any of its names.
            until: What to wait for.
            timeout_s: For how long, in seconds; None: for ever.
            cluster: On which cluster Slurm's numbers count.

        Returns:
            The job as it was when ``until`` first held.

        Raises:
            TimeoutError: It does not hold yet.
            ApiProblem: There is no such job, or the service stays away.
        """
        give_up = None if timeout_s is None else time.monotonic() + timeout_s
        place = self._end_of_events()  # before the first look: what happens in between is told
        while True:
            found = self.job(job, cluster=cluster)
            if until(found):
                return found
            left_s = LONG_POLL_S if give_up is None else give_up - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"job {found.slurm_name or found.id} is {found.state} after {timeout_s:g} s")
            place = self._next_event(found, place, min(left_s, LONG_POLL_S))

    def _end_of_events(self) -> int | None:
        """Where events are now; None: they cannot be had."""
        try:
            return (self.events_page(limit=1)).next_after
        except (NotAllowed, NotFound):
            return None

    def _next_event(self, job: Job, place: int | None, wait_s: float) -> int | None:
        """Wait for an event of a job after a place, and return the place to go on from."""
        pause_s = POLL_S
        if place is not None:
            try:
                whose = job.parent or job.id  # a task that Slurm has not split off has no events of its own
                page = self.events_page(after=place, wait_s=wait_s, retry_for_s=0.0, job_id=whose)
            except RateLimited:
                pass  # too many listen already
            except Transient as problem:
                pause_s = problem.retry_after_s or POLL_S
            else:
                return page.next_after
        sleep(min(wait_s, pause_s))
        return place
