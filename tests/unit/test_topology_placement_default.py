"""What Slurm does by itself, worked out by hand after its source (default.py names the functions)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.fabric import Site
from hpcjobs_plugins.topology.placement.blocks import Blocks
from hpcjobs_plugins.topology.placement.default import Slurm, in_default_order
from hpcjobs_plugins.topology.placement.distance import Distances
from hpcjobs_plugins.topology.twin import Shape, fat_tree

LEAVES = fat_tree(Shape(hosts=16, hosts_per_leaf=4, spines=2))  # leaves n01-04, n05-08, n09-12, n13-16
PODS = fat_tree(Shape(hosts=16, hosts_per_leaf=4, spines=2, cores=2, pods=2))  # pods n01-08, n09-16
DOMAINS = msgspec.structs.replace(
    LEAVES, domains={f"u.{number}": tuple(f"n{4 * number + each:04}" for each in range(1, 5)) for number in range(4)}
)


OLD = (24, 11)


def order(
    site: Site, usable: list[int], count: int, slurm: Slurm = Slurm.TREE, segment: int = 0, **more: Any
) -> list[int] | None:
    """Numbers of the nodes that a job gets."""
    names = [f"n{number:04}" for number in usable]
    found = in_default_order(site, Distances(site, names), names, count, slurm, segment, **more)
    return None if found is None else [int(name[1:]) for name in found]


@pytest.mark.parametrize(
    ("site", "usable", "count", "expected"),
    [
        (LEAVES, [1, 2, 3, 5, 6, 9, 13], 2, [5, 6]),  # the tightest leaf that holds it
        (LEAVES, [1, 2, 5, 6, 9, 13, 14], 2, [1, 2]),  # of equal ones the first
        (LEAVES, [1, 2, 3, 4, 5, 6, 7, 9, 10], 5, [1, 2, 3, 4, 9]),  # none holds it: the largest, then the tightest
        (LEAVES, [1, 2, 5, 6, 7, 9, 13, 14], 6, [1, 2, 5, 6, 7, 9]),  # ranks by leaf, whatever leaf came first
        (LEAVES, [1, 5, 9, 13], 4, [1, 5, 9, 13]),
        (LEAVES, [1, 2], 3, None),
        (PODS, [1, 2, 5, 6, 9, 10, 11, 13], 4, [1, 2, 5, 6]),  # equal pods hold it: the largest leaf of the first
        (PODS, [1, 2, 5, 9, 10, 11, 13], 4, [9, 10, 11, 13]),  # one pod holds it
        (PODS, [1, 2, 5, 6, 7, 9, 10, 11], 3, [5, 6, 7]),
        (PODS, [1, 2, 3, 4, 9, 10, 11, 13], 6, [1, 2, 3, 4, 9, 10]),  # the second leaf: the largest that is left
        (PODS, [1, 2, 3, 5, 9, 10, 11, 12, 13], 7, [1, 2, 3, 9, 10, 11, 12]),  # the nearer leaf does not hold the rest
    ],
)
def test_tree_topology_fills_as_few_leaves_as_it_can(site, usable, count, expected):
    assert order(site, usable, count) == expected


def test_tree_topology_gives_a_job_nodes_of_one_fabric_only():
    other = msgspec.structs.replace(fat_tree(Shape(hosts=4, prefix="m", seed=2)).fabrics[0], name="ib9")
    site = Site((*LEAVES.fabrics, other))
    names = [f"n{number:04}" for number in range(1, 4)] + [f"m{number:04}" for number in range(1, 5)]
    distances = Distances(site, [*names, "ghost"])
    assert in_default_order(site, distances, names, 4, Slurm.TREE) == ["m0001", "m0002", "m0003", "m0004"]
    assert in_default_order(site, distances, names, 5, Slurm.TREE) is None
    assert in_default_order(site, distances, ["ghost"], 1, Slurm.TREE, release=OLD) is None


@pytest.mark.parametrize("slurm", list(Slurm))
def test_a_job_of_one_node_gets_the_first_since_26_05_and_one_where_few_are_left_before(slurm):
    assert order(DOMAINS, [1, 2, 3, 5, 6, 9], 1, slurm) == [1]
    assert order(DOMAINS, [1, 2, 3, 5, 6, 9], 1, slurm, release=OLD) == [9]


def test_ranks_go_by_leaf_since_26_05_where_a_node_has_several_tasks_and_by_name_else():
    crossed = msgspec.structs.replace(
        LEAVES, domains={"u.1": ("n0005", "n0006", "n0007", "n0008"), "u.0": ("n0001", "n0002", "n0003", "n0004")}
    )
    blocks = Blocks((tuple(crossed.domains["u.1"]), tuple(crossed.domains["u.0"])), 4, (1, 2))
    by_block = [5, 6, 7, 1, 2, 3]
    assert order(crossed, by_block, 6, Slurm.BLOCK, blocks=blocks) == by_block
    for more in ({"tasks_each": 1}, {"release": OLD}):
        assert order(crossed, by_block, 6, Slurm.BLOCK, blocks=blocks, **more) == sorted(by_block)


@pytest.mark.parametrize(
    ("usable", "count", "expected"),
    [
        ([1, 2, 3, 5, 6, 9], 2, [5, 6]),  # the shortest run that holds it
        ([1, 2, 3, 5, 6, 9], 4, [1, 2, 3, 9]),  # none does: the longest, then the shortest that holds the rest
        ([3, 4, 5, 6, 8], 3, [3, 4, 5]),  # runs do not end where leaves do
        ([1, 3], 3, None),
    ],
)
def test_flat_topology_looks_for_runs_in_the_node_table(usable, count, expected):
    assert order(LEAVES, usable, count, Slurm.FLAT) == expected


@pytest.mark.parametrize(
    ("usable", "count", "segment", "expected"),
    [
        ([1, 2, 5, 6, 7, 9, 10, 13], 2, 0, [9, 10]),  # best fit, of equal blocks the last
        ([1, 2, 5, 6, 7, 9, 10, 13], 4, 0, None),  # what one block could hold is never on two
        ([1, 2, 5, 6, 7, 9, 10, 13], 5, 0, [5, 6, 7, 9, 10]),  # the fullest, then the tightest, of equal ones the last
        ([1, 2, 5, 6, 7, 9, 10, 13], 4, 2, [1, 2, 9, 10]),  # each segment by itself
        ([1, 2, 5, 6, 7, 9, 13], 6, 2, None),
        ([1, 2, 5, 6, 7, 9], 3, 3, [5, 6, 7]),
        ([1, 2, 5, 6, 9], 3, 3, None),
        ([1, 2, 5, 6, 7, 9], 3, 4, [5, 6, 7]),  # a segment larger than the job is nothing asked for
    ],
)
def test_block_topology_fits_segments_into_blocks(usable, count, segment, expected):
    assert order(DOMAINS, usable, count, Slurm.BLOCK, segment) == expected
    assert order(LEAVES, usable, count, Slurm.BLOCK, segment) == expected  # without domains leaf groups are blocks


def test_a_node_that_is_in_no_block_is_not_used_by_a_block_topology():
    site = msgspec.structs.replace(LEAVES, domains={"u.0": ("n0001", "n0002")})
    assert order(site, [1, 2, 3], 2, Slurm.BLOCK) == [1, 2]
    assert order(site, [1, 2, 3], 3, Slurm.BLOCK) is None


@given(st.sets(st.integers(1, 16), min_size=1), st.data(), st.sampled_from(list(Slurm)))
def test_whatever_it_knows_it_gives_a_job_usable_nodes_each_once(usable, data, slurm):
    count = data.draw(st.integers(1, len(usable)))
    found = order(data.draw(st.sampled_from([LEAVES, PODS, DOMAINS])), sorted(usable), count, slurm)
    if found is None:  # idle nodes are spread wider than the job may be
        assert slurm is Slurm.BLOCK
        return
    assert len(found) == len(set(found)) == count
    assert set(found) <= usable
