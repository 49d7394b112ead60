"""Which rank does what, and which ranks talk with each other, whatever nodes they lie on.

Ranks are counted in Megatron-LM's default order ``tp-cp-ep-dp-pp``: the tensor parallel index moves fastest, the
pipeline stage slowest (``initialize_model_parallel`` in megatron/core/parallel_state.py, NVIDIA/Megatron-LM at
d98e8a64, August 2026). Attention has the grid tp, dp, pp, experts have the grid etp, ep, edp, pp over the same ranks;
context parallelism is not modelled, cp = 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import msgspec

from hpcjobs_plugins.topology.placement.request import Request


class Kind(StrEnum):
    """A kind of communication."""

    TENSOR = "tensor"  # all-reduce in a tensor group, as a ring
    PIPELINE = "pipeline"  # a stage and the next one, both ways
    DATA = "data"  # all-reduce of gradients in a data-parallel group, as a ring
    EXPERT = "expert"  # all-to-all in an expert group


class Coordinates(NamedTuple):
    """Where a rank is in each kind of group.

    Attributes:
        tp: Index in its tensor group.
        pp: Pipeline stage.
        dp: Index in its data-parallel group.
        ep: Index in its expert group.
    """

    tp: int
    pp: int
    dp: int
    ep: int


class Traffic(msgspec.Struct, frozen=True):
    """Which nodes of a job talk with each other in one way.

    Attributes:
        kind: In which.
        total: Pairs of ranks that talk; those of one node are among them. A ring of n ranks has n of them, also for n
            = 2; an all-to-all n x (n - 1), each direction by itself; a pipeline of n stages n - 1.
        between: How many of them lie on two nodes, by ``(slot, slot)``, the smaller first. Slots are the nodes of the
            job from 0 in the order of ranks.
    """

    kind: Kind
    total: int
    between: dict[tuple[int, int], int]


def coordinates(request: Request, rank: int) -> Coordinates:
    """Of a rank in all of its groups."""
    rest, tp = divmod(rank, request.tp)
    pp, dp = divmod(rest, request.dp)
    return Coordinates(tp, pp, dp, rank // request.expert_tp % request.ep)


def groups(request: Request, kind: Kind) -> Iterator[Sequence[int]]:
    """The ranks of each group of a kind, in the order of their index in it."""
    stage = request.tp * request.dp
    expert = request.expert_tp * request.ep
    if kind is Kind.TENSOR:
        yield from (range(first, first + request.tp) for first in range(0, request.world, request.tp))
    elif kind is Kind.PIPELINE:
        yield from (range(first, request.world, stage) for first in range(stage))
    elif kind is Kind.DATA:
        for start in range(0, request.world, stage):
            yield from (range(first, start + stage, request.tp) for first in range(start, start + request.tp))
    else:
        for start in range(0, request.world, expert):
            yield from (
                range(one, start + expert, request.expert_tp) for one in range(start, start + request.expert_tp)
            )


def traffic(request: Request) -> tuple[Traffic, ...]:
    """What a job sends between its nodes, of every kind."""
    return tuple(_traffic(request, kind) for kind in Kind)


def _traffic(request: Request, kind: Kind) -> Traffic:
    between: Counter[tuple[int, int]] = Counter()
    total = 0
    for ranks in groups(request, kind):
        slots = [rank // request.gpus for rank in ranks]
        if len(slots) == 1:
            continue
        if kind is Kind.EXPERT:
            total += len(slots) * (len(slots) - 1)
            counts = sorted(Counter(slots).items())
            for index, (low, one) in enumerate(counts):
                for high, other in counts[index + 1 :]:
                    between[low, high] += 2 * one * other
            continue
        steps = list(pairwise(slots))
        if kind is not Kind.PIPELINE:
            steps.append((slots[-1], slots[0]))
        total += len(steps)
        for a, b in steps:
            if a != b:
                between[(a, b) if a < b else (b, a)] += 1
    return Traffic(kind, total, dict(between))
