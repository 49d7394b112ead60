"""What policies change of waiting jobs and of nodes: how it reads in a listing, how it should be. Two tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from hpcjobs.model.aims import JobAim, NodeAim
from hpcjobs.model.cluster import Node
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.order import Changes, Order, Verb
from hpcjobs.model.steered import Steered, Value
from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from hpcjobs.sbatch.units import ceil_div

MAX_NICE: Final = 2**31 - 3
"""As sbatch(1) has it: Nice is within +/- 2147483645."""
MINUTE_S: Final = 60
MAX_WEIGHT: Final = 2**32 - 3


def names_in(value: Value) -> set[str]:
    """The names that a value is made of."""
    return set(filter(None, str(value).split(",")))


class JobField(NamedTuple):
    """One of them.

    Attributes:
        read: Its value in a listing, at a time in Unix seconds.
        wished: Its value as policies want it, by the value that it has without them; None: none of them wants it.
        passes: Whether it is a time, and every one that is past is the same.
    """

    read: Callable[[JobRecord, float], Value]
    wished: Callable[[Value, JobAim], Value | None]
    passes: bool = False

    def row_of(self, row: Steered | None, now: float) -> Steered | None:
        """What was changed of it, as it reads by now."""
        if row is None or not self.passes:
            return row
        base, value, *was = (0 if int(one) <= now else one for one in (row.base, row.value, *row.was))
        return msgspec.structs.replace(row, base=base, value=value, was=tuple(was))


def _nice(base: Value, aim: JobAim) -> Value | None:
    return max(-MAX_NICE, min(MAX_NICE, int(base) - aim.points)) if aim.points else None


def _read_exclude(record: JobRecord, _now: float) -> Value:
    text = record.particulars.excluded_nodes
    return ",".join(sorted(expand_hostlist(text))) if text else ""


def _exclude(base: Value, aim: JobAim) -> Value | None:
    return ",".join(sorted(names_in(base) | aim.avoid)) if aim.avoid else None


def _read_begin(record: JobRecord, now: float) -> Value:
    return record.eligible_time if record.eligible_time > now else 0


def _begin(base: Value, aim: JobAim) -> Value | None:
    if aim.start:
        return 0
    return max(int(base), int(-(-aim.until // 1))) if aim.until else None


def _time_min(base: Value, aim: JobAim) -> Value | None:
    if not aim.time_min_s or base:  # who has said it himself has said it
        return None
    return MINUTE_S * ceil_div(int(-(-aim.time_min_s // 1)), MINUTE_S)


def _reservation(base: Value, aim: JobAim) -> Value | None:
    return aim.reservation if aim.reservation and not base else None


HOLD: Final = "hold"
JOB_FIELDS: Final[Mapping[str, JobField]] = {
    "nice": JobField(lambda record, _: record.particulars.nice, _nice),
    "exclude": JobField(_read_exclude, _exclude),
    "begin": JobField(_read_begin, _begin, passes=True),
    "time_min_s": JobField(lambda record, _: record.particulars.time_min_s, _time_min),
    "reservation": JobField(lambda record, _: record.particulars.reservation, _reservation),
    HOLD: JobField(lambda record, _: int(record.state is State.HELD), lambda _, aim: 1 if aim.hold else None),
}


class NodeField(NamedTuple):
    """One of them.

    Attributes:
        read: Its value in a listing.
        wished: Its value as policies want it, by the value that it has without them; None: none of them wants it.
    """

    read: Callable[[Node], Value]
    wished: Callable[[Value, NodeAim], Value | None]


def _weight(base: Value, aim: NodeAim) -> Value | None:
    return max(1, min(MAX_WEIGHT, int(base) + aim.weight)) if aim.weight else None


def _features(base: Value, aim: NodeAim) -> Value | None:
    return ",".join(sorted(names_in(base) | aim.features)) if aim.features else None


NODE_FIELDS: Final[Mapping[str, NodeField]] = {
    "weight": NodeField(lambda node: node.particulars.weight, _weight),
    "features": NodeField(lambda node: ",".join(sorted(node.features)), _features),
}


def orders_of(target: str, values: Mapping[str, Value], now: float) -> tuple[Order, ...]:
    """The orders that give a job values.

    Args:
        target: Slurm's name of the job.
        values: By field.
        now: Unix seconds: a begin that is past is now.
    """
    given: dict[str, Value] = {field: value for field, value in values.items() if field != HOLD}
    if "exclude" in given:
        given["exclude"] = fold_hostlist(names_in(given["exclude"]))
    if int(given.get("begin", now + 1)) <= now:
        given["begin"] = 0  # now
    orders = [Order(Verb.UPDATE, target, changes=Changes(**given))] if given else []  # type: ignore[arg-type]
    if HOLD in values:
        # Held before it is changed, released after: it must not start in between.
        verb = Verb.HOLD if values[HOLD] else Verb.RELEASE
        orders.insert(0 if values[HOLD] else len(orders), Order(verb, target))
    return tuple(orders)
