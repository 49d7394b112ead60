"""Shares of GPUs in the simulator are to policies what they are on Slurm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.shards import Gpu, Share, free_gpus, share_of, shared_gpus, shared_gpus_of, shared_texts
from hpcjobs.sim.choosers import BestFit, InOrder
from hpcjobs.sim.fleet import Fleet
from hpcjobs_plugins.policies import binpack
from hpcjobs_plugins.policies.fgd_nodes import Shape
from tests.unit.builders import node
from tests.unit.simulated import fleet, job
from tests.unit.test_sim_choosers import job as asking
from tests.unit.test_sim_choosers import node as empty
from tests.unit.test_sim_live import begun, listed, running
from tests.unit.test_sim_steered import Script, steered


def seen_at(at_s, *jobs, **options):
    script = Script({})
    steered(jobs, script, **options)
    return script.seen[at_s]


def test_a_view_says_of_shares_what_slurm_would():
    shares = [job(number, number, 50, gpus=0, gpu_milli=milli) for number, milli in ((2, 300), (3, 500), (4, 400))]
    jobs = (job(1, 0, 50, gpus=1, gpu_types=("h100",)), *shares)
    seen = seen_at(20, *jobs, nodes=fleet(1, gpus=4))
    there = seen.nodes["n0"]
    assert shared_gpus_of(there) == (
        Gpu("h100", "shard", 1000, 1000, whole=True), Gpu("h100", "shard", 1000, 800), Gpu("h100", "shard", 1000, 400),
        Gpu("h100", "shard", 1000, 0),
    )  # fmt: skip
    assert (there.gpus_alloc, free_gpus(there)) == ({"h100": 1}, {"h100": 1})
    assert [share_of(seen.jobs[number]) for number in (1, 2, 3)] == [None, Share("shard", 300), Share("shard", 500)]
    assert [seen.jobs[number].gpus for number in (1, 2)] == [{"h100": 1}, {}]
    assert {shape for shape, _ in binpack.shapes_of(seen)} == {
        Shape(1, 1, 0), *(Shape(0, 1, 0, "shard", parts) for parts in (300, 500, 400)),
    }  # fmt: skip


def test_where_no_job_asks_for_a_share_nodes_say_nothing_of_shards():
    assert seen_at(20, job(1, 0, 50, gpus=1), nodes=fleet(1, gpus=4)).nodes["n0"].particulars == NodeParticulars()


USES = st.lists(st.one_of(st.integers(0, 8), st.none()), min_size=1, max_size=8)


@given(USES, st.sampled_from(["", "h100", "V100M16"]), st.sampled_from(["shard", "mps"]))
def test_what_is_written_of_gpus_is_read_again(uses, kind, sharing):
    gpus = tuple(Gpu(kind, sharing, 8, 8 if used is None else used, used is None) for used in uses)
    assert shared_gpus(*shared_texts(gpus)) == gpus


@pytest.mark.parametrize(("chooser", "gpu"), [(InOrder(), 0), (BestFit(), 1)])
def test_in_slurms_order_a_share_is_of_the_first_gpu_with_room_and_not_of_the_fullest(chooser, gpu):
    there = Fleet([empty("a", 3)])
    for asked in (asking(1, gpu_milli=300), asking(2, gpu_milli=800)):
        there.take(there.find(asked, InOrder()))
    assert there.free_milli[0].tolist() == [700, 200, 1000]
    assert there.find(asking(3, gpu_milli=200), chooser).gpu_indices() == ((gpu,),)


def test_from_a_real_cluster_shares_are_parts_of_gpus_and_go_only_where_there_are_some():
    told = NodeParticulars(gres="gpu:a100:8,shard:a100:32", gres_used="gpu:a100:0(IDX:N/A)")
    nodes = (node("n1", particulars=told), node("n2"))
    parts = Particulars(tres_per_node="gres/shard:3")
    few = {"gpus": {}, "cpus": 1, "particulars": parts}
    many = {**few, "particulars": Particulars(tres_per_node="gres/shard:5")}
    begin = begun(running(1, "n1", **few), listed(2, **few), listed(3, **many), listed(4), nodes=nodes)
    assert [(one.gpus_per_node, one.gpu_milli) for one in begin.workload.jobs] == [
        (0, 750),
        (0, 750),
        (0, 1000),
        (8, 0),
    ]
    assert [begin.only[number] for number in (2, 3, 4)] == [{0}, frozenset(), None]
