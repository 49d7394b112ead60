"""Shares of GPUs, in texts that Slurm 26.05 and 24.11 wrote, and what policies make of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcjobs.model.job import State
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.particulars import Particulars
from hpcjobs.model.shards import Gpu, Share, free_gpus, gpus_in_use, share_of, shared_gpus
from hpcjobs.sbatch.asks import ask_of
from hpcjobs.sim.fgd import Fgd
from hpcjobs.sim.placed import Need
from hpcjobs.sim.workload import WHOLE_GPU
from hpcjobs.slurm.room import free_gpus as still_free
from hpcjobs_plugins.policies import binpack, spread
from hpcjobs_plugins.policies.board import Board, free_of
from hpcjobs_plugins.policies.fgd_nodes import Left, Shape, fragmented, growth
from tests.unit.builders import node, record, view
from tests.unit.policy_views import NOW, running
from tests.unit.sim_fleets import FLEETS, jobs
from tests.unit.test_sim_choosers import filled

FOUR = "gpu:h100:4,shard:h100:32"
USED = {
    "26.05": "gpu:h100:1(IDX:2),shard:h100:11(3/8,8/8,-/8,0/8)",
    "24.11": "gpu:h100:1(IDX:2),shard:h100:11(3/8,8/8,0/8,0/8)",
}
MIXED = "gpu:a100:2,gpu:h100:2,shard:a100:8,shard:h100:8"


def sharing(name="n1", gres=FOUR, gres_used="", gpus=None, alloc=None, cpus_alloc=3):
    told = NodeParticulars(gres=gres, gres_used=gres_used)
    return node(name, gpus=gpus or {"h100": 4}, gpus_alloc=alloc or {}, cpus_alloc=cpus_alloc, particulars=told)


def used(gres, gres_used):
    return [(gpu.kind, gpu.used, gpu.whole) for gpu in shared_gpus(gres, gres_used)]


@pytest.mark.parametrize("release", USED)
def test_of_each_gpu_it_is_told_how_many_shards_are_in_use_and_whether_it_is_given_as_a_whole(release):
    assert shared_gpus(FOUR, USED[release]) == (
        Gpu("h100", "shard", 8, 3), Gpu("h100", "shard", 8, 8), Gpu("h100", "shard", 8, 8, whole=True),
        Gpu("h100", "shard", 8, 0),
    )  # fmt: skip


@pytest.mark.parametrize(
    "gres_used",
    [
        "gpu:a100:1(IDX:1),gpu:h100:1(IDX:2),shard:a100:2(2/4,-/4),shard:h100:2(-/4,2/4)",
        "gpu:a100:1(IDX:1),gpu:h100:1(IDX:2),shard:a100:2(2/4,0/4),shard:h100:2(0/4,2/4)",
    ],
)
def test_indices_count_the_gpus_of_all_types_together(gres_used):
    assert used(MIXED, gres_used) == [("a100", 2, False), ("a100", 4, True), ("h100", 4, True), ("h100", 2, False)]


def test_gpus_without_a_type_and_parts_for_mps_are_read_likewise():
    assert used("gpu:2,shard:6", "gpu:(null):1(IDX:1),shard:(null):3(3/3,0/3)") == [("", 3, False), ("", 3, True)]
    assert used("gpu:2,shard:6", "gpu:1(IDX:1),shard:3(3/3,-/3)") == [("", 3, False), ("", 3, True)]
    assert shared_gpus("gpu:h100:2,mps:h100:200", "gpu:h100:1(IDX:1),mps:h100:30(30/100,-/100)") == (
        Gpu("h100", "mps", 100, 30), Gpu("h100", "mps", 100, 100, whole=True),
    )  # fmt: skip


def test_several_gpus_given_as_a_whole_stand_as_ranges():
    assert [whole for *_, whole in used(FOUR, "gpu:h100:3(IDX:0-1,3),shard:h100:0(0/8,0/8,0/8,0/8)")] == [
        True, True, False, True,
    ]  # fmt: skip


def test_a_node_that_has_not_answered_yet_has_even_shards_and_one_without_has_none():
    assert shared_gpus("gpu:h100:4,shard:32", "gpu:h100:0,shard:0") == (Gpu("h100", "shard", 8),) * 4
    assert shared_gpus("gpu:h100:8(S:0-1)", "gpu:h100:2(IDX:0-1)") == ()
    assert shared_gpus("", "") == ()


def test_only_gpus_of_the_type_that_is_shared_are_shared():
    gres_used = "gpu:a100:1(IDX:0),gpu:h100:1(IDX:3),shard:h100:1(1/4,0/4)"
    some = shared_gpus("gpu:a100:2,gpu:h100:2,shard:h100:8", gres_used)
    assert some == (Gpu("h100", "shard", 4, 1), Gpu("h100", "shard", 4, 4, whole=True))


@pytest.mark.parametrize("release", USED)
def test_a_gpu_of_which_a_share_is_in_use_is_not_free_as_a_whole(release):
    there = sharing(gres_used=USED[release], alloc={"h100": 1})
    assert free_gpus(there) == {"h100": 1}
    assert gpus_in_use(there) == pytest.approx(1 + 1 + 3 / 8)
    assert free_of(there).gpus == {"h100": 1}
    assert free_gpus(node(gpus_alloc={"a100": 3})) == {"a100": 5}


@pytest.mark.parametrize(
    ("told", "facts", "share"),
    [
        ({"tres_per_node": "gres/shard:3"}, {}, Share("shard", 3)),
        ({"tres_per_node": "shard:h100:3"}, {"nodes": 2}, Share("shard", 3, "h100")),
        ({"tres_per_node": "gres/shard"}, {}, Share("shard", 1)),
        ({"tres_per_node": "gres/mps:30"}, {}, Share("mps", 30)),
        ({"tres_per_node": "gres/tmp:1,gres/shard:2"}, {}, Share("shard", 2)),
        ({"tres_per_task": "cpu=2,gres/shard=2"}, {"ntasks": 5, "nodes": 2}, Share("shard", 6)),
        ({"tres_per_job": "gres/shard:5"}, {"nodes": 2}, Share("shard", 3)),
        ({"tres_alloc": "cpu=2,mem=20M,node=2,billing=2,gres/shard=4"}, {"nodes": 2}, Share("shard", 2)),
        ({"tres_per_node": "gres/gpu:4", "tres_req": "cpu=1,gres/gpu=4"}, {}, None),
        ({}, {}, None),
    ],
)
def test_what_a_job_asks_of_one_gpu_is_read_from_whichever_request_says_it(told, facts, share):
    assert share_of(record(**({"nodes": 1, "ntasks": 1} | facts), particulars=Particulars(**told))) == share


def asks(number, parts, sharing="shard", **facts):
    told = Particulars(tres_per_node=f"gres/{sharing}:{parts}")
    return record(number, **({"nodes": 1, "cpus": 1, "partition": "gpu", "particulars": told} | facts))


def test_a_share_finds_room_only_where_one_gpu_has_so_much_left():
    first = sharing(gres_used=USED["24.11"], alloc={"h100": 1})
    third = sharing("n3", gres_used="gpu:h100:3(IDX:0-2),shard:h100:6(0/8,0/8,0/8,6/8)", alloc={"h100": 3})
    seen = view(nodes=(first, node("n2"), third))
    board = Board.of(seen, seen.nodes)
    assert [board.roomy(ask_of(asks(1, parts), seen)) for parts in (2, 5, 8, 9)] == [["n3", "n1"], ["n1"], ["n1"], []]
    assert board.roomy(ask_of(asks(1, 2, "mps"), seen)) == []


def test_parts_for_mps_are_given_of_one_gpu_of_a_node_at_a_time_and_others_as_a_whole():
    gres_used = "gpu:h100:0(IDX:N/A),mps:h100:30(0/100,30/100)"
    seen = view(nodes=(sharing(gres="gpu:h100:2,mps:h100:200", gres_used=gres_used, gpus={"h100": 2}),))
    board = Board.of(seen, seen.nodes)
    assert board.free("n1").gpus == {"h100": 1}
    assert board.roomy(ask_of(asks(1, 80, "mps"), seen)) == []
    assert board.roomy(ask_of(asks(1, 70, "mps"), seen)) == ["n1"]


def test_a_share_that_comes_takes_the_first_gpu_with_room_and_a_whole_one_where_that_is_free():
    seen = view(nodes=(sharing(gres_used=USED["26.05"], alloc={"h100": 1}),))
    board = Board.of(seen, seen.nodes)
    for parts, left in ((5, {"h100": 1}), (1, {"h100": 0}), (7, {"h100": 0})):
        assert board.place(ask_of(asks(1, parts), seen)) == ("n1",)
        assert board.free("n1").gpus == left
    assert board.place(ask_of(asks(1, 1), seen)) == ()


def test_gpus_are_free_again_when_all_that_have_shares_have_left_and_not_before():
    first, second = (asks(number, 3, state=State.RUNNING, node_list="n1") for number in (1, 2))
    third = running(3, "n1", 1, cpus=1, kind="h100")
    seen = view(first, second, third,
        nodes=(sharing(gres_used="gpu:h100:1(IDX:2),shard:h100:6(3/8,3/8,0/8,0/8)", alloc={"h100": 1}),))  # fmt: skip
    board = Board.of(seen, seen.nodes)
    assert board.free("n1").gpus == {"h100": 1}
    board.take_off(first)
    assert board.free("n1").gpus == {"h100": 1}
    board.take_off(second)
    assert board.free("n1").gpus == {"h100": 3}
    board.put_back(first)
    board.take_off(third)
    assert board.free("n1").gpus == {"h100": 2}
    board.take_off(first)
    assert board.free("n1").gpus == {"h100": 4}
    assert not any(gpu.used for gpu in board.free("n1").shared)


def test_a_whole_gpu_does_not_go_where_only_shares_are_left():
    seen = view(nodes=(sharing(gres_used="gpu:h100:0(IDX:N/A),shard:h100:4(1/8,1/8,1/8,1/8)"),))
    board = Board.of(seen, seen.nodes)
    assert board.roomy(ask_of(record(1, nodes=1, cpus=1, gpus={"h100": 1}, partition="gpu"), seen)) == []
    assert board.roomy(ask_of(asks(1, 7), seen)) == ["n1"]


@pytest.mark.parametrize("release", USED)
def test_why_a_job_waits_counts_no_gpu_as_free_of_which_a_share_is_in_use(release):
    there = sharing(gres_used=USED[release], alloc={"h100": 1})
    assert [still_free(there, kind) for kind in ("", "h100", "a100")] == [1, 1, 0]
    assert [still_free(node(gpus_alloc={"a100": 3}), kind) for kind in ("", "a100")] == [5, 5]


def test_nodes_for_a_share_are_those_that_have_shares_once_they_are_empty():
    there = sharing(gres_used=USED["24.11"], alloc={"h100": 1})
    assert [ask_of(asks(1, parts), view()).fits(there) for parts in (8, 9)] == [True, False]
    gpus = record(1, cpus=1, gpus={"a100": 8})
    assert [ask_of(asked, view()).fits(node()) for asked in (asks(1, 1), gpus)] == [False, True]


def test_the_fragmentation_of_a_node_is_what_the_paper_says():
    """Half the jobs want a whole GPU, half 4 of 8 shards: of GPUs with 5, 2 and 8 left these use 8, and 5 + 8."""
    mix = [(Shape(1, 1, 0), 0.5), (Shape(0, 1, 0, "shard", 4), 0.5)]
    shared = (Gpu("", "shard", 8, 3), Gpu("", "shard", 8, 6), Gpu("", "shard", 8, 0))
    assert fragmented(Left(0, 8, 0, shared), mix) == pytest.approx((0.5 * (5 + 2) + 0.5 * 2) / 8)
    assert fragmented(Left(0, 0, 0, shared), mix) == pytest.approx(15 / 8)  # no CPU is left
    assert fragmented(Left(3, 8, 0), mix) == pytest.approx(0.5 * 3)  # which nobody can have in shares
    # A whole GPU takes the third, and 7/8 are left for nobody, or 2/8 for no share; a share takes the first with room.
    whole, shares = (0.5 * 7 + 0.5 * 2) / 8, (0.5 * (1 + 2) + 0.5 * (1 + 2)) / 8
    assert growth(Left(0, 8, 0, shared), mix) == pytest.approx((whole + shares) / 2 - (0.5 * 7 + 0.5 * 2) / 8)


def as_shape(need):
    return Shape(need.gpus, need.cpus, 0, "shard" if need.milli else "", need.milli)


NEEDS = st.builds(
    lambda cpus, gpus, milli: Need(cpus=cpus, gpus=gpus, milli=0 if gpus else milli),
    st.integers(0, 4),
    st.integers(0, 5),
    st.sampled_from([1, 250, 400, 999, 1000]),
).filter(lambda need: need.gpu_milli > 0)


@settings(max_examples=200)
@given(FLEETS, st.lists(jobs(), max_size=6), st.dictionaries(NEEDS, st.integers(1, 5), min_size=1, max_size=5))
def test_the_policy_and_the_simulators_scheduler_have_one_formula(nodes, first, popularity):
    fleet, fgd = filled(nodes, first), Fgd(popularity, grain_milli=0)
    mix = [(as_shape(need), part) for need, part in fgd.popularity.items()]
    total = 0.0
    for index, one in enumerate(nodes):
        milli = fleet.free_milli[index][: one.gpus].tolist()
        shared = tuple(Gpu("", "shard", WHOLE_GPU, WHOLE_GPU - free) for free in milli)
        left = Left(0, int(fleet.free_cpus[index]), 0, shared)
        total += fragmented(left, mix)
        grows = weight = 0.0
        for need, part in fgd.popularity.items():
            if left.usable(as_shape(need)):
                each = fgd.growth(fleet, need, np.array([index]))[0]
                gpu = next(at for at, free in enumerate(milli) if free >= need.milli) if need.milli else 0
                grows, weight = grows + part * each[gpu], weight + part
        ours = growth(left, mix)
        assert (ours is None) == (weight == 0)
        assert ours is None or ours == pytest.approx(grows / weight / WHOLE_GPU, abs=1e-6)
    assert fgd.fragmentation(fleet) == pytest.approx(total, abs=1e-6)


def test_binpack_counts_jobs_that_ask_for_shares():
    seen = view(asks(1, 3), asks(2, 3), asks(3, 30, "mps"), record(4, cpus=1), running(5, "n1", 2, cpus=8))
    assert dict(binpack.shapes_of(seen)) == {
        Shape(0, 1, 0, "shard", 3): 0.5, Shape(0, 1, 0, "mps", 30): 0.25, Shape(2, 8, 0): 0.25,
    }  # fmt: skip


def test_binpack_takes_nodes_where_a_share_would_break_what_whole_gpus_need_later():
    """Halves and two whole GPUs are asked for alike; n1 has half a GPU and one, n2 two, which a half would break."""
    plain = [record(number, nodes=1, cpus=1, gpus={"h100": 2}) for number in (8, 9)]
    nodes = (
        sharing("n1", gres_used="gpu:h100:2(IDX:0-1),shard:h100:4(0/8,0/8,4/8,0/8)", alloc={"h100": 2}),
        sharing("n2", gres_used="gpu:h100:2(IDX:0-1),shard:h100:0(0/8,0/8,0/8,0/8)", alloc={"h100": 2}),
        sharing("n3", cpus_alloc=0),
    )
    told = list(binpack.tick(binpack.Settings(), view(*plain, asks(1, 4), asks(2, 4), nodes=nodes), NOW))
    assert [(one.nodes, one.weight) for one in told] == [(("n2",), 10), (("n3",), 20)]


def test_spread_counts_shares_as_fractions():
    half = sharing(gres_used="gpu:h100:0(IDX:N/A),shard:h100:16(8/8,8/8,0/8,0/8)")
    little = sharing(gres_used="gpu:h100:0(IDX:N/A),shard:h100:4(1/8,1/8,1/8,1/8)")
    assert [spread.class_of(one) for one in (half, little, sharing(cpus_alloc=0))] == [2, 1, 0]
