from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.engines.block import By, block
from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.judge import judge
from hpcjobs_plugins.topology.engines.model import Block, Kind, Plan, Topology, graph
from hpcjobs_plugins.topology.fabric import FabricError, Site
from hpcjobs_plugins.topology.twin import Shape, fat_tree

from .fabrics import shapes

UUIDS = ("9f1a5e60-0000-4000-8000-000000000001", "1c22aa00-0000-4000-8000-000000000002")


def racks(sizes: list[int], shape: Shape | None = None) -> Site:
    """NVLink domains that have the first hosts of a fabric, in order; named so that their names say another order."""
    site = fat_tree(shape or Shape(sum(sizes), 4, spines=2))
    names = list(site.fabrics[0].hosts)
    domains, first = {}, 0
    for index, size in enumerate(sizes):
        domains[f"{900 - index:08x}-0000-4000-8000-000000000000.{index}"] = tuple(names[first : first + size])
        first += size
    return msgspec.structs.replace(site, domains=domains)


def test_each_nvlink_domain_is_a_block_in_the_order_of_the_fabric():
    topology, notices = block(racks([4, 4, 4, 4]))
    assert [one.nodes[0] for one in topology.blocks] == ["n0001", "n0005", "n0009", "n0013"]
    assert topology.blocks[0].name == "nvl-00000384.0"
    assert topology.block_sizes == (4, 16)
    assert notices == ()


def test_two_cliques_of_one_domain_are_two_blocks_and_two_domains_alike_keep_their_whole_names():
    site = fat_tree(Shape(8, 4, spines=1))
    names = list(site.fabrics[0].hosts)
    domains = {f"{UUIDS[0]}.1": names[:2], f"{UUIDS[0]}.2": names[2:4], f"{UUIDS[1]}.1": names[4:6]}
    domains[f"{UUIDS[1][:8]}-ffff-4000-8000-000000000002.1"] = names[6:]
    site = msgspec.structs.replace(site, domains={name: tuple(nodes) for name, nodes in domains.items()})
    assert sorted(one.name for one in block(site).topology.blocks) == [
        "nvl-1c22aa00-0000-4000-8000-000000000002.1",
        "nvl-1c22aa00-ffff-4000-8000-000000000002.1",
        "nvl-9f1a5e60.1",
        "nvl-9f1a5e60.2",
    ]


def test_groups_of_leaves_are_blocks_where_they_are_asked_for_and_pods_are_larger_sizes():
    site = fat_tree(Shape(64, 4, spines=4, cores=4, pods=2, rails=8, rail_optimised=True))
    topology, _ = block(site, by=By.LEAVES)
    assert [one.name for one in topology.blocks[:3]] == ["leaf001-008", "leaf009-016", "leaf017-024"]
    assert topology.block_sizes == (4, 32, 64)
    pods = {frozenset(one.name for one in topology.blocks[:8]), frozenset(one.name for one in topology.blocks[8:])}
    assert {names for size, names in graph(topology).joined if size == 32} == pods


def test_blocks_with_fewer_nodes_than_most_are_left_out_with_the_reason_where_slurm_refuses_them():
    topology, notices = block(racks([4, 4, 3, 4]), release=(24, 11))
    assert [len(one.nodes) for one in topology.blocks] == [4, 4, 4]
    (remark,) = topology.remarks
    assert remark.startswith("Left out: block nvl-00000382.2 (NVLink domain 00000382-")
    assert remark.endswith("has 3 nodes, fewer than the base size of 4: n[0009-0011]")
    assert [(notice.code, notice.subject) for notice in notices] == [("block-left-out", "nvl-00000382.2")]


def test_they_are_kept_where_slurm_takes_blocks_with_gaps():
    topology, notices = block(racks([4, 4, 3, 4]), release=(25, 5))
    assert [len(one.nodes) for one in topology.blocks] == [4, 4, 3, 4]
    assert topology.block_sizes[0] == 4
    assert [notice.code for notice in notices] == ["block-with-gaps"]
    assert judge(Plan((topology,)), Form.YAML, release=(25, 5)) == []
    assert [finding.code for finding in judge(Plan((topology,)), Form.CONF, release=(24, 11))] == ["block-below-base"]


def test_a_smaller_base_size_that_is_asked_for_keeps_all_blocks():
    topology, notices = block(racks([4, 4, 3, 4]), base=3)
    assert topology.block_sizes == (3, 12)
    assert len(topology.blocks) == 4
    assert notices == ()


def test_a_base_size_that_no_block_has_is_an_error():
    with pytest.raises(FabricError, match="no block has 5 nodes or more"):
        block(racks([4, 4]), base=5)


def test_a_site_without_domains_has_no_blocks_of_them():
    with pytest.raises(FabricError, match="there are no domains"):
        block(fat_tree(Shape(8, 4, spines=1)))


def test_nodes_that_slurm_does_not_know_or_that_are_in_two_domains_are_said():
    site = racks([4, 4])
    one, other = site.domains
    twice = {one: site.domains[one], other: (*site.domains[other], site.domains[one][0])}
    nodes = [*[f"n{number:04}" for number in range(1, 8)], "login"]
    _, notices = block(msgspec.structs.replace(site, domains=twice), nodes=nodes, base=3)
    assert {notice.code: notice.subject for notice in notices} == {
        "host-in-two-domains": "n0001",
        "host-not-in-slurm": "n0008",
        "node-without-block": "login",
    }


@given(shapes(), st.integers(0, 3))
def test_blocks_of_any_fat_tree_are_what_slurm_takes(shape, spare):
    site = fat_tree(shape)
    topology, _ = block(site, by=By.LEAVES, base=max(1, 3 - spare), release=(25, 11))
    assert judge(Plan((topology,)), Form.CONF, release=(25, 11)) == []
    base = topology.block_sizes[0]
    powers = [size // base for size in topology.block_sizes]
    assert all(not count & (count - 1) for count in powers)
    assert all(one < other for one, other in pairwise(powers))
    assert powers[-1] >= len(topology.blocks)


def test_larger_blocks_are_joined_as_slurm_joins_them_and_a_rest_only_where_it_is_more_than_the_size_below():
    blocks = tuple(Block(f"b{number}", (f"n{number}",)) for number in range(7))
    joined = graph(Topology(kind=Kind.BLOCK, blocks=blocks, block_sizes=(1, 2, 4))).joined
    assert sorted((size, sorted(names)) for size, names in joined if size > 1) == [
        (2, ["b0", "b1"]),
        (2, ["b2", "b3"]),
        (2, ["b4", "b5"]),
        (4, ["b0", "b1", "b2", "b3"]),
        (4, ["b4", "b5", "b6"]),
    ]
