"""Our spec in the words of pyslurm 25.11's JobSubmitDescription, and what these words cannot say (docs/adr/0005)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from hpcjobs.model.amount import MIB, NO_VAL, NO_VAL16
from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.sbatch.effective import effective, implied_tasks, least_nodes, tres_per_task
from hpcjobs.sbatch.layout import parse_cpu_freq, parse_distribution, parse_gres_flags
from hpcjobs.sbatch.units import time_text
from hpcjobs.sbatch.values import parse_mail_type, parse_profile, parse_signal
from hpcjobs.sbatch.when import unix_seconds
from hpcjobs.slurm.base import Launch, ceil_div

NO_PROFILES: Iterator[str] = iter(())
"""Profile types left out make pyslurm send NO_VAL, which slurmctld takes for every kind of profiling; something that
is there and holds nothing is sbatch's "not set"."""

_GRES = re.compile(r"(?:gres/)?([^:,=\s]+(?::(?!\d+$)[^:,=\s]+)?)(?::(\d{1,19}))?")


class Verbatim(str):
    """A TRES binding that pyslurm leaves as it is: it takes ``gpu:`` out of any other, and Slurm wants it in."""

    __slots__ = ()

    def replace(self, *_: object) -> str:
        """Nothing is replaced."""
        return self

    def __contains__(self, _: object) -> bool:
        return False


def _gpus(request: int | str | None) -> dict[str, int] | None:
    if request is None:
        return None
    return {f"gpu:{kind}" if kind else "gpu": count for kind, count in parse_gpus(str(request)).items()}


def _each_node(asked: Resources) -> dict[str, int] | None:
    words = _gpus(asked.gpus_per_node) or {}
    if asked.gres is not None and asked.gres.lower() != "none":
        for item in asked.gres.split(","):
            if match := _GRES.fullmatch(item):
                words[match[1]] = int(match[2] or 1)
    return words or None


def _mib(amount: int | None) -> str | None:
    return None if amount is None else f"{ceil_div(amount, MIB)}M"


def _minutes(seconds: int | None) -> str | None:
    return None if seconds is None else f"{ceil_div(seconds, 60)}:00" if seconds else "UNLIMITED"


def _nodes(asked: Resources) -> str:
    """The range of nodes. pyslurm would make it 1-1; NO_VAL, where nothing is asked for, is what sbatch sends."""
    low = asked.nodes or least_nodes(asked) or (1 if asked.nodes_max else NO_VAL)
    return f"{low}-{asked.nodes_max or asked.nodes or NO_VAL}"


def _least_cpus(asked: Resources) -> int | None:
    """The least CPUs of the job, which sbatch works out; pyslurm keeps it in 16 bits."""
    if asked.overcommit:
        cpus = asked.nodes or 1
    elif implied_tasks(asked) is not None or (asked.nodelist and asked.nodes is None and asked.cpus_per_task is None):
        return None  # pyslurm works it out from the tasks, slurmctld from the nodes named
    else:
        cpus = (asked.nodes or 1) * (asked.ntasks_per_node or 1) * (asked.cpus_per_task or 1)
    return min(cpus, NO_VAL16 - 1)


def _frequency(asked: Resources) -> dict[str, str] | None:
    if asked.cpu_freq is None:
        return None
    said = dict(zip(("min", "max", "governor"), parse_cpu_freq(asked.cpu_freq), strict=True))
    return {name: word for name, word in said.items() if word is not None}


def _layout(asked: Resources) -> str | int | None:
    if asked.distribution is None:
        return None
    layout = parse_distribution(asked.distribution)
    return layout.plane_size or layout.text


def _of_resources(asked: Resources) -> dict[str, Any]:
    ntasks = implied_tasks(asked)
    _, bind = tres_per_task(asked)
    gres_flags = () if asked.gres_flags is None else parse_gres_flags(asked.gres_flags)
    return {
        "nodes": _nodes(asked),
        "ntasks": NO_VAL if ntasks is None else ntasks,
        "min_cpus_per_node": _least_cpus(asked),
        "ntasks_per_node": asked.ntasks_per_node,
        "ntasks_per_socket": asked.ntasks_per_socket,
        "ntasks_per_core": asked.ntasks_per_core,
        "cpus_per_task": asked.cpus_per_task,
        "cpus_per_gpu": asked.cpus_per_gpu,
        "gpus": _gpus(asked.gpus),
        "gpus_per_socket": _gpus(asked.gpus_per_socket),
        "gpus_per_task": _gpus(asked.gpus_per_task),
        "gres_per_node": _each_node(asked),
        "gpu_binding": None if bind is None else Verbatim(bind),
        "gres_binding": next((flag for flag in gres_flags if flag.endswith("-binding")), None),
        "gres_tasks_per_sharing": next((flag for flag in gres_flags if flag.endswith("-sharing")), None),
        "memory_per_node": _mib(asked.mem_per_node_bytes),
        "memory_per_cpu": _mib(asked.mem_per_cpu_bytes),
        "memory_per_gpu": _mib(asked.mem_per_gpu_bytes),
        "temporary_disk_per_node": _mib(asked.tmp_bytes),
        "time_limit": _minutes(asked.wall_s),
        "time_limit_min": _minutes(asked.time_min_s),
        "constraints": asked.constraint,
        "required_nodes": asked.nodelist,
        "excluded_nodes": asked.exclude,
        "requires_contiguous_nodes": asked.contiguous or None,
        "resource_sharing": {True: "no", "user": "user", "mcs": "mcs"}.get(asked.exclusive or "")
        or ("yes" if asked.oversubscribe else None),
        "overcommit": asked.overcommit or None,
        "spreads_over_nodes": asked.spread_job or None,
        "use_min_nodes": asked.use_min_nodes or None,
        "segment_size": asked.segment,
        "sockets_per_node": asked.sockets_per_node,
        "cores_per_socket": asked.cores_per_socket,
        "threads_per_core": asked.threads_per_core,
        "cores_reserved_for_system": asked.core_spec,
        "threads_reserved_for_system": asked.thread_spec,
        "cpu_frequency": _frequency(asked),
        "distribution": _layout(asked),
        "licenses": asked.licenses,
        "network": asked.network,
        "reserved_ports": asked.resv_ports,
    }


def _of_job(launch: Launch) -> dict[str, Any]:
    spec = launch.spec
    warning = None if spec.signal is None else parse_signal(spec.signal)
    return {
        "name": spec.name,
        "account": spec.account,
        "partitions": spec.partition,
        "qos": spec.qos,
        "reservations": spec.reservation,
        "wckey": spec.wckey,
        "array": spec.array,
        "dependencies": spec.dependency,
        "kill_on_invalid_dependency": spec.kill_on_invalid_dep,
        "begin_time": unix_seconds(spec.begin),
        "deadline": unix_seconds(spec.deadline),
        "delay_boot_time": None if spec.delay_boot_s is None else time_text(spec.delay_boot_s),
        "priority": 0 if spec.hold else spec.priority,
        "nice": spec.nice,
        "is_requeueable": None if spec.requeue is None else bool(spec.requeue),
        "kill_on_node_fail": False if spec.no_kill else None,
        "signal": warning
        and {
            "signal": warning.number,
            "time": warning.time_s,
            "batch_only": warning.batch,
            "allow_reservation_overlap": warning.reservation,
        },
        "requires_node_reboot": spec.reboot or None,
        "wait_all_nodes": spec.wait_all_nodes,
        "comment": launch.comment,
        "extra": spec.extra,
        "mail_types": None if spec.mail_type is None else list(parse_mail_type(spec.mail_type)),
        "mail_user": spec.mail_user,
        "working_directory": spec.workdir,
        "standard_output": spec.stdout,
        "standard_error": spec.stderr,
        "standard_in": spec.stdin or "/dev/null",
        "log_files_open_mode": spec.open_mode,
        "environment": spec.environment,
        "container": spec.oci_bundle,
        "container_id": spec.container_id,
        "profile_types": NO_PROFILES if spec.profile is None else list(parse_profile(spec.profile)),
        "accounting_gather_frequency": spec.acctg_freq,
        "batch_constraints": spec.batch,
        "cluster_constraints": spec.cluster_constraint,
        "selinux_context": spec.context,
        "mcs_label": spec.mcs_label,
    }


def description(launch: Launch) -> dict[str, Any]:
    """Our spec in pyslurm's words; what is None stays Slurm's default.

    Args:
        launch: What ``lacks`` has nothing against.

    Returns:
        Arguments of ``pyslurm.JobSubmitDescription``, all but the script and its arguments.
    """
    words = _of_job(launch) | _of_resources(effective(launch.spec.resources))
    return {word: value for word, value in words.items() if value is not None}


def _three_levels(text: str) -> bool:
    layout = parse_distribution(text)
    return layout.plane_size is not None or layout.text.count(":") == 2


def _odd_gres(asked: Resources) -> bool:
    return asked.gres not in (None, "none") and not all(map(_GRES.fullmatch, (asked.gres or "").split(",")))


_OF_JOB: Final[Sequence[tuple[str, Callable[[JobSpec], object]]]] = (
    ("drops empty script arguments and all that follow them", lambda spec: "" in spec.args),
    ("has no heterogeneous jobs", lambda spec: spec.het),
    ("reads --acctg-freq only as task=30 and the like",
     lambda spec: spec.acctg_freq is not None and "=" not in spec.acctg_freq),
    ("has no --container-type", lambda spec: spec.container_type is not None),
    ("has no --kill-on-invalid-dep=no", lambda spec: spec.kill_on_invalid_dep is False),
    ("has no --mem-update", lambda spec: spec.mem_update is not None),
    ("has no --oom-kill-step", lambda spec: spec.oom_kill_step is not None),
    ("has no --priority=TOP", lambda spec: spec.priority == "TOP"),
    ("has no --requeue=expedite", lambda spec: spec.requeue == "expedite"),
    ("has no --stepmgr", lambda spec: spec.stepmgr),
    ("has no --mail-type=INVALID_DEPEND, nor ALL with it",
     lambda spec: spec.mail_type is not None and "INVALID_DEPEND" in parse_mail_type(spec.mail_type)),
    ("knows no limits of a shell (--propagate)", lambda spec: spec.propagate not in (None, "NONE")),
    ("makes --signal=...@0 a minute", lambda spec: spec.signal is not None and not parse_signal(spec.signal).time_s),
)  # fmt: skip

_OF_RESOURCES: Final[Sequence[tuple[str, Callable[[Resources], object]]]] = (
    ("takes --mem=0 (all the memory of each node) for no request", lambda asked: asked.mem_per_node_bytes == 0),
    ("has no --bb", lambda asked: asked.bb is not None),
    ("has no --consolidate-segments", lambda asked: asked.consolidate_segments),
    ("has no --exclusive=topo", lambda asked: asked.exclusive == "topo"),
    ("has no --gpu-freq", lambda asked: asked.gpu_freq is not None),
    ("has no --mem-bind", lambda asked: asked.mem_bind is not None),
    ("has no --mincpus", lambda asked: asked.mincpus is not None),
    ("has no --ntasks-per-gpu", lambda asked: asked.ntasks_per_gpu is not None),
    ("has no --prefer", lambda asked: asked.prefer is not None),
    ("has no --spread-segments", lambda asked: asked.spread_segments),
    ("has no --switches", lambda asked: asked.switches is not None),
    ("has no --tres-per-task", lambda asked: asked.tres_per_task is not None),
    ("has no list of numbers of nodes (--nodes=1,3)", lambda asked: asked.node_counts is not None),
    ("reads no --cpu-freq of one value",
     lambda asked: asked.cpu_freq is not None and parse_cpu_freq(asked.cpu_freq)[1:].count(None) == 1
     and parse_cpu_freq(asked.cpu_freq)[2] is None),
    ("reads --distribution only as plane, or as nodes:sockets:cores",
     lambda asked: asked.distribution is not None and not _three_levels(asked.distribution)),
    ("reads --gres only as name[:type][:count]", _odd_gres),
    ("takes --core-spec=0 and --thread-spec=0 for no request", lambda asked: 0 in (asked.core_spec, asked.thread_spec)),
    ("has no --resv-ports without a number", lambda asked: asked.resv_ports == 0),
)  # fmt: skip


def lacks(launch: Launch) -> str:
    """What of a submission pyslurm 25.11 would drop without a word, or refuse.

    Args:
        launch: What would be sent.

    Returns:
        The reason in words, as ``pyslurm 25.11 has no --prefer``, or ``""``.
    """
    asked = effective(launch.spec.resources)
    reasons = [words for words, wanted in _OF_JOB if wanted(launch.spec)]
    reasons += [words for words, wanted in _OF_RESOURCES if wanted(asked)]
    return f"pyslurm 25.11 {reasons[0]}" if reasons else ""
