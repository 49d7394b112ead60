"""Our spec in slurmrestd's words, v0.0.42 (Slurm 24.11) to v0.0.45 (26.05), and what these words cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from hpcjobs.model.amount import MIB, NO_VAL16
from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sbatch.effective import effective, implied_tasks, least_nodes, tres_per_task
from hpcjobs.sbatch.layout import parse_distribution, parse_gres_flags, parse_mem_bind
from hpcjobs.sbatch.units import count_range_text
from hpcjobs.sbatch.values import parse_mail_type, parse_mem_update, parse_profile, parse_signal
from hpcjobs.sbatch.when import unix_seconds
from hpcjobs.slurm.base import Launch, ceil_div

VERSIONS: Final = ("v0.0.45", "v0.0.44", "v0.0.43", "v0.0.42")


_MAIL: Final[Mapping[str, str]] = {
    "TIME_LIMIT": "TIME=100%",
    "TIME_LIMIT_90": "TIME=90%",
    "TIME_LIMIT_80": "TIME=80%",
    "TIME_LIMIT_50": "TIME=50%",
    "INVALID_DEPEND": "INVALID_DEPENDENCY",
}
_MEM_BIND: Final[Mapping[str, str]] = {"map_mem": "MAP", "mask_mem": "MASK"}
_SHARED: Final[Mapping[object, str]] = {True: "none", "user": "user", "mcs": "mcs", "topo": "topo"}


def _number(amount: int | None) -> dict[str, Any] | None:
    return None if amount is None else {"set": True, "number": amount}


def _mib(amount: int | None) -> int | None:
    return None if amount is None else ceil_div(amount, MIB)


def _minutes(seconds: int | None) -> dict[str, Any] | None:
    if seconds == 0:
        return {"set": True, "infinite": True, "number": 0}
    return _number(None if seconds is None else ceil_div(seconds, 60))


def _gpus(request: int | str | None) -> str | None:
    if request is None:
        return None
    counts = parse_gpus(str(request))
    return ",".join(f"gres/gpu:{kind}:{count}" if kind else f"gres/gpu:{count}" for kind, count in counts.items())


def _each_node(asked: Resources) -> str | None:
    items = [] if asked.gpus_per_node is None else [_gpus(asked.gpus_per_node) or ""]
    if asked.gres is not None and asked.gres.lower() != "none":
        items += [item if item.startswith("gres/") else f"gres/{item}" for item in asked.gres.split(",")]
    return ",".join(items) or None


def _flags(spec: JobSpec, asked: Resources) -> list[str] | None:
    gres = () if asked.gres_flags is None else parse_gres_flags(asked.gres_flags)
    said = {
        "EXACT_CPU_COUNT_REQUESTED": asked.cpus_per_task is not None,
        "SPREAD_JOB": asked.spread_job,
        "PREFER_MINIMUM_NODE_COUNT": asked.use_min_nodes,
        "SPREAD_SEGMENTS": asked.spread_segments,
        "CONSOLIDATE_SEGMENTS": asked.consolidate_segments,
        "GRES_BINDING_DISABLED": "disable-binding" in gres,
        "GRES_BINDING_ENFORCED": "enforce-binding" in gres,
        "KILL_INVALID_DEPENDENCY": spec.kill_on_invalid_dep is True,
        "NO_KILL_INVALID_DEPENDENCY": spec.kill_on_invalid_dep is False,
        "STEPMGR_ENABLED": spec.stepmgr,
        "EXPEDITED_REQUEUE": spec.requeue == "expedite",
        "TOP_PRIORITY_JOB": spec.priority == "TOP" and not spec.hold,
    }
    return [flag for flag, wanted in said.items() if wanted] or None


def _of_resources(asked: Resources) -> dict[str, Any]:
    per_task, bind = tres_per_task(asked)
    layout = None if asked.distribution is None else parse_distribution(asked.distribution)
    memory = None if asked.mem_bind is None else parse_mem_bind(asked.mem_bind)
    return {
        "nodes": count_range_text(asked.nodes, asked.nodes_max) or asked.node_counts,
        "minimum_nodes": least_nodes(asked),
        "tasks": implied_tasks(asked),
        "tasks_per_node": asked.ntasks_per_node,
        "tasks_per_socket": asked.ntasks_per_socket,
        "tasks_per_core": asked.ntasks_per_core,
        "ntasks_per_tres": asked.ntasks_per_gpu,
        "cpus_per_task": asked.cpus_per_task,
        "cpus_per_tres": None if asked.cpus_per_gpu is None else f"gres/gpu:{asked.cpus_per_gpu}",
        "minimum_cpus_per_node": asked.mincpus,
        "tres_per_job": _gpus(asked.gpus),
        "tres_per_node": _each_node(asked),
        "tres_per_socket": _gpus(asked.gpus_per_socket),
        "tres_per_task": per_task,
        "tres_bind": bind,
        "tres_freq": None if asked.gpu_freq is None else f"gpu:{asked.gpu_freq}",
        "memory_per_node": _number(_mib(asked.mem_per_node_bytes)),
        "memory_per_cpu": _number(_mib(asked.mem_per_cpu_bytes)),
        "memory_per_tres": None if asked.mem_per_gpu_bytes is None else f"gres/gpu:{_mib(asked.mem_per_gpu_bytes)}",
        "memory_binding_type": memory
        and [_MEM_BIND.get(memory.kind, memory.kind.upper())] * bool(memory.kind)
        + ["PREFER"] * memory.prefer
        + ["VERBOSE"] * memory.verbose,
        "memory_binding": (memory and memory.places) or None,
        "temporary_disk_per_node": _mib(asked.tmp_bytes),
        "time_limit": _minutes(asked.wall_s),
        "time_minimum": _minutes(asked.time_min_s),
        "constraints": asked.constraint,
        "prefer": asked.prefer,
        "required_nodes": asked.nodelist,
        "excluded_nodes": asked.exclude,
        "contiguous": asked.contiguous or None,
        "shared": [_SHARED[asked.exclusive]] if asked.exclusive else ["oversubscribe"] if asked.oversubscribe else None,
        "overcommit": asked.overcommit or None,
        "segment_size": _number(asked.segment),
        "required_switches": _number(asked.switches),
        "wait_for_switch": asked.switches_wait_s,
        "sockets_per_node": asked.sockets_per_node,
        "cores_per_socket": asked.cores_per_socket,
        "threads_per_core": asked.threads_per_core,
        "core_specification": asked.core_spec,
        "thread_specification": asked.thread_spec,
        "cpu_frequency": asked.cpu_freq,
        "distribution": layout and (f"plane={layout.plane_size}" if layout.plane_size else layout.text),
        "licenses": asked.licenses,
        "network": asked.network,
        "burst_buffer": asked.bb,
    }


def _of_mail(part: JobSpec | Component) -> dict[str, Any]:
    return {
        "partition": part.partition,
        "mail_type": None
        if part.mail_type is None
        else [_MAIL.get(event, event) for event in parse_mail_type(part.mail_type)],
        "mail_user": part.mail_user,
    }


def _of_job(launch: Launch) -> dict[str, Any]:
    spec = launch.spec
    warning = None if spec.signal is None else parse_signal(spec.signal)
    margin, delay = (None, None) if spec.mem_update is None else parse_mem_update(spec.mem_update)
    return {
        "name": spec.name,
        "account": spec.account,
        "qos": spec.qos,
        "reservation": spec.reservation,
        "wckey": spec.wckey,
        "array": spec.array,
        "dependency": spec.dependency,
        "begin_time": _number(unix_seconds(spec.begin)),
        "deadline": unix_seconds(spec.deadline),
        "delay_boot": spec.delay_boot_s,
        "hold": spec.hold,
        "priority": _number(spec.priority) if isinstance(spec.priority, int) and not spec.hold else None,
        "nice": spec.nice,
        "requeue": None if spec.requeue is None else bool(spec.requeue),
        "kill_on_node_fail": False if spec.no_kill else None,
        "oom_kill_step": NO_VAL16 if spec.oom_kill_step is None else int(spec.oom_kill_step),
        "kill_warning_signal": warning and warning.name,
        "kill_warning_delay": _number(warning and warning.time_s),
        "kill_warning_flags": warning
        and (["BATCH_JOB"] * warning.batch + ["RESERVATION_JOB"] * warning.reservation or None),
        "reboot": spec.reboot or None,
        "wait_all_nodes": spec.wait_all_nodes,
        "memory_update_margin": margin,
        "memory_update_delay": delay,
        "comment": launch.comment,
        "extra": spec.extra,
        "current_working_directory": spec.workdir,
        "standard_output": spec.stdout,
        "standard_error": spec.stderr,
        "standard_input": spec.stdin or "/dev/null",
        "open_mode": [spec.open_mode.upper()] if spec.open_mode else None,
        "environment": [f"{name}={value}" for name, value in spec.environment.items()],
        "container": spec.oci_bundle,
        "container_id": spec.container_id,
        "container_type": spec.container_type,
        "profile": None if spec.profile is None else list(parse_profile(spec.profile)),
        "account_gather_frequency": spec.acctg_freq,
        "batch_features": spec.batch,
        "cluster_constraint": spec.cluster_constraint,
        "selinux_context": spec.context,
        "mcs_label": spec.mcs_label,
    }


def job_body(launch: Launch) -> dict[str, Any]:
    """Our spec in slurmrestd's words; what is None stays Slurm's default.

    Args:
        launch: What ``lacks`` has nothing against.

    Returns:
        The body of POST /job/submit: ``job``, or ``jobs`` with one for each component.
    """
    spec = launch.spec
    jobs = []
    parts: tuple[JobSpec | Component, ...] = (spec, *spec.het)
    for part in parts:
        asked = effective(part.resources)
        words = _of_job(launch) | _of_mail(part) | _of_resources(asked) | {"flags": _flags(spec, asked)}
        if part is spec and spec.args:
            words["argv"] = [spec.script_name or "script", *spec.args]
        jobs.append({word: value for word, value in words.items() if value is not None})
    return {"script": spec.script, "jobs": jobs} if spec.het else {"script": spec.script, "job": jobs[0]}


_SINCE: Final[Sequence[tuple[str, str, Callable[[JobSpec, Resources], object]]]] = (
    ("--container-type", "v0.0.45", lambda spec, asked: spec.container_type is not None),
    ("--mem-update", "v0.0.45", lambda spec, asked: spec.mem_update is not None),
    ("--cores-per-socket", "v0.0.45", lambda spec, asked: asked.cores_per_socket is not None),
    ("--requeue=expedite", "v0.0.44", lambda spec, asked: spec.requeue == "expedite"),
    ("--spread-segments", "v0.0.44", lambda spec, asked: asked.spread_segments),
    ("--consolidate-segments", "v0.0.44", lambda spec, asked: asked.consolidate_segments),
)
"""What later versions of the API have a word for."""

_NEVER: Final[Sequence[tuple[str, Callable[[JobSpec, Resources], object]]]] = (
    ("knows no limits of a shell (--propagate)", lambda spec, asked: spec.propagate not in (None, "NONE")),
    ("has no --resv-ports", lambda spec, asked: asked.resv_ports is not None),
    ("has no word for the sharing flags of --gres-flags", lambda spec, asked: "-sharing" in (asked.gres_flags or "")),
    ("does not read --distribution=arbitrary with its nodes",
     lambda spec, asked: (asked.distribution or "").lower() == "arbitrary"),
)  # fmt: skip
"""What none of them has."""


def lacks(launch: Launch, version: str = VERSIONS[0]) -> str:
    """What of a submission slurmrestd would lose or refuse.

    Args:
        launch: What would be sent.
        version: Of its API, as ``v0.0.42``.

    Returns:
        The reason in words, as ``slurmrestd v0.0.42 has no --container-type``, or ``""``.
    """
    spec = launch.spec
    for asked in (effective(resources) for resources in spec.all_resources):
        for option, since, wanted in _SINCE:
            if version < since and wanted(spec, asked):
                return f"slurmrestd {version} has no {option}"
        for words, wanted in _NEVER:
            if wanted(spec, asked):
                return f"slurmrestd {words}"
    return ""
