"""Reservations as Slurm's own library prints them, a line each with times in Unix seconds, and our reading. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hpcjobs.model.reservation import Reservation
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.sbatch.units import parse_time

_PAIR: Final = re.compile(r"(\w+)=(\S*)")
_PURGE: Final = re.compile(r"PURGE_COMP(?:=(?P<time>[0-9:-]+))?")
PURGE_S: Final = 300
"""After so many seconds one goes that says no time of its own (scontrol(1))."""


def _text(facts: Mapping[str, str], name: str) -> str:
    text = facts.get(name, "")
    return "" if text == "(null)" else text


def _names(facts: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = _text(facts, name)
    return tuple(text.split(",")) if text else ()


def _number(facts: Mapping[str, str], name: str) -> int:
    text = facts.get(name, "")
    return int(text) if text.isdecimal() else 0


def reservation_of(line: str) -> Reservation:
    """One reservation.

    Args:
        line: What is printed of it. Cores that it has of single nodes stand between its flags and its TRES.
    """
    facts: dict[str, str] = {}
    for word, value in _PAIR.findall(line):
        facts.setdefault(word, value)
    purge_s = None
    flags = []
    for flag in _names(facts, "Flags"):
        purge = _PURGE.fullmatch(flag)
        if purge:
            purge_s = parse_time(purge["time"]) if purge["time"] else PURGE_S
        flags.append("PURGE_COMP" if purge else flag)
    return Reservation(
        name=facts["ReservationName"],
        nodes=tuple(expand_hostlist(_text(facts, "Nodes"))),
        start=_number(facts, "StartTime"),
        end=_number(facts, "EndTime"),
        users=_names(facts, "Users"),
        accounts=_names(facts, "Accounts"),
        groups=_names(facts, "Groups"),
        flags=tuple(sorted(flags)),
        purge_s=purge_s,
        partition=_text(facts, "PartitionName"),
        cores=_number(facts, "CoreCnt"),
    )


def reservations_of(text: str) -> list[Reservation]:
    """All of them, in Slurm's order.

    Args:
        text: A line each.
    """
    return [reservation_of(line) for line in text.splitlines() if line.startswith("ReservationName=")]
