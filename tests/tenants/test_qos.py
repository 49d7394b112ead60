"""QOS of projects: what is theirs, what is somebody else's, and in what order Slurm can take it."""

from __future__ import annotations

import pytest

from hpcjobs.model.qos import Qos
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.tenant import THERE, Ledger, Made, Quota, Setting, Tenant, Verb
from hpcjobs.tenants.desired import desired
from hpcjobs.tenants.enforced import ENFORCE, unenforced
from hpcjobs.tenants.plan import diff

TRES = frozenset({"cpu", "mem", "gres/gpu", "gres/gpu:h100"})


def of_qos(wanted: dict[Setting, str]) -> dict[tuple[str, str], str]:
    return {(key.field, key.of): value for key, value in wanted.items() if "qos" in key.field.lower()}


def test_a_qos_is_made_for_its_project_with_its_limits_in_slurms_units():
    qos = Qos(
        priority=0, user_gpus={"": 2}, user_mem_bytes=2**30 + 1, user_running_jobs=3, grace_s=60, preempts=("normal",)
    )
    wanted, unmet = desired({"vision": Tenant(qos={"fast": qos})}, {}, Ledger({}, TRES, {"normal": ""}))
    assert unmet == ()
    assert of_qos(wanted) == {
        ("qos", "fast"): THERE, ("QosLevel", "fast"): THERE, ("qos.Priority", "fast"): "0",
        ("qos.GraceTime", "fast"): "60", ("qos.MaxJobsPerUser", "fast"): "3",
        ("qos.MaxTRESPerUser", "fast:gres/gpu"): "2", ("qos.MaxTRESPerUser", "fast:mem"): "1025",
        ("qos.Preempt", "fast:normal"): THERE,
    }  # fmt: skip


def test_a_qos_that_hpcjobs_did_not_make_for_the_project_is_left_alone_and_told():
    tenants = {"vision": Tenant(qos={"normal": Qos(priority=9), "theirs": Qos(), "gone": Qos(preempts=("nobodys",))})}
    ledger = Ledger({}, frozenset(), {"normal": "", "theirs": "climate"})
    wanted, unmet = desired(tenants, {}, ledger)
    assert {of for _, of in of_qos(wanted)} == {"gone"}
    assert {one.field for one in unmet} == {"qos.normal", "qos.theirs", "qos.gone.preempts"}


def test_what_slurm_cannot_limit_is_told():
    tenants = {"vision": Tenant(qos={"fast": Qos(user_gpus={"a100": 1})}, default_qos="else")}
    _, unmet = desired(tenants, {}, Ledger({}, TRES, {"else": ""}))
    assert [one.field for one in unmet] == ["qos.fast.MaxTRESPerUser gres/gpu:a100", "default_qos"]


def test_the_sites_own_qos_can_be_the_default_where_the_account_may_use_it():
    ledger = Ledger({Setting("vision", "QosLevel", "normal"): THERE}, TRES, {"normal": ""})
    wanted, unmet = desired({"vision": Tenant(default_qos="normal")}, {}, ledger)
    assert (wanted[Setting("vision", "DefaultQOS")], unmet) == ("normal", ())


def test_a_used_up_budget_is_held_in_the_qos_too_also_of_projects_below():
    """Slurm goes by the QOS's bound of GPUs and does not look at the account's."""
    tenants = {
        "vision": Tenant(),
        "retina": Tenant(parent="vision", quota=Quota(), qos={"fast": Qos(gpus={"h100": 4, "": 8}, user_gpus={"": 1})}),
        "climate": Tenant(qos={"other": Qos(gpus={"h100": 4})}),
    }
    wanted, _ = desired(tenants, {"vision": {"h100"}}, Ledger({}, TRES))
    assert wanted[Setting("retina", "qos.GrpTRES", "fast:gres/gpu:h100")] == "0"
    assert wanted[Setting("retina", "qos.GrpTRES", "fast:gres/gpu")] == "8"
    assert wanted[Setting("retina", "qos.MaxTRESPerUser", "fast:gres/gpu")] == "1"
    assert wanted[Setting("climate", "qos.GrpTRES", "other:gres/gpu:h100")] == "4"


def test_all_qos_are_there_before_one_preempts_another_and_a_default_may_be_used():
    tenants = {
        "a": Tenant(qos={"fast": Qos(preempts=("spare",))}, default_qos="fast"),
        "b": Tenant(qos={"spare": Qos()}),
    }
    wanted, _ = desired(tenants, {}, Ledger({}, TRES))
    order = [change.setting.field for change in diff(wanted, {}, {}) if change.setting.field != "account"]
    assert order == ["qos", "qos", "qos.Preempt", "QosLevel", "QosLevel", "DefaultQOS"]


def test_a_qos_is_taken_away_when_it_is_nobodys_default_and_stays():
    """Slurm 26.05 refuses to delete a QOS of jobs, 24.11 leaves them InvalidQOS."""
    qos, level, default = Setting("v", "qos", "q"), Setting("v", "QosLevel", "q"), Setting("v", "DefaultQOS")
    normal = Setting("v", "QosLevel", "normal")
    made = {one.setting: one for one in (Made(qos, "", THERE), Made(level, "", THERE), Made(default, "normal", "q"))}
    changes = diff({}, {qos: THERE, level: THERE, normal: THERE, default: "q"}, made)
    told = [(change.verb, change.setting, change.value) for change in changes]
    assert told == [(Verb.FORGET, qos, THERE), (Verb.MODIFY, default, "normal"), (Verb.REMOVE, level, "")]


def test_a_default_that_may_not_be_used_any_more_is_not_given_back():
    default = Setting("v", "DefaultQOS")
    (change,) = diff({}, {default: "q"}, {default: Made(default, "gone", "q")})
    assert (change.verb, change.value) == (Verb.REMOVE, "")


LIMITED = {Setting("v", "GrpTRES", "cpu"): "1"}
WITH_QOS = {Setting("v", field, "q"): "1" for field in ("qos", "qos.Priority", "qos.Preempt", "qos.MaxJobsPerUser")}


@pytest.mark.parametrize(
    ("wanted", "conf", "fields"),
    [
        ({}, Scheduling(), []),
        (LIMITED, Scheduling(enforced=("associations", "limits")), []),
        (LIMITED, Scheduling(enforced=("associations",)), [ENFORCE]),
        ({Setting("v", "account"): THERE}, Scheduling(), [ENFORCE]),
        ({Setting("v", "qos", "q"): THERE}, Scheduling(enforced=("limits",)), [ENFORCE]),
        (WITH_QOS, Scheduling(enforced=("limits", "qos")), ["PreemptType", "PriorityWeightQOS"]),
        (WITH_QOS, Scheduling(enforced=("safe", "qos"), preempt="preempt/qos", weights={"qos": 9}), []),
    ],
)
def test_what_slurm_would_keep_and_not_hold_is_told(wanted, conf, fields):
    assert [one.field for one in unenforced(wanted, conf)] == fields


def test_a_qos_that_is_withdrawn_is_no_default_though_it_may_still_be_used():
    ledger = Ledger({Setting("v", "QosLevel", "fast"): THERE, Setting("v", "qos", "fast"): THERE}, TRES, {"fast": "v"})
    wanted, unmet = desired({"v": Tenant(default_qos="fast")}, {}, ledger)
    assert Setting("v", "DefaultQOS") not in wanted
    assert [one.field for one in unmet] == ["default_qos"]
