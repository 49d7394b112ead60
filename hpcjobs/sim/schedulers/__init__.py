"""Schedulers of the simulation: who of those that wait starts when. Where is the fleet's and the chooser's business."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hpcjobs.sim.schedulers.conservative import Conservative
from hpcjobs.sim.schedulers.easy import Easy
from hpcjobs.sim.schedulers.fcfs import Fcfs
from hpcjobs.sim.schedulers.site import Scheduler, Site
from hpcjobs.sim.schedulers.slurm import Slurm

SCHEDULERS: Final[dict[str, Callable[[], Scheduler]]] = {
    "fcfs": Fcfs,
    "easy": Easy,
    "conservative": Conservative,
    "slurm": Slurm,
}
"""By name; a scheduler remembers things, so each simulation makes its own."""

__all__ = ["SCHEDULERS", "Conservative", "Easy", "Fcfs", "Scheduler", "Site", "Slurm"]
