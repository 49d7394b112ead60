"""Runs of a job, as the attempts that its time is accounted for by (losses.py), of as much as is known of them. Pure.

Agents tell of each run when its program began, its last checkpoint, and which one it went on from. Of what they do not
tell nothing is made up: a run that left no checkpoint that is known has lost all of its work where it failed, so that
what is lost is at most what is said here, and ETTR at least.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from hpcjobs.model.failure import Evidence, FailureClass
from hpcjobs.model.losses import Saved, Tried
from hpcjobs.model.progress import Progress
from hpcjobs.recovery.classify import diagnose


class Ran(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run that had nodes.

    Attributes:
        began: When it started, Unix seconds.
        ended: When it ended; now, where it has not.
        raw_state: Slurm's state of it.
        exit_code: Of the batch script.
        exit_signal: Number of the signal that ended it; 0: none.
        cause: Why it ended, as was diagnosed; None: nothing was.
        progress: How far it came; None: no agent told.
        gpus: How many it had.
    """

    began: float
    ended: float
    raw_state: str
    exit_code: int = 0
    exit_signal: int = 0
    cause: FailureClass | None = None
    progress: Progress | None = None
    gpus: float = 0.0


@lru_cache(maxsize=4096)
def cause_of(raw_state: str, exit_code: int, exit_signal: int) -> FailureClass | None:
    """Why a run ended, of Slurm's word alone; None: it completed, or goes on.

    Args:
        raw_state: Slurm's state.
        exit_code: Of the batch script.
        exit_signal: Number of the signal that ended it; 0: none.
    """
    if raw_state in GO_ON:
        return None
    found = diagnose(Evidence(raw_state=raw_state, exit_code=exit_code, exit_signal=exit_signal))
    if found is None:
        return None if raw_state == "COMPLETED" else FailureClass.UNKNOWN
    return found.failure


GO_ON = frozenset({"RUNNING", "SUSPENDED", "COMPLETING", "PENDING"})
"""States of runs that have not ended."""


def courses(runs: Sequence[Ran]) -> Iterator[list[Tried]]:
    """The attempts at each piece of work: what completed is done, and what is run after it is another.

    Args:
        runs: Of one job, the oldest first.
    """
    course: list[Ran] = []
    for place, run in enumerate(runs):
        course.append(run)
        if run.cause is None and cause_of(run.raw_state, run.exit_code, run.exit_signal) is None:
            yield _tried(course)
            course = []
        elif place + 1 == len(runs):
            yield _tried(course)


def _tried(runs: Sequence[Ran]) -> list[Tried]:
    found: list[Tried] = []
    states: dict[str, float] = {}
    tell = any(run.progress is not None for run in runs)
    since = 0.0
    for place, run in enumerate(runs):
        began = max(run.began, since)
        since = max(run.ended, began)
        run = msgspec.structs.replace(run, began=began, ended=since)  # sources tell the same moment differently
        cause = run.cause or cause_of(run.raw_state, run.exit_code, run.exit_signal)
        if cause is FailureClass.CANCELLED and place + 1 == len(runs):
            cause = None  # somebody had enough of it: what it did is theirs to say
        one = _attempt(run, "" if cause is None else cause.value, states, tell)
        found.append(one)
        if run.progress is not None and one.saves:
            states[run.progress.checkpoint] = one.saves[-1].state_at
    return found


def _attempt(run: Ran, cause: str, states: dict[str, float], tell: bool) -> Tried:
    """One of them; what its node's clock says is held within what Slurm's says.

    Where agents tell of others and nobody of this one, it never came to work, unless it completed.
    """
    told = run.progress
    if told is None:
        worked = not tell or run.raw_state == "COMPLETED"
        return Tried(
            gpus=run.gpus,
            started_at=run.began,
            worked_at=run.began if worked else None,
            ended_at=run.ended,
            cause=cause,
        )
    worked_at = min(max(told.began, run.began), run.ended)
    failed_at = None
    if cause == FailureClass.HANG:
        did = max(filter(None, (told.step_at, told.checkpoint_at, told.began)))
        failed_at = min(max(did, worked_at), run.ended)
    stopped_at = run.ended if failed_at is None else failed_at
    saves: tuple[Saved, ...] = ()
    if told.checkpoint and told.checkpoint_at is not None:
        whole_at = min(max(told.checkpoint_at, worked_at), stopped_at)
        state_at = max(whole_at - (told.save_s or 0.0), worked_at)
        saves = (Saved(state_at, whole_at - state_at),)
    return Tried(
        gpus=run.gpus,
        started_at=run.began,
        worked_at=worked_at,
        failed_at=failed_at,
        ended_at=run.ended,
        cause=cause,
        resumed_at=states.get(told.resumed),
        saves=saves,
    )
