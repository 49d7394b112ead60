from __future__ import annotations

import asyncio
import sqlite3
import threading

import alembic.command
import alembic.config
import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import SQLModel

from hpcjobs.errors import Unavailable
from hpcjobs.model.spec import JobSpec
from hpcjobs.store import intake, repository
from hpcjobs.store.repository import JobFilter
from hpcjobs.store.rows import job_of
from hpcjobs.store.store import MIGRATIONS, Store, new_id, normal_url
from hpcjobs.store.tables import ATTEMPTS, JOBS, SPECS

from .builders import spec


def begin(connection: Connection, key: str | None = None) -> intake.Begun:
    (begun,) = intake.begin(connection, [intake.Request("alice", "big", spec(), key, "d", 1.0)])
    return begun


def test_the_schema_is_made_from_nothing_and_a_second_upgrade_changes_nothing(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/new.db")
    store.upgrade()
    with store.engine.begin() as connection:
        kept = begin(connection).job.id
    store.upgrade()
    with store.engine.connect() as connection:
        assert repository.job_by_id(connection, kept) is not None
    store.close()


def test_a_kept_jobs_bundle_gets_its_new_name_and_its_old_one_back(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/old.db")
    store.upgrade()
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = store.engine
    with store.engine.begin() as connection:
        kept = begin(connection).job.id
        was = msgspec.json.decode(connection.execute(select(SPECS.c.spec)).scalar_one())
        told = msgspec.json.encode(was | {"container": "/images/a", "name": '"container":'}).decode()
        connection.execute(update(SPECS).values(spec=told))
    alembic.command.downgrade(config, "0016")  # what came after is not there yet
    alembic.command.stamp(config, "0015")
    store.upgrade()
    with store.engine.connect() as connection:
        spec = msgspec.json.decode(connection.execute(select(SPECS.c.spec)).scalar_one(), type=JobSpec)
    assert (spec.oci_bundle, spec.container, spec.name) == ("/images/a", None, '"container":')
    alembic.command.downgrade(config, "0015")
    with store.engine.connect() as connection:
        assert msgspec.json.decode(connection.execute(select(SPECS.c.spec)).scalar_one())["container"] == "/images/a"
        assert repository.job_by_id(connection, kept) is not None
    store.close()


def test_the_models_are_what_the_migrations_make(store):
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


def test_sqlite_keeps_an_answered_write_through_a_power_cut_and_checks_foreign_keys(store):
    with store.engine.connect() as connection:
        told = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")}  # fmt: skip
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    orphan = {"id": new_id(), "job_id": "no such job", "number": 1, "state": "SENT", "created_at": 0, "changed_at": 0,
        "detail": "", "refusals": ""}  # fmt: skip
    with pytest.raises(IntegrityError), store.engine.begin() as connection:
        connection.execute(insert(ATTEMPTS), orphan)


async def test_a_transaction_that_fails_half_way_leaves_nothing(store):
    def half(connection: Connection) -> None:
        begin(connection)
        raise RuntimeError("the power is cut here")

    with pytest.raises(RuntimeError, match="power"):
        await store.write(half)
    assert await store.read(lambda connection: connection.execute(select(JOBS)).all()) == []
    assert await store.read(lambda connection: connection.execute(select(ATTEMPTS)).all()) == []


async def test_what_is_written_is_there_for_the_next_process(store):
    begun = await store.write(begin)
    other = Store(store.url)
    assert await other.read(repository.job_by_id, begun.job.id) == begun.job
    other.close()


async def test_a_database_that_is_locked_or_away_is_unavailable_and_transient(tmp_path):
    away = Store(f"sqlite:///{tmp_path}/no/such/folder/x.db")
    with pytest.raises(Unavailable, match="does not answer") as told:
        await away.ping()
    assert told.value.transient
    away.close()


async def test_a_database_that_is_away_is_asked_once_for_all_who_wait(store):
    asked = []

    def away(connection: Connection) -> None:
        asked.append(connection)
        raise OperationalError("UPDATE", {}, Exception("the server is gone"))

    outcomes = await asyncio.gather(*(store.write(away) for _ in range(300)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert len(asked) == 1
    assert (await store.write(begin)).made


async def test_one_that_fails_by_its_own_fault_leaves_the_others_of_its_transaction(store):
    def wrong(_connection: Connection) -> None:
        raise ValueError("mine alone")

    outcomes = await asyncio.gather(store.write(begin), store.write(wrong), store.write(begin), return_exceptions=True)
    assert [getattr(outcome, "made", type(outcome)) for outcome in outcomes] == [True, ValueError, True]


async def test_a_writer_waits_for_another_process_that_holds_the_lock(store):
    other = sqlite3.connect(store.url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ["COMMIT"])
    release.start()
    begun = await store.write(begin)
    release.join()
    other.close()
    assert await store.read(repository.job_by_id, begun.job.id) is not None


def test_two_threads_that_begin_with_the_same_key_make_one_job(store):
    """As two processes do: no lock of ours between them."""
    barrier, made, lost = threading.Barrier(8), [], []

    def run() -> None:
        barrier.wait()
        try:
            with store.engine.begin() as connection:
                made.append(begin(connection, "key"))
        except IntegrityError as error:
            lost.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) + len(lost) == 8
    with store.engine.connect() as connection:
        (document,) = repository.page(connection, JobFilter(), None, 10)
        assert len(connection.execute(select(ATTEMPTS)).all()) == 1
        assert not begin(connection, "key").made
    assert {begun.job.id for begun in made} == {job_of(document).id}
    assert sum(begun.made for begun in made) == 1


def test_ids_are_32_hexadecimal_digits_that_sort_by_creation():
    ids = [new_id() for _ in range(2000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 2000
    assert all(len(one) == 32 and int(one, 16) for one in ids)


def test_postgresql_means_the_driver_that_we_ship():
    assert normal_url("postgresql://u:p@h/d") == "postgresql+psycopg://u:p@h/d"
    assert normal_url("postgresql+psycopg://u@h/d") == "postgresql+psycopg://u@h/d"
    assert normal_url("sqlite:////a.db") == "sqlite:////a.db"
