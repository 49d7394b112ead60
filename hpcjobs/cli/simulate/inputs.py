"""The fleet and the jobs that a call names."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from hpcjobs.cli.expand import duration_s
from hpcjobs.cli.simulate.command import Asked
from hpcjobs.errors import Refusal, Refused
from hpcjobs.sim.cases import parse_named
from hpcjobs.sim.generate import Plan, generate, with_caches
from hpcjobs.sim.scale import raised, to_demand, window
from hpcjobs.sim.traces.clos import spread
from hpcjobs.sim.traces.formats import joined, load
from hpcjobs.sim.workload import SimNode, Workload

LLM: Final = "llm"
JOBS: Final = 5000
"""So many jobs are made where nothing is said."""
DEMAND: Final = 0.9
COPIES: Final = 2
"""On so many nodes lies each data set of a plan that has some."""
CPUS_PER_GPU: Final = 16
MEM_PER_GPU_BYTES: Final = 256 * 2**30
CPUS: Final = 64
"""Of a node without GPUs."""
MOST_NODES: Final = 100_000
_FLEET: Final = re.compile(r"(\d{1,6})x(\d{1,3})")
_MADE: Final = "a fleet NxG has 16 CPUs and 256 GiB of memory for each GPU, and 64 CPUs where it has none"

Made = Callable[[int], Workload]
"""The workload of a seed."""


def refused(option: str, what: str) -> Refused:
    """What a call is refused with whose option is wrong."""
    return Refused([Refusal(option, f"{option}: {what}.", "bad-option")], kept="nothing was simulated")


def workloads(asked: Asked) -> Made:
    """What makes the workload of each seed; for a trace it is always the same.

    Raises:
        Refused: Options or files are wrong.
    """
    if asked.generate:
        return _generated(asked)
    if not asked.files:
        raise refused("FILE", "name a trace, or --generate llm, or --from-live")
    if asked.format_name and len(asked.files) > 1:
        raise refused("--format", "it says the form of one FILE; several were named")
    parts = [load(path, asked.format_name) for path in asked.files]
    if asked.fleet:
        parts.insert(0, fleet_of(asked.fleet))
    made = joined(parts)
    made = msgspec.structs.replace(made, nodes=_over(made.nodes, asked.topology))
    if asked.window:
        made = window(made, *_window(asked.window, made))
    if asked.stretch_limits:
        made = raised(made)
    if asked.demand is not None:
        made = to_demand(made, asked.demand)
    made = _before(made, asked.until_s)
    return lambda _seed: made


def _before(made: Workload, until_s: float | None) -> Workload:
    """Without what is submitted when the simulation has stopped: its demand is that of what is simulated."""
    return made if until_s is None else window(made, 0.0, until_s)


def _generated(asked: Asked) -> Made:
    if asked.window:
        raise refused("--window", "it is for traces: made jobs have as many as --generate says")
    if asked.stretch_limits:
        raise refused("--stretch-limits", "it is for traces: no made job outruns its limit")
    if asked.format_name:
        raise refused("--format", "it says the form of a FILE with jobs; --generate makes them")
    named = parse_named(asked.generate, "--generate")
    if named.name != LLM:
        raise refused("--generate", f"no mix is called {named.name!r}; there is {LLM}")
    if "demand" in named.settings:
        raise refused("--generate", "the demand is said with --demand")
    said = {"jobs": JOBS, "demand": DEMAND if asked.demand is None else asked.demand, **named.settings}
    try:
        plan = msgspec.convert(said, Plan)
    except msgspec.ValidationError as error:
        raise refused("--generate", str(error)) from error
    parts = [load(path) for path in asked.files]
    if asked.fleet:
        parts.insert(0, fleet_of(asked.fleet))
    holder = next((part for part in parts if part.nodes), None)
    if holder is None:
        raise refused("--fleet", "name the nodes: a file, or as 1250x8")
    nodes = _over(holder.nodes, asked.topology)

    def made(seed: int) -> Workload:
        cached = with_caches(nodes, plan.datasets, COPIES, seed) if plan.datasets else nodes
        found = generate(cached, plan, seed)
        return _before(msgspec.structs.replace(found, remarks=found.remarks | holder.remarks), asked.until_s)

    return made


def fleet_of(text: str) -> Workload:
    """The nodes that --fleet names.

    Raises:
        Refused: There is no such file, or it has no nodes.
    """
    counted = _FLEET.fullmatch(text)
    if counted is None:
        found = load(Path(text))
        if not found.nodes:
            raise refused("--fleet", f"{text} has no nodes")
        return found
    nodes, gpus = int(counted[1]), int(counted[2])
    if not 0 < nodes <= MOST_NODES:
        raise refused("--fleet", f"{nodes} nodes; there may be 1 to {MOST_NODES}")
    width = len(str(nodes))
    return Workload(
        nodes=tuple(
            SimNode(
                name=f"n{number:0{width}}",
                cpus=CPUS_PER_GPU * gpus or CPUS,
                mem_bytes=MEM_PER_GPU_BYTES * (gpus or 1),
                gpus=gpus,
            )
            for number in range(1, nodes + 1)
        ),
        jobs=(),
        origin=f"{nodes} nodes of {gpus} GPUs",
        remarks={_MADE: nodes},
    )


def _over(nodes: tuple[SimNode, ...], topology: Path | None) -> tuple[SimNode, ...]:
    if topology is None:
        return nodes
    try:
        return spread(nodes, load(topology).nodes)
    except ValueError as error:
        raise refused("--topology", f"{topology}: {error}") from error


def _window(text: str, made: Workload) -> tuple[float, float]:
    first, dots, last = text.partition("..")
    if not dots or not (first or last):
        raise refused("--window", f"{text[:60]!r} is not of the form FROM..TO")
    start_s = _moment(first, made) if first else 0.0
    end_s = _moment(last, made) if last else float("inf")
    if end_s <= start_s:
        raise refused("--window", f"{text[:60]!r} ends before it begins")
    return start_s, end_s


def _moment(text: str, made: Workload) -> float:
    """Seconds since the start of a trace, of a length of time or a date in UTC."""
    try:
        return duration_s(text)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise refused(
            "--window", f"{text[:40]!r} is neither a length of time like 10d nor a date like 2023-02-01"
        ) from None
    if made.started_at is None:
        raise refused("--window", f"{made.origin} does not say when it began: use lengths of time, as 10d..40d")
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - made.started_at
