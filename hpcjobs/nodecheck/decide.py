"""What follows from what was found: the node is drained, resumed, or left as it is. Pure.

A drain is ours by its reason, ``hpcjobs: <check>: <what>``, and by who set it. What others drained stays as it is, with
their reason, and so does what they gave another reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from .call import PERIODIC
from .slurm import Seen

PREFIX = "hpcjobs: "
AWAY = frozenset({"DRAIN", "DRAINED", "DRAINING", "DOWN", "FAIL", "FAILING"})
LONGEST, LONGEST_EACH = 300, 140
DAY_S = 86400.0

NOTHING, DRAIN, RESUME = "", "drain", "resume"


class Resume(NamedTuple):
    """Whether a node that is well again is resumed.

    Attributes:
        do: Whether it is, where we drained it.
        good: So many times in a row all must be well.
        per_day: So often at most within a day: one that comes and goes stays drained.
    """

    do: bool
    good: int
    per_day: int


class Memory(NamedTuple):
    """What is remembered.

    Attributes:
        strikes: How many times in a row each check found something.
        good: How many times in a row all was well.
        drained: Whether we have drained it, None: not known.
        resumed: When we resumed it within the last day, Unix seconds.
    """

    strikes: dict[str, int]
    good: int = 0
    drained: bool | None = None
    resumed: tuple[float, ...] = ()


class Order(NamedTuple):
    """What Slurm is told.

    Attributes:
        words: Of ``scontrol update``; none: nothing.
        drained: Whether we have drained the node after that.
    """

    words: tuple[str, ...] = ()
    drained: bool = False


def weigh(
    memory: Memory,
    faults: Mapping[str, Sequence[str]],
    strikes: Mapping[str, int],
    mode: str,
    resume: Resume,
    now: float,
) -> tuple[Memory, str, list[str]]:
    """What is wanted.

    Args:
        memory: What is remembered.
        faults: What was found, by check; not of those that are well.
        strikes: How many times in a row each must find something; outside the periodic look, once is enough.
        mode: The look.
        resume: See Resume.
        now: Unix seconds.

    Returns:
        What to remember, what is wanted (drain, resume or nothing), and the checks because of which.
    """
    resumed = tuple(at for at in memory.resumed if now - at < DAY_S)
    if mode != PERIODIC:
        again = {name: strikes[name] for name in faults}
        memory = memory._replace(
            strikes={**memory.strikes, **again}, good=0 if faults else memory.good, resumed=resumed
        )
        return memory, DRAIN if faults else NOTHING, list(faults)
    counted = {name: memory.strikes.get(name, 0) + 1 for name in faults}
    memory = memory._replace(strikes=counted, good=0 if faults else memory.good + 1, resumed=resumed)
    standing = [name for name in faults if counted[name] >= strikes[name]]
    if standing:
        return memory, DRAIN, standing
    well = not faults and memory.drained is not False and resume.do and memory.good >= resume.good
    return memory, RESUME if well and len(resumed) < resume.per_day else NOTHING, []


def order(want: str, reason: str, seen: Seen, us: str, checks: Collection[str]) -> Order:
    """What Slurm is told so that it becomes so.

    Args:
        want: drain or resume.
        reason: Why it is drained.
        seen: The node as Slurm has it.
        us: Our user's name.
        checks: Names of all checks.
    """
    away = bool(seen.state & AWAY)
    ours = away and seen.by == us and is_ours(seen.reason, checks)
    if want == DRAIN:
        if away and not ours:
            return Order()
        same = ours and "DOWN" not in seen.state and named(seen.reason) == named(reason)
        return Order(() if same else ("State=DRAIN", f"Reason={reason}"), drained=True)
    if not ours or "DOWN" in seen.state:
        return Order(drained=ours)
    return Order(("State=UNDRAIN",))


def reason_of(faults: Mapping[str, Sequence[str]]) -> str:
    """What a node is drained with.

    Args:
        faults: What was found, by check.
    """
    parts = [f"{name}: {_plain(', '.join(told))[:LONGEST_EACH]}" for name, told in faults.items()]
    return (PREFIX + "; ".join(parts))[:LONGEST].rstrip("; ")


def is_ours(reason: str, checks: Collection[str]) -> bool:
    """Whether a reason is such a one.

    Args:
        reason: As Slurm has it.
        checks: Names of all checks.
    """
    return reason.startswith(PREFIX) and reason[len(PREFIX) :].partition(": ")[0] in checks


def named(reason: str) -> set[str]:
    """The checks that a reason of ours names.

    Args:
        reason: As Slurm has it.
    """
    return {part.partition(": ")[0] for part in reason[len(PREFIX) :].split("; ")}


def _plain(text: str) -> str:
    """One line without what divides parts, and what ends a reason in the listing."""
    return " ".join(text.replace(";", ",").replace("[", "(").replace("]", ")").replace('"', "'").split())
