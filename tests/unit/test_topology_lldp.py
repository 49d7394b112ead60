from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.fabric import Dump, FabricError, Network
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers import lldp
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_lldp import as_lldp

from .fabrics import bare, shapes


@given(shapes(Network.ETHERNET), st.booleans())
def test_what_all_machines_would_say_gives_back_the_tree(shape, json0):
    site = fat_tree(shape)
    dump = dump_of(site)
    found = lldp.read(as_lldp(dump, json0=json0).encode(), "twin")
    assert bare(found) == bare(dump)
    assert assemble([found], Naming(), None, {}, 0.0) == site


@given(shapes(Network.ETHERNET), st.booleans())
def test_hosts_alone_give_the_cables_of_hosts(shape, json0):
    dump = dump_of(fat_tree(shape))
    found = lldp.read(as_lldp(dump, json0=json0, switches=False).encode(), "twin")
    assert found.cables == tuple(one for one in dump.cables if not {one.a, one.b} <= dump.chips.keys())
    assert found.notices == ()


def neighbour(name="leaf1", port="swp1", kind="ifname", mac="0c:42:a1:00:00:01", **chassis):
    return {
        "chassis": {name: {"id": {"type": "mac", "value": mac}, **chassis}},
        "port": {"id": {"type": kind, "value": port}, "descr": "x0"},
    }


def answer(**interfaces):
    return {"lldp": {"interface": [{name: told} for name, told in interfaces.items()]}}


def read(document) -> Dump:
    return lldp.read(json.dumps(document).encode(), "lldp.json")


def test_answers_may_be_strings_as_other_tools_collect_them():
    plain = {"n1": answer(eth0=neighbour())}
    assert read({name: json.dumps(told) for name, told in plain.items()}) == read(plain)


def test_a_list_of_answers_is_the_same_as_an_object():
    assert read([{"host": "n1", **answer(eth0=neighbour())}]) == read({"n1": answer(eth0=neighbour())})


def test_a_host_with_containers_that_only_a_switch_sees_is_a_host():
    docker = [{"type": "Bridge", "enabled": True}, {"type": "Router", "enabled": True}]
    seen = neighbour("n7", "0c:42:a1:00:00:07", "mac", capability=docker)
    other = neighbour("spine1", "swp9", mac="0c:42:a1:00:00:99", capability=docker)
    dump = read({"switches": {"leaf1": answer(swp1=seen, swp2=other)}})
    assert {chip.description for chip in dump.chips.values()} == {"leaf1", "spine1"}
    assert list(dump.neighbours.values()) == ["n7"]


def test_a_second_neighbour_on_an_interface_is_a_notice():
    dump = read({"n1": {"lldp": {"interface": [{"eth0": neighbour()}, {"eth0": neighbour("leaf2", "swp5", mac="")}]}}})
    assert [notice.code for notice in dump.notices] == ["several-neighbours"]
    assert len(dump.cables) == 1


def test_a_neighbour_without_a_name_and_a_port_is_a_notice():
    dump = read({"n1": answer(eth0=neighbour(), eth1={"chassis": {}, "port": {}})})
    assert [(notice.code, notice.subject) for notice in dump.notices] == [("neighbour-unread", "n1")]


def test_a_switch_without_a_name_is_known_by_its_address():
    told = {"chassis": {"id": {"type": "mac", "value": "0C:42:A1:00:00:01"}}, "port": {"id": {"value": "swp3"}}}
    (chip,) = read({"n1": answer(eth0=told)}).chips.values()
    assert (chip.guid, chip.description) == ("0c42a1000001", "0C:42:A1:00:00:01")


def test_speeds_are_taken_from_what_the_port_negotiated():
    for words, speed in {"100GbaseCR4": "100G", "1000BaseTFD - Four-pair": "1G", "10GigBaseLR": "10G", "x": ""}.items():
        told = neighbour()
        told["port"]["auto-negotiation"] = {"current": words}
        (cable,) = read({"n1": answer(eth0=told)}).cables
        assert cable.speed == speed


def test_the_ports_by_which_switches_are_managed_join_no_fabrics():
    switches = {
        f"leaf{number}": answer(swp1=neighbour("n1", f"x{number}"), eth0=neighbour("mgmt", f"swp{number}", mac="x"))
        for number in (1, 2)
    }
    dump = read({"hosts": {}, "switches": switches})
    assert [chip.description for chip in dump.chips.values()] == ["leaf1", "leaf2"]
    assert [notice.code for notice in dump.notices] == ["management-ports"]
    assert len(assemble([dump], Naming(), None, {}, 0.0).fabrics) == 2


@pytest.mark.parametrize(
    ("name", "number"),
    [("swp12", 12), ("Ethernet1/12", 12), ("Ethernet2/12", 2012), ("swp1s2", 1002), ("Eth1/12/3", 12003), ("mgmt", 0)],
)
def test_a_port_has_a_number_by_its_name(name, number):
    assert lldp.port_number(name) == number


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "no answers"),
        ([], "no answers"),
        ({"n1": {}}, "answer of n1"),
        ({"n1": "{"}, "answer of n1 is no JSON"),
        ({"n1": {"lldp": {}}}, "no neighbour"),
        ({"hosts": {"x": answer()}, "switches": {"x": answer()}}, "host and a switch"),
        ([{"host": "n1", **answer()}, {"host": "n1", **answer()}], "twice"),
        ({"n1": answer(e0=neighbour(), e1=neighbour(mac="0c:42:a1:00:00:02"))}, "both called leaf1"),
        ({"n1": answer(e0=neighbour()), "n2": answer(e0=neighbour(port="Eth1"))}, "one number"),
    ],
)
def test_what_is_no_such_document_is_refused_with_the_reason(document, words):
    with pytest.raises(FabricError, match=rf"^lldp.json: .*{words}"):
        read(document)


def test_broken_json_is_refused_with_its_line():
    text = as_lldp(dump_of(fat_tree(Shape(4, 4, network=Network.ETHERNET))))
    with pytest.raises(FabricError) as refused:
        lldp.read(text[: len(text) // 2].encode(), "lldp.json")
    assert refused.value.line == text[: len(text) // 2].count("\n") + 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["lldp", "interface", "chassis", "port", "id", "value", "type", "name", "hosts", "n1"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_any_json_is_a_dump_or_refused(document):
    try:
        dump = read(document)
    except FabricError:
        return
    assert dump.cables or dump.notices
