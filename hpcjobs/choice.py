"""The nodes among which Slurm can choose for a job that waits, whatever runs there now. Pure.

Slurm takes a job's priority, or cancels it (26.05), when it finds too few nodes for it for good (BadConstraints): so no
wish of policies may leave it fewer than it asks for.
"""

from __future__ import annotations

from collections.abc import Hashable, Set
from typing import Final

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.job import JobRecord
from hpcjobs.sbatch.asks import ask_of

NONE: Final[frozenset[str]] = frozenset()


class Choice:
    """What jobs can choose among. What cannot be judged, as ``a|b`` features or nodes by name, is no choice.

    Args:
        view: Jobs as they were asked for, without what policies wish of them.
    """

    def __init__(self, view: ClusterView) -> None:
        self._view = view
        self._found: dict[Hashable, frozenset[str]] = {}

    def is_enough(self, number: int, avoid: Set[str]) -> bool:
        """Whether a job could start without some nodes.

        Args:
            number: Slurm's; of a job that is not listed nothing is kept.
            avoid: Names of these nodes.
        """
        job = self._view.jobs.get(number)
        if job is None or not self._view.nodes:
            return True
        names = self.nodes(job)
        return len(names) - len(names & avoid) >= max(1, job.nodes)

    def nodes(self, job: JobRecord) -> frozenset[str]:
        """Names of the nodes that are in use by Slurm and would take a job's part if they were empty."""
        view, inside = self._view, job.particulars.reservation
        if (ask := ask_of(job, view, inside)) is None:
            return NONE
        if (ask.kind, inside) not in self._found:
            there = view.reservations.get(inside)
            names = view.nodes.keys() if there is None else view.nodes.keys() & {*there.nodes}
            found = (node for node in map(view.nodes.__getitem__, names) if node.usable and ask.fits(node))
            self._found[ask.kind, inside] = frozenset(node.name for node in found)
        return self._found[ask.kind, inside]
