"""The hub on a real database: what listeners get, in whatever order things happen."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert

from hpcjobs.errors import RateLimited, Unavailable
from hpcjobs.identity.policy import Visibility
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.job import Fate, State
from hpcjobs.push import hub as hubs
from hpcjobs.push.hub import EventHub, Gap, Lost
from hpcjobs.store import events
from hpcjobs.store.events import EventFilter, Stretch
from hpcjobs.store.rows import columns_of
from hpcjobs.store.store import Store
from hpcjobs.store.tables import EVENTS, JOBS

from .builders import job

ARRAY, TASK, OTHER = "a" * 32, "b" * 32, "c" * 32
EVERYTHING = EventFilter()


def told(number: int = 0, **fields) -> Event:
    return Event(**({"seq": 0, "at": 100.0 + number, "kind": EventKind.JOB_STATE, "cluster": "big"} | fields))


async def append(store: Store, *what: Event) -> None:
    await store.write(events.write, list(what))


@pytest.fixture
async def hub(store, monkeypatch):
    monkeypatch.setattr(hubs, "LOOK_S", 3600.0)  # commits are what wakes it
    hub = EventHub(store)
    hub.start()
    yield hub
    await hub.stop()


async def seqs(subscription, many: int) -> list[int]:
    found: list[int] = []
    while len(found) < many:
        items = await subscription.next(10)
        assert items, f"nothing came after {found}"
        found += [item.seq for item in items]
    return found


async def test_a_listener_without_a_place_gets_what_happens_from_now_on(hub, store):
    await append(store, told(), told())
    with hub.subscribe(EVERYTHING, None) as listener:
        assert await listener.next(0) == []
        assert listener.position == 2
        await append(store, told(), told())
        assert await seqs(listener, 2) == [3, 4]
        assert (listener.position, listener.settled) == (4, True)


async def test_a_listener_with_a_place_gets_what_follows_from_the_table_and_then_live(hub, store):
    await append(store, *(told() for _ in range(7)))
    with hub.subscribe(EVERYTHING, 2, chunk=2) as listener:
        assert await seqs(listener, 4) == [3, 4, 5, 6]
        assert not listener.live
        assert await seqs(listener, 1) == [7]
        assert listener.live
        await append(store, told())
        assert await seqs(listener, 1) == [8]


async def test_two_hundred_listeners_cause_one_reading_for_a_commit_and_not_two_hundred(hub, store):
    listeners = [hub.subscribe(EVERYTHING, None) for _ in range(200)]
    for listener in listeners:
        await listener.next(0)
    readings: list[str] = []

    def note(_connection, _cursor, statement, *_: object) -> None:
        if statement.startswith("SELECT") and "FROM events" in statement and "ORDER BY" in statement:
            readings.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    for number in range(5):
        await append(store, told())
        assert [await seqs(listener, 1) for listener in listeners] == [[number + 1]] * 200
    # Not once for each listener. It also looks when the first comes, and again where a commit ends as it looks.
    assert 5 <= len(readings) <= 11
    for listener in listeners:
        listener.close()
    await asyncio.sleep(0.05)
    before = len(readings)
    await append(store, told())
    await asyncio.sleep(0.05)
    assert len(readings) == before, "nobody listens, and the table was read"


async def test_one_who_is_too_slow_is_told_and_loses_nothing(hub, store, monkeypatch):
    monkeypatch.setattr(hubs, "QUEUE", 10)
    with hub.subscribe(EVERYTHING, None) as slow, hub.subscribe(EVERYTHING, None) as quick:
        await slow.next(0)
        await quick.next(0)
        for _ in range(5):
            await append(store, *(told() for _ in range(5)))
            await seqs(quick, 5)
        items = [item for _ in range(3) for item in await slow.next(0)]
    assert [item.seq for item in items if isinstance(item, Event)] == list(range(1, 26))
    (at,) = [place for place, item in enumerate(items) if isinstance(item, Lost)]
    assert items[at] == Lost(after=10)
    assert at == 10


async def test_events_that_are_not_kept_are_named_before_those_that_are(hub, store):
    await append(store, *(told(number) for number in range(10)))
    assert await store.write(events.prune, 106.0) == 6
    with hub.subscribe(EVERYTHING, 3) as listener:
        gap, *rest = await listener.next(0)
        assert gap == Gap(after=3, oldest=7)
        assert [item.seq for item in rest] == [7, 8, 9, 10]
    with hub.subscribe(EVERYTHING, 6) as listener:
        assert [item.seq for item in await listener.next(0)] == [7, 8, 9, 10]


async def test_a_place_that_never_was_is_a_gap_and_what_happens_from_now_on(hub, store):
    await append(store, told(), told())
    with hub.subscribe(EVERYTHING, 500) as listener:
        assert await listener.next(0) == [Gap(after=500, oldest=3)]
        await append(store, told())
        assert await seqs(listener, 1) == [3]


async def test_a_database_that_is_set_back_under_the_hub_is_a_gap_for_those_who_listen(hub, store):
    with hub.subscribe(EVERYTHING, 0) as listener:
        await append(store, *(told() for _ in range(5)))
        await seqs(listener, 5)
        await store.write(lambda connection: connection.execute(delete(EVENTS).where(EVENTS.c.seq > 2)))
        assert await listener.next(10) == [Gap(after=5, oldest=3)]


async def test_the_hub_goes_on_when_the_database_comes_back(hub, store, monkeypatch, caplog):
    monkeypatch.setattr(hubs, "RETRY_S", 0.01)
    with hub.subscribe(EVERYTHING, None) as listener:
        await listener.next(0)
        read, failures = store.read, [Unavailable("The database is away."), ValueError("a row nobody understands")]

        async def failing(*args, **kwargs):
            if failures:
                raise failures.pop(0)
            return await read(*args, **kwargs)

        monkeypatch.setattr(store, "read", failing)
        await append(store, told())
        assert await seqs(listener, 1) == [1]
    assert failures == []
    assert caplog.text.count("events cannot be read") == 1


async def test_a_closed_hub_ends_every_wait(store):
    hub = EventHub(store)
    hub.start()
    with hub.subscribe(EVERYTHING, None) as listener:
        waiting = asyncio.create_task(listener.next(60))
        await asyncio.sleep(0.05)
        await hub.stop()
        assert await waiting == []
        assert listener.closed


async def test_a_listener_who_is_cancelled_as_something_comes_is_gone(hub):
    """wait_for of Python 3.11 would lose the cancellation, and who waits for the listener's end would wait for ever."""
    with hub.subscribe(EVERYTHING, None) as listener:
        await listener.next(0)
        waiting = asyncio.create_task(listener.next(60))
        await asyncio.sleep(0.05)
        listener.wake()
        waiting.cancel()
        done, _ = await asyncio.wait([waiting], timeout=60)
        assert done == {waiting}
        assert waiting.cancelled()


async def test_a_user_has_so_many_streams_and_one_that_is_closed_or_forgotten_does_not_count(hub):
    one = hub.subscribe(EVERYTHING, None)
    hub.admit("alice", one, 2)
    hub.admit("alice", hub.subscribe(EVERYTHING, None), 2)  # nobody holds it
    two = hub.subscribe(EVERYTHING, None)
    hub.admit("alice", two, 2)
    with pytest.raises(RateLimited, match="alice has 2 streams"):
        hub.admit("alice", hub.subscribe(EVERYTHING, None), 2)
    hub.admit("bob", hub.subscribe(EVERYTHING, None), 1)
    one.close()
    hub.admit("alice", hub.subscribe(EVERYTHING, None), 2)


async def test_what_one_may_see_can_change_while_one_listens(hub, store):
    seen = [Visibility("lead")]
    with hub.subscribe(EVERYTHING, None, lambda: seen[0]) as listener:
        await listener.next(0)
        await append(store, told(user="alice", account="vision"), told(kind=EventKind.NODE_STATE))
        assert await seqs(listener, 1) == [2]
        seen[0] = Visibility("lead", frozenset({("big", "vision")}))
        await append(store, told(user="alice", account="vision"))
        assert await seqs(listener, 1) == [3]


LISTENER = 7


class Held:
    """One reading that found something and whose answer is still on its way.

    Args:
        hub: Of the hub itself, or of one of its listeners.
        limit: Known by how much is read at once.
    """

    def __init__(self, hub: EventHub, limit: int) -> None:
        self.made, self._free, self._limit = asyncio.Event(), asyncio.Event(), limit
        self._hub, self._read = hub, hub.read
        hub.read = self.read  # type: ignore[method-assign]

    async def read(self, wanted: EventFilter, after: int | None, limit: int) -> Stretch:
        piece = await self._read(wanted, after, limit)
        if limit == self._limit and piece.events and not self.made.is_set():
            self.made.set()
            await self._free.wait()
        return piece

    def let_go(self) -> None:
        self._free.set()


async def test_what_is_handed_out_while_a_listener_still_reads_is_not_skipped(hub, store):
    with hub.subscribe(EVERYTHING, None) as witness, hub.subscribe(EVERYTHING, 0, chunk=LISTENER) as listener:
        await witness.next(0)
        await append(store, told())
        assert await seqs(witness, 1) == [1]
        held = Held(hub, LISTENER)
        reading = asyncio.create_task(seqs(listener, 2))
        await held.made.wait()
        await append(store, told())
        assert await seqs(witness, 1) == [2]
        held.let_go()
        assert await reading == [1, 2]


async def test_what_a_listener_has_read_before_it_is_handed_out_does_not_come_twice(hub, store):
    with hub.subscribe(EVERYTHING, None) as witness, hub.subscribe(EVERYTHING, 0, chunk=LISTENER) as listener:
        await witness.next(0)
        await append(store, told())
        assert await seqs(witness, 1) == [1]
        held = Held(hub, hubs.CHUNK)
        await append(store, told())
        await held.made.wait()
        assert await seqs(listener, 2) == [1, 2]
        assert listener.live
        held.let_go()
        await append(store, told())
        assert await seqs(witness, 2) == [2, 3]
        assert await seqs(listener, 1) == [3]


async def test_a_listener_who_comes_as_the_last_one_leaves_misses_nothing(hub, store):
    with hub.subscribe(EVERYTHING, None) as witness, hub.subscribe(EVERYTHING, 0, chunk=LISTENER) as listener:
        await witness.next(0)
        await append(store, told())
        assert await seqs(witness, 1) == [1]
        slow = Held(hub, LISTENER)
        reading = asyncio.create_task(seqs(listener, 3))
        await slow.made.wait()
        await append(store, told())
        assert await seqs(witness, 1) == [2]
        held = Held(hub, hubs.CHUNK)
        await append(store, told())
        await held.made.wait()
        witness.close()
        slow.let_go()
        assert not reading.done()
        await asyncio.sleep(0.02)  # the listener goes live before the hub has its answer
        held.let_go()
        assert await reading == [1, 2, 3]


USERS, ACCOUNTS = ["alice", "bob", ""], ["vision", "climate", ""]
EVENTS_ANY = st.builds(
    told,
    kind=st.sampled_from(EventKind),
    cluster=st.sampled_from(["big", "small"]),
    job_id=st.sampled_from([None, ARRAY, OTHER]),
    user=st.sampled_from(USERS),
    account=st.sampled_from(ACCOUNTS),
    data=st.fixed_dictionaries({}, optional={"state": st.sampled_from(State), "fate": st.sampled_from(Fate)}),
) | st.builds(told, job_id=st.just(TASK), user=st.sampled_from(USERS), data=st.just({"parent": ARRAY}))
VISIBLE = st.builds(
    Visibility,
    user=st.sampled_from(["alice", "bob"]),
    accounts=st.frozensets(st.tuples(st.sampled_from(["big", "small"]), st.sampled_from(ACCOUNTS[:2])), max_size=2),
    everything=st.booleans(),
)
FILTERS = st.builds(
    EventFilter,
    user=st.none() | st.sampled_from(USERS),
    cluster=st.none() | st.sampled_from(["big", "small"]),
    account=st.none() | st.sampled_from(ACCOUNTS),
    job_id=st.none() | st.sampled_from([ARRAY, TASK, OTHER]),
    kinds=st.lists(st.sampled_from(EventKind), max_size=2).map(tuple),
    states=st.lists(st.sampled_from(State), max_size=2).map(tuple),
    fates=st.lists(st.sampled_from(Fate), max_size=2).map(tuple),
    visible=st.none() | VISIBLE,
)
STEPS = st.lists(
    st.lists(EVENTS_ANY, min_size=1, max_size=6) | st.sampled_from(["take", "drop", "yield"]), min_size=1, max_size=14
)


@pytest.fixture(scope="module")
def with_jobs(empty_database, tmp_path_factory):
    """A database that knows an array, a task of it and another job."""
    path = tmp_path_factory.mktemp("hub") / "jobs.db"
    shutil.copy(empty_database, path)
    store = Store(f"sqlite:///{path}")
    with store.engine.begin() as connection:
        for fields in ({"id": ARRAY}, {"id": TASK, "parent": ARRAY, "task": 1}, {"id": OTHER}):
            connection.execute(insert(JOBS), columns_of(job(**fields)))
    store.close()
    return path


class Life:
    """A hub whose readings are slow at times, and everything that happens meanwhile.

    Args:
        store: An empty table of events.
        pace: What befalls one reading after the other: nothing, time passes, an event is appended behind it.
    """

    def __init__(self, store: Store, pace: list[str]) -> None:
        self.store = store
        self.hub = EventHub(store)
        self.every: list[Event] = []
        self._pace = pace
        self._coming = 0
        self._read, self.hub.read = self.hub.read, self.read  # type: ignore[method-assign]

    async def read(self, wanted: EventFilter, after: int | None, limit: int) -> Stretch:
        piece = await self._read(wanted, after, limit)
        pace = self._pace.pop() if self._pace else ""
        if pace == "append":
            self._coming += 1
            await self.append(told(user="alice"))
            self._coming -= 1
        if pace:
            await asyncio.sleep(0.004)
        return piece

    async def append(self, *what: Event) -> None:
        self.every += what
        await append(self.store, *what)

    async def run(self, wanted: EventFilter, steps: list, chunk: int, witness: bool) -> tuple[list[int], list[int]]:
        """A listener who takes some, drops the connection and comes back, and perhaps one who is always there."""
        self.hub.start()
        with self.hub.subscribe(EVERYTHING, None) as other:
            if witness:
                await other.next(0)
            listener, got = self.hub.subscribe(wanted, 0, chunk=chunk), []
            for step in steps:
                if step == "take":
                    got += numbers(await listener.next(0))
                elif step == "drop":
                    place = listener.position
                    assert place >= (got[-1] if got else 0)
                    listener.close()
                    listener = self.hub.subscribe(wanted, place, chunk=chunk)
                elif step == "yield":
                    await asyncio.sleep(0.002)
                else:
                    await self.append(*step)
            got += await self.rest(listener)
            listener.close()
            seen = await self.rest(other) if witness else []
        await self.hub.stop()
        return got, seen

    async def rest(self, listener) -> list[int]:
        """What is still to come; half a minute without anything says that it never does."""
        found: list[int] = []
        while self._pace or self._coming or listener.position < await self.store.read(events.last_seq):
            self._pace.clear()
            before = listener.position
            found += numbers(await listener.next(0.01))
            for _ in range(3000):
                if listener.position > before or listener.position == await self.store.read(events.last_seq):
                    break
                found += numbers(await listener.next(0.01))
            else:
                pytest.fail(f"nothing comes after {before}")
        return found


def numbers(items) -> list[int]:
    assert not any(isinstance(item, Gap) for item in items)
    return [item.seq for item in items if isinstance(item, Event)]


@given(
    wanted=FILTERS | st.just(EVERYTHING),
    steps=STEPS,
    pace=st.lists(st.sampled_from(["", "wait", "append"]), max_size=12),
    chunk=st.integers(1, 4),
    queue=st.integers(1, 8),
    witness=st.booleans(),
)
def test_nothing_is_skipped_and_nothing_comes_twice(
    with_jobs, tmp_path_factory, wanted, steps, pace, chunk, queue, witness
):
    path = tmp_path_factory.mktemp("life") / "jobs.db"
    shutil.copy(with_jobs, path)
    store = Store(f"sqlite:///{path}")

    async def live() -> tuple[Life, list[int], list[int]]:
        life = Life(store, list(pace))
        return life, *await life.run(wanted, steps, chunk, witness)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hubs, "QUEUE", queue)
        patch.setattr(hubs, "CHUNK", chunk)
        patch.setattr(hubs, "LOOK_S", 3600.0)
        life, got, seen = asyncio.run(live())
    store.close()
    assert got == [number for number, one in enumerate(life.every, 1) if wanted.covers(one)]
    if witness:
        assert seen == list(range(1, len(life.every) + 1))


@given(wanted=FILTERS, some=st.lists(EVENTS_ANY, min_size=1, max_size=12), limit=st.integers(1, 5))
def test_pages_of_the_table_hold_what_the_filter_covers(with_jobs, tmp_path_factory, wanted, some, limit):
    path = tmp_path_factory.mktemp("pages") / "jobs.db"
    shutil.copy(with_jobs, path)
    store = Store(f"sqlite:///{path}")
    with store.engine.begin() as connection:
        events.write(connection, some)
        found, place = [], 0
        while place < len(some):
            piece = events.stretch(connection, wanted, place, limit)
            assert piece.upto > place
            found, place = found + [one.seq for one in piece.events], piece.upto
    store.close()
    assert found == [number for number, one in enumerate(some, 1) if wanted.covers(one)]


@given(
    ages=st.lists(st.integers(0, 20), min_size=1, max_size=12),
    before=st.integers(0, 21),
    keep=st.none() | st.integers(0, 12),
    most=st.integers(1, 12),
)
def test_forgetting_leaves_no_hole_and_keeps_the_young_the_awaited_and_the_newest(
    with_jobs, tmp_path_factory, ages, before, keep, most
):
    path = tmp_path_factory.mktemp("prune") / "jobs.db"
    shutil.copy(with_jobs, path)
    store = Store(f"sqlite:///{path}")
    with store.engine.begin() as connection:
        events.write(connection, [told(at=float(at)) for at in ages])
        gone = 0
        while now := events.prune(connection, float(before), keep, most):
            assert now <= most
            gone += now
        left = [one.seq for one in events.stretch(connection, EVERYTHING, 0, 100).events]
    store.close()
    assert left == list(range(gone + 1, len(ages) + 1))
    young = [number for number, at in enumerate(ages, 1) if at >= before]
    assert gone == min([len(ages) - 1, *(number - 1 for number in young), *([] if keep is None else [keep])])
