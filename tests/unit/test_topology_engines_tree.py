from __future__ import annotations

from collections import Counter
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.judge import judge
from hpcjobs_plugins.topology.engines.model import LONGEST_NAME, Plan, SwitchLine, Topology, levels, reached
from hpcjobs_plugins.topology.engines.names import LEGAL, free_name, group_name, legal_name
from hpcjobs_plugins.topology.engines.tree import tree
from hpcjobs_plugins.topology.fabric import Endpoint, Fabric, FabricError, Host, Network, Role, Site, Switch, Trunk
from hpcjobs_plugins.topology.twin import Shape, fat_tree

from .fabric_edits import Bench
from .fabrics import shapes


def site_of(hosts: dict[str, list[str]], trunks: list[tuple[str, str]], tiers: dict[str, int] | None = None) -> Site:
    """A fabric by hand: the leaves of each host, pairs of switches, and the tier of those that are no leaf."""
    names = sorted({leaf for leaves in hosts.values() for leaf in leaves} | {name for pair in trunks for name in pair})
    switches = {name: Switch(name, "", name, (tiers or {}).get(name, 1)) for name in names}
    made = {
        name: Host(name, Role.COMPUTE, tuple(Endpoint("", 1, rail, leaf, 1) for rail, leaf in enumerate(leaves)))
        for name, leaves in hosts.items()
    }
    cables = tuple(Trunk(a, number, b, number) for number, (a, b) in enumerate(trunks))
    return Site((Fabric("ib0", Network.INFINIBAND, switches, made, cables),))


def drawn(topology: Topology) -> dict[str, str]:
    return {line.name: " ".join(line.nodes or line.children) for line in topology.switches}


def test_hosts_that_share_eight_leaves_are_one_leaf_under_their_pod_under_the_root():
    site = fat_tree(Shape(32, 8, spines=4, cores=4, pods=2, rails=8, rail_optimised=True))
    topology, notices = tree(site)
    assert [(line.name, len(line.nodes), line.children) for line in topology.switches] == [
        ("leaf01-08", 8, ()),
        ("leaf09-16", 8, ()),
        ("spine01-04", 0, ("leaf01-08", "leaf09-16")),
        ("leaf17-24", 8, ()),
        ("leaf25-32", 8, ()),
        ("spine05-08", 0, ("leaf17-24", "leaf25-32")),
        ("ib0", 0, ("spine01-04", "spine05-08")),
    ]
    assert notices == ()


def test_tiers_that_tell_no_groups_apart_make_no_switches():
    topology, _ = tree(fat_tree(Shape(64, 16, spines=8, cores=4)))
    assert levels(topology.switches) == {"leaf01": 0, "leaf02": 0, "leaf03": 0, "leaf04": 0, "ib0": 1}


def test_one_group_alone_needs_no_root():
    topology, _ = tree(fat_tree(Shape(4, 16)))
    assert [line.name for line in topology.switches] == ["leaf01"]


def test_zones_of_four_tiers_are_above_pods():
    topology, _ = tree(fat_tree(Shape(64, 4, spines=2, cores=2, tops=2, pods=2, zones=2)))
    assert Counter(levels(topology.switches).values()) == {0: 16, 1: 4, 2: 2, 3: 1}


@given(shapes())
def test_any_fat_tree_grouped_or_physical_is_what_slurm_takes_and_has_each_host_once(shape):
    site = fat_tree(shape)
    hosts = {host.name for fabric in site.fabrics for host in fabric.compute}
    for physical in (False, True):
        topology, _ = tree(site, nodes=hosts, physical=physical)
        assert Counter(node for line in topology.switches for node in line.nodes) == Counter(hosts)
        assert judge(Plan((topology,)), Form.CONF, nodes=hosts, release=(24, 11)) == []
        assert hosts in reached(topology.switches).values()


@given(shapes())
def test_hosts_are_in_one_group_if_and_only_if_they_share_their_leaves(shape):
    site = fat_tree(shape)
    fabric = site.fabrics[0]
    topology, _ = tree(site)
    home = {node: line.name for line in topology.switches for node in line.nodes}
    names = sorted(home)
    for one, other in pairwise(names):
        assert (home[one] == home[other]) == (fabric.hosts[one].leaves == fabric.hosts[other].leaves)


@given(shapes(), st.randoms(use_true_random=False))
def test_the_same_fabric_found_in_another_order_has_the_same_names(shape, random):
    site = fat_tree(shape)
    fabric = site.fabrics[0]
    hosts, switches, trunks = list(fabric.hosts.items()), list(fabric.switches.items()), list(fabric.trunks)
    for found in (hosts, switches, trunks):
        random.shuffle(found)
    other = msgspec.structs.replace(fabric, hosts=dict(hosts), switches=dict(switches), trunks=tuple(trunks))
    again = Site((other, *site.fabrics[1:]))
    for physical in (False, True):
        assert sorted(tree(again, physical=physical).topology.switches, key=lambda line: line.name) == sorted(
            tree(site, physical=physical).topology.switches, key=lambda line: line.name
        )


def test_a_host_with_a_cable_missing_stays_with_its_group_and_it_is_said():
    hosts = {f"n{number}": ["a", "b", "c"] for number in range(1, 5)} | {"n5": ["a", "c"]}
    topology, notices = tree(site_of(hosts, []))
    assert topology.switches == (SwitchLine("a-x3-" + group_name("abc")[-6:], ("n1", "n2", "n3", "n4", "n5")),)
    (notice,) = notices
    assert (notice.code, notice.subject) == ("host-off-group", "n5")
    assert "n5 has no cable to b" in notice.text


def test_a_host_with_a_cable_in_a_foreign_leaf_stays_with_its_group_and_joins_no_pods():
    hosts = {f"n{number}": [f"l{rail}" for rail in range(4)] for number in range(4)}
    hosts |= {f"m{number}": [f"k{rail}" for rail in range(4)] for number in range(4)}
    hosts["n9"] = ["l0", "l1", "l2", "k3"]
    topology, notices = tree(site_of(hosts, [("l0", "s"), ("k0", "s")], {"s": 2}))
    assert drawn(topology) == {"k0-3": "m0 m1 m2 m3", "l0-3": "n0 n1 n2 n3 n9", "ib0": "k0-3 l0-3"}
    assert [notice.subject for notice in notices] == ["n9"]


def test_two_kinds_of_hosts_that_are_as_many_stay_two_groups():
    hosts = {"n1": ["a", "b"], "n2": ["a", "b"], "m1": ["a"], "m2": ["a"]}
    topology, notices = tree(site_of(hosts, []))
    assert sorted(line.nodes for line in topology.switches if line.nodes) == [("m1", "m2"), ("n1", "n2")]
    assert notices == ()


def test_one_cable_to_a_foreign_pods_spine_does_not_make_one_pod_of_two():
    shape = Shape(64, 4, spines=4, cores=4, pods=2)
    (fabric,) = fat_tree(shape).fabrics
    before = tree(Site((fabric,))).topology
    wrong = Trunk("leaf01", 99, "spine05", 99)
    after = tree(Site((msgspec.structs.replace(fabric, trunks=(*fabric.trunks, wrong)),))).topology
    assert after == before
    assert Counter(levels(before.switches).values()) == {0: 16, 1: 2, 2: 1}


def test_a_physical_host_of_several_leaves_is_put_under_its_first_rails_leaf_and_it_is_said():
    site = fat_tree(Shape(8, 4, spines=2, rails=2, rail_optimised=True))
    topology, notices = tree(site, physical=True)
    assert drawn(topology) == {
        "leaf01": "n0001 n0002 n0003 n0004",
        "leaf03": "n0005 n0006 n0007 n0008",
        "spine01": "leaf01 leaf03",
        "spine02": "leaf01 leaf03",
    }
    assert {notice.code: notice.text for notice in notices} == {
        "host-under-several-leaves": "n[0001-0008] on ib0: put under the first rail's leaf, Slurm knows one only",
        "switch-without-nodes": "leaf[02,04] of ib0: no node below, left out",
    }


def test_a_physical_fabric_whose_switches_reach_only_parts_gets_a_root_and_it_is_said():
    site = site_of(
        {"n1": ["a"], "n2": ["b"], "n3": ["c"]}, [("a", "s"), ("b", "s"), ("b", "t"), ("c", "t")], {"s": 2, "t": 2}
    )
    topology, notices = tree(site, physical=True)
    assert drawn(topology) == {"a": "n1", "b": "n2", "c": "n3", "s": "a b", "t": "b c", "ib0": "s t"}
    assert [notice.code for notice in notices] == ["no-switch-reaches-all"]


def with_a_host_on(switch: str) -> Site:
    """Three tiers with one host where it should not be."""
    bench = Bench(fat_tree(Shape(hosts=32, hosts_per_leaf=4, spines=2, cores=4, pods=4)))
    bench.move_host("n0003", 0, switch)
    return bench.site(tiers=True)


@pytest.mark.parametrize(
    ("switch", "below", "root"),
    [
        ("spine02", "leaf01 leaf02 spine02", "spine01-02 spine03-04 spine05-06 spine07-08"),
        ("core02", "leaf01 leaf02", "core02 spine01-02 spine03-04 spine05-06 spine07-08"),
    ],
)
def test_a_host_above_the_leaves_is_a_leaf_of_its_own_under_what_it_hangs_on_and_it_is_said(switch, below, root):
    topology, notices = tree(with_a_host_on(switch))
    lines = drawn(topology)
    assert (lines[switch], lines["spine01-02"], lines["ib0"]) == ("n0003", below, root)
    assert lines["leaf01"] == "n0001 n0002 n0004"
    assert [(notice.code, notice.subject) for notice in notices] == [("hosts-above-leaves", switch)]
    for form in Form:
        assert judge(Plan((topology,)), form, nodes=topology.nodes) == []


@pytest.mark.parametrize("switch", ["spine02", "core02"])
def test_a_host_above_the_leaves_leaves_the_rest_of_the_physical_tree_as_it_is(switch):
    plain = drawn(tree(fat_tree(Shape(hosts=32, hosts_per_leaf=4, spines=2, cores=4, pods=4)), physical=True).topology)
    topology, notices = tree(with_a_host_on(switch), physical=True)
    lines = drawn(topology)
    assert lines.pop(f"{switch}-hosts") == "n0003"
    assert {name for name in plain.keys() | lines.keys() if plain.get(name) != lines.get(name)} == {"leaf01", switch}
    assert set(lines[switch].split()) == {*plain[switch].split(), f"{switch}-hosts"}
    assert [notice.code for notice in notices] == ["hosts-above-leaves"]
    assert judge(Plan((topology,)), Form.CONF, nodes=topology.nodes) == []


def test_hosts_on_a_spine_get_a_leaf_of_their_own_in_the_physical_tree():
    site = site_of({"n1": ["a"], "n2": ["s"]}, [("a", "s")], {"s": 2})
    topology, notices = tree(site, physical=True)
    assert drawn(topology) == {"a": "n1", "s-hosts": "n2", "s": "a s-hosts"}
    assert [notice.code for notice in notices] == ["hosts-above-leaves"]


def islands() -> Site:
    one, other = fat_tree(Shape(8, 4, spines=1)).fabrics[0], fat_tree(Shape(8, 4, spines=1, prefix="m")).fabrics[0]
    renamed = {name: f"other-{name}" for name in other.switches}
    other = msgspec.structs.replace(
        other,
        name="ib1",
        switches={
            renamed[name]: msgspec.structs.replace(switch, name=renamed[name])
            for name, switch in other.switches.items()
        },
        hosts={
            name: msgspec.structs.replace(
                host,
                endpoints=tuple(
                    msgspec.structs.replace(point, switch=renamed[point.switch]) for point in host.endpoints
                ),
            )
            for name, host in other.hosts.items()
        },
        trunks=tuple(msgspec.structs.replace(trunk, a=renamed[trunk.a], b=renamed[trunk.b]) for trunk in other.trunks),
    )
    return Site((one, other))


def test_each_fabric_has_its_own_root_and_one_above_them_only_if_it_is_asked_for():
    apart = tree(islands()).topology
    assert [finding.code for finding in judge(Plan((apart,)), Form.CONF)] == ["no-common-root"]
    together = tree(islands(), one_root="all").topology
    assert together.switches == (*apart.switches, SwitchLine("all", (), ("ib0", "ib1")))
    assert judge(Plan((together,)), Form.CONF) == []


def test_only_the_fabrics_that_are_named_are_translated_in_that_order():
    assert {line.name for line in tree(islands(), fabrics=["ib1"]).topology.switches} == {
        "other-leaf01",
        "other-leaf02",
        "ib1",
    }
    with pytest.raises(FabricError, match="there is no fabric ib7, but ib0, ib1"):
        tree(islands(), fabrics=["ib7"])


def test_a_host_on_two_fabrics_is_placed_on_the_first():
    site = fat_tree(Shape(4, 4, rails=2, rail_optimised=True))
    assert len(site.fabrics) == 2
    assert drawn(tree(site).topology) == {"leaf01": "n0001 n0002 n0003 n0004"}
    assert drawn(tree(site, fabrics=["ib1", "ib0"]).topology) == {"leaf02": "n0001 n0002 n0003 n0004"}


def test_hosts_that_slurm_does_not_know_are_left_out_and_nodes_without_fabric_are_put_apart():
    nodes = ["n0001", "n0002", "n0005", "login", "c10", "c9"]
    topology, notices = tree(fat_tree(Shape(8, 4, spines=1)), nodes=nodes, rest="no-fabric", one_root="all")
    assert drawn(topology) == {
        "leaf01": "n0001 n0002",
        "leaf02": "n0005",
        "ib0": "leaf01 leaf02",
        "no-fabric": "c9 c10 login",
        "all": "ib0 no-fabric",
    }
    assert {notice.code: notice.text for notice in notices} == {
        "host-not-in-slurm": "n[0003-0004,0006-0008] on ib0: not among Slurm's nodes",
        "node-without-fabric": "c[9-10],login: on no fabric, put under no-fabric",
    }


def test_nothing_to_place_is_an_error_that_says_so():
    with pytest.raises(FabricError, match="nothing to translate"):
        tree(fat_tree(Shape(8, 4, spines=1)), nodes=["c1"])


def test_a_switch_never_has_the_name_of_a_node():
    topology, _ = tree(site_of({"ib0": ["a"], "leaf1": ["leaf1"], "x": ["b"]}, []), nodes=["ib0", "leaf1", "x", "b"])
    names = {line.name for line in topology.switches}
    assert names == {"a", "b-sw", "leaf1-sw", "ib0-sw"}


@given(st.sets(st.text(min_size=1, max_size=90), min_size=1, max_size=6))
def test_a_name_of_anything_is_legal_and_short_and_the_same_in_any_order(members):
    name = group_name(members)
    assert LEGAL.fullmatch(name)
    assert len(name) <= LONGEST_NAME
    assert group_name(sorted(members, reverse=True)) == name
    assert LEGAL.fullmatch(legal_name(next(iter(members))))


@pytest.mark.parametrize(
    ("members", "name"),
    [
        (["leaf1"], "leaf1"),
        ([f"leaf{number}" for number in range(1, 9)], "leaf1-8"),
        ([f"leaf{number:02}" for number in range(9, 17)], "leaf09-16"),
        (["su1-r0", "su1-r1"], "su1-r0-1"),
        (["MF0;leaf 1"], "MF0-leaf-1"),
    ],
)
def test_a_group_is_called_by_its_first_and_last_leaf(members, name):
    assert group_name(members) == name


def test_groups_with_gaps_are_told_apart_by_a_mark():
    names = {
        group_name(members)
        for members in (["l1", "l4"], ["l1", "l2", "l4"], ["l1", "l3", "l4"], ["l1", "l2", "l3", "l4"])
    }
    assert len(names) == 4
    assert all(name.startswith("l1-4") for name in names)


@given(st.text(alphabet="ab-", min_size=1, max_size=70), st.sets(st.text(alphabet="ab-sw2", max_size=10)))
def test_a_free_name_is_taken_by_nothing(text, taken):
    name = legal_name(text)
    taken |= {name, f"{name[:58].rstrip('-.')}-sw"}
    free = free_name(name, taken)
    assert free not in taken
    assert len(free) <= LONGEST_NAME
