"""Tenants through the whole service: who sees and does what, hard bounds that refuse, plans that are killed."""

from __future__ import annotations

import time

import msgspec
import pytest

from hpcjobs.errors import SlurmUnavailable
from hpcjobs.model.account import Account
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.tenant import Plan, ProjectQuota, Setting, Verb
from hpcjobs.slurm.simulated_ledger import ledger_of
from tests.api.bench import SCRIPT, problem_of
from tests.tenants.test_budget import put

PHYSICS = Account("big", "physics", members=frozenset({"erin"}), coordinators=frozenset({"erin"}))
VISION = Account("big", "vision", members=frozenset({"alice", "bob"}), coordinators=frozenset({"bob"}))
CLIMATE = Account("big", "climate", members=frozenset({"carol"}))
EVER = {"period": "fixed", "until": 4_000_000_000}
"""No month that begins while a test runs."""
HARD = {"parent": "physics", "members": ["alice"], "quota": {"budgets": [{**EVER, "hard_h": 10, "soft_h": 5}]}}


@pytest.fixture
async def tenants(bench):
    """Alice of vision, which bob manages, below physics, which erin manages; carol of climate."""
    bench.slurm.known_accounts = (PHYSICS, VISION, CLIMATE)
    bench.slurm.known_ledger = ledger_of(bench.slurm.known_accounts)
    await bench.service.learn_accounts("big", time.time())
    return bench


async def declare(bench, project: str, tenant: object, caller: str = "boss"):
    return await bench.call("PUT", f"/v1/projects/{project}", caller, json=tenant)


async def use(bench, project: str, hours: float) -> None:
    """Let accounting know of one GPU that was used for so long until now."""
    now = int(time.time())

    def write(connection):
        connection.execute("DELETE FROM clusters")
        connection.execute("INSERT INTO clusters VALUES ('big', ?)", [now])
        put(connection, now % 10**6, project, now - 60, now, "a100", round(hours * 60))

    await bench.service.usage.write(write)
    bench.service.tenants.standing.changed("big")


async def submit(bench, caller: str = "alice", **fields: object):
    body = {"script": SCRIPT, **fields}
    return await bench.call("POST", "/v1/jobs", caller, json=body)


async def quotas(bench, caller: str) -> dict[str, ProjectQuota]:
    answer = await bench.call("GET", "/v1/quotas", caller)
    assert answer.status_code == 200, answer.text
    return {one.project: one for one in msgspec.json.decode(answer.content, type=list[ProjectQuota])}


async def plan(bench) -> Plan:
    answer = await bench.call("GET", "/v1/quotas/plan", "ops")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Plan)


async def test_one_sees_ones_projects_and_no_more_of_the_others_than_that_nobody_has_them(tenants):
    assert (await declare(tenants, "vision", HARD)).status_code == 200
    assert (await declare(tenants, "climate", {})).status_code == 200
    assert set(await quotas(tenants, "alice")) == {"vision"}
    assert set(await quotas(tenants, "carol")) == {"climate"}
    assert set(await quotas(tenants, "ops")) == {"vision", "climate"}
    assert (await quotas(tenants, "alice"))["vision"].tenant.members == ()
    assert (await quotas(tenants, "bob"))["vision"].tenant.members == ("alice",)
    hidden = await tenants.call("GET", "/v1/projects/vision", "carol")
    nobodys = await tenants.call("GET", "/v1/projects/nobodys", "carol")
    assert hidden.status_code == nobodys.status_code == 404
    assert hidden.json()["detail"].replace("vision", "nobodys") == nobodys.json()["detail"]


async def test_only_admins_declare_and_only_operators_see_the_plan(tenants):
    for caller in ("alice", "bob", "ops"):
        assert (await declare(tenants, "vision", HARD, caller)).status_code == 403
    assert (await tenants.call("GET", "/v1/quotas/plan", "bob")).status_code == 403
    assert (await tenants.call("POST", "/v1/quotas/apply", "ops")).status_code == 403


@pytest.mark.parametrize(
    ("project", "tenant", "field"),
    [
        ("root", {}, "project"),
        ("vision", {"parent": "vision"}, "parent"),
        ("vision", {"qos": {"spare": {"preempts": ["spare"]}}}, "qos.spare.preempts"),
        ("vision", {"quota": {"budgets": [{"hard_h": 1, "soft_h": 2}]}}, "quota.budgets[0].soft_h"),
        ("vision", {"quota": {"budgets": [{"hard_h": 1}, {"hard_h": 2}]}}, "quota.budgets[1]"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(tenants, project, tenant, field):
    answer = await declare(tenants, project, tenant)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


async def test_a_hard_bound_that_is_passed_refuses_gpus_and_says_what_was_used(tenants):
    await declare(tenants, "vision", HARD)
    assert (await submit(tenants, resources={"gpus": 1})).status_code == 201
    await use(tenants, "vision", 12)
    refused = await submit(tenants, account="vision", resources={"gpus": 1})
    assert problem_of(refused)["code"] == "refused"
    (fault,) = refused.json()["errors"]
    assert (fault["field"], fault["code"]) == ("account", "quota-exhausted")
    said = "Project vision has used 12.0 of 10.0 GPU-hours (fixed): nothing is left until 02 October 2096."
    assert fault["detail"].startswith(said)
    assert (await submit(tenants, resources={"gpus": 1})).status_code == 422  # alice has one project only
    assert (await submit(tenants)).status_code == 201  # no GPUs
    assert (await submit(tenants, "carol", account="climate", resources={"gpus": 1})).status_code == 201


async def test_a_soft_bound_that_is_passed_is_told_with_the_job(tenants):
    await declare(tenants, "vision", HARD)
    made = (await submit(tenants, account="vision", resources={"gpus": 1})).json()
    assert (await tenants.get(f"/v1/jobs/{made['id']}/detail")).json()["quotas"] == []
    await use(tenants, "vision", 6)
    assert (await submit(tenants, account="vision", resources={"gpus": 1})).status_code == 201
    (told,) = (await tenants.get(f"/v1/jobs/{made['id']}/detail")).json()["quotas"]
    assert told == "Project vision has used 6.0 of 10.0 GPU-hours (fixed), more than 5.0; 4.0 are left."


async def test_what_is_used_below_counts_above_and_a_bound_above_holds_below(tenants):
    await declare(tenants, "vision", {"parent": "physics"})
    await declare(tenants, "physics", {"quota": {"budgets": [{**EVER, "hard_h": 10}]}})
    await use(tenants, "vision", 11)
    assert (await quotas(tenants, "erin"))["physics"].budgets[0].left_h == 0
    refused = await submit(tenants, account="vision", resources={"gpus": 1})
    assert refused.status_code == 422
    assert "Project physics" in refused.json()["errors"][0]["detail"]


async def test_a_plan_is_applied_once_and_what_is_nobodys_here_stays(tenants):
    ledger = tenants.slurm.known_ledger
    ledger[Setting("climate", "GrpJobs")] = "9"
    ledger[Setting("vision", "MaxWall")] = "60"
    wanted = {"parent": "physics", "members": ["erin"], "quota": {"gpus": {"": 8}, "wall_s": 7200, "storage_bytes": 1}}
    await declare(tenants, "vision", wanted)
    await declare(tenants, "retina", {"parent": "vision", "managers": ["alice"]})
    shown = await plan(tenants)
    assert [one.field for one in shown.unmet] == ["storage_bytes"]
    done = await tenants.call("POST", "/v1/quotas/apply", "boss")
    assert done.status_code == 200
    assert msgspec.json.decode(done.content, type=Plan) == shown
    assert (await plan(tenants)).changes == ()
    assert ledger[Setting("vision", "GrpTRES", "gres/gpu")] == "8"
    assert ledger[Setting("vision", "parent")] == "physics"
    assert ledger[Setting("retina", "parent")] == "vision"
    assert ledger[Setting("climate", "GrpJobs")] == "9"
    assert Setting("vision", "member", "bob") in ledger
    entries = (await tenants.call("GET", "/v1/audit", "boss", params={"action": "sacctmgr add"})).json()["items"]
    assert "big vision GrpTRES gres/gpu: - -> 8 (the tenant says so)" in {entry["target"] for entry in entries}
    assert {entry["user"] for entry in entries} == {"hpcjobs"}
    # by hand
    ledger[Setting("vision", "GrpTRES", "gres/gpu")] = "80"
    (drift,) = (await plan(tenants)).changes
    assert (drift.verb, drift.was, drift.value) == (Verb.MODIFY, "80", "8")
    assert (await tenants.call("POST", "/v1/quotas/apply", "boss")).status_code == 200
    assert ledger[Setting("vision", "GrpTRES", "gres/gpu")] == "8"
    # no longer
    assert (await tenants.call("DELETE", "/v1/projects/vision", "boss")).status_code == 204
    assert (await tenants.call("DELETE", "/v1/projects/vision", "boss")).status_code == 404
    assert (await tenants.call("POST", "/v1/quotas/apply", "boss")).status_code == 200
    assert Setting("vision", "GrpTRES", "gres/gpu") not in ledger
    assert Setting("vision", "member", "erin") not in ledger
    assert Setting("vision", "member", "bob") in ledger
    assert ledger[Setting("vision", "MaxWall")] == "60"
    assert ledger[Setting("vision", "parent")] == "root"


@pytest.mark.parametrize("after", range(9))
@pytest.mark.parametrize("done", [False, True])
async def test_killed_at_any_order_the_next_run_goes_on(tenants, monkeypatch, after, done):
    before = dict(tenants.slurm.known_ledger)
    spare = {"spare": {"priority": 1, "user_gpus": {"": 2}}}
    wanted = {"parent": "vision", "members": ["alice"], "quota": {"gpus": {"": 8}, "cpus": 4, "running_jobs": 3},
              "qos": spare, "default_qos": "spare"}  # fmt: skip
    await declare(tenants, "retina", wanted)
    enter, calls = tenants.slurm.enter, 0

    async def killed(order):
        nonlocal calls
        calls += 1
        if calls > after:
            if done:
                await enter(order)
            raise SlurmUnavailable("killed")
        await enter(order)

    with monkeypatch.context() as patch:
        patch.setattr(tenants.slurm, "enter", killed)
        answer = await tenants.call("POST", "/v1/quotas/apply", "boss")
        assert answer.status_code == 503
    assert (await tenants.call("POST", "/v1/quotas/apply", "boss")).status_code == 200
    assert (await plan(tenants)).changes == ()
    assert tenants.slurm.known_ledger[Setting("retina", "GrpTRES", "cpu")] == "4"
    assert (await tenants.call("DELETE", "/v1/projects/retina", "boss")).status_code == 204
    assert (await tenants.call("POST", "/v1/quotas/apply", "boss")).status_code == 200
    made = {key for key in tenants.slurm.known_ledger if key not in before}
    as_it_is_made = {Setting("retina", name) for name in ("account", "parent", "fairshare")}
    assert made == as_it_is_made | {Setting("retina", "QosLevel", "normal"), Setting("retina", "qos", "spare")}
    assert before.items() <= tenants.slurm.known_ledger.items()


async def test_a_plan_says_what_slurm_conf_does_not_hold_also_where_it_cannot_be_asked(tenants, monkeypatch):
    await declare(tenants, "vision", {"quota": {"cpus": 4}})
    assert (await plan(tenants)).unmet == ()
    tenants.slurm.known_scheduling = Scheduling(enforced=("associations",))
    (one,) = (await plan(tenants)).unmet
    assert (one.project, one.field, "none of the limits" in one.why) == ("", "AccountingStorageEnforce", True)

    async def away():
        raise SlurmUnavailable("slurmctld is away.")

    monkeypatch.setattr(tenants.slurm, "scheduling", away)
    (one,) = (await plan(tenants)).unmet
    assert "slurmctld is away" in one.why
    assert (await tenants.call("POST", "/v1/quotas/apply", "boss")).status_code == 200


async def test_a_used_up_budget_holds_in_slurm_too_and_is_told_once(tenants):
    await declare(tenants, "vision", HARD | {"quota": {"gpus": {"": 8}, "budgets": HARD["quota"]["budgets"]}})
    await use(tenants, "vision", 6)
    told = tenants.service.tenants
    await told.tick("big", applies=True)
    assert tenants.slurm.known_ledger[Setting("vision", "GrpTRES", "gres/gpu")] == "8"
    await use(tenants, "vision", 12)
    for _ in range(2):
        await told.tick("big", applies=True)
    assert tenants.slurm.known_ledger[Setting("vision", "GrpTRES", "gres/gpu")] == "0"
    page = {"Accept": "application/json"}
    for caller, seen in (("bob", ["soft", "hard"]), ("alice", []), ("ops", ["soft", "hard"])):
        params = {"kind": "quota.state", "after": 0}
        answer = await tenants.call("GET", "/v1/events", caller, params=params, headers=page)
        assert [event["data"]["passed"] for event in answer.json()["items"]] == seen


async def test_a_request_is_decided_once_by_who_manages_the_project_above(tenants):
    await declare(tenants, "vision", HARD)
    more = {"quota": {"budgets": [{**EVER, "hard_h": 99}]}, "reason": "the paper"}
    path = "/v1/projects/vision/requests"
    assert (await tenants.call("POST", path, "carol", json=more)).status_code == 404
    made = (await tenants.call("POST", path, "alice", json=more)).json()
    assert (made["state"], made["user"]) == ("open", "alice")
    await tenants.call("POST", path, "bob", json=more)
    assert [len((await tenants.call("GET", path, who)).json()) for who in ("alice", "bob", "ops")] == [1, 2, 2]
    where = f"{path}/{made['id']}/decision"
    for caller in ("alice", "bob", "ops"):
        assert (await tenants.call("POST", where, caller, json={"approve": True})).status_code == 403
    assert (await tenants.call("POST", where, "carol", json={"approve": True})).status_code == 404
    granted = await tenants.call("POST", where, "boss", json={"approve": True, "note": "good luck"})
    assert granted.status_code == 200
    assert (granted.json()["state"], granted.json()["decided_by"]) == ("approved", "boss")
    assert (await tenants.call("POST", where, "boss", json={"approve": False})).status_code == 409
    after = (await quotas(tenants, "bob"))["vision"]
    assert after.budgets[0].budget.hard_h == 99
    assert after.tenant.members == ("alice",)
    audited = await tenants.call("GET", "/v1/audit", "boss", params={"user": "boss"})
    actions = [entry["action"] for entry in audited.json()["items"]]
    assert "POST /v1/projects/{project}/requests/{request_id}/decision" in actions


async def test_the_manager_above_decides_too_and_a_denied_request_changes_nothing(tenants):
    await declare(tenants, "vision", HARD)
    tenants.slurm.known_accounts = (
        PHYSICS,
        msgspec.structs.replace(VISION, coordinators=frozenset({"bob", "erin"})),  # as Slurm tells it
        CLIMATE,
    )
    await tenants.service.learn_accounts("big", time.time())
    path = "/v1/projects/vision/requests"
    made = (await tenants.call("POST", path, "alice", json={"quota": {}})).json()
    denied = await tenants.call("POST", f"{path}/{made['id']}/decision", "erin", json={"approve": False})
    assert denied.json()["state"] == "denied"
    assert (await quotas(tenants, "bob"))["vision"].budgets[0].budget.hard_h == 10


async def test_a_turn_that_makes_some_of_many_changes_says_which_and_the_next_goes_on(tenants, monkeypatch):
    monkeypatch.setattr("hpcjobs.tenants.reconciler.MOST_CHANGES", 2)
    wanted = {"parent": "vision", "members": ["alice"], "quota": {"gpus": {"": 8}, "cpus": 4, "running_jobs": 3}}
    await declare(tenants, "retina", wanted)
    there = (await plan(tenants)).changes
    assert len(there) > 4
    done = msgspec.json.decode((await tenants.call("POST", "/v1/quotas/apply", "boss")).content, type=Plan)
    assert done.changes == there[:2]
    assert (await plan(tenants)).changes == there[2:]
