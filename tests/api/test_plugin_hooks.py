"""The hooks beside admission: configuration, events, discoveries by the clock."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
from sqlalchemy.exc import OperationalError

from hpcjobs.model.event import EventKind
from hpcjobs.store import events, generations
from tests.api.bench import UnrulySlurm, on_bench, settings_of
from tests.unit.plugged import install

CONFIGURES = """
    def configure(inventory):
        return {"nodes.conf": ",".join(inventory.nodes), "parts.conf": ",".join(inventory.partitions)}
    PLUGIN = Plugin(name="writer", api=1, hooks=[Configure(configure)])
"""
OBSERVES = """
    class Where(msgspec.Struct):
        file: str
    def make(where):
        def observe(event):
            if event.data.get("name") == "bad":
                raise ValueError("I do not like it")
            with open(where.file, "a") as file:
                file.write(f"{event.seq} {event.kind} {event.data.get('name', '')}\\n")
        return [Observe(observe)]
    PLUGIN = Plugin(name="watcher", api=1, settings=Where, hooks=make)
"""
DISCOVERS = """
    class Where(msgspec.Struct):
        file: str
        period_s: float = 0.2
    class Sees:
        def __init__(self, where):
            self.where = where
            self.known = {}
        def discover(self, cluster, state, now):
            with open(self.where.file) as file:
                text = file.read()
            if text == "hang":
                time.sleep(60)
            new = [] if state == text.encode() else [Finding("changed", f"It is {text} now.", "the file")]
            return Discovery(text.encode(), tuple(new))
        def remember(self, cluster, state):
            self.known[cluster] = state.decode()
        def admit(self, spec, context):
            return replace(spec, comment=self.known.get(context.cluster, "nothing"))
        def hooks(self):
            return [Discover(self.discover, self.where.period_s, self.remember, timeout_s=5.0), Admit(self.admit)]
    PLUGIN = Plugin(name="seer", api=1, settings=Where, hooks=lambda where: Sees(where).hooks())
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    for name, body in {"writer": CONFIGURES, "watcher": OBSERVES, "seer": DISCOVERS}.items():
        install(folder, name, body)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    monkeypatch.setattr("hpcjobs.service.DISCOVER_S", 0.05)
    return folder


@pytest.fixture
async def bench(place, site):
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench


async def use(bench, *plugins):
    answer = await bench.call("PUT", "/v1/plugins", "boss", json={"plugins": list(plugins)})
    assert answer.status_code == 200, answer.text


async def found(bench):
    params, page = {"kind": "plugin.finding", "after": 0}, {"Accept": "application/json"}
    answer = await bench.call("GET", "/v1/events", "ops", params=params, headers=page)
    return [(one["cluster"], one["data"]["code"], one["data"]["text"]) for one in answer.json()["items"]]


async def soon(condition, timeout_s=60.0):
    give_up = time.monotonic() + timeout_s
    while True:
        value = await condition()
        if value or time.monotonic() > give_up:
            return value
        await asyncio.sleep(0.05)


async def test_configuration_is_written_from_the_last_listing_for_operators(bench):
    await use(bench, {"name": "writer"})
    assert (await bench.get("/v1/clusters/big/configuration")).status_code == 403
    files = (await bench.get("/v1/clusters/big/configuration", "ops")).json()
    view = bench.observer.view
    assert [(one["plugin"], one["name"], one["text"]) for one in files] == [
        ("writer", "nodes.conf", "n1,n2"),
        ("writer", "parts.conf", ",".join(view.partitions)),
    ]


async def test_a_configuration_that_fails_says_so_in_place_of_its_files(bench, site):
    install(site, "writer", CONFIGURES.replace("return {", "return 1 / 0 and {"))
    await use(bench, {"name": "writer"})
    (told,) = (await bench.get("/v1/clusters/big/configuration", "ops")).json()
    assert (told["name"], told["why"]) == ("", "ZeroDivisionError: division by zero")


async def test_events_are_told_in_order_and_a_watcher_that_fails_too_often_is_told_no_more(bench, tmp_path):
    file = tmp_path / "seen"
    await use(bench, {"name": "watcher", "settings": {"file": str(file)}})

    async def listens():
        await bench.submitted(name="early")
        return file.exists()

    assert await soon(listens)
    for number in range(3):
        await bench.submitted(name=f"j{number}")

    async def has_all():
        return "j2" in file.read_text()

    assert await soon(has_all)
    lines = [line.split() for line in file.read_text().splitlines()]
    assert [int(line[0]) for line in lines] == sorted(int(line[0]) for line in lines)
    assert [line[2] for line in lines if line[1] == "job.submitted"][-3:] == ["j0", "j1", "j2"]
    for _ in range(6):
        await bench.submitted(name="bad")

    async def broken():
        (one,) = (await bench.get("/v1/plugins")).json()["plugins"]
        return one["state"] == "BROKEN"

    assert await soon(broken)
    assert (await bench.submitted(name="after"))["name"] == "after"


async def test_a_discovery_runs_by_the_clock_tells_what_is_new_and_is_remembered(bench, place, site, tmp_path):
    file = tmp_path / "world"
    file.write_text("round")
    await use(bench, {"name": "seer", "settings": {"file": str(file)}})

    async def told():
        return await found(bench)

    assert await soon(told) == [("big", "changed", "It is round now.")]

    async def knows():
        return (await bench.submitted())["comment"] == "round"

    assert await soon(knows)
    file.write_text("flat")

    async def told_both():
        return len(await found(bench)) == 2

    assert await soon(told_both)
    assert (await found(bench))[1] == ("big", "changed", "It is flat now.")
    file.unlink()

    async def told_of_trouble():
        return len(await found(bench)) == 3

    assert await soon(told_of_trouble)
    assert (await found(bench))[2][1] == "discovery-failed"


@pytest.mark.thorough
async def test_what_a_discovery_kept_outlives_the_service(place, site, tmp_path):
    file = tmp_path / "world"
    file.write_text("round")
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        await use(bench, {"name": "seer", "settings": {"file": str(file)}})

        async def told():
            return await found(bench)

        assert await soon(told)
    file.unlink()
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        assert (await bench.submitted())["comment"] == "round"


@pytest.mark.thorough
async def test_a_discovery_that_hangs_holds_up_no_submission_and_is_ended(bench, tmp_path):
    file = tmp_path / "world"
    file.write_text("hang")
    await use(bench, {"name": "seer", "settings": {"file": str(file)}})
    for _ in range(5):
        assert (await bench.submitted())["comment"] == "nothing"

    async def told():
        return await found(bench)

    assert "did not answer discover within 5 s" in (await soon(told))[0][2]


async def test_what_a_discovery_found_and_what_it_tells_are_kept_together_or_not_at_all(bench, tmp_path, monkeypatch):
    write, failed = events.write, []

    def once_away(connection, told):
        if not failed and any(one.kind is EventKind.PLUGIN_FINDING for one in told):
            failed.append(told)
            raise OperationalError("write", None, Exception("the disk is full"))
        write(connection, told)

    monkeypatch.setattr(events, "write", once_away)
    file = tmp_path / "world"
    file.write_text("round")
    await use(bench, {"name": "seer", "settings": {"file": str(file)}})

    async def told():
        return await found(bench)

    assert await soon(told) == [("big", "changed", "It is round now.")]
    assert len(failed) == 1


async def test_a_discovery_that_ends_after_its_plugin_is_disabled_keeps_and_tells_nothing(bench, site, tmp_path):
    file = tmp_path / "world"
    file.write_text("round")
    begun = tmp_path / "begun"
    slow = DISCOVERS.replace(
        "with open(self", f"open({str(begun)!r}, 'w').close(); time.sleep(0.5)\n            with open(self"
    )
    install(site, "seer", slow)
    await use(bench, {"name": "seer", "settings": {"file": str(file)}})

    async def has_begun():
        return begun.exists()

    assert await soon(has_begun)
    await use(bench)

    async def is_over():
        return not bench.service.discoveries._running

    assert await soon(is_over)
    assert await found(bench) == []
    assert await bench.service.store.read(generations.states, "seer") == {}
