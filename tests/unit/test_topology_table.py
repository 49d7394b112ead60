from __future__ import annotations

import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.fabric import Dump, FabricError, Network, Role, Site
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers import table
from hpcjobs_plugins.topology.twin import fat_tree
from hpcjobs_plugins.topology.twin_tables import as_table

from .fabrics import real, shapes


def read(text: str, source: str = "net.csv", **more) -> Dump:
    return table.read(text.encode(), source, **more)


def site_of(dump: Dump, nodes=None) -> Site:
    return assemble([dump], Naming(), nodes, {}, 0.0)


def by_names(site: Site) -> list[tuple[object, ...]]:
    """All of a site that has a name or a number, and no GUID."""
    return [
        (
            fabric.name,
            [(switch.name, switch.tier) for switch in fabric.switches.values()],
            [
                (host.name, host.role, [(p.rail, p.switch, p.switch_port, p.gbps) for p in host.endpoints])
                for host in fabric.hosts.values()
            ],
            fabric.trunks,
        )
        for fabric in site.fabrics
    ]


@given(shapes())
def test_a_table_of_a_tree_gives_back_the_tree(shape):
    # Each port is an adapter of its own here, and a director's name is a name like others.
    site = fat_tree(msgspec.structs.replace(shape, director="", adapter_ports=1))
    assert by_names(site_of(read(as_table(site)))) == by_names(site)


def test_roles_and_names_of_fabrics_are_those_that_the_table_says():
    dump = read("host,switch,fabric,role\nn1,l1,blue,\nsto1,l1,blue,storage\nn1,x1,red,\nmgr,x1,red,other\n")
    site = site_of(dump)
    assert {fabric.name for fabric in site.fabrics} == {"blue", "red"}
    roles = {host.name: host.role for fabric in site.fabrics for host in fabric.hosts.values()}
    assert roles == {"n1": Role.COMPUTE, "sto1": Role.STORAGE, "mgr": Role.OTHER}
    assert site_of(dump, nodes=["n1", "sto1"]).fabrics[0].hosts["sto1"].role is Role.COMPUTE


def test_ports_that_nobody_says_are_the_free_ones():
    dump = read("host,switch,switch_port\nn1,l1,\nn2,l1,1\nn3,l1,\n")
    assert [point.switch_port for host in site_of(dump).fabrics[0].hosts.values() for point in host.endpoints] == [
        2, 1, 3
    ]  # fmt: skip


def test_the_way_up_in_lines_of_hosts_is_one_cable_a_pair():
    dump = read("host,switch,above,above2\nn1,l1,s1,c1\nn2,l1,s1,c1\nn3,l2,s1,c1\n")
    (fabric,) = site_of(dump).fabrics
    assert [(trunk.a, trunk.b) for trunk in fabric.trunks] == [("l1", "s1"), ("l2", "s1"), ("s1", "c1")]
    assert {switch.name: switch.tier for switch in fabric.switches.values()} == {"c1": 3, "l1": 1, "l2": 1, "s1": 2}


def test_comments_blank_lines_crlf_and_quotes_are_no_matter():
    text = '# by hand\r\n"host", switch\r\n\r\nn1,"l1"\r\n# n2,l1\r\n'
    assert [host.name for host in site_of(read(text)).fabrics[0].hosts.values()] == ["n1"]


def test_a_real_clos_is_read_by_a_mapping_of_its_columns():
    data = real("lingjun_topo.csv.gz", "traces")
    columns = {"host": "{ip}", "switch": "{ASW}", "above": "{PSW}", "above2": "{DSW}"}
    dump = table.read(data, "lingjun", columns, Network.ETHERNET)
    (fabric,) = site_of(dump).fabrics
    assert len(fabric.hosts) == 847
    tiers = [switch.tier for switch in fabric.switches.values()]
    assert [tiers.count(tier) for tier in (1, 2, 3)] == [48, 3, 1]
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert len({(row["ASW"], row["PSW"]) for row in rows}) + len({(row["PSW"], row["DSW"]) for row in rows}) == len(
        fabric.trunks
    )
    by_pod = {**columns, "switch": "{PSW}-{ASW}"}
    (scoped,) = site_of(table.read(data, "lingjun", by_pod)).fabrics
    assert sum(switch.tier == 1 for switch in scoped.switches.values()) == len(
        {(row["ASW"], row["PSW"]) for row in rows}
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("host,switch\n", 0, "no cable"),
        ("host,swich\nn1,l1\n", 1, "no column is called 'swich'"),
        ("host\nn1\n", 1, "column switch"),
        ("host,switch,switch\n", 1, "twice"),
        ("host,switch\nn1,l1,x\n", 2, "3 cells in a table of 2"),
        ("host,switch\nn1,\n", 2, "without a switch"),
        ("host,switch\n,l1\n", 2, "neither a host nor"),
        ("host,switch,switch_port\nn1,l1,x\n", 2, "no number of a port"),
        ("host,switch,switch_port\nn1,l1,\u0661\n", 2, "no number of a port"),
        ("host,switch,switch_port\nn1,l1,1\nn2,l1,1\n", 3, "port 1 of l1 has a cable in line 2"),
        ("host,switch,host_port\nn1,l1,1\nn1,l2,1\n", 3, "n1 HCA-1 has a cable in line 2"),
        ("host,switch,gbps\nn1,l1,fast\n", 2, "no rate"),
        ("host,switch,gbps\nn1,l1,nan\n", 2, "no rate"),
        ("host,switch,role\nn1,l1,king\n", 2, "no role is called"),
        ("host,switch,role\nn1,l1,other\nn1,l1,storage\n", 3, "n1 is storage here"),
        ("host,switch,fabric\nn1,l1,a\nn2,l1,b\n", 3, "l1 is of fabric 'b'"),
        ("host,switch,switch_port\nn1,l1,00000000" + "1" * 5000 + "\n", 2, "no number of a port"),
        ("host,switch\nn[1-4],l1\n", 2, "'n.1-4.' is no name of one machine"),
        ("switch,above\nleaf[1-2],spine1\n", 2, "'leaf.1-2.' is no name of one machine"),
        ("host,switch\nl1,l1\n", 2, "a host and a switch"),
        ("switch,above\nl1,l1\n", 2, "cabled to itself"),
        ('host,switch\n"n1,l1\n', 3, "no CSV"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(text, line, words):
    with pytest.raises(FabricError, match=words) as refused:
        read(text)
    assert (refused.value.source, refused.value.line) == ("net.csv", line)


@pytest.mark.parametrize("columns", [{"host": "{ip}"}, {"host": "{ip}", "switch": "{x}"}, {"nobody": "{ip}"}])
def test_a_mapping_that_does_not_fit_is_refused(columns):
    with pytest.raises(FabricError, match="column"):
        read("ip,ASW\n1,2\n", columns=columns)


TREE = """
network: infiniband
fabrics:
  ib0:
    gbps: 200
    storage: sto[1-2]
    switches:
      spine1: {leaf1: "n[1-4]", leaf2: ["n[5-8]", "sto[1-2]"]}
      spine2: leaf[1-2]
      core: [spine1, spine2, spine2]
"""


def test_a_tree_has_below_a_switch_what_hangs_on_it():
    (fabric,) = site_of(read(TREE, "net.yaml")).fabrics
    assert {switch.name: switch.tier for switch in fabric.switches.values()} == {
        "core": 3, "leaf1": 1, "leaf2": 1, "spine1": 2, "spine2": 2
    }  # fmt: skip
    assert [(trunk.a, trunk.b) for trunk in fabric.trunks] == [
        ("leaf1", "spine1"),
        ("leaf1", "spine2"),
        ("leaf2", "spine1"),
        ("leaf2", "spine2"),
        ("spine1", "core"),
        ("spine2", "core"),
        ("spine2", "core"),
    ]
    assert {host.name: (host.role.value, host.leaves) for host in fabric.hosts.values()} == {
        **{f"n{number}": ("compute", ("leaf1",) if number < 5 else ("leaf2",)) for number in range(1, 9)},
        "sto1": ("storage", ("leaf2",)),
        "sto2": ("storage", ("leaf2",)),
    }
    assert {point.gbps for host in fabric.hosts.values() for point in host.endpoints} == {200.0}


def test_a_host_on_several_leaves_of_a_tree_has_an_adapter_for_each():
    dump = read("fabrics: {f: {switches: {l1: 'n[1-2]', l2: 'n[1-2]'}}}", "net.yml")
    assert len(dump.adapters) == 4
    assert len(site_of(dump).fabrics) == 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("fabrics: {", 1, "no YAML"),
        ("a: b: c", 1, "no YAML"),
        ("# nothing", 0, "empty"),
        ("- 1", 1, "no fabrics"),
        ("fabric: {}", 1, "no key 'fabric'"),
        ("fabrics: {}", 0, "no cable"),
        ("fabrics:\n  f: {}", 2, "has no switches"),
        ("fabrics:\n  f:\n    switches:\n      l1: n1\n      l1: n2", 5, "'l1' stands there twice"),
        ("fabrics:\n  f:\n    swtiches: {}", 3, "no key 'swtiches'"),
        ("fabrics:\n  f:\n    gbps: x\n    switches: {l: n1}", 3, "no rate"),
        ("fabrics:\n  f:\n    switches:\n      l: n[1-", 4, "no hostlist"),
        ("network: token\nfabrics: {}", 1, "no network"),
        ("fabrics: {a: &x {switches: {l: n1}}, b: *x}", 1, "aliases"),
        ("fabrics: {a: {switches: {l: n1}}, b: {switches: {l: n2}}}", 1, "is in b and in a"),
        ("fabrics: {a: {storage: {x: y}, switches: {l: n1}}}", 1, "not keys"),
        pytest.param("[" * 5000, 0, "too deep", id="too deep"),
    ],
)
def test_what_is_wrong_with_a_tree_is_said_with_its_line(text, line, words):
    with pytest.raises(FabricError, match=words) as refused:
        read(text, "net.yaml")
    assert refused.value.line == line


@given(st.text(alphabet="hostswichabve,\n\"'#1{}[]:- ", max_size=200), st.sampled_from(["net.csv", "net.yaml"]))
def test_any_text_is_a_dump_or_refused(text, source):
    try:
        dump = read(text, source)
    except FabricError:
        return
    assert dump.cables
