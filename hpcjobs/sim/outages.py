"""Which nodes take no jobs, and why: they have failed, or a policy has drained them."""

from __future__ import annotations

from collections import Counter

from hpcjobs.sim.events import Agenda, Kind
from hpcjobs.sim.failures import Failures
from hpcjobs.sim.space import Space


class Outages:
    """Nodes that are away.

    Attributes:
        struck: When which node failed: time and index.
    """

    def __init__(self, space: Space, agenda: Agenda, failures: Failures | None) -> None:
        self.struck: list[tuple[float, int]] = []
        self._space = space
        self._agenda = agenda
        self._failures = failures
        self._strikes = failures.strikes(space.nodes) if failures else iter(())
        self._away: Counter[int] = Counter()
        self._failed: set[int] = set()

    def foresee(self, now: float) -> None:
        """The next failure is put on the agenda."""
        strike = next(self._strikes, None)
        if strike is not None:
            self._agenda.add(max(now, strike[0]), Kind.FAILS, strike[1])

    def fail(self, node: int, now: float) -> tuple[int, ...]:
        """A node fails, unless it is down already; returns the jobs that were on it."""
        if node in self._failed:
            return ()
        self._failed.add(node)
        self.struck.append((now, node))
        self.leave(node, now, failed=True)
        return self._space.on(node)

    def leave(self, node: int, now: float, *, failed: bool = False) -> None:
        """A node takes no jobs until it is repaired, or, when drained, until somebody has seen to it."""
        self._away[node] += 1
        self._space.down(node)
        if self._failures is not None:
            self._agenda.add(now + self._failures.repair_s, Kind.REPAIRED, node, int(failed))

    def back(self, node: int, *, failed: bool) -> bool:
        """One reason less for which a node takes no jobs; whether it takes them again."""
        if failed:
            self._failed.discard(node)
        self._away[node] -= 1
        if self._away[node]:
            return False
        del self._away[node]
        self._space.up(node)
        return True

    def failed(self, node: int) -> bool:
        """Whether a node is down."""
        return node in self._failed

    def absent(self, node: int) -> bool:
        """Whether a node takes no jobs."""
        return node in self._away
