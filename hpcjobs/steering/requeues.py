"""A requeue with what follows it, as a new size: written down before the job is requeued, and so carried on. Pure.

Slurm changes a job's nodes and begin only when it waits again. What is to be changed then stands in a row; the listing
that shows one restart more has it carried out (plan.py), also by a service that was killed in between.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

import msgspec

from hpcjobs.model.job import WAITING, JobRecord, State
from hpcjobs.model.steered import Key, Steered, Value
from hpcjobs.model.steering import Requeue
from hpcjobs.steering.fields import names_in
from hpcjobs.steering.settle import base_of

REQUEUE: Final = "requeue"
"""The field of such a row: its base is how often the job had been requeued before, its value a Rest as JSON."""
LATE_S: Final = 30.0
"""So many seconds after it was given, an order of which no answer came may still come through."""

PAUSE_S: Final = 125
"""Slurm lets a requeued job wait for 121 s (DESIGN.md); that start time nobody has asked for."""


class Rest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What follows.

    Attributes:
        nodes: With so many nodes from now on; None: as before.
        avoid: Names of nodes that it does not start on again.
    """

    nodes: int | None = None
    avoid: tuple[str, ...] = ()


class Stage(Enum):
    """How far a requeue is."""

    OPEN = auto()
    """Nobody knows whether it has been done."""
    DUE = auto()
    """It has, and the job waits for the rest."""
    OVER = auto()
    """It has not been done, or the job has started again."""


def row_of(act: Requeue, job_id: str, record: JobRecord, now: float) -> Steered:
    """What is written before a job is requeued.

    Args:
        act: The requeue.
        job_id: Our id.
        record: The job as it is listed.
        now: Unix seconds.
    """
    rest = msgspec.json.encode(Rest(act.nodes, tuple(sorted(act.avoid)))).decode()
    return Steered(Key("job", job_id, REQUEUE), record.restarts, rest, (), now)


def rest_of(row: Steered) -> Rest:
    """What follows the requeue that a row is of."""
    rest: Rest = msgspec.json.decode(str(row.value), type=Rest)
    return rest


def stage_of(row: Steered | None, record: JobRecord, asked_at: float, now: float) -> Stage:
    """How far a requeue is; OPEN where there is none.

    Args:
        row: What was written before it.
        record: The job as it is listed.
        asked_at: Unix seconds when that listing was asked for.
        now: Unix seconds.
    """
    if row is None or asked_at <= row.at or record.state in (State.COMPLETING, State.UNKNOWN):
        return Stage.OPEN
    if record.restarts > int(row.base):
        return Stage.DUE if record.state in WAITING else Stage.OVER
    return Stage.OPEN if now - row.at < LATE_S and record.state is not State.FINISHED else Stage.OVER


def base_after(field: str, row: Steered | None, is_so: Value, rest: Rest | None, record: JobRecord) -> Value | None:
    """What a value is to be without policies from now on, because of a requeue; None: as base_of of settle.py says.

    Args:
        field: Its name.
        row: What policies have changed of it.
        is_so: Its value in the listing.
        rest: What is due now.
        record: The job.
    """
    if field == "begin":
        paused = record.restarts > 0 and 0 <= int(is_so) - record.submit_time <= PAUSE_S
        if rest is not None or (row is not None and paused):
            return 0 if row is None else row.base
    if field == "exclude" and rest is not None and rest.avoid:
        return ",".join(sorted(names_in(base_of(row, is_so)) | {*rest.avoid}))
    return None
