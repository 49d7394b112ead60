"""GPUs that a call of sbatch asks for and that cannot be: what sbatch itself refuses before it asks Slurm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hpcjobs.model.amount import MIB
from hpcjobs.model.gres import gpus_of_gres, parse_gpus
from hpcjobs.sbatch.layout import gpus_of_needs, parse_tres_per_task
from hpcjobs.sbatch.options import RESOURCES, Fields

INVALID: Final = "Invalid generic resource (gres) specification"
"""What sbatch says last."""

MIXED: Final = "Invalid GRES specification (with and without type identification)"

_FAILED: Final = "Failed to validate job spec"


def _counts(text: str | None) -> dict[str, int]:
    """GPUs by type; none where none are asked for."""
    return {} if text is None else {kind: count for kind, count in parse_gpus(str(text)).items() if count}


def drop_zeros(fields: Fields) -> None:
    """Take back requests for no GPU at all, which sbatch takes and a spec does not."""
    for name in ("gpus", "gpus_per_node", "gpus_per_socket", "gpus_per_task"):
        text = fields.get(RESOURCES + name)
        if text is not None and not _counts(text):
            fields[RESOURCES + name] = None


def gpu_fault(fields: Fields) -> str:
    """What sbatch has against the GPUs of a component, in its words; ``""``: nothing.

    Slurm judges all of it again, and more: this is for what it would say in other words or not see.
    """
    asked = {name.removeprefix(RESOURCES): value for name, value in fields.items() if name.startswith(RESOURCES)}
    of_job = _counts(asked.get("gpus"))
    per_node = _counts(asked.get("gpus_per_node"))
    per_node |= {kind: count for kind, count in gpus_of_gres(asked.get("gres") or "").items() if count}
    per_task = _per_task(asked)
    any_gpus = bool(of_job or per_node or per_task or _counts(asked.get("gpus_per_socket")))
    return next(_faults(asked, of_job, per_node, per_task, any_gpus), "")


def _per_task(asked: dict[str, Any]) -> int:
    needs = asked.get("tres_per_task")
    named = 0 if needs is None else gpus_of_needs(parse_tres_per_task(needs))
    return named + sum(_counts(asked.get("gpus_per_task")).values())


def _faults(
    asked: dict[str, Any], of_job: dict[str, int], per_node: dict[str, int], per_task: int, any_gpus: bool
) -> Iterator[str]:
    nodes, ntasks = asked.get("nodes"), asked.get("ntasks")
    if len(gpus_of_gres(asked.get("gres") or "")) > 1 and "" in gpus_of_gres(asked["gres"]):
        yield MIXED
    if not any_gpus:
        if (cpus := asked.get("cpus_per_gpu")) is not None:
            yield f"Requested cpus_per_tres=gres/gpu:{cpus} but did not request any GPU."
        if (memory := asked.get("mem_per_gpu_bytes")) is not None:
            yield f"Requested mem_per_tres=gres/gpu:{-(-memory // MIB)} but did not request any GPU."
        if asked.get("ntasks_per_gpu") and not nodes and not ntasks:
            needs = "--ntasks-per-tres needs either a GRES GPU specification or a node/ntask specification"
            yield f"gres_job_state_validate: {needs}"
    if _counts(asked.get("gpus_per_socket")) and not (asked.get("sockets_per_node") or asked.get("extra_node_info")):
        yield "--gpus-per-socket option requires --sockets-per-node specification"
    if nodes and any(count < nodes for count in of_job.values()):
        yield f"{_FAILED}, --gpus < -N"
    if any(count % per_node[kind] for kind, count in of_job.items() if kind in per_node):
        yield f"{_FAILED}, --gpus is not multiple of --gres=gpu/--gpus-per-node"
    if per_task and of_job:
        tasks, rest = divmod(sum(of_job.values()), per_task)
        if rest:
            yield f"{_FAILED}, --gpus not multiple of --gpus-per-task"
        if ntasks and ntasks != tasks:
            based = "Based on --gpus and --gpus-per-task number of requested tasks differ from -n/--ntasks."
            yield f"{_FAILED}. {based}"
    certain = nodes and asked.get("nodes_max") in (None, nodes) and not asked.get("ntasks_per_node")
    if per_task and not (of_job or ntasks or certain):
        yield (
            f"{_FAILED}. --gpus-per-task or --tres-per-task used without either --gpus or -n/--ntasks is not allowed."
        )
