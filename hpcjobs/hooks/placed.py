"""What can be held against a placement by itself. Pure."""

from __future__ import annotations

from hpcjobs.hooks.frames import Placed
from hpcjobs.hooks.process import HookFailed
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.placement import Placement


def meant(placed: Placed, view: ClusterView) -> Placed:
    """What a plugin says to where a job should run, where it can have meant that.

    Args:
        placed: What it says.
        view: Of the cluster that it was asked about.

    Raises:
        HookFailed: It cannot.
    """
    if placed.placement is not None and (fault := _fault(placed.placement, view)):
        raise HookFailed(f"its placement {fault}")
    return placed


def _fault(placement: Placement, view: ClusterView) -> str:
    if placement.nodes == ():
        return "is on no node"
    named = {*(placement.nodes or ()), *(placement.avoid or ()), *(placement.ranks or ())}
    if strange := sorted(named - view.nodes.keys()):
        return f"names nodes that are not there: {', '.join(map(repr, strange[:3]))}"
    if placement.nodes is not None and set(placement.ranks or ()) - set(placement.nodes):
        return "has ranks on nodes that it does not name"
    for name, value, least in (
        ("switches", placement.switches, 1),
        ("switches_wait_s", placement.switches_wait_s, 0),
        ("segment", placement.segment, 1),
    ):
        if value is not None and value < least:
            return f"has {value} as {name}: at least {least}"
    return ""
