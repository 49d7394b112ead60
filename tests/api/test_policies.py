"""Policies on a running service: asked by the clock in a process of their own, carried out, taken back, told of."""

from __future__ import annotations

import asyncio
import json
import os
import time

import msgspec
import pytest

from hpcjobs.model.job import State
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.steering import Action, Avoid, Hold, Prefer, Requeue, Weigh
from tests.api.bench import UnrulySlurm, on_bench, settings_of
from tests.api.test_metrics import scraped
from tests.unit.plugged import install

pytestmark = pytest.mark.thorough

SCRIPTED = """
    from hpcjobs.model.steering import Action
    class Script(msgspec.Struct, forbid_unknown_fields=True):
        file: str
        period_s: float = 10.0
    def make(script):
        def tick(view, now):
            with open(script.file) as file:
                text = file.read()
            if text == "fail":
                raise ValueError("I do not know")
            if text == "hang":
                time.sleep(60)
            if text == "nonsense":
                return ["more"]
            if text == "hints":
                from hpcjobs.model.steering import Prefer
                return [Prefer(number, len(hints.datasets), hints.gang) for number, hints in view.hints.items()]
            if text == "sees":
                from hpcjobs.model.steering import Avoid, Hold, Prefer, Weigh
                waits = [job for job in view.jobs.values() if job.state != "RUNNING"]
                return [wish for job in waits for wish in (
                    Prefer(job.slurm_job_id, 5, f"{job.particulars.nice} {job.particulars.excluded_nodes}"),
                    Avoid(job.slurm_job_id, ("n2",), view.nodes["n1"].particulars.weight.__str__()),
                    Hold(job.slurm_job_id, job.state), Weigh(("n1",), 7, ""))]
            return msgspec.json.decode(text, type=list[Action])
        return [Tick(tick, script.period_s)]
    PLUGIN = Plugin(name={name!r}, api=1, settings=Script, hooks=make)
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    for name in ("first", "second"):
        install(folder, name, SCRIPTED.replace("{name!r}", repr(name)))
        (tmp_path / name).write_text("[]")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    return tmp_path


class Helm:
    """A service, and what its policies are told to say."""

    def __init__(self, bench, site):
        self.bench = bench
        self.site = site
        self.ahead_s = 0.0

    async def use(self, *names, **more):
        plugins = [
            {"name": name, "timeout_s": 3.0, "settings": {"file": str(self.site / name), "period_s": 10.0}} | more
            for name in names
        ]
        answer = await self.bench.call("PUT", "/v1/plugins", "boss", json={"plugins": plugins})
        assert answer.status_code == 200, answer.text

    def say(self, name: str, *actions: Action) -> None:
        (self.site / name).write_bytes(msgspec.json.encode(actions))

    async def later(self, seconds: float = 11.0) -> None:
        """A listing and a turn of the policies, so much later."""
        self.ahead_s += seconds
        await self.bench.tick(self.ahead_s)
        await self.runner.tick(time.time() + self.ahead_s)

    @property
    def runner(self):
        return self.bench.service.policies["big"]

    def nice(self, job) -> int:
        return self.bench.slurm._jobs[job["slurm_job_id"]].record.particulars.nice

    async def report(self):
        return (await self.bench.get("/v1/clusters/big/policies", "ops")).json()

    async def told(self, user: str = "ops"):
        params, page = {"kind": "policy.action", "after": 0}, {"Accept": "application/json"}
        answer = await self.bench.call("GET", "/v1/events", user, params=params, headers=page)
        return [
            (one["data"]["policy"], one["data"].get("action"), one["data"]["state"]) for one in answer.json()["items"]
        ]


@pytest.fixture
async def helm(place, site):
    async with on_bench(settings_of(place), {"big": UnrulySlurm()}) as bench:
        await bench.tick()
        yield Helm(bench, site)


async def waiting(helm, **body):
    """A job that waits, because another has all nodes."""
    all_nodes = {"nodes": 2, "gpus_per_node": 8, "wall_s": 10**6}
    if not helm.bench.slurm._jobs:
        await helm.bench.submitted(user="carol", resources=all_nodes)
    job = await helm.bench.submitted(resources=all_nodes, **body)
    assert job["state"] == "PENDING"
    return job


async def test_what_a_policy_wishes_is_done_told_and_taken_back(helm):
    job = await waiting(helm, nice=20)
    number = job["slurm_job_id"]
    await helm.use("first")
    helm.say("first", Prefer(number, 15, "It is small."), Avoid(number, ("n2",), "n2 is suspect."))
    await helm.later()
    await helm.later()
    assert helm.nice(job) == 5
    shown = await helm.report()
    (policy,) = shown["policies"]
    assert [one["type"] for one in policy["actions"]] == ["prefer", "avoid"]
    assert (policy["name"], policy["dry_run"], policy["failed"], shown["steered_jobs"]) == ("first", False, "", 1)
    assert await helm.told() == [("first", "prefer", "wished"), ("first", "avoid", "wished")]
    assert await helm.told("alice") == await helm.told()
    assert await helm.told("bob") == []
    helm.say("first")
    await helm.later()
    await helm.later()
    assert helm.nice(job) == 20
    assert (await helm.report())["steered_jobs"] == 0
    assert (await helm.told())[2:] == [("first", "prefer", "withdrawn"), ("first", "avoid", "withdrawn")]


async def test_a_policy_that_fails_or_is_late_is_passed_by_and_what_it_wished_holds(helm):
    job = await waiting(helm)
    await helm.use("first", "second")
    helm.say("first", Prefer(job["slurm_job_id"], 5, "x"))
    helm.say("second", Prefer(job["slurm_job_id"], 2, "y"))
    await helm.later()
    for fault, words in (("fail", "I do not know"), ("hang", "3 s"), ("nonsense", "must return actions")):
        (helm.site / "first").write_text(fault)
        helm.say("second", Prefer(job["slurm_job_id"], len(fault), "y"))
        await helm.later(100)
        await helm.later(1)
        assert helm.nice(job) == -5 - len(fault)
        assert words in (await helm.report())["policies"][0]["failed"]


async def test_a_policy_that_is_switched_off_leaves_nothing_behind_at_once(helm):
    job = await waiting(helm)
    await helm.use("first", "second")
    helm.say("first", Prefer(job["slurm_job_id"], 5, "x"), Hold(job["slurm_job_id"], "its gang is not there"))
    helm.say("second", Prefer(job["slurm_job_id"], 2, "y"))
    await helm.later()
    assert (helm.nice(job), helm.bench.slurm._jobs[job["slurm_job_id"]].held) == (-7, True)
    await helm.use("second")
    await helm.later(1)
    assert (helm.nice(job), helm.bench.slurm._jobs[job["slurm_job_id"]].held) == (-2, False)
    await helm.use()
    await helm.later(1)
    assert helm.nice(job) == 0
    assert {state for _, _, state in (await helm.told())[-3:]} == {"withdrawn"}


async def test_a_policy_that_fails_too_often_is_switched_off_and_leaves_nothing_behind(helm):
    job = await waiting(helm)
    await helm.use("first")
    helm.say("first", Prefer(job["slurm_job_id"], 5, "x"))
    await helm.later()
    (helm.site / "first").write_text("fail")
    for _ in range(5):
        await helm.later(10)
    await helm.later(10)
    assert helm.nice(job) == 0
    assert "failed 5 times" in (await helm.report())["policies"][0]["failed"]


async def test_in_a_dry_run_all_is_told_and_nothing_done(helm):
    job = await waiting(helm)
    await helm.use("first", dry_run=True)
    number = job["slurm_job_id"]
    helm.say("first", Prefer(number, 5, "x"), Requeue(number, "y"))
    await helm.later()
    await helm.later()
    assert helm.nice(job) == 0
    assert (await helm.report())["policies"][0]["dry_run"] is True
    told = await helm.told()
    assert set(told) == {("first", "prefer", "dry-run"), ("first", "requeue", "dry-run")}


async def test_after_a_restart_what_was_wished_holds_until_the_policy_speaks_and_is_taken_back_then(place, site):
    slurm = UnrulySlurm()
    async with on_bench(settings_of(place), {"big": slurm}) as bench:
        helm = Helm(bench, site)
        await bench.tick()
        job = await waiting(helm)
        await helm.use("first")
        helm.say("first", Prefer(job["slurm_job_id"], 5, "x"))
        await helm.later()
        assert helm.nice(job) == -5
    (site / "first").write_text("fail")
    async with on_bench(settings_of(place), {"big": slurm}) as bench:
        helm = Helm(bench, site)
        helm.ahead_s = 50.0
        await helm.later()
        assert helm.nice(job) == -5, "it has said nothing yet"
        helm.say("first")
        await helm.later()
        assert helm.nice(job) == 0


async def test_a_job_that_slurm_will_not_change_is_told_of_and_left_alone_for_a_while(helm, monkeypatch):
    job = await waiting(helm)
    await helm.use("first")
    helm.bench.slurm.operators = frozenset()
    helm.say("first", Prefer(job["slurm_job_id"], 5, "x"))
    asked = []
    act = helm.bench.slurm.act

    async def counted(user: str, order: Order) -> None:
        asked.append(order)
        await act(user, order)

    monkeypatch.setattr(helm.bench.slurm, "act", counted)
    await helm.later()
    await helm.later(2)
    (trouble,) = (await helm.report())["troubles"]
    assert (trouble["of"], len(asked)) == (f"job {job['slurm_job_id']}", 1)
    assert (await helm.told())[-1] == ("first", None, "refused")
    helm.bench.slurm.operators = frozenset({"hpcjobs"})
    await helm.later(61)
    assert (helm.nice(job), len(asked)) == (-5, 2)
    assert (await helm.report())["troubles"] == []


async def test_what_slurm_would_not_change_is_tried_again_at_once_when_the_policies_are_others(helm):
    job = await waiting(helm)
    await helm.use("first")
    helm.bench.slurm.operators = frozenset()
    helm.say("first", Prefer(job["slurm_job_id"], 5, "x"))
    await helm.later()
    helm.bench.slurm.operators = frozenset({"hpcjobs"})
    await helm.use("first", "second")
    await helm.later(2)
    assert (helm.nice(job), (await helm.report())["troubles"]) == (-5, [])


async def test_a_running_job_is_requeued_once_and_can_start_at_once(helm):
    job = await helm.bench.submitted()
    number = job["slurm_job_id"]
    assert job["state"] == "RUNNING"
    await helm.use("first")
    helm.say("first", Requeue(number, "n1 is suspect.", avoid=("n1",)))
    await helm.later()
    assert (await helm.told())[-1] == ("first", "requeue", "done")
    await helm.later(1)  # it is not asked, and nothing is done again
    record = helm.bench.slurm._jobs[number].record
    assert (record.restarts, record.eligible_time, record.particulars.excluded_nodes) == (1, 0, "n1")
    helm.say("first")
    await helm.later()
    assert helm.bench.slurm._jobs[number].record.particulars.excluded_nodes == "n1", "an act is not taken back"
    assert (await helm.report())["steered_jobs"] == 0


async def test_a_requeued_job_is_changed_only_when_it_has_let_go_of_its_nodes(helm):
    number = (await helm.bench.submitted())["slurm_job_id"]
    await helm.use("first")
    helm.say("first", Requeue(number, "n1 is suspect.", avoid=("n1",)))
    await helm.later()
    entry = helm.bench.slurm._jobs[number]
    requeued = entry.record
    entry.record = msgspec.structs.replace(requeued, state=State.COMPLETING, raw_state="PENDING,COMPLETING")
    await helm.use()
    await helm.later(3)
    assert entry.record.particulars.excluded_nodes == "", "Slurm would undo it"
    entry.record = requeued
    await helm.later(1)
    assert entry.record.particulars.excluded_nodes == "n1"


async def test_policies_see_the_hints_of_jobs(helm):
    job = await waiting(helm, hints={"gang": "pair", "gang_size": 2, "datasets": ["a", "b"]})
    other = await waiting(helm)
    await helm.use("first")
    (helm.site / "first").write_text("hints")
    await helm.later()
    assert (helm.nice(job), helm.nice(other)) == (-2, 0)
    (wish,) = (await helm.report())["policies"][0]["actions"]
    assert (wish["job"], wish["why"]) == (job["slurm_job_id"], "pair")


async def test_a_policy_sees_what_was_asked_for_and_what_a_person_sets_and_not_what_it_made_of_that(helm):
    job = await waiting(helm, nice=20)
    await helm.use("first")
    (helm.site / "first").write_text("sees")
    for _ in range(3):
        await helm.later()
    slurm = helm.bench.slurm
    assert (helm.nice(job), slurm._jobs[job["slurm_job_id"]].held) == (15, True)
    assert slurm._nodes["n1"].particulars.weight == 8
    seen = [one["why"] for one in (await helm.report())["policies"][0]["actions"]]
    assert seen == ["20 ", "1", "PENDING", ""]
    await slurm.act("hpcjobs", Order(Verb.UPDATE, str(job["slurm_job_id"]), changes=Changes(nice=70, exclude="n1")))
    await helm.later()
    await helm.later()
    assert helm.nice(job) == 65
    assert next(one["why"] for one in (await helm.report())["policies"][0]["actions"]) == "70 n1"


@pytest.mark.parametrize(
    ("hints", "field"),
    [
        ({"gang": "x"}, "hints.gang"),
        ({"gang_size": 2}, "hints.gang"),
        ({"gang": "x", "gang_size": 100_000}, "hints.gang_size"),
        ({"gang": "a b", "gang_size": 2}, "hints.gang"),
        ({"datasets": [""]}, "hints.datasets"),
        ({"datasets": ["x"] * 33}, "hints.datasets"),
        ({"nodes_min": 3}, "hints.nodes_min"),
        ({"nodes_max": -1}, "hints.nodes_max"),
        ({"nodes_max": 10**9}, "hints.nodes_max"),
    ],
)
async def test_hints_that_contradict_are_refused_by_their_field(helm, hints, field):
    answer = await helm.bench.post(hints=hints)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_turns_in_which_policies_were_asked_are_counted_with_their_time_and_that_of_their_orders(helm):
    job = await waiting(helm)
    await helm.later()
    assert (await scraped(helm.bench))["hpcjobs_policy_turns_total", "big"] == 0, "there are no policies"
    await helm.use("first")
    helm.say("first", Prefer(job["slurm_job_id"], 15, "It is small."))
    await helm.later()
    await helm.later(1.0)  # it is not due
    found = await scraped(helm.bench)
    assert found["hpcjobs_policy_turns_total", "big"] == 1
    assert found["hpcjobs_policy_turn_seconds_total", "big"] > found["hpcjobs_policy_order_seconds_total", "big"] > 0


async def test_what_is_ordered_counts_from_when_it_was_and_not_from_when_its_turn_began(helm, monkeypatch):
    await waiting(helm)
    await helm.use("first")
    runner = helm.bench.service.policies["big"]
    tick = runner.hooks.ask.tick

    async def slow(*about):
        said = await tick(*about)
        await asyncio.sleep(0.5)
        return said

    monkeypatch.setattr(runner.hooks.ask, "tick", slow)
    helm.say("first", Weigh(("n1",), 3, "y"))
    await helm.later()
    (row,) = runner._rows.values()
    assert row.at >= runner._policies["first"].ticked_at + 0.5


async def test_what_policies_want_is_for_operators(helm):
    assert (await helm.bench.get("/v1/clusters/big/policies")).status_code == 403
    assert (await helm.bench.get("/v1/clusters/none/policies", "ops")).status_code == 404


async def test_a_person_has_the_last_word_on_what_a_job_is_without_policies(helm):
    job = await waiting(helm)
    await helm.use("first")
    helm.say("first", Prefer(job["slurm_job_id"], 5, "x"), Weigh(("n1",), 3, "y"))
    await helm.later()
    await helm.bench.slurm.act("hpcjobs", Order(Verb.UPDATE, str(job["slurm_job_id"]), changes=Changes(nice=70)))
    await helm.later()
    assert helm.nice(job) == 65
    await helm.use()
    await helm.later(1)
    assert helm.nice(job) == 70


async def test_submissions_do_not_wait_for_a_policy(helm):
    (helm.site / "first").write_text("hang")
    await helm.use("first", timeout_s=6.0)
    ticking = asyncio.create_task(helm.later())
    await asyncio.sleep(0.5)
    assert (await helm.bench.post()).status_code == 201
    assert not ticking.done()
    await ticking
    assert json.loads((await helm.bench.get("/v1/clusters/big/policies", "ops")).text)["policies"][0]["failed"]
