"""``/v1/events``: what happens, as it happens or page by page."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import Account, Cluster, Fates, States, User, own_job, problems
from hpcjobs.api.described import ServerSentEvents
from hpcjobs.api.held import HeldStream
from hpcjobs.api.jobs import MAX_LIMIT
from hpcjobs.errors import HpcjobsError, Refusal, Refused
from hpcjobs.identity.policy import Identity, Scope, Visibility
from hpcjobs.model.event import Event, EventKind, EventPage, Gap
from hpcjobs.push.hub import CHUNK, Item, Lost, Subscription
from hpcjobs.service import Service
from hpcjobs.sse import MEDIA_TYPE, Message, frame
from hpcjobs.store.events import EventFilter

HEARTBEAT_S: Final = 15.0
RETRY_MS: Final = 2_000
MAX_SEQ: Final = 2**62
MAX_WAIT_S: Final = 60.0
SEQ = re.compile(r"[0-9]{1,18}", re.ASCII)
JSON: Final = "application/json"
NOT_KEPT: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def wanted_of(
    service: Service,
    request: Asked,
    cluster: str | None,
    job_id: str | None,
    **more: Any,  # noqa: ANN401  fields of EventFilter
) -> EventFilter:
    """The filter that a request names.

    Raises:
        ClusterUnknown: There is no such cluster.
        JobUnknown: There is no such job, or none that the caller may see.
    """
    if job_id is not None:
        job_id = (await own_job(service, request, job_id, cluster)).id
    if cluster is not None:
        cluster = service.target(cluster).observer.cluster
    return EventFilter(cluster=cluster, job_id=job_id, **more)


def sees(service: Service, who: Identity) -> Visibility:
    """What a caller may see now: projects may have changed hands since they came."""
    return Visibility(who.user, service.directory.managed_by(who.user), who.sees_all)


def _place(last_event_id: str | None, after: int | None) -> int | None:
    if not last_event_id:
        return after
    if not SEQ.fullmatch(last_event_id):
        raise Refused([Refusal("Last-Event-ID", "This is not the id of an event.")])
    return int(last_event_id)


def message_of(item: Item) -> Message:
    """What is said of one item."""
    data = msgspec.json.encode(item).decode()
    if isinstance(item, Event):
        return Message(item.kind.value, data, str(item.seq))
    if isinstance(item, Lost):
        return Message("lost", data)
    return Message("gap", data, str(item.oldest - 1))


async def frames(subscription: Subscription, items: list[Item], until: float) -> AsyncIterator[bytes]:
    """A stream, from first to last byte.

    Args:
        subscription: What is told.
        items: What came of it first.
        until: Unix seconds at which the caller's token ends.
    """
    told = subscription.position
    yield frame(Message(id=None if items else str(told)), retry_ms=RETRY_MS)
    while True:
        if items:
            yield b"".join(frame(message_of(item)) for item in items)
        left_s = until - time.time()
        if left_s <= 0 or subscription.closed:
            yield _bye("the service stops" if subscription.closed else "the token has expired")
            return
        try:
            items = await subscription.next(min(HEARTBEAT_S, left_s))
        except HpcjobsError as error:
            yield _bye(error.detail)
            return
        if not items:
            here = subscription.position
            # Where nothing of theirs happened, the listener still learns where to go on.
            yield frame(Message(id=str(here) if here != told else None), comment="")
            told = here


def _bye(reason: str) -> bytes:
    return frame(Message("bye", msgspec.json.encode({"reason": reason}).decode()))


@get(
    "/v1/events",
    security=needs(Scope.EVENTS_READ),
    responses=problems()
    | {
        200: ResponseSpec(
            data_container=EventPage,
            description="With `Accept: application/json` a page; else `text/event-stream`, which does not end.",
            generate_examples=False,
        )
    },
    operation_class=ServerSentEvents,
    summary="Events",
    description="Server-sent events: `id` is the event's `seq`, `event` its kind, `data` an Event as JSON. Without "
    "Last-Event-ID (or `after`) it begins now; with it, after that event: nothing is left out and nothing comes twice. "
    "`gap`: events before `oldest` are not kept any more. `lost`: you read too slowly; what follows comes from the "
    "table. `bye`: the stream ends, as the token does. With `Accept: application/json`: a page; `wait_s` waits for the "
    "first event of it. One sees events of the jobs that one sees, and of nodes and clusters.",
    tags=["events"],
)
async def events(
    request: Asked,
    service: NamedDependency[Service],
    last_event_id: Annotated[
        str | None,
        HeaderParameter(name="Last-Event-ID", description="`id` of the last event; wins over `after`."),
    ] = None,
    after: Annotated[int | None, QueryParameter(ge=0, le=MAX_SEQ, description="`seq` or `next_after`.")] = None,
    kind: Annotated[list[EventKind] | None, QueryParameter(description="Of one of these kinds.")] = None,
    cluster: Cluster = None,
    job_id: Annotated[str | None, QueryParameter(description="Of this job; of an array, its tasks' too.")] = None,
    user: User = None,
    account: Account = None,
    job_state: States = None,
    fate: Fates = None,
    wait_s: Annotated[
        float, QueryParameter(ge=0, le=MAX_WAIT_S, description="Of a page: how long to wait for an event, in seconds.")
    ] = 0.0,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Of a page: most events.")] = 100,
) -> Response[EventPage]:
    """Tell."""
    lists = {"kinds": tuple(kind or ()), "states": tuple(job_state or ()), "fates": tuple(fate or ())}
    wanted = await wanted_of(service, request, cluster, job_id, user=user, account=account, **lists)
    as_page = request.accept.best_match([MEDIA_TYPE, JSON], default=MEDIA_TYPE) == JSON
    chunk = limit if as_page else CHUNK
    who = request.user
    subscription = service.hub.subscribe(wanted, _place(last_event_id, after), lambda: sees(service, who), chunk)
    with contextlib.ExitStack() as kept:
        kept.enter_context(subscription)
        if wait_s or not as_page:
            service.hub.admit(who.user, subscription, service.settings.streams_per_user)
        if as_page:
            items = await subscription.next(min(wait_s, max(who.expires_at - time.time(), 0.0)))
            return Response(
                EventPage(
                    items=[item for item in items if isinstance(item, Event)],
                    next_after=subscription.position,
                    more=not subscription.settled,
                    gap=next((item for item in items if isinstance(item, Gap)), None),
                ),
                media_type=JSON,
            )
        # The first piece before the stream has begun: a refusal is still an answer of its own.
        told = frames(subscription, await subscription.next(0.0), who.expires_at)
        stream = HeldStream(subscription, told, MEDIA_TYPE, NOT_KEPT)
        kept.pop_all()
    return stream  # type: ignore[return-value]
