from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.fabric import Role
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers import ibnetdiscover, table
from hpcjobs_plugins.topology.tiers import links_of, tiers
from hpcjobs_plugins.topology.twin import Shape, fat_tree

from .fabric_edits import Bench
from .fabrics import real, shapes

TWO_TIERS = Shape(hosts=64, hosts_per_leaf=8, spines=4)
PODS = Shape(hosts=256, hosts_per_leaf=8, spines=4, cores=8, pods=8)
FOUR_TIERS = Shape(hosts=108, hosts_per_leaf=4, spines=2, cores=4, tops=8, pods=3, zones=3)


def found(cables: str, compute: dict[str, int], others: dict[str, int] | None = None) -> dict[str, int]:
    """Tiers of switches; cables as ``leaf1-spine1x4``."""
    pairs = []
    for item in cables.split():
        names, _, count = item.partition("x")
        a, _, b = names.partition("-")
        pairs += [(a, b)] * int(count or 1)
    names = {name for pair in pairs for name in pair} | set(compute)
    every = {name: compute.get(name, 0) + (others or {}).get(name, 0) for name in names}
    return tiers(links_of(names, pairs), compute or every, every)


def two_tiers(leaves: int, spines: int, count: int = 1) -> str:
    return " ".join(f"leaf{i}-spine{j}x{count}" for i in range(leaves) for j in range(spines))


def leaves_with(hosts: int, leaves: int) -> dict[str, int]:
    return {f"leaf{number}": hosts for number in range(leaves)}


def test_leaves_have_hosts_and_spines_are_above_them():
    assert found(two_tiers(4, 2), leaves_with(16, 4)) == {
        **dict.fromkeys((f"leaf{i}" for i in range(4)), 1), "spine0": 2, "spine1": 2
    }  # fmt: skip


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_a_few_compute_hosts_on_a_spine_leave_it_a_spine(hosts):
    assert found(two_tiers(8, 4, 4), {**leaves_with(16, 8), "spine1": hosts})["spine1"] == 2


def test_a_switch_with_many_hosts_is_a_leaf_also_if_it_joins_others():
    assert found(two_tiers(8, 2), {**leaves_with(16, 8), "spine1": 20})["spine1"] == 1


@pytest.mark.parametrize("hosts", [1, 12])
def test_switches_of_a_ring_and_of_a_mesh_are_all_leaves(hosts):
    ring = " ".join(f"leaf{i}-leaf{(i + 1) % 6}x8" for i in range(6))
    mesh = " ".join(f"leaf{i}-leaf{j}x4" for i in range(4) for j in range(i))
    assert set(found(ring, leaves_with(hosts, 6)).values()) == {1}
    assert set(found(mesh, leaves_with(hosts, 4)).values()) == {1}


def test_storage_on_a_spine_leaves_it_a_spine_and_storage_on_a_core_a_core():
    cables = two_tiers(8, 4, 2) + " " + " ".join(f"spine{i}-core{j}x8" for i in range(4) for j in range(2))
    tier = found(cables, leaves_with(16, 8), {"spine0": 4, "core0": 2})
    assert (tier["spine0"], tier["core0"], tier["core1"]) == (2, 3, 3)


def test_a_leaf_of_storage_in_a_compute_fabric_is_a_leaf():
    cables = two_tiers(8, 4) + " " + " ".join(f"sto-spine{i}x4" for i in range(4))
    assert found(cables, leaves_with(16, 8), {"sto": 12})["sto"] == 1


def test_a_leaf_whose_hosts_are_down_is_known_by_its_name():
    tier = found(two_tiers(8, 4), leaves_with(16, 7))
    assert tier["leaf7"] == 1
    # A name that is nobody else's says nothing.
    assert found(two_tiers(8, 4).replace("leaf7", "odd"), leaves_with(16, 7))["odd"] == 3


def test_a_switch_alone_is_a_leaf_if_it_has_hosts_and_else_nothing():
    assert found("", {"one": 3}) == {"one": 1}
    assert found("a-b", {"one": 3}) == {"a": 0, "b": 0, "one": 1}


@given(shapes())
def test_tiers_of_trees_are_those_that_made_them_whatever_the_names(shape):
    for fabric in fat_tree(shape).fabrics:
        hidden = {name: f"s-{number}" for number, name in enumerate(fabric.switches)}
        links = links_of(hidden.values(), ((hidden[t.a], hidden[t.b]) for t in fabric.trunks))
        hosts = {
            hidden[name]: sum(point.switch == name for host in fabric.hosts.values() for point in host.endpoints)
            for name in fabric.switches
        }
        assert tiers(links, hosts, hosts) == {hidden[name]: s.tier for name, s in fabric.switches.items()}


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=30),
    st.dictionaries(st.integers(0, 7), st.integers(0, 9)),
    st.dictionaries(st.integers(0, 7), st.integers(0, 9)),
)
def test_above_the_leaves_each_switch_is_one_above_a_neighbour_and_none_that_is_connected_is_left_out(
    pairs, kind, more
):
    names = [str(number) for number in range(8)]
    links = links_of(names, [(str(a), str(b)) for a, b in pairs if a != b])
    compute = {str(number): count for number, count in kind.items()}
    every = {name: compute.get(name, 0) + more.get(int(name), 0) for name in names}
    result = tiers(links, compute, every)
    assert set(result) == set(names)
    for name, tier in result.items():
        assert tier in (0, 1) or tier - 1 in [result[other] for other in links[name]]
        assert tier > 0 or all(result[other] == 0 for other in links[name])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("loginoff-stage-144hca.ibnetdiscover", {1: 6, 2: 2}),
        ("ufm-selene.storage.ibnetdiscover.gz", {1: 64, 2: 64, 3: 32}),
        ("jabl-1.ibnetdiscover", {1: 2}),
        ("jabl-3.ibnetdiscover", {1: 2}),
    ],
)
def test_real_fabrics_have_the_tiers_that_they_were_built_with(name, counts):
    (fabric,) = assemble([ibnetdiscover.read(real(name), name)], Naming(), None, {}, 0.0).fabrics
    tier = [switch.tier for switch in fabric.switches.values()]
    assert {number: tier.count(number) for number in set(tier)} == counts


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["loginoff-stage-144hca.ibnetdiscover", "ufm-selene.storage.ibnetdiscover.gz"])
def test_a_host_on_any_switch_above_the_leaves_of_a_real_fabric_changes_no_tier(name):
    site = assemble([ibnetdiscover.read(real(name), name)], Naming(), None, {}, 0.0)
    above = [name for name, switch in site.fabrics[0].switches.items() if switch.tier > 1]
    host = next(one for one in site.fabrics[0].compute if len(one.endpoints) == 1)
    assert len(above) > 1
    for switch in above:
        bench = Bench(site)
        bench.move_host(host.name, 0, switch)
        assert told(bench) == {}


def test_four_leaves_of_a_real_fabric_that_have_no_hosts_are_leaves():
    dump = ibnetdiscover.read(real("ufm-selene.storage.ibnetdiscover.gz"), "selene")
    (fabric,) = assemble([dump], Naming(), None, {}, 0.0).fabrics
    used = {point.switch for host in fabric.hosts.values() for point in host.endpoints}
    empty = {name for name, switch in fabric.switches.items() if switch.tier == 1} - used
    assert empty == {"SLG03-09", "SLG03-10", "SLG03-11", "SLG03-12"}


def test_trunks_go_up_from_the_lower_tier():
    dump = table.read(b"switch,above\nz1,a1\nz2,a1\nhost,switch\nn1,z1\nn2,z2\n", "x")
    (fabric,) = assemble([dump], Naming(), None, {}, 0.0).fabrics
    assert [(trunk.a, trunk.b) for trunk in fabric.trunks] == [("z1", "a1"), ("z2", "a1")]


def built(shape: Shape) -> Bench:
    return Bench(fat_tree(shape))


def told(bench: Bench) -> dict[str, int]:
    """Tiers that are not those that a fabric was built with."""
    found = bench.site(tiers=True).fabrics[0].switches
    return {name: one.tier for name, one in found.items() if one.tier != bench.switches[name].tier}


def hang(bench: Bench, *switches: str) -> None:
    """One host from another leaf each on some switches."""
    first = {points[0].switch: host for host, points in reversed(bench.hosts.items()) if points}
    for (leaf, host), switch in zip(sorted(first.items()), switches, strict=False):
        assert leaf.startswith("leaf")
        bench.move_host(host, 0, switch)


def empty(bench: Bench, *leaves: str) -> None:
    """Nothing is up on some leaves."""
    for host in [host for host, points in bench.hosts.items() if points[0].switch in leaves]:
        bench.remove_host(host)


def hidden(bench: Bench) -> Bench:
    """The same fabric with names that say nothing."""
    for number, name in enumerate(sorted(bench.switches)):
        bench.rename_switch(name, f"s-{number}")
    return bench


@pytest.mark.parametrize("names", ["said", "hidden"])
@pytest.mark.parametrize(
    ("shape", "switches"),
    [
        (TWO_TIERS, ["spine02"]),
        (TWO_TIERS, ["spine02", "spine02"]),
        (TWO_TIERS, [f"spine0{n}" for n in range(1, 5)]),
        (PODS, ["spine03"]),
        (PODS, ["spine03", "spine03"]),
        (PODS, [f"spine0{n}" for n in range(1, 5)]),
        (PODS, [f"spine0{n}" for n in range(1, 5)] * 2),
        (PODS, [f"spine{n:02}" for n in range(1, 33)]),
        (PODS, ["core02"]),
        (PODS, ["core02", "core02"]),
        (PODS, [f"core0{n}" for n in range(1, 9)]),
        (PODS, ["spine03", "core02"]),
        (PODS, ["spine03", "spine29", "core01", "core02"]),
        (FOUR_TIERS, ["spine01"]),
        (FOUR_TIERS, ["core01"]),
        (FOUR_TIERS, ["top01"]),
        (FOUR_TIERS, [f"top0{n}" for n in range(1, 9)]),
        (FOUR_TIERS, ["spine05", "core05", "top05"]),
    ],
)
def test_hosts_above_the_leaves_make_no_leaf_of_a_switch_nor_of_others(shape, switches, names):
    bench = built(shape)
    hang(bench, *switches)
    assert told(hidden(bench) if names == "hidden" else bench) == {}


@st.composite
def pods(draw: st.DrawFn) -> Shape:
    """Fat trees whose leaves have more than a few hosts, with several pods where there are cores."""
    tiers = draw(st.integers(2, 4))
    zones = draw(st.integers(2, 3)) if tiers == 4 else 1
    several = draw(st.integers(2, 4)) if tiers > 2 else 1
    spines, trunks = draw(st.sampled_from([(1, 1), (2, 1), (4, 1), (2, 2)]))
    hosts = draw(st.sampled_from([12, 13, 16]))
    return Shape(
        hosts=hosts * draw(st.integers(2, 4)) * several * zones,
        hosts_per_leaf=hosts,
        spines=spines,
        cores=draw(st.integers(1, 6)) if tiers > 2 else 0,
        tops=draw(st.integers(1, 6)) if tiers > 3 else 0,
        pods=several,
        zones=zones,
        rails=draw(st.integers(1, 2)),
        rail_optimised=draw(st.booleans()),
        trunks=trunks,
    )


@settings(deadline=None)
@given(pods(), st.booleans(), st.data())
def test_two_hosts_anywhere_above_the_leaves_of_any_tree_change_no_tier(shape, named, data):
    bench = built(shape)
    above = [name for name, switch in bench.switches.items() if switch.tier > 1]
    for host in data.draw(st.lists(st.sampled_from(sorted(bench.hosts)), min_size=1, max_size=2, unique=True)):
        bench.move_host(host, 0, data.draw(st.sampled_from(above)))
    assert told(bench if named else hidden(bench)) == {}


@pytest.mark.parametrize("names", ["said", "hidden"])
@pytest.mark.parametrize("above", ["", "spine03", "core02"])
def test_a_leaf_of_storage_is_a_leaf_in_three_tiers_too_and_with_hosts_above_leaves(above, names):
    bench = built(PODS)
    bench.switches["sto1"] = msgspec.structs.replace(bench.switches["leaf01"], name="sto1", guid=bench.guid())
    for number in range(1, 5):
        bench.plug("sto1", f"spine0{number}")
    for number in range(12):
        bench.hosts[f"oss{number}"] = [
            msgspec.structs.replace(bench.hosts["n0001"][0], adapter=bench.guid(), switch="sto1")
        ]
        bench.roles[f"oss{number}"] = Role.STORAGE
    hang(bench, *filter(None, [above]))
    assert told(hidden(bench) if names == "hidden" else bench) == {}


@pytest.mark.parametrize("above", ["", "spine01", "core02"])
@pytest.mark.parametrize("down", [["leaf02"], ["leaf01", "leaf02", "leaf03", "leaf04"], ["leaf01", "leaf31"]])
def test_leaves_whose_hosts_are_all_down_are_leaves_also_with_hosts_above_leaves(down, above):
    bench = built(PODS)
    hang(bench, *filter(None, [above]))
    empty(bench, *down)
    assert told(bench) == {}


@pytest.mark.parametrize("names", ["said", "hidden"])
@pytest.mark.parametrize("shape", [TWO_TIERS, PODS, FOUR_TIERS])
def test_a_leaf_with_one_host_left_is_a_leaf(shape, names):
    bench = built(shape)
    for host in [host for host, points in bench.hosts.items() if points[0].switch == "leaf02"][1:]:
        bench.remove_host(host)
    assert told(hidden(bench) if names == "hidden" else bench) == {}


@pytest.mark.parametrize("names", ["said", "hidden"])
def test_a_host_on_a_spine_makes_no_leaf_of_it_where_all_leaves_of_the_pod_have_few_hosts(names):
    bench = built(PODS)
    for leaf in ("leaf01", "leaf02", "leaf03", "leaf04"):
        for host in [host for host, points in bench.hosts.items() if points[0].switch == leaf][1:]:
            bench.remove_host(host)
    bench.move_host("n0256", 0, "spine02")
    assert told(hidden(bench) if names == "hidden" else bench) == {}


def test_leaves_of_another_name_that_are_nearly_all_down_are_leaves_by_their_name():
    bench = built(PODS)
    for number in range(1, 5):
        bench.rename_switch(f"leaf0{number}", f"edge{number}")
    empty(bench, "edge1", "edge2", "edge3")
    assert told(bench) == {}


def test_a_leaf_with_nothing_but_a_manager_left_is_known_by_its_name():
    bench = built(PODS)
    for host in [host for host, points in bench.hosts.items() if points[0].switch == "leaf02"][1:]:
        bench.remove_host(host)
    (left,) = [host for host, points in bench.hosts.items() if points[0].switch == "leaf02"]
    bench.roles[left] = Role.OTHER
    for core in range(1, 9):
        bench.plug("leaf02", f"spine0{core % 4 + 1}")
    assert told(bench) == {}


def test_a_core_that_has_become_a_leaf_makes_none_of_the_others():
    bench = built(PODS)
    hang(bench, *["core02"] * 6)
    assert told(bench) == {"core02": 1}


def test_a_switch_with_few_hosts_among_its_equals_is_a_leaf_as_they_are():
    ring = " ".join(f"leaf{i}-leaf{(i + 1) % 6}x8" for i in range(6))
    mesh = " ".join(f"leaf{i}-leaf{j}x4" for i in range(4) for j in range(i))
    assert set(found(ring, {**leaves_with(12, 6), "leaf2": 1}).values()) == {1}
    assert set(found(mesh, {**leaves_with(12, 4), "leaf2": 1}).values()) == {1}
    assert set(found(mesh, {**leaves_with(12, 4), "leaf2": 1, "leaf3": 1}).values()) == {1}
    assert found("a-bx8", {"a": 16, "b": 1}) == {"a": 1, "b": 1}


def test_one_wrong_cable_makes_no_spine_of_a_core_and_no_core_of_a_spine():
    bench = built(PODS)
    bench.plug("leaf02", "core05")
    bench.plug("spine09", "spine13")
    assert told(bench) == {}


def test_the_spines_of_a_pod_with_one_leaf_are_spines_also_with_a_host():
    bench = built(Shape(hosts=64, hosts_per_leaf=8, spines=2, cores=8, pods=8))
    assert told(bench) == {}
    hang(bench, "spine03")
    assert told(bench) == {}
