"""Acts of policies in the simulation: what is done once, to a job or to nodes."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from hpcjobs.model.steering import Act, Depend, Drain, Release, Requeue, Resize, Shrink
from hpcjobs.sim.events import Agenda
from hpcjobs.sim.lives import Life
from hpcjobs.sim.result import Acted, End
from hpcjobs.sim.view import Watched

DONE: Final = "done"


class Desk(Watched, Protocol):
    """The simulation, as what policies want is acted out on it.

    Attributes:
        freed: See Site.
        acted: What was done.
        agenda: What will happen.
    """

    freed: bool
    acted: list[Acted]
    agenda: Agenda

    def admit(self, life: Life, now: float) -> None:
        """Put a job that waits into the queue, or take it out, as it may start or not."""

    def stop(self, life: Life, now: float, end: End, *, again: bool = False, after_s: float = 0.0) -> None:
        """A running job ends; again: it waits anew."""

    def shrink(self, life: Life, nodes: int, now: float) -> None:
        """A running job gives nodes back."""

    def resize(self, life: Life, nodes: int) -> None:
        """A waiting job asks for another number of nodes."""


def act(desk: Desk, what: Act, now: float) -> str:
    """Do it.

    Returns:
        ``done``, or ``not done: `` and why.
    """
    match what:
        case Requeue():
            return _requeue(desk, what, now)
        case Shrink():
            return _shrink(desk, what, now)
        case Resize():
            return _resize(desk, what, now)
        case Release():
            return "not done: nobody holds anything here but a policy, for as long as it wishes that"
        case Depend():
            return "not done: nothing depends on anything here"
        case Drain():
            return _drain(desk, what, now)


def _requeue(desk: Desk, what: Requeue, now: float) -> str:
    life = desk.running.get(what.job)
    if life is None:
        return "not done: the job does not run"
    if what.nodes is not None and (fault := _unfit(desk, life, what.nodes)):
        return fault
    found = (desk.space.index_of(name) for name in what.avoid)
    life.shunned |= {index for index in found if index is not None}
    desk.stop(life, now, End.REQUEUED, again=True)
    if what.nodes is not None:
        desk.resize(life, what.nodes)
    return DONE


def _shrink(desk: Desk, what: Shrink, now: float) -> str:
    life = desk.running.get(what.job)
    if life is None:
        return "not done: the job does not run"
    if what.nodes >= life.nodes:
        return f"not done: the job has {life.nodes} nodes, and cannot grow while it runs"
    if fault := _unfit(desk, life, what.nodes):
        return fault
    desk.shrink(life, what.nodes, now)
    return DONE


def _resize(desk: Desk, what: Resize, now: float) -> str:
    life = desk.waiting.get(what.job)
    if life is None:
        return "not done: the job does not wait"
    if fault := _unfit(desk, life, what.nodes):
        return fault
    desk.resize(life, what.nodes)
    return DONE


def _drain(desk: Desk, what: Drain, now: float) -> str:
    found = [index for name in what.nodes if (index := desk.space.index_of(name)) is not None]
    fresh = [index for index in found if not desk.outages.absent(index)]
    for index in fresh:
        desk.outages.leave(index, now)
    return DONE if fresh else "not done: there are no such nodes that take jobs"


def _unfit(desk: Desk, life: Life, nodes: int) -> str:
    """Why a job cannot have another number of nodes; ``""``: it can."""
    hints = life.born.hints
    if not hints.nodes_min:
        return "not done: the job cannot run with more or fewer nodes"
    most = hints.nodes_max or life.born.nodes
    if not hints.nodes_min <= nodes <= most:
        return f"not done: the job can run with {hints.nodes_min} to {most} nodes"
    if not desk.space.fits(msgspec.structs.replace(life.asked, nodes=nodes)):
        return "not done: it would not fit the fleet"
    return ""
