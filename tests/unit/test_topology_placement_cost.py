from __future__ import annotations

import msgspec
import pytest

from hpcjobs_plugins.topology.placement.cost import score, volumes
from hpcjobs_plugins.topology.placement.distance import Distances
from hpcjobs_plugins.topology.placement.layout import Kind, traffic
from hpcjobs_plugins.topology.placement.request import Model, Objective, Request
from hpcjobs_plugins.topology.twin import Shape, fat_tree

TINY = Model(layers=4, hidden=10, sequence=6, micro_batches=3, micro_batch=2, vocabulary=14, experts_per_token=2)


def test_volumes_of_a_model_are_those_of_the_formulas():
    request = Request(tp=2, pp=2, dp=4, ep=4, model=TINY)
    state = 2 * 6 * 10
    parameters = 12 * 4 * 10**2 * (1 + 13 / 120 + (14 + 6) / (12 * 4 * 10))
    assert volumes(request) == pytest.approx(
        {
            Kind.TENSOR: 2 * 8 * state * (1 / 2) * (4 / 2) * 3,
            Kind.PIPELINE: 2 * 2 * state / 2 * 3,
            Kind.DATA: 2 * 2 * (3 / 4) * parameters / 4,
            Kind.EXPERT: 2 * 4 * 2 * state / 2 / 4 * (4 / 2) * 3,
        }
    )


def test_the_parameters_of_the_formula_are_those_of_a_model_of_175_billion():
    model = Model(layers=96, hidden=12288, sequence=2048, micro_batches=1)
    gradients = volumes(Request(tp=1, pp=1, dp=2, model=model))[Kind.DATA] / 2
    assert gradients == pytest.approx(175e9, rel=0.01)


def test_without_a_model_every_pair_weighs_the_same_and_an_all_to_all_as_much_as_a_ring():
    assert volumes(Request(tp=8, dp=8, ep=8)) == {
        Kind.TENSOR: 1.0,
        Kind.PIPELINE: 1.0,
        Kind.DATA: 1.0,
        Kind.EXPERT: pytest.approx(1 / 7),
    }


def test_a_placement_is_scored_pair_by_pair():
    site = fat_tree(Shape(hosts=8, hosts_per_leaf=2, spines=1))  # 2:1 at the leaves
    distances = Distances(site, list(site.fabrics[0].hosts))
    request = Request(tp=8, pp=2, dp=2)
    one = score(request, traffic(request), distances, ["n0001", "n0002", "n0003", "n0005"])
    tensor, pipeline, data = (one.of(kind) for kind in (Kind.TENSOR, Kind.PIPELINE, Kind.DATA))
    assert (tensor.pairs, tensor.mean_hops, tensor.over_spines, tensor.cost) == (32, 0.0, 0.0, 0.0)
    # n0001 to n0003 and n0002 to n0005, over the spine, whose cables two hosts share: 3 + 2 for each of 16 pairs.
    assert (pipeline.pairs, pipeline.mean_hops, pipeline.most_hops, pipeline.over_spines) == (16, 3.0, 3, 16.0)
    assert pipeline.cost == pytest.approx(16 * 5 / 32)
    # Stage 0 on one leaf, stage 1 on two; a ring of two has two ways.
    assert (data.pairs, data.mean_hops, data.most_hops, data.over_spines) == (32, 2.0, 3, 16.0)
    assert data.cost == pytest.approx((16 * 1 + 16 * 5) / 32)
    assert one.cost == pytest.approx(pipeline.cost + data.cost)


def test_what_is_compared_depends_on_the_objective():
    site = fat_tree(Shape(hosts=8, hosts_per_leaf=2, spines=2))
    distances = Distances(site, list(site.fabrics[0].hosts))
    request = Request(tp=8, pp=2, dp=2)
    along = score(request, traffic(request), distances, ["n0001", "n0003", "n0002", "n0004"])
    across = score(request, traffic(request), distances, ["n0001", "n0002", "n0003", "n0004"])
    assert along.key(Objective.PIPELINE) < across.key(Objective.PIPELINE)
    assert along.key(Objective.DATA) > across.key(Objective.DATA)


def test_a_rail_that_lacks_a_cable_counts_for_its_share():
    site = fat_tree(Shape(hosts=4, hosts_per_leaf=2, spines=2, rails=2, rail_optimised=True))
    (fabric,) = site.fabrics
    host = fabric.hosts["n0002"]
    hosts = {**fabric.hosts, "n0002": msgspec.structs.replace(host, endpoints=host.endpoints[:1])}
    distances = Distances(msgspec.structs.replace(site, fabrics=(msgspec.structs.replace(fabric, hosts=hosts),)), hosts)
    request = Request(tp=8, pp=2)
    pipeline = score(request, traffic(request), distances, ["n0001", "n0002"]).of(Kind.PIPELINE)
    assert (pipeline.mean_hops, pipeline.most_hops, pipeline.over_spines) == (2.0, 3, 4.0)
