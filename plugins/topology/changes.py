"""A change between two discoveries: what came, went or moved, with a sentence for it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import fold_hostlist, natural

_SENTENCES: Final[Mapping[str, str]] = {
    "fabric-came": "Fabric {subject} is new{along}",
    "fabric-gone": "Fabric {subject} is gone{along}",
    "fabric-renamed": "Fabric {was} is called {now} now",
    "fabric-split": "Fabric {was} has come apart into {now}",
    "fabric-joined": "Fabrics {was} are connected with each other now, as {now}",
    "chassis-came": "Chassis {subject} is new{along}",
    "chassis-gone": "Chassis {subject} is gone{along}",
    "chassis-renamed": "Chassis {was} is called {now} now",
    "chassis-replaced": "Chassis {subject} is another one now, with the same cables",
    "switch-came": "Switch {subject} is new{along}",
    "switch-gone": "Switch {subject} is gone{along}",
    "switch-renamed": "Switch {was} is called {now} now",
    "switch-replaced": "Switch {subject} is another one now, with the same cables: {now}; it was {was}",
    "switch-tier": "On tier {now} now, and on tier {was} before: {members}",
    "node-came": "Node {subject} is new, on {now}",
    "node-gone": "Node {subject} is gone; it hung on {was}",
    "node-renamed": "Node {was} is called {now} now",
    "node-moved": "Node {subject} hangs on {now} now; it hung on {was}",
    "node-plugged": "Node {subject} has got a cable to {now}",
    "node-unplugged": "Node {subject} has lost its cable to {was}",
    "node-role": "Node {subject} is taken for {now} now, for {was} before",
    "adapter-swapped": "Node {subject} has got adapter {now} in place of {was}",
    "adapter-moved": "Adapter {subject} is in {now} now; it was in {was}",
    "cable-came": "There is a cable now: {subject}",
    "cable-gone": "The cable {subject} is gone",
    "cable-moved": "The cable {was} goes {now} now",
    "link-rate": "The link {subject} runs at {now} now, at {was} before",
    "domain-came": "NVLink domain {subject} is new: {members}",
    "domain-gone": "NVLink domain {subject} is gone: {members}",
    "domain-renamed": "NVLink domain {was} is called {now} now",
    "node-domain": "Node {subject} is in {now} now; it was in {was}",
}

CODES: Final = tuple(_SENTENCES)
"""Every code that a change has, in the order in which changes are told."""

_RANK: Final[Mapping[str, int]] = {code: index for index, code in enumerate(CODES)}

NO_DOMAIN: Final = "no NVLink domain"
"""Where a node is that is in none."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One thing that is not as it was.

    Attributes:
        code: One of ``CODES``; the word before the hyphen says what it is about.
        subject: Name of what changed: as it is now, or as it was where it is gone; of a cable
            ``leaf01:17 - spine02:3``.
        text: A sentence.
        was: Name, place, rate, GUID or the like before; ``""`` for what came.
        now: The same after; ``""`` for what went.
        members: What came or went along with it: hosts of a switch, a chassis or a fabric; nodes of a domain; switches
            that changed the tier. Each by its name on the side that has it, sorted as people count.
        cables: How many cables to other switches came or went along with it.
    """

    code: str
    subject: str
    text: str
    was: str = ""
    now: str = ""
    members: tuple[str, ...] = ()
    cables: int = 0


def change(
    code: str, subject: str, was: str = "", now: str = "", members: Iterable[str] = (), cables: int = 0
) -> Change:
    """A change with its sentence.

    Args:
        code: One of ``CODES``.
        subject: As in ``Change``, as are the others.
        was: Before.
        now: After.
        members: In any order.
        cables: A count.
    """
    sorted_members = tuple(sorted(set(members), key=natural))
    listed = fold_hostlist(sorted_members)
    text = _SENTENCES[code].format(
        subject=subject, was=was, now=now, members=listed, along=_along(listed, len(sorted_members), cables)
    )
    return Change(code, subject, text, was, now, sorted_members, cables)


def _along(listed: str, hosts: int, cables: int) -> str:
    parts = [f"{listed} ({hosts} hosts)" if hosts > 1 else listed] if hosts else []
    if cables:
        parts.append(f"{cables} cables between switches" if cables > 1 else "one cable to another switch")
    return ", and with it " + " and ".join(parts) if parts else ""


def told(changes: Iterable[Change]) -> list[Change]:
    """Changes in the order in which they are told: by code, then as people count."""
    return sorted(changes, key=lambda one: (_RANK[one.code], natural(one.subject), one.was, one.now))
