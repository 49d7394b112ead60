"""What can be held against amounts: the ranges they have, and requests that contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.admission.texts import parts_of
from hpcjobs.errors import Refusal
from hpcjobs.model.gres import names_gpus
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.sbatch.effective import effective, implied_tasks
from hpcjobs.sbatch.layout import parse_tres_per_task

_U15: Final = 0x7FFF
_U16: Final = 0xFFFD
U32: Final = 0xFFFF_FFFD
_BYTES: Final = 2**53 - 1
MOST_NICE: Final = 2_147_483_645

AMOUNTS: Final[Mapping[str, tuple[int, int]]] = {
    "nodes": (1, U32),
    "nodes_max": (1, U32),
    "ntasks": (1, U32),
    "ntasks_per_node": (1, _U16),
    "ntasks_per_socket": (1, _U16),
    "ntasks_per_core": (1, _U16),
    "ntasks_per_gpu": (1, _U16),
    "cpus_per_task": (1, _U16),
    "cpus_per_gpu": (1, _U16),
    "mincpus": (1, _U16),
    "mem_per_node_bytes": (0, _BYTES),  # --mem=0 is all the memory of each node
    "mem_per_cpu_bytes": (1, _BYTES),
    "mem_per_gpu_bytes": (1, _BYTES),
    "tmp_bytes": (1, U32 * 2**20),
    "wall_s": (0, U32 * 60),  # --time=0 is no limit
    "time_min_s": (1, U32 * 60),
    "segment": (1, _U16),
    "switches": (1, U32),
    "switches_wait_s": (0, U32),
    "sockets_per_node": (1, _U16),
    "cores_per_socket": (1, _U16),
    "threads_per_core": (1, _U16),
    "core_spec": (0, _U15),
    "thread_spec": (0, _U15),
    "resv_ports": (0, _U16),
}
"""The least and the largest amounts of resources that Slurm's fields hold (job_desc_msg_t of slurm.h; the two numbers
above each mean "not set" and "infinite"). A backend cannot carry more, and would fail half-way."""

JOB_AMOUNTS: Final[Mapping[str, tuple[int, int]]] = {
    "delay_boot_s": (0, U32),
    "nice": (-MOST_NICE, MOST_NICE),
    "priority": (0, U32),
}
"""The same of the job."""

EXCLUDE_EACH_OTHER: Final[Sequence[tuple[str, str]]] = (
    ("mem_per_node_bytes", "mem_per_cpu_bytes"),
    ("mem_per_node_bytes", "mem_per_gpu_bytes"),
    ("mem_per_cpu_bytes", "mem_per_gpu_bytes"),
    ("exclusive", "oversubscribe"),
    ("core_spec", "thread_spec"),
    ("cpus_per_task", "cpus_per_gpu"),
    ("gpus_per_task", "ntasks_per_gpu"),
    ("ntasks_per_node", "ntasks_per_gpu"),
    ("nodes", "node_counts"),
    ("nodes_max", "node_counts"),
)
"""Pairs of which sbatch takes one."""


def _tres_of_task(asked: Resources) -> Mapping[str, int]:
    try:
        return parse_tres_per_task(asked.tres_per_task) if asked.tres_per_task else {}
    except ValueError:
        return {}  # judge_fields says so


CONTRADICTIONS: Final[Sequence[tuple[str, str, Callable[[Resources], bool]]]] = (
    ("nodes_max", "nodes_max is below nodes.",
     lambda asked: asked.nodes_max is not None and asked.nodes_max < (asked.nodes or 1)),
    ("time_min_s", "time_min_s is above wall_s.",
     lambda asked: bool(asked.wall_s) and (asked.time_min_s or 0) > (asked.wall_s or 0)),
    ("switches_wait_s", "switches_wait_s means nothing without switches.",
     lambda asked: asked.switches_wait_s is not None and asked.switches is None),
    ("gres", "gpus_per_node and gpu in gres exclude each other.",
     lambda asked: asked.gpus_per_node is not None and names_gpus(asked.gres or "")),
    ("tres_per_task", "tres_per_task with cpu excludes cpus_per_task and cpus_per_gpu.",
     lambda asked: "cpu" in _tres_of_task(asked)
     and (asked.cpus_per_task is not None or asked.cpus_per_gpu is not None)),
    ("tres_per_task", "tres_per_task with gres/gpu excludes gpus_per_task and ntasks_per_gpu.",
     lambda asked: any(name.split(":")[0] == "gres/gpu" for name in _tres_of_task(asked))
     and (asked.gpus_per_task is not None or asked.ntasks_per_gpu is not None)),
)  # fmt: skip
"""What contradicts itself: the field, without which it does not, the words, and when."""

_NAMES: Final = Resources.__struct_fields__


def judge_contradictions(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse requests that contradict each other."""
    refusals = []
    for prefix, part in parts_of(spec):
        asked = part.resources
        said = {
            name
            for name, value in zip(_NAMES, msgspec.structs.astuple(asked), strict=True)
            if value is not None and value is not False
        }
        refusals += [
            Refusal(f"{prefix}resources.{second}", f"{first} and {second} exclude each other.")
            for first, second in EXCLUDE_EACH_OTHER
            if first in said and second in said
        ]
        refusals += [
            Refusal(f"{prefix}resources.{name}", words)
            for name, words, against in CONTRADICTIONS
            if name in said and against(asked)
        ]
    if spec.het and spec.array:
        refusals.append(Refusal("array", "A heterogeneous job cannot be an array."))
    return spec, refusals


_MULTIPLY: Final = (
    "extra_node_info", "sockets_per_node", "cores_per_socket", "threads_per_core", "ntasks_per_gpu", "gpus",
    "tres_per_task", "cpus_per_task",
)  # fmt: skip
"""What more tasks or CPUs follow from than are asked for."""


def judge_products(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse numbers that Slurm can hold, where what follows from them it cannot: tasks of GPUs, CPUs of tasks.

    Only for a spec that no other rule is against.
    """
    refusals = []
    for prefix, part in parts_of(spec):
        if all(getattr(part.resources, name) is None for name in _MULTIPLY):
            continue
        asked = effective(part.resources)
        tasks = implied_tasks(asked) or (asked.nodes or 1) * (asked.ntasks_per_node or 1)
        for name, amount in (("ntasks", tasks), ("cpus_per_task", tasks * (asked.cpus_per_task or 1))):
            if amount > U32:
                words = f"{'tasks' if name == 'ntasks' else 'CPUs'} follow from this request; at most {U32} can be."
                refusals.append(Refusal(f"{prefix}resources.{name}", f"{amount} {words}"))
                break
    return spec, refusals
