"""Where a job should run, in Slurm's own words: what a placement plugin answers with."""

from __future__ import annotations

from collections.abc import Set

import msgspec


class Placement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a placement adds to a job's request. What is None is left as it was asked for.

    Attributes:
        nodes: The nodes to run on; same as --nodelist of sbatch.
        avoid: The nodes not to run on; same as --exclude.
        switches: Most leaf switches; same as the count of --switches.
        switches_wait_s: How long to wait for so few, in seconds.
        segment: Nodes that must be in one block; same as --segment.
        ranks: Names of nodes in the order of the ranks, one for each task: with them the job has
            ``--distribution=arbitrary`` and its host file in the environment.
        why: What speaks for it, a sentence for the person who asked.
    """

    nodes: tuple[str, ...] | None = None
    avoid: tuple[str, ...] | None = None
    switches: int | None = None
    switches_wait_s: int | None = None
    segment: int | None = None
    ranks: tuple[str, ...] | None = None
    why: str = ""


def fault_of(placement: Placement, there: Set[str]) -> str:
    """Why nobody can have meant a placement, or ``""``.

    Args:
        placement: What a plugin says.
        there: Names of the cluster's nodes.
    """
    if placement.nodes == ():
        return "is on no node"
    named = {*(placement.nodes or ()), *(placement.avoid or ()), *(placement.ranks or ())}
    if strange := sorted(named - there):
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
