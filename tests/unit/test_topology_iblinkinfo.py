from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.fabric import Dump, FabricError
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers import iblinkinfo, ibnetdiscover
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_texts import as_iblinkinfo
from tests.conftest import examples

from .fabrics import bare

RECORDED = Path(__file__).parent / "data" / "ibsim"
SIMULATED = fat_tree(Shape(12, 4, spines=2, rails=2))


def read(text: str) -> Dump:
    return iblinkinfo.read(text.encode(), "links")


def small(*, line: bool) -> str:
    return as_iblinkinfo(dump_of(fat_tree(Shape(5, 2, spines=2))), line=line)


@pytest.mark.parametrize("name", ["ibnetdiscover.txt", "ibnetdiscover-g.txt"])
def test_what_the_real_ibnetdiscover_says_of_a_simulated_tree_is_the_tree(name):
    dump = ibnetdiscover.read((RECORDED / name).read_bytes(), name)
    assert assemble([dump], Naming(), None, {}, 0.0) == SIMULATED


@pytest.mark.parametrize("name", ["iblinkinfo.txt", "iblinkinfo-l.txt", "iblinkinfo-l-switches-only.txt"])
def test_what_the_real_iblinkinfo_says_of_a_simulated_tree_is_the_tree(name):
    dump = iblinkinfo.read((RECORDED / name).read_bytes(), name)
    (fabric,) = assemble([dump], Naming(), None, {}, 0.0).fabrics
    (whole,) = SIMULATED.fabrics
    assert dump.notices == ()
    assert (fabric.switches, fabric.trunks) == (whole.switches, whole.trunks)

    def cabled(hosts):
        return {
            host.name: [(p.rail, p.port, p.switch, p.switch_port, p.gbps) for p in host.endpoints]
            for host in hosts.values()
        }

    # Here an adapter goes by the GUID of its port, which is another one in the simulator.
    assert cabled(fabric.hosts) == cabled(whole.hosts)


@pytest.mark.parametrize("line", [False, True])
def test_what_terminals_do_to_a_text_changes_nothing(line):
    text = small(line=line)
    for dirty in (text.replace("\n", "\r\n"), text.rstrip(), text.replace("\n", "   \n\n"), f"\ufeff{text}"):
        assert bare(read(dirty)) == bare(read(text))


@pytest.mark.parametrize("line", [False, True])
def test_a_text_that_is_cut_at_any_line_is_refused(line):
    text = small(line=line).rstrip()
    lines = text.split("\n")
    # Switches come last: after all of them nothing more is known of.
    for length in range(1, len(lines)):
        with pytest.raises(FabricError):
            read("\n".join(lines[:length]))


def test_ports_that_are_down_are_counted_and_not_cabled():
    text = small(line=False)
    switch = text.index("Switch: ")
    down = '           7    9[  ] ==(                Down/ Polling)==>             [  ] "" ( )\n'
    first = text.index("\n", switch) + 1
    dump = read(text[:first] + down.replace("7", "1", 1) + text[first:])
    assert max(chip.ports for chip in dump.chips.values()) == 9
    assert dump.cables == read(text).cables


def test_additional_settings_and_other_speeds_are_read():
    text = small(line=True).replace("LinkUp)==>", "LinkUp) (HOQ:18 VL_Stall:7)==>")
    dump = read(text.replace("4X", "2X").replace("53.125 Gbps", "10.0 Gbps (FDR10)"))
    assert {(cable.lanes, cable.speed) for cable in dump.cables} == {(2, "FDR10")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("hello", "no port is in it"),
        ('      1    1[  ] ==( 4X 53.125 Gbps Active/  LinkUp)==>       4    1[  ] "x" ( )', "below no node"),
        ("Switch: 0x12 x:", "no line of a port"),
        ("Switch: 0x0000000000000001 x:\n 1 1[ ] ==( 4X 5.0 Gbps Active/ LinkUp)==> hello", "no other end"),
        ("Switch: 0x0000000000000001 x:\nSwitch: 0x0000000000000001 y:", "another description"),
        (
            'Switch: 0x0000000000000001 x:\n 1 1[ ] ==( 4X 5.0 Gbps Active/ LinkUp)==> 2 1[ ] "y" ( )',
            "LID 2, which is not described",
        ),
    ],
)
def test_what_is_no_output_of_the_tool_is_refused(text, words):
    with pytest.raises(FabricError, match=words):
        read(text)


def test_a_port_that_stands_twice_is_refused_with_both_lines():
    lines = small(line=True).split("\n")
    with pytest.raises(FabricError, match="stands in line 1 already") as refused:
        read("\n".join([lines[0], *lines]))
    assert refused.value.line == 2


def test_two_nodes_that_cannot_be_told_apart_are_refused_with_the_way_out():
    text = small(line=False).replace("n0002 HCA-1", "n0001 HCA-1").replace("      7    1[", "      6    1[")
    with pytest.raises(FabricError, match="use iblinkinfo -l"):
        read(text)


@settings(max_examples=examples(150))
@given(st.data(), st.booleans())
def test_a_damaged_text_is_a_dump_that_holds_together_or_is_refused(data, line):
    text = small(line=line)
    for _ in range(data.draw(st.integers(1, 3))):
        lines = text.split("\n")
        at = data.draw(st.integers(0, len(lines) - 1))
        spot = data.draw(st.integers(0, len(lines[at])))
        new = data.draw(
            st.sampled_from([[], [lines[at]] * 2, [lines[at][:spot]], [lines[at][:spot] + "7" + lines[at]]])
        )
        text = "\n".join(lines[:at] + new + lines[at + 1 :])
    with contextlib.suppress(FabricError):
        dump = read(text)
        known = dump.chips.keys() | dump.adapters.keys()
        assert {guid for cable in dump.cables for guid in (cable.a, cable.b)} <= known


@pytest.mark.parametrize("what", ["[", "==(", '"', "0x", "1 ", ")==>"])
def test_a_line_without_end_takes_no_time(what):
    began = time.process_time()
    with contextlib.suppress(FabricError):
        read(f'{small(line=True)}0x0000000000000001 "{what * 20_000}')
    with contextlib.suppress(FabricError):
        read(f"{small(line=True)}1 1[ ] ==( {what * 20_000}")
    assert time.process_time() - began < 3
