from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.engines.findings import FATES, Fate, Form, fate_of
from hpcjobs_plugins.topology.engines.judge import check, judge, refusals
from hpcjobs_plugins.topology.engines.model import Kind, Plan, SwitchLine, Topology

from .bad_topologies import BAD, NODES
from .fabrics import real
from .topologies import blocks, trees


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.code}-{bad.line}")
def test_a_bad_file_is_found_out_with_the_reason_and_the_line(bad):
    findings = check(bad.text.encode(), bad.name, nodes=NODES)
    first = next((finding for finding in findings if finding.code == bad.code), None)
    assert first is not None, findings
    assert first.line == bad.line
    assert first.text


def test_every_fault_that_there_is_has_a_bad_file():
    assert set(FATES) - {bad.code for bad in BAD} == {"too-deep", "form-too-new", "partition-topology"}


@given(st.one_of(trees(), blocks()))
def test_nothing_is_found_in_what_is_right(topology):
    plan = Plan((topology,))
    found = {finding.code for finding in judge(plan, Form.CONF, nodes=topology.nodes)}
    assert found <= {"name-of-node", "no-common-root"}


def test_switches_in_an_order_that_needs_too_many_passes_are_found_and_in_another_order_are_not():
    lines = [SwitchLine("l0", ("c1",)), *(SwitchLine(f"l{n}", (), (f"l{n - 1}",)) for n in range(1, 24))]
    good = Plan((Topology(switches=tuple(lines)),))
    assert judge(good, Form.CONF) == []
    (finding,) = judge(Plan((Topology(switches=tuple(reversed(lines))),)), Form.CONF)
    assert (finding.code, finding.fate) == ("too-deep", Fate.DIES)
    assert judge(Plan((Topology(switches=tuple(reversed(lines[:22]))),)), Form.CONF) == []


@given(st.integers(1, 8), st.integers(0, 8), st.booleans())
def test_a_cycle_is_found_wherever_it_is(length, above, unknown):
    ring = [SwitchLine(f"r{n}", (), (f"r{(n + 1) % length}", "l")) for n in range(length)]
    chain = [SwitchLine(f"a{n}", (), (f"a{n + 1}" if n + 1 < above else "r0",)) for n in range(above)]
    stray = [SwitchLine("u", (), ("nowhere", "l"))] if unknown else []
    found = judge(Plan((Topology(switches=(*chain, *stray, SwitchLine("l", ("c1",)), *ring)),)), Form.CONF)
    cycles = [finding for finding in found if finding.code == "cycle"]
    assert len(cycles) == 1
    assert cycles[0].subject.startswith("r")


@given(
    st.lists(
        st.builds(
            SwitchLine,
            st.sampled_from("abcd"),
            st.lists(st.sampled_from(["n1", "n2", "a"]), max_size=2).map(tuple),
            st.lists(st.sampled_from("abcdx"), max_size=3).map(tuple),
        ),
        max_size=6,
    )
)
def test_no_switches_whatever_they_are_raise(lines):
    for form in Form:
        findings = judge(Plan((Topology(switches=tuple(lines)),)), form, nodes=["n1", "n2", "n3"])
        assert {finding.code for finding in findings} <= FATES.keys()


@pytest.mark.thorough
def test_a_large_cycle_is_found_in_a_moment():
    lines = tuple(SwitchLine(f"s{n}", (), (f"s{(n + 1) % 20_000}",)) for n in range(20_000))
    begun = time.process_time()
    assert "cycle" in {finding.code for finding in judge(Plan((Topology(switches=lines),)), Form.CONF)}
    assert time.process_time() - begun < 5


def test_what_a_release_can_do_is_no_fault_there():
    gaps = b"BlockName=b1 Nodes=c[1-3]\nBlockName=b2 Nodes=c4\nBlockSizes=3\n"
    assert [finding.fate for finding in check(gaps, release=(24, 11))] == [Fate.DIES]
    assert check(gaps, release=(25, 5)) == []
    assert [finding.fate for finding in check(gaps)] == [Fate.DIES]


def test_topology_yaml_is_refused_where_slurm_does_not_read_it():
    plan = Plan((Topology(kind=Kind.FLAT),))
    assert [finding.code for finding in judge(plan, Form.YAML, release=(24, 11))] == ["form-too-new"]
    assert judge(plan, Form.YAML, release=(25, 5)) == []


def test_partitions_and_topologies_must_find_each_other():
    two = (Topology("a", Kind.FLAT), Topology("b", Kind.FLAT))
    found = judge(Plan(two, {"gpu": "c", "cpu": "b"}), Form.YAML)
    assert [(finding.code, finding.text) for finding in found] == [
        ("partition-topology", "partition gpu is to use topology c, which is not there")
    ]
    assert [finding.code for finding in judge(Plan(two), Form.CONF)] == ["kind-unknown"]


def test_what_is_allowed_is_not_refused_but_what_kills_slurmctld_always_is():
    findings = check(b"SwitchName=s1 Nodes=c1\nSwitchName=s2 Nodes=c2\n")
    assert [finding.code for finding in refusals(findings)] == ["no-common-root"]
    assert refusals(findings, {"no-common-root"}) == []
    deadly = check(b"SwitchName=s1 Switches=s1\n")
    assert [finding.code for finding in refusals(deadly, {"cycle"})] == ["cycle"]


def test_the_worst_is_taken_where_the_release_is_not_known():
    assert fate_of("nothing-there", Form.CONF, None) is Fate.DIES
    assert fate_of("switch-empty", Form.CONF, (26, 5)) is Fate.FINE


def test_azures_blocks_that_are_all_commented_out_are_refused():
    data = real("azure-slurm_illegal_block_topology.txt")
    assert [finding.code for finding in check(data)] == ["nothing-there"]


@pytest.mark.parametrize("name", ["azure-slurm_topology.txt", "slurm-test133_1-peta10000.topology.conf"])
def test_real_files_that_slurm_takes_are_taken(name):
    assert check(real(name)) == []
