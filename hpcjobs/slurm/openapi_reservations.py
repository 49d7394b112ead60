"""Reservations as Slurm's own JSON says them (data_parser v0.0.42 to v0.0.45), and our reading of it. Pure."""

from __future__ import annotations

import msgspec

from hpcjobs.model.reservation import Reservation
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.slurm.openapi_numbers import NONE, Number

PURGES = "PURGE_COMP"


class _Purge(msgspec.Struct, frozen=True):
    time: Number = NONE


class ReservationWords(msgspec.Struct, frozen=True):
    """A reservation of the controller; ``purge_completed`` is there also where it does not purge itself."""

    name: str
    node_list: str = ""
    start_time: Number = NONE
    end_time: Number = NONE
    users: str = ""
    accounts: str = ""
    groups: str = ""
    flags: tuple[str, ...] = ()
    purge_completed: _Purge = _Purge()
    partition: str = ""
    core_count: int = 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def reservation_of(words: ReservationWords) -> Reservation:
    """A reservation of the controller as ours."""
    return Reservation(
        name=words.name,
        nodes=tuple(expand_hostlist(words.node_list)),
        start=words.start_time.value,
        end=words.end_time.value,
        users=_names(words.users),
        accounts=_names(words.accounts),
        groups=_names(words.groups),
        flags=tuple(sorted(words.flags)),
        purge_s=words.purge_completed.time.maybe if PURGES in words.flags else None,
        partition=words.partition,
        cores=words.core_count,
    )
