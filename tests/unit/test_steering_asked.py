"""What policies see: jobs and nodes as people asked for them, whatever policies have made of them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.aims import JobAim, NodeAim
from hpcjobs.model.job import State
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.steered import Key, Steered
from hpcjobs.steering.asked import as_asked
from tests.unit.builders import node, record, view
from tests.unit.test_steering_plan import Slurm, settled

IDS = {1: "id1", 2: "id2"}


def row(field, base, value, *was, kind="job", subject="id1") -> Steered:
    key = Key(kind, subject, field)
    return Steered(key, base, value, was or (base,), 10.0)


def seen(*rows, job=None, nodes=(), now=1000.0):
    listed = view(*([job] if job else []), nodes=nodes)
    return as_asked(listed, IDS, {one.key: one for one in rows}, now)


def waits(**facts):
    own = {name: facts.pop(name) for name in list(facts) if name in Particulars.__struct_fields__}
    return record(1, **({"eligible_time": 100, "priority": 5000, "reason": "Priority"} | facts),
                  particulars=Particulars(**own))  # fmt: skip


def test_points_are_taken_off_nice_and_priority():
    job = seen(row("nice", 7, -93), job=waits(nice=-93)).jobs[1]
    assert (job.particulars.nice, job.priority) == (7, 4900)


@pytest.mark.parametrize("priority", [0, 1])
def test_a_priority_that_slurm_does_not_tell_is_not_invented(priority):
    assert seen(row("nice", 0, 90), job=waits(nice=90, priority=priority)).jobs[1].priority == priority


def test_nodes_that_policies_keep_it_from_are_not_seen_those_of_its_owner_are():
    job = seen(row("exclude", "n1,n2", "n1,n2,n3"), job=waits(excluded_nodes="n[1-3]")).jobs[1]
    assert job.particulars.excluded_nodes == "n[1-2]"


def test_a_job_that_policies_hold_or_put_off_is_one_that_waits_for_room():
    held = waits(state=State.HELD, reason="JobHeldAdmin", priority=0)
    job = seen(row("hold", 0, 1), job=held).jobs[1]
    assert (job.state, job.reason) == (State.PENDING, "")
    job = seen(row("begin", 0, 5000), job=waits(eligible_time=5000, reason="BeginTime")).jobs[1]
    assert (job.eligible_time, job.reason) == (100, "")


def test_a_job_that_policies_let_start_sooner_is_one_that_starts_later():
    job = seen(row("begin", 9000, 0), job=waits(eligible_time=990)).jobs[1]
    assert (job.eligible_time, job.reason) == (9000, "BeginTime")


def test_a_least_limit_is_that_of_its_owner():
    assert seen(row("time_min_s", 0, 600), job=waits(time_min_s=600)).jobs[1].particulars.time_min_s == 0


def test_the_reservation_that_a_job_is_in_is_seen_for_by_that_policies_know_what_is_kept_for_it():
    job = waits(reservation="hpcjobs_gang_1")
    assert seen(row("reservation", "", "hpcjobs_gang_1"), job=job).jobs[1] == job


def test_what_a_person_has_set_since_is_what_is_asked_for():
    job = waits(nice=70, excluded_nodes="n9", priority=4000)
    assert seen(row("nice", 0, -5), row("exclude", "", "n1"), job=job).jobs[1] == job


def test_one_that_runs_keeps_its_state_and_times():
    job = waits(state=State.RUNNING, nice=-5, eligible_time=500)
    found = seen(row("nice", 0, -5), row("begin", 9000, 0), row("hold", 0, 1), job=job).jobs[1]
    assert (found.state, found.eligible_time, found.particulars.nice) == (State.RUNNING, 500, 0)


def test_weight_and_features_of_nodes_are_those_of_the_configuration():
    made = node("n1", features=("a", "island_x", "b"),
                particulars=NodeParticulars(weight=1011, features_active=("a", "island_x")))  # fmt: skip
    rows = [row("weight", 11, 1011, kind="node", subject="n1"),
            row("features", "a,b", "a,b,island_x", kind="node", subject="n1")]  # fmt: skip
    found = seen(*rows, nodes=(made,)).nodes["n1"]
    assert (found.features, found.particulars.weight, found.particulars.features_active) == (("a", "b"), 11, ("a",))


def test_rows_of_what_is_not_listed_change_nothing():
    rows = [row("weight", 1, 9, kind="node", subject="gone"), row("nice", 0, 5, subject="gone"),
            row("reservation", "", "r", kind="reservation", subject="r")]  # fmt: skip
    listed = view(waits(), nodes=(node("n1"),))
    assert as_asked(listed, IDS, {one.key: one for one in rows}, 1000.0) == listed


@given(
    st.integers(-99, 99),
    st.sets(st.sampled_from(["n1", "n2", "n3"])),
    st.booleans(),
    st.sampled_from([0.0, 9000.0]),
    st.booleans(),
    st.sampled_from([0.0, 60.0, 61.0]),
    st.sampled_from(["", "n2", "n[1-2]"]),
    st.sampled_from([100, 5000]),
)
def test_whatever_policies_wish_they_see_the_job_as_it_was(points, avoid, hold, until, start, least, exclude, eligible):
    slurm = Slurm({1: waits(excluded_nodes=exclude, nice=3, eligible_time=eligible)})
    before, rows = slurm.jobs[1], {}
    settled(slurm, {1: JobAim(points, avoid, hold, until, start, least)}, rows)
    found = as_asked(view(slurm.jobs[1]), IDS, rows, slurm.now).jobs[1]
    assert found.particulars == before.particulars
    assert found.state is before.state
    assert max(found.eligible_time, slurm.now) == max(before.eligible_time, slurm.now)


def test_what_a_person_sets_under_a_policy_is_seen_as_he_set_it():
    slurm, rows = Slurm({1: waits()}), {}
    settled(slurm, {1: JobAim(points=5)}, rows)
    slurm.act(Order(Verb.UPDATE, "1", changes=Changes(nice=100)))
    settled(slurm, {1: JobAim(points=5)}, rows)
    assert slurm.jobs[1].particulars.nice == 95
    assert as_asked(view(slurm.jobs[1]), IDS, rows, slurm.now).jobs[1].particulars.nice == 100


def test_aims_of_nodes_are_undone_in_the_same_way():
    from hpcjobs.steering.fields import NODE_FIELDS

    made = node("n1", features=("a",))
    aim = NodeAim(weight=9, features={"x"})
    weight, features = (field.wished(field.read(made), aim) for field in NODE_FIELDS.values())
    assert (weight, features) == (10, "a,x")
    ours = msgspec.structs.replace(made, features=("a", "x"), particulars=NodeParticulars(weight=10))
    rows = [row("weight", 1, 10, kind="node", subject="n1"), row("features", "a", "a,x", kind="node", subject="n1")]
    assert seen(*rows, nodes=(ours,)).nodes["n1"] == made
