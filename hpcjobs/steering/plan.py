"""What must be done so that jobs stand as policies want them, and to the end what was begun of a requeue. Pure.

What is done with one value: settle.py. Rows of jobs that run or have ended are kept: they may wait again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from hpcjobs.model.aims import JobAim, Why
from hpcjobs.model.job import WAITING, JobRecord
from hpcjobs.model.order import Order
from hpcjobs.model.steered import Key, Steered, Value
from hpcjobs.steering.fields import JOB_FIELDS, orders_of
from hpcjobs.steering.requeues import REQUEUE, Stage, base_after, rest_of, stage_of
from hpcjobs.steering.settle import settle


class Step(msgspec.Struct, frozen=True):
    """What is done with one job.

    Attributes:
        number: Slurm's number.
        orders: In order.
        rows: Written before.
        dropped: Forgotten after: what nobody wishes any more is as it was.
        whys: Who wants it, and why; empty: nobody any more.
        once: Forgotten too where Slurm refuses it: what is not tried again.
        inside: The reservation that it is put into, which must be there by then; ``""``: none.
    """

    number: int
    orders: tuple[Order, ...]
    rows: tuple[Steered, ...]
    dropped: tuple[Key, ...]
    whys: tuple[Why, ...] = ()
    once: tuple[Key, ...] = ()
    inside: str = ""


def plan_jobs(
    aims: Mapping[int, JobAim],
    jobs: Mapping[int, JobRecord],
    ids: Mapping[int, str],
    rows: Mapping[Key, Steered],
    asked_at: float,
    now: float,
) -> tuple[Step, ...]:
    """Compare.

    Args:
        aims: How jobs should stand, by Slurm's number.
        jobs: How they stand, by Slurm's number.
        ids: Our ids, by Slurm's number.
        rows: What has been changed.
        asked_at: Unix seconds when the listing was asked for that ``jobs`` are of.
        now: Unix seconds.

    Returns:
        What is done, in order of numbers.
    """
    subjects = {key.subject for key in rows if key.kind == "job"}
    touched = {number for number, job_id in ids.items() if job_id in subjects and number in jobs}
    steps = (
        _step(jobs[number], ids[number], aims.get(number, JobAim()), rows, asked_at, now)
        for number in sorted(touched | (aims.keys() & jobs.keys() & ids.keys()))
    )
    return tuple(step for step in steps if step is not None)


def _step(
    record: JobRecord, job_id: str, aim: JobAim, rows: Mapping[Key, Steered], asked_at: float, now: float
) -> Step | None:
    begun = rows.get(Key("job", job_id, REQUEUE))
    stage = stage_of(begun, record, asked_at, now)
    if record.state not in WAITING:
        over = begun is not None and stage is Stage.OVER
        return Step(record.slurm_job_id, (), (), (begun.key,)) if over and begun is not None else None
    own = {name: rows.get(Key("job", job_id, name)) for name in JOB_FIELDS}
    unseen = any(row is not None and asked_at <= row.at for row in own.values())
    rest = rest_of(begun) if begun is not None and stage is Stage.DUE and not unseen else None
    values: dict[str, Value] = {}
    written: list[Steered] = []
    dropped: list[Key] = []
    for name, field in JOB_FIELDS.items():
        row, is_so = field.row_of(own[name], now), field.read(record, now)
        base = base_after(name, row, is_so, rest, record)
        wished = partial(_wished, field.wished, aim)
        settled = settle(Key("job", job_id, name), row, is_so, wished, asked_at, now, base)
        if settled.row is not None:
            written.append(settled.row)
        if settled.ordered is not None:
            values[name] = settled.ordered
        if settled.forgotten:
            dropped.append(Key("job", job_id, name))
    if rest is not None and rest.nodes not in (None, record.nodes):
        values["nodes"] = rest.nodes or record.nodes
    once = (begun.key,) if begun is not None and (rest is not None or stage is Stage.OVER) else ()
    if not (values or written or dropped or once):
        return None
    orders = orders_of(record.target, values, now)
    whys = tuple(dict.fromkeys(aim.whys))
    inside = str(values.get("reservation", ""))
    return Step(record.slurm_job_id, orders, tuple(written), (*dropped, *once), whys, once, inside)


def _wished(wished: Callable[[Value, JobAim], Value | None], aim: JobAim, base: Value) -> Value | None:
    return wished(base, aim)
