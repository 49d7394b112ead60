from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.fabric import Adapter, Cable, Chip, Dump, FabricError, Network, Role, Site
from hpcjobs_plugins.topology.naming import Named, Namer, Naming, switch_name, unique_names
from hpcjobs_plugins.topology.providers import iblinkinfo, ibnetdiscover, table
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_texts import as_iblinkinfo, as_ibnetdiscover

from .fabrics import real, shapes

DATA = Path(__file__).parent / "data" / "ibsim"


def site_of(*dumps: Dump, naming: Naming | None = None, nodes=None, domains=None, **more) -> Site:
    return assemble(dumps, naming or Naming(), nodes, domains or {}, 0.0, **more)


def codes(site: Site) -> Counter[str]:
    return Counter(notice.code for notice in site.notices)


def named(description: str, *, nodes=None, **fields) -> Named | None:
    return Namer(Naming(**fields), None if nodes is None else frozenset(nodes)).named(Adapter("0" * 16, description))


# Names of hosts.


@pytest.mark.parametrize(
    ("description", "host", "label"),
    [
        ("host01 HCA-1", "host01", "HCA-1"),
        ("host01 mlx5_0", "host01", "mlx5_0"),
        ("selene-cache-1 mlx5_0 ", "selene-cache-1", "mlx5_0"),
        ("stage114 mlx4_0", "stage114", "mlx4_0"),
        ("host01 mlx5_0 port 1", "host01", "mlx5_0"),
        ("'host01 ib0'", "host01", "ib0"),
        ("host01.cluster.local mlx5_bond_0", "host01", "mlx5_bond_0"),
        ("compute-00-01 HCA-1", "compute-00-01", "HCA-1"),
        ("host01:hfi1_0", "host01", "hfi1_0"),
        ("host01 rocep1s0f0", "host01", "rocep1s0f0"),
        ("host01", "host01", ""),
        ("10.1.2.3 HCA-1", "10.1.2.3", "HCA-1"),
    ],
)
def test_descriptions_that_name_a_host_do(description, host, label):
    assert named(description) == (host, label)


@pytest.mark.parametrize(
    "description",
    [
        "MT4123 ConnectX6   Mellanox Technologies",
        "MT23108 InfiniHost Mellanox Technologies",
        "MT25408",
        "localhost mlx5_0",
        "localhost.cluster mlx5_0",
        "(none) HCA-1",
        " mlx5_0",
        "HCA-1",
        "",
        "what is this",
        pytest.param("x" * 5000 + " " + "y" * 5000, id="long"),
    ],
)
def test_descriptions_that_name_nobody_do_not(description):
    assert named(description) is None


def test_a_guid_that_the_admin_knows_wins_over_all_rules():
    adapter = Adapter("0c42a10300303df7", "host01 HCA-1", system_guid="0c42a10300303df6")
    for guid in ("0x0c42a10300303df7", "C42A10300303DF7", "0c42:a103:0030:3df7", "0x0c42a10300303df6"):
        assert Namer(Naming(guids={guid: "n9"}), None).named(adapter) == ("n9", "HCA-1")


def test_rules_of_the_admin_are_tried_in_their_order():
    rules = (r"rack\d+/(?P<node>\w+)/(?P<rail>\d)", r"(?P<node>.*)")
    assert named("rack7/n3/2", rules=rules) == ("n3", "2")
    assert named("anything at all", rules=rules) == ("anything at all", "")


@pytest.mark.parametrize("rule", ["(", "no group", "(?P<hca>x)", "a{99999999999999999999}"])
def test_a_rule_that_cannot_be_is_refused(rule):
    with pytest.raises(FabricError, match="rules: "):
        Namer(Naming(rules=(rule,)), None)


def test_a_name_is_written_as_slurm_has_it():
    assert named("HOST01.cluster.local HCA-1", nodes=["host01"]) == ("host01", "HCA-1")
    assert named("n1.a HCA-1", nodes=["n1.a", "n1"]) == ("n1.a", "HCA-1")
    assert named("n1.a HCA-1", keep_domain=True) == ("n1.a", "HCA-1")


# Names of switches.


@pytest.mark.parametrize(
    ("description", "name", "chassis"),
    [
        ("MF0;leaf01:MQM8700/U1", "leaf01", ""),
        ("MF0;leaf01:MQM8700/U2", "leaf01-U2", ""),
        ("MF0;cs7500:CS7500/L17/U2", "cs7500-L17-U2", "cs7500"),
        ("MF0;cs7500:CS7500/S01/U1", "cs7500-S01-U1", "cs7500"),
        ("MF0;a b,c[1]:MQM8700/U1", "a-b-c-1", ""),
        ("leaf01", "leaf01", ""),
        ("rack 3 leaf", "rack-3-leaf", ""),
        ("SwitchIB Mellanox Technologies", "", ""),
        ("Quantum Mellanox Technologies", "", ""),
        ("ISR9024 Voltaire", "", ""),
        ("MT43132 Mellanox Technologies", "", ""),
        ("", "", ""),
    ],
)
def test_a_switch_is_called_what_its_description_says(description, name, chassis):
    said = switch_name(Chip("0" * 16, description))
    assert (said.name, said.chassis) == (name, chassis)


def test_chips_of_a_director_without_a_name_go_by_its_guid_and_their_slots():
    chips = {
        guid: Chip(guid, "ISR4700 Voltaire", 36, "0008f1040039fe00", f"Chassis 1 ISR4700 {slot}")
        for guid, slot in (("a" * 16, "Line 2 Chip 1"), ("b" * 16, "Spine 1 Chip 2"))
    }
    assert unique_names(chips) == {
        "a" * 16: ("c-0008f1040039fe00-L02-U1", "c-0008f1040039fe00"),
        "b" * 16: ("c-0008f1040039fe00-S01-U2", "c-0008f1040039fe00"),
    }


def test_switches_of_one_name_get_their_guids_behind_it():
    chips = {guid * 16: Chip(guid * 16, name) for guid, name in (("1", "leaf"), ("2", "leaf"), ("3", "spine"))}
    assert unique_names(chips) == {
        "1" * 16: (f"leaf-{'1' * 16}", ""),
        "2" * 16: (f"leaf-{'2' * 16}", ""),
        "3" * 16: ("spine", ""),
    }


@given(st.dictionaries(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.text(max_size=90), max_size=12))
def test_any_descriptions_give_names_that_slurm_takes_whatever_their_order(descriptions):
    chips = {guid: Chip(guid, text) for guid, text in descriptions.items()}
    names = unique_names(chips)
    assert len({name for name, _ in names.values()}) == len(chips)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name, re.ASCII) for name, _ in names.values())
    assert unique_names(dict(reversed(chips.items()))) == names


# Sites.


@given(shapes(), st.randoms(use_true_random=False))
def test_the_order_of_a_text_changes_nothing(shape, random):
    site = fat_tree(shape)
    dump = dump_of(site)
    chips, adapters = list(dump.chips.items()), list(dump.adapters.items())
    random.shuffle(chips)
    random.shuffle(adapters)
    text = as_ibnetdiscover(msgspec.structs.replace(dump, chips=dict(chips), adapters=dict(adapters)))
    assert site_of(ibnetdiscover.read(text.encode(), "x")) == site


def test_an_adapter_that_names_nobody_is_a_host_of_its_own_and_told():
    dump = ibnetdiscover.read(real("jabl-1.ibnetdiscover"), "jabl-1")
    site = site_of(dump)
    (fabric,) = site.fabrics
    assert set(fabric.hosts) == {f"a-{guid}" for guid in dump.adapters}
    assert {host.role for host in fabric.hosts.values()} == {Role.OTHER}
    assert codes(site)["adapter-without-name"] == 4
    guids = {guid: f"n{number}" for number, guid in enumerate(sorted(dump.adapters))}
    (fabric,) = site_of(dump, naming=Naming(guids=guids)).fabrics
    assert [(host.name, host.role) for host in fabric.hosts.values()] == [(f"n{i}", Role.COMPUTE) for i in range(4)]


def replaced(dump: Dump, index: int, **fields) -> Dump:
    guid = sorted(dump.adapters, key=lambda one: dump.adapters[one].description)[index]
    return msgspec.structs.replace(
        dump, adapters={**dump.adapters, guid: msgspec.structs.replace(dump.adapters[guid], **fields)}
    )


def test_an_adapter_without_a_name_is_its_cards_other_adapters_hosts():
    dump = replaced(dump_of(fat_tree(Shape(2, 2, rails=2))), 0, system_guid="5" * 16)
    dump = replaced(dump, 1, system_guid="5" * 16, description="MT4123 ConnectX6 Mellanox Technologies")
    site = site_of(dump)
    assert len(site.fabrics[0].hosts["n0001"].endpoints) == 2
    assert codes(site) == {"adapter-named-by-card": 1}


def test_two_hosts_with_one_name_are_told():
    dump = dump_of(fat_tree(Shape(3, 3)))
    site = site_of(replaced(dump, 1, description="n0001 HCA-1"))
    assert [(notice.code, notice.subject) for notice in site.notices] == [("duplicate-name", "n0001")]
    assert set(site.fabrics[0].hosts) == {"n0001", "n0003"}


def test_adapters_with_one_name_are_told_once_and_in_the_same_words_whatever_their_order():
    dump = dump_of(fat_tree(Shape(3, 3)))
    for index in (1, 2):
        dump = replaced(dump, index, description="n0001 HCA-1")
    (notice,) = site_of(dump).notices
    assert all(guid in notice.text for guid in dump.adapters)
    turned = msgspec.structs.replace(dump, adapters=dict(reversed(dump.adapters.items())))
    assert site_of(turned).notices == (notice,)


@pytest.mark.parametrize("line", [False, True])
def test_the_ports_of_a_card_that_iblinkinfo_tells_a_guid_each_are_no_duplicates(line):
    dump = dump_of(fat_tree(Shape(4, 4, adapter_ports=2)))
    text = as_iblinkinfo(dump, line=line)
    (fabric,) = (site := site_of(iblinkinfo.read(text.encode(), "x"))).fabrics
    assert site.notices == ()
    assert {name: len(host.endpoints) for name, host in fabric.hosts.items()} == {f"n000{i}": 2 for i in range(1, 5)}
    twice = site_of(iblinkinfo.read(text.replace("n0002", "n0001").encode(), "x"))
    assert [(notice.code, notice.subject) for notice in twice.notices] == [("duplicate-name", "n0001")]


def test_switches_with_one_name_are_told():
    dump = dump_of(fat_tree(Shape(8, 4, spines=2)))
    one, other = (guid for guid, chip in dump.chips.items() if "leaf" in chip.description)
    chips = {**dump.chips, other: msgspec.structs.replace(dump.chips[other], description=dump.chips[one].description)}
    site = site_of(msgspec.structs.replace(dump, chips=chips))
    (notice,) = site.notices
    assert (notice.code, notice.subject) == ("switch-name-shared", "leaf01")
    assert {name for name in site.fabrics[0].switches if "leaf" in name} == {f"leaf01-{one}", f"leaf01-{other}"}
    assert all(guid in notice.text for guid in (one, other))
    factory = {guid: msgspec.structs.replace(chip, description="Quantum Mellanox") for guid, chip in chips.items()}
    assert codes(site_of(msgspec.structs.replace(dump, chips=factory))) == {}


def test_several_adapters_of_a_host_are_no_duplicates_and_stand_by_their_numbers():
    site = fat_tree(Shape(2, 2, rails=12))
    found = site_of(dump_of(site))
    assert found == site
    assert found.notices == ()


def test_nodes_without_a_fabric_and_hosts_that_are_no_nodes_are_each_told_once():
    site = site_of(dump_of(fat_tree(Shape(8, 8))), nodes=["n0001", "n0002", "n0003", "x1", "x2", "x3"])
    assert [(notice.code, notice.subject) for notice in site.notices] == [
        ("node-without-fabric", "x[1-3]"), ("host-without-node", "n[0004-0008]")
    ]  # fmt: skip
    assert [host.role.value for host in site.fabrics[0].hosts.values()] == ["compute"] * 3 + ["other"] * 5


def test_hosts_that_are_named_like_storage_are_storage_unless_they_are_nodes():
    dump = ibnetdiscover.read(real("ufm-selene.storage.ibnetdiscover.gz"), "selene")
    (fabric,) = site_of(dump, naming=Naming(storage=(r"ai\d+x-\d+",))).fabrics
    count = Counter(host.role for host in fabric.hosts.values())
    assert count == {Role.STORAGE: 160, Role.COMPUTE: 468, Role.OTHER: 1}
    (fabric,) = site_of(dump, naming=Naming(storage=(r"ai.*",)), nodes=["ai400x-001"]).fabrics
    assert Counter(host.role for host in fabric.hosts.values()) == {Role.STORAGE: 159, Role.COMPUTE: 1, Role.OTHER: 469}


def test_storages_and_computes_networks_are_fabrics_of_their_own_the_larger_first():
    compute = dump_of(fat_tree(Shape(16, 4, spines=2)))
    storage = dump_of(fat_tree(Shape(6, 6, seed=2, prefix="sto")))
    hosts = msgspec.structs.replace(
        storage,
        adapters={
            guid: msgspec.structs.replace(one, description=one.description.replace("sto0001", "n0001"))
            for guid, one in storage.adapters.items()
        },
    )
    site = site_of(hosts, compute, naming=Naming(storage=("sto.*",), fabrics={"LEAF01": "lost", "spine02": "train"}))
    assert [(fabric.name, len(fabric.compute)) for fabric in site.fabrics] == [("train", 16), ("ib0", 1)]
    assert [point.rail for fabric in site.fabrics for point in fabric.hosts["n0001"].endpoints] == [0, 0]


def test_a_switch_in_two_sources_is_one_and_their_differences_are_told():
    dump = dump_of(fat_tree(Shape(8, 4, spines=1)))
    assert site_of(dump, dump) == site_of(dump)
    first = dump.cables[0]
    moved = msgspec.structs.replace(first, b_port=first.b_port + 50)
    later = msgspec.structs.replace(dump, cables=(moved, *dump.cables[1:]))
    site = site_of(dump, later)
    assert codes(site) == {"sources-differ": 1}
    assert site.fabrics == site_of(dump).fabrics
    guid = next(iter(dump.chips))
    renamed = {**dump.chips, guid: msgspec.structs.replace(dump.chips[guid], description="other")}
    site = site_of(dump, msgspec.structs.replace(dump, chips=renamed))
    assert [(notice.code, notice.subject) for notice in site.notices] == [("sources-differ", guid)]
    assert site.fabrics == site_of(dump).fabrics


def test_two_tools_that_say_the_same_of_a_fabric_do_not_differ():
    dumps = [
        ibnetdiscover.read((DATA / "ibnetdiscover.txt").read_bytes(), "a"),
        iblinkinfo.read((DATA / "iblinkinfo.txt").read_bytes(), "b"),
    ]
    alone = site_of(dumps[0])
    assert alone.notices == ()
    assert site_of(*dumps) == alone
    other = site_of(*reversed(dumps))
    assert other.notices == ()
    assert [set(fabric.hosts) for fabric in other.fabrics] == [set(fabric.hosts) for fabric in alone.fabrics]


def test_what_a_second_tool_says_otherwise_is_told_with_the_ports():
    dump = dump_of(fat_tree(Shape(8, 4, spines=1)))
    first = dump.cables[0]
    later = msgspec.structs.replace(
        dump, source="later", cables=(msgspec.structs.replace(first, b_port=first.b_port + 50), *dump.cables[1:])
    )
    (notice,) = site_of(dump, later).notices
    assert notice.text == (
        f"later has a cable {first.a}/{first.a_port} - {first.b}/{first.b_port + 50} where a source before it has "
        f"{first.a}/{first.a_port} - {first.b}/{first.b_port}, which stands"
    )


def test_a_description_that_the_first_tool_did_not_get_is_the_seconds():
    dump = dump_of(fat_tree(Shape(4, 2, spines=1)))
    guid = next(iter(dump.chips))
    silent = {**dump.chips, guid: msgspec.structs.replace(dump.chips[guid], description="")}
    assert site_of(msgspec.structs.replace(dump, chips=silent), dump) == site_of(dump)


def planes(*unplugged: tuple[str, int]) -> Dump:
    """Two planes that each host has a port on, without the cables of some hosts to one of them."""
    dumps = [dump_of(fat_tree(Shape(32, 8, spines=2, seed=seed))) for seed in (1, 2)]
    named = []
    for plane, dump in enumerate(dumps):
        gone = {
            guid
            for guid, one in dump.adapters.items()
            if any((one.description.split()[0], plane) == (host, its) for host, its in unplugged)
        }
        chips = {
            guid: msgspec.structs.replace(chip, description=chip.description.replace("MF0;", f"MF0;{'ab'[plane]}-"))
            for guid, chip in dump.chips.items()
        }
        adapters = {
            guid: msgspec.structs.replace(one, description=one.description.replace("HCA-1", f"HCA-{plane + 1}"))
            for guid, one in dump.adapters.items()
            if guid not in gone
        }
        cables = tuple(cable for cable in dump.cables if gone.isdisjoint((cable.a, cable.b)))
        named.append(msgspec.structs.replace(dump, chips=chips, adapters=adapters, cables=cables))
    one, other = named
    return msgspec.structs.replace(
        one,
        chips={**one.chips, **other.chips},
        adapters={**one.adapters, **other.adapters},
        cables=(*one.cables, *other.cables),
    )


def test_a_host_that_is_missing_on_one_of_two_planes_changes_neither_their_order_nor_their_names():
    for unplugged in ((), (("n0004", 0),), (("n0004", 1),), tuple((f"n000{i}", 0) for i in range(1, 9))):
        site = site_of(planes(*unplugged))
        assert [(fabric.name, min(fabric.switches)) for fabric in site.fabrics] == [
            ("ib0", "a-leaf01"),
            ("ib1", "b-leaf01"),
        ]
        assert [len(fabric.hosts) for fabric in site.fabrics] == [
            32 - sum(plane == its for _, its in unplugged) for plane in (0, 1)
        ]


def test_routers_are_others_and_hosts_without_a_switch_are_told():
    chips = {"a" * 16: Chip("a" * 16, "leaf")}
    adapters = {
        "b" * 16: Adapter("b" * 16, "gw HCA-1", router=True),
        "c" * 16: Adapter("c" * 16, "n1 HCA-1"),
        "d" * 16: Adapter("d" * 16, "n2 HCA-1"),
        "e" * 16: Adapter("e" * 16, "n3 HCA-1"),
    }
    cables = (
        Cable("a" * 16, 1, "b" * 16, 1),
        Cable("a" * 16, 2, "c" * 16, 1),
        Cable("d" * 16, 1, "e" * 16, 1),
    )
    site = site_of(Dump("x", Network.INFINIBAND, chips, adapters, cables))
    assert {host.name: host.role.value for host in site.fabrics[0].hosts.values()} == {"gw": "other", "n1": "compute"}
    assert [(notice.code, notice.subject) for notice in site.notices] == [("host-without-switch", "n[2-3]")]


def test_a_switch_that_did_not_tell_its_description_is_told():
    dump = dump_of(fat_tree(Shape(4, 2, spines=1)))
    guid = next(iter(dump.chips))
    silent = {**dump.chips, guid: msgspec.structs.replace(dump.chips[guid], description="")}
    site = site_of(msgspec.structs.replace(dump, chips=silent))
    assert [(notice.code, notice.subject) for notice in site.notices] == [("switch-without-description", guid)]
    assert site.fabrics[0].switches[f"s-{guid}"].tier == 1


def test_domains_have_the_names_of_nodes():
    dump = dump_of(fat_tree(Shape(4, 4)))
    domains = {"u.1": ["N0002.local", "n0001"], "u.2": ["gone"], "u.3": []}
    site = site_of(dump, nodes=[f"n000{i}" for i in range(1, 5)], domains=domains)
    assert site.domains == {"u.1": ("n0001", "n0002")}
    assert [(notice.code, notice.subject) for notice in site.notices] == [("domain-without-node", "u.2")]
    assert site_of(dump, domains=domains).domains == {"u.1": ("N0002", "n0001"), "u.2": ("gone",)}


def test_a_real_fabric_has_the_hosts_and_leaves_that_stand_in_it():
    data = real("loginoff-stage-144hca.ibnetdiscover")
    (fabric,) = site_of(ibnetdiscover.read(data, "stage")).fabrics
    said = set(re.findall(r'# "(\S+) mlx4_0"\n', data.decode()))
    assert len(said) == 144
    assert set(fabric.hosts) == said
    assert fabric.hosts["stage114"].leaves == ("ib5",)
    assert list(fabric.hosts)[:3] == ["atlas", "booster1", "booster2"]
    assert list(fabric.hosts).index("stage9") < list(fabric.hosts).index("stage10")
    # As many lines of ports lead to a spine as it has cables; two storage hosts hang on one of them.
    guids = {"ib7": "f4521403007eaa70", "ib8": "f4521403007ea570"}
    lead = {name: len(re.findall(rf'^\[.*"S-{guid}"', data.decode(), re.MULTILINE)) for name, guid in guids.items()}
    ends = Counter(trunk.b for trunk in fabric.trunks)
    ends.update(point.switch for host in fabric.hosts.values() for point in host.endpoints)
    assert {name: ends[name] for name in guids} == lead
    assert [host.name for host in fabric.hosts.values() if host.leaves == ("ib7",)] == ["tank1", "tank2"]


def test_two_fabrics_of_a_table_that_one_name_is_given_to_are_kept_apart():
    dump = table.read(b"host,switch,fabric\nn1,l1,blue\nn2,l2,blue\n", "x")
    assert sorted(fabric.name for fabric in site_of(dump).fabrics) == ["blue", "ib0"]


def test_notices_of_all_sources_are_the_sites():
    dump = ibnetdiscover.read(real("jabl-3.ibnetdiscover"), "jabl-3")
    more = dump.notices[:1]
    assert site_of(dump, notices=more).notices == (*dump.notices, *more)
