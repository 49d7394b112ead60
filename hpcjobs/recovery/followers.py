"""Jobs that depend on one that failed and was started again. Pure.

Slurm settles once that a job's ``afterok`` cannot come true any more, also where the job that failed is requeued later
and succeeds; who depends on it then waits for ever with reason DependencyNeverSatisfied (measured on 24.11 and 26.05).
Said anew, the same dependency is looked at anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from hpcjobs.model.job import Fate, JobRecord, State
from hpcjobs.model.steering import Depend

_FAILED: Final = re.compile(r"(?:afterok|aftercorr):(\d+)(?:_(\d+|\*))?(?:\+\d+)?\(failed\)")
_STATE: Final = re.compile(r"\(\w+\)")
Listed = Mapping[int, Sequence[JobRecord]]
"""Jobs by their numbers, tasks of arrays by that of the array, too."""


def stuck(records: Iterable[JobRecord]) -> list[JobRecord]:
    """Jobs that wait for one that, so Slurm says, has failed.

    Args:
        records: Jobs as they are listed.
    """
    return [record for record in records if record.state is State.PENDING and _FAILED.search(record.dependency)]


def awaited(record: JobRecord, listed: Listed) -> list[JobRecord]:
    """The jobs and tasks that have failed by what a job's dependency says.

    Args:
        record: The job that depends on them.
        listed: Jobs.
    """
    items = _FAILED.findall(record.dependency)
    return [one for number, task in items for one in _meant(int(number), task, listed)]


def anew(
    waiting: Iterable[JobRecord],
    listed: Listed,
    again: Callable[[JobRecord], bool],
    complete: Callable[[int], bool],
) -> Iterator[Depend]:
    """What is to be said anew.

    Slurm never forgets that a task of an array has failed, so who depends on the whole of it is told, when all has
    completed, that it need not wait for it any more.

    Args:
        waiting: Jobs that are stuck.
        listed: Jobs.
        again: Whether a job was started again after it failed.
        complete: Whether all tasks of the array with a number have completed.
    """
    for record in waiting:
        said = _STATE.sub("", record.dependency)
        restarted: list[JobRecord] = []
        hopeless = False
        for item in _FAILED.finditer(record.dependency):
            number, task = int(item[1]), item[2] or ""
            meant = _meant(number, task, listed)
            over = [one for one in meant if one.state is State.FINISHED and one.fate is not Fate.COMPLETED]
            whole = task in ("", "*") and any(one.array_job_id == number for one in meant)
            hopeless |= bool(over) or not any(map(again, meant)) or (whole and not complete(number))
            restarted += filter(again, meant)
            if whole:
                said = _without(said, _STATE.sub("", item[0]))
        if restarted and not hopeless:
            numbers = ", ".join(dict.fromkeys(one.target for one in restarted))
            yield Depend(record.slurm_job_id, said, f"What it depends on was started again: {numbers}.")


def _meant(number: int, task: str, listed: Listed) -> list[JobRecord]:
    return [one for one in listed.get(number, ()) if task in ("", "*") or one.array_task == task]


def _without(dependency: str, item: str) -> str:
    """A dependency that one part of has come true."""
    if "?" in dependency:
        return ""
    return ",".join(one for one in dependency.split(",") if one != item)
