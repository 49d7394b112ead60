"""What becomes of a job whose run ended: what has been tried, and what is decided."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hpcjobs.model.failure import Diagnosis, FailureClass
from hpcjobs.model.job import Fate


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a job that ended, or that has hung.

    Attributes:
        fate: How, as Slurm says; None: it has not, it runs and does nothing.
        diagnosis: Why, as far as it is known.
        at: When, Unix seconds.
        progress: How far it had come: the step of its last good checkpoint; None: it tells none.
        nodes: How many nodes it had.
        nodes_min: With how few it can run; 0: with none fewer.
    """

    fate: Fate | None
    diagnosis: Diagnosis
    at: float
    progress: int | None = None
    nodes: int = 1
    nodes_min: int = 0


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job that ended, and what was decided then.

    Attributes:
        at: When it ended, Unix seconds.
        kind: Why, as far as it is known; None: it completed.
        again: Whether it was started again after it.
        progress: How far it had come: the step of its last good checkpoint; None: it tells none.
        nodes: Nodes that were under suspicion then.
    """

    at: float
    kind: FailureClass | None
    again: bool = True
    progress: int | None = None
    nodes: tuple[str, ...] = ()


class Retry(msgspec.Struct, frozen=True, kw_only=True, tag="retry"):
    """It is started again.

    Attributes:
        why: The reason, a sentence.
        at: Not before this Unix second.
        avoid: Names of nodes that it does not start on.
        nodes: With so many nodes; None: as before.
    """

    why: str
    at: float
    avoid: tuple[str, ...] = ()
    nodes: int | None = None


class Hold(msgspec.Struct, frozen=True, tag="hold"):
    """It waits until somebody releases it.

    Attributes:
        why: The reason, a sentence.
    """

    why: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """It stays as it ended.

    Attributes:
        why: The reason, a sentence.
    """

    why: str


Decision = Retry | Hold | Stop


def word_of(decision: Decision) -> str:
    """A decision as one word: ``retry``, ``hold``, ``stop``."""
    return type(decision).__name__.lower()


class RecoveryState(StrEnum):
    """How far what was decided is carried out."""

    OPEN = "open"
    DONE = "done"  # it runs again, or is held
    OVER = "over"  # nothing was to be done, or it could not be any more


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided of one run of a job that ended.

    Attributes:
        cluster: Where.
        job_id: Our id.
        slurm_job_id: Slurm's number.
        run: How often the job had been requeued before this run.
        at: When it ended, or was seen to hang, Unix seconds.
        progress: Step of the last good checkpoint; None: it tells none.
        diagnosis: Why it ended.
        decision: What is to become of it.
        plugin: Who decided.
        decided_at: When, Unix seconds.
        state: How far that is carried out.
    """

    cluster: str
    job_id: str
    slurm_job_id: int
    run: int
    at: float
    progress: int | None
    diagnosis: Diagnosis
    decision: Decision
    plugin: str
    decided_at: float
    state: RecoveryState = RecoveryState.OPEN
