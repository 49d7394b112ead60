"""What is wrong with a fabric: nothing with a twin as it was built, and with each fault that fault and no other."""

from __future__ import annotations

import time
from collections import Counter
from itertools import permutations
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcjobs_plugins.topology import checks
from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.checks import CHECKS, CODES, Finding, Settings, Severity, check, exit_code, survey
from hpcjobs_plugins.topology.checks.names import NOTICES
from hpcjobs_plugins.topology.diff import diff
from hpcjobs_plugins.topology.fabric import Network, Notice, Role, Site
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.picture import picture
from hpcjobs_plugins.topology.providers import ibnetdiscover, table
from hpcjobs_plugins.topology.shown import summary, tree
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from tests.conftest import examples

from .fabric_edits import Bench
from .fabrics import real, shapes

TWO_TIERS = Shape(hosts=64, hosts_per_leaf=8, spines=4)
TRUNKED = Shape(hosts=48, hosts_per_leaf=8, spines=3, trunks=2)
PODS = Shape(hosts=128, hosts_per_leaf=8, spines=4, cores=8, pods=4)
PLANES = Shape(hosts=64, hosts_per_leaf=4, spines=2, cores=4, pods=4)
RAILS = Shape(hosts=32, hosts_per_leaf=8, spines=4, rails=4, rail_optimised=True)
FOUR_TIERS = Shape(hosts=108, hosts_per_leaf=4, spines=2, cores=4, tops=8, pods=3, zones=3)
PAIRS_OF_LEAVES = Shape(hosts=64, hosts_per_leaf=4, spines=4, cores=8, pods=8)
DIRECTOR = Shape(hosts=64, hosts_per_leaf=8, spines=4, director="big")
ALL = (TWO_TIERS, TRUNKED, PODS, PLANES, RAILS, FOUR_TIERS, PAIRS_OF_LEAVES)


def codes(site: Site, **given: object) -> list[str]:
    return [one.code for one in check(site, **given)]


def only(bench: Bench, **given: object) -> Finding:
    """The one finding of a fabric that was edited."""
    found = check(bench.site(tiers=True), **given)
    assert {one.code for one in found} <= CODES.keys()
    assert len(found) == 1, [(one.code, one.text) for one in found]
    return found[0]


@pytest.mark.parametrize("shape", [*ALL, DIRECTOR])
def test_a_fabric_as_it_was_meant_has_no_findings(shape):
    assert check(fat_tree(shape)) == []


@settings(deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(shapes(), shapes(Network.ETHERNET)))
def test_no_shape_of_a_fat_tree_is_taken_for_a_wrong_one(shape):
    found = check(fat_tree(shape), Settings(oversubscription=1e9))
    # A fabric with one spine or one top does hang on it, and that is worth a note.
    assert {(one.code, one.severity) for one in found} <= {("switch-single-point", Severity.NOTE)}


@pytest.mark.parametrize("shape", ALL)
@settings(deadline=None, max_examples=examples(25))
@given(st.data())
def test_a_cable_that_was_pulled_is_missing_and_nothing_else(shape, data):
    bench = Bench(fat_tree(shape))
    trunk = data.draw(st.sampled_from(bench.trunks))
    bench.unplug(trunk)
    found = only(bench)
    assert (found.code, found.severity) == ("cable-missing", Severity.WARNING)
    assert found.links == ((trunk.a, trunk.b),)
    assert found.evidence["count"] == 1


@pytest.mark.parametrize("shape", ALL)
@settings(deadline=None, max_examples=examples(25))
@given(st.data())
def test_a_cable_in_another_switch_of_the_same_tier_is_misplaced_and_nothing_else(shape, data):
    bench = Bench(fat_tree(shape))
    trunk = data.draw(st.sampled_from(bench.trunks))
    upper = data.draw(st.booleans())
    stays, moves = (trunk.a, trunk.b) if upper else (trunk.b, trunk.a)
    tier = bench.switches[moves].tier
    other = data.draw(
        st.sampled_from([name for name, one in bench.switches.items() if one.tier == tier and name != moves])
    )
    bench.replug(trunk, moves, other)
    found = only(bench)
    assert (found.code, found.severity) == ("cable-misplaced", Severity.ERROR)
    assert set(found.names) == {stays, moves, other}


def test_a_misplaced_cable_is_told_with_its_port_and_the_port_where_it_should_be():
    bench = Bench(fat_tree(TWO_TIERS))
    (trunk,) = bench.between("leaf07", "spine04")
    bench.replug(trunk, "spine04", "spine03")
    found = only(bench)
    assert found.subject == "leaf07"
    assert found.evidence["cables"] == (f"leaf07:{trunk.a_port} - spine03:1001",)
    assert found.evidence["belongs"] == f"spine04:{trunk.b_port}"
    assert found.text.startswith("leaf07 has 2 cables to spine03 and no cable to spine04; 7 of 8 leaves of its group")


def test_a_missing_cable_is_told_with_both_ports_if_they_are_free():
    bench = Bench(fat_tree(TWO_TIERS))
    (trunk,) = bench.between("leaf07", "spine04")
    bench.unplug(trunk)
    assert only(bench).evidence["missing"] == (f"leaf07:{trunk.a_port} - spine04:{trunk.b_port}",)
    bench.hosts["n0001"] = [msgspec.structs.replace(bench.hosts["n0001"][0], switch_port=trunk.a_port)]
    bench.plug("spine04", "leaf99")
    bench.switches["leaf99"] = msgspec.structs.replace(bench.switches["leaf07"], name="leaf99", guid="9" * 16)
    bench.trunks[-1] = msgspec.structs.replace(bench.trunks[-1], a_port=trunk.b_port)
    (found,) = [one for one in check(bench.site(tiers=True)) if one.subject == "leaf07"]
    assert found.evidence["missing"] == (f"leaf07:{trunk.a_port} - spine04",)


def test_a_line_card_that_is_out_is_told_of_its_spine_and_not_of_each_leaf():
    bench = Bench(fat_tree(Shape(hosts=128, hosts_per_leaf=8, spines=4)))
    for leaf in ("leaf02", "leaf03", "leaf04", "leaf05"):
        (trunk,) = bench.between(leaf, "spine03")
        bench.unplug(trunk)
    found = only(bench)
    assert (found.code, found.subject, found.evidence["count"]) == ("cable-missing", "spine03", 4)
    assert "leaf[02-05]" in found.text


@pytest.mark.parametrize("shape", [TWO_TIERS, PODS, RAILS])
@settings(deadline=None, max_examples=examples(25))
@given(st.data())
def test_two_crossed_cables_are_one_finding(shape, data):
    bench = Bench(fat_tree(shape))
    one = data.draw(st.sampled_from(bench.trunks))
    below = {trunk.a for trunk in bench.trunks if trunk.b == one.b}
    others = [trunk for trunk in bench.trunks if trunk.a in below - {one.a} and trunk.b != one.b]
    other = data.draw(st.sampled_from(others))
    bench.replug(one, one.b, other.b, other.b_port)
    bench.replug(other, other.b, one.b, one.b_port)
    found = only(bench)
    assert found.severity is Severity.ERROR
    assert {one.a, other.a, one.b, other.b} >= set(found.names)
    assert found.code == "cables-crossed"


@pytest.mark.parametrize("shape", [TWO_TIERS, PODS, RAILS, FOUR_TIERS])
@settings(deadline=None, max_examples=examples(15))
@given(st.data())
def test_a_cable_within_a_tier_is_told_with_where_it_belongs(shape, data):
    bench = Bench(fat_tree(shape))
    trunk = data.draw(st.sampled_from([trunk for trunk in bench.trunks if trunk.a.startswith("leaf")]))
    upper = data.draw(st.booleans())
    stays, moves = (trunk.a, trunk.b) if upper else (trunk.b, trunk.a)
    tier = bench.switches[stays].tier
    other = data.draw(
        st.sampled_from([name for name, each in bench.switches.items() if each.tier == tier and name != stays])
    )
    bench.replug(trunk, moves, other)
    found = only(bench)
    assert (found.code, found.severity) == ("cable-within-tier", Severity.ERROR)
    assert set(found.names) == {stays, moves, other}
    assert str(found.evidence["belongs"]).startswith(moves)


def test_an_extra_cable_between_two_leaves_is_told():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.plug("leaf02", "leaf05")
    found = only(bench)
    assert (found.code, found.names) == ("cable-within-tier", ("leaf02", "leaf05"))
    assert "belongs" not in found.evidence


def test_leaves_that_are_all_paired_are_meant_to_be():
    bench = Bench(fat_tree(TWO_TIERS))
    for number in (1, 3, 5, 7):
        bench.plug(f"leaf0{number}", f"leaf0{number + 1}")
    assert codes(bench.site(tiers=True)) == []


@pytest.mark.parametrize("moved", [True, False])
def test_a_cable_that_skips_a_tier_is_told_and_makes_no_spine_of_the_core(moved):
    bench = Bench(fat_tree(PODS))
    if moved:
        (trunk,) = bench.between("leaf02", "spine03")
        bench.replug(trunk, "spine03", "core05")
    else:
        bench.plug("leaf02", "core05")
    assert bench.site(tiers=True).fabrics[0].switches["core05"].tier == 3
    found = only(bench)
    assert (found.code, found.subject, found.severity) == ("cable-skips-tier", "leaf02", Severity.ERROR)
    assert found.evidence.get("belongs") == (f"spine03:{trunk.b_port}" if moved else None)


def test_a_leaf_that_hangs_on_another_one_is_told_as_that():
    bench = Bench(fat_tree(TWO_TIERS))
    for trunk in [trunk for trunk in bench.trunks if trunk.a == "leaf08"]:
        bench.unplug(trunk)
    bench.plug("leaf07", "leaf08")
    bench.plug("leaf07", "leaf08")
    found = check(bench.site(tiers=True))
    assert [(one.code, one.subject) for one in found] == [
        ("switch-chained", "leaf08"),
        ("switch-single-point", "leaf07"),
    ]
    assert found[1].evidence["hosts"] == 8


def test_another_cable_than_all_have_is_a_note():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.plug("leaf03", "spine02")
    found = only(bench)
    assert (found.code, found.severity, found.names) == ("cable-extra", Severity.NOTE, ("leaf03", "spine02"))


def test_cables_spread_unevenly_on_purpose_are_no_fault():
    bench = Bench(fat_tree(TWO_TIERS))
    for number in range(8):  # the fifth and sixth cable of each leaf goes round
        bench.plug(f"leaf0{number + 1}", f"spine0{number % 4 + 1}")
        bench.plug(f"leaf0{number + 1}", f"spine0{(number + 1) % 4 + 1}")
    assert codes(bench.site(tiers=True)) == []


def test_leaves_that_go_to_some_of_the_spines_each_in_turn_are_no_fault():
    bench = Bench(fat_tree(TWO_TIERS))
    for number in range(8):
        (trunk,) = bench.between(f"leaf0{number + 1}", f"spine0{number % 4 + 1}")
        bench.unplug(trunk)
    assert codes(bench.site(tiers=True)) == []


def test_a_compute_host_on_a_spine_is_told_and_a_manager_there_is_a_note():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.move_host("n0003", 0, "spine02")
    found = only(bench)
    assert (found.code, found.severity, found.subject) == ("host-above-leaves", Severity.WARNING, "spine02")
    bench = Bench(fat_tree(TWO_TIERS))
    bench.hosts["ufm1"] = [
        msgspec.structs.replace(bench.hosts["n0003"][0], adapter="a" * 16, switch="spine02", switch_port=99)
    ]
    bench.roles["ufm1"] = Role.OTHER
    found = only(bench)
    assert (found.code, found.severity) == ("host-above-leaves", Severity.NOTE)


@pytest.mark.parametrize("switch", ["spine03", "core02"])
def test_a_compute_host_above_the_leaves_of_three_tiers_is_told(switch):
    bench = Bench(fat_tree(Shape(hosts=256, hosts_per_leaf=8, spines=4, cores=8, pods=8)))
    bench.move_host("n0003", 0, switch)
    found = only(bench)
    assert (found.code, found.severity, found.subject) == ("host-above-leaves", Severity.WARNING, switch)


@settings(deadline=None, max_examples=examples(25))
@given(st.data())
def test_a_rail_that_is_missing_is_told_with_its_leaf(data):
    bench = Bench(fat_tree(RAILS))
    host = data.draw(st.sampled_from(sorted(bench.hosts)))
    point = bench.unplug_host(host, data.draw(st.integers(0, 3)))
    found = only(bench)
    assert (found.code, found.subject, found.links) == ("rail-missing", host, ((host, point.switch),))


def test_rails_that_several_hosts_miss_on_one_leaf_are_told_together():
    bench = Bench(fat_tree(RAILS))
    for host in ("n0002", "n0003"):
        bench.unplug_host(host, 2)
    found = only(bench)
    assert (found.code, found.subject, found.evidence["leaves"]) == ("rail-missing", "n[0002-0003]", ("leaf03",))


@settings(deadline=None, max_examples=examples(25))
@given(st.data())
def test_a_rail_on_a_wrong_leaf_is_told_with_the_right_one(data):
    bench = Bench(fat_tree(RAILS))
    host = data.draw(st.sampled_from(sorted(bench.hosts)))
    rail = data.draw(st.integers(0, 3))
    right = bench.hosts[host][rail].switch
    wrong = data.draw(
        st.sampled_from([name for name, one in bench.switches.items() if one.tier == 1 and name != right])
    )
    bench.move_host(host, rail, wrong)
    found = only(bench)
    assert (found.code, found.subject, found.severity) == ("rail-misplaced", host, Severity.ERROR)
    assert found.links == ((host, wrong), (host, right))


@settings(deadline=None, max_examples=examples(25))
@given(st.data())
def test_rails_that_were_exchanged_are_told(data):
    bench = Bench(fat_tree(RAILS))
    host = data.draw(st.sampled_from(sorted(bench.hosts)))
    one, other = data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=2, unique=True))
    points = bench.hosts[host]
    places = [(points[rail].switch, points[rail].switch_port) for rail in (one, other)]
    bench.move_host(host, one, *places[1])
    bench.move_host(host, other, *places[0])
    found = only(bench)
    assert (found.code, found.subject, found.severity) == ("rails-crossed", host, Severity.WARNING)
    assert {leaf for _, leaf in found.links} == {place[0] for place in places}


def test_rails_that_are_numbered_anew_after_one_is_lost_are_not_taken_for_crossed():
    bench = Bench(fat_tree(RAILS))
    bench.unplug_host("n0001", 0)
    assert codes(bench.site(tiers=True)) == ["rail-missing"]


def test_a_host_of_another_kind_with_fewer_cables_lacks_nothing():
    bench = Bench(fat_tree(RAILS))
    bench.hosts["login1"] = [bench.hosts["n0001"][0]]
    bench.hosts["login1"] = [msgspec.structs.replace(bench.hosts["n0001"][0], adapter="a" * 16, switch_port=99)]
    bench.roles["login1"] = Role.COMPUTE
    assert codes(bench.site(tiers=True)) == []


def test_older_nodes_with_one_cable_on_leaves_of_their_own_are_a_note():
    bench = Bench(fat_tree(Shape(hosts=80, hosts_per_leaf=8, spines=4, rails=2)))
    for number in range(73, 81):
        bench.unplug_host(f"n00{number}", 1)
    found = only(bench)
    assert (found.code, found.severity, found.subject) == ("rails-differ", Severity.NOTE, "n[0073-0080]")


def test_a_leaf_that_is_gone_leaves_hosts_with_fewer_rails_and_that_is_a_note():
    bench = Bench(fat_tree(RAILS))
    bench.remove_switch("leaf02")
    found = only(bench)
    assert (found.code, found.severity, found.subject) == ("rails-differ", Severity.NOTE, "n[0001-0008]")


def test_a_host_with_all_rails_on_one_leaf_where_the_others_have_two():
    shape = Shape(hosts=48, hosts_per_leaf=8, spines=3, rails=2, rail_optimised=True)
    bench = Bench(fat_tree(shape))
    for rail in (0, 1):
        bench.move_host("n0005", rail, "leaf09")
    found = only(bench)
    assert (found.code, found.subject) == ("rail-misplaced", "n0005")
    single = Bench(fat_tree(shape))
    single.switches["leaf13"] = msgspec.structs.replace(single.switches["leaf09"], name="leaf13", guid="d" * 16)
    for spine in ("spine01", "spine02", "spine03"):
        single.plug("leaf13", spine)
    for rail in (0, 1):
        single.move_host("n0005", rail, "leaf13")
    found = only(single)
    assert (found.code, found.subject, found.names) == ("host-on-one-leaf", "n0005", ("n0005", "leaf13"))


def test_a_host_that_is_missing_from_one_of_its_fabrics():
    planes = fat_tree(Shape(hosts=8, hosts_per_leaf=8, rails=2, rail_optimised=True))
    assert check(planes) == []
    bench = Bench(planes)
    bench.remove_host("n0004")
    found = only(bench)
    assert (found.code, found.subject, found.evidence["hosts"]) == ("host-not-on-fabric", "ib0", "n0004")


@pytest.mark.parametrize(("gbps", "said"), [(50.0, "as one lane of 4 would"), (100.0, "as one lane of 2 would")])
def test_a_slow_link_of_a_host_is_told(gbps, said):
    bench = Bench(fat_tree(TWO_TIERS))
    bench.rate_host("n0011", 0, gbps)
    found = only(bench)
    assert (found.code, found.subject, found.evidence["usual_gbps"]) == ("link-slow", "n0011", 200.0)
    assert said in found.text


@pytest.mark.parametrize("shape", [TWO_TIERS, PODS, TRUNKED])
@settings(deadline=None, max_examples=examples(20))
@given(st.data())
def test_a_slow_cable_between_switches_is_told(shape, data):
    bench = Bench(fat_tree(shape))
    trunk = data.draw(st.sampled_from(bench.trunks))
    bench.rate(trunk, 100.0)
    found = only(bench)
    assert (found.code, found.links) == ("link-slow", ((trunk.a, trunk.b),))


def test_several_slow_links_of_a_leaf_are_told_together():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.rate_host("n0011", 0, 100.0)
    bench.rate_host("n0012", 0, 100.0)
    found = only(bench)
    assert (found.code, found.subject) == ("link-slow", "leaf02")
    assert "n[0011-0012]" in found.text


def test_an_old_leaf_is_no_slow_link_but_a_note():
    bench = Bench(fat_tree(TWO_TIERS))
    for number in range(9, 17):
        bench.rate_host(f"n{number:04}", 0, 100.0)
    found = only(bench)
    assert (found.code, found.severity) == ("speeds-mixed", Severity.NOTE)
    assert found.evidence == {"100": 8, "200": 56}


def test_rates_that_nobody_says_are_no_slow_links():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.rate_host("n0011", 0, 0.0)
    bench.rate(bench.trunks[3], 0.0)
    assert codes(bench.site(tiers=True)) == []


def test_a_tier_that_takes_more_than_is_allowed_is_told_with_the_ratio():
    site = fat_tree(TWO_TIERS)  # eight hosts and four spines at one rate: 2 to 1
    assert codes(site, settings=Settings(oversubscription=2.0)) == []
    (found,) = check(site, settings=Settings(oversubscription=1.5))
    assert (found.code, found.evidence["ratio"]) == ("tier-oversubscribed", 2.0)


def test_a_leaf_that_takes_more_than_is_allowed_is_told_by_itself():
    bench = Bench(fat_tree(TWO_TIERS))
    for number in range(30):
        point = msgspec.structs.replace(bench.hosts["n0001"][0], adapter=bench.guid(), switch_port=bench.port())
        bench.hosts[f"n1{number:03}"] = [point]
        bench.roles[f"n1{number:03}"] = Role.COMPUTE
    found = only(bench)
    assert (found.code, found.subject) == ("switch-oversubscribed", "leaf01")
    assert "leaf01 9.50 to 1" in found.text


def test_cables_are_counted_where_rates_are_not_known():
    site = fat_tree(TWO_TIERS)
    fabric = site.fabrics[0]
    silent = msgspec.structs.replace(
        fabric, trunks=tuple(msgspec.structs.replace(trunk, gbps=0.0) for trunk in fabric.trunks)
    )
    (found,) = check(msgspec.structs.replace(site, fabrics=(silent,)), Settings(oversubscription=1.5))
    assert (found.severity, found.evidence["ratio"]) == (Severity.NOTE, 2.0)
    assert "64 cables from below and have 32 cables upward" in found.text


def test_spines_with_more_cables_or_faster_ones_than_others_are_told():
    bench = Bench(fat_tree(TWO_TIERS))
    for number in range(1, 9):
        bench.plug(f"leaf0{number}", "spine01")
    found = only(bench)
    assert (found.code, found.subject, found.evidence["most"]) == ("spines-unbalanced", "spine[02-04]", 16.0)
    bench = Bench(fat_tree(TWO_TIERS))
    for trunk in list(bench.trunks):
        if trunk.b == "spine01":
            bench.rate(trunk, 400.0)
    found = check(bench.site(tiers=True))
    assert [one.code for one in found] == ["spines-unbalanced", "speeds-mixed"]
    assert found[0].evidence == {"least": 1600.0, "most": 3200.0, "allowed": 1.25}


def test_a_spine_that_alone_holds_a_leaf_is_told_with_what_it_cuts_off():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.switches["store1"] = msgspec.structs.replace(bench.switches["leaf01"], name="store1", guid="e" * 16)
    bench.plug("store1", "spine02")
    bench.hosts["nas1"] = [msgspec.structs.replace(bench.hosts["n0001"][0], adapter="b" * 16, switch="store1")]
    bench.roles["nas1"] = Role.COMPUTE
    found = [one for one in check(bench.site(tiers=True)) if one.code == "switch-single-point"]
    assert [(one.subject, one.severity, one.evidence["cut_off"]) for one in found] == [
        ("spine02", Severity.WARNING, "store1")
    ]


def test_the_only_spine_is_a_note():
    (found,) = check(fat_tree(Shape(hosts=16, hosts_per_leaf=4, spines=1)))
    assert (found.code, found.severity, found.subject) == ("switch-single-point", Severity.NOTE, "spine01")


def test_a_leaf_that_lost_all_its_uplinks_is_a_part_cut_off():
    bench = Bench(fat_tree(TWO_TIERS))
    for trunk in [trunk for trunk in bench.trunks if trunk.a == "leaf08"]:
        bench.unplug(trunk)
    site = assemble([dump_of(bench.site())], Naming(), None, {}, 0.0)
    (found,) = check(site)
    assert (found.code, found.severity, found.subject) == ("part-disconnected", Severity.ERROR, "leaf08")
    assert found.evidence["hosts"] == "n[0057-0064]"
    (found,) = [one for one in check(bench.site()) if one.code == "part-disconnected"]
    assert found.subject == "leaf08"


def test_two_clusters_and_a_storage_network_are_no_parts_of_each_other():
    one, other = fat_tree(TWO_TIERS), fat_tree(Shape(hosts=64, hosts_per_leaf=8, spines=4, prefix="g", seed=2))
    store = fat_tree(Shape(hosts=4, hosts_per_leaf=4, prefix="oss", seed=3))
    switches = {
        f"s-{name}": msgspec.structs.replace(switch, name=f"s-{name}")
        for name, switch in store.fabrics[0].switches.items()
    }
    hosts = {
        name: msgspec.structs.replace(
            host,
            endpoints=tuple(msgspec.structs.replace(point, switch=f"s-{point.switch}") for point in host.endpoints),
        )
        for name, host in store.fabrics[0].hosts.items()
    }
    fabrics = (
        one.fabrics[0],
        renamed(other, "b"),
        msgspec.structs.replace(store.fabrics[0], name="ib9", switches=switches, hosts=hosts),
    )
    assert check(Site(fabrics)) == []


def renamed(site: Site, letter: str) -> object:
    """The fabric of a site with a letter before the names of its switches."""
    fabric = site.fabrics[0]
    return msgspec.structs.replace(
        fabric,
        name=f"{letter}{fabric.name}",
        switches={
            f"{letter}{name}": msgspec.structs.replace(one, name=f"{letter}{name}")
            for name, one in fabric.switches.items()
        },
        hosts={
            name: msgspec.structs.replace(
                host,
                endpoints=tuple(
                    msgspec.structs.replace(point, switch=f"{letter}{point.switch}") for point in host.endpoints
                ),
            )
            for name, host in fabric.hosts.items()
        },
        trunks=tuple(
            msgspec.structs.replace(trunk, a=f"{letter}{trunk.a}", b=f"{letter}{trunk.b}") for trunk in fabric.trunks
        ),
    )


def test_nodes_without_fabric_and_hosts_that_are_no_nodes():
    site = fat_tree(TWO_TIERS)
    nodes = {f"n{number:04}" for number in range(1, 64)} | {"cloud1", "N64.example.org"}
    found = {one.code: one for one in check(site, nodes=nodes)}
    assert set(found) == {"node-without-fabric", "host-without-node"}
    assert found["node-without-fabric"].evidence["nodes"] == "N64.example.org,cloud1"
    assert found["node-without-fabric"].evidence["alike"] == ("N64.example.org = n0064",)
    assert found["host-without-node"].severity is Severity.NOTE
    assert check(site, nodes=site.fabrics[0].hosts) == []


def test_names_guids_and_ports_that_two_have():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.rename_host("n0001", "leaf02")
    assert only(bench).code == "name-twice"
    bench = Bench(fat_tree(TWO_TIERS))
    bench.switches["leaf01"] = msgspec.structs.replace(bench.switches["leaf01"], guid=bench.switches["leaf02"].guid)
    assert only(bench).code == "guid-twice"
    bench = Bench(fat_tree(TWO_TIERS))
    bench.move_host("n0002", 0, "leaf01", 1)
    found = only(bench)
    assert (found.code, found.subject) == ("port-twice", "leaf01:1")
    assert "n0001" in found.text
    assert "n0002" in found.text


def test_notices_that_somebody_should_see_to_are_findings_once_each():
    site = msgspec.structs.replace(
        fat_tree(TWO_TIERS),
        notices=(
            Notice("adapter-without-name", "First.", 3, "aa"),
            Notice("adapter-without-name", "Second.", 4, "bb"),
            Notice("aggregation-nodes", "Left out."),
        ),
    )
    (found,) = check(site)
    assert (found.code, found.evidence["subjects"], found.text) == (
        "adapter-without-name", ("aa", "bb"), "First., and 1 more of this kind",
    )  # fmt: skip


def test_notices_are_all_counted_though_a_reader_tells_only_some_one_by_one():
    dump = dump_of(fat_tree(Shape(hosts=64, hosts_per_leaf=64)))
    nameless = {
        guid: msgspec.structs.replace(one, description="MT4123 Mellanox") for guid, one in dump.adapters.items()
    }
    site = assemble([msgspec.structs.replace(dump, adapters=nameless)], Naming(), None, {}, 0.0)
    assert len(site.notices) < 64
    assert summary(site).notices == {"adapter-without-name": 64}
    (found,) = check(site)
    assert found.evidence["count"] == 64
    assert found.text.endswith(", and 63 more of this kind")


def test_the_finding_of_notices_is_the_same_whatever_their_order():
    notices = [Notice("adapter-without-name", f"{name}.", line, name) for line, name in enumerate("cab")]
    site = fat_tree(TWO_TIERS)
    found = [check(msgspec.structs.replace(site, notices=tuple(its))) for its in permutations(notices)]
    assert all(one == found[0] for one in found)
    assert found[0][0].text == "a., and 2 more of this kind"


def test_a_spine_that_half_of_the_leaves_miss_is_told_once_and_says_of_whom_what_is_usual():
    bench = Bench(fat_tree(TRUNKED))
    for leaf in ("leaf04", "leaf05", "leaf06"):
        for trunk in bench.between(leaf, "spine03"):
            bench.unplug(trunk)
    found = only(bench)
    assert (found.code, found.subject, found.evidence["count"]) == ("cable-missing", "spine03", 6)
    assert found.text.endswith("; by what is usual in this fabric leaf04 has 2 to spine03")


def test_names_of_a_large_fabric_are_looked_at_once_however_many_small_ones_there_are():
    bench = Bench(fat_tree(PODS))
    large = bench.site()
    (small,) = fat_tree(Shape(hosts=1, hosts_per_leaf=1)).fabrics

    def looked_at(count: int) -> int:
        switch = small.switches["leaf01"]
        names = [f"alone{number}" for number in range(count)]
        many = [
            msgspec.structs.replace(
                small,
                name=f"ib{number}",
                hosts={},
                switches={name: msgspec.structs.replace(switch, name=name, guid=f"{number:016x}")},
            )
            for number, name in enumerate(names, 1)
        ]
        seen: Counter[str] = Counter()
        digits = survey._DIGITS

        class Counting:
            def sub(self, by: str, name: str) -> str:
                seen[name] += 1
                return digits.sub(by, name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(survey, "_DIGITS", Counting())
            check(msgspec.structs.replace(large, fabrics=(*large.fabrics, *many)), only=["parts"])
        return seen["leaf01"]

    assert 0 < looked_at(30) <= looked_at(3)


def test_codes_can_be_ignored_and_checks_chosen():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.unplug(bench.trunks[0])
    site = bench.site()
    assert codes(site, settings=Settings(ignore=frozenset({"cable-missing"}))) == []
    assert codes(site, only=["speeds"]) == []
    assert codes(site, only=["cabling"]) == ["cable-missing"]
    with pytest.raises(KeyError):
        check(site, only=["nothing"])
    assert "cabling" in CHECKS


def test_exit_codes_for_ci():
    def of(*severities: Severity) -> list[Finding]:
        return [Finding("x", one, "s", "t") for one in severities]

    assert exit_code([]) == exit_code(of(Severity.NOTE)) == exit_code(of(Severity.NOTE), strict=True) == 0
    assert exit_code(of(Severity.NOTE, Severity.WARNING)) == 0
    assert exit_code(of(Severity.NOTE, Severity.WARNING), strict=True) == 1
    assert exit_code(of(Severity.WARNING, Severity.ERROR)) == 2


def test_findings_come_worst_first_and_in_the_same_order_each_time():
    bench = Bench(fat_tree(TWO_TIERS))
    bench.plug("leaf03", "spine02")
    bench.unplug(bench.between("leaf01", "spine01")[0])
    bench.plug("leaf02", "leaf05")
    found = check(bench.site())
    assert [one.severity for one in found] == [Severity.ERROR, Severity.WARNING, Severity.NOTE]
    assert check(bench.site()) == found


@settings(deadline=None, max_examples=examples(60))
@given(st.sampled_from([TWO_TIERS, PODS, RAILS]), st.integers(1, 3), st.data())
def test_several_pulled_cables_are_all_told(shape, count, data):
    bench = Bench(fat_tree(shape))
    pulled = st.lists(st.sampled_from(bench.trunks), min_size=count, max_size=count, unique_by=lambda one: one.a)
    trunks = data.draw(pulled)
    for trunk in trunks:
        bench.unplug(trunk)
    found = [one for one in check(bench.site(tiers=True)) if one.code == "cable-missing"]
    assert sum(int(str(one.evidence["count"])) for one in found) == count
    assert {link for one in found for link in one.links} == {(trunk.a, trunk.b) for trunk in trunks}


def site_of(name: str) -> Site:
    return assemble([ibnetdiscover.read(real(name), name)], Naming(), None, {}, 0.0)


def test_the_one_cable_that_a_real_cluster_lacks_is_found():
    found = check(site_of("loginoff-stage-144hca.ibnetdiscover"))
    assert [(one.code, one.severity, one.subject) for one in found] == [
        ("cable-missing", Severity.WARNING, "ib1"),
        ("host-above-leaves", Severity.NOTE, "ib7"),
    ]
    assert found[0].evidence["missing"] == ("ib1:25 - ib8",)


def test_the_cables_that_a_real_storage_network_lacks_are_found_with_their_ports():
    found = check(site_of("ufm-selene.storage.ibnetdiscover.gz"))
    assert {one.code for one in found} == {"adapter-without-name", "cable-missing", "speeds-mixed"}
    missing = [cable for one in found if one.code == "cable-missing" for cable in one.evidence["missing"]]
    assert len(missing) == 9  # 64 leaves and 64 spines should have 16 cables up each: 2,048 and not 2,039
    assert "SLG01-09:29 - SSPINE1-05:9" in missing


@pytest.mark.parametrize("name", ["jabl-2.ibnetdiscover", "jabl-3.ibnetdiscover", "ufm-small_topo.ibnetdiscover"])
def test_small_real_fabrics_have_no_findings_about_cables(name):
    assert {one.code for one in check(site_of(name))} <= {"self-loop", "speeds-mixed", "tool-complained"}


def ring(count: int, *, closed: bool = True) -> Site:
    """Leaves one after the other, with four hosts each."""
    bench = Bench(fat_tree(Shape(hosts=4 * count, hosts_per_leaf=4, spines=1)))
    bench.remove_switch("spine01")
    names = sorted(bench.switches)
    for one, other in zip(names, [*names[1:], *names[:1]][: count if closed else count - 1], strict=False):
        bench.plug(one, other)
    return bench.site(tiers=True)


def test_a_ring_of_leaves_is_no_wrong_tree():
    assert codes(ring(6)) == []


def test_a_chain_of_leaves_has_single_points_in_the_middle_and_nothing_else():
    found = check(ring(5, closed=False))
    assert {(one.code, one.subject) for one in found} == {("switch-single-point", f"leaf0{n}") for n in (2, 3, 4)}
    assert {one.subject: one.evidence["cut_off"] for one in found}["leaf02"] == "leaf01"


def test_a_leaf_of_storage_with_fewer_cables_up_is_meant_to_be_so():
    bench = Bench(fat_tree(TWO_TIERS))
    for number in range(1, 4):
        name = f"store{number}"
        bench.switches[name] = msgspec.structs.replace(bench.switches["leaf01"], name=name, guid=bench.guid())
        bench.plug(name, "spine01")
        bench.plug(name, "spine02")
        bench.hosts[f"oss{number}"] = [
            msgspec.structs.replace(bench.hosts["n0001"][0], adapter=bench.guid(), switch=name)
        ]
        bench.roles[f"oss{number}"] = Role.STORAGE
    assert codes(bench.site(tiers=True)) == []


def test_pairs_of_leaves_that_share_hosts_are_no_fault_and_a_host_on_one_of_them_is():
    bench = Bench(fat_tree(Shape(hosts=64, hosts_per_leaf=8, spines=4, rails=2)))
    for number in (1, 3, 5, 7):
        for _ in range(2):
            bench.plug(f"leaf0{number}", f"leaf0{number + 1}")
    for index, host in enumerate(sorted(bench.hosts)):
        for rail in (0, 1):
            bench.move_host(host, rail, f"leaf0{index // 16 * 2 + 1 + rail}")
    assert codes(bench.site(tiers=True)) == []
    bench.unplug_host("n0005", 1)
    found = only(bench)
    assert (found.code, found.subject, found.links) == ("rail-missing", "n0005", (("n0005", "leaf02"),))


def dragonfly() -> Bench:
    """Groups of four leaves and four spines; each spine has a cable to its like in each other group."""
    bench = Bench(fat_tree(Shape(hosts=128, hosts_per_leaf=4, spines=4, cores=1, pods=8)))
    bench.remove_switch("core01")
    for group in range(8):
        for other in range(group + 1, 8):
            for spine in range(1, 5):
                bench.plug(f"spine{group * 4 + spine:02}", f"spine{other * 4 + spine:02}")
    return bench


def test_a_dragonfly_is_no_wrong_tree_and_a_cable_that_it_lacks_is_found():
    bench = dragonfly()
    assert codes(bench.site(tiers=True)) == []
    bench.unplug(bench.between("spine01", "spine05")[0])
    found = only(bench)
    assert (found.code, found.links) == ("cable-missing", (("spine01", "spine05"),))


def test_a_torus_of_leaves_is_no_wrong_tree():
    bench = Bench(fat_tree(Shape(hosts=64, hosts_per_leaf=4, spines=1)))
    bench.remove_switch("spine01")
    for row in range(4):
        for column in range(4):
            own = f"leaf{row * 4 + column + 1:02}"
            bench.plug(own, f"leaf{row * 4 + (column + 1) % 4 + 1:02}")
            bench.plug(own, f"leaf{(row + 1) % 4 * 4 + column + 1:02}")
    assert codes(bench.site(tiers=True)) == []


def test_hosts_that_are_down_and_a_pod_that_is_not_full_are_no_fault():
    bench = Bench(fat_tree(TWO_TIERS))
    for number in range(26, 65):
        bench.remove_host(f"n{number:04}")
    assert codes(bench.site(tiers=True)) == []
    bench = Bench(fat_tree(PODS))
    for leaf in ("leaf14", "leaf15", "leaf16"):
        bench.remove_switch(leaf)
    assert codes(bench.site(tiers=True)) == []


@pytest.mark.parametrize(("switch", "few"), [("spine16", "leaf[13-16]"), ("core08", "spine[04,08,12,16]")])
def test_a_switch_that_is_not_there_at_all_is_a_note_of_those_below_it(switch, few):
    bench = Bench(fat_tree(PODS))
    bench.remove_switch(switch)
    found = only(bench)
    assert (found.code, found.severity, found.subject) == ("uplinks-differ", Severity.NOTE, few)


@pytest.mark.thorough
def test_leaves_with_few_hosts_each_and_many_cables_do_not_take_long():
    site = fat_tree(Shape(hosts=4096, hosts_per_leaf=8, spines=32))
    begun = time.process_time()
    assert check(site) == []
    assert time.process_time() - begun < 8  # 0.4 s where nobody else is


def test_a_clos_of_which_only_who_hangs_on_what_is_known_has_no_warnings():
    columns = {"host": "{ip}", "switch": "{PSW}-{ASW}", "above": "{PSW}", "above2": "{DSW}"}
    dump = table.read(real("lingjun_topo.csv.gz", "traces"), "lingjun", columns, Network.ETHERNET)
    found = check(assemble([dump], Naming(), None, {}, 0.0))
    assert {one.severity for one in found} == {Severity.NOTE}
    assert {one.code for one in found} == {"tier-oversubscribed", "switch-single-point"}


def test_every_code_that_the_checks_have_is_explained():
    sources = "".join(path.read_text() for path in Path(checks.__file__).parent.glob("*.py") if path.stem != "codes")
    used = {code for code in CODES if f'"{code}"' in sources}
    assert used == CODES.keys()
    assert NOTICES.keys() <= CODES.keys()


@st.composite
def tangles(draw: st.DrawFn) -> Site:
    """Switches and hosts that are cabled by chance; not all that there are hang together."""
    bench = Bench(fat_tree(draw(st.sampled_from([TWO_TIERS, PODS, RAILS, DIRECTOR]))))
    switches = sorted(bench.switches)
    for _ in range(draw(st.integers(1, 40))):
        kind = draw(st.sampled_from(["plug", "unplug", "replug", "host", "rail", "rate", "remove"]))
        one, other = draw(st.sampled_from(switches)), draw(st.sampled_from(switches))
        host = draw(st.sampled_from(sorted(bench.hosts)))
        if one == other or not bench.hosts[host] or not bench.trunks or not {one, other} <= bench.switches.keys():
            continue
        trunk = bench.trunks[draw(st.integers(0, len(bench.trunks) - 1))]
        if kind == "plug":
            bench.plug(one, other, draw(st.sampled_from([0.0, 50.0, 200.0])))
        elif kind == "unplug":
            bench.unplug(trunk)
        elif kind == "replug" and one not in (trunk.a, trunk.b):
            bench.replug(trunk, trunk.b, one)
        elif kind == "host":
            bench.move_host(host, 0, one)
        elif kind == "rail":
            bench.unplug_host(host, 0)
        elif kind == "rate":
            bench.rate(trunk, 25.0)
        elif kind == "remove" and len(bench.switches) > 4:
            bench.remove_switch(one)
    return bench.site(tiers=True)


@settings(deadline=None, max_examples=examples(80), suppress_health_check=[HealthCheck.too_slow])
@given(tangles())
def test_whatever_is_cabled_by_chance_can_be_checked_drawn_and_shown(site):
    found = check(site, nodes=["n0001", "x9"])
    assert {one.code for one in found} <= CODES.keys()
    names = {name for fabric in site.fabrics for name in (*fabric.switches, *fabric.hosts)}
    for one in found:
        if one.code != "node-without-fabric":
            assert {name for link in one.links for name in link} <= names
    ET.fromstring(picture(site, found))
    assert tree(site)
    assert diff(site, site) == []
