"""What plugins do wrong: whoever submits gets a clear answer, others are not blamed, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import tomllib

import msgspec
import pytest

from hpcjobs.errors import Unavailable
from hpcjobs.model.plugin import PluginSet
from hpcjobs.settings import PluginSettings
from hpcjobs.store import generations
from tests.api.bench import UnrulySlurm, on_bench, settings_of
from tests.api.test_plugins import NAMER, SMALL, states, told, use, workers
from tests.unit.plugged import install, judging

pytestmark = pytest.mark.thorough

PLACER = """
    def place(spec, view):
        return {}
    PLUGIN = Plugin(name="placer", api=1, hooks=[Place(place)])
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    for name, body in {"namer": NAMER, "small": SMALL}.items():
        install(folder, name, body)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    return folder


@pytest.fixture
async def bench(place, site):
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield bench


async def soon_one_worker():
    for _ in range(100):
        if len(workers()) <= 1:
            break
        await asyncio.sleep(0.05)
    return len(workers())


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("replace(spec, name=5)", "name"),
        ("replace(spec, name=object())", "object"),
        ("replace(spec, name='\\ud800')", "surrogates"),
        ("Refusal(3, 4)", "field"),
        ("replace(spec, comment='x' * 90_000_000)", "bytes"),
        ("[]", "must return"),
        ("None", "must return"),
    ],
)
async def test_a_plugin_that_answers_nonsense_has_failed(bench, site, says, words):
    install(site, "liar", judging("liar", says))
    await use(bench, "liar")
    answer = await bench.post()
    assert (answer.status_code, answer.json()["code"]) == (503, "plugin-failed"), answer.text
    (one,) = (await bench.get("/v1/plugins", "boss")).json()["plugins"]
    assert one["failures"] == 1
    assert words in one["last_failure"]
    assert (await bench.get("/v1/jobs")).json()["items"] == []


@pytest.mark.parametrize(
    "says",
    ["Placement(nodes=())", "Placement(nodes=('n1,n2[',))", "Placement(nodes='n1')", "Placement(avoid=('',))",
     "Placement(nodes=('n1', 'gone'))", "Placement(ranks=('n1\\nn2',))", "Placement(switches=-1)", "1 / 0", "7"],
)  # fmt: skip
async def test_a_placement_that_cannot_be_is_the_plugins_fault_and_not_the_users(bench, site, says):
    install(site, "placer", PLACER.format(says))
    await use(bench, "placer")
    answer = await bench.post(parallel="tp=2")
    assert (answer.status_code, answer.json()["code"]) == (503, "plugin-failed"), answer.text


async def test_a_placing_plugin_that_is_required_and_off_lets_no_job_pass_unplaced(bench, site):
    install(site, "placer", PLACER.format("1 / 0"))
    await use(bench, "placer")
    for _ in range(5):
        assert (await bench.post(parallel="tp=2")).status_code == 503
    assert await states(bench) == {"placer": "BROKEN"}
    answer = await bench.post(parallel="tp=2")
    assert (answer.status_code, "switched off" in answer.json()["detail"]) == (503, True), answer.text
    await use(bench, {"name": "placer", "required": False})
    for _ in range(6):
        assert (await bench.post(parallel="tp=2")).status_code == 201


async def test_a_key_is_answered_again_though_nobody_knows_now_where_a_job_could_be_placed(bench, site):
    install(site, "placer", PLACER.format("None"))
    await use(bench, "placer")
    first = await bench.post("k1", parallel="tp=2")
    assert first.status_code == 201
    bench.observer.view = msgspec.structs.replace(bench.observer.view, asked_at=0.0)
    again = await bench.post("k1", parallel="tp=2")
    assert (again.status_code, again.json().get("id")) == (201, first.json()["id"]), again.text


async def test_a_plugin_is_not_blamed_for_what_another_one_does_to_its_process(bench, site):
    install(site, "slow", judging("slow", "time.sleep(60)"))
    await use(bench, "namer", {"name": "slow", "required": False, "timeout_s": 0.1})
    waves = []
    for _ in range(20):
        waves += [asyncio.create_task(bench.post(name=f"n{number}")) for number in range(6)]
        await asyncio.sleep(0.05)
    answers = await asyncio.gather(*waves)
    assert {answer.status_code for answer in answers} <= {201, 503}
    found = (await bench.get("/v1/plugins", "boss")).json()["plugins"]
    assert {one["name"]: (one["state"], one["failures"] > 0) for one in found} == {
        "namer": ("ON", False), "slow": ("BROKEN", True),
    }  # fmt: skip
    assert {answer.status_code for answer in answers} == {201}


async def test_an_exchange_while_a_job_goes_from_one_plugin_to_the_next_leaves_no_process(bench, site):
    install(site, "first", judging("first", "time.sleep(0.5) or spec"))
    await use(bench, "first", "namer")
    slow = asyncio.create_task(bench.post(name="a"))
    await asyncio.sleep(0.2)
    assert (await use(bench, "namer")).status_code == 200
    answer = await slow
    assert (answer.status_code, answer.json()["name"]) == (201, "a-named")
    detail = (await bench.get(f"/v1/jobs/{answer.json()['id']}/detail")).json()
    assert detail["attempts"][0]["generation"] == 1
    assert await soon_one_worker() == 1


async def test_a_job_is_placed_by_the_generation_that_admitted_it(bench, site):
    install(site, "first", judging("first", "time.sleep(0.5) or spec"))
    install(site, "placer", PLACER.format('Placement(why="old", avoid=("n2",))'))
    await use(bench, "first", "placer")
    slow = asyncio.create_task(bench.post(parallel="tp=2"))
    await asyncio.sleep(0.2)
    install(site, "placer", PLACER.format('Placement(why="new", avoid=("n1",))'))
    await use(bench, "placer")
    answer = await slow
    assert answer.status_code == 201, answer.text
    detail = (await bench.get(f"/v1/jobs/{answer.json()['id']}/detail")).json()
    assert detail["attempts"][0]["generation"] == 1
    assert [launch.spec.resources.exclude for launch in bench.slurm._jobs.values()] == ["n2"]


async def test_a_change_that_ends_before_its_end_leaves_no_process(bench, site, monkeypatch):
    install(site, "seer", "PLUGIN = Plugin('seer', 1, [Discover(lambda c, s, n: None, 60.0, lambda c, s: None)])")
    store, read = bench.service.store, bench.service.store.read

    async def away(what, *args):
        if what is generations.states:
            raise Unavailable("The database is away.")
        return await read(what, *args)

    monkeypatch.setattr(store, "read", away)
    assert (await use(bench, "seer")).status_code == 503
    assert workers() == []
    monkeypatch.setattr(store, "read", read)
    install(site, "lazy", "time.sleep(60)\nPLUGIN = 1")
    wanted = PluginSet((PluginSettings("lazy"),))
    gives_up = asyncio.create_task(bench.service.hooks.change(wanted, "boss", 0.0))
    await asyncio.sleep(0.3)
    assert len(workers()) == 1
    gives_up.cancel()
    await asyncio.gather(gives_up, return_exceptions=True)
    assert workers() == []


async def test_each_change_is_answered_with_its_own_generation(bench):
    answers = await asyncio.gather(*(use(bench, *names) for names in (["namer"], ["small"], ["namer", "small"])))
    found = {answer.json()["number"]: [one["name"] for one in answer.json()["plugins"]] for answer in answers}
    assert found == {1: ["namer"], 2: ["small"], 3: ["namer", "small"]}
    assert await told(bench) == [
        ("namer", "ON"), ("small", "ON"), ("namer", "OFF"), ("namer", "ON"), ("small", "ON"),
    ]  # fmt: skip
    assert await soon_one_worker() == 1


async def test_new_code_that_is_there_when_the_service_starts_is_a_new_generation(place, site):
    settings = settings_of(place, plugins=(PluginSettings("namer"),))
    digests = {}
    for number, body in [(1, NAMER), (1, NAMER), (2, NAMER.replace("-named", "-anew")), (2, None)]:
        if body is not None:
            install(site, "namer", body)
        async with on_bench(settings, {"big": UnrulySlurm()}) as bench:
            found = (await bench.get("/v1/plugins")).json()
            assert found["number"] == number
            digests.setdefault(number, set()).add(found["plugins"][0]["digest"])
    assert all(len(found) == 1 for found in digests.values())
    assert digests[1] != digests[2]


@pytest.mark.parametrize("body", ["os._exit(3)", "sys.exit(3)", "os.kill(os.getpid(), 11)"])
async def test_a_plugin_that_ends_its_process_at_its_import_takes_no_other_one_with_it(place, site, body):
    install(site, "bomb", body)
    settings = settings_of(place, plugins=(PluginSettings("bomb", required=False), PluginSettings("namer")))
    async with on_bench(settings, {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        assert await states(bench) == {"bomb": "BROKEN", "namer": "ON"}
        assert (await bench.submitted(name="a"))["name"] == "a-named"
        refused = await use(bench, "namer", "bomb")
        assert [fault["field"] for fault in refused.json()["errors"]] == ["plugins.1"]


@pytest.mark.parametrize(
    "body",
    [
        "PLUGIN = Plugin('odd', 1, [Discover(lambda c, s, n: None, 'often', lambda c, s: None)])",
        "PLUGIN = Plugin('odd', 1, [Discover(lambda c, s, n: None, float('nan'), lambda c, s: None)])",
        "PLUGIN = Plugin('odd', 1, [Discover(lambda c, s, n: None, 60.0, lambda c: None)])",
        "PLUGIN = Plugin('odd', 1, [Discover(lambda c, s, n: None, 60.0, None)])",
        "PLUGIN = Plugin('odd', 1, [Tick(lambda view, now: (), period_s=float('nan'))])",
        "PLUGIN = Plugin('odd', 1, [Admit(3)])",
        "PLUGIN = Plugin('odd', 1, None)",
        "PLUGIN = Plugin('odd', 1, lambda own: 1 / 0)",
        "PLUGIN = Plugin('odd', 1, lambda own: sys.exit(3), msgspec.Struct)",
    ],
)
async def test_a_plugin_of_odd_parts_is_refused_by_itself(bench, site, body):
    install(site, "odd", body)
    refused = await use(bench, "namer", "odd")
    assert refused.status_code == 422, refused.text
    assert [fault["field"] for fault in refused.json()["errors"]] == ["plugins.1"]


async def test_numbers_in_settings_have_no_end(bench, site):
    install(site, "counts", "def make(own):\n    def admit(spec, context):\n"
        "        return replace(spec, comment=str(own['x']))\n    return [Admit(admit)]\n"
        "PLUGIN = Plugin(name='counts', api=1, hooks=make)")  # fmt: skip
    answer = await use(bench, {"name": "counts", "settings": {"x": 10**30}})
    assert (answer.status_code, answer.json()["plugins"][0]["settings"]) == (200, {"x": 10**30}), answer.text
    assert (await bench.submitted())["comment"] == str(10**30)


async def test_dates_in_the_settings_file_do_not_undo_a_change_at_the_next_start(place, site):
    text = '[[plugins]]\nname = "dated"\nrequired = false\nsettings = {since = 2026-01-01, to = nan}'
    plugins = msgspec.convert(tomllib.loads(text)["plugins"], tuple[PluginSettings, ...])
    for generation in (1, 2):
        async with on_bench(settings_of(place, plugins=plugins), {"big": UnrulySlurm()}) as bench:
            assert (await bench.get("/v1/plugins")).json()["number"] == generation
            if generation == 1:
                await use(bench, "namer")


async def test_what_an_exception_says_is_for_operators_only(bench, site):
    install(site, "leaky", "def admit(spec, context):\n        raise ValueError('no login with s3cret')\n"
        "    PLUGIN = Plugin(name='leaky', api=1, hooks=[Admit(admit)])".replace("\n    ", "\n"))  # fmt: skip
    assert (await use(bench, "leaky")).status_code == 200
    for _ in range(6):
        answer = await bench.post()
        assert (answer.status_code, "s3cret" in answer.text, "leaky" in answer.text) == (503, False, True), answer.text
    assert "s3cret" not in (await bench.get("/v1/plugins", "alice")).text
    for who in ("ops", "boss"):
        assert "s3cret" in (await bench.get("/v1/plugins", who)).json()["plugins"][0]["last_failure"]


async def test_a_change_that_cannot_be_written_down_does_not_come_into_use(bench, monkeypatch):
    await use(bench, "namer")
    write = bench.service.store.write

    async def away(what, *args):
        if what is generations.add:
            raise Unavailable("The database is away.")
        return await write(what, *args)

    monkeypatch.setattr(bench.service.store, "write", away)
    assert (await use(bench, "small")).status_code == 503
    assert await states(bench) == {"namer": "ON"}
    assert await soon_one_worker() == 1
    assert (await bench.submitted(name="a"))["name"] == "a-named"


async def test_plugins_that_only_get_on_alone_are_refused_together(bench, site):
    for name, other in [("cat", "dog"), ("dog", "cat")]:
        install(site, name, f"if 'plug_{other}' in sys.modules:\n    os._exit(3)\n"
            f"PLUGIN = Plugin('{name}', 1, [Admit(lambda spec, context: spec)])")  # fmt: skip
    assert (await use(bench, "cat")).status_code == 200
    refused = await use(bench, "cat", "dog")
    assert refused.status_code == 422
    assert ["could not be loaded together" in fault["detail"] for fault in refused.json()["errors"]] == [True, True]
    assert await states(bench) == {"cat": "ON"}
    assert await soon_one_worker() == 1


async def test_a_plugin_that_does_not_take_what_it_knew_is_there_without(bench, site):
    install(site, "seer", "def forget(cluster, state):\n    raise ValueError('old')\n"
        "see = Discover(lambda cluster, state, now: None, 60.0, forget)\n"
        "PLUGIN = Plugin('seer', 1, [Admit(lambda spec, context: spec), see])")  # fmt: skip
    await bench.service.store.write(generations.keep_found, "seer", "big", 0.0, b"x", [])
    await use(bench, "seer")
    (one,) = (await bench.get("/v1/plugins", "boss")).json()["plugins"]
    assert (one["state"], one["failures"], one["last_failure"]) == ("ON", 1, "remember: old")
    assert (await bench.post()).status_code == 201


async def test_jobs_that_wait_for_a_plugin_that_is_switched_off_meanwhile_wait_no_longer(bench, site, tmp_path):
    file = tmp_path / "asked"
    install(site, "slow", f"def admit(spec, context):\n    open({str(file)!r}, 'a').write('x')\n    time.sleep(60)\n"
        "PLUGIN = Plugin('slow', 1, [Admit(admit)])")  # fmt: skip
    await use(bench, {"name": "slow", "timeout_s": 0.1})
    answers = await asyncio.gather(*(bench.post() for _ in range(40)))
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "plugin-failed")}
    assert len(file.read_text()) <= 5 + 8, "no more than were told of at once"


async def test_more_plugins_than_anybody_has_are_refused(bench):
    refused = await use(bench, *(f"p{number}" for number in range(65)))
    assert (refused.status_code, "64" in refused.text) == (400, True), refused.text
