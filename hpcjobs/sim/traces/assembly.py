"""Jobs as readers find them, made into those of a workload: in order, numbered, with a limit. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from hpcjobs.sim.traces.lines import LeftOut, Tally, refused
from hpcjobs.sim.workload import SimJob, SimNode

Item = TypeVar("Item")
Part = TypeVar("Part")

LEAST_WALL_S: Final = 60.0
"""Slurm counts limits in minutes."""


def each_once(read: Callable[[int, Item], Part], name: Callable[[Part], str]) -> Callable[[int, Item], Part]:
    """A reader that leaves out what has a name that it has read before."""
    names: set[str] = set()

    def once(line: int, item: Item) -> Part:
        part = read(line, item)
        if name(part) in names:
            raise LeftOut("one of that name stands above")
        names.add(name(part))
        return part

    return once


def name_of(node: SimNode) -> str:
    """The name of a node."""
    return node.name


def limit_of(run_s: float) -> float:
    """The limit of a job whose user's is not known: its run time, rounded up to Slurm's unit.

    That is a perfect estimate; sim/generate.py has ``overestimated``, which makes limits as users give them.
    """
    return max(LEAST_WALL_S, 60.0 * math.ceil(run_s / 60.0))


def in_order(jobs: Sequence[SimJob]) -> tuple[SimJob, ...]:
    """Jobs by submission, numbered upwards from 1, with times that count from the first submission.

    Args:
        jobs: In the order of the source, which stays among those submitted at once.
    """
    ordered = sorted(jobs, key=lambda job: job.submit_s)
    start_s = ordered[0].submit_s if ordered else 0.0
    return tuple(
        msgspec.structs.replace(job, number=number, submit_s=job.submit_s - start_s)
        for number, job in enumerate(ordered, start=1)
    )


def gathered(
    items: Iterable[tuple[int, Item]], read: Callable[[int, Item], Part], dropped: Tally, what: str, origin: str
) -> list[Part]:
    """What is read of numbered lines; those that give nothing are counted.

    Args:
        items: Numbers of lines, and what stands there.
        read: Makes a part of the workload of a line; LeftOut and ValueError say why there is none.
        dropped: Where they are counted.
        what: What the parts are, for the error.
        origin: What the file is called.

    Raises:
        Refused: There is none.
    """
    found: list[Part] = []
    for line, item in items:
        try:
            found.append(read(line, item))
        except LeftOut as reason:
            dropped.add(str(reason), line)
        except ValueError as error:
            dropped.add(f"broken line: {error}", line)
    some(found, what, origin, dropped)
    return found


def some(found: Sequence[object], what: str, origin: str, dropped: Tally) -> None:
    """Let a reader go on that found something.

    Raises:
        Refused: It found nothing; what it left out is told.
    """
    if not found:
        told = "; ".join(f"{reason}: {count}" for reason, count in list(dropped.told().items())[:5])
        raise refused(origin, 0, f"it has no {what}" + (f" that can be used ({told})" if told else ""))
