from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.sim.choosers import BestFit, Consecutive, InOrder, Spread, least
from hpcjobs.sim.fgd import Fgd
from hpcjobs.sim.fleet import Fleet
from hpcjobs.sim.leaves import FewestLeaves
from hpcjobs.sim.nodes import Nodes
from hpcjobs.sim.placed import Need
from hpcjobs.sim.workload import WHOLE_GPU, SimNode
from tests.unit.sim_fleets import FLEETS, job, jobs, node

NEEDS = st.builds(
    lambda cpus, gpus, milli, types: Need(cpus=cpus, gpus=gpus, milli=0 if gpus else milli, gpu_types=types),
    st.integers(0, 4),
    st.integers(0, 5),
    st.sampled_from([1, 250, 400, 999, 1000]),
    st.sampled_from([(), ("A",), ("A", "B")]),
)
MIXES = st.dictionaries(NEEDS, st.integers(1, 5), min_size=1, max_size=6)


def filled(nodes, first, chooser=None):
    """A fleet on which some jobs run."""
    fleet = Fleet(nodes)
    for one in first:
        placed = fleet.find(one, chooser or Spread())
        if placed is not None:
            fleet.take(placed)
    return fleet


def chosen(fleet, asked, chooser):
    placed = fleet.find(asked, chooser)
    return None if placed is None else tuple(fleet.nodes[index].name for index in placed.nodes)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12), st.data())
def test_the_least_are_those_that_sorting_would_put_first(scores, data):
    count = data.draw(st.integers(1, len(scores)))
    nodes = np.arange(10, 10 + len(scores))
    expected = sorted(range(len(scores)), key=lambda index: (scores[index], index))[:count]
    assert sorted(least(np.array(scores), nodes, count).tolist()) == sorted(10 + index for index in expected)


def test_in_order_takes_nodes_of_less_weight_first_and_then_the_first():
    fleet = Fleet([node(name) for name in "abcd"])
    assert chosen(fleet, job(nodes=2), InOrder()) == ("a", "b")
    fleet.weigh([0, 2], 10)
    assert chosen(fleet, job(nodes=2), InOrder()) == ("b", "d")
    assert chosen(fleet, job(nodes=3), InOrder()) == ("a", "b", "d")
    fleet.weigh([3], -1)
    assert chosen(fleet, job(), InOrder()) == ("d",)


def test_consecutive_takes_the_shortest_run_that_is_enough_and_else_the_longest_first():
    fleet = Fleet([node(name) for name in "abcdefgh"])
    free = np.array([0, 1, 2, 4, 5, 7])  # abc, ef, h
    taken = {count: Consecutive().choose(fleet, Need.of(job()), free, count).tolist() for count in range(1, 7)}
    assert taken == {
        1: [7],
        2: [4, 5],
        3: [0, 1, 2],
        4: [0, 1, 2, 7],
        5: [0, 1, 2, 4, 5],
        6: [0, 1, 2, 4, 5, 7],
    }


def test_consecutive_takes_nodes_of_less_weight_first_and_joins_no_others_to_them():
    fleet = Fleet([node(name) for name in "abcdef"])
    fleet.weigh([1, 2, 5], -1)  # bc, f, then a, de
    assert chosen(fleet, job(nodes=1), Consecutive()) == ("f",)
    assert chosen(fleet, job(nodes=2), Consecutive()) == ("b", "c")
    assert chosen(fleet, job(nodes=4), Consecutive()) == ("a", "b", "c", "f")
    assert chosen(fleet, job(nodes=5), Consecutive()) == ("b", "c", "d", "e", "f")


def test_a_node_has_its_own_weight_and_what_policies_add_to_it():
    nodes = Nodes([SimNode(name=name, weight=weight) for name, weight in (("a", 5), ("b", 3), ("c", 9))])
    assert chosen(nodes.fleet, job(nodes=2), InOrder()) == ("a", "b")
    nodes.weigh({1: 3, 2: -8})
    assert chosen(nodes.fleet, job(nodes=2), InOrder()) == ("a", "c")
    nodes.weigh({})
    assert chosen(nodes.fleet, job(nodes=2), InOrder()) == ("a", "b")


def test_best_fit_leaves_least_and_spread_leaves_most():
    fleet = Fleet([node("large", 4), node("small", 2), node("middle", 3)])
    assert chosen(fleet, job(gpus_per_node=1), BestFit()) == ("small",)
    assert chosen(fleet, job(gpus_per_node=1), Spread()) == ("large",)
    assert chosen(fleet, job(gpus_per_node=1, nodes=2), BestFit()) == ("small", "middle")
    assert chosen(fleet, job(gpus_per_node=3), BestFit()) == ("middle",)


def test_cpus_count_in_best_fit_as_gpus_do():
    fleet = Fleet([node("a", 4, cpus=100), node("b", 4, cpus=50), node("c", 4, cpus=60)])
    assert chosen(fleet, job(gpus_per_node=1), BestFit()) == ("b",)


@pytest.mark.parametrize(("chooser", "gpu"), [(InOrder(), 1), (BestFit(), 1), (FewestLeaves(), 1), (Spread(), 2)])
def test_a_share_is_of_the_fullest_gpu_that_has_room_or_of_the_emptiest(chooser, gpu):
    fleet = Fleet([node("a", 3)])
    for asked in (job(1, gpus_per_node=1), job(2, gpu_milli=500)):
        fleet.take(fleet.find(asked, InOrder()))
    placed = fleet.find(job(3, gpu_milli=500), chooser)
    assert placed.gpu_indices() == ((gpu,),)


CLOS = [
    node(name, 0, 8, 64, "", *switches)
    for name, *switches in (
        ("a", "l1", "p1"), ("b", "l1", "p1"), ("c", "l2", "p1"), ("d", "l2", "p1"), ("e", "l2", "p1"),
        ("f", "l3", "p2"), ("g", "l3", "p2"), ("h", "l3", "p2"), ("i", "l3", "p2"), ("z",),
    )
]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (1, "z"),  # nobody knows its switch, so that nobody's leaf is begun
        (2, "ab"),  # the smallest leaf that has enough
        (3, "cde"),
        (4, "fghi"),
        (5, "abcde"),  # p1 has two leaves and exactly enough, which no leaf has
        (6, "abfghi"),  # no pod has enough: the largest leaf and the smallest of those that suffice
        (7, "cdefghi"),
        (10, "abcdefghiz"),
    ],
)
def test_few_leaves_are_those_that_one_would_choose_by_hand(count, names):
    assert "".join(chosen(Fleet(CLOS), job(nodes=count), FewestLeaves())) == names


@given(FLEETS, st.lists(jobs(), max_size=4), jobs(most_nodes=5))
def test_no_choice_of_nodes_has_fewer_leaves_under_a_switch_as_low(nodes, first, asked):
    fleet = filled(nodes, first)
    placed = fleet.find(asked, FewestLeaves())
    if placed is None:
        return

    def switch(index, tier):
        names = nodes[index].switches
        return names[tier] if tier < len(names) else f"{index}'s own"

    def cost(which):
        lowest = next((tier for tier in range(2) if len({switch(index, tier) for index in which}) == 1), 2)
        return lowest, len({switch(index, 0) for index in which})

    room = np.flatnonzero(fleet.having_room(asked)).tolist()
    costs = {way: cost(way) for way in itertools.combinations(room, asked.nodes)}
    lowest = min(costs.values())[0]
    groups = {}
    for index in room:
        groups.setdefault(switch(index, lowest) if lowest < 2 else "", []).append(index)
    tightest = min(len(group) for group in groups.values() if len(group) >= asked.nodes)
    mine = next(group for group in groups.values() if placed.nodes[0] in group)
    assert len(mine) == tightest
    assert costs[tuple(placed.nodes.tolist())] == min(costs[way] for way in itertools.combinations(mine, asked.nodes))


def useless(one, cpus, gpus, mix):
    """F of a node as the paper has it, in thousandths: task by task and GPU by GPU."""
    total = sum(mix.values())
    lost = 0.0
    for need, count in mix.items():
        share = min(need.gpu_milli, WHOLE_GPU)
        fits = (
            cpus >= need.cpus
            and (not need.gpu_types or one.gpu_type in need.gpu_types)
            and sum(free >= share for free in gpus) >= max(need.gpus, 1)
        )
        lost += count / total * sum(free for free in gpus if not fits or free < share)
    return lost


class OnGpu(InOrder):
    """A share is of one GPU and no other."""

    def __init__(self, gpu):
        self.gpu = gpu

    def share(self, fleet, need, nodes):
        return np.full(nodes.size, self.gpu)


def free_of(fleet, index):
    return int(fleet.free_cpus[index]), fleet.free_milli[index][: fleet.nodes[index].gpus].tolist()


@settings(max_examples=200)
@given(FLEETS, st.lists(jobs(), max_size=6), MIXES, jobs(most_nodes=1))
def test_fragmentation_and_its_growth_are_as_the_paper_defines_them(nodes, first, mix, asked):
    fleet, fgd = filled(nodes, first), Fgd(mix, grain_milli=0)
    now = [useless(one, *free_of(fleet, index), mix) for index, one in enumerate(nodes)]
    assert fgd.fragmentation(fleet) == pytest.approx(sum(now) / WHOLE_GPU, abs=1e-9)
    growths = {}
    share = asked.gpu_milli > 0 and not asked.exclusive
    for index in np.flatnonzero(fleet.having_room(asked)).tolist():
        gpus = free_of(fleet, index)[1]
        for gpu in [gpu for gpu, free in enumerate(gpus) if free >= asked.gpu_milli] if share else [0]:
            later = fleet.copy()
            later.take(later.find(asked, OnGpu(gpu), only=frozenset([index])))
            growths[index, gpu] = useless(nodes[index], *free_of(later, index), mix) - now[index]
            said = fgd.growth(fleet, Need.of(asked), np.array([index]))[0, gpu]
            assert said == pytest.approx(growths[index, gpu], abs=1e-6)
    placed = fleet.find(asked, fgd)
    assert (placed is None) == (not growths)
    if placed is not None:
        index = int(placed.nodes[0])
        gpu = placed.gpu_indices()[0][0] if share else 0
        assert growths[index, gpu] == pytest.approx(min(growths.values()), abs=1e-6)


@given(FLEETS, st.lists(jobs(), min_size=1, max_size=10), MIXES, st.sampled_from([0, 100]))
def test_what_a_chooser_remembers_of_a_fleet_is_what_it_would_find_anew(nodes, coming, mix, grain_milli):
    fleet, keeps = Fleet(nodes), Fgd(mix, grain_milli=grain_milli)
    running = []
    for number, asked in enumerate(coming * 2):
        found, anew = fleet.find(asked, keeps), fleet.find(asked, Fgd(mix, grain_milli=grain_milli))
        assert (found is None) == (anew is None)
        if found is not None:
            assert found.nodes.tolist() == anew.nodes.tolist()
            assert found.milli.tolist() == anew.milli.tolist()
            fleet.take(found)
            running.append(found)
        if number % 3 == 2 and running:
            fleet.release(running.pop(0))


def test_a_gpu_that_is_begun_already_is_filled_before_one_that_whole_tasks_need():
    fleet = Fleet([node("a", 2), node("b", 1)])
    mix = {Need(gpus=1): 1, Need(milli=500): 1}
    fleet.take(fleet.find(job(1, gpu_milli=500), InOrder(), only=frozenset([1])))
    assert fleet.find(job(2, gpu_milli=500), Fgd(mix)).nodes.tolist() == [1]


def test_growth_within_the_grain_is_the_same_and_the_first_node_has_it():
    fleet = Fleet([node("a", 1), node("b", 1)])
    mix = {Need(gpus=1): 4, Need(milli=100): 96}
    # On b, 100 thousandths are gone: another 100 there cost nothing more. On a they cost 4 % of 900.
    fleet.take(fleet.find(job(1, gpu_milli=100), InOrder(), only=frozenset([1])))
    asked = job(2, gpu_milli=100)
    growth = Fgd(mix).growth(fleet, Need.of(asked), np.array([0, 1]))
    assert growth.ravel().tolist() == pytest.approx([36.0, -4.0])
    assert chosen(fleet, asked, Fgd(mix, grain_milli=0)) == ("b",)
    assert chosen(fleet, asked, Fgd(mix, grain_milli=10)) == ("b",)
    assert chosen(fleet, asked, Fgd(mix, grain_milli=100)) == ("a",)


def test_a_mix_without_gpus_is_refused():
    with pytest.raises(Refused, match="nothing to fragment"):
        Fgd.of([job(1, cpus_per_node=4)])


def test_a_job_on_several_nodes_is_so_many_tasks_of_the_mix():
    popularity = Fgd.of([job(1, nodes=3, gpus_per_node=2), job(2, gpu_milli=500), job(3)]).popularity
    assert popularity == {Need(cpus=1, gpus=2): 0.75, Need(cpus=1, milli=500): 0.25}


def test_a_whole_gpu_of_which_every_task_can_use_each_costs_nothing():
    growth = Fgd({Need(gpus=1): 1}).growth(Fleet([node("a", 2)]), Need(gpus=1), np.array([0]))
    assert growth.tolist() == [[0.0]]
