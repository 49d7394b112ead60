"""Where the GPU time of a fleet went: every second of every GPU is in one of six parts. Pure.

Productive is what effective utilisation counts (metrics.py); the others say what it lacks. Parts of several results
add up, as where a fleet is simulated in pieces that share no job.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from hpcjobs.sim import metrics
from hpcjobs.sim.result import Result
from hpcjobs.sim.workload import SimNode

NAMES: Final = ("productive", "lost", "waiting", "unasked", "down", "idle")


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """GPU seconds by what became of them.

    Attributes:
        productive: Of work that counted.
        lost: Of work that was done again, or never: since the last checkpoint when a run was broken off.
        waiting: Of gangs' members that had their nodes and waited for the others.
        unasked: Of GPUs that jobs with nodes of their own did not ask for.
        down: Of failed nodes.
        idle: Of GPUs that no job had on nodes that were up.
    """

    productive: float = 0.0
    lost: float = 0.0
    waiting: float = 0.0
    unasked: float = 0.0
    down: float = 0.0
    idle: float = 0.0

    @property
    def total(self) -> float:
        """GPU seconds that there were."""
        return math.fsum(getattr(self, name) for name in NAMES)

    def __add__(self, other: Parts) -> Parts:
        """The two fleets side by side."""
        return Parts(**{name: getattr(self, name) + getattr(other, name) for name in NAMES})

    def shares(self) -> Parts:
        """The same as parts of all there was: together 1, or 0 where there was nothing."""
        total = self.total
        return Parts(**{name: getattr(self, name) / total for name in NAMES}) if total else self


def parts_of(result: Result, nodes: Sequence[SimNode], repair_s: float, window: metrics.Window) -> Parts:
    """Where a fleet's GPU time went; a run's lost and waiting time count by the part of it that lies in the window.

    Args:
        result: Of a simulation.
        nodes: Its fleet.
        repair_s: How long a failed node is down, in seconds.
        window: From when until when.
    """
    productive = lost = waiting = unasked = 0.0
    for run in result.runs:
        length_s = metrics.ended_s(result, run) - run.start_s
        inside_s = metrics.within_s(result, run, window)
        if length_s <= 0 or not inside_s:
            continue
        asked = run.gpus_asked * inside_s
        lost += asked * run.lost_s / length_s
        waiting += asked * run.idle_s / length_s
        productive += asked * (length_s - run.lost_s - run.idle_s) / length_s
        unasked += (run.gpus - run.gpus_asked) * inside_s
    down = sum(
        nodes[index].gpus * max(0.0, min(at_s + repair_s, window[1]) - max(at_s, window[0]))
        for at_s, index in result.failures
    )
    total = sum(node.gpus for node in nodes) * (window[1] - window[0])
    idle = total - productive - lost - waiting - unasked - down
    return Parts(productive=productive, lost=lost, waiting=waiting, unasked=unasked, down=down, idle=idle)
