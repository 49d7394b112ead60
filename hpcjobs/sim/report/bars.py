"""Bars of a Gantt chart: runs on nodes, in lanes where several share one. Pure."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from hpcjobs.sim.report.figures import size_class
from hpcjobs.sim.result import End, Result

_CUT: Final = frozenset({End.NODE_FAIL, End.FAILED, End.REQUEUED})


class Bar(NamedTuple):
    """A run on one node, or a part of it.

    Attributes:
        node: Index of the node.
        job: The job's number.
        start_s: From when.
        end_s: Until when.
        size: Class of the job's size, in GPUs or, where the fleet has none, nodes.
        cut: Whether it was broken off, by a failed node or a policy.
        width: Lanes that it takes: one for each GPU on the node.
        lane: The first of them, from 0.
        lanes: How many lanes the node has.
    """

    node: int
    job: int
    start_s: float
    end_s: float
    size: int
    cut: bool
    width: int = 1
    lane: int = 0
    lanes: int = 1


def bars(result: Result) -> list[Bar]:
    """All bars, node by node; those of one node that overlap are in different lanes.

    Which GPU a job has is not known here: it gets the first lanes that are free, and is in several parts where they
    are not neighbours.
    """
    by_node: dict[int, list[Bar]] = {}
    for run in result.runs:
        end_s = result.stopped_s if run.end_s is None else run.end_s
        size = size_class(run.gpus_asked if result.gpus else run.nodes)
        width = max(1, math.ceil(run.gpus_asked / run.nodes)) if result.gpus else 1
        for node in run.indices:
            bar = Bar(node, run.job, run.start_s, end_s, size, run.end in _CUT, width)
            by_node.setdefault(node, []).append(bar)
    return [bar for node in sorted(by_node) for bar in _in_lanes(by_node[node])]


def _in_lanes(found: list[Bar]) -> list[Bar]:
    free_s: list[float] = []
    placed: list[Bar] = []
    for bar in sorted(found, key=lambda bar: (bar.start_s, bar.end_s, bar.job)):
        free = [lane for lane, at_s in enumerate(free_s) if at_s <= bar.start_s]
        free += range(len(free_s), len(free_s) + max(0, bar.width - len(free)))
        taken = free[: bar.width]
        free_s += [bar.start_s] * (taken[-1] + 1 - len(free_s))
        for lane in taken:
            free_s[lane] = bar.end_s
        placed += [bar._replace(lane=first, width=width) for first, width in _neighbours(taken)]
    return [bar._replace(lanes=len(free_s)) for bar in placed]


def _neighbours(lanes: list[int]) -> list[tuple[int, int]]:
    """Runs of consecutive lanes: the first of each, and how many they are."""
    found: list[tuple[int, int]] = []
    for lane in lanes:
        if found and lane == sum(found[-1]):
            found[-1] = found[-1][0], found[-1][1] + 1
        else:
            found.append((lane, 1))
    return found
