from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.slurmconf.lines import lines_of, pairs_of
from hpcjobs_plugins.topology.engines.judge import check, read_file
from hpcjobs_plugins.topology.engines.model import Block, Kind, SwitchLine, Topology, differences, graph
from hpcjobs_plugins.topology.engines.show import read_shown
from hpcjobs_plugins.topology.engines.topology_conf import read_conf, write_conf
from hpcjobs_plugins.topology.engines.topology_yaml import read_yaml, write_yaml
from hpcjobs_plugins.topology.fabric import FabricError

from .topologies import blocks, names, shown, trees


def as_sets(topology: Topology) -> tuple[object, ...]:
    """A topology without the order in which a hostlist names its nodes."""
    return (
        topology.kind,
        [(line.name, frozenset(line.nodes), frozenset(line.children), line.link_speed) for line in topology.switches],
        [(block.name, frozenset(block.nodes)) for block in topology.blocks],
        topology.block_sizes,
    )


@given(st.one_of(trees(), blocks()))
def test_what_is_written_as_topology_conf_is_read_back(topology):
    read = read_conf(write_conf(topology))
    assert read.findings == ()
    assert as_sets(read.plan.default) == as_sets(topology)


@given(st.lists(st.one_of(trees(), blocks(), st.just(Topology(kind=Kind.FLAT))), min_size=1, max_size=4), st.data())
def test_what_is_written_as_topology_yaml_is_read_back(topologies, data):
    called = data.draw(st.lists(names, min_size=len(topologies), max_size=len(topologies), unique=True))
    default = data.draw(st.integers(0, len(topologies)))
    plain = [
        msgspec.structs.replace(
            one,
            name=called[index],
            cluster_default=index == default,
            switches=tuple(msgspec.structs.replace(line, link_speed=1) for line in one.switches),
        )
        for index, one in enumerate(topologies)
    ]
    read = read_yaml(write_yaml(plain))
    assert read.findings == ()
    assert [as_sets(one) for one in read.plan.topologies] == [as_sets(one) for one in plain]
    assert [one.name for one in read.plan.topologies] == called
    assert read.plan.default.name == called[default if default < len(called) else 0]


@given(st.one_of(trees(), blocks()))
def test_what_scontrol_prints_of_a_topology_is_its_graph(topology):
    assert read_shown(shown(topology)) == graph(topology)
    assert differences(topology, read_shown(shown(topology))) == []


def test_hostlists_are_written_as_slurm_folds_them():
    topology = Topology(
        switches=(
            SwitchLine("s1", ("c1", "c2", "c10", "gpu01")),
            SwitchLine("s2", ("c3",)),
            SwitchLine("r", (), ("s2", "s1")),
        )
    )
    assert write_conf(topology).splitlines()[1:] == [
        "SwitchName=s1 Nodes=c[1-2,10],gpu01",
        "SwitchName=s2 Nodes=c3",
        "SwitchName=r Switches=s[1-2]",
    ]


def test_yaml_is_written_as_its_manual_has_it():
    tree = Topology("topo1", switches=(SwitchLine("sw_root", (), ("s1",)), SwitchLine("s1", ("n01", "n02"))))
    block = Topology(
        "topo2", Kind.BLOCK, blocks=(Block("b1", ("n01", "n02")),), block_sizes=(2, 4), cluster_default=False
    )
    flat = Topology("on", Kind.FLAT, cluster_default=False)
    assert write_yaml([tree, block, flat]).split("---\n")[1] == (
        "- topology: topo1\n  cluster_default: true\n  tree:\n    switches:\n"
        "      - switch: sw_root\n        children: s1\n      - switch: s1\n        nodes: n[01-02]\n"
        "- topology: topo2\n  cluster_default: false\n  block:\n    block_sizes:\n      - 2\n      - 4\n    blocks:\n"
        "      - block: b1\n        nodes: n[01-02]\n"
        '- topology: "on"\n  cluster_default: false\n  flat: true\n'
    )


def test_comments_say_what_was_left_out_and_mean_nothing():
    topology = Topology(kind=Kind.BLOCK, blocks=(Block("b1", ("n1",)),), block_sizes=(1,), remarks=("Left out: b2 #1",))
    assert "# Left out: b2 #1\n" in write_conf(topology)
    assert "# Left out: b2 #1\n" in write_yaml([topology])
    assert as_sets(read_conf(write_conf(topology)).plan.default) == as_sets(topology)


def test_a_flat_topology_has_no_topology_conf():
    with pytest.raises(FabricError, match="flat"):
        write_conf(Topology(kind=Kind.FLAT))


def test_lines_are_read_as_slurm_reads_them():
    text = 'a=1 # b=2\n# c=3\n  d = "x y" \\\n  e+=5\\# \n\nf=\\\\\\\ng=7'
    assert [(line.number, line.length, pairs_of(line.text)) for line in lines_of(text)] == [
        (1, 1, ([("a", "1", 0, 3)], "")),
        (3, 2, ([("d", "x y", 2, 11), ("e", "5#", 14, 19)], "")),
        (6, 2, ([("f", "\\g=7", 0, 6)], "")),
    ]


def test_keys_may_have_any_case_and_names_stand_on_their_line():
    read = read_conf("switchname=s1 NODES=c[1-2]\n\nSWITCHNAME=r switches=s1 LinkSpeed=50\n")
    assert read.plan.default.switches == (SwitchLine("s1", ("c1", "c2")), SwitchLine("r", (), ("s1",), 50))
    assert read.lines == ((1, 3),)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("- topology: a\n  tree: {switches: [}\n", 2, "this is no YAML"),
        ("- topology: a\n  tree: &x {switches: []}\n- *x\n", 3, "used in two places"),
        ("[1]: 2\n", 1, "a key is no word"),
        ("# nothing\n", 0, "says nothing"),
        ("[]", 0, "names no topology"),
        ("[" * 100 + "]" * 100, 1, "too deep"),
        ("[" * 100_000, 1, "too deep|nesting depth"),  # PyYAML 6.0.4 counts itself
        ("- topology: a\n\ttree: 1\n", 2, "this is no YAML"),
    ],
    ids=str.split("unclosed alias key empty no-entries deep very-deep tab"),
)
def test_what_is_no_topology_yaml_is_an_error_with_its_line(text, line, words):
    with pytest.raises(FabricError, match=words) as error:
        read_yaml(text)
    assert not line or error.value.line == line


@pytest.mark.parametrize(
    ("data", "line"), [(b"SwitchName=s1\nSwitchName=\xff\n", 2), (b"a=1\n\n\0\n", 3), (bytes(range(128, 256)), 1)]
)
@pytest.mark.parametrize("name", ["topology.conf", "topology.yaml"])
def test_what_is_no_text_is_an_error_with_its_line(data, line, name):
    with pytest.raises(FabricError, match="this is no text") as error:
        read_file(data, name)
    assert error.value.line == line


@given(st.text(alphabet="SwitchName=Nodes BlockSizes,[]-0123456789\n\\#\"'includeLnkpd", max_size=200))
def test_no_text_as_topology_conf_raises(text):
    assert isinstance(check(text.encode(), "topology.conf", nodes=["c1"]), list)


@given(st.text(alphabet="topology: tree{}switches[]blck_zn\n -&*!|>\"'#0123456789", max_size=200))
def test_no_text_as_topology_yaml_raises_anything_but_that_it_is_none(text):
    with contextlib.suppress(FabricError):
        assert isinstance(check(text.encode(), "topology.yaml", nodes=["c1"]), list)


@pytest.mark.parametrize(
    "line", ["SwitchName=s1 Level=x", "SwitchName=s1", "garbage", "BlockName=b Nodes=[ BlockSize=1 BlockIndex=0"]
)
def test_what_scontrol_does_not_print_is_an_error_with_its_line(line):
    with pytest.raises(FabricError, match="scontrol show topology:2: "):
        read_shown(f"SwitchName=s0 Level=0 LinkSpeed=1 Nodes=c1\n{line}\n")


def test_what_a_controller_has_otherwise_is_said_a_sentence_each():
    wanted = Topology(
        switches=(SwitchLine("s1", ("c1", "c2")), SwitchLine("s2", ("c3",)), SwitchLine("r", (), ("s1", "s2")))
    )
    found = read_shown(
        "SwitchName=s1 Level=0 Nodes=c[1,9]\nSwitchName=r Level=2 Nodes=c1 Switches=s1,x\n"
        "SwitchName=x Level=0 Nodes=c3\n"
    )
    assert differences(wanted, found) == [
        "switch s1 is without c2",
        "switch s1 has c9 as well",
        "switch s2 is not there",
        "switch r has level 2, not 1",
        "switch r is without s2",
        "switch r has x as well",
        "switch x is there and was not asked for",
    ]
    blocks = Topology(kind=Kind.BLOCK, blocks=(Block("b1", ("c1",)), Block("b2", ("c2",))), block_sizes=(1, 2))
    found = read_shown(
        "BlockName=b2 BlockIndex=0 Nodes=c2 BlockSize=1\nBlockName=b1 BlockIndex=1 Nodes=c1 BlockSize=1\n"
    )
    assert differences(blocks, found) == [
        "block b1 has index 1, not 0",
        "block b2 has index 0, not 1",
        "Slurm does not keep together blocks b[1-2] (2 nodes)",
    ]
    assert differences(wanted, read_shown("")) == ["topology default is of kind flat, not tree"]
