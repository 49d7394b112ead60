"""The variables that sbatch itself puts into a job's environment; the rest comes from slurmd.

sbatch(1), OUTPUT ENVIRONMENT VARIABLES.
"""

from __future__ import annotations

from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.job import JobSpec, Resources


def tres_per_task(asked: Resources) -> tuple[str | None, str | None]:
    """What a task needs, as sbatch of 24.11 and later says it: one list, and the task's GPUs bound to it.

    Args:
        asked: As admitted.

    Returns:
        TRES per task (``cpu=2,gres/gpu:a100=1``) and TRES binding (``gres/gpu:per_task:1``); None: not asked for.
    """
    counts = {} if asked.gpus_per_task is None else parse_gpus(str(asked.gpus_per_task))
    needs = [] if asked.cpus_per_task is None else [f"cpu={asked.cpus_per_task}"]
    needs += [f"gres/gpu:{kind}={count}" if kind else f"gres/gpu={count}" for kind, count in counts.items()]
    return ",".join(needs) or None, f"gres/gpu:per_task:{sum(counts.values())}" if counts else None


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
    per_task, bind = tres_per_task(asked)
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
        "SLURM_TRES_PER_TASK": per_task,
        "SLURM_TRES_BIND": bind,
    }
    return {name: str(value) for name, value in said.items() if value is not None}
