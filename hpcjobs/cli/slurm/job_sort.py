"""The orders of squeue (squeue(1), --sort). Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hpcjobs.cli.slurm.job_names import task_number
from hpcjobs.cli.slurm.job_states import base_state, short_state, state_text, time_used
from hpcjobs.model.amount import NO_VAL, NO_VAL16

if TYPE_CHECKING:
    from hpcjobs.model.job import Job

DEFAULT: Final = "P,t,-p"
IGNORED: Final = frozenset("cfhnO")
"""Letters that squeue takes and does not sort by."""

Key = Callable[["Job", int], Any]


def _number(value: int | None) -> int:
    return NO_VAL16 if value is None else value


def _limit(job: Job) -> int:
    return NO_VAL + 1 if job.wall_s is None else job.wall_s // 60


def _left(job: Job, now: int) -> int:
    return NO_VAL + 1 if job.wall_s is None else job.wall_s - time_used(job, now)


def _id(job: Job) -> tuple[int, int]:
    if job.het_job_id:
        return job.het_job_id, job.het_offset
    task = task_number(job)
    return (job.slurm_job_id or 0, NO_VAL) if task is None else (job.array_job_id, task)


def _memory(job: Job) -> int:
    return job.particulars.mem_per_cpu_bytes or job.particulars.mem_per_node_bytes or 0


def _first_host(job: Job) -> tuple[str, int]:
    match = re.match(r"([^\[\],0-9]*(?:[0-9]+[^\[\],0-9]+)*)\[?([0-9]*)", job.node_list)
    return (match[1], int(match[2] or -1)) if match else ("", -1)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


KEYS: Final[Mapping[str, Key]] = {
    "B": lambda job, _: _bytes(job.particulars.batch_host),
    "C": lambda job, _: job.cpus,
    "d": lambda job, _: job.particulars.tmp_bytes,
    "D": lambda job, _: job.nodes,
    "e": lambda job, _: job.end_time,
    "g": lambda job, _: _bytes(job.particulars.group),
    "G": lambda job, _: job.particulars.group_id,
    "H": lambda job, _: _number(job.particulars.sockets_per_node),
    "i": lambda job, _: _id(job),
    "I": lambda job, _: _number(job.particulars.cores_per_socket),
    "j": lambda job, _: _bytes(job.name),
    "J": lambda job, _: _number(job.particulars.threads_per_core),
    "l": lambda job, _: _limit(job),
    "L": _left,
    "m": lambda job, _: _memory(job),
    "M": time_used,
    "p": lambda job, _: job.priority,
    "P": lambda job, _: _bytes(job.partition),
    "Q": lambda job, _: job.priority,
    "t": lambda job, _: short_state(job),
    "T": lambda job, _: state_text(job),
    "u": lambda job, _: _bytes(job.user),
    "U": lambda job, _: job.particulars.user_id,
    "v": lambda job, _: _bytes(job.particulars.reservation),
    "V": lambda job, _: job.submit_time,
    "z": lambda job, _: tuple(
        map(_number, (job.particulars.sockets_per_node, job.particulars.cores_per_socket,
                      job.particulars.threads_per_core))
    ),
}  # fmt: skip
"""By what squeue sorts for each letter; it is given the job and Unix seconds."""


def _start(job: Job, now: int) -> int:
    pending = base_state(job) == "PENDING" and job.raw_state == "PENDING"
    return now if pending and job.start_time < now else job.start_time


def _by_start(one: Job, other: Job, now: int, backwards: bool) -> bool:
    """Whether a job stays before another by the times of their starts.

    squeue says of two jobs without one that the first comes after the second, whichever is first.
    """
    if not one.start_time or not other.start_time:
        return bool(one.start_time)
    difference = _start(one, now) - _start(other, now)
    return (-difference if backwards else difference) <= 0


def _by_nodes(one: Job, other: Job, now: int, backwards: bool) -> bool:
    """Whether a job stays before another by their first nodes; two without any as in _by_start."""
    del now
    if not one.node_list or not other.node_list:
        return bool(one.node_list) is not backwards
    first, second = _first_host(one), _first_host(other)
    return first >= second if backwards else first <= second


IN_THEIR_OWN_WAY: Final = {"S": _by_start, "N": _by_nodes}
"""Orders that contradict themselves: what comes of them follows from how the C library merges."""


def _merged(jobs: Sequence[Job], before: Callable[[Job, Job], bool]) -> list[Job]:
    """Sort as qsort(3) of the GNU C library does: halves, merged; equal ones stay as they are."""
    if len(jobs) < 2:
        return list(jobs)
    left, right = _merged(jobs[: len(jobs) // 2], before), _merged(jobs[len(jobs) // 2 :], before)
    found: list[Job] = []
    at, other = 0, 0
    while at < len(left) and other < len(right):
        if before(left[at], right[other]):
            found.append(left[at])
            at += 1
        else:
            found.append(right[other])
            other += 1
    return found + left[at:] + right[other:]


def in_order(jobs: Sequence[Job], spec: str | None, now: int) -> list[Job]:
    """Sort as squeue does.

    Args:
        jobs: In the controller's order: that of their numbers.
        spec: Letters with ``+`` or ``-`` before them, comma-separated, the first counts most; None: squeue's default.
        now: Unix seconds.

    Raises:
        ValueError: A letter is none of squeue's.
    """
    text = DEFAULT if spec is None else re.sub("cluster", ",", spec, flags=re.IGNORECASE)
    lines = _merged(jobs, lambda one, other: _by_start(one, other, now, backwards=True))
    for at in range(len(text) - 1, -1, -1):
        letter, backwards = text[at], at > 0 and text[at - 1] == "-"
        if letter in ",+-" or letter in IGNORED:
            continue
        if letter in IN_THEIR_OWN_WAY:
            way = functools.partial(IN_THEIR_OWN_WAY[letter], now=now, backwards=backwards)
            lines = _merged(lines, way)
        elif letter in KEYS:
            lines.sort(key=lambda job: KEYS[letter](job, now), reverse=backwards)
        elif letter != "b":
            raise ValueError(f"Invalid sort specification: {letter}")
    return lines
