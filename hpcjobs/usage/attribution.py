"""Which GPUs a run had: what accounting says, joined with what its nodes had. Pure; nothing is guessed.

Slurm counts a slice as one gres/gpu, a share (shard, MPS) as none, and a typed GPU under its type only where the job
named it (measured on 26.05 and 24.11). So the type comes from the nodes where they leave no choice.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from hpcjobs.devices.worth import is_slice, worth
from hpcjobs.model.gres import UNTYPED, gpus_of_gres, gpus_of_tres, parse_gpus, parse_tres
from hpcjobs.model.shards import SHARING
from hpcjobs.model.usage import Basis, GpuUse, Run
from hpcjobs.sbatch.getopt import Misspelt, named_options
from hpcjobs.sbatch.options import SBATCH
from hpcjobs.usage.fleet import Fleet, Pool

MIG: Final = "mig"
NO_POOL: Final = Pool((), (), 0)


def gpus_of(run: Run, fleet: Fleet) -> tuple[GpuUse, ...]:
    """The GPUs of a run, by kind: none where it never ran, or had none and kept none from others.

    Args:
        run: As accounting has it.
        fleet: What nodes had when it started.
    """
    if not run.start_time or not run.node_list:
        return ()
    pool = fleet.pool(run.node_list, run.start_time)
    alone = pool is not None and (bool(run.exclusive) or 0 < pool.cpus <= run.cpus)
    # The command of a heterogeneous job is that of all its components.
    line = "" if "gres/" in run.tres_alloc or run.het_job_id else run.submit_line
    return _gpus(run.tres_alloc, line, run.nodes, pool or NO_POOL, alone)


@lru_cache(maxsize=50_000)
def _gpus(tres_alloc: str, line: str, nodes: int, pool: Pool, alone: bool) -> tuple[GpuUse, ...]:
    tres = parse_tres(tres_alloc)
    found: list[GpuUse] = []
    for kind, (count, basis) in _devices(gpus_of_tres(tres), dict(pool.gpus)).items():
        found.append(_whole(kind, count, basis))
    if not found:
        asked = _asked(line, nodes) if line else {}
        found += [_whole(kind, count, Basis.ASKED) for kind, (count, _) in _devices(asked, dict(pool.gpus)).items()]
    for sharing in SHARING:
        for name, count in tres.items():
            if name == f"gres/{sharing}" and count > _typed(tres, sharing):
                found.append(_share(sharing, UNTYPED, count - _typed(tres, sharing), nodes, pool))
            elif name.startswith(f"gres/{sharing}:"):
                found.append(_share(sharing, name.partition(":")[2], count, nodes, pool))
    return tuple(_holding(found, dict(pool.gpus)) if alone else found)


def _typed(tres: Mapping[str, int], sharing: str) -> int:
    return sum(count for name, count in tres.items() if name.startswith(f"gres/{sharing}:"))


def _whole(kind: str, count: int, basis: Basis) -> GpuUse:
    """Devices that are a job's alone: GPUs, or slices of them."""
    equivalent = float(count * worth(kind))
    return GpuUse(kind, MIG if is_slice(kind) else "", count, equivalent, equivalent, basis)


def _devices(told: Mapping[str, int], there: Mapping[str, int]) -> dict[str, tuple[int, Basis]]:
    """Counts by kind, those of an untyped request under the kind that the nodes leave.

    Args:
        told: By type; ``""``: not named.
        there: What the nodes have, by type; empty: not known.
    """
    found = {kind: (count, Basis.NAMED) for kind, count in told.items() if kind and count}
    rest = told.get(UNTYPED, 0)
    if not rest:
        return found
    left = {kind: count - told.get(kind, 0) for kind, count in there.items() if kind and count > told.get(kind, 0)}
    if len(left) == 1 or (left and sum(left.values()) == rest):
        given = {next(iter(left)): rest} if len(left) == 1 else left
        for kind, count in given.items():
            found[kind] = (found.get(kind, (0, Basis.NODES))[0] + count, Basis.NODES)
        return found
    return found | {UNTYPED: (rest, Basis.UNRESOLVED)}


def _share(sharing: str, kind: str, parts: int, nodes: int, pool: Pool) -> GpuUse:
    """Shards or MPS percents: of one GPU a node, as Slurm gives them."""
    gpus, told = dict(pool.gpus), {one: count for name, one, count in pool.shares if name == sharing}
    kinds = [one for one in gpus if one] if kind == UNTYPED else [kind]
    count = told.get(kind, told.get(UNTYPED, 0) if len(gpus) == 1 else 0) or (
        sum(told.values()) if kind == UNTYPED and len(kinds) == 1 else 0
    )
    devices = sum(gpus.get(one, 0) for one in kinds)
    if len(kinds) != 1 or not count or not devices:
        # What a part is of a GPU is not known: the GPU that it was of is counted, one a node.
        return GpuUse(kind, sharing, max(nodes, 1), float(max(nodes, 1)), float(max(nodes, 1)), Basis.UNRESOLVED)
    equivalent = parts * devices / count
    seen = max(nodes, 1, -int(-equivalent // 1))
    return GpuUse(kinds[0], sharing, seen, equivalent, equivalent, Basis.NAMED if kind else Basis.NODES)


def _holding(found: list[GpuUse], there: Mapping[str, int]) -> list[GpuUse]:
    """The same of a run that had its nodes to itself: it held all of their GPUs.

    Those that it did not use are told under their kinds; where the kind of what it used is not known, neither is
    that of the others, and they are told with it.
    """
    whole = {kind: float(count * worth(kind)) for kind, count in there.items()}
    if any(use.kind == UNTYPED for use in found):
        known = sum(use.equivalent for use in found if use.kind != UNTYPED)
        rest = max(0.0, sum(whole.values()) - known)
        told = []
        for use in found:
            held = max(use.equivalent, rest) if use.kind == UNTYPED else use.equivalent
            told.append(GpuUse(use.kind, use.sharing, use.devices, use.equivalent, held, use.basis))
            rest = 0.0 if use.kind == UNTYPED else rest
        return told
    told = []
    for use in found:
        held = max(use.equivalent, whole.pop(use.kind, 0.0))
        told.append(GpuUse(use.kind, use.sharing, use.devices, use.equivalent, held, use.basis))
    others = ((kind, left) for kind, left in whole.items() if left)
    return told + [GpuUse(kind, MIG if is_slice(kind) else "", 0, 0.0, left, Basis.NODES) for kind, left in others]


@lru_cache(maxsize=10_000)
def _asked(line: str, nodes: int) -> dict[str, int]:
    """GPUs by type that a command asked for; what its script says is not known to accounting."""
    try:
        words = shlex.split(line)[1:]
    except ValueError:
        return {}
    told: dict[str, str] = {}
    try:
        for name, value in named_options(words, SBATCH):
            told[name or "script"] = value or ""
    except Misspelt:
        return {}
    try:
        if "gpus" in told:
            return parse_gpus(told["gpus"])
        if "gpus-per-node" in told:
            return {kind: count * nodes for kind, count in parse_gpus(told["gpus-per-node"]).items()}
        if "gpus-per-task" in told:
            tasks = int(told.get("ntasks") or int(told.get("ntasks-per-node") or 1) * nodes)
            return {kind: count * tasks for kind, count in parse_gpus(told["gpus-per-task"]).items()}
        return {kind: count * nodes for kind, count in gpus_of_gres(told.get("gres", "")).items()}
    except ValueError:
        return {}
