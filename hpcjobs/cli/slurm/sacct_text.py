"""How sacct writes resources, CPU time and the numbers of an array's tasks. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from hpcjobs.cli.slurm.times import full_span
from hpcjobs.model.amount import MEGA, amount_text
from hpcjobs.model.spans import fold_tasks

_TIMED: Final = frozenset({"cpu"})
"""Resources whose usage is a time, in milliseconds."""
_CONVERTED: Final = frozenset({"mem", "vmem", "pages"})
"""Resources whose usage is written with a unit."""
STEP_SPAN: Final = 10
STEP_TASKS: Final = 6
"""So many tasks, over a longer span than that and at equal distances, are written as ``1-51:2``."""


def tres(text: str, unit: str = "", *, convert: bool = True) -> str:
    """Resources with their memory in another unit.

    Args:
        text: As Slurm keeps them, memory in M: ``cpu=2,mem=1024M``.
        unit: See amount_text().
        convert: See amount_text().
    """
    parts = []
    for part in text.split(",") if text else ():
        name, _, count = part.partition("=")
        if name == "mem" and count.endswith("M"):
            count = amount_text(int(count[:-1]), MEGA, into=unit, convert=convert)
        parts.append(f"{name}={count}")
    return ",".join(parts)


def usage(counts: Mapping[str, int], unit: str = "", *, convert: bool = True) -> str:
    """What was used of resources: times of CPUs, memory with units, all else as numbers."""
    parts = []
    for name in sorted(counts):
        if name in _TIMED:
            text = full_span(counts[name] // 1000)
        elif name in _CONVERTED:
            text = amount_text(counts[name], into=unit, convert=convert)
        else:
            text = str(counts[name])
        parts.append(f"{name}={text}")
    return ",".join(parts)


def pairs(values: Mapping[str, object]) -> str:
    """Nodes or tasks by resource: ``cpu=c1,mem=c2``."""
    return ",".join(f"{name}={values[name]}" for name in sorted(values))


def cpu_time(seconds: float) -> str:
    """CPU time: below an hour with thousandths where there are some, as ``00:01.500``."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    if whole >= 3600 or micros < 1000:
        return full_span(whole)
    return f"{whole // 60:02}:{whole % 60:02}.{micros // 1000:03}"


def task_ranges(tasks: Sequence[int]) -> str:
    """Numbers of tasks: ``1-3,7``, or ``1-51:2`` where they stand at equal distances over a long span."""
    if not tasks:
        return ""
    steps = {after - before for before, after in pairwise(tasks)}
    if len(tasks) >= STEP_TASKS and tasks[-1] - tasks[0] > STEP_SPAN and len(steps) == 1 and 1 not in steps:
        return f"{tasks[0]}-{tasks[-1]}:{steps.pop()}"
    return fold_tasks(tasks)


def waiting_tasks(tasks: Sequence[int], limit: int, most: int) -> str:
    """The tasks of an array that wait, within brackets.

    Args:
        tasks: Their numbers, in order.
        limit: Most that run at a time; 0: no limit.
        most: Characters that there is room for (SLURM_BITSTR_LEN); 0: no end. Equal distances are never cut.
    """
    text, behind = task_ranges(tasks), f"%{limit}" if limit else ""
    if most and ":" not in text and len(text + behind) >= most:
        text = f"{text[: max(most - 4, 0)]}..."
    return f"[{text}{behind}]"
