"""Which nodes a job can choose among, and that policies leave it enough of them."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.choice import Choice
from hpcjobs.model.aims import Said, Why, fold
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.reservation import Reservation
from hpcjobs.model.steered import Key, Steered
from hpcjobs.model.steering import Avoid
from hpcjobs.sim.engine import simulate
from hpcjobs.sim.schedulers import Easy
from hpcjobs.sim.steered import Ticking
from hpcjobs.steering.plan_all import plan_all
from tests.unit.builders import node, record, view
from tests.unit.simulated import fleet, job, runs_of, workload

NODES = (
    node("n1"),
    node("n2"),
    node("n3", features=("new",)),
    node("n4", features=("new", "big"), cpus=128, mem_bytes=2**42),
    node("n5", gpus={"h100": 4}, partitions=("gpu", "debug")),
    node("n6", usable=False, raw_state="DOWN"),
)


def waiting(nodes=1, **facts):
    own = {name: facts.pop(name) for name in list(facts) if name in Particulars.__struct_fields__}
    given = {"nodes": nodes, "cpus": nodes, "partition": "gpu"}
    return record(1, **(given | facts), particulars=Particulars(**own))


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ({}, "n1 n2 n3 n4 n5"),
        ({"partition": ""}, "n1 n2 n3 n4 n5"),
        ({"partition": "debug"}, "n5"),
        ({"partition": "nowhere"}, ""),
        ({"constraint": "new"}, "n3 n4"),
        ({"constraint": "new&big"}, "n4"),
        ({"excluded_nodes": "n[1-3]"}, "n4 n5"),
        ({"reservation": "r"}, "n1 n2"),
        ({"cpus": 65}, "n4"),
        ({"nodes": 2, "cpus": 130}, "n4"),
        ({"mem_bytes": 2**41}, "n4"),
        ({"gpus": {"h100": 4}}, "n5"),
        ({"gpus": {"": 8}}, "n1 n2 n3 n4"),
        ({"nodes": 2, "gpus": {"": 64}, "tres_per_node": "gres/gpu:4"}, "n1 n2 n3 n4 n5"),
        ({"tres_per_node": "gres/shard:1"}, ""),
        ({"constraint": "new|old"}, ""),
        ({"required_nodes": "n1"}, ""),
        ({"contiguous": True}, ""),
        ({"segment_size": 2}, ""),
        ({"licenses": "matlab"}, ""),
    ],
)
def test_a_job_chooses_among_nodes_in_use_that_would_take_its_part_and_where_that_is_not_told_among_none(facts, names):
    there = {"r": Reservation("r", ("n1", "n2"), 0, 10**10)}
    choice = Choice(msgspec.structs.replace(view(nodes=NODES), reservations=there))
    assert sorted(choice.nodes(waiting(**facts))) == names.split()


def test_of_wishes_that_together_leave_too_few_nodes_the_later_is_overruled_and_smaller_ones_are_not():
    choice = Choice(view(waiting(nodes=2), nodes=NODES))
    first, second = Avoid(1, ("n1", "n2"), "data"), Avoid(1, ("n3", "n4"), "suspect")
    third = Avoid(1, ("n5", "n6", "gone"), "islands")
    aims = fold([Said("a", (first,)), Said("b", (second,)), Said("c", (third,))], choice.is_enough)
    assert aims.jobs[1].avoid == {"n1", "n2", "n5", "n6", "gone"}
    assert aims.jobs[1].whys == [Why("a", "data"), Why("c", "islands")]
    assert aims.overruled == [("b", second)]


def test_no_policy_alone_takes_a_jobs_last_nodes_and_of_a_job_that_is_not_listed_nothing_is_kept():
    choice = Choice(view(waiting(nodes=5), nodes=NODES))
    every = tuple(one.name for one in NODES)
    aims = fold([Said("a", (Avoid(1, ("n1",), ""), Avoid(2, every, "")))], choice.is_enough)
    assert 1 not in aims.jobs
    assert aims.jobs[2].avoid == {*every}


def test_on_a_cluster_what_policies_exclude_already_does_not_count_as_the_owners():
    listed = view(waiting(nodes=2, excluded_nodes="n[1-3]"), nodes=NODES, at=1000.0)
    key = Key("job", "id1", "exclude")
    rows = {key: Steered(key, "n1", "n1,n2,n3", ("n1",), 10.0)}
    same, other = Avoid(1, ("n2", "n3"), ""), Avoid(1, ("n4",), "")
    said = [Said("a", (same,)), Said("b", (other,))]
    aims, steps = plan_all(said, listed, {1: "id1"}, rows, 1000.0)
    assert (aims.jobs[1].avoid, aims.overruled, steps) == ({"n2", "n3"}, [("b", other)], [])


def test_in_the_simulator_a_job_that_two_policies_keep_from_all_nodes_heeds_the_first():
    low = Ticking("low", lambda _view, _now: [Avoid(2, ("n0", "n1"), "")], 10.0)
    high = Ticking("high", lambda _view, _now: [Avoid(2, ("n2", "n3"), "")], 10.0)
    made = workload(job(1, 0, 100, nodes=4), job(2, 1, 10, nodes=2), nodes=fleet(4))
    (run,) = runs_of(simulate(made, Easy(), policies=[low, high]), 2)
    assert run.indices == (2, 3)
