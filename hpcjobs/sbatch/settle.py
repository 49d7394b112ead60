"""What becomes of options that exclude each other, by sbatch's rules and in its words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from hpcjobs.sbatch.component import Part
from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.gpus import INVALID, MIXED, drop_zeros, gpu_fault

MEMORY: Final = ("mem", "mem-per-cpu", "mem-per-gpu")
BESIDE_HINT: Final = ("ntasks-per-core", "cores-per-socket", "sockets-per-node", "threads-per-core", "extra-node-info")

BESIDE_A_VARIABLES_HINT: Final = ("ntasks-per-core", "threads-per-core", "extra-node-info")

NEVER_EMPTY: Final = {
    "account": "Invalid account or account/partition combination specified",
    "qos": "Invalid qos specification",
}


def _settle_memory(part: Part) -> None:
    said = part.is_by("caller", *MEMORY)
    if len(said) > 1:
        raise _fatal("--mem, --mem-per-cpu, and --mem-per-gpu are mutually exclusive.")
    if said:
        part.forget(*(long for long in MEMORY if long not in said))
    elif len(part.is_by("variable", *MEMORY)) > 1:
        raise _fatal("SLURM_MEM_PER_CPU, SLURM_MEM_PER_GPU, and SLURM_MEM_PER_NODE are mutually exclusive.")


def _settle_hint(part: Part) -> None:
    beside = part.is_by("caller", *BESIDE_HINT)
    if part.is_by("caller", "hint"):
        part.forget(*(["hint"] if beside else BESIDE_HINT))
    elif beside or (part.is_by("variable", "hint") and part.is_by("variable", *BESIDE_A_VARIABLES_HINT)):
        part.forget("hint")


def _settle_cpus_per_gpu(part: Part) -> None:
    per_task = ["cpus-per-task"]
    if "cpu" in (part.said.fields.get("resources.tres_per_task") or ""):
        per_task.append("tres-per-task")
    caller, variable = part.is_by("caller", *per_task), part.is_by("variable", *per_task)
    if (caller and part.is_by("caller", "cpus-per-gpu")) or (variable and part.is_by("variable", "cpus-per-gpu")):
        raise _fatal("--cpus-per-task, --tres-per-task=cpu:#, and --cpus-per-gpu are mutually exclusive")
    if caller and part.is_by("variable", "cpus-per-gpu"):
        part.forget("cpus-per-gpu")
    elif variable and part.is_by("caller", "cpus-per-gpu"):
        part.forget("cpus-per-task")


def _settle_shares(part: Part) -> None:
    if len(part.is_by("caller", "exclusive", "oversubscribe")) > 1:
        raise _fatal("--exclusive and --oversubscribe options are mutually exclusive")
    _settle_later(part, "exclusive", "oversubscribe")


def _settle_binding(part: Part) -> None:
    _settle_later(part, "gpu-bind", "tres-bind")


def _settle_later(part: Part, *longs: str) -> None:
    """Of options that say the same thing the last counts."""
    said = [long for long in part.by if long in longs]
    part.forget(*said[:-1])


def _settle_gpus(part: Part) -> None:
    gres = part.said.fields.get("resources.gres") or ""
    if "gpus-per-node" in part.by and any(re.match("(gres[/:])?gpu([:=]|$)", one) for one in gres.split(",")):
        raise _fatal("--gpus-per-node and --gres=gpu are mutually exclusive.")


def _settle_tasks_of_gpus(part: Part) -> None:
    if not part.is_by("caller", "ntasks-per-gpu"):
        return
    for long in part.is_by("caller", "tres-per-task", "gpus-per-task", "gpus-per-socket", "ntasks-per-node"):
        if long != "tres-per-task" or "gres/gpu" in (part.said.fields.get("resources.tres_per_task") or ""):
            raise _fatal(f"--{long} is mutually exclusive with --ntasks-per-gpu and SLURM_NTASKS_PER_GPU")


def _settle_specialization(part: Part) -> None:
    if len(part.is_by("caller", "core-spec", "thread-spec")) > 1:
        raise _fatal("-S/--core-spec and --thred-spec options are mutually exclusive")


def _settle_zeros(part: Part) -> None:
    """What says 0 and means something else, or nothing."""
    fields = part.said.fields
    if fields.get("resources.mem_per_cpu_bytes") == 0:
        fields.update({"resources.mem_per_cpu_bytes": None, "resources.mem_per_node_bytes": 0})
    if fields.get("resources.switches") is None:
        fields.pop("resources.switches_wait_s", None)  # a variable may say how long to wait for nothing
    if fields.get("resources.segment") == 0:
        fields["resources.segment"] = None
    fault = gpu_fault(fields)
    drop_zeros(fields)
    if fault:
        last = [] if fault == MIXED else [f"error: {INVALID}"]
        raise Misspelt(fault, f"error: {fault}", *last, exit_code=1)


def _settle_empties(part: Part) -> None:
    for field, told in NEVER_EMPTY.items():
        if part.said.fields.get(field) == "":
            raise Misspelt(told, f"error: Batch job submission failed: {told}", exit_code=1)


def _settle_times(part: Part) -> None:
    least, limit = (part.said.fields.get(f"resources.{name}") for name in ("time_min_s", "wall_s"))
    if limit and least and least > limit:
        told = "Invalid time-min specification (exceeds job's time or other limits)"
        raise Misspelt(told, f"error: Batch job submission failed: {told}", exit_code=1)


def _fatal(words: str) -> Misspelt:
    return Misspelt(words, f"fatal: {words}", exit_code=1)


SETTLES: Final[tuple[Callable[[Part], None], ...]] = (
    _settle_gpus,
    _settle_tasks_of_gpus,
    _settle_specialization,
    _settle_memory,
    _settle_shares,
    _settle_binding,
    _settle_cpus_per_gpu,
    _settle_hint,
    _settle_zeros,
    _settle_empties,
    _settle_times,
)
"""What becomes of options that exclude each other, in sbatch's order: the caller's word wins over a variable's."""
