"""Jobs by any of their names: ours, Slurm's number, a task ``123_4``, tasks ``123_[1-5]``, a component ``123+1``."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from hpcjobs.errors import JobUnknown
from hpcjobs.identity.policy import Visibility
from hpcjobs.model.job import Job, State
from hpcjobs.model.spans import among
from hpcjobs.slurm.states import read_state
from hpcjobs.store import repository
from hpcjobs.store.store import Store

NAME: Final = re.compile(
    r"(?P<ours>[0-9a-f]{32})(?:_(?P<task>[0-9]{1,9}))?|"
    r"(?P<number>[1-9][0-9]{0,9})(?:_(?P<slurm_task>[0-9]{1,9})|_\[(?P<tasks>[0-9,:-]{1,1000})(?:%[0-9]{1,9})?\]|"
    r"\+(?P<component>[0-9]{1,9}))?"
)


class Found(msgspec.Struct, frozen=True):
    """A job, and which of its tasks were named: ``4``, ``1-5``, or ``""``: the job itself."""

    job: Job
    tasks: str = ""


async def find(store: Store, cluster: str, name: str, visible: Visibility | None = None) -> Found:
    """A job by any of its names.

    Args:
        store: Where to look.
        cluster: On which cluster Slurm's numbers count.
        name: The name. A task that Slurm has not split off from its array is found as what it will be.
        visible: What the caller may see; None: everything.

    Raises:
        JobUnknown: There is none of this name, or none that the caller may see.
    """
    match = NAME.fullmatch(name)
    job: Job | None = None
    if match and match["ours"]:
        job = await store.read(repository.job_by_id, match["ours"])
    elif match:
        job = await store.read(repository.job_by_slurm_id, cluster, int(match["number"]))
    if job is not None and visible is not None and not visible.covers(job.user, job.cluster, job.account):
        job = None
    if match is None or job is None:
        raise JobUnknown(f"There is no job {name!r}.")
    if match["tasks"]:
        if not job.array_size:
            raise JobUnknown(f"There is no job {name!r}: {match['number']} is no array.")
        return Found(job, match["tasks"])
    task = match["task"] or match["slurm_task"] or match["component"]
    if task is None or (match["component"] and int(task) == 0):
        return Found(job)
    one = await store.read(repository.task_of, job.id, int(task))
    if one is not None:
        return Found(one)
    if job.array_task and among(int(task), job.array_task):
        return Found(still_together(job, int(task)))
    raise JobUnknown(f"There is no job {name!r}.")


def still_together(array: Job, task: int) -> Job:
    """A task that Slurm has not split off from its array, as a job of its own: it waits, or ended before it began."""
    state, fate = State.HELD if array.tasks.get(State.HELD) else State.PENDING, None
    if array.final:
        state, fate = array.state, read_state(array.raw_state)[1] or array.fate
    return msgspec.structs.replace(
        array,
        id=f"{array.id}_{task}",
        parent=array.id,
        task=task,
        array_task=str(task),
        array_size=0,
        tasks={},
        state=state,
        fate=fate,
        end_time=array.end_time if array.final else 0,
    )
