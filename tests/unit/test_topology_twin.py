from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.fabric import Network
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers import iblinkinfo, ibnetdiscover
from hpcjobs_plugins.topology.rates import GBPS_PER_LANE, WIDTHS, gbps, words
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_texts import as_iblinkinfo, as_ibnetdiscover, as_ibsim

from .fabrics import bare, shapes


def test_a_rail_optimised_tree_has_each_rail_of_a_unit_on_a_leaf_of_its_own():
    (fabric,) = fat_tree(Shape(32, 16, spines=4, rails=8, rail_optimised=True)).fabrics
    for host in fabric.hosts.values():
        assert [point.rail for point in host.endpoints] == list(range(8))
        assert len(host.leaves) == 8
    units = {host.leaves for host in fabric.hosts.values()}
    assert len(units) == 2
    assert not set.intersection(*map(set, units))


def test_a_plain_tree_has_all_rails_of_a_host_on_one_leaf():
    (fabric,) = fat_tree(Shape(32, 16, spines=4, rails=8)).fabrics
    assert all(len(host.leaves) == 1 for host in fabric.hosts.values())


def test_a_tree_has_the_switches_and_cables_that_its_shape_says():
    (fabric,) = fat_tree(Shape(512, 16, spines=4, cores=8, tops=4, pods=4, zones=2, trunks=2)).fabrics
    assert Counter(switch.tier for switch in fabric.switches.values()) == {1: 32, 2: 32, 3: 16, 4: 4}
    # leaf to spine: 32 x 4; spine to core: 2 cores of its plane; core to top: the one of its plane; all twice.
    assert len(fabric.trunks) == 2 * (32 * 4 + 32 * 2 + 16 * 1)
    assert not any(fabric.switches[trunk.a].tier + 1 != fabric.switches[trunk.b].tier for trunk in fabric.trunks)


def test_no_port_has_two_cables():
    (fabric,) = fat_tree(Shape(100, 9, spines=3, cores=4, pods=3, rails=2, adapter_ports=2)).fabrics
    ports = Counter((trunk.a, trunk.a_port) for trunk in fabric.trunks)
    ports.update((trunk.b, trunk.b_port) for trunk in fabric.trunks)
    ports.update((point.switch, point.switch_port) for host in fabric.hosts.values() for point in host.endpoints)
    assert set(ports.values()) == {1}
    assert all(port <= fabric.switches[name].ports for name, port in ports)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(0),
        Shape(32, 16),
        Shape(32, 16, spines=2, pods=2),
        Shape(32, 16, spines=2, cores=2, zones=2),
        Shape(64, 16, spines=2, cores=2, pods=3),
        Shape(32, 16, spines=2, cores=2, director="x"),
    ],
)
def test_a_shape_that_would_not_hang_together_is_refused(shape):
    with pytest.raises(ValueError, match=r"^(a|several) "):
        fat_tree(shape)


def test_a_seed_moves_guids_and_nothing_else():
    one, other = (fat_tree(Shape(32, 16, spines=2, seed=seed)).fabrics[0] for seed in (1, 2))
    assert one.switches.keys() == other.switches.keys()
    assert {switch.guid for switch in one.switches.values()}.isdisjoint(
        switch.guid for switch in other.switches.values()
    )
    assert [(t.a, t.a_port, t.b, t.b_port) for t in one.trunks] == [
        (t.a, t.a_port, t.b, t.b_port) for t in other.trunks
    ]


@given(st.sampled_from(WIDTHS), st.sampled_from(sorted(GBPS_PER_LANE)))
def test_the_words_for_a_rate_give_back_the_rate(lanes, speed):
    assert gbps(*words(gbps(lanes, speed))) == gbps(lanes, speed)


def test_rates_are_those_that_links_are_sold_by_where_coding_is_left_out():
    assert [gbps(4, speed) for speed in ("SDR", "DDR", "QDR", "FDR10", "EDR", "HDR", "NDR", "XDR")] == [
        8, 16, 32, 40, 100, 200, 400, 800
    ]  # fmt: skip
    assert 54 < gbps(4, "FDR") < 56
    assert gbps(2, "HDR") == 100
    assert gbps(0, "100G") == 100
    assert gbps(4, "???") == gbps(0, "") == 0


def _sites(shape: Shape):
    site = fat_tree(shape)
    return site, dump_of(site)


@given(shapes())
def test_what_ibnetdiscover_would_print_of_a_tree_gives_back_the_tree(shape):
    site, dump = _sites(shape)
    found = ibnetdiscover.read(as_ibnetdiscover(dump).encode(), "twin")
    assert bare(found) == bare(dump)
    assert assemble([found], Naming(), None, {}, 0.0) == site


@given(shapes(), st.booleans())
def test_what_iblinkinfo_would_print_of_a_tree_gives_back_the_tree(shape, line):
    shape = msgspec.structs.replace(shape, adapter_ports=1, director="")
    site, dump = _sites(shape)
    found = iblinkinfo.read(as_iblinkinfo(dump, line=line).encode(), "twin")
    assert bare(found) == bare(dump, systems=False)
    assert assemble([found], Naming(), None, {}, 0.0) == site


def test_the_text_for_ibsim_names_each_switch_and_adapter_once_and_each_cable_twice():
    site = fat_tree(Shape(64, 16, spines=4, rails=2))
    (fabric,) = site.fabrics
    lines = as_ibsim(site).splitlines()
    assert sum(line.startswith("Switch") for line in lines) == 8
    assert sum(line.startswith("Ca") for line in lines) == 128
    assert sum(line.startswith("[") for line in lines) == 2 * (len(fabric.trunks) + 128)
    assert {line.partition("=")[2] for line in lines if line.startswith("switchguid")} == {
        f"0x{switch.guid}" for switch in fabric.switches.values()
    }


def test_an_ethernet_tree_has_mac_addresses_and_says_the_names_of_hosts():
    dump = dump_of(fat_tree(Shape(4, 2, spines=1, network=Network.ETHERNET)))
    assert {len(guid) for guid in (*dump.chips, *dump.adapters)} == {12}
    assert set(dump.neighbours.values()) == {"n0001", "n0002", "n0003", "n0004"}
