"""What the simulated cluster knows of a job's particulars: what was asked for. Pure."""

from __future__ import annotations

from typing import Final

from hpcjobs.model.particulars import Particulars
from hpcjobs.model.spec import JobSpec
from hpcjobs.sbatch.when import unix_seconds

OF_RESOURCES: Final = {
    name: name
    for name in (
        "nodes_max", "ntasks_per_node", "ntasks_per_socket", "ntasks_per_core", "cpus_per_task", "mincpus",
        "mem_per_node_bytes", "mem_per_cpu_bytes", "tmp_bytes", "time_min_s", "constraint", "prefer", "contiguous",
        "switches", "switches_wait_s", "sockets_per_node", "cores_per_socket", "threads_per_core", "core_spec",
        "thread_spec", "licenses", "network", "tres_per_task", "tres_bind",
    )
} | {"nodelist": "required_nodes", "exclude": "excluded_nodes", "ntasks_per_gpu": "ntasks_per_tres", "segment":
     "segment_size", "gpu_freq": "tres_freq", "bb": "burst_buffer"}  # fmt: skip
"""Fields of Resources that say the same, and their names here."""

OF_SPEC: Final = ("reservation", "wckey", "nice", "delay_boot_s", "reboot", "extra", "mail_user",
    "container_id", "container_type", "mcs_label", "cluster_constraint")  # fmt: skip
"""Fields of JobSpec that say the same under the same name."""

COUNTS: Final = {"tres_per_job": "gpus", "tres_per_node": "gpus_per_node", "tres_per_socket": "gpus_per_socket"}


def particulars_of(spec: JobSpec) -> Particulars:
    """The particulars that follow from what was asked for."""
    asked = spec.resources
    told = {ours: value for name, ours in OF_RESOURCES.items() if (value := getattr(asked, name)) is not None}
    told |= {name: value for name in OF_SPEC if (value := getattr(spec, name)) is not None}
    told |= {
        name: ",".join(f"gres/gpu:{one}" for one in str(count).split(","))
        for name, field in COUNTS.items()
        if (count := getattr(asked, field)) is not None
    }
    if spec.oci_bundle is not None:
        told["container"] = spec.oci_bundle
    if asked.mem_per_node_bytes is None and asked.mem_per_cpu_bytes is None:
        told["mem_per_cpu_bytes"] = 0
    if asked.exclusive:
        told["oversubscribe"] = "NO" if asked.exclusive is True else str(asked.exclusive).upper()
    elif asked.oversubscribe:
        told["oversubscribe"] = "YES"
    return Particulars(
        **told,
        array_max_running=int((spec.array or "").partition("%")[2] or 0),
        requeue=spec.requeue is not False,
        command=spec.script_name or "",
        stdin=spec.stdin or "/dev/null",
        batch_constraint=spec.batch or "",
        deadline=unix_seconds(spec.deadline) or 0,
        mail_types=tuple(spec.mail_type.split(",")) if spec.mail_type else (),
        tres_req=f"cpu={(asked.ntasks or 1) * (asked.cpus_per_task or 1)},node={asked.nodes or 1}",
    )
