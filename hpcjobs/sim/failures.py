"""Nodes fail and are repaired."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import msgspec

from hpcjobs.errors import Refusal, Refused

DAY_S: Final = 86_400.0


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """How nodes fail: each by itself, at a constant rate; some may be worse than others.

    Failures per 1000 node-days are how Kokolis et al. count them: "Revisiting Reliability in Large-Scale Machine
    Learning Research Clusters", HPCA 2025 (arXiv 2410.21680).

    Which node fails when depends on the seed and the number of nodes alone, so that policies that are compared with
    one seed meet the same failures. A node that is down already does not fail.

    Attributes:
        per_1000_node_days: Failures per 1000 node-days.
        repair_s: So long a failed node is down, and so long a node that a policy drained is away.
        seed: Of the random numbers.
        requeue: Whether jobs on a failed node are requeued; else they have failed for good.
        lemons: Share of the nodes that fail more often than the others, chosen by chance.
        lemon_failures: Share of all failures that come to these beside what comes to them as to any node.
    """

    per_1000_node_days: float
    repair_s: float
    seed: int = 0
    requeue: bool = True
    lemons: float = 0.0
    lemon_failures: float = 0.0

    def check(self) -> None:
        """See whether it makes sense.

        Raises:
            Refused: The rate or the time of a repair is negative or no number, or a share is none.
        """
        faults = [
            Refusal(name, f"{name} is {value}, and has to be a number of at least 0")
            for name, value in (("per_1000_node_days", self.per_1000_node_days), ("repair_s", self.repair_s))
            if not 0 <= value < float("inf")
        ]
        faults += [
            Refusal(name, f"{name} is {value}, and has to be a share from 0 to 1")
            for name, value in (("lemons", self.lemons), ("lemon_failures", self.lemon_failures))
            if not 0 <= value <= 1
        ]
        if faults:
            raise Refused(faults)

    def strikes(self, nodes: int) -> Iterator[tuple[float, int]]:
        """When which node would fail if it were up: seconds since the start, ascending, and its index; without end."""
        rate = self.per_1000_node_days / 1000 / DAY_S * nodes
        chance = random.Random(self.seed)  # noqa: S311  no secret
        lemons = chance.sample(range(nodes), round(self.lemons * nodes)) if self.lemons else []
        at_s = 0.0
        while rate:
            at_s += chance.expovariate(rate)
            bad = bool(lemons) and chance.random() < self.lemon_failures
            yield at_s, chance.choice(lemons) if bad else chance.randrange(nodes)
