"""Nodes fail and are repaired."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import msgspec

from hpcjobs.errors import Refusal, Refused

DAY_S: Final = 86_400.0


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """How nodes fail: each by itself, at a constant rate.

    Failures per 1000 node-days are how Kokolis et al. count them: "Revisiting Reliability in Large-Scale Machine
    Learning Research Clusters", HPCA 2025 (arXiv 2410.21680).

    Which node fails when depends on the seed and the number of nodes alone, so that policies that are compared with
    one seed meet the same failures. A node that is down already does not fail.

    Attributes:
        per_1000_node_days: Failures per 1000 node-days.
        repair_s: So long a failed node is down, and so long a node that a policy drained is away.
        seed: Of the random numbers.
        requeue: Whether jobs on a failed node are requeued; else they have failed for good.
    """

    per_1000_node_days: float
    repair_s: float
    seed: int = 0
    requeue: bool = True

    def check(self) -> None:
        """See whether it makes sense.

        Raises:
            Refused: The rate or the time of a repair is negative or no number.
        """
        faults = [
            Refusal(name, f"{name} is {value}, and has to be a number of at least 0")
            for name, value in (("per_1000_node_days", self.per_1000_node_days), ("repair_s", self.repair_s))
            if not 0 <= value < float("inf")
        ]
        if faults:
            raise Refused(faults)

    def strikes(self, nodes: int) -> Iterator[tuple[float, int]]:
        """When which node would fail if it were up: seconds since the start, ascending, and its index; without end."""
        rate = self.per_1000_node_days / 1000 / DAY_S * nodes
        chance = random.Random(self.seed)  # noqa: S311  no secret
        at_s = 0.0
        while rate:
            at_s += chance.expovariate(rate)
            yield at_s, chance.randrange(nodes)
