"""Plugins in the running service: real processes, real code on disk, killed and exchanged."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from hpcjobs.settings import PluginSettings
from tests.api.bench import UnrulySlurm, on_bench, settings_of
from tests.unit.plugged import install, judging

NAMER = judging(
    "namer", 'replace(spec, name=(spec.name or "") + "-named") if not (spec.name or "").endswith("-named") else spec'
)
SMALL = judging(
    "small", 'Refusal("resources.nodes", "At most two nodes.", "too-big") if (spec.resources.nodes or 1) > 2 else spec'
)
BROKEN = judging("broken", "1 / 0")
SLOW = judging("slow", "time.sleep(60)")
DYING = judging("dying", "os._exit(3)")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of plugins on the path of this process and of those that it starts."""
    folder = tmp_path / "site"
    for name, body in {"namer": NAMER, "small": SMALL, "broken": BROKEN, "slow": SLOW, "dying": DYING}.items():
        install(folder, name, body)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    return folder


@pytest.fixture
async def bench(place, monkeypatch, site):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench


async def use(bench, *plugins, generation=None, user="boss"):
    wanted = [{"name": one} if isinstance(one, str) else one for one in plugins]
    return await bench.call(
        "PUT",
        "/v1/plugins",
        user,
        json={"plugins": wanted} | ({} if generation is None else {"generation": generation}),
    )


async def states(bench):
    found = (await bench.get("/v1/plugins")).json()
    return {one["name"]: one["state"] for one in found["plugins"]}


async def told(bench, user="ops"):
    answer = await bench.call(
        "GET", "/v1/events", user, params={"kind": "plugin.state", "after": 0}, headers={"Accept": "application/json"}
    )
    return [(one["data"]["plugin"], one["data"]["state"]) for one in answer.json()["items"]]


async def test_plugins_change_and_refuse_jobs_in_their_order_and_each_attempt_says_which_generation_it_was(bench):
    assert (await bench.post(name="before")).status_code == 201
    answer = await use(bench, "namer", "small")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["number"], answer.json()["by"]) == (1, "boss")
    job = await bench.submitted(name="mine")
    assert job["name"] == "mine-named"
    detail = (await bench.get(f"/v1/jobs/{job['id']}/detail")).json()
    assert [attempt["generation"] for attempt in detail["attempts"]] == [1]
    refused = await bench.post(resources={"nodes": 3})
    assert (refused.status_code, refused.json()["errors"]) == (
        422, [{"field": "resources.nodes", "detail": "At most two nodes.", "code": "too-big"}],
    )  # fmt: skip
    checked = await bench.call("POST", "/v1/jobs/validate", json={"script": "#!/bin/sh\n", "resources": {"nodes": 3}})
    assert [fault["code"] for fault in checked.json()["errors"]] == ["too-big"]
    earlier = (await bench.get(f"/v1/jobs/{job['id']}/detail")).json()
    assert (await use(bench)).json()["number"] == 2
    assert (await bench.submitted(name="mine"))["name"] == "mine"
    was = (await bench.get("/v1/plugins", generation=earlier["attempts"][0]["generation"])).json()
    assert [(one["name"], one["state"], one["version"]) for one in was["plugins"]] == [
        ("namer", "OFF", "1.0"), ("small", "OFF", "1.0"),
    ]  # fmt: skip
    assert (await bench.get("/v1/plugins", generation=7)).status_code == 404
    assert await told(bench) == [("namer", "ON"), ("small", "ON"), ("namer", "OFF"), ("small", "OFF")]


async def test_every_refusal_of_every_plugin_is_gathered(bench, site):
    install(site, "other", judging("other", '[Refusal("name", "No names.", "named"), Refusal("", "Never.", "never")]'))
    await use(bench, "small", "other")
    refused = await bench.post(resources={"nodes": 3})
    assert [fault["code"] for fault in refused.json()["errors"]] == ["too-big", "named", "never"]


async def test_what_a_plugin_passes_on_is_held_to_the_rules_of_the_house(bench, site):
    install(site, "wild", judging("wild", 'replace(spec, workdir="not/absolute")'))
    await use(bench, "wild")
    refused = await bench.post()
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "workdir")


async def test_new_code_is_read_beside_the_old_which_stays_where_the_new_cannot_be_used(bench, site):
    await use(bench, "namer")
    before = (await bench.get("/v1/plugins")).json()["plugins"][0]["digest"]
    install(site, "namer", "PLUGIN = Plugin(name='namer', api=1, hooks=[Admit(lambda spec context: spec)])")
    refused = await use(bench, "namer")
    assert refused.status_code == 422
    assert "SyntaxError" in refused.json()["errors"][0]["detail"]
    assert refused.json()["kept"] == "Generation 1 stays in use."
    assert (await bench.submitted(name="a"))["name"] == "a-named"
    install(site, "namer", NAMER.replace("-named", "-anew"))
    answer = await use(bench, "namer")
    assert answer.status_code == 200, answer.text
    assert answer.json()["plugins"][0]["digest"] != before
    assert (await bench.submitted(name="a"))["name"] == "a-anew"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("PLUGIN = 3", "names a int, not a Plugin"),
        ("PLUGIN = Plugin(name='odd', api=2, hooks=[Admit(lambda spec, context: spec)])", "written for interface 2"),
        ("PLUGIN = Plugin(name='even', api=1, hooks=[Admit(lambda spec, context: spec)])", "calls itself 'even'"),
        ("PLUGIN = Plugin(name='odd', api=1, hooks=[])", "has no hooks"),
        ("PLUGIN = Plugin(name='odd', api=1, hooks=[print])", "a hook that is none"),
        ("PLUGIN = Plugin(name='odd', api=1, hooks=[Admit(lambda spec: spec)])", "cannot be called with 2 arguments"),
        ("PLUGIN = Plugin(name='odd', api=1, hooks=[Observe(print), Observe(print)])", "two hooks of the kind observe"),
        ("async def admit(spec, context): pass\nPLUGIN = Plugin(name='odd', api=1, hooks=[Admit(admit)])",
         "plain functions"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("sys.exit(3)", "cannot be loaded: SystemExit: 3"),
        ("class S(msgspec.Struct, forbid_unknown_fields=True):\n    hour: int = 3\n"
         "PLUGIN = Plugin(name='odd', api=1, settings=S, hooks=lambda s: [Admit(lambda spec, context: spec)])",
         "unknown field `nonsense`"),
    ],
)  # fmt: skip
async def test_a_plugin_that_cannot_be_used_is_refused_with_the_reason(bench, site, body, words):
    install(site, "odd", body)
    settings = {"nonsense": 1} if "hour" in body else {}
    refused = await use(bench, "namer", {"name": "odd", "settings": settings})
    assert refused.status_code == 422, refused.text
    errors = {fault["field"]: fault["detail"] for fault in refused.json()["errors"]}
    assert words in errors["plugins.1"]
    assert await states(bench) == {}


async def test_only_admins_change_plugins_and_see_what_they_were_given(bench):
    assert (await use(bench, "namer", user="alice")).status_code == 403
    assert (await use(bench, "namer", user="ops")).status_code == 403
    await use(bench, "namer")
    assert (await bench.get("/v1/plugins", "alice")).json()["plugins"][0]["settings"] is None
    assert (await bench.get("/v1/plugins", "boss")).json()["plugins"][0]["settings"] == {}
    assert {one["name"] for one in (await bench.get("/v1/plugins")).json()["installed"]} >= {"namer", "small"}


async def test_a_change_made_from_another_generation_is_a_conflict(bench):
    await use(bench, "namer", generation=0)
    late = await use(bench, "small", generation=0)
    assert (late.status_code, late.json()["kept"]) == (409, "Generation 1 stays in use.")
    assert (await use(bench, "namer", "namer")).status_code == 422


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["broken", "slow", "dying"])
async def test_a_plugin_that_fails_refuses_jobs_and_after_five_times_is_asked_no_more(bench, name):
    await use(bench, {"name": name, "timeout_s": 0.2})
    for _ in range(4):
        answer = await bench.post()
        assert (answer.status_code, answer.json()["code"]) == (503, "plugin-failed"), answer.text
        assert name in answer.json()["detail"]
    assert await states(bench) == {name: "ON"}
    await bench.post()
    assert await states(bench) == {name: "BROKEN"}
    answer = await bench.post()
    assert (answer.status_code, "switched off" in answer.json()["detail"]) == (503, True)
    assert bench.slurm.attempts == [], "nothing reached Slurm"
    assert await told(bench) == [(name, "ON"), (name, "BROKEN")]
    assert (await bench.get("/v1/jobs")).json()["items"] == []
    assert (await use(bench, name)).status_code == 200, "a reload tries it again"
    assert await states(bench) == {name: "ON"}


async def test_a_plugin_that_is_not_required_is_passed_by_when_it_fails(bench):
    await use(bench, {"name": "broken", "required": False}, "namer")
    for number in range(7):
        assert (await bench.submitted(name=f"n{number}"))["name"] == f"n{number}-named"
    assert await states(bench) == {"broken": "BROKEN", "namer": "ON"}


@pytest.mark.thorough
async def test_calls_that_another_plugin_takes_with_it_are_asked_again(bench):
    await use(bench, {"name": "namer"}, {"name": "dying", "required": False})
    answers = await asyncio.gather(*(bench.post(name=f"n{number}") for number in range(12)))
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert {answer.json()["name"] for answer in answers} == {f"n{number}-named" for number in range(12)}
    dying = (await bench.get("/v1/plugins")).json()["plugins"][1]
    assert (dying["state"], dying["failures"]) == ("BROKEN", 5), "one that is switched off is asked no more"


@pytest.mark.thorough
async def test_jobs_that_come_while_plugins_are_exchanged_are_judged_by_the_one_or_the_other(bench, site):
    await use(bench, "namer")

    async def stream():
        return [await bench.post(name=f"s{number}") for number in range(40)]

    streams = [asyncio.create_task(stream()) for _ in range(3)]
    for turn in range(4):
        install(site, "namer", NAMER.replace("-named", f"-turn{turn}"))
        assert (await use(bench, "namer")).status_code == 200
    answers = [answer for one in streams for answer in await one]
    assert {answer.status_code for answer in answers} == {201}
    assert all(
        answer.json()["name"].split("-")[1] in {"named", "turn0", "turn1", "turn2", "turn3"} for answer in answers
    )
    assert (await bench.submitted(name="last"))["name"] == "last-turn3"


def workers() -> list[int]:
    """Processes of plugins that this process has."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()  # empty for one that has ended
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"hpcjobs.hooks.worker" in words and parent == os.getpid():
            found.append(int(folder.name))
    return found


async def test_a_killed_process_of_plugins_is_made_again_and_old_ones_are_let_go(bench):
    await use(bench, "namer")
    await use(bench, "namer")
    async with asyncio.timeout(60):
        while len(workers()) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    (worker,) = workers()
    os.kill(worker, signal.SIGKILL)
    assert (await bench.submitted(name="a"))["name"] == "a-named"
    assert len(workers()) == 1
    assert workers() != [worker]


@pytest.mark.thorough
async def test_a_change_outlives_the_service_until_the_settings_file_says_something_else(place, monkeypatch, site):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    from_file = (PluginSettings("namer"),)
    async with on_bench(settings_of(place, plugins=from_file), {"big": UnrulySlurm()}) as bench:
        assert (await bench.get("/v1/plugins")).json()["by"] == ""
        assert await states(bench) == {"namer": "ON"}
        await use(bench, "small")
    async with on_bench(settings_of(place, plugins=from_file), {"big": UnrulySlurm()}) as bench:
        found = (await bench.get("/v1/plugins")).json()
        assert (found["number"], found["by"], [one["name"] for one in found["plugins"]]) == (2, "boss", ["small"])
    other = (PluginSettings("namer"), PluginSettings("small"))
    async with on_bench(settings_of(place, plugins=other), {"big": UnrulySlurm()}) as bench:
        found = (await bench.get("/v1/plugins")).json()
        assert (found["number"], found["by"]) == (3, "")
        assert await states(bench) == {"namer": "ON", "small": "ON"}


async def test_the_service_starts_with_a_plugin_that_cannot_be_loaded_and_admits_nothing_without_it(
    place, monkeypatch, site
):
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)
    settings = settings_of(place, plugins=(PluginSettings("gone"), PluginSettings("namer")))
    async with on_bench(settings, {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        assert await states(bench) == {"gone": "BROKEN", "namer": "ON"}
        answer = await bench.post()
        assert (answer.status_code, answer.json()["code"]) == (503, "plugin-failed")
        assert "Plugin gone is switched off" in answer.json()["detail"]
        (gone, _) = (await bench.get("/v1/plugins", "ops")).json()["plugins"]
        assert "No plugin is called 'gone'" in gone["last_failure"]
        assert await told(bench) == [("gone", "BROKEN")]
        assert (await bench.get("/v1/jobs")).status_code == 200
        assert (await use(bench, "namer")).status_code == 200
        assert (await bench.post()).status_code == 201


async def test_a_key_is_answered_again_though_a_plugin_came_since_that_is_broken(bench):
    first = await bench.post("k1", name="a")
    await use(bench, "broken")
    again = await bench.post("k1", name="a")
    assert (again.status_code, again.json()["id"], again.headers["Idempotency-Replayed"]) == (
        201, first.json()["id"], "true",
    )  # fmt: skip


async def test_events_of_plugins_are_for_operators(bench):
    await use(bench, "namer")
    assert await told(bench, "alice") == []
    assert await told(bench) == [("namer", "ON")]
