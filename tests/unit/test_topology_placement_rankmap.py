from __future__ import annotations

import msgspec
import pytest

from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs_plugins.topology.placement.default import Slurm
from hpcjobs_plugins.topology.placement.explain import compared, explain
from hpcjobs_plugins.topology.placement.layout import Kind
from hpcjobs_plugins.topology.placement.planning import Plan, plan
from hpcjobs_plugins.topology.placement.rankmap import Rank, hostfile, rank_table, ranks, slurm_side, task_hostfile
from hpcjobs_plugins.topology.placement.request import Model, Objective, Request
from hpcjobs_plugins.topology.twin import Shape, fat_tree

SITE = fat_tree(Shape(hosts=16, hosts_per_leaf=4, spines=2))
USABLE = [f"n{number:04}" for number in (1, 2, 3, 5, 6, 9, 10, 13)]


def placed(request: Request, slurm: Slurm = Slurm.TREE) -> Plan:
    return plan(SITE, USABLE, request, Objective.PIPELINE, slurm=slurm)


def test_a_hostfile_has_a_line_a_node_in_the_order_of_ranks_with_its_slots():
    found = placed(Request(tp=4, pp=3, dp=1))
    first, second = found.nodes
    assert hostfile(found) == f"{first} slots=8\n{second} slots=4\n"


def test_the_rank_map_says_of_every_rank_where_it_is_and_what_it_is():
    found = placed(Request(tp=2, pp=2, dp=4, ep=2))
    every = list(ranks(found))
    assert every[13] == Rank(13, found.nodes[1], 5, tp=1, pp=1, dp=2, ep=0)
    table = rank_table(found)
    assert table.head == ("RANK", "NODE", "GPU", "TP", "PP", "DP", "EP")
    assert table.rows[13] == ("13", found.nodes[1], "5", "1", "1", "2", "0")
    assert len(table.rows) == 16


def test_the_file_for_slurm_hostfile_names_a_node_for_each_task():
    found = placed(Request(tp=4, pp=3, dp=1))
    first, second = found.nodes
    assert task_hostfile(found).split() == [first] * 8 + [second] * 4
    assert task_hostfile(found, per_node=True).split() == [first, second]


def test_a_tree_is_told_the_nodes_and_how_many_leaves_they_are_on():
    found = placed(Request(tp=8, pp=2, dp=2))
    told = slurm_side(found)
    assert sorted(expand_hostlist(told.nodelist)) == sorted(found.nodes)
    assert told.sbatch() == ["--nodes=4", f"--nodelist={told.nodelist}", f"--switches={found.groups.leaf_groups}"]
    assert told.srun() == ["--distribution=arbitrary", "--ntasks=32"]


def test_blocks_are_told_the_nodes_not_to_take_and_the_segment():
    found = placed(Request(tp=8, pp=2, dp=2, segment=2), Slurm.BLOCK)
    told = slurm_side(found)
    others = {host for host in SITE.fabrics[0].hosts if host not in found.nodes}
    assert set(expand_hostlist(told.exclude)) == others
    assert told.sbatch() == ["--nodes=4", f"--exclude={told.exclude}", "--segment=2"]


def test_a_flat_topology_is_told_the_nodes_alone():
    told = slurm_side(placed(Request(tp=8, pp=2), Slurm.FLAT))
    assert told.sbatch() == ["--nodes=2", f"--nodelist={told.nodelist}"]


def test_a_plan_is_explained_by_kind_of_communication_before_and_after():
    found = placed(Request(tp=8, pp=2, dp=3))
    text = explain(found)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    for kind in (Kind.TENSOR, Kind.PIPELINE, Kind.DATA):
        before, after = found.before.of(kind), found.after.of(kind)
        assert rows[kind] == [
            kind,
            f"{after.pairs:,}",
            f"{before.mean_hops:.2f}",
            f"{after.mean_hops:.2f}",
            f"{before.most_hops}",
            f"{after.most_hops}",
            f"{before.over_spines:,.0f}",
            f"{after.over_spines:,.0f}",
            f"{before.cost:.4g}",
            f"{after.cost:.4g}",
        ]
    assert "expert" not in rows
    assert rows["all"] == ["all", f"{found.before.cost:.4g}", f"{found.after.cost:.4g}"]
    assert "48 ranks on 6 nodes of 8 GPUs, for the fewest hops between neighbours of a pipeline" in text
    assert found.groups.leaf_groups > 1
    assert f"nodes: {found.groups.leaf_groups} leaf groups in 1 pod (" in text
    assert "Slurm (topology/tree) would take" in text
    assert "--nodelist=" in text
    assert max(map(len, text.splitlines())) < 200


def test_an_explanation_says_when_slurm_would_wait_and_when_its_order_is_the_best():
    lost = plan(SITE, [*USABLE, "aa1"], Request(tp=8, dp=9), Objective.DATA)
    assert "note: 1 usable nodes are on no fabric" in explain(lost)
    assert "Slurm would let the job wait" in explain(lost)
    own = msgspec.structs.replace(lost, tile=(0, 0))
    assert "order: Slurm's own is the best that was found" in explain(own)


def test_kinds_without_a_pair_are_not_compared():
    assert [one.after.kind for one in compared(placed(Request(tp=8, pp=2)))] == [Kind.TENSOR, Kind.PIPELINE]
    assert compared(placed(Request())) == []
    assert [one.after.kind for one in compared(placed(Request(tp=8, dp=4, ep=4)))] == [
        Kind.TENSOR,
        Kind.DATA,
        Kind.EXPERT,
    ]


@pytest.mark.parametrize("objective", list(Objective))
def test_a_plan_is_written_and_read_as_json(objective):
    model = Model(layers=8, hidden=64, sequence=32, micro_batches=2)
    found = plan(SITE, USABLE, Request(tp=8, pp=2, dp=2, model=model), objective)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Plan) == found
