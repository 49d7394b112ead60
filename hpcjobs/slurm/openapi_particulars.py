"""A job's particulars as Slurm's own JSON says them, and our reading of them. Pure; see openapi."""

from __future__ import annotations

from typing import Final

import msgspec

from hpcjobs.model.amount import MIB
from hpcjobs.model.particulars import Particulars
from hpcjobs.slurm.openapi_numbers import NONE, ExitCode, Number

UNSET_THREADS: Final = 32766
"""What ``thread_spec`` says where nothing was asked for: Slurm takes a bit out of "not set"."""

SHARED: Final = {"none": "NO", "oversubscribe": "YES", "user": "USER", "mcs": "MCS", "topo": "TOPO"}
"""Words of ``shared``; 26.05 leaves it empty whatever was asked for."""


class _StepId(msgspec.Struct, frozen=True):
    sluid: str = ""


class ParticularWords(msgspec.Struct, frozen=True, kw_only=True):
    """The particulars of a job of the controller."""

    user_id: int = 0
    group_id: int = 0
    group_name: str = ""
    association_id: int = 0
    step_id: _StepId = _StepId()
    allocating_node: str = ""
    submit_line: str = ""
    command: str = ""
    stdin_expanded: str = ""
    standard_input: str = ""
    batch_flag: bool = True
    batch_host: str = ""
    state_description: str = ""
    features: str = ""
    prefer: str = ""
    cluster_features: str = ""
    batch_features: str = ""
    required_nodes: str = ""
    excluded_nodes: str = ""
    scheduled_nodes: str = ""
    failed_node: str = ""
    max_nodes: Number = NONE
    licenses: str = ""
    licenses_allocated: str = ""
    resv_name: str = ""
    wckey: str = ""
    network: str = ""
    mcs_label: str = ""
    nice: int = 0
    cpus_per_task: Number = NONE
    tasks_per_node: Number = NONE
    tasks_per_socket: Number = NONE
    tasks_per_core: Number = NONE
    tasks_per_tres: Number = NONE
    minimum_cpus_per_node: Number = NONE
    memory_per_node: Number = NONE
    memory_per_cpu: Number = NONE
    minimum_tmp_disk_per_node: Number = NONE
    sockets_per_node: Number = NONE
    cores_per_socket: Number = NONE
    threads_per_core: Number = NONE
    core_spec: int = 0
    thread_spec: int = 0
    shared: tuple[str, ...] = ()
    contiguous: bool = False
    requeue: bool = True
    reboot: bool = False
    tres_req_str: str = ""
    tres_alloc_str: str = ""
    tres_per_job: str = ""
    tres_per_node: str = ""
    tres_per_socket: str = ""
    tres_per_task: str = ""
    tres_bind: str = ""
    tres_freq: str = ""
    cpus_per_tres: str = ""
    memory_per_tres: str = ""
    time_minimum: Number = NONE
    deadline: Number = NONE
    accrue_time: Number = NONE
    suspend_time: Number = NONE
    pre_sus_time: Number = NONE
    resize_time: Number = NONE
    preempt_time: Number = NONE
    preemptable_time: Number = NONE
    delay_boot: Number = NONE
    required_switches: int = 0
    maximum_switch_wait_time: int = 0
    mail_type: tuple[str, ...] = ()
    mail_user: str = ""
    admin_comment: str = ""
    system_comment: str = ""
    extra: str = ""
    container: str = ""
    container_id: str = ""
    container_type: str = ""
    burst_buffer: str = ""
    burst_buffer_state: str = ""
    profile: tuple[str, ...] = ()
    derived_exit_code: ExitCode = ExitCode()
    array_max_tasks: Number = NONE
    het_job_id_set: str = ""
    segment_size: int = 0
    selinux_context: str = ""
    cron: str = ""


def _bytes(mebibytes: Number) -> int | None:
    return None if mebibytes.maybe is None else mebibytes.maybe * MIB


def particulars_of(job: ParticularWords) -> Particulars:
    """The particulars of a job of the controller as ours."""
    return Particulars(
        user_id=job.user_id,
        group_id=job.group_id,
        group=job.group_name,
        association_id=job.association_id,
        sluid=job.step_id.sluid,
        submit_host=job.allocating_node,
        submit_line=job.submit_line,
        command=job.command,
        stdin=job.stdin_expanded or job.standard_input,
        batch=job.batch_flag,
        batch_host=job.batch_host,
        state_description=job.state_description,
        constraint=job.features,
        prefer=job.prefer,
        cluster_constraint=job.cluster_features,
        batch_constraint=job.batch_features,
        required_nodes=job.required_nodes,
        excluded_nodes=job.excluded_nodes,
        scheduled_nodes=job.scheduled_nodes,
        failed_node=job.failed_node,
        nodes_max=job.max_nodes.value,
        licenses=job.licenses,
        licenses_alloc=job.licenses_allocated,
        reservation=job.resv_name,
        wckey=job.wckey,
        network=job.network,
        mcs_label=job.mcs_label,
        nice=job.nice,
        cpus_per_task=job.cpus_per_task.value or 1,
        ntasks_per_node=job.tasks_per_node.value,
        ntasks_per_socket=job.tasks_per_socket.maybe,
        ntasks_per_core=job.tasks_per_core.maybe,
        ntasks_per_tres=job.tasks_per_tres.value,
        mincpus=job.minimum_cpus_per_node.value,
        mem_per_node_bytes=_bytes(job.memory_per_node),
        mem_per_cpu_bytes=_bytes(job.memory_per_cpu),
        tmp_bytes=_bytes(job.minimum_tmp_disk_per_node) or 0,
        sockets_per_node=job.sockets_per_node.maybe,
        cores_per_socket=job.cores_per_socket.maybe,
        threads_per_core=job.threads_per_core.maybe,
        core_spec=job.core_spec or None,
        thread_spec=None if job.thread_spec in (0, UNSET_THREADS) else job.thread_spec,
        oversubscribe=SHARED.get(job.shared[0], "") if job.shared else "",
        contiguous=job.contiguous,
        requeue=job.requeue,
        reboot=job.reboot,
        tres_req=job.tres_req_str,
        tres_alloc=job.tres_alloc_str,
        tres_per_job=job.tres_per_job,
        tres_per_node=job.tres_per_node,
        tres_per_socket=job.tres_per_socket,
        tres_per_task=job.tres_per_task,
        tres_bind=job.tres_bind,
        tres_freq=job.tres_freq,
        cpus_per_tres=job.cpus_per_tres,
        mem_per_tres=job.memory_per_tres,
        time_min_s=job.time_minimum.value * 60,
        deadline=job.deadline.value,
        accrue_time=job.accrue_time.value,
        suspend_time=job.suspend_time.value,
        pre_suspend_s=job.pre_sus_time.value,
        resize_time=job.resize_time.value,
        preempt_time=job.preempt_time.value,
        preemptable_time=job.preemptable_time.value,
        delay_boot_s=job.delay_boot.value,
        switches=job.required_switches,
        switches_wait_s=job.maximum_switch_wait_time,
        mail_types=job.mail_type,
        mail_user=job.mail_user,
        admin_comment=job.admin_comment,
        system_comment=job.system_comment,
        extra=job.extra,
        container=job.container,
        container_id=job.container_id,
        container_type=job.container_type,
        burst_buffer=job.burst_buffer,
        burst_buffer_state=job.burst_buffer_state,
        profile=tuple(word for word in job.profile if word != "NOT_SET"),
        derived_exit_code=job.derived_exit_code.return_code.value,
        derived_exit_signal=job.derived_exit_code.signal.id.value,
        array_max_running=job.array_max_tasks.value,
        het_job_ids=job.het_job_id_set,
        segment_size=job.segment_size,
        selinux_context=job.selinux_context,
        cron=job.cron,
    )
