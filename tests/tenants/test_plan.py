"""Plans: what must change in Slurm's accounting, and that nothing else does."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.tenant import Budget, Ledger, Made, Period, Quota, Setting, Tenant, Verb, changed
from hpcjobs.tenants.desired import THERE, below, desired
from hpcjobs.tenants.plan import diff, kept_of, trace

PROJECTS = st.sampled_from(["vision", "climate", "retina"])
FIELDS = st.sampled_from([("GrpJobs", ""), ("GrpTRES", "gres/gpu"), ("MaxWall", ""), ("member", "alice"),
                          ("manager", "dave"), ("account", ""), ("fairshare", ""), ("qos", "q"), ("QosLevel", "q"),
                          ("qos.Priority", "q"), ("qos.MaxTRESPerUser", "q:cpu")])  # fmt: skip
STAY = ("account", "qos")
"""What is never deleted."""
SETTINGS = st.builds(lambda project, field: Setting(project, *field), PROJECTS, FIELDS)
LEDGERS = st.dictionaries(SETTINGS, st.sampled_from(["1", "2", "3"]))


def carried_out(wanted, found, made, most=None):
    """Slurm and what is kept of it, after the first so many changes of a plan."""
    made = dict(made)
    changes = diff(wanted, found, made)[:most]
    for change in changes:
        kept = kept_of(change, made, 0.0)
        made.pop(change.setting, None)
        if kept:
            made[change.setting] = kept
    return trace(changes, found), made


@given(LEDGERS, LEDGERS, LEDGERS, st.integers(0, 20))
def test_a_second_plan_is_empty_also_after_one_that_was_killed(first, second, found, most):
    slurm, made = carried_out(first, found, {}, most)
    slurm, made = carried_out(second, slurm, made)
    assert all(slurm.get(setting) == value for setting, value in second.items())
    assert diff(second, slurm, made) == ()


@given(LEDGERS, LEDGERS)
def test_what_is_declared_no_more_is_as_it_was_before_but_for_accounts_and_qos(wanted, found):
    slurm, made = carried_out(wanted, found, {})
    slurm, made = carried_out({}, slurm, made)
    assert made == {}
    kept = {key: value for key, value in wanted.items() if key.field in STAY}
    assert slurm == found | kept


@given(LEDGERS, LEDGERS, LEDGERS)
def test_nothing_is_touched_that_is_neither_declared_nor_ours(wanted, found, owned):
    made = {key: Made(key, "", value) for key, value in owned.items()}
    assert {change.setting for change in diff(wanted, found, made)} <= set(wanted) | set(made)


def killed_before_the_last(wanted, found, made, most):
    """The same, where the last change was written down, as far as that comes first, and never sent."""
    changes = diff(wanted, found, made)[:most]
    slurm, kept = carried_out(wanted, found, made, max(0, len(changes) - 1))
    for change in changes[-1:]:
        if row := kept_of(change, kept, 0.0):
            kept[change.setting] = row
    return slurm, kept


@given(LEDGERS, LEDGERS, LEDGERS, st.integers(0, 20))
def test_declared_no_more_after_a_change_that_was_never_sent_it_is_as_it_was_before(first, second, found, most):
    slurm, made = carried_out(first, found, {})
    slurm, made = killed_before_the_last(second, slurm, made, most)
    slurm, made = carried_out({}, slurm, made)
    slurm, made = carried_out({}, slurm, made)
    assert made == {}
    assert {key: value for key, value in slurm.items() if key.field not in STAY} == {
        key: value for key, value in found.items() if key.field not in STAY
    }
    assert slurm.keys() >= found.keys()


def test_a_change_that_was_not_sent_is_nobodys_but_ours():
    jobs = Setting("vision", "GrpJobs")
    (change,) = diff({jobs: "5"}, {jobs: "4"}, {jobs: Made(jobs, "2", "5", over="4")})
    assert (change.why, change.value) == ("it was not sent yet", "5")
    (change,) = diff({jobs: "5"}, {jobs: "2"}, {jobs: Made(jobs, "2", "5", over="4")})
    assert "somebody has changed it" in change.why


def test_what_somebody_changed_since_is_not_given_back():
    jobs = Setting("vision", "GrpJobs")
    (change,) = diff({}, {jobs: "7"}, {jobs: Made(jobs, "", "5")})
    assert (change.verb, change.value) == (Verb.FORGET, "7")


def test_drift_is_named_and_repaired():
    jobs = Setting("vision", "GrpJobs")
    (change,) = diff({jobs: "5"}, {jobs: "7"}, {jobs: Made(jobs, "2", "5")})
    assert (change.verb, change.was, change.value) == (Verb.MODIFY, "7", "5")
    assert "somebody has changed it" in change.why
    assert kept_of(change, {jobs: Made(jobs, "2", "5")}, 9.0) == Made(jobs, "2", "5", 9.0)


def test_accounts_come_from_the_root_on_then_limits_then_people():
    tenants = {
        "a-leaf": Tenant(parent="b-mid", members=("bob",), managers=("bob",), quota=Quota(running_jobs=2)),
        "b-mid": Tenant(parent="c-top"),
        "c-top": Tenant(parent="root"),
    }
    wanted, _ = desired(tenants, {}, Ledger({}, frozenset()))
    order = [(change.setting.field, change.setting.project) for change in diff(wanted, {}, {})]
    accounts = [("account", "c-top"), ("account", "b-mid"), ("account", "a-leaf")]
    assert order == [*accounts, ("GrpJobs", "a-leaf"), ("member", "a-leaf"), ("manager", "a-leaf")]


def test_a_used_up_budget_is_no_gpus_at_a_time_whatever_the_quota_says():
    tenants = {"vision": Tenant(quota=Quota(gpus={"": 8, "a100": 4}))}
    tres = {"gres/gpu", "gres/gpu:a100"}
    wanted, unmet = desired(tenants, {"vision": {"a100"}}, Ledger({}, frozenset(tres)))
    assert wanted[Setting("vision", "GrpTRES", "gres/gpu:a100")] == "0"
    assert wanted[Setting("vision", "GrpTRES", "gres/gpu")] == "8"
    assert unmet == ()


def test_amounts_are_in_slurms_units_and_what_slurm_cannot_have_is_said():
    quota = Quota(gpus={"h100": 1}, cpus=4, mem_bytes=2**30 + 1, wall_s=61, submitted_jobs=0, storage_bytes=5)
    wanted, unmet = desired({"vision": Tenant(quota=quota)}, {}, Ledger({}, frozenset({"gres/gpu"})))
    assert wanted == {
        Setting("vision", "account"): THERE,
        Setting("vision", "GrpTRES", "cpu"): "4",
        Setting("vision", "GrpTRES", "mem"): "1025",
        Setting("vision", "MaxWall"): "2",
        Setting("vision", "GrpSubmitJobs"): "0",
    }
    assert [(one.project, one.field) for one in unmet] == [("vision", "gpus.h100"), ("vision", "storage_bytes")]


def test_below_are_all_generations_and_a_ring_ends():
    assert below("a", {"b": "a", "c": "b", "d": "root"}) == {"a", "b", "c"}
    assert below("a", {"b": "a", "a": "b"}) == {"a", "b"}


def test_a_tenant_says_no_more_than_it_was_given():
    assert msgspec.json.encode(Tenant(quota=Quota(cpus=2))) == b'{"quota":{"cpus":2}}'


def test_what_a_request_leaves_out_stays():
    month, decay = Budget(hard_h=10), Budget(Period.DECAY, hard_h=5, half_life_s=9)
    quota = Quota(budgets=(month, decay), gpus={"": 8, "h100": 1}, cpus=64, wall_s=60)
    more = Quota(budgets=(Budget(hard_h=20), Budget(kind="h100", hard_h=1)), gpus={"h100": 2}, cpus=0)
    assert changed(quota, more) == Quota(
        budgets=(Budget(hard_h=20), decay, Budget(kind="h100", hard_h=1)), gpus={"": 8, "h100": 2}, cpus=0, wall_s=60
    )
    assert changed(quota, Quota()) == quota
    assert changed(Quota(), quota) == quota
