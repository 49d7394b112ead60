"""The variables that sbatch itself puts into a job's environment; the rest comes from slurmd.

sbatch(1), OUTPUT ENVIRONMENT VARIABLES.
"""

from __future__ import annotations

from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.job import JobSpec


def submission_environment(spec: JobSpec, submit_dir: str, host: str) -> dict[str, str]:
    """What a job finds in its environment because of what was asked for.

    Args:
        spec: As admitted.
        submit_dir: Where sbatch would have been called: not what --chdir says.
        host: Where it is submitted from.

    Returns:
        Values by name, as sbatch of 24.11 to 26.05 sets them.
    """
    asked = spec.resources
    ntasks = asked.ntasks
    if ntasks is None and asked.nodes is not None and asked.ntasks_per_node is not None:
        ntasks = asked.nodes * asked.ntasks_per_node
    per_task = [] if asked.cpus_per_task is None else [f"cpu={asked.cpus_per_task}"]
    bind = None
    if asked.gpus_per_task is not None:
        counts = parse_gpus(str(asked.gpus_per_task))
        bind = f"gres/gpu:per_task:{sum(counts.values())}"
        per_task += [f"gres/gpu:{kind}={count}" if kind else f"gres/gpu={count}" for kind, count in counts.items()]
    said = {
        "SLURM_SUBMIT_DIR": submit_dir,
        "SLURM_SUBMIT_HOST": host,
        "SLURM_PRIO_PROCESS": 0,
        "SLURM_NTASKS": ntasks,
        "SLURM_NPROCS": ntasks,
        "SLURM_NTASKS_PER_NODE": asked.ntasks_per_node,
        "SLURM_CPUS_PER_TASK": asked.cpus_per_task,
        "SLURM_GPUS": asked.gpus,
        "SLURM_GPUS_PER_NODE": asked.gpus_per_node,
        "SLURM_TRES_PER_TASK": ",".join(per_task) or None,
        "SLURM_TRES_BIND": bind,
    }
    return {name: str(value) for name, value in said.items() if value is not None}
