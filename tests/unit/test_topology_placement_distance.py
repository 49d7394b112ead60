from __future__ import annotations

from collections import deque
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.fabric import Site
from hpcjobs_plugins.topology.placement.distance import UNREACHABLE, Distances, leaf_groups, oversubscription
from hpcjobs_plugins.topology.twin import Shape, fat_tree

from .fabric_edits import Bench

THREE_TIERS = Shape(hosts=16, hosts_per_leaf=2, spines=2, cores=2, pods=2)
RAILS = Shape(hosts=16, hosts_per_leaf=4, spines=4, rails=4, rail_optimised=True)


def of(site: Site) -> Distances:
    return Distances(site, [name for fabric in site.fabrics for name in fabric.hosts])


def walked(site: Site, start: str, goal: str) -> int:
    """Switches on a shortest path between two switches, found by walking from cable to cable."""
    (fabric,) = site.fabrics
    near: dict[str, set[str]] = {}
    for trunk in fabric.trunks:
        near.setdefault(trunk.a, set()).add(trunk.b)
        near.setdefault(trunk.b, set()).add(trunk.a)
    steps = {start: 1}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for there in near.get(here, set()) - steps.keys():
            steps[there] = steps[here] + 1
            queue.append(there)
    return steps.get(goal, UNREACHABLE)


@pytest.mark.parametrize(
    ("other", "hops"), [("n0001", 0), ("n0002", 1), ("n0003", 3), ("n0008", 3), ("n0009", 5), ("n0016", 5)]
)
def test_hops_are_the_switches_between_two_hosts(other, hops):
    distances = of(fat_tree(THREE_TIERS))
    assert distances.hops("n0001", other) == hops
    assert distances.span("n0001", other).hops == hops


def test_a_fourth_tier_makes_seven_hops():
    site = fat_tree(Shape(hosts=16, hosts_per_leaf=2, spines=2, cores=2, tops=2, pods=2, zones=2))
    assert of(site).hops("n0001", "n0016") == 7


def test_on_one_rail_hosts_of_a_unit_are_one_hop_apart_and_across_rails_three():
    distances = of(fat_tree(RAILS))
    assert [distances.hops("n0001", "n0002", rail) for rail in range(4)] == [1] * 4
    assert [distances.hops("n0001", "n0002", 0, rail) for rail in (1, 2, 3)] == [3] * 3
    assert [distances.hops("n0001", "n0005", rail) for rail in range(4)] == [3] * 4
    assert distances.span("n0001", "n0002") == (1, 1, 0.0, 0.0)


@given(
    shape=st.builds(
        Shape,
        hosts=st.integers(9, 24),
        hosts_per_leaf=st.just(3),
        spines=st.integers(1, 3),
        cores=st.integers(1, 3),
        pods=st.integers(1, 2),
        rails=st.integers(1, 3),
        rail_optimised=st.booleans(),
    ),
    cut=st.sets(st.integers(0, 60), max_size=12),
)
def test_hops_are_those_of_walking_from_cable_to_cable(shape, cut):
    site = fat_tree(shape)
    (fabric,) = site.fabrics
    trunks = tuple(trunk for index, trunk in enumerate(fabric.trunks) if index not in cut)
    site = Site((msgspec.structs.replace(fabric, trunks=trunks),))
    distances = of(site)
    names = list(fabric.hosts)
    for a, b, rail in product(names[:4], names[1:], range(shape.rails)):
        if a != b:
            leaves = fabric.hosts[a].endpoints[rail].switch, fabric.hosts[b].endpoints[rail].switch
            assert distances.hops(a, b, rail) == walked(site, *leaves)


def test_what_no_fabric_connects_is_far_apart():
    fabric = fat_tree(Shape(hosts=2)).fabrics[0]
    other = fat_tree(Shape(hosts=2, prefix="m", seed=2)).fabrics[0]
    site = Site((fabric, msgspec.structs.replace(other, name="ib9")))
    distances = Distances(site, ["n0001", "n0002", "m0001", "ghost1", "ghost2"])
    assert distances.hops("n0001", "n0002") == 1
    for pair in [("n0001", "m0001"), ("n0001", "ghost1"), ("ghost1", "ghost2")]:
        assert distances.hops(*pair) == distances.span(*pair).hops == UNREACHABLE
    assert distances.hops("ghost1", "ghost1") == 0


def test_a_host_on_two_fabrics_counts_for_the_first():
    compute = fat_tree(Shape(hosts=8, hosts_per_leaf=2, spines=2)).fabrics[0]
    storage = msgspec.structs.replace(fat_tree(Shape(hosts=8, hosts_per_leaf=8, seed=2)).fabrics[0], name="storage")
    assert of(Site((compute, storage))).hops("n0001", "n0008") == 3
    assert of(Site((storage, compute))).hops("n0001", "n0008") == 1


def test_an_nvlink_domain_is_no_hop_wide_and_a_node_alone_is_none():
    site = fat_tree(Shape(hosts=8, hosts_per_leaf=4, spines=2))
    site = msgspec.structs.replace(site, domains={"u.1": ("n0001", "n0002"), "u.2": ("n0003",)})
    distances = of(site)
    assert distances.span("n0001", "n0002").hops == distances.hops("n0001", "n0002") == 0
    assert distances.span("n0001", "n0003").hops == 1
    assert distances.cells[distances.cell["n0003"]].domain == ""


def test_a_host_that_lacks_a_cable_stays_in_its_unit_and_reaches_the_rail_over_another():
    site = fat_tree(RAILS)
    (fabric,) = site.fabrics
    whole = fabric.hosts["n0002"]
    left = [point for point in whole.endpoints if point.rail != 1]
    points = tuple(msgspec.structs.replace(point, rail=rail) for rail, point in enumerate(left))
    hosts = {**fabric.hosts, "n0002": msgspec.structs.replace(whole, endpoints=points)}
    distances = of(Site((msgspec.structs.replace(fabric, hosts=hosts),)))
    assert [distances.hops("n0001", "n0002", rail) for rail in range(4)] == [1, 3, 1, 1]
    assert distances.span("n0001", "n0002").hops == pytest.approx(1.5)
    assert len(leaf_groups(distances, ["n0001", "n0002"])) == 1


def test_leaf_groups_count_hosts_and_pods_hold_leaf_groups():
    distances = of(fat_tree(THREE_TIERS))
    groups = leaf_groups(distances, ["n0001", "n0002", "n0003", "n0009"])
    assert list(groups.values()) == [2, 1, 1]
    cells = [distances.cells[distances.cell[name]] for name in ("n0001", "n0003", "n0009")]
    assert cells[0].pod == cells[1].pod != cells[2].pod


@pytest.mark.parametrize(
    ("shape", "ratios"),
    [
        (Shape(hosts=16, hosts_per_leaf=8, spines=4), (2.0,)),
        (Shape(hosts=16, hosts_per_leaf=8, spines=4, trunk_gbps=400.0), (1.0,)),
        (Shape(hosts=16, hosts_per_leaf=4, spines=8), (1.0,)),
        (Shape(hosts=16, hosts_per_leaf=2, spines=2, cores=2, pods=2), (1.0, 4.0)),
        (Shape(hosts=16, hosts_per_leaf=8, spines=4, gbps=0.0), (2.0,)),
        (Shape(hosts=4), ()),
    ],
)
def test_oversubscription_is_what_comes_from_below_against_what_goes_up(shape, ratios):
    assert oversubscription(fat_tree(shape).fabrics[0]) == ratios


def test_a_host_on_a_spine_is_of_its_pod_and_a_core_is_of_none():
    shape = Shape(hosts=32, hosts_per_leaf=4, spines=2, cores=4, pods=4)
    plain = of(fat_tree(shape))
    for switch, hops in (("spine02", [2, 2, 4]), ("core02", [3, 3, 3])):
        bench = Bench(fat_tree(shape))
        bench.move_host("n0003", 0, switch)
        site = bench.site(tiers=True)
        distances = of(site)
        assert [distances.hops("n0003", other) for other in ("n0001", "n0005", "n0009")] == hops
        pods = {name: distances.cells[distances.cell[name]].pod for name in ("n0001", "n0003", "n0005", "n0009")}
        assert pods["n0001"] == pods["n0005"] != pods["n0009"]
        assert (pods["n0003"] == pods["n0001"]) == (switch == "spine02")
        assert distances.hops("n0001", "n0009") == plain.hops("n0001", "n0009") == 5
        assert oversubscription(site.fabrics[0])[0] == pytest.approx(31 / 16)
