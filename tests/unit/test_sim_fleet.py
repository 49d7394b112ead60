from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Conflict, Refused
from hpcjobs.sim.choosers import BestFit, InOrder, Spread
from hpcjobs.sim.fgd import Fgd
from hpcjobs.sim.fleet import Fleet
from hpcjobs.sim.leaves import FewestLeaves
from hpcjobs.sim.placed import Need
from hpcjobs.sim.workload import WHOLE_GPU
from tests.unit.sim_fleets import FLEETS, Ledger, job, jobs, node, state_of

MIX = {Need(cpus=1, milli=400): 3, Need(gpus=1): 2, Need(cpus=2, gpus=2, gpu_types=("A",)): 1}
CHOOSERS = [InOrder(), BestFit(), Spread(), FewestLeaves(), Fgd(MIX), Fgd(MIX, grain_milli=0)]
WHICH = st.frozensets(st.integers(0, 5), max_size=4)


@given(FLEETS, st.data(), st.sampled_from(CHOOSERS))
def test_whatever_happens_the_fleet_says_what_is_left_when_all_that_jobs_have_is_taken_away(nodes, data, chooser):
    fleet, ledger = Fleet(nodes), Ledger(nodes)
    fresh = state_of(fleet)
    indices = range(len(nodes))
    for _ in range(data.draw(st.integers(1, 12))):
        what = data.draw(st.sampled_from(["start", "start", "start", "end", "shrink", "down", "up"]))
        if what == "start":
            asked = data.draw(jobs())
            avoid = data.draw(WHICH) & set(indices)
            only = data.draw(st.none() | WHICH.map(lambda which: which & set(indices)))
            room = [one for one in indices if ledger.room(one, asked)]
            may = [one for one in room if one not in avoid and (only is None or one in only)]
            before = state_of(fleet)
            placed = fleet.find(asked, chooser, shut=np.isin(indices, list(avoid)), only=only)
            assert state_of(fleet) == before, "to look is not to take"
            assert fleet.room(asked) == len(room)
            assert (placed is None) == (len(may) < asked.nodes)
            if placed is not None:
                chosen = placed.nodes.tolist()
                assert chosen == sorted(set(chosen))
                assert len(chosen) == asked.nodes
                assert set(chosen) <= set(may)
                for index, gpus in zip(chosen, placed.gpu_indices(), strict=True):
                    if asked.exclusive:
                        assert gpus == tuple(range(nodes[index].gpus))
                    else:
                        assert len(gpus) == (asked.gpus_per_node or (asked.gpu_milli > 0))
                fleet.take(placed)
                ledger.taken.append(placed)
        elif what in ("end", "shrink") and ledger.taken:
            placed = ledger.taken.pop(data.draw(st.integers(0, len(ledger.taken) - 1)))
            if what == "shrink" and placed.nodes.size > 1:
                kept, placed = placed.split(1)
                ledger.taken.append(kept)
            fleet.release(placed)
        elif what in ("down", "up"):
            index = data.draw(st.sampled_from(indices))
            getattr(fleet, what)(index)
            (ledger.down.add if what == "down" else ledger.down.discard)(index)
        ledger.agrees(fleet)
    for placed in ledger.taken:
        fleet.release(placed)
    for index in indices:
        fleet.up(index)
    assert state_of(fleet) == fresh


@given(FLEETS, jobs(most_nodes=6))
def test_a_job_fits_where_the_empty_fleet_has_room_for_it_also_while_it_is_full_or_down(nodes, asked):
    fleet = Fleet(nodes)
    fits = sum(Ledger(nodes).room(index, asked) for index in range(len(nodes))) >= asked.nodes
    assert fleet.fits(asked) == fits
    assert (fleet.find(asked, InOrder()) is not None) == fits
    for index in range(len(nodes)):
        fleet.down(index)
    assert fleet.fits(asked) == fits
    assert fleet.find(asked, InOrder()) is None


def test_what_jobs_have_that_will_have_ended_counts_as_free_and_stays_theirs():
    fleet = Fleet([node("a", 2), node("b", 2)])
    first = fleet.find(job(1, gpus_per_node=2), InOrder())
    fleet.take(first)
    second = fleet.find(job(2, gpus_per_node=1), InOrder())
    fleet.take(second)
    both = job(3, nodes=2, gpus_per_node=2)
    assert fleet.find(both, InOrder()) is None
    assert fleet.find(both, InOrder(), extra_free=[first]) is None
    assert fleet.find(both, InOrder(), extra_free=[first, second]).nodes.tolist() == [0, 1]
    assert fleet.allocated_gpus == 3


def test_what_is_tried_on_a_copy_changes_nothing():
    fleet = Fleet([node("a", 2), node("b", 2)])
    before = state_of(fleet)
    twin = fleet.copy()
    twin.take(twin.find(job(1, gpus_per_node=2), InOrder()))
    twin.down(1)
    twin.weigh([1], 5)
    assert state_of(fleet) == before
    assert state_of(twin) != before


def test_a_copy_and_its_fleet_do_not_hear_of_each_others_changes():
    for chooser in CHOOSERS:
        fleet = Fleet([node("a", 1), node("b", 1)])
        asked = job(1, gpus_per_node=1)
        fleet.find(asked, chooser)
        places = [fleet.find(asked, InOrder(), only=frozenset([index])) for index in (0, 1)]
        twin = fleet.copy()
        for one, index in ((twin, 0), (fleet, 1)):
            one.take(places[index])
            assert one.find(asked, chooser).nodes.tolist() == [1 - index]


@pytest.mark.parametrize("has", [{"cpus_per_node": 1}, {"mem_per_node_bytes": 1}, {"gpu_milli": 400}])
def test_nothing_is_given_back_that_another_job_on_the_node_does_not_have_either(has):
    fleet = Fleet([node("a", 1)])
    other = fleet.find(job(1, cpus_per_node=0), InOrder())
    fleet.take(other)
    placed = fleet.find(job(2, **{"cpus_per_node": 0} | has), InOrder())
    before = state_of(fleet)
    with pytest.raises(Conflict, match="job 2"):
        fleet.release(placed)
    assert state_of(fleet) == before


def test_what_is_not_free_any_more_cannot_be_taken_and_nothing_changes():
    fleet = Fleet([node("a", 1), node("b", 1)])
    placed = fleet.find(job(1, nodes=2, gpus_per_node=1), InOrder())
    fleet.take(fleet.find(job(2, gpus_per_node=1), InOrder(), only=frozenset([1])))
    before = state_of(fleet)
    with pytest.raises(Conflict, match="job 1 is not free"):
        fleet.take(placed)
    assert state_of(fleet) == before


@pytest.mark.parametrize("asked", [{"exclusive": True}, {"cpus_per_node": 1}])
def test_nothing_is_given_of_a_node_that_went_down_or_is_somebodys_own(asked):
    fleet = Fleet([node("a")])
    placed = fleet.find(job(1, **asked), InOrder())
    fleet.down(0)
    with pytest.raises(Conflict):
        fleet.take(placed)
    fleet.up(0)
    fleet.take(fleet.find(job(2, exclusive=True, cpus_per_node=0), InOrder()))
    assert fleet.find(job(3, cpus_per_node=0), InOrder()) is None
    with pytest.raises(Conflict):
        fleet.take(placed)


def test_what_a_job_does_not_have_it_cannot_give_back():
    fleet = Fleet([node("a", 2)])
    placed = fleet.find(job(1, gpus_per_node=1), InOrder())
    with pytest.raises(Conflict, match="job 1 does not have"):
        fleet.release(placed)
    fleet.take(placed)
    fleet.release(placed)
    with pytest.raises(Conflict):
        fleet.release(placed)
    assert fleet.allocated_gpus == 0


def test_a_job_ends_on_a_node_that_is_down_and_the_node_stays_down():
    fleet = Fleet([node("a", 1)])
    placed = fleet.find(job(1, gpus_per_node=1), InOrder())
    fleet.take(placed)
    fleet.down(0)
    fleet.release(placed)
    assert (fleet.allocated_gpus, fleet.usable_gpus, fleet.total_gpus, fleet.idle_nodes) == (0, 0, 1, 0)
    assert fleet.find(job(2, gpus_per_node=1), InOrder()) is None
    fleet.up(0)
    assert fleet.find(job(2, gpus_per_node=1), InOrder()) is not None


def test_shares_of_one_gpu_add_up_to_it_and_no_further():
    fleet = Fleet([node("a", 1)])
    third = job(1, cpus_per_node=0, gpu_milli=333)
    for _ in range(3):
        fleet.take(fleet.find(third, InOrder()))
    assert fleet.find(third, InOrder()) is None
    assert fleet.allocated_gpus == 0.999
    assert fleet.find(job(2, cpus_per_node=0, gpu_milli=1), InOrder()).milli.tolist() == [[1]]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"nodes": 0}, "nodes"),
        ({"cpus_per_node": -1}, "cpus_per_node"),
        ({"mem_per_node_bytes": -1}, "mem_per_node_bytes"),
        ({"gpus_per_node": -1}, "gpus_per_node"),
        ({"gpu_milli": -1}, "gpu_milli"),
        ({"gpu_milli": WHOLE_GPU + 1}, "gpu_milli"),
        ({"gpu_milli": 500, "gpus_per_node": 1}, "gpu_milli"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name_each_time(asked, field):
    fleet = Fleet([node("a", 1)])
    assert fleet.fits(job(1, cpus_per_node=1))
    for _ in range(2):
        for ask in (fleet.fits, fleet.room, lambda one: fleet.find(one, InOrder())):
            with pytest.raises(Refused) as refused:
                ask(job(2, **asked))
            assert [one.field for one in refused.value.refusals] == [field]


def test_nodes_of_one_name_and_negative_counts_are_refused():
    with pytest.raises(Refused, match="two nodes are called a"):
        Fleet([node("a"), node("b"), node("a")])
    with pytest.raises(Refused) as refused:
        Fleet([node("a"), node("b", -1)])
    assert refused.value.refusals[0].field == "nodes[1]"


def test_names_become_indices_and_back_and_unknown_names_are_left_out():
    fleet = Fleet([node("a"), node("b"), node("c")])
    assert fleet.indices(["c", "a", "x"]) == {0, 2}
    assert fleet.names_of(fleet.find(job(nodes=2), InOrder(), shut=np.array([False, True, False]))) == ("a", "c")


def test_a_fleet_without_nodes_has_room_for_nothing():
    fleet = Fleet([])
    assert (len(fleet), fleet.total_gpus, fleet.allocated_gpus, fleet.idle_nodes) == (0, 0, 0, 0)
    assert fleet.find(job(), InOrder()) is None
