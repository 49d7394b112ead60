"""Reservations: nodes that are kept for some users from a time on, and what can be done with them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

RESERVATION: Final = re.compile(r"[^\s,=+\-/\"'\x00-\x1f\x7f][^\s,=/\"'\x00-\x1f\x7f]{0,255}")
"""What can be the name of a reservation, a user or an account; scontrol would read a comma or a blank as its end."""
MOST_TIME: Final = 2**32 - 3
"""The latest time, in Unix seconds, that Slurm's JSON takes."""


class ReservationFlag(StrEnum):
    """What a reservation can be made with; Slurm's words, and what they mean in scontrol(1)."""

    IGNORE_JOBS = "IGNORE_JOBS"
    """It may be made over jobs that will still run at its start; without it Slurm refuses such nodes. They run on."""
    FLEX = "FLEX"
    """Its jobs may start before it, run on after it, and use other nodes beside its own."""
    MAGNETIC = "MAGNETIC"
    """Every job of its users that could run in it does, also where it does not ask to."""
    NO_HOLD_JOBS = "NO_HOLD_JOBS_AFTER_END"
    """Jobs that still wait in it at its end may run elsewhere; without it Slurm holds them."""
    OVERLAP = "OVERLAP"
    """Other reservations may have its nodes at the same time."""
    MAINT = "MAINT"
    """It is for maintenance: its time is accounted as such, and it may overlap others."""


class Reservation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reservation as Slurm's controller lists it.

    Attributes:
        name: Slurm's ReservationName.
        nodes: Names of its nodes.
        start: Unix seconds from which nobody else has them.
        end: Unix seconds at which they are everybody's again.
        users: Who may use it; ``-name``: all but these.
        accounts: Whose members may use it; ``-name``: all but these.
        groups: Unix groups whose members may use it.
        flags: Every flag that it has in Slurm's words, sorted; ReservationFlag has some of them.
        purge_s: It goes by itself after so many seconds without a job (PURGE_COMP); None: it does not.
        partition: The partition that it was made for, or ``""``.
        cores: Cores that it has, of all its nodes together; fewer than these have: it is of parts of them.
    """

    name: str
    nodes: tuple[str, ...]
    start: int
    end: int
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    purge_s: int | None = None
    partition: str = ""
    cores: int = 0


class ReservationVerb(StrEnum):
    """What to do with a reservation."""

    MAKE = "make"
    CHANGE = "change"
    DELETE = "delete"


class ReservationOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something to do with a reservation, ready for a backend; for operators.

    To make one takes nodes, start, end, and users or accounts. A change leaves as it is what is None, cannot take the
    last user or account away, and cannot move the start of one that has begun. Flags are given when it is made. Slurm
    deletes no reservation in which a job runs or waits (Conflict); ``Changes(reservation="")`` takes a waiting one out.

    Attributes:
        verb: What.
        name: Its name. A job is put into it with ``Changes.reservation``.
        nodes: Names of its nodes, whole nodes.
        start: Unix seconds; 0 is now.
        end: Unix seconds.
        users: Who may use it.
        accounts: Whose members may use it.
        flags: With these it is made.
        purge_s: It goes by itself after so many seconds without a job; only when it is made.
    """

    verb: ReservationVerb
    name: str
    nodes: tuple[str, ...] | None = None
    start: int | None = None
    end: int | None = None
    users: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    flags: tuple[ReservationFlag, ...] = ()
    purge_s: int | None = None
