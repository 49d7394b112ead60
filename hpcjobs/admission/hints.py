"""What can be held against what a job tells the policies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.hints import NO_HINTS, Hints
from hpcjobs.model.spec import JobSpec

MAX_GANG: Final = 1000
"""Most jobs of a gang."""
MAX_NODES: Final = 1_000_000
MAX_DATASETS: Final = 32
MAX_PATH: Final = 4096
MAX_HANG_S: Final = 30 * 86_400
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
"""Names of gangs and data sets: letters, digits and . _ : / @ + -, 128 at the most."""


def judge_hints(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse hints that contradict each other or the request. What is to be recovered may be requeued."""
    if spec.hints.recover and spec.requeue is None:
        spec = msgspec.structs.replace(spec, requeue=True)
    return spec, list(_faults(spec, spec.hints)) if spec.hints != NO_HINTS else ()


def _faults(spec: JobSpec, hints: Hints) -> Iterator[Refusal]:
    for field, names in (("gang", (hints.gang,) if hints.gang else ()), ("datasets", hints.datasets)):
        for name in names:
            if not NAME.fullmatch(name):
                yield Refusal(
                    f"hints.{field}",
                    f"{name[:40]!r} is no name: letters, digits and . _ : / @ + -, 128 characters at the most.",
                )
    if bool(hints.gang) != bool(hints.gang_size):
        yield Refusal("hints.gang", "A gang needs both its name and gang_size, the number of its jobs.")
    if not 0 <= hints.gang_size <= MAX_GANG:
        yield Refusal("hints.gang_size", f"A gang has 1 to {MAX_GANG} jobs; {hints.gang_size} were asked for.")
    if len(hints.datasets) > MAX_DATASETS:
        yield Refusal("hints.datasets", f"{len(hints.datasets)} data sets are more than {MAX_DATASETS}.")
    for name in ("nodes_min", "nodes_max"):
        if not 0 <= (value := getattr(hints, name)) <= MAX_NODES:
            yield Refusal(f"hints.{name}", f"{name} must be between 0 and {MAX_NODES}; {value} was asked for.")
    asked = spec.resources.nodes or 1
    if hints.nodes_min > asked:
        yield Refusal("hints.nodes_min", f"nodes_min {hints.nodes_min} is above nodes {asked}, with which it starts.")
    if 0 < hints.nodes_max < asked:
        yield Refusal("hints.nodes_max", f"nodes_max {hints.nodes_max} is below nodes {asked}, with which it starts.")
    if hints.recover and spec.requeue is False:
        yield Refusal("hints.recover", "What is to be recovered is requeued, and requeue is false (--no-requeue).")
    yield from _of_folder(spec, hints.checkpoints)
    if not 0 <= hints.hang_s <= MAX_HANG_S:
        yield Refusal(
            "hints.hang_s", f"hang_s must be between 0 and {MAX_HANG_S} seconds; {hints.hang_s:g} was asked for."
        )
    if (hints.nodes_min or hints.nodes_max) and spec.het:
        yield Refusal("hints.nodes_min", "A heterogeneous job cannot run with more or fewer nodes.")


def _of_folder(spec: JobSpec, path: str) -> Iterator[Refusal]:
    if not path:
        return
    if not path.startswith("/") or len(path) > MAX_PATH or not path.isprintable():
        yield Refusal(
            "hints.checkpoints",
            f"{path[:80]!r} is no absolute path on the cluster, of at most {MAX_PATH} printable characters.",
        )
    if bool(spec.array) and not ("%a" in path or "%j" in path):
        yield Refusal("hints.checkpoints", "Tasks of an array need a folder each: write %a for the number of the task.")
    if not spec.array and "%a" in path:
        yield Refusal("hints.checkpoints", "%a is the number of a task of an array, and this job is none.")
