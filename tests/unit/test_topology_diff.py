"""What changed between two discoveries, told of twins that were edited."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.changes import CODES, Change
from hpcjobs_plugins.topology.diff import diff
from hpcjobs_plugins.topology.fabric import Notice, Role, Site
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers import ibnetdiscover
from hpcjobs_plugins.topology.twin import Shape, fat_tree
from tests.conftest import examples

from .fabric_edits import Bench
from .fabrics import real

SHAPES = (
    Shape(hosts=32, hosts_per_leaf=4, spines=4),
    Shape(hosts=64, hosts_per_leaf=4, spines=4, cores=8, pods=4),
    Shape(hosts=16, hosts_per_leaf=4, spines=4, rails=4, rail_optimised=True),
    Shape(hosts=24, hosts_per_leaf=6, spines=5, trunks=2, rails=2),
)


def told(before: Site, after: Site) -> list[tuple[str, str]]:
    return [(one.code, one.subject) for one in diff(before, after)]


def only(before: Site, after: Site) -> Change:
    (one,) = diff(before, after)
    return one


@pytest.fixture
def site() -> Site:
    return fat_tree(SHAPES[0])


@pytest.fixture
def bench(site) -> Bench:
    return Bench(site)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_site_does_not_differ_from_itself(shape):
    assert diff(fat_tree(shape), fat_tree(shape)) == []


def test_time_notices_and_rail_numbers_are_no_change(site):
    other = msgspec.structs.replace(site, found_at=5.0, notices=(Notice("odd", "Odd."),))
    assert diff(site, other) == []


def test_a_leaf_that_vanished_is_one_change_with_its_hosts(site, bench):
    bench.remove_switch("leaf02")
    change = only(site, bench.site())
    assert (change.code, change.subject, change.cables) == ("switch-gone", "leaf02", 4)
    assert change.members == ("n0005", "n0006", "n0007", "n0008")
    assert change.text == "Switch leaf02 is gone, and with it n[0005-0008] (4 hosts) and 4 cables between switches"


def test_a_leaf_that_came_back_is_one_change(site, bench):
    bench.remove_switch("leaf02")
    assert told(bench.site(), site) == [("switch-came", "leaf02")]


def test_a_host_on_another_leaf_is_one_change_with_from_and_to(site, bench):
    bench.move_host("n0001", 0, "leaf03", 40)
    change = only(site, bench.site())
    assert (change.code, change.subject, change.was, change.now) == ("node-moved", "n0001", "leaf01:1", "leaf03:40")


def test_a_host_all_of_whose_rails_moved_is_one_change():
    site = fat_tree(SHAPES[2])
    bench = Bench(site)
    for rail in range(4):
        bench.move_host("n0001", rail, f"leaf{5 + rail:02d}", 50)
    change = only(site, bench.site())
    assert change.was == "leaf01:1, leaf02:1, leaf03:1, leaf04:1"
    assert change.now == "leaf05:50, leaf06:50, leaf07:50, leaf08:50"


def test_two_hosts_with_crossed_cables_are_two_moves(site, bench):
    bench.move_host("n0001", 0, "leaf02", 1)
    bench.move_host("n0005", 0, "leaf01", 1)
    assert told(site, bench.site()) == [("node-moved", "n0001"), ("node-moved", "n0005")]


def test_hosts_that_moved_off_a_leaf_before_it_went_are_told_as_moved(site, bench):
    bench.move_host("n0005", 0, "leaf03")
    bench.remove_switch("leaf02")
    changes = {one.subject: one for one in diff(site, bench.site())}
    assert changes["leaf02"].members == ("n0006", "n0007", "n0008")
    assert changes["n0005"].code == "node-moved"
    assert len(changes) == 2


def test_a_switch_with_another_guid_and_the_same_cables_was_replaced(site, bench):
    guid = bench.replace_switch("spine02")
    change = only(site, bench.site())
    assert (change.code, change.subject) == ("switch-replaced", "spine02")
    assert guid in change.now


def test_a_switch_named_by_its_guid_was_replaced_too(site, bench):
    bench.replace_switch("leaf02")
    bench.rename_switch("leaf02", "S-0001")
    assert told(site, bench.site()) == [("switch-replaced", "S-0001")]


def test_a_switch_of_the_same_name_with_other_neighbours_is_another_one(site, bench):
    bench.remove_switch("leaf02")
    bench.remove_switch("leaf03")
    other = Bench(site)
    other.remove_switch("leaf02")
    other.remove_switch("leaf03")
    other.switches["leaf02"] = msgspec.structs.replace(site.fabrics[0].switches["leaf02"], guid="f" * 16)
    other.plug("leaf02", "leaf07")
    other.hosts["x1"] = [msgspec.structs.replace(site.fabrics[0].hosts["n0005"].endpoints[0], adapter="e" * 16)]
    other.roles["x1"] = Role.COMPUTE
    assert ("switch-gone", "leaf02") in told(site, other.site())
    assert ("switch-came", "leaf02") in told(site, other.site())


def test_two_switches_that_exchanged_names_are_renamed(site, bench):
    bench.rename_switch("leaf01", "tmp")
    bench.rename_switch("leaf02", "leaf01")
    bench.rename_switch("tmp", "leaf02")
    assert told(site, bench.site()) == [("switch-renamed", "leaf01"), ("switch-renamed", "leaf02")]


def test_two_hosts_that_exchanged_names_are_renamed(site, bench):
    bench.rename_host("n0001", "tmp")
    bench.rename_host("n0002", "n0001")
    bench.rename_host("tmp", "n0002")
    assert told(site, bench.site()) == [("node-renamed", "n0001"), ("node-renamed", "n0002")]


def test_an_adapter_in_the_same_port_was_swapped(site, bench):
    old = bench.hosts["n0003"][0].adapter
    new = bench.swap_adapter("n0003", 0)
    change = only(site, bench.site())
    assert (change.code, change.subject, change.was, change.now) == ("adapter-swapped", "n0003", old, new)


def test_an_adapter_in_another_host_has_moved():
    site = fat_tree(SHAPES[3])
    bench = Bench(site)
    point = bench.unplug_host("n0001", 1)
    bench.hosts["n0002"].append(point)
    change = only(site, bench.site())
    assert (change.code, change.was, change.now) == ("adapter-moved", "n0001", "n0002")


def test_crossed_trunks_are_two_moved_cables(site, bench):
    (first,), (second,) = bench.between("leaf01", "spine01"), bench.between("leaf02", "spine02")
    bench.replug(first, "spine01", "spine02", second.b_port)
    bench.replug(second, "spine02", "spine01", first.b_port)
    assert [code for code, _ in told(site, bench.site())] == ["cable-moved", "cable-moved"]


def test_a_chain_of_moved_cables_is_as_many_moves_as_there_were(site, bench):
    trunks = [bench.between("leaf01", f"spine0{number}")[0] for number in (1, 2, 3)]
    places = [(trunk.b, trunk.b_port) for trunk in trunks]
    for trunk, place in zip(trunks, [*places[1:], ("spine04", 99)], strict=True):
        bench.replug(trunk, trunk.b, *place)
    changes = diff(site, bench.site())
    assert [one.code for one in changes] == ["cable-moved"] * 3


def test_a_port_that_serves_another_host_is_a_moved_cable():
    site = fat_tree(SHAPES[3])
    bench = Bench(site)
    point = bench.unplug_host("n0001", 1)
    bench.hosts["n0002"].append(msgspec.structs.replace(point, adapter=bench.hosts["n0002"][0].adapter, port=2))
    change = only(site, bench.site())
    assert (change.code, change.was) == ("cable-moved", f"leaf01:{point.switch_port} - n0001")
    assert change.now == f"leaf01:{point.switch_port} - n0002"


def test_a_rail_that_was_pulled_and_one_that_was_plugged_are_told_by_host():
    site = fat_tree(SHAPES[2])
    bench = Bench(site)
    bench.unplug_host("n0002", 3)
    bench.unplug_host("n0002", 1)
    change = only(site, bench.site())
    assert (change.code, change.was, change.now) == ("node-unplugged", "leaf02:2, leaf04:2", "")
    change = only(bench.site(), site)
    assert (change.code, change.was, change.now) == ("node-plugged", "", "leaf02:2, leaf04:2")


def test_a_link_at_another_rate_is_a_change_only_if_both_rates_are_said(site, bench):
    (trunk,) = bench.between("leaf01", "spine01")
    bench.rate(trunk, 50.0)
    change = only(site, bench.site())
    assert (change.code, change.was, change.now) == ("link-rate", "200 Gbit/s", "50 Gbit/s")
    assert change.subject == f"leaf01:{trunk.a_port} - spine01:{trunk.b_port}"
    silent = Bench(site)
    silent.rate(trunk, 0.0)
    assert diff(site, silent.site()) == []


def test_a_role_that_changed_is_told(site, bench):
    bench.roles["n0001"] = Role.STORAGE
    change = only(site, bench.site())
    assert (change.code, change.was, change.now) == ("node-role", "compute", "storage")


def test_cables_that_change_tiers_are_told_with_the_switches_that_are_on_another_one_and_one_alone_changes_none():
    site = fat_tree(SHAPES[1])
    bench = Bench(site)
    bench.plug("leaf01", "core01")
    assert [one.code for one in diff(site, bench.site(tiers=True))] == ["cable-came"]
    for leaf in ("leaf01", "leaf02", "leaf03"):
        bench.plug(leaf, "core01")
    changes = diff(site, bench.site(tiers=True))
    assert [one.code for one in changes] == ["switch-tier", *["cable-came"] * (len(changes) - 1)]
    assert (changes[0].was, changes[0].now, changes[0].members) == ("3", "2", ("core01",))


def test_a_director_that_is_gone_or_replaced_is_one_change():
    site = fat_tree(Shape(hosts=16, hosts_per_leaf=4, spines=2, director="core1"))
    bench = Bench(site)
    for name in site.fabrics[0].switches:
        bench.replace_switch(name)
    assert told(site, bench.site()) == [("chassis-replaced", "core1")]
    bench = Bench(site)
    for name, switch in site.fabrics[0].switches.items():
        bench.switches[name] = msgspec.structs.replace(switch, chassis="core2")
        bench.rename_switch(name, name.replace("core1", "core2"))
    assert told(site, bench.site()) == [("chassis-renamed", "core2")]


def test_a_chip_of_a_director_that_is_gone_is_told_alone():
    site = fat_tree(Shape(hosts=16, hosts_per_leaf=4, spines=2, director="core1"))
    bench = Bench(site)
    bench.remove_switch("core1-S01-U1")
    assert told(site, bench.site()) == [("switch-gone", "core1-S01-U1")]


def test_a_fabric_that_is_gone_is_one_change():
    planes = fat_tree(Shape(hosts=8, hosts_per_leaf=8, rails=2, rail_optimised=True))
    assert len(planes.fabrics) == 2
    rest = msgspec.structs.replace(planes, fabrics=planes.fabrics[:1])
    (gone,) = diff(planes, rest)
    assert (gone.code, gone.subject, len(gone.members)) == ("fabric-gone", "ib1", 8)
    assert told(rest, planes) == [("fabric-came", "ib1")]
    assert told(msgspec.structs.replace(planes, fabrics=()), planes) == [("fabric-came", "ib0"), ("fabric-came", "ib1")]


def test_a_fabric_that_came_apart_is_told_with_its_parts(site):
    fabric = site.fabrics[0]
    bench = Bench(site)
    for trunk in list(bench.trunks):
        if trunk.a == "leaf08":
            bench.unplug(trunk)
    (rest,) = bench.site().fabrics
    alone = msgspec.structs.replace(
        rest,
        name="ib1",
        switches={"leaf08": fabric.switches["leaf08"]},
        hosts={name: host for name, host in fabric.hosts.items() if host.leaves == ("leaf08",)},
        trunks=(),
    )
    rest = msgspec.structs.replace(
        rest,
        switches={name: one for name, one in rest.switches.items() if name != "leaf08"},
        hosts={name: host for name, host in rest.hosts.items() if host.leaves != ("leaf08",)},
    )
    after = msgspec.structs.replace(site, fabrics=(rest, alone))
    changes = diff(site, after)
    assert [one.code for one in changes] == ["fabric-split"] + ["cable-gone"] * 4
    assert (changes[0].was, changes[0].now) == ("ib0", "ib0, ib1")
    assert diff(after, site)[0].code == "fabric-joined"


def test_a_fabric_with_another_name_is_renamed(site):
    other = msgspec.structs.replace(site, fabrics=(msgspec.structs.replace(site.fabrics[0], name="compute"),))
    assert told(site, other) == [("fabric-renamed", "compute")]


def domains(site: Site, **nodes: tuple[str, ...]) -> Site:
    return msgspec.structs.replace(site, domains=nodes)


def test_domains_that_came_went_and_were_renamed_are_told_once(site):
    before = domains(site, a=("n0001", "n0002"), b=("n0003", "n0004"))
    assert told(before, domains(site, a=("n0001", "n0002"))) == [("domain-gone", "b")]
    assert told(before, domains(site, a=("n0001", "n0002"), c=("n0003", "n0004"))) == [("domain-renamed", "c")]
    assert told(site, before) == [("domain-came", "a"), ("domain-came", "b")]


def test_a_node_in_another_domain_is_told(site):
    before = domains(site, a=("n0001", "n0002", "n0005"), b=("n0003", "n0004"))
    after = domains(site, a=("n0001", "n0002"), b=("n0003", "n0004", "n0005"))
    change = only(before, after)
    assert (change.code, change.subject, change.was, change.now) == ("node-domain", "n0005", "a", "b")
    change = only(before, domains(site, a=("n0001", "n0002"), b=("n0003", "n0004")))
    assert (change.was, change.now) == ("a", "no NVLink domain")


def test_a_node_that_is_gone_takes_its_place_in_the_domain_along(site, bench):
    before = domains(site, a=("n0001", "n0002"), b=("n0003", "n0004"))
    bench.remove_host("n0001")
    bench.rename_host("n0003", "n0900")
    after = domains(bench.site(), a=("n0002",), b=("n0900", "n0004"))
    assert told(before, after) == [("node-gone", "n0001"), ("node-renamed", "n0900")]


def test_switches_that_share_a_guid_are_told_apart_by_name(site, bench):
    bench.switches["leaf01"] = msgspec.structs.replace(bench.switches["leaf01"], guid=bench.switches["leaf02"].guid)
    twice = bench.site()
    assert diff(twice, twice) == []
    assert {code for code, _ in told(site, twice)} == {"switch-replaced"}


class Expected:
    """What was edited, as changes would tell it."""

    def __init__(self) -> None:
        self.changes: set[tuple[str, str, str, str]] = set()

    def add(self, code: str, subject: str, was: str = "", now: str = "") -> None:
        self.changes.add((code, subject, was, now))


def edit(data: st.DataObject, bench: Bench, used: set[str], expected: Expected) -> None:
    """One random edit of things that no other edit has touched."""
    switches = [name for name in bench.switches if name not in used]
    trunks = [one for one in bench.trunks if one.a not in used and one.b not in used]
    hosts = [
        name
        for name, points in bench.hosts.items()
        if points and name not in used and not any(point.switch in used for point in points)
    ]
    kinds = [
        "unplug", "replug", "plug", "rename-switch", "rename-host", "remove-switch", "remove-host", "move-host",
        "replace", "swap", "rate", "unplug-host",
    ]  # fmt: skip
    kind = data.draw(st.sampled_from(kinds))
    if kind in ("unplug", "replug", "rate"):
        if len(trunks) < 1:
            return
        trunk = data.draw(st.sampled_from(trunks))
        used.update((trunk.a, trunk.b))
        shown = f"{trunk.a}:{trunk.a_port} - {trunk.b}:{trunk.b_port}"
        if kind == "unplug":
            bench.unplug(trunk)
            expected.add("cable-gone", shown, shown)
        elif kind == "rate":
            bench.rate(trunk, 25.0)
            expected.add("link-rate", shown, "200 Gbit/s", "25 Gbit/s")
        else:
            others = [name for name in switches if name not in (trunk.a, trunk.b)]
            if not others:
                return
            other = data.draw(st.sampled_from(others))
            used.add(other)
            moved = bench.replug(trunk, trunk.b, other)
            now = f"{moved.a}:{moved.a_port} - {moved.b}:{moved.b_port}"
            expected.add("cable-moved", now, shown, now)
        return
    if kind == "plug":
        if len(switches) < 2:
            return
        one, other = sorted(data.draw(st.lists(st.sampled_from(switches), min_size=2, max_size=2, unique=True)))
        used.update((one, other))
        trunk = bench.plug(one, other)
        shown = f"{one}:{trunk.a_port} - {other}:{trunk.b_port}"
        expected.add("cable-came", shown, "", shown)
        return
    if kind in ("rename-switch", "remove-switch", "replace"):
        if not switches:
            return
        name = data.draw(st.sampled_from(switches))
        used.add(name)
        hung = {host for host, points in bench.hosts.items() if any(point.switch == name for point in points)}
        used.update(hung)
        if kind == "rename-switch":
            new = f"x{bench.port()}"
            bench.rename_switch(name, new)
            used.add(new)
            expected.add("switch-renamed", new, name, new)
        elif kind == "replace":
            old = bench.switches[name].guid
            new = bench.replace_switch(name)
            expected.add("switch-replaced", name, f"{name} ({old})", f"{name} ({new})")
        else:
            bench.remove_switch(name)
            expected.add("switch-gone", name, name)
        return
    if not hosts:
        return
    host = data.draw(st.sampled_from(hosts))
    points = bench.hosts[host]
    used.add(host)
    used.update(point.switch for point in points)
    rail = data.draw(st.integers(0, len(points) - 1))
    places = sorted((point.switch, point.switch_port) for point in points)
    point = points[rail]
    if kind == "rename-host":
        new = f"y{bench.port()}"
        bench.rename_host(host, new)
        used.add(new)
        expected.add("node-renamed", new, host, new)
    elif kind == "remove-host":
        bench.remove_host(host)
        expected.add("node-gone", host, ", ".join(f"{one.switch}:{one.switch_port}" for one in points))
    elif kind == "swap":
        new = bench.swap_adapter(host, rail)
        expected.add("adapter-swapped", host, point.adapter, new)
    elif kind == "unplug-host":
        if len(points) < 2:
            return
        bench.unplug_host(host, rail)
        place = f"{point.switch}:{point.switch_port}"
        expected.add("node-unplugged", host, place)
    else:
        others = [name for name in switches if name not in {name for name, _ in places}]
        if not others:
            return
        other = data.draw(st.sampled_from(others))
        used.add(other)
        moved = bench.move_host(host, rail, other)
        expected.add("node-moved", host, f"{point.switch}:{point.switch_port}", f"{moved.switch}:{moved.switch_port}")


@settings(deadline=None, max_examples=examples(150))
@given(st.sampled_from(SHAPES), st.integers(1, 4), st.data())
def test_random_edits_are_told_exactly_and_backwards_too(shape, edits, data):
    before = fat_tree(shape)
    bench, used, expected = Bench(before), set(), Expected()
    for _ in range(edits):
        edit(data, bench, used, expected)
    after = bench.site()
    forward, backward = diff(before, after), diff(after, before)
    assert {(one.code, one.subject, one.was, one.now) for one in forward} == expected.changes
    assert len(forward) == len(expected.changes)
    assert sorted(mirrored(one) for one in forward) == sorted(
        (one.code, one.was, one.now, one.members, one.cables) for one in backward
    )


def mirrored(one: Change) -> tuple[str, str, str, tuple[str, ...], int]:
    """What the same change is called with before and after exchanged."""
    code = one.code
    for word, other in (("-came", "-gone"), ("-plugged", "-unplugged"), ("-split", "-joined")):
        if code.endswith((word, other)):
            code = code.replace(word, "!").replace(other, word).replace("!", other)
    return code, one.now, one.was, one.members, one.cables


def test_changes_come_in_the_order_of_their_codes_then_as_people_count(site, bench):
    bench.remove_host("n0010")
    bench.remove_host("n0009")
    bench.rename_switch("spine01", "a10")
    bench.rename_switch("spine02", "a9")
    changes = diff(site, bench.site())
    assert [one.subject for one in changes] == ["a9", "a10", "n0009", "n0010"]
    assert [CODES.index(one.code) for one in changes] == sorted(CODES.index(one.code) for one in changes)


def test_of_a_real_network_one_leaf_less_is_one_change():
    dump = ibnetdiscover.read(real("ufm-selene.storage.ibnetdiscover.gz"), "selene")

    def site(left_out: str = "") -> Site:
        chips = {guid: chip for guid, chip in dump.chips.items() if guid != left_out}
        cables = tuple(cable for cable in dump.cables if left_out not in (cable.a, cable.b))
        return assemble([msgspec.structs.replace(dump, chips=chips, cables=cables)], Naming(), None, {}, 0.0)

    before = site()
    change = only(before, site(before.fabrics[0].switches["SLG01-14"].guid))
    assert (change.code, change.subject, change.cables) == ("switch-gone", "SLG01-14", 16)
    assert "ai400x-[005-016] (12 hosts)" in change.text
