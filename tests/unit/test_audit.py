"""The audit log: its chain, the database that refuses to change it, and the writer."""

from __future__ import annotations

import asyncio
import os
import time

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hpcjobs import audit as writer
from hpcjobs.audit import AuditLog
from hpcjobs.cli.main import main
from hpcjobs.errors import Unavailable
from hpcjobs.model.audit import GENESIS, AuditEvent, chained, first_fault
from hpcjobs.store import audit
from hpcjobs.store.audit import AuditFilter
from hpcjobs.store.store import Store


def event(number: int = 0, **more: object) -> AuditEvent:
    return AuditEvent(**({"at": 100.0 + number, "user": "alice", "action": "POST /v1/jobs", "status": 201} | more))


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
EVENTS = st.builds(
    AuditEvent,
    at=st.floats(0, 4e9),
    user=TEXTS,
    role=TEXTS,
    token=TEXTS,
    client=TEXTS,
    action=TEXTS,
    target=TEXTS,
    status=st.integers(100, 599),
    code=TEXTS,
    count=st.integers(1, 10**6),
)


def chain_of(events):
    entries, previous = [], GENESIS
    for number, one in enumerate(events, 1):
        entries.append(chained(previous, number, one))
        previous = entries[-1].hash
    return entries


@given(st.lists(EVENTS, min_size=1, max_size=6), st.data())
def test_any_change_of_any_field_of_any_entry_is_found(events, data):
    entries = chain_of(events)
    assert first_fault(GENESIS, 0, entries) == ""
    place = data.draw(st.integers(0, len(entries) - 1))
    name = data.draw(st.sampled_from(list(AuditEvent.__struct_fields__)))
    old = getattr(entries[place], name)
    new = data.draw(TEXTS if isinstance(old, str) else st.integers(0, 10**6))
    if new == old:
        return
    entries[place] = msgspec.structs.replace(entries[place], **{name: new})
    assert first_fault(GENESIS, 0, entries) == f"entry {place + 1} was changed, or the one before it was"


@given(st.lists(EVENTS, min_size=3, max_size=6), st.data())
def test_an_entry_left_out_or_moved_is_found(events, data):
    entries = chain_of(events)
    place = data.draw(st.integers(0, len(entries) - 2))
    assert f"entry {place + 1} is missing" in first_fault(GENESIS, 0, entries[:place] + entries[place + 1 :])
    entries[place], entries[place + 1] = entries[place + 1], entries[place]
    assert first_fault(GENESIS, 0, entries) != ""


def urls() -> list[str]:
    """SQLite, and PostgreSQL where a test database is given."""
    return ["sqlite", *filter(None, [os.environ.get("HPCJOBS_TEST_POSTGRES")])]


@pytest.fixture(params=urls(), ids=lambda url: url.split(":")[0])
def database(request, store):
    if request.param == "sqlite":
        yield store
        return
    postgres = Store(request.param)
    with postgres.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    postgres.upgrade()
    yield postgres
    postgres.close()


def append(store: Store, *events: AuditEvent) -> None:
    with store.engine.begin() as connection:
        audit.append(connection, events)


def verdict(store: Store) -> audit.Verdict:
    with store.engine.connect() as connection:
        return audit.verify(connection)


def test_what_is_appended_is_read_as_it_was_and_the_chain_holds(database):
    events = [event(1), event(2, user="bob", status=403), event(3, at=time.time(), target="ü|\n'")]
    append(database, *events[:2])
    append(database, events[2])
    with database.engine.connect() as connection:
        found = audit.page(connection, AuditFilter(), None, 10)
    assert found[::-1] == chain_of(events)
    assert verdict(database) == audit.Verdict(3, found[0].hash, "")


CHANGES = [
    "UPDATE audit SET status = 200 WHERE seq = 2",
    "UPDATE audit SET \"user\" = 'bob'",
    "DELETE FROM audit WHERE seq = 3",
    "DELETE FROM audit",
]
REPLACE = (
    "INSERT OR REPLACE INTO audit SELECT seq, at, 'bob', role, token, issuer, client, request_id, action, target,"
    " status, code, count, hash FROM audit WHERE seq = 2"
)


def test_the_database_itself_refuses_to_change_or_delete_an_entry(database):
    append(database, *(event(number) for number in range(3)))
    before = verdict(database)
    for statement in [*CHANGES, REPLACE if database.is_sqlite else "TRUNCATE audit"]:
        with pytest.raises(DBAPIError, match="append-only"), database.engine.begin() as connection:
            connection.execute(text(statement))
        assert verdict(database) == before, statement


def test_a_change_by_somebody_who_took_the_triggers_away_is_found(store):
    append(store, *(event(number) for number in range(5)))
    with store.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("UPDATE audit SET status = 200 WHERE seq = 4"))
    assert verdict(store).fault == "entry 4 was changed, or the one before it was"
    assert verdict(store).entries == 3


def test_a_long_log_is_checked_piece_by_piece(store, monkeypatch):
    monkeypatch.setattr(audit, "VERIFY_CHUNK", 7)
    append(store, *(event(number) for number in range(30)))
    assert verdict(store).entries == 30
    with store.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_delete"))
        connection.execute(text("DELETE FROM audit WHERE seq = 15"))
    assert verdict(store) == audit.Verdict(14, verdict(store).head, "entry 15 is missing: the next one is 16")


def test_entries_are_filtered_and_paged(store):
    append(store, *(event(number, user="ab"[number % 2], status=200 + number, request_id=f"r{number}")
                    for number in range(6)))  # fmt: skip

    def seqs(before: int | None = None, limit: int = 10, **wanted: object) -> list[int]:
        with store.engine.connect() as connection:
            return [entry.seq for entry in audit.page(connection, AuditFilter(**wanted), before, limit)]

    assert seqs() == [6, 5, 4, 3, 2, 1]
    assert seqs(limit=2) == [6, 5]
    assert seqs(before=5, limit=2) == [4, 3]
    assert seqs(user="a") == [5, 3, 1]
    assert seqs(status=203) == [4]
    assert seqs(request_id="r0") == [1]
    assert seqs(action="POST /v1/jobs", since=102.0, until=104.0) == [4, 3]
    assert seqs(action="DELETE") == []


async def test_two_processes_that_append_at_once_make_one_chain(database):
    other = Store(database.url)
    logs = [AuditLog(database), AuditLog(other)]
    for log in logs:
        log.start()
    await asyncio.gather(*(logs[number % 2].write(event(number)) for number in range(60)))
    for log in logs:
        await log.stop()
    assert (verdict(database).entries, verdict(database).fault) == (60, "")
    other.close()


@pytest.fixture
async def log(store):
    log = AuditLog(store)
    log.start()
    yield log
    await log.stop()


def written(store: Store) -> list[tuple[str, int, int]]:
    with store.engine.connect() as connection:
        return [(entry.user, entry.status, entry.count) for entry in audit.page(connection, AuditFilter(), None, 99)][
            ::-1
        ]


async def test_what_was_waited_for_is_on_disk(log, store):
    await log.write(event())
    assert written(store) == [("alice", 201, 1)]


async def test_many_writers_share_transactions(log, store, monkeypatch):
    batches = []
    append = audit.append
    monkeypatch.setattr(
        audit,
        "append",
        lambda connection, events: (batches.append(len(events)), append(connection, events))[1],
    )
    await asyncio.gather(*(log.write(event(number)) for number in range(50)))
    assert sum(batches) == 50
    assert len(batches) < 10


async def test_alike_refusals_are_two_entries_however_many_they_are(store):
    log = AuditLog(store)
    log.start()
    for number in range(1000):
        log.note(event(number, status=401, user="", client="10.0.0.1", request_id=str(number)))
    log.note(event(status=403))
    await log.stop()
    assert written(store) == [("", 401, 1), ("alice", 403, 1), ("", 401, 999)]


def test_a_fold_ends_with_its_time(store):
    log = AuditLog(store)
    for at in (0.0, 1.0, 2.0):
        log.note(event(at=at, status=401))
    log.unfold(writer.FOLD_S)
    assert [entry.count for entry, _ in log._waiting] == [1, 2]
    log.note(event(at=20.0, status=401))
    log.unfold(21.0)
    assert [entry.count for entry, _ in log._waiting] == [1, 2, 1]
    log.unfold(20.0 + writer.FOLD_S)
    assert log._folds == {}


def test_a_flood_from_many_addresses_is_kept_small_and_counted_whole(store, monkeypatch):
    monkeypatch.setattr(writer, "MOST_FOLDS", 10)
    log = AuditLog(store)
    for number in range(1000):
        log.note(event(status=401, client=f"10.0.{number // 250}.{number % 250}"))
    log.unfold(1e12)
    assert len(log._waiting) == 12
    assert sum(entry.count for entry, _ in log._waiting) == 1000


class Away(Store):
    """A database that can be away."""

    away = False

    async def write_each(self, work, item):
        if self.away:
            raise Unavailable("The database does not answer.")
        return await super().write_each(work, item)


@pytest.fixture
async def away(empty_database, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    monkeypatch.setattr(writer, "ANSWER_WAIT_S", 0.05)
    (tmp_path / "away.db").write_bytes(empty_database.read_bytes())
    store = Away(f"sqlite:///{tmp_path}/away.db")
    store.away = True
    yield store
    store.close()


async def test_while_the_database_is_away_entries_are_kept_and_written_in_order_later(away, caplog, monkeypatch):
    log = AuditLog(away)
    log.start()
    await log.write(event(status=1))
    await log.write(event(status=2))
    assert written(away) == []
    away.away = False
    monkeypatch.setattr(writer, "ANSWER_WAIT_S", 60.0)
    await log.write(event(status=3))
    assert written(away) == [("alice", 1, 1), ("alice", 2, 1), ("alice", 3, 1)]
    await log.stop()
    assert [record.getMessage() for record in caplog.records if "cannot be written" in record.getMessage()] == [
        "the audit log cannot be written, its entries wait: The database does not answer."
    ]


async def test_when_too_much_waits_nothing_may_be_changed(away, monkeypatch):
    monkeypatch.setattr(writer, "MOST_WAITING", 2)
    log = AuditLog(away)
    log.start()
    log.check_room()
    await asyncio.gather(log.write(event()), log.write(event()))
    with pytest.raises(Unavailable, match="nothing may be changed"):
        log.check_room()
    away.away = False
    await log.stop()
    log.check_room()


async def test_what_cannot_be_written_at_the_end_goes_to_the_services_log(away, caplog):
    log = AuditLog(away)
    log.start()
    log.note(event(status=403, target="/v1/jobs/7"))
    await log.stop()
    assert any("not in the audit log" in said and "/v1/jobs/7" in said for said in caplog.messages)
    await log.write(event(target="/v1/jobs/8"))
    assert any("which is closed" in said and "/v1/jobs/8" in said for said in caplog.messages)


async def test_an_entry_that_cannot_be_written_does_not_stop_those_behind_it(log, store, monkeypatch, caplog):
    append = audit.append

    def fails(connection, events):
        if any(event.user == "bad" for event in events):
            raise ValueError("no such entry")
        return append(connection, events)

    monkeypatch.setattr(audit, "append", fails)
    await asyncio.gather(*(log.write(event(user=user)) for user in ("alice", "bad", "bob")))
    assert written(store) == [("alice", 201, 1), ("bob", 201, 1)]
    assert "'bad'" in caplog.text


@pytest.fixture
def verify(store, tmp_path):
    config = tmp_path / "hpcjobs.toml"
    config.write_text(f'database_url = "{store.url}"\n[[clusters]]\nname = "big"\n')
    return lambda *words: CliRunner().invoke(main, ["audit", "verify", "--config", str(config), *words])


def test_the_command_says_how_many_entries_hold_and_the_last_hash(store, verify):
    assert verify().stdout == f"0:{GENESIS}\n"
    append(store, event(1), event(2))
    said = verify()
    assert (said.exit_code, said.stdout) == (0, f"2:{verdict(store).head}\n")
    append(store, event(3))
    assert verify("--seen", said.stdout.strip()).exit_code == 0


def test_the_command_finds_a_log_that_was_changed_cut_short_or_made_anew(store, verify):
    append(store, event(1), event(2))
    seen = verify().stdout.strip()
    with store.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_delete"))
        connection.execute(text("DELETE FROM audit WHERE seq = 2"))
    assert verify().exit_code == 0
    cut = verify("--seen", seen)
    assert (cut.exit_code, "entry 2 is not the one that was seen" in cut.stderr) == (1, True)
    append(store, event(7))
    assert verify("--seen", seen).exit_code == 1
    with store.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("UPDATE audit SET target = 'x' WHERE seq = 1"))
    assert "does not hold after 0 entries: entry 1 was changed" in verify().stderr


@pytest.mark.parametrize("seen", ["", "1", "0:" + "a" * 64, "1:abc", "1:" + "G" * 64])
def test_what_was_never_printed_cannot_have_been_seen(verify, seen):
    assert verify("--seen", seen).exit_code == (0 if seen == "" else 2)
