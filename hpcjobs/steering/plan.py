"""What must be done so that jobs stand as policies want them. Pure.

A value that somebody else has set since is from then on the value that policies build on: people have the last word on
what a job is without policies. A row is written before its order is sent, and says both what was and what shall be; so
whatever is killed when, the next plan finds in the listing which of the two is so. It is forgotten when a listing that
is younger than the last order has shown that all is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from hpcjobs.model.aims import JobAim, Why
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.order import Order
from hpcjobs.model.steered import Key, Steered, Value
from hpcjobs.steering.fields import JOB_FIELDS, WAITING, orders_of
from hpcjobs.steering.settle import settle


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
    for name, field in JOB_FIELDS.items():
        key = Key("job", job_id, name)
        row, is_so = field.row_of(rows.get(key), now), field.read(record, now)
        settled = settle(key, row, is_so, partial(_wished, field.wished, aim), asked_at, now)
        if settled.row is not None:
            written.append(settled.row)
        if settled.ordered is not None:
            values[name] = settled.ordered
        if settled.forgotten:
            dropped.append(key)
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


def _wished(wished: Callable[[Value, JobAim], Value | None], aim: JobAim, base: Value) -> Value | None:
    return wished(base, aim)
