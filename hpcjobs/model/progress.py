"""How far a run of a job has come, as the agent inside it told last (docs/CHECKPOINTS.md)."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one run of a job has come. Times are Unix seconds of the job's node; None: never.

    Attributes:
        cluster: Where.
        job_id: Our id.
        run: How often the job had been requeued before this run.
        attempt: Number of the attempt in its checkpoint folder.
        began: When its program was started.
        alive: When the agent told all this.
        heartbeat: When the program said anything last.
        step: The last that it told.
        step_at: When a step higher than all before came.
        checkpoint: Path of the last one that this run published; ``""``: none.
        checkpoint_step: Its step.
        checkpoint_at: When it was published.
        save_s: How long saving it took, in seconds.
        resumed: Path of the checkpoint that it went on from; ``""``: from the beginning.
        fault: What went wrong last, as with a checkpoint that could not be published; ``""``: nothing.
        seen_at: When the service read it, by its own clock.
    """

    cluster: str
    job_id: str
    run: int
    attempt: int
    began: float
    alive: float
    heartbeat: float | None = None
    step: int | None = None
    step_at: float | None = None
    checkpoint: str = ""
    checkpoint_step: int | None = None
    checkpoint_at: float | None = None
    save_s: float | None = None
    resumed: str = ""
    fault: str = ""
    seen_at: float
