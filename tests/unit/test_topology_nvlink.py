from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.fabric import FabricError
from hpcjobs_plugins.topology.providers import nvlink
from hpcjobs_plugins.topology.twin import Shape, fat_tree
from hpcjobs_plugins.topology.twin_tables import as_nvlink

UUID = "9edf5e4d-1234-4bcd-8a90-0123456789ab"
OTHER = "00000001-0000-0000-0000-000000000000"
ZERO = "00000000-0000-0000-0000-000000000000"


def read(text: str) -> nvlink.Domains:
    return nvlink.read(text.encode(), "nvlink")


def test_pairs_by_host_are_domains_in_the_order_that_people_count_in():
    text = f"n10: {UUID}.7\nn9: {UUID.upper()}.7\nn1: {OTHER}.0\nn2: {UUID}.8\n"
    assert read(text).domains == {f"{OTHER}.0": ("n1",), f"{UUID}.7": ("n9", "n10"), f"{UUID}.8": ("n2",)}


@given(st.integers(1, 40), st.integers(1, 18), st.booleans())
def test_what_all_hosts_would_say_gives_back_the_domains(hosts, domain_hosts, query):
    site = fat_tree(Shape(hosts, hosts, domain_hosts=domain_hosts))
    assert sum(map(len, site.domains.values())) == hosts
    assert read(as_nvlink(site, query=query)) == nvlink.Domains(site.domains)


QUERY = """
==============NVSMI LOG==============

Timestamp                                 : Fri Nov 27 05:00:00 2026
Driver Version                            : 570.86.15
Attached GPUs                             : 2
GPU 00000008:01:00.0
    Product Name                          : NVIDIA GB200
    Clocks
        Graphics                          : 120 MHz
    Fabric
        State                             : Completed
        Status                            : Success
        CliqueId                          : 32766
        ClusterUUID                       : {uuid}
        Health
            Bandwidth                     : N/A
GPU 00000009:01:00.0
    Fabric
        State                             : Completed
        Status                            : Success
        CliqueId                          : {clique}
        ClusterUUID                       : {uuid}
"""


def prefixed(host: str, text: str) -> str:
    return "".join(f"{host}: {line}\n" for line in text.splitlines())


def query(uuid: str = UUID, clique: str = "32766") -> str:
    return QUERY.format(uuid=uuid, clique=clique)


def test_the_fabric_section_of_a_query_is_found_among_all_the_others():
    found = read(prefixed("n1", query()) + prefixed("n2", query()))
    assert found == nvlink.Domains({f"{UUID}.32766": ("n1", "n2")})


def test_outputs_below_headers_and_in_json_are_the_same():
    header = f"----------------\nn[1-2]\n----------------\n{query()}"
    of_json = json.dumps({"n1": query(), "n2": query().splitlines()})
    assert read(header) == read(of_json) == nvlink.Domains({f"{UUID}.32766": ("n1", "n2")})


def test_cells_of_a_query_of_fields_may_stand_in_either_order():
    text = (
        "n1: fabric.clusterUuid, fabric.cliqueId\n"
        f"n1: {UUID}, 3\nn1: {UUID}, 3\nn2: 3, {UUID}\nn3: [N/A], [N/A]\nn4: N/A, {ZERO}\n"
    )
    assert read(text) == nvlink.Domains({f"{UUID}.3": ("n1", "n2")})


@pytest.mark.parametrize("uuid", [ZERO, "N/A"])
def test_hosts_without_an_nvlink_fabric_are_in_no_domain(uuid):
    assert read(prefixed("n1", query(uuid))) == nvlink.Domains({})


def test_a_host_whose_gpus_disagree_is_a_notice_and_in_no_domain():
    found = read(prefixed("n1", query(clique="5")) + prefixed("n2", query()))
    assert found.domains == {f"{UUID}.32766": ("n2",)}
    assert [(notice.code, notice.subject) for notice in found.notices] == [("nvlink-disagrees", "n1")]


def test_what_is_not_understood_is_a_notice():
    found = read(f"n1: {UUID}.7\nn2: {UUID}\nbash: nvidia-smi: command not found\nnothing\n")
    assert [(notice.code, notice.line) for notice in found.notices] == [
        ("line-unread", 2), ("line-unread", 3), ("line-unread", 4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\0", "empty|no text"),
        ("n1: hello", "no ClusterUUID"),
        ('{"n1": 3}', "no JSON"),
        ("{", "no JSON"),
        (prefixed("n1", query()[: query().rindex("ClusterUUID")]), "cut off"),
        ("----\nn[1-\n----\nx", "hostlist"),
    ],
)
def test_what_says_nothing_is_refused(text, words):
    with pytest.raises(FabricError, match=words):
        read(text)


@given(st.text(alphabet=f'n12:. -,{{}}"\n{UUID[:9]}', max_size=200))
def test_any_text_is_read_or_refused(text):
    try:
        found = read(text)
    except FabricError:
        return
    assert all(found.domains.values())
