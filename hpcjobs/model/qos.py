"""A QOS of a project: limits of each user, priority and preemption, which associations in Slurm cannot say."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

QosName = Annotated[str, msgspec.Meta(pattern="^[a-z0-9_][a-z0-9_.-]{0,39}$")]
"""Slurm keeps QOS in small letters; one name is one QOS for all clusters of an accounting."""
Kind = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{0,63}$")]
"""Of GPUs, as Slurm's type; ``""``: all kinds together."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Qos(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a job gets and may with ``--qos``. What is None or left out stays as Slurm has it.

    Attributes:
        priority: Same as Priority of sacctmgr; it counts where slurm.conf has PriorityWeightQOS.
        gpus: GPUs of all its jobs at a time, by kind; same as GrpTRES. Slurm then does not look at the account's.
        user_gpus: The same of each user; as MaxTRESPerUser.
        user_cpus: CPUs of each user at a time; as MaxTRESPerUser.
        user_mem_bytes: Memory of each user at a time, which Slurm counts in MiB; as MaxTRESPerUser.
        user_running_jobs: Jobs of each user that run at a time; same as MaxJobsPerUser.
        user_submitted_jobs: Jobs of each user that wait or run; same as MaxSubmitJobsPerUser.
        preempts: QOS whose jobs make room for its jobs; same as Preempt, with PreemptType=preempt/qos in slurm.conf.
        preempt_mode: What becomes of its own jobs that make room; same as PreemptMode.
        grace_s: Seconds that they have for it; same as GraceTime.
    """

    priority: Count | None = None
    gpus: dict[Kind, Count] = {}
    user_gpus: dict[Kind, Count] = {}
    user_cpus: Count | None = None
    user_mem_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    user_running_jobs: Count | None = None
    user_submitted_jobs: Count | None = None
    preempts: tuple[QosName, ...] = ()
    preempt_mode: Literal["cancel", "requeue", "suspend"] | None = None
    grace_s: Count | None = None
