from __future__ import annotations

import contextlib
import re
import time
from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs_plugins.topology.fabric import Dump, FabricError, Network
from hpcjobs_plugins.topology.providers import ibnetdiscover
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_texts import as_ibnetdiscover
from tests.conftest import examples

from .fabrics import bare, real

SMALL = Shape(6, 2, spines=2, rails=2)


def read(text: str | bytes) -> Dump:
    return ibnetdiscover.read(text.encode() if isinstance(text, str) else text, "net")


def small() -> str:
    return as_ibnetdiscover(dump_of(fat_tree(SMALL)))


def codes(dump: Dump) -> Counter[str]:
    return Counter(notice.code for notice in dump.notices)


def line_of(text: str, words: str) -> int:
    """The first line that has these words, from 1."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if words in line)


# Real fabrics. Counts are those of grep over the files.


@pytest.mark.parametrize(
    ("name", "chips", "adapters", "cables", "notices"),
    [
        ("jabl-1.ibnetdiscover", 2, 4, 7, {"cable-rates-differ": 2}),
        ("jabl-2.ibnetdiscover", 1, 2, 2, {}),
        ("jabl-3.ibnetdiscover", 2, 6, 7, {"tool-complained": 1, "self-loop": 3}),
        ("loginoff-stage-144hca.ibnetdiscover", 8, 144, 192, {}),
        ("ufm-small_topo.ibnetdiscover", 2, 12, 13, {"aggregation-nodes": 1, "self-loop": 2}),
        ("ufm-selene.storage.ibnetdiscover.gz", 160, 1247, 3286, {}),
    ],
)
def test_real_fabrics_are_read_whole(name, chips, adapters, cables, notices):
    data = real(name)
    dump = read(data)
    assert (len(dump.chips), len(dump.adapters), len(dump.cables)) == (chips, adapters, cables)
    assert codes(dump) == notices
    # Each cable is two lines of ports: those that are left out are told of.
    lines = len(re.findall(rb"^\[[0-9]+\]", data, re.MULTILINE))
    left_out = 2 * notices.get("self-loop", 0) + 2 * notices.get("aggregation-nodes", 0)
    assert lines == 2 * cables + left_out


@pytest.mark.parametrize("name", ["loginoff-stage-144hca.ibnetdiscover", "ufm-small_topo.ibnetdiscover"])
def test_what_terminals_do_to_a_text_changes_nothing(name):
    data = real(name)
    whole = bare(read(data))
    dirty = {
        "CRLF": data.replace(b"\n", b"\r\n"),
        "tabs are blanks": data.replace(b"\t", b" "),
        "tabs are lost": data.replace(b"\t", b""),
        "no line feed at the end": data.rstrip(),
        "blanks at the ends": data.replace(b"\n", b"  \n"),
        "colours": data.replace(b"Switch", b"\x1b[01;31m\x1b[KSwitch\x1b[m\x1b[K"),
        "mark": b"\xef\xbb\xbf" + data,
        "UTF-16": "\ufeff".encode("utf-16-le") + data.decode().encode("utf-16-le"),
    }
    for what, text in dirty.items():
        assert bare(read(text)) == whole, what


def test_a_session_of_a_terminal_around_it_is_a_notice():
    text = f"[root@mgmt ~]# ibnetdiscover\n{small()}[root@mgmt ~]# exit\n"
    assert codes(read(text)) == {"line-unread": 2}
    assert read(text).cables == read(small()).cables


def test_what_the_tool_complains_of_is_a_notice():
    text = "ibwarn: [4711] mad_rpc: _do_madrpc failed; dport (Lid 7)\nsrc/query_smp.c:98; send failed; -5\n" + small()
    assert codes(read(text)) == {"tool-complained": 2}


@pytest.mark.parametrize("name", ["jabl-2.ibnetdiscover", "jabl-3.ibnetdiscover", "ufm-small_topo.ibnetdiscover"])
def test_a_text_that_is_cut_at_any_line_is_refused(name):
    lines = real(name).decode().rstrip().split("\n")
    for length in range(1, len(lines)):
        with pytest.raises(FabricError) as refused:
            read("\n".join(lines[:length]))
        assert refused.value.source == "net"


@pytest.mark.thorough
def test_a_text_that_is_cut_at_any_character_is_refused_or_whole():
    text = small()
    whole = bare(read(text))
    start = text.index("Switch")
    for length in range(start, len(text.rstrip())):
        cut = text[:length]
        try:
            found = bare(read(cut))
        except FabricError:
            continue
        # Nothing that tells it from a whole one is missing: the end of the last speed at most.
        assert found == whole, cut[-80:]


def test_a_cut_is_told_with_the_line_that_knows_of_more():
    text = small()
    half = text[: text.index("\nvendid", text.index("Ca\t"))]
    with pytest.raises(FabricError, match="cut off") as refused:
        read(half)
    assert f'"H-{re.findall("caguid=0x([0-9a-f]+)", text)[1]}"' in text.split("\n")[refused.value.line - 1]


def test_a_last_block_without_a_cable_that_others_know_of_is_a_cut():
    text = small().rstrip()
    with pytest.raises(FabricError, match="cut off"):
        read(text[: text.rindex("\n")])


def test_a_cable_that_only_one_end_names_is_kept_with_a_notice():
    lines = small().split("\n")
    index = next(i for i, line in enumerate(lines) if line.startswith("[3]"))
    dump = read("\n".join(lines[:index] + lines[index + 1 :]))
    assert dump.cables == read(small()).cables
    (notice,) = dump.notices
    assert notice.code == "cable-one-sided"
    assert lines[:index] + lines[index + 1 :] != lines
    assert notice.line > 0


def test_a_cable_whose_other_end_leads_elsewhere_is_left_out():
    text = small()
    first = text.split("\n").index(next(line for line in text.split("\n") if line.startswith("[5]")))
    lines = text.split("\n")
    # A port says another port of the same spine than the one whose line names it.
    spine, port = re.search(r'"S-([0-9a-f]+)"\[([0-9]+)\]', lines[first]).groups()
    lines[first] = lines[first].replace(f'{spine}"[{port}]', f'{spine}"[{2 if port == "1" else 1}]')
    dump = read("\n".join(lines))
    whole = read(text)
    assert codes(dump) == {"cable-contradicted": 2}
    assert len(dump.cables) == len(whole.cables) - 1
    assert set(dump.cables) < set(whole.cables)


def test_a_switch_with_another_block_under_its_guid_is_refused_with_the_line():
    text = small()
    block = text[text.index("\nvendid") : text.index("\n\n", text.index("Switch"))]
    assert bare(read(text + block + "\n")) == bare(read(text))
    with pytest.raises(FabricError, match="another one than in line") as refused:
        read(text + block.replace("leaf01", "leaf99") + "\n")
    assert refused.value.line == line_of(text + block.replace("leaf01", "leaf99"), 'leaf99:MQM9700/U1" enhanced')
    moved = block.replace("[1]\t", "[2]\t", 1)
    with pytest.raises(FabricError, match=r"leads elsewhere|stands in line"):
        read(text + moved + "\n")
    with pytest.raises(FabricError, match="other cables here"):
        read(text + block[: block.rindex("\n")] + "\n")


def test_a_guid_that_is_a_switch_and_an_adapter_is_refused():
    text = small()
    switch = re.search(r"switchguid=0x([0-9a-f]+)", text)[1]
    adapter = re.search(r"caguid=0x([0-9a-f]+)", text)[1]
    with pytest.raises(FabricError, match="a switch and an adapter"):
        read(text.replace(adapter, switch))


def test_a_port_that_stands_twice_in_a_block_is_refused_with_the_line():
    lines = small().split("\n")
    index = next(i for i, line in enumerate(lines) if line.startswith("[2]"))
    lines.insert(index + 1, lines[index])
    with pytest.raises(FabricError, match=f"stands in line {index + 1} already") as refused:
        read("\n".join(lines))
    assert refused.value.line == index + 2


@pytest.mark.parametrize("port", ["0", "99"])
def test_a_port_that_a_switch_does_not_have_is_refused(port):
    with pytest.raises(FabricError, match=f"port {port} of"):
        read(small().replace("\n[2]\t", f"\n[{port}]\t", 1))


def test_ids_of_another_node_than_the_one_below_them_are_refused():
    text = small()
    guid = re.search(r"caguid=0x([0-9a-f]+)", text)[1]
    with pytest.raises(FabricError, match="ids above"):
        read(text.replace(f"caguid=0x{guid}", "caguid=0x1234"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "no text"),
        (bytes(range(1, 32)) * 9, "no text"),
        (b"hello\n", "no switch and no adapter"),
        (b"SW    13  3 0xb8599f0300fc6de4 4x FDR - SW    19  1 0x0002c903007b78b0 ( 'a' - 'b' )\n", "without -l"),
        (b'Switch\t : 0xb8599f0300fc6de4 ports 41 devid 0xd2f0 vendid 0x2c9 "x"\n', "without -l"),
        (b'[1]\t"S-1"[1]\t\t# "x" lid 1 4xHDR\n', "in no block"),
        (b"vendid=0x2c9\nSwitch 36 S-1\n", "no line of a node"),
    ],
)
def test_what_is_no_output_of_the_tool_is_refused(data, words):
    with pytest.raises(FabricError, match=rf"^net(:[0-9]+)?: .*{words}"):
        read(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    with pytest.raises(FabricError):
        read(data)


def test_grouped_by_chassis_chips_stand_there_twice_and_have_a_slot():
    dump = dump_of(fat_tree(Shape(20, 5, spines=2, director="big")))
    kinds = {"L": "Line", "S": "Spine"}
    chips = {
        guid: msgspec.structs.replace(chip, chassis=f"Chassis 1 CS8500 {kinds[slot[0]]} {int(slot[1:])} Chip 1")
        for guid, chip in dump.chips.items()
        for slot in [chip.description.split("/")[1]]
    }
    dump = msgspec.structs.replace(dump, chips=chips)
    text = as_ibnetdiscover(dump, grouped=True)
    assert text.count("switchguid=") == 2 * len(chips)
    assert bare(read(text)) == bare(dump)


VOLTAIRE = """
Chassis 1 (guid 0x8f1040039fe00)

# Spine Nodes
vendid=0x8f1
devid=0x5a42
sysimgguid=0x8f1040039fe00\t\t# Chassis 1
switchguid=0x8f1040039fe01(8f1040039fe01)\t# ISR4700 Spine 1 Chip 1
Switch\t36 "S-0008f1040039fe01"\t\t# "Voltaire 4036 # ""quoted"" ; x" base port 0 lid 3 lmc 0
[1]\t"S-0008f1040039fe02"[19]\t\t# "" lid 4 4xQDR s=4 w=2 v=4

# Line Nodes
vendid=0x8f1
devid=0x5a43
sysimgguid=0x8f1040039fe00\t\t# Chassis 1
switchguid=0x8f1040039fe02(8f1040039fe02)\t# ISR4700 Line 2 Chip 1
Switch\t36 "S-0008f1040039fe02"\t\t# "" base port 0 lid 4 lmc 0
[1][ext 7]\t"H-00188b0000000001"[1](188b0000000002) \t\t# "n1 " lid 5 4x???  slot 3
[19]\t"S-0008f1040039fe01"[1]\t\t# "Voltaire 4036 # ""quoted"" ; x" lid 3 4xQDR s=4 w=2 v=4
[20]\t"R-0008f1040039fe09"[1](8f1040039fe0a) \t\t# "gw" lid 9 4xDDR

# Chassis Switches
# Chassis CAs

Non-Chassis Nodes

vendid=0x2c9
devid=0x1003
caguid=0x188b0000000001
Ca\t2 "H-00188b0000000001"\t\t# "n1 "
[1](188b0000000002) \t"S-0008f1040039fe02"[1][ext 7]\t\t# lid 5 lmc 0 "" lid 4 ????? s=4 w=2 v=4
""".replace("4x???  slot 3", "4x??? slot 3")


def test_what_the_tool_may_print_besides_is_read():
    dump = read(VOLTAIRE)
    spine, line = (dump.chips[f"0008f1040039fe0{number}"] for number in (1, 2))
    assert spine.description == 'Voltaire 4036 # ""quoted"" ; x'
    assert (spine.chassis, line.chassis) == ("Chassis 1 ISR4700 Spine 1 Chip 1", "Chassis 1 ISR4700 Line 2 Chip 1")
    assert line.description == ""
    router = dump.adapters["0008f1040039fe09"]
    assert (router.router, router.description) == (True, "gw")
    assert {(cable.lanes, cable.speed) for cable in dump.cables} == {(4, "QDR"), (0, ""), (4, "DDR")}
    assert codes(dump) == {"cable-one-sided": 1}


def test_an_adapter_inside_of_a_switch_is_left_out_whatever_it_is_called():
    text = small()
    system = re.search(r"sysimgguid=0x([0-9a-f]+)", text)[1]
    adapter = re.search(r"sysimgguid=0x([0-9a-f]+)\ncaguid=0x([0-9a-f]+)", text)
    dump = read(text.replace(adapter[0], adapter[0].replace(f"sysimgguid=0x{adapter[1]}", f"sysimgguid=0x{system}")))
    assert codes(dump) == {"aggregation-nodes": 1}
    assert adapter[2].zfill(16) not in dump.adapters


def test_a_system_guid_of_zero_makes_no_two_nodes_one_system():
    text = re.sub(r"sysimgguid=0x[0-9a-f]+", "sysimgguid=0x0", small())
    assert "sysimgguid=0x0\n" in text
    assert bare(read(text), systems=False) == bare(read(small()), systems=False)
    assert codes(read(text)) == {}


def test_an_end_that_cannot_be_asked_for_a_vendors_speed_is_overruled_by_the_other():
    text = small().replace("4xHDR", "4xFDR10")
    last = text.rindex("4xFDR10")
    dump = read(text[:last] + "4xQDR" + text[last + 7 :])
    assert {(cable.lanes, cable.speed) for cable in dump.cables} == {(4, "FDR10")}
    assert dump.notices == ()


def test_a_speed_that_is_not_known_is_a_notice():
    text = small()
    last = text.rindex("4xHDR")
    dump = read(text[:last].replace("4xHDR", "4xZDR") + text[last:])
    assert codes(dump)["rate-unknown"] == 20 + 1  # one by one, then counted
    assert Counter(cable.speed for cable in dump.cables) == {"ZDR": len(dump.cables) - 1, "HDR": 1}


_WORDS = ["", "vendid=0x2c9", "Switch 36", "[1]", '"', "# Chassis 1", "Chassis 2", "0" * 40, "\u0663", "[ext", "4x"]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    text = small()
    for _ in range(draw(st.integers(1, 4))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 6)):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, draw(st.sampled_from(lines)))
            case 2:
                lines[at] = draw(st.sampled_from(lines))
            case 3:
                lines.insert(at, draw(st.sampled_from(_WORDS) | st.text(max_size=30)))
            case 4:
                spot = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:spot] + draw(st.text(max_size=3)) + lines[at][spot + draw(st.integers(0, 3)) :]
            case 5:
                lines = lines[:at]
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
        text = "\n".join(lines)
    return text.encode(errors="surrogatepass")


@settings(max_examples=examples(300))
@given(damaged())
def test_a_damaged_text_is_a_dump_that_holds_together_or_is_refused(data):
    began = time.process_time()
    try:
        dump = read(data)
    except FabricError:
        pass
    else:
        known = dump.chips.keys() | dump.adapters.keys()
        ports = Counter(end for one in dump.cables for end in ((one.a, one.a_port), (one.b, one.b_port)))
        assert {guid for guid, _ in ports} <= known
        assert set(ports.values()) <= {1}
        assert dump.network is Network.INFINIBAND
    assert time.process_time() - began < 2


@pytest.mark.parametrize("what", ["[1]", '"', "a", "lid ", "[1](a) ", "\t"])
@pytest.mark.parametrize(
    "start", ["", "[1](", "Switch 36 ", "[1]\t", '[1]\t"S-1"[1]#', 'Ca 1 "H-1" # "', "vendid=0x1 #"]
)
def test_a_line_without_end_takes_no_time(start, what):
    text = small().replace("\n[1]\t", f"\n{start}{what * 30_000}\n[1]\t", 1)
    began = time.process_time()
    with contextlib.suppress(FabricError):
        read(text)
    assert time.process_time() - began < 2
