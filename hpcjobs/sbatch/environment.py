"""A job's environment as sbatch sends it; the rest comes from slurmd.

sbatch(1), OUTPUT ENVIRONMENT VARIABLES.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpcjobs.injob.report import ROOT
from hpcjobs.model.amount import MIB
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.sbatch.effective import effective, tres_per_task
from hpcjobs.sbatch.layout import parse_distribution, parse_mem_bind
from hpcjobs.sbatch.units import ceil_div
from hpcjobs.sbatch.values import parse_export


def export_environment(spec: JobSpec) -> dict[str, str]:
    """What ``--export`` puts into a job: the login environment unless NIL or the spec forbid it, and its variables.

    Args:
        spec: As admitted. What its ``environment`` says goes above this.

    Returns:
        Values by name. SLURM_GET_USER_ENV has slurmd run the user's login shell.
    """
    own = spec.get_user_env is False or (spec.export or "").upper() == "NIL"
    login = {} if own else {"SLURM_GET_USER_ENV": "1"}
    if spec.export is None:
        return login
    set_here = {name: value for name, value in parse_export(spec.export).items() if value is not None}
    return set_here | login | {"SLURM_EXPORT_ENV": spec.export}


def _of_resources(asked: Resources) -> dict[str, object]:
    per_task, bind = tres_per_task(asked)
    layout = None if asked.distribution is None else parse_distribution(asked.distribution)
    memory = None if asked.mem_bind is None else parse_mem_bind(asked.mem_bind)
    return {
        "SLURM_NTASKS": asked.ntasks,
        "SLURM_NPROCS": asked.ntasks,
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
        "SLURM_MEM_PER_GPU": None if asked.mem_per_gpu_bytes is None else ceil_div(asked.mem_per_gpu_bytes, MIB),
        "SLURM_TRES_PER_TASK": per_task,
        "SLURM_TRES_BIND": bind,
        "SLURM_DISTRIBUTION": layout and layout.text,
        "SLURM_DIST_PLANESIZE": layout and layout.plane_size,
        "SLURM_MEM_BIND": memory and memory.text,
        "SLURM_MEM_BIND_VERBOSE": memory and ("verbose" if memory.verbose else "quiet"),
    }


_EXTERNAL: Final = "--external-launcher"
_HYDRAS: Final = {
    "HYDRA_BOOTSTRAP": "HYDRA_LAUNCHER_EXTRA_ARGS",
    "I_MPI_HYDRA_BOOTSTRAP": "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS",
}


def _of_launchers(asked: Mapping[str, str]) -> dict[str, str]:
    """What has mpirun of Open MPI, PRRTE, MPICH and Intel start its processes through Slurm, unless asked otherwise."""
    said = {"OMPI_MCA_plm_slurm_args": _EXTERNAL, "PRTE_MCA_plm_slurm_args": _EXTERNAL}
    for bootstrap, extra in _HYDRAS.items():
        if asked.get(bootstrap, "slurm") == "slurm":
            said |= {bootstrap: "slurm", extra: _EXTERNAL}
    return said


def _texts(values: Mapping[str, object], suffix: str = "") -> dict[str, str]:
    return {f"{name}{suffix}": str(value) for name, value in values.items() if value is not None}


def submission_environment(spec: JobSpec, submit_dir: str, host: str) -> dict[str, str]:
    """What a job finds in its environment.

    Args:
        spec: As admitted.
        submit_dir: Where sbatch would have been called: not what --chdir says.
        host: Where it is submitted from.

    Returns:
        Values by name, as sbatch of 24.11 to 26.05 sets them: the spec's ``environment`` wins over what tells where
        the job comes from, and not over what it asks for. A heterogeneous job finds what each component asked for
        under names that end in its number, but for a hint, of which sbatch tells only the first component's.
    """
    came_from = {
        "SLURM_SUBMIT_DIR": submit_dir,
        "SLURM_SUBMIT_HOST": host,
        "SLURM_PRIO_PROCESS": 0,
        "SLURM_CONTAINER": spec.oci_bundle,
        "SLURM_CONTAINER_ID": spec.container_id,
        "SLURM_CONTAINER_TYPE": spec.container_type,
        ROOT: spec.hints.checkpoints or None,
    }
    said = _texts(came_from) | export_environment(spec) | _of_launchers(spec.environment) | spec.environment
    said |= _texts({"SLURM_JOB_DEPENDENCY": spec.dependency})
    if not spec.het:
        return said | _texts(_of_resources(effective(spec.resources)))
    said |= _texts({"SLURM_HINT": effective(spec.resources).hint})
    for number, asked in enumerate(spec.all_resources):
        values = {name: value for name, value in _of_resources(effective(asked)).items() if name != "SLURM_HINT"}
        said |= _texts(values, f"_HET_GROUP_{number}") | _texts(values, f"_PACK_GROUP_{number}")
    return said
