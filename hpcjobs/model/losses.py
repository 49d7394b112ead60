"""Where the time of a job went that was tried several times."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hpcjobs.model.failure import FailureClass
from hpcjobs.model.progress import Progress


class Saved(msgspec.Struct, frozen=True, gc=False):
    """A checkpoint.

    Attributes:
        state_at: Unix seconds; it holds what was done until then.
        blocked_s: So long the work stood still for it, from then on.
        whole: Whether it can be resumed; not where it was broken off, or is torn.
    """

    state_at: float
    blocked_s: float = 0.0
    whole: bool = True


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a job. Times are Unix seconds, ascending in the order of their attributes.

    Attributes:
        gpus: How many it had, or waited for.
        started_at: When it had its nodes.
        worked_at: When it worked, after it had started its processes and read the checkpoint; None: it never came to.
        failed_at: When it stopped working, though nobody had noticed; None: when it ended.
        ended_at: When it had its nodes no more; now, where it still has them.
        cause: What ended it: a class of failure; ``""``: it is done, or goes on.
        resumed_at: ``state_at`` of the checkpoint with which it began; None: at the beginning.
        saves: Its checkpoints, the oldest first.
    """

    gpus: float
    started_at: float
    worked_at: float | None
    failed_at: float | None = None
    ended_at: float
    cause: str = ""
    resumed_at: float | None = None
    saves: tuple[Saved, ...] = ()

    @property
    def stopped_at(self) -> float:
        """When it stopped working."""
        return self.ended_at if self.failed_at is None else self.failed_at


class Parts(msgspec.Struct, frozen=True):
    """What a whole is made of, all in one unit.

    Attributes:
        productive: Work that counts in the end.
        saving: Standing still for checkpoints.
        lost: Work that was done again, or has to be.
        stalled: It had its nodes and did not work, until that was noticed.
        restarting: From the start of an attempt until it works.
        waiting: For its nodes.
    """

    productive: float = 0.0
    saving: float = 0.0
    lost: float = 0.0
    stalled: float = 0.0
    restarting: float = 0.0
    waiting: float = 0.0

    def __add__(self, other: Parts) -> Parts:
        return Parts(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))

    def __mul__(self, factor: float) -> Parts:
        return Parts(*(getattr(self, name) * factor for name in self.__struct_fields__))

    @property
    def whole(self) -> float:
        """All of them."""
        return self.productive + self.saving + self.lost + self.stalled + self.restarting + self.waiting


class Losses(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of a job, or of several, went.

    Attributes:
        time_s: In seconds.
        gpu_h: In GPU-hours, those also that it waited for.
        by_cause: GPU-hours that were not productive, by what took them: classes of failure, ``start`` (the first wait
            and start), ``checkpoints``.
        failures: How often each class of failure ended an attempt.
    """

    time_s: Parts = Parts()
    gpu_h: Parts = Parts()
    by_cause: Mapping[str, float] = {}
    failures: Mapping[str, int] = {}

    @property
    def ettr(self) -> float | None:
        """Effective training time ratio: productive time / all of it; None: there was none."""
        return self.time_s.productive / self.time_s.whole if self.time_s.whole else None

    @property
    def ettr_of_gpus(self) -> float | None:
        """The same with each job counted by its GPUs, as for a cluster; None: there were none."""
        return self.gpu_h.productive / self.gpu_h.whole if self.gpu_h.whole else None


class RunTold(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a run beside what Slurm's accounting says.

    Attributes:
        cluster: Where.
        slurm_job_id: Slurm's number of the job.
        run: How often the job had been requeued before.
        at: When it was so, Unix seconds: Slurm gives numbers again.
        cause: Why it ended, as was diagnosed; None: nothing was.
        progress: How far it came; None: no agent told.
    """

    cluster: str
    slurm_job_id: int
    run: int
    at: float
    cause: FailureClass | None = None
    progress: Progress | None = None


class JobTime(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of a job went, from its submission to the end of its last run, or until now.

    Attributes:
        ettr: Effective training time ratio, productive time / all of it (Kokolis et al., HPCA 2025); None: it has not
            begun.
        losses: All of it.
        told: What this was computed from, and what is not known, a sentence each.
    """

    ettr: float | None
    losses: Losses
    told: tuple[str, ...]
