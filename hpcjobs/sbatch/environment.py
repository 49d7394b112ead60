"""The variables that sbatch itself puts into a job's environment; the rest comes from slurmd.

sbatch(1), OUTPUT ENVIRONMENT VARIABLES.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.sbatch.effective import effective, tres_per_task
from hpcjobs.sbatch.layout import parse_distribution, parse_mem_bind
from hpcjobs.sbatch.units import ceil_div
from hpcjobs.sbatch.values import parse_export

_MIB: Final = 2**20


def export_environment(spec: JobSpec) -> dict[str, str]:
    """What ``--export`` puts into a job: the login environment unless it says NIL, and the variables that it sets.

    Args:
        spec: As admitted. What its ``environment`` says goes above this.

    Returns:
        Values by name. SLURM_GET_USER_ENV has slurmd run the user's login shell.
    """
    if spec.export is None:
        return {"SLURM_GET_USER_ENV": "1"}
    set_here = {name: value for name, value in parse_export(spec.export).items() if value is not None}
    login = {} if spec.export.upper() == "NIL" else {"SLURM_GET_USER_ENV": "1"}
    return set_here | login | {"SLURM_EXPORT_ENV": spec.export}


def _of_resources(asked: Resources) -> dict[str, object]:
    ntasks = asked.ntasks
    if ntasks is None and asked.nodes is not None and asked.ntasks_per_node is not None:
        ntasks = asked.nodes * asked.ntasks_per_node
    per_task, bind = tres_per_task(asked)
    layout = None if asked.distribution is None else parse_distribution(asked.distribution)
    memory = None if asked.mem_bind is None else parse_mem_bind(asked.mem_bind)
    return {
        "SLURM_NTASKS": ntasks,
        "SLURM_NPROCS": ntasks,
        "SLURM_NTASKS_PER_NODE": asked.ntasks_per_node,
        "SLURM_NTASKS_PER_SOCKET": asked.ntasks_per_socket,
        "SLURM_NTASKS_PER_CORE": asked.ntasks_per_core,
        "SLURM_NTASKS_PER_GPU": asked.ntasks_per_gpu,
        "SLURM_CPUS_PER_TASK": asked.cpus_per_task,
        "SLURM_CPUS_PER_GPU": asked.cpus_per_gpu,
        "SLURM_THREADS_PER_CORE": asked.threads_per_core,
        "SLURM_HINT": asked.hint,
        "SLURM_GPUS": asked.gpus,
        "SLURM_GPUS_PER_NODE": asked.gpus_per_node,
        "SLURM_GPUS_PER_SOCKET": asked.gpus_per_socket,
        "SLURM_GPU_FREQ": asked.gpu_freq,
        "SLURM_MEM_PER_GPU": None if asked.mem_per_gpu_bytes is None else ceil_div(asked.mem_per_gpu_bytes, _MIB),
        "SLURM_TRES_PER_TASK": per_task,
        "SLURM_TRES_BIND": bind,
        "SLURM_DISTRIBUTION": layout and layout.text,
        "SLURM_DIST_PLANESIZE": layout and layout.plane_size,
        "SLURM_MEM_BIND": memory and memory.text,
        "SLURM_MEM_BIND_VERBOSE": memory and ("verbose" if memory.verbose else "quiet"),
    }


def _texts(values: Mapping[str, object], suffix: str = "") -> dict[str, str]:
    return {f"{name}{suffix}": str(value) for name, value in values.items() if value is not None}


def submission_environment(spec: JobSpec, submit_dir: str, host: str) -> dict[str, str]:
    """What a job finds in its environment because of what was asked for.

    Args:
        spec: As admitted.
        submit_dir: Where sbatch would have been called: not what --chdir says.
        host: Where it is submitted from.

    Returns:
        Values by name, as sbatch of 24.11 to 26.05 sets them. A heterogeneous job finds what each component asked
        for under names that end in its number.
    """
    said = _texts(
        {
            "SLURM_SUBMIT_DIR": submit_dir,
            "SLURM_SUBMIT_HOST": host,
            "SLURM_PRIO_PROCESS": 0,
            "SLURM_JOB_DEPENDENCY": spec.dependency,
            "SLURM_CONTAINER": spec.container,
            "SLURM_CONTAINER_ID": spec.container_id,
            "SLURM_CONTAINER_TYPE": spec.container_type,
        }
    ) | export_environment(spec)
    if not spec.het:
        return said | _texts(_of_resources(effective(spec.resources)))
    for number, asked in enumerate(spec.all_resources):
        values = _of_resources(effective(asked))
        said |= _texts(values, f"_HET_GROUP_{number}") | _texts(values, f"_PACK_GROUP_{number}")
    return said
