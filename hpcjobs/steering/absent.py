"""What is listed no more: one listing that lacks it is no reason to forget what was changed of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.steered import Key, Steered

LONG_S: Final = 86_400.0
"""What was in no listing for so many seconds does not come back."""


class Absent:
    """Since when what policies have changed is in no listing."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}
        """Unix seconds, by kind and subject."""

    def see(
        self, rows: Mapping[Key, Steered], view: ClusterView, ids: Mapping[int, str], now: float
    ) -> tuple[set[str], set[tuple[str, str]]]:
        """Look at a listing.

        Args:
            rows: What policies have changed.
            view: The listing.
            ids: Our ids, by Slurm's number.
            now: Unix seconds.

        Returns:
            Our ids of jobs that are not in it, and kind and subject of what is away for long. Reservations are not
            among these: whether they are there is part of planning.
        """
        listed = {job_id for number, job_id in ids.items() if number in view.jobs}
        there = {"job": listed, "node": view.nodes.keys()}
        away = {key[:2] for key in rows if key.kind in there and key.subject not in there[key.kind]}
        self._since = {one: self._since.get(one, now) for one in away}
        gone = {one for one, since in self._since.items() if now - since > LONG_S}
        return {subject for kind, subject in away if kind == "job"}, gone
