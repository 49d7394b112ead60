"""Quotas of bytes: what is measured, what is told where it cannot be, forecasts, and jobs that are refused."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from hpcjobs.cli.quota import storage_row
from hpcjobs.model.account import Account
from hpcjobs.model.alert import AlertKind, AlertRequest
from hpcjobs.model.storage import Measured
from hpcjobs.model.tenant import ProjectQuota, Quota, Tenant
from hpcjobs.sending.watching import files
from hpcjobs.settings import ClusterSettings, StorageSettings
from hpcjobs.store import storage as rows
from hpcjobs.tenants.budget import DAY_S
from hpcjobs.tenants.measuring import run
from hpcjobs.tenants.storage import BELIEVED, command_told, du_told, du_words, size, stands, state
from tests.api.bench import NEVER, SCRIPT, Bench, UnrulySlurm, on_bench, settings_of

GIB = 1024**3
NOW = 1_800_000_000.0
EVERY_S = 6 * 3600.0
BYTES = st.integers(0, 10**15)
TIMES = st.floats(0, 13 * DAY_S)


@given(BYTES, BYTES, st.lists(st.tuples(TIMES, st.none() | BYTES), max_size=9))
def test_what_is_used_is_what_was_measured_last_and_a_failure_is_never_0(hard, soft, tries):
    measured = [
        Measured(NOW - ago, used, "" if used is not None else "no")
        for ago, used in sorted(tries, key=lambda one: -one[0])
    ]
    told = state(Quota(storage_bytes=hard, storage_soft_bytes=soft), measured, EVERY_S, NOW)
    known = [one for one in measured if one.used_bytes is not None]
    if not known:
        assert (told.used_bytes, told.left_bytes, told.hard_passed, told.soft_passed) == (None, None, False, False)
        assert told.why
        return
    assert (told.used_bytes, told.measured_at) == (known[-1].used_bytes, known[-1].at)
    assert told.left_bytes == max(hard - known[-1].used_bytes, 0)
    believed = NOW - known[-1].at <= BELIEVED * EVERY_S
    assert told.hard_passed == (believed and known[-1].used_bytes >= hard)
    assert told.soft_passed == (believed and known[-1].used_bytes >= soft)
    assert bool(told.why) == (measured[-1].used_bytes is None or not believed)
    assert told.exhausted_at is None or told.exhausted_at >= int(known[-1].at)


def test_the_rate_of_the_last_two_weeks_says_when_nothing_is_left():
    measured = [Measured(NOW - 20 * DAY_S, 0), Measured(NOW - 10 * DAY_S, 50 * GIB), Measured(NOW, 70 * GIB)]
    told = state(Quota(storage_bytes=100 * GIB), measured, EVERY_S, NOW)
    assert told.rate_bytes == 2 * GIB
    assert told.exhausted_at == int(NOW + 15 * DAY_S)
    less = state(Quota(storage_bytes=100 * GIB), [*measured, Measured(NOW + DAY_S, 10 * GIB)], EVERY_S, NOW + DAY_S)
    assert less.exhausted_at is None
    assert state(Quota(storage_bytes=1), measured[-1:], EVERY_S, NOW).rate_bytes is None


async def test_du_counts_what_is_allocated_also_behind_a_link(tmp_path):
    folder = tmp_path / "vision"
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(3 * 2**20))
    with (folder / "holes").open("wb") as file:
        file.truncate(2**30)
    (tmp_path / "link").symlink_to(folder)
    for name in ("vision", "link"):
        told = du_told(*await run(du_words(str(tmp_path / name)), 60), NOW)
        assert told.why == ""
        assert 3 * 2**20 <= told.used_bytes < 4 * 2**20


async def test_a_folder_that_is_not_there_is_not_known_and_not_0(tmp_path):
    told = du_told(*await run(du_words(str(tmp_path / "gone")), 60), NOW)
    assert told.used_bytes is None
    assert "No such file" in told.why


def test_what_du_may_not_read_is_not_known_and_what_went_away_is_not_missed():
    secret = "du: cannot read directory '/scratch/v/x': Permission denied\n"
    gone = "du: cannot access '/scratch/v/tmp1': No such file or directory\n"
    assert du_told(1, "4096\t/scratch/v\n", gone + secret, NOW) == Measured(NOW, None, secret.strip())
    assert du_told(1, "4096\t/scratch/v\n", gone, NOW) == Measured(NOW, 4096)


async def test_what_takes_too_long_ends_and_is_not_known():
    told = du_told(*await run(["sleep", "60"], 1), NOW)
    assert (told.used_bytes, told.why) == (None, "measuring took too long")


async def test_a_command_is_no_shell_and_what_it_does_not_say_is_not_known():
    printed = await run(["printf", "%s %s\n", "vision", "12", "$HOME", "3"], 60)
    told = command_told(*printed, ["vision", "climate"], NOW)
    assert told["vision"] == Measured(NOW, 12)
    assert (told["climate"].used_bytes, told["climate"].why) == (None, "the command says nothing of it")


@pytest.mark.parametrize(
    ("status", "out", "said", "why"),
    [
        (1, "vision 12\n", "lfs: no such device\n", "lfs: no such device"),
        (0, "vision 12G\n", "", "printed 'vision 12G'"),
        (0, "vision -1\n", "", "printed 'vision -1'"),
        (0, "vision 1\nvision 2\n", "", "a project twice"),
        (124, "vision 1\n", "", "took too long"),
    ],
)
def test_a_command_that_fails_or_says_something_else_leaves_all_unknown(status, out, said, why):
    told = command_told(status, out, said, ["vision"], NOW)["vision"]
    assert told.used_bytes is None
    assert why in told.why


def test_sizes_and_lines_for_people():
    assert [size(n) for n in (0, 1023, 1024, 1.5 * 1024**4, 5 * 1024**6)] == [
        "0 bytes", "1023 bytes", "1.0 KiB", "1.5 TiB", "5120.0 PiB",
    ]  # fmt: skip
    quota = Quota(storage_bytes=2 * GIB, storage_soft_bytes=GIB)
    told = state(quota, [Measured(NOW, GIB)], EVERY_S, NOW)
    assert storage_row("v", quota, told) == (
        "v", "files", "-", "1.0 GiB", "2.0 GiB", "1.0 GiB", "##########..........", "never (soft)",
    )  # fmt: skip
    assert storage_row("v", quota, state(quota, [], EVERY_S, NOW))[3:] == ("?", "2.0 GiB", "?", "", "not known")
    assert "not known: it was not measured yet" in stands("v", quota, state(quota, [], EVERY_S, NOW))


@pytest.mark.parametrize(
    ("kind", "threshold", "used", "holds"),
    [
        (AlertKind.QUOTA, None, 91, True),
        (AlertKind.QUOTA, 0.95, 91, False),
        (AlertKind.FORECAST, None, 69, False),  # of a day's growth by 1 GiB 31 days are left
        (AlertKind.FORECAST, None, 71, True),
        (AlertKind.FORECAST, 20, 71, False),
    ],
)
def test_alerts_are_told_of_files_as_of_budgets(kind, threshold, used, holds):
    quota = Quota(storage_bytes=100 * GIB)
    measured = [Measured(NOW - 2 * DAY_S, (used - 2) * GIB), Measured(NOW, used * GIB)]
    asked = AlertRequest("room", kind, ("a@example.org",), threshold)
    told = state(quota, measured, EVERY_S, NOW)
    shown = ProjectQuota("big", "vision", Tenant(quota=quota), (), 0, told)
    found = files(shown, told, asked, NOW)
    assert found.holds is holds
    assert f"files use {used}.0 % of 100.0 GiB; at the rate of late nothing is left on " in found.fact.text
    failed = state(quota, [*measured, Measured(NOW + 1, None, "no")], EVERY_S, NOW + 1)
    assert files(shown, failed, asked, NOW).holds is None


@dataclass
class Place:
    """A service whose projects have folders, and these.

    Attributes:
        bench: The service.
        folder: Of the project vision.
    """

    bench: Bench
    folder: object

    async def measure(self, later_s: float = 0.0) -> None:
        await self.bench.service.measure_storage("big", time.time() + later_s)

    async def quota(self, caller: str = "alice") -> ProjectQuota:
        answer = await self.bench.call("GET", "/v1/projects/vision", caller)
        return msgspec.json.decode(answer.content, type=ProjectQuota)

    async def submit(self, **fields: object):
        return await self.bench.call("POST", "/v1/jobs", "alice", json={"script": SCRIPT, **fields})


@pytest.fixture
async def scratch(place, tmp_path, monkeypatch):
    """Alice of vision, which may use 3 MiB, and of climate; bob manages vision."""
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    how = StorageSettings(folder=f"{tmp_path}/{{project}}")
    settings = settings_of(place, clusters=(ClusterSettings("big", observe_s=NEVER, storage=how),))
    async with on_bench(settings, {"big": UnrulySlurm()}) as bench:
        bench.slurm.known_accounts = tuple(
            Account("big", name, members=frozenset({"alice"}), coordinators=frozenset({"bob"}))
            for name in ("vision", "climate")
        )
        await bench.service.learn_accounts("big", time.time())
        await bench.tick()
        quota = {"storage_bytes": 3 * 2**20, "storage_soft_bytes": 2**20}
        assert (await bench.call("PUT", "/v1/projects/vision", "boss", json={"quota": quota})).status_code == 200
        yield Place(bench, tmp_path / "vision")


async def test_files_over_the_bound_refuse_every_job_of_the_project_alone_until_they_are_gone(scratch):
    await scratch.measure()
    assert "No such file" in (await scratch.quota()).storage.why
    assert (await scratch.submit(account="vision")).status_code == 201  # nothing is known
    scratch.folder.mkdir()
    (scratch.folder / "data").write_bytes(os.urandom(2**22))
    await scratch.measure()
    assert (await scratch.quota()).storage.used_bytes is None  # it was tried less than six hours ago
    await scratch.measure(EVERY_S)
    told = (await scratch.quota()).storage
    assert (told.left_bytes, told.hard_passed, told.why) == (0, True, "")
    refused = await scratch.submit(account="vision")
    (fault,) = refused.json()["errors"]
    assert (fault["field"], fault["code"]) == ("account", "quota-exhausted")
    assert fault["detail"].startswith("Files of project vision used 4.0 MiB of 3.0 MiB on ")
    assert (await scratch.submit(account="climate")).status_code == 201
    (scratch.folder / "data").unlink()
    await scratch.measure(2 * EVERY_S)
    assert (await scratch.submit(account="vision")).status_code == 201


async def test_passing_a_bound_is_an_event_once_and_stands_with_the_projects_jobs(scratch):
    job = (await scratch.submit(account="vision")).json()["id"]
    scratch.folder.mkdir()
    (scratch.folder / "data").write_bytes(os.urandom(2**21))
    await scratch.measure()
    for _ in range(2):
        await scratch.bench.service.tenants.tick("big", applies=False)
    (scratch.folder / "data").unlink()
    detail = (await scratch.bench.call("GET", f"/v1/jobs/{job}/detail", "alice")).json()
    assert [line.partition(" on ")[0] for line in detail["quotas"]] == [
        "Files of project vision used 2.0 MiB of 3.0 MiB"
    ]
    await scratch.measure(EVERY_S)
    await scratch.bench.service.tenants.tick("big", applies=False)
    asked = {"kind": "quota.state", "after": 0}
    answer = await scratch.bench.call("GET", "/v1/events", "bob", params=asked, headers={"Accept": "application/json"})
    assert [event["data"]["passed"] for event in answer.json()["items"]] == ["soft", ""]


async def test_what_is_old_is_forgotten_and_what_is_declared_of_nobody_is_not_measured(scratch):
    store = scratch.bench.service.store
    await store.write(rows.keep, "big", {"vision": Measured(time.time() - 2 * rows.KEPT_S, 1)})
    await scratch.measure()
    kept = await store.read(rows.measured, "big")
    assert [(project, [one.used_bytes for one in all_]) for project, all_ in kept.items()] == [("vision", [None])]


async def test_without_settings_it_is_told_that_nothing_is_measured(bench):
    await bench.call("PUT", "/v1/projects/vision", "boss", json={"quota": {"storage_bytes": 0}})
    told = msgspec.json.decode((await bench.call("GET", "/v1/projects/vision", "ops")).content, type=ProjectQuota)
    assert (told.storage.used_bytes, told.storage.hard_passed) == (None, False)
    assert "[clusters.storage]" in told.storage.why


async def test_a_soft_bound_is_not_above_the_hard_one(bench):
    quota = {"storage_bytes": 1, "storage_soft_bytes": 2}
    answer = await bench.call("PUT", "/v1/projects/vision", "boss", json={"quota": quota})
    assert [fault["field"] for fault in answer.json()["errors"]] == ["quota.storage_soft_bytes"]


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (StorageSettings(), "one of folder and command"),
        (StorageSettings(folder="/s/{project}", command=("x",)), "one of folder and command"),
        (StorageSettings(folder="/s"), "with {project} in it"),
        (StorageSettings(folder="s/{project}"), "absolute"),
        (StorageSettings(folder="/s/{user}"), "only {project} is known"),
        (StorageSettings(folder="/s/{project}"), ""),
        (StorageSettings(command=("lfs-used",)), ""),
    ],
)
def test_settings_that_cannot_be_are_told(settings, fault):
    assert fault in settings.fault()
    assert bool(settings.fault()) == bool(fault)


MINUTES = st.lists(st.tuples(st.integers(1, 30 * 1440), st.none() | BYTES), max_size=12, unique_by=lambda one: one[0])


@given(MINUTES)
def test_what_is_read_of_the_database_says_as_much_as_all_of_it(tries):
    """As the meter writes it: one after the other, and what is old is forgotten."""
    engine = create_engine("sqlite://")
    rows.MEASURED.create(engine)
    quota, written = Quota(storage_bytes=10**14), []
    for minutes, used in sorted(tries, key=lambda one: one[0]):
        one = Measured(NOW + 60 * minutes, used, "" if used is not None else f"no {minutes}")
        written.append(one)
        with engine.begin() as connection:
            rows.keep(connection, "big", {"vision": one, "climate": Measured(one.at, 1)})
            read = rows.measured(connection, "big")["vision"]
        lately = [each for each in written if each.at >= one.at - rows.KEPT_S]
        assert state(quota, read, EVERY_S, one.at) == state(quota, lately, EVERY_S, one.at)
    engine.dispose()
