from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs_plugins.topology.placement.layout import Kind, coordinates, groups, traffic
from hpcjobs_plugins.topology.placement.request import Model, Request


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Requests that can be, of at most a few hundred ranks."""
    gpus = draw(st.sampled_from([1, 2, 4, 8]))
    tp = draw(st.sampled_from([1, 2, 4, 8, 16]))
    pp, dp = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    etp = draw(st.sampled_from([each for each in (1, 2, 4, 8, 16) if tp % each == 0]))
    ep = draw(st.sampled_from([each for each in range(1, tp * dp + 1) if tp * dp % (each * etp) == 0]))
    return Request(tp=tp, pp=pp, dp=dp, ep=ep, etp=etp, gpus=gpus).check()


def test_groups_are_those_of_megatron_for_sixteen_gpus_tensor_two_and_pipeline_four():
    request = Request(tp=2, pp=4, dp=2)
    found = {kind: [list(ranks) for ranks in groups(request, kind)] for kind in Kind}
    assert found[Kind.TENSOR] == [[first, first + 1] for first in range(0, 16, 2)]
    assert found[Kind.PIPELINE] == [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]]
    assert found[Kind.DATA] == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9, 11], [12, 14], [13, 15]]
    assert found[Kind.EXPERT] == [[rank] for rank in range(16)]


def test_expert_groups_go_over_data_parallel_indices_or_with_etp_1_over_tensor_groups():
    assert [list(ranks) for ranks in groups(Request(tp=2, dp=4, ep=2), Kind.EXPERT)] == [[0, 2], [1, 3], [4, 6], [5, 7]]
    assert [list(ranks) for ranks in groups(Request(tp=2, dp=2, ep=4, etp=1), Kind.EXPERT)] == [[0, 1, 2, 3]]


@given(requests())
def test_every_rank_is_in_one_group_of_each_kind_at_the_place_that_its_coordinates_say(request):
    for kind, name in zip(Kind, ("tp", "pp", "dp", "ep"), strict=True):
        every = [list(ranks) for ranks in groups(request, kind)]
        assert sorted(rank for ranks in every for rank in ranks) == list(range(request.world))
        for ranks in every:
            assert [getattr(coordinates(request, rank), name) for rank in ranks] == list(range(len(ranks)))
            others = [other for other in ("tp", "pp", "dp") if other != name]
            if kind is not Kind.EXPERT:
                assert len({tuple(getattr(coordinates(request, rank), each) for each in others) for rank in ranks}) == 1


@given(requests())
def test_traffic_counts_each_pair_of_ranks_that_talk(request):
    for each in traffic(request):
        pairs: Counter[tuple[int, int]] = Counter()
        for ranks in groups(request, each.kind):
            if each.kind is Kind.EXPERT:
                pairs.update(two for a, b in combinations(ranks, 2) for two in ((a, b), (b, a)))
            elif len(ranks) > 1:
                pairs.update(pairwise(ranks))
                if each.kind is not Kind.PIPELINE:
                    pairs[ranks[-1], ranks[0]] += 1
        between: Counter[tuple[int, int]] = Counter()
        for (a, b), count in pairs.items():
            low, high = sorted((a // request.gpus, b // request.gpus))
            between[low, high] += count if low != high else 0
        assert each.total == sum(pairs.values())
        assert each.between == {pair: count for pair, count in between.items() if count}


def test_a_request_is_read_with_its_model():
    assert Request.parse("tp=8,pp=4,dp=32") == Request(tp=8, pp=4, dp=32)
    assert Request.parse(" tp=8, pp=4, dp=32, ep=8, gpus=4,segment=4") == Request(8, 4, 32, 8, gpus=4, segment=4)
    model = Model(layers=96, hidden=12288, sequence=2048, micro_batches=24, experts_per_token=1)
    text = "tp=8,layers=96,hidden=12288,sequence=2048,micro_batches=24,experts_per_token=1"
    assert Request.parse(text) == Request(tp=8, model=model)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names none of tp, pp and dp"),
        ("ep=2", "names none of tp, pp and dp"),
        ("tp=8,tp=4", "tp is said twice"),
        ("tp", "tp is a whole number"),
        ("tp=8.5", "tp is a whole number"),
        ("tp=-1", "tp is a whole number"),
        ("tp=٨", "tp is a whole number"),
        ("tp=8;pp=2", "tp is a whole number"),
        ("cp=2,tp=8", "no parallel degree; there are tp, pp, dp"),
        ("tp=0", "tp=0: at least 1"),
        ("tp=8,gpus=0", "gpus=0: at least 1"),
        ("tp=8,pp=99999,dp=99999", "ranks are more than 1,000,000"),
        ("tp=8,dp=4,ep=3", "ep=3 times etp=8, which is tp where it is not said, does not divide tp x dp = 32"),
        ("tp=8,dp=4,ep=64,etp=1", "ep=64 times etp=1 does not divide tp x dp = 32"),
        ("tp=3,dp=8", "tensor groups of tp=3 do not come out even with 8 GPUs of a node.*say gpus=6"),
        ("tp=12,dp=8", "tensor groups of tp=12 do not come out even with 8 GPUs of a node"),
        ("tp=8,dp=6,segment=4", "6 nodes cannot be cut into segments of 4"),
        ("tp=8,layers=96", "of a model hidden, sequence, micro_batches must be said too"),
        ("tp=8,layers=0,hidden=1,sequence=1,micro_batches=1", "layers=0: at least 1"),
    ],
)
def test_a_request_that_cannot_be_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        Request.parse(text)


@given(st.text(alphabet="tpdegus=,0123456789 x", max_size=40))
def test_no_text_does_anything_else_than_be_read_or_refused(text):
    try:
        assert Request.parse(text).world >= 1
    except ValueError as error:
        assert str(error)  # noqa: PT017


def test_degrees_that_do_not_multiply_to_the_nodes_of_a_job_are_refused():
    request = Request(tp=8, pp=2, dp=4)
    assert request.check_nodes(8) is request
    with pytest.raises(ValueError, match="tp x pp x dp = 8 x 2 x 4 = 64 ranks, and 9 nodes of 8 GPUs have 72"):
        request.check_nodes(9)
    with pytest.raises(ValueError, match="12 ranks, and 2 nodes of 8 GPUs have 16"):
        Request(tp=4, dp=3).check_nodes(2)
