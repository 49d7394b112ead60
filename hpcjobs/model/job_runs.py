"""What happened to a job since it was submitted, run by run."""

from __future__ import annotations

import msgspec

from hpcjobs.model.attempt import Attempt
from hpcjobs.model.job import Fate, Job, State
from hpcjobs.model.losses import JobTime
from hpcjobs.model.progress import Progress
from hpcjobs.model.recovery import Recovery


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job. Times are Unix seconds; what is not known is None or ``""``.

    Attributes:
        run: How often Slurm had requeued the job before: 0 for the first. SLURM_RESTART_COUNT of its programs.
        attempt: Number of the attempt that brought the job into Slurm; None: it came another way.
        state: Where this run is; FINISHED for all but the last one.
        fate: How it ended; None also where only accounting's ``raw_state`` tells.
        raw_state: Slurm's state of it, as ``REQUEUED``.
        began: When it started.
        ended: When it ended.
        nodes: How many nodes it had.
        node_list: Which, as a hostlist.
        exit_code: Of the batch script.
        exit_signal: Number of the signal that ended the batch script; 0: none.
        recovery: Why it ended and what was decided then, by whom and when; None: nothing was.
        decision_s: Seconds from its end, or from when it was seen to hang, to the decision.
        restart_s: Seconds from the decision that it is started again to the beginning of the next run.
        again_s: Seconds from its end to the beginning of the next run, whoever had that begin.
        requeued_by: Who ordered that it be requeued in or after this run: a user, or ``policy`` and its name; ``""``:
            nobody did.
        requeued_why: Why, a sentence; of policies only.
        progress: How far it came, its last checkpoint with it; None: no agent told.
        resumed_step: Step of the checkpoint that it went on from; None: from the beginning, or no agent told.
    """

    run: int
    attempt: int | None = None
    state: State = State.FINISHED
    fate: Fate | None = None
    raw_state: str = ""
    began: float | None = None
    ended: float | None = None
    nodes: int = 0
    node_list: str = ""
    exit_code: int | None = None
    exit_signal: int | None = None
    recovery: Recovery | None = None
    decision_s: float | None = None
    restart_s: float | None = None
    again_s: float | None = None
    requeued_by: str = ""
    requeued_why: str = ""
    progress: Progress | None = None
    resumed_step: int | None = None


class JobRuns(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a job, and what will.

    Attributes:
        job: The job as it is now.
        attempts: How it came into Slurm, first to last.
        runs: Its runs, oldest first, the last 1,000; none of an array, whose tasks have their own.
        more: How many runs there were before these.
        tasks: Of an array: numbers of the tasks of which anything was decided.
        time: Where its time went, all runs together; None: none has begun.
        next: What will happen next, a sentence.
        next_at: Not before this Unix second; None: nothing keeps it until then.
    """

    job: Job
    attempts: tuple[Attempt, ...]
    runs: tuple[JobRun, ...]
    more: int = 0
    tasks: tuple[int, ...] = ()
    time: JobTime | None = None
    next: str = ""
    next_at: float | None = None
