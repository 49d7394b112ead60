"""Jobs in the shape of Slurm's own JSON (data_parser v0.0.45), with every key that the service knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hpcjobs.cli.slurm import json_document
from hpcjobs.cli.slurm.common import Call
from hpcjobs.cli.slurm.job_names import task_number, together
from hpcjobs.cli.slurm.job_states import base_state
from hpcjobs.cli.slurm.json_document import INFINITE, Entry, exit_code, number
from hpcjobs.model.amount import MIB

if TYPE_CHECKING:
    from hpcjobs.model.job import Job

NOT_KNOWN: Final[Mapping[str, str]] = {
    "job_resources": "which cores and how much memory of each node: the service does not keep it",
    "gres_detail": "which GPUs of each node: the service does not keep it",
    "flags": "pyslurm does not tell them as a whole",
    "last_sched_evaluation": "it changes whenever Slurm looks at a job",
    "priority_by_partition": "pyslurm does not tell it",
    "standard_output": "pyslurm tells the expanded path alone, which is stdout_expanded",
    "standard_error": "pyslurm tells the expanded path alone, which is stderr_expanded",
    "standard_input": "pyslurm tells the expanded path alone, which is stdin_expanded",
    "step_id": "pyslurm does not tell the SLUID in it",
    "memory_per_tres": "pyslurm does not tell it",
    "cpus_per_tres": "pyslurm does not tell it",
    "tres_bind": "pyslurm does not tell it",
    "tres_freq": "pyslurm does not tell it",
    "tres_per_socket": "pyslurm does not tell it",
    "cpu_frequency_minimum": "the service does not keep it",
    "cpu_frequency_maximum": "the service does not keep it",
    "cpu_frequency_governor": "the service does not keep it",
    "memory_update_delay": "the service does not keep it",
    "memory_update_margin": "the service does not keep it",
    "shared": "Slurm 26.05 leaves it empty whatever was asked for",
    "job_size_str": "the service does not keep it",
    "billable_tres": "the service does not keep it; billing in tres_alloc_str is the same",
    "federation_origin": "the service does not keep it",
    "federation_siblings_active": "the service does not keep it",
    "federation_siblings_viable": "the service does not keep it",
    "container_type": "pyslurm does not tell it",
    "state_description": "pyslurm gives it in the reason's place",
    "tasks_per_board": "no job asks for it any more",
    "sockets_per_board": "no job asks for it any more",
    "core_spec": "Slurm's JSON does not tell none from 0",
    "thread_spec": "Slurm's JSON does not tell none from 0",
}
"""Keys of Slurm's JSON that are left out, and why."""


def entry(job: Job) -> Entry:
    """A job as Slurm's JSON shows it."""
    told = job.particulars
    waiting = together(job)
    per_cpu, per_node = told.mem_per_cpu_bytes, told.mem_per_node_bytes
    return {
        "account": job.account,
        "accrue_time": number(told.accrue_time),
        "admin_comment": told.admin_comment,
        "allocating_node": told.submit_host,
        "array_job_id": number(job.array_job_id),
        "array_task_id": number(task_number(job)),
        "array_max_tasks": number(told.array_max_running),
        "array_task_string": job.array_task if waiting else "",
        "association_id": told.association_id,
        "batch_features": told.batch_constraint,
        "batch_flag": told.batch,
        "batch_host": told.batch_host,
        "burst_buffer": told.burst_buffer,
        "burst_buffer_state": told.burst_buffer_state,
        "cluster": job.cluster,
        "cluster_features": told.cluster_constraint,
        "command": told.command,
        "comment": job.comment,
        "container": told.container,
        "container_id": told.container_id,
        "contiguous": told.contiguous,
        "cores_per_socket": number(told.cores_per_socket),
        "cpus_per_task": number(told.cpus_per_task),
        "cron": told.cron,
        "deadline": number(told.deadline),
        "delay_boot": number(told.delay_boot_s),
        "dependency": job.dependency,
        "derived_exit_code": exit_code(told.derived_exit_code, told.derived_exit_signal),
        "eligible_time": number(job.eligible_time),
        "end_time": number(job.end_time),
        "excluded_nodes": told.excluded_nodes,
        "exit_code": exit_code(job.exit_code, job.exit_signal),
        "extra": told.extra,
        "failed_node": told.failed_node,
        "features": told.constraint,
        "group_id": told.group_id,
        "group_name": told.group,
        "het_job_id": number(job.het_job_id),
        "het_job_id_set": told.het_job_ids,
        "het_job_offset": number(job.het_offset),
        "job_id": job.slurm_job_id or 0,
        "job_state": [word for word in job.raw_state.split(",") if word],
        "licenses": told.licenses,
        "licenses_allocated": told.licenses_alloc,
        "mail_type": list(told.mail_types),
        "mail_user": told.mail_user,
        "max_cpus": number(0),
        "max_nodes": number(told.nodes_max),
        "mcs_label": told.mcs_label,
        "name": job.name,
        "network": told.network,
        "nodes": job.node_list,
        "nice": told.nice,
        "tasks_per_core": number(told.ntasks_per_core, INFINITE),
        "tasks_per_tres": number(told.ntasks_per_tres),
        "tasks_per_node": number(told.ntasks_per_node),
        "tasks_per_socket": number(told.ntasks_per_socket, INFINITE),
        "cpus": number(job.cpus),
        "node_count": number(job.nodes),
        "tasks": number(job.ntasks),
        "partition": job.partition,
        "prefer": told.prefer,
        "memory_per_cpu": number(None if per_cpu is None else per_cpu // MIB),
        "memory_per_node": number(None if per_node is None else per_node // MIB),
        "minimum_cpus_per_node": number(told.mincpus),
        "minimum_tmp_disk_per_node": number(told.tmp_bytes // MIB),
        "preempt_time": number(told.preempt_time),
        "preemptable_time": number(told.preemptable_time),
        "pre_sus_time": number(told.pre_suspend_s),
        "hold": base_state(job) == "PENDING" and not job.priority,
        "priority": number(job.priority),
        "profile": list(told.profile) or ["NOT_SET"],
        "qos": job.qos,
        "reboot": told.reboot,
        "required_nodes": told.required_nodes,
        "required_switches": told.switches,
        "requeue": told.requeue,
        "resize_time": number(told.resize_time),
        "restart_cnt": job.restarts,
        "resv_name": told.reservation,
        "scheduled_nodes": told.scheduled_nodes,
        "segment_size": told.segment_size,
        "selinux_context": told.selinux_context,
        "sockets_per_node": number(told.sockets_per_node),
        "start_time": number(job.start_time),
        "state_reason": job.reason.partition(":")[0] or "None",
        "stdin_expanded": told.stdin,
        "stdout_expanded": job.stdout,
        "stderr_expanded": "" if job.stderr == job.stdout else job.stderr,
        "submit_time": number(job.submit_time),
        "submit_line": told.submit_line,
        "suspend_time": number(told.suspend_time),
        "system_comment": told.system_comment,
        "time_limit": number(None if job.wall_s is None else job.wall_s // 60, INFINITE),
        "time_minimum": number(told.time_min_s // 60),
        "threads_per_core": number(told.threads_per_core),
        "tres_per_job": told.tres_per_job,
        "tres_per_node": told.tres_per_node,
        "tres_per_task": told.tres_per_task,
        "tres_req_str": told.tres_req,
        "tres_alloc_str": told.tres_alloc,
        "user_id": told.user_id,
        "user_name": job.user,
        "maximum_switch_wait_time": told.switches_wait_s,
        "wckey": told.wckey,
        "current_working_directory": job.workdir,
    }


def document(call: Call, cluster: str, jobs: Sequence[Job], now: int) -> str:
    """The whole document.

    Args:
        call: Of squeue or scontrol.
        cluster: Name of the cluster.
        jobs: What it is about.
        now: Unix seconds.
    """
    content = {"jobs": [entry(job) for job in jobs], "last_backfill": number(0), "last_update": number(now)}
    return json_document.document(call, cluster, content, "" if jobs else "Zero jobs to dump")
