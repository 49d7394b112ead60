"""What will happen to a job next, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpcjobs.model.job import Fate, Job, State
from hpcjobs.model.job_runs import JobRun
from hpcjobs.model.recovery import Hold, Recovery, RecoveryState, Retry, Stop

MEANT: Final = {
    Fate.COMPLETED: "Nothing: it has completed.",
    Fate.CANCELLED: "Nothing: it was cancelled.",
    Fate.REFUSED: "Nothing: it was refused.",
}
"""What follows an end that somebody meant."""
UNDECIDED_S: Final = 60.0
"""A decision that has not come so long after the end does not come."""


def outlook(job: Job, runs: Sequence[JobRun], recover: bool, now: float) -> tuple[str, float | None]:
    """What will happen to a job next.

    Args:
        job: As it is now.
        runs: Its runs.
        recover: Whether it asked to be started again where it fails.
        now: Unix seconds.

    Returns:
        A sentence, and the Unix second before which that does not happen; None: nothing keeps it.
    """
    if job.array_size:
        return "Each of its tasks has runs of its own.", None
    last = runs[-1].recovery if runs else None
    before = runs[-2].recovery if len(runs) > 1 else None
    if job.final:
        return _after_the_end(job, last, recover, now)
    if job.state is State.HELD:
        why = before.decision.why if before is not None and isinstance(before.decision, Hold) else job.detail
        return f"It waits until somebody releases it. {why}".strip(), None
    if job.state is State.PENDING:
        if before is None or not isinstance(before.decision, Retry):
            return "It starts when Slurm has nodes for it.", _later(job.eligible_time, now)
        where = f", without {', '.join(before.decision.avoid)}" if before.decision.avoid else ""
        at = max(before.decision.at, 0.0 if before.state is RecoveryState.OPEN else job.eligible_time)
        return f"It starts again when Slurm has nodes for it{where}.", _later(at, now)
    if job.state is State.SUBMITTING:
        return "It goes to Slurm as soon as Slurm takes it.", None
    if job.state is State.UNKNOWN:
        return "What Slurm has done with it is being found out.", None
    if last is not None:
        return _while_it_hangs(last, now)
    if recover:
        return "It runs. Where this run ends badly it is decided whether it starts again.", None
    unless = "It runs. Where this run ends badly it stays so, unless Slurm requeues it"
    return f"{unless}: it was not submitted with --recover.", None


def _while_it_hangs(last: Recovery, now: float) -> tuple[str, float | None]:
    if isinstance(last.decision, Retry):
        return f"This run is ended, and it starts again: {last.decision.why}", _later(last.decision.at, now)
    if isinstance(last.decision, Hold):
        return f"This run is ended, and it waits until somebody releases it: {last.decision.why}", None
    return f"Nothing, it runs on: {last.decision.why}", None


def _after_the_end(job: Job, last: Recovery | None, recover: bool, now: float) -> tuple[str, float | None]:
    if last is None:
        if job.fate in MEANT:
            return MEANT[job.fate], None
        if not recover:
            return "Nothing: it was not submitted with --recover.", None
        if now - job.end_time < UNDECIDED_S:
            return "It is being decided what becomes of it.", None
        return "Nothing: nobody has decided that it is started again.", None
    if isinstance(last.decision, Retry) and last.state is RecoveryState.OPEN:
        return f"It is started again: {last.decision.why}", _later(last.decision.at, now)
    if isinstance(last.decision, Retry):
        return "Nothing: it could not be started again.", None
    held = "" if isinstance(last.decision, Stop) else " until somebody requeues it"
    return f"It stays as it ended{held}: {last.decision.why}", None


def _later(at: float, now: float) -> float | None:
    return float(at) if at > now else None
