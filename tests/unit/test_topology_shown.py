"""What is printed of a site: trees, tables and plain data."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs_plugins.topology.checks import check
from hpcjobs_plugins.topology.diff import diff
from hpcjobs_plugins.topology.fabric import Notice, Role, Site
from hpcjobs_plugins.topology.shown import (
    aligned,
    changes_table,
    findings_table,
    plain,
    report,
    summary,
    switches_table,
    tree,
)
from hpcjobs_plugins.topology.twin import Shape, fat_tree
from tests.conftest import examples

from .fabric_edits import Bench
from .fabrics import shapes

PODS = Shape(hosts=16, hosts_per_leaf=4, spines=2, cores=2, pods=2)


def test_a_tree_has_cores_then_the_spines_of_each_pod_then_leaves_with_their_hosts():
    assert tree(fat_tree(PODS)) == [
        "ib0: infiniband, 16 hosts, 10 switches on 3 tiers, 12 cables between them",
        "└─ core[01-02]: 2 switches of tier 3",
        "   ├─ spine[01-02]: 2 switches of tier 2, 2 cables up at 200 Gbit/s",
        "   │  ├─ leaf01: n[0001-0004] (4), 4 cables at 200 Gbit/s, 2 cables up at 200 Gbit/s",
        "   │  └─ leaf02: n[0005-0008] (4), 4 cables at 200 Gbit/s, 2 cables up at 200 Gbit/s",
        "   └─ spine[03-04]: 2 switches of tier 2, 2 cables up at 200 Gbit/s",
        "      ├─ leaf03: n[0009-0012] (4), 4 cables at 200 Gbit/s, 2 cables up at 200 Gbit/s",
        "      └─ leaf04: n[0013-0016] (4), 4 cables at 200 Gbit/s, 2 cables up at 200 Gbit/s",
    ]


def test_a_brief_tree_in_ascii_has_one_line_for_the_leaves_of_a_pod():
    lines = tree(fat_tree(PODS), unicode=False, brief=True)
    assert lines[2:4] == [
        "   |- spine[01-02]: 2 switches of tier 2, 2 cables up at 200 Gbit/s",
        "   |  `- leaf[01-02] (2 leaves): n[0001-0008] (8), 8 cables at 200 Gbit/s, 4 cables up at 200 Gbit/s",
    ]
    assert all(line.isascii() for line in lines)


def test_the_leaves_of_a_unit_with_a_leaf_a_rail_are_one_line():
    lines = tree(fat_tree(Shape(hosts=8, hosts_per_leaf=4, spines=2, rails=2, rail_optimised=True)))
    assert [line.strip("├─└│ ").split(" at ")[0] for line in lines[2:]] == [
        "leaf[01-02] (2 leaves): n[0001-0004] (4), 8 cables",
        "leaf[03-04] (2 leaves): n[0005-0008] (4), 8 cables",
    ]


def test_one_switch_and_no_fabric():
    assert tree(fat_tree(Shape(hosts=1, hosts_per_leaf=1))) == [
        "ib0: infiniband, 1 host, 1 switch on 1 tier",
        "└─ leaf01: n0001, 1 cable at 200 Gbit/s",
    ]
    assert tree(Site(())) == ["no fabric"]


@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(shapes())
def test_every_switch_and_host_is_in_the_tree_once_for_each_leaf_group(shape):
    site = fat_tree(shape)
    for brief in (False, True):
        said = "\n".join(tree(site, brief=brief))
        named = re.findall(r"(?:^|[─│├└ ])((?:leaf|spine|core|top|big)[^ :]*)(?= \(|:)", said)
        switches = [name for hostlist in named for name in expand_hostlist(hostlist)]
        assert sorted(switches) == sorted(name for fabric in site.fabrics for name in fabric.switches)
        hosts = {
            name for hostlist in re.findall(r"\bn(?:\[[0-9,-]+\]|[0-9]+)", said) for name in expand_hostlist(hostlist)
        }
        assert hosts == {name for fabric in site.fabrics for name in fabric.hosts}


def test_what_is_in_no_tree_is_said_below_it():
    bench = Bench(fat_tree(Shape(hosts=128, hosts_per_leaf=8, spines=4, cores=8, pods=4)))
    bench.plug("leaf01", "leaf03")
    bench.plug("leaf02", "core01")
    bench.switches["lost"] = msgspec.structs.replace(bench.switches["leaf01"], name="lost", guid="8" * 16, tier=0)
    bench.rate(bench.between("leaf01", "spine01")[0], 100.0)
    bench.move_host("n0001", 0, "spine03")
    lines = [line.strip("├─└│ ") for line in tree(bench.site(tiers=True))]
    assert "connected to no leaf: lost" in lines
    assert "1 cable within a tier" in lines
    assert "leaf01:1001 - leaf03:1002 at 200 Gbit/s" in lines
    assert "1 cable past a tier" in lines
    assert "hosts here: n0001" in lines
    assert "leaf01: n[0002-0008] (7), 7 cables at 200 Gbit/s, 4 cables up (3 at 200 Gbit/s, 1 at 100 Gbit/s)" in lines


def test_many_odd_cables_are_counted():
    bench = Bench(fat_tree(Shape(hosts=16, hosts_per_leaf=4, spines=1)))
    for _ in range(30):
        bench.plug("leaf01", "leaf02")
    lines = [line.strip("├─└│ ") for line in tree(bench.site())]
    assert "30 cables within a tier" in lines
    assert lines[-1] == "and 10 more"


def test_storage_empty_leaves_and_nvlink_domains_are_said():
    bench = Bench(fat_tree(PODS))
    bench.roles["n0001"] = Role.STORAGE
    for host in ("n0005", "n0006", "n0007", "n0008"):
        bench.remove_host(host)
    site = msgspec.structs.replace(bench.site(), domains={"a.1": ("n0009", "n0010"), "b.1": ("n0011",)})
    lines = tree(site)
    assert lines[0].endswith("; 1 storage")
    assert "   │  └─ leaf02: no host, 2 cables up at 200 Gbit/s" in lines
    assert lines[-3:] == ["NVLink: 2 domains", "├─ a.1: n[0009-0010] (2)", "└─ b.1: n0011"]


def test_findings_and_changes_are_tables():
    before = fat_tree(PODS)
    bench = Bench(before)
    bench.move_host("n0001", 0, "leaf04", 60)
    bench.rate_host("n0002", 0, 50.0)
    after = bench.site()
    changes = changes_table(diff(before, after))
    assert changes.head == ("CODE", "SUBJECT", "WAS", "NOW", "WHAT")
    assert changes.rows[0] == (
        "node-moved", "n0001", "leaf01:1", "leaf04:60", "Node n0001 hangs on leaf04:60 now; it hung on leaf01:1",
    )  # fmt: skip
    found = findings_table(check(after))
    assert [row[:4] for row in found.rows] == [("warning", "ib0", "link-slow", "n0002")]


def test_switches_are_a_table_from_below():
    table = switches_table(fat_tree(PODS))
    assert [row[1] for row in table.rows][:5] == ["leaf01", "leaf02", "leaf03", "leaf04", "spine01"]
    assert table.rows[0][:7] == ("ib0", "leaf01", "1", "4", "2", "2.00", "6/6")
    assert table.rows[-1][3:6] == ("0", "0", "-")


def test_a_table_is_aligned_and_cut_to_a_width():
    table = findings_table(check(Bench(fat_tree(PODS)).site(), nodes=["n0001", "x"]))
    lines = aligned(table)
    assert lines[0].startswith("SEVERITY  FABRIC  CODE")
    assert len({line.index(word) for line, word in zip(lines[1:], ("node-without", "host-without"), strict=True)}) == 1
    assert not any(line.endswith(" ") for line in lines)
    assert all(len(line) <= 60 for line in aligned(table, width=60))
    assert aligned(table, width=60)[1].endswith("...")


def test_a_summary_counts_what_there_is():
    site = msgspec.structs.replace(
        fat_tree(PODS),
        notices=(Notice("odd", "Odd."), Notice("odd", "Odd.")),
        found_at=7.0,
        domains={"a": ("n1", "n2")},
    )
    assert plain(summary(site)) == {
        "found_at": 7.0,
        "fabrics": [
            {
                "name": "ib0",
                "network": "infiniband",
                "hosts": {"compute": 16},
                "switches": {"1": 4, "2": 4, "3": 2},
                "trunks": 12,
                "oversubscription": [2.0, 2.0],
            }
        ],
        "domains": {"a": 2},
        "notices": {"odd": 2},
    }


def test_a_report_is_plain_data_that_json_can_write():
    before = fat_tree(PODS)
    bench = Bench(before)
    bench.rate_host("n0002", 0, 50.0)
    after = bench.site()
    made = plain(report(after, check(after), diff(before, after)))
    again = json.loads(json.dumps(made))
    assert again == made
    assert again["counts"] == {"error": 0, "warning": 1, "note": 0}
    assert again["findings"][0]["code"] == "link-slow"
    assert again["findings"][0]["evidence"]["usual_gbps"] == 200.0
    assert again["changes"][0] == {
        "code": "link-rate", "subject": "leaf01:2 - n0002", "was": "200 Gbit/s", "now": "50 Gbit/s",
        "text": "The link leaf01:2 - n0002 runs at 50 Gbit/s now, at 200 Gbit/s before", "members": [], "cables": 0,
    }  # fmt: skip
    assert again["site"]["fabrics"][0]["name"] == "ib0"


@pytest.mark.parametrize("count", [1, 12])
def test_a_site_can_be_made_plain_and_read_again(count):
    site = fat_tree(Shape(hosts=count, hosts_per_leaf=4, spines=2))
    assert msgspec.convert(plain(site), Site) == site
