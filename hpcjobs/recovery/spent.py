"""Where the time of one job went, of its runs as people are told of them (docs/ETTR.md). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hpcjobs.model.job import State
from hpcjobs.model.job_runs import JobRun
from hpcjobs.model.losses import JobTime
from hpcjobs.recovery.losses import losses, together
from hpcjobs.recovery.tried import Ran, courses

UNTOLD = "No agent told of checkpoints: all of a run that failed counts as lost, so that the ratio is at least this."
PARTLY = "Where no checkpoint is known all of a run that failed counts as lost, so that the ratio is at least this."
SAVING = "Saving counts for the last checkpoint of each run, as nothing is told of those before."


def spent(runs: Sequence[JobRun], asked_at: float, gpus: float, now: float) -> JobTime | None:
    """Where it went.

    Args:
        runs: Of the job, the oldest first.
        asked_at: When it was submitted, Unix seconds.
        gpus: How many it has, or asks for.
        now: Unix seconds.

    Returns:
        None: no run has begun.
    """
    ran = [_ran(run, run.began, gpus, now) for run in runs if run.began is not None]
    if not ran:
        return None
    several = []
    since = min(asked_at, ran[0].began)
    for course in courses(ran):
        several.append(losses(since, course))
        since = course[-1].ended_at
    whole = together(several)
    return JobTime(ettr=whole.ettr, losses=whole, told=tuple(_told(ran, bool(whole.failures))))


def _ran(run: JobRun, began: float, gpus: float, now: float) -> Ran:
    goes_on = run.state is not State.FINISHED and run.ended is None
    return Ran(
        began=began,
        ended=run.ended if run.ended is not None else now if goes_on else began,
        raw_state="RUNNING" if goes_on else run.raw_state or (run.fate.value if run.fate is not None else ""),
        exit_code=run.exit_code or 0,
        exit_signal=run.exit_signal or 0,
        cause=run.recovery.diagnosis.failure if run.recovery is not None and not goes_on else None,
        progress=run.progress,
        gpus=gpus,
    )


def _told(ran: Sequence[Ran], failed: bool) -> Iterator[str]:
    came = [run.progress for run in ran if run.progress is not None]
    told = f"its agent told of {len(came)} of them" if came else "no agent told of any"
    yield f"Of {len(ran)} run{'s' * (len(ran) != 1)} as Slurm tells them; {told}."
    if any(one.checkpoint for one in came):
        yield SAVING
    made = {one.checkpoint for one in came if one.checkpoint}
    if failed and not came:
        yield UNTOLD
    elif failed and (len(came) < len(ran) or any(one.resumed and one.resumed not in made for one in came)):
        yield PARTLY
