"""What Slurm has of the node, and what it is told, by its own commands on the node as root."""

from __future__ import annotations

import re
from typing import NamedTuple

from .host import Host

LIMIT_S = 8.0
HERE = "R,CF,CG,S,ST,SO,SI,RS"
"""States of jobs that may have processes on their nodes."""


class Seen(NamedTuple):
    """A node as the controller has it.

    Attributes:
        state: Its state and flags, as ``IDLE``, ``DRAIN``.
        reason: Why it is so, ``""``: nobody says.
        by: Name of the user who says it.
        gres: As ``gpu:a100:8``.
    """

    state: frozenset[str]
    reason: str
    by: str
    gres: str


def seen(host: Host) -> Seen | None:
    """Ask the controller, None: it does not answer.

    Args:
        host: The node.
    """
    ran = host.run(["scontrol", "show", "node", host.name], LIMIT_S)
    return None if ran.code != 0 else read(ran.text)


def read(text: str) -> Seen:
    """What ``scontrol show node`` says.

    Args:
        text: That.
    """
    told = {name: found[1] for name in ("State", "Gres") if (found := re.search(rf"\b{name}=(\S+)", text))}
    reason = re.search(r"^ *Reason=(.*?)(?: \[([^@\[\]]*)@[^\[\]]*\])?$", text, re.MULTILINE)
    words = re.sub(r"[^A-Z_+]", "", told.get("State", "")).split("+")
    return Seen(
        frozenset(words), reason[1] if reason else "", (reason[2] or "") if reason else "", told.get("Gres", "")
    )


def declared(host: Host) -> str | None:
    """What devices the controller has of it, None: it does not answer.

    Args:
        host: The node.
    """
    told = seen(host)
    return told.gres if told else None


def jobs_of(host: Host, uid: int) -> set[str] | None:
    """Numbers of a user's jobs on the node, also those that end, None: the controller does not answer.

    Args:
        host: The node.
        uid: The user.
    """
    ran = host.run(["squeue", "-h", "-o", "%A", "-t", HERE, "-w", host.name, "-u", str(uid)], LIMIT_S)
    return None if ran.code != 0 else {word for word in ran.text.split() if word.isdigit()}


def tell(host: Host, *words: str) -> str:
    """Have the node changed.

    Args:
        host: The node.
        words: As ``State=DRAIN``, ``Reason=why``.

    Returns:
        What is wrong with it; ``""``: it is done.
    """
    ran = host.run(["scontrol", "update", f"NodeName={host.name}", *words], LIMIT_S)
    return "" if ran.code == 0 else ran.text.strip() or "scontrol does not answer"
