"""A job's particulars as pyslurm tells them, and what it does not.

pyslurm 25.11 reads Slurm's TRES texts into objects and drops what it cannot read: they are written again here.

What stays empty: pyslurm has no property for ``sluid``, ``container_type``, ``tres_bind``, ``tres_freq`` and
``het_job_ids``; it reads ``tres_per_socket`` and ``tres_per_task`` with an equals sign only, where Slurm writes a
colon, or for tasks what the user has typed; it raises IndexError on ``cpus_per_tres`` and ``mem_per_tres``, whose form
Slurm has left; it gives ``state_description`` in the reason's place; ``tres_per_job`` is told where no other request
for GPUs stands beside it.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Sequence
from typing import Any, Final

from hpcjobs.model.amount import MEGA, MIB, amount_text
from hpcjobs.model.particulars import Particulars
from hpcjobs.slurm.pyslurm_session import group_name

_CHEAP: Final = operator.attrgetter(
    "association_id", "batch_host", "required_nodes", "excluded_nodes", "scheduled_nodes", "failed_node", "max_nodes",
    "reservation", "wckey", "network", "mcs_label", "nice", "cpus_per_task", "ntasks_per_node", "ntasks_per_socket",
    "ntasks_per_core", "ntasks_per_gpu", "min_cpus_per_node", "memory_per_node", "memory_per_cpu",
    "temporary_disk_per_node", "sockets_per_node", "cores_per_socket", "threads_per_core",
    "cores_reserved_for_system", "threads_reserved_for_system", "resource_sharing", "requires_contiguous_nodes",
    "is_requeueable", "requires_node_reboot", "time_limit_min", "deadline", "accrue_time", "suspend_time",
    "pre_suspension_time", "resize_time", "preempt_time", "preempt_eligible_time", "delay_boot_time",
    "required_switches", "max_wait_time_switches", "admin_comment", "system_comment", "extra", "container",
    "container_id", "burst_buffer", "burst_buffer_state", "derived_exit_code", "derived_exit_code_signal",
    "segment_size", "reserved_ports", "cronjob_time",
)  # fmt: skip
_LISTS: Final = operator.attrgetter(
    "constraints", "preferred_features", "cluster_constraints", "batch_constraints", "licenses", "allocated_licenses",
    "mail_types", "mail_user", "profile_types",
)  # fmt: skip


def particulars_mark(job: Any) -> Hashable:  # noqa: ANN401
    """What the particulars of a job are made of, as cheap as it can be read.

    Left out is what cannot change (owner, script, where it was submitted) and the TRES of the whole job, which change
    with what JOB_MARKS holds.
    """
    return _CHEAP(job), repr(_LISTS(job)), tres_text(job.tres_per_task), tres_text(job.tres_per_node)


def particulars_of(job: Any) -> Particulars:  # noqa: ANN401
    """What pyslurm tells of a job beside the facts."""
    per_node, per_task, requested = _per_node(job), tres_text(job.tres_per_task), job.requested_tres
    return Particulars(
        user_id=job.user_id or 0,
        group_id=job.group_id or 0,
        group=group_name(job.group_id or 0),
        association_id=job.association_id or 0,
        submit_host=job.submit_host or "",
        submit_session=job.submit_session_id or 0,
        submit_line=job.submit_line or "",
        command=job.command or "",
        stdin=job.standard_input or "",
        batch=job.is_batch_job,
        batch_host=job.batch_host or "",
        constraint=_joined(job.constraints),
        prefer=_joined(job.preferred_features),
        cluster_constraint=_joined(job.cluster_constraints),
        batch_constraint=_joined(job.batch_constraints),
        required_nodes=job.required_nodes or "",
        excluded_nodes=job.excluded_nodes or "",
        scheduled_nodes=job.scheduled_nodes or "",
        failed_node=job.failed_node or "",
        nodes_max=job.max_nodes or 0,
        licenses=_joined(job.licenses),
        licenses_alloc=_joined(job.allocated_licenses),
        reservation=job.reservation or "",
        wckey=job.wckey or "",
        network=job.network or "",
        mcs_label=job.mcs_label or "",
        nice=job.nice or 0,
        cpus_per_task=job.cpus_per_task or 1,
        ntasks_per_node=_count(job.ntasks_per_node) or 0,
        ntasks_per_socket=_count(job.ntasks_per_socket),
        ntasks_per_core=_count(job.ntasks_per_core),
        ntasks_per_tres=_count(job.ntasks_per_gpu) or 0,
        mincpus=job.min_cpus_per_node or 0,
        mem_per_node_bytes=_bytes(job.memory_per_node),
        mem_per_cpu_bytes=_bytes(job.memory_per_cpu),
        tmp_bytes=_bytes(job.temporary_disk_per_node) or 0,
        sockets_per_node=job.sockets_per_node,
        cores_per_socket=job.cores_per_socket,
        threads_per_core=job.threads_per_core,
        core_spec=job.cores_reserved_for_system,
        thread_spec=job.threads_reserved_for_system,
        oversubscribe=(job.resource_sharing or "").replace("OK", ""),
        contiguous=job.requires_contiguous_nodes,
        requeue=job.is_requeueable,
        reboot=job.requires_node_reboot,
        tres_req=tres_text(requested),
        tres_alloc=tres_text(job.allocated_tres),
        tres_per_job="" if per_node or "gres/" in per_task or job.sockets_per_node else _gres_text(requested),
        tres_per_node=per_node,
        tres_per_task=per_task,
        time_min_s=(job.time_limit_min or 0) * 60,
        deadline=job.deadline or 0,
        accrue_time=job.accrue_time or 0,
        suspend_time=job.suspend_time or 0,
        pre_suspend_s=job.pre_suspension_time or 0,
        resize_time=job.resize_time or 0,
        preempt_time=job.preempt_time or 0,
        preemptable_time=job.preempt_eligible_time or 0,
        delay_boot_s=job.delay_boot_time or 0,
        switches=_count(job.required_switches) or 0,
        switches_wait_s=job.max_wait_time_switches or 0,
        mail_types=tuple(job.mail_types or ()),
        mail_user=_joined(job.mail_user),
        admin_comment=job.admin_comment or "",
        system_comment=job.system_comment or "",
        extra=job.extra or "",
        container=job.container or "",
        container_id=job.container_id or "",
        burst_buffer=job.burst_buffer or "",
        burst_buffer_state=job.burst_buffer_state or "",
        profile=tuple(job.profile_types or ()),
        derived_exit_code=job.derived_exit_code or 0,
        derived_exit_signal=job.derived_exit_code_signal or 0,
        array_max_running=job.array_tasks_parallel or 0,
        segment_size=_count(job.segment_size) or 0,
        reserved_ports=job.reserved_ports or "",
        selinux_context=job.selinux_context or "",
        cron=job.cronjob_time or "",
    )


def _joined(words: Sequence[str] | str | None) -> str:
    return words if isinstance(words, str) else ",".join(words or ())


def _count(value: int | str | None) -> int | None:
    """A count of pyslurm: 0 and "not set" are both None to it, and "no limit" is a word."""
    if value is None:
        return 0
    return value if isinstance(value, int) else None


def _bytes(mebibytes: int | str | None) -> int | None:
    return mebibytes * MIB if isinstance(mebibytes, int) else None


def _per_node(job: Any) -> str:  # noqa: ANN401
    gres = job.gres_per_node
    if gres:
        return ",".join(f"{name}:{count}" for name, count in gres.items())
    return tres_text(job.tres_per_node)


def _gres_text(tres: Any) -> str:  # noqa: ANN401
    """Generic resources as a request names them: with their types where there are some."""
    if not tres:
        return ""
    counts = {name: entry.count for name, entry in tres.gres.items()}
    typed = {name.partition(":")[0] for name in counts if ":" in name}
    return ",".join(f"gres/{name}:{count}" for name, count in counts.items() if name not in typed)


def tres_text(tres: Any) -> str:  # noqa: ANN401
    """Trackable resources as Slurm writes them, from pyslurm's reading of them: ``cpu=2,mem=1800M,node=1,billing=2``.

    Args:
        tres: A TrackableResources of pyslurm, or None.
    """
    if not tres:
        return ""
    parts = []
    for kind in ("cpu", "mem", "energy", "node", "billing"):
        entry = getattr(tres, kind)
        if entry:
            parts.append(f"{kind}={amount_text(entry.count, MEGA) if kind == 'mem' else entry.count}")
    for kind, entries in (("fs", tres.fs), ("gres", tres.gres), ("license", tres.license)):
        parts += [f"{kind}/{name}={entry.count}" for name, entry in entries.items()]
    return ",".join(parts)
