"""What a placement costs, by a stated model: what a pair of ranks sends in a step, times what lies between them.

    cost = sum over kinds: volume x sum over pairs of ranks (hops + shared) / ranks

``hops`` are the switches on the path, ``shared`` the oversubscription of the cables that it climbs (distance.py): a
crossing of a spine costs two hops and at least one more, since its cables are shared. The unit is byte-hops a rank and
step where a model is given; without one every pair weighs 1 (an all-to-all of a group: 1 a rank). What computation
hides of it, latency and congestion by other jobs are not in it.

Volumes of a pair in one step, t, p, d, e for the degrees, b for the sequences of a micro batch and m for their number,
s for tokens, h for hidden, L for layers, 2 bytes a number:

- tensor: 8 b s h (t-1)/t numbers a layer and micro batch (Narayanan et al. 2021, arXiv:2104.04473, section 3.2);
- pipeline: b s h numbers a micro batch and direction, cut into t parts by scatter and gather (ibid., 2.2 and 4.1);
- data: 2 (d-1)/d of a rank's gradients, ring all-reduce (Patarasuk and Yuan 2009); a rank has 1/(t p) of the
  parameters, 12 L h^2 (1 + 13/(12 h) + (V+s)/(12 L h)) of them (arXiv:2104.04473, equation 2). Experts count as one;
- expert: a token goes to k experts and back, forward and backward: 4 k b s h/(t e) numbers a pair, layer and micro
  batch (GShard, Lepikhin et al. 2020, arXiv:2006.16668, section 3.2, two all-to-alls a layer and direction).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs_plugins.topology.placement.distance import Distances
from hpcjobs_plugins.topology.placement.layout import Kind, Traffic
from hpcjobs_plugins.topology.placement.request import Objective, Request

BYTES: Final = 2
"""Of a number that is sent: bfloat16."""


class Reach(msgspec.Struct, frozen=True):
    """How far one kind of communication goes.

    Attributes:
        kind: Which.
        pairs: Of ranks that talk (layout.Traffic says how they are counted).
        mean_hops: Over these pairs; 0.0 where there are none.
        most_hops: Of the pair that is farthest apart.
        over_spines: Pairs whose path leaves the leaves; of a pair with paths on several rails the share of them.
        cost: By the model.
    """

    kind: Kind
    pairs: int
    mean_hops: float
    most_hops: int
    over_spines: float
    cost: float


class Score(msgspec.Struct, frozen=True):
    """What a placement comes to.

    Attributes:
        reach: Of every kind.
        cost: Sum of them.
    """

    reach: tuple[Reach, ...]
    cost: float

    def of(self, kind: Kind) -> Reach:
        """The reach of a kind."""
        return next(reach for reach in self.reach if reach.kind is kind)

    def key(self, objective: Objective) -> tuple[float, ...]:
        """What is compared, the smaller the better, under an objective.

        Tensor groups come first, whatever the objective: they send most. Then ``pipeline``: hops of the pipelines;
        ``data``: crossings of spines by the rings, then their hops; then the cost.
        """
        tensor, pipeline, data = (self.of(kind) for kind in (Kind.TENSOR, Kind.PIPELINE, Kind.DATA))
        first = {
            Objective.PIPELINE: (pipeline.mean_hops,),
            Objective.DATA: (data.over_spines, data.mean_hops),
            Objective.BALANCED: (),
        }[objective]
        return (*(round(each, 9) for each in (tensor.mean_hops, *first)), float(f"{self.cost:.9g}"))


def volumes(request: Request) -> Mapping[Kind, float]:
    """What a pair of ranks of each kind sends in a step: bytes, or weights where the request has no model."""
    if request.model is None:
        return {Kind.TENSOR: 1.0, Kind.PIPELINE: 1.0, Kind.DATA: 1.0, Kind.EXPERT: 1.0 / max(1, request.ep - 1)}
    model, t, d = request.model, request.tp, request.dp
    layers = model.layers / request.pp * model.micro_batches
    state = model.micro_batch * model.sequence * model.hidden
    ratio = 1 + 13 / (12 * model.hidden) + (model.vocabulary + model.sequence) / (12 * model.layers * model.hidden)
    parameters = 12 * model.layers * model.hidden**2 * ratio
    return {
        Kind.TENSOR: BYTES * 8 * state * (t - 1) / t * layers,
        Kind.PIPELINE: BYTES * 2 * state / t * model.micro_batches,
        Kind.DATA: BYTES * 2 * (d - 1) / d * parameters / (t * request.pp),
        Kind.EXPERT: BYTES * 4 * model.experts_per_token * state / t / request.ep * layers,
    }


def score(request: Request, traffic: Sequence[Traffic], distances: Distances, nodes: Sequence[str]) -> Score:
    """What it comes to when the ranks of a job lie on these nodes in this order.

    Args:
        request: The job.
        traffic: Of it (``layout.traffic``).
        distances: Between hosts, all of ``nodes`` among them.
        nodes: In the order of ranks.
    """
    weights = volumes(request)
    cells = [distances.cell[name] for name in nodes]
    reach = []
    for each in traffic:
        counts: Counter[tuple[int, int]] = Counter()
        for (a, b), pairs in each.between.items():
            counts[cells[a], cells[b]] += pairs
        hops = above = shared = 0.0
        most = 0
        for (a, b), pairs in sorted(counts.items()):
            span = distances.between(a, b)
            hops += span.hops * pairs
            above += span.above * pairs
            shared += span.shared * pairs
            most = max(most, span.most)
        cost = weights[each.kind] * (hops + shared) / request.world
        reach.append(Reach(each.kind, each.total, hops / max(1, each.total), most, above, cost))
    return Score(tuple(reach), sum(each.cost for each in reach))
