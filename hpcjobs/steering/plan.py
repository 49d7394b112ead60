"""What must be done so that jobs stand as policies want them. Pure.

A value that somebody else has set since is from then on the value that policies build on: people have the last word on
what a job is without policies. A row is written before its order is sent, and says both what was and what shall be; so
whatever is killed when, the next plan finds in the listing which of the two is so. It is forgotten when a listing that
is younger than the last order has shown that all is as it was.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.order import Order
from hpcjobs.model.steered import Key, Steered, Value
from hpcjobs.steering.fields import JOB_FIELDS, orders_of
from hpcjobs.steering.fold import JobAim, Why

WAITING = frozenset({State.PENDING, State.HELD})


class Step(msgspec.Struct, frozen=True):
    """What is done with one job.

    Attributes:
        number: Slurm's number.
        orders: In order.
        rows: Written before.
        dropped: Forgotten after: what nobody wishes any more is as it was.
        whys: Who wants it, and why; empty: nobody any more.
    """

    number: int
    orders: tuple[Order, ...]
    rows: tuple[Steered, ...]
    dropped: tuple[Key, ...]
    whys: tuple[Why, ...]


class Plan(msgspec.Struct, frozen=True):
    """What is to be done.

    Attributes:
        steps: In order of numbers.
        forgotten: Rows of jobs that are gone.
    """

    steps: tuple[Step, ...]
    forgotten: tuple[Key, ...]


def plan_jobs(
    aims: Mapping[int, JobAim],
    jobs: Mapping[int, JobRecord],
    ids: Mapping[int, str],
    rows: Mapping[Key, Steered],
    asked_at: float,
    now: float,
) -> Plan:
    """Compare.

    Args:
        aims: How jobs should stand, by Slurm's number.
        jobs: How they stand, by Slurm's number.
        ids: Our ids, by Slurm's number.
        rows: What has been changed.
        asked_at: Unix seconds when the listing was asked for that ``jobs`` are of.
        now: Unix seconds.
    """
    numbers = {job_id: number for number, job_id in ids.items() if number in jobs}
    forgotten = tuple(
        key
        for key in rows
        if key.kind == "job" and (key.subject not in numbers or jobs[numbers[key.subject]].state is State.FINISHED)
    )
    touched = {numbers[key.subject] for key in rows if key.kind == "job" and key.subject in numbers}
    steps = [
        step
        for number in sorted(touched | (aims.keys() & jobs.keys() & ids.keys()))
        if jobs[number].state in WAITING
        and (step := _step(jobs[number], ids[number], aims.get(number, JobAim()), rows, asked_at, now)) is not None
    ]
    return Plan(tuple(steps), forgotten)


def _step(
    record: JobRecord, job_id: str, aim: JobAim, rows: Mapping[Key, Steered], asked_at: float, now: float
) -> Step | None:
    values: dict[str, Value] = {}
    written: list[Steered] = []
    dropped: list[Key] = []
    for field, (read, wished) in JOB_FIELDS.items():
        key = Key("job", job_id, field)
        row = rows.get(key)
        if row is not None and asked_at <= row.at:
            continue  # the listing is older than the order
        is_so = read(record, now)
        base = is_so if row is None or is_so not in (row.value, row.base, row.was) else row.base
        wanted = wished(base, aim)
        if wanted is None and (row is None or row.value == base == is_so):
            dropped += [key] if row is not None else []  # a listing has shown that it is as it was
            continue
        target = base if wanted is None else wanted
        if row is None or (row.base, row.value) != (base, target):
            written.append(Steered(key, base, target, base if row is None else row.value, now))
        if target != is_so or (row is not None and row.value != target):  # the last order may have come late
            values[field] = target
    if not (values or written or dropped):
        return None
    target = str(record.slurm_job_id)
    return Step(
        record.slurm_job_id,
        orders_of(target, values, now),
        tuple(written),
        tuple(dropped),
        tuple(dict.fromkeys(aim.whys)),
    )
