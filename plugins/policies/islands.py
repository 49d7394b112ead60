"""Islands: small jobs with GPUs leave whole NVLink or rail islands to those that need them, and stay within one.

An island is a group of nodes with a fast network of their own, named in the settings or by the last word of the nodes'
place in one of Slurm's topologies. A small job does not start in an island that is wholly idle as long as it finds room
elsewhere now; one of several nodes is kept within a single island, where one has room for all of it. What lies within
one node is Slurm's own matter: pairs of GPUs with NVLink go by Links in gres.conf, and CPUs near the GPUs by its Cores
and ``--gres-flags=enforce-binding``, which jobs are admitted with where ``bind`` is set.

What it does to Slurm: a feature on each node, which takes an administrator of Slurm, ExcNodeList of waiting jobs, and
GresEnforceBind of new ones. When not to use it: with topology/block, or ``--switches``, which do the same at each
start; a job that Slurm starts the moment it is submitted is not steered.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.model.steering import Action, Avoid, Label
from hpcjobs.plugin import PLUGIN_API, Admit, Plugin, Tick
from hpcjobs.sbatch.asks import Ask, ask_of, may_use
from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs_plugins.policies.board import Board
from hpcjobs_plugins.policies.kept import reserved
from hpcjobs_plugins.policies.made import PolicySettings
from hpcjobs_plugins.policies.queue import first, gpus_of, waits_for_room

FEATURE: Final = "island_"


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        islands: Hostlists by name of island; no node is in two.
        topology: Name of a topology of Slurm whose lowest units are islands too.
        label: Whether nodes have a feature ``island_NAME``.
        small_gpus: Jobs of so many GPUs or fewer are small.
        bind: Whether new jobs with GPUs that say nothing of it get only CPUs of the sockets of their GPUs, as far as
            gres.conf has Cores; they wait where only others are free.
        ahead: Jobs that are steered at a time, those of the highest priority.

    Raises:
        ValueError: A hostlist is none, or a node is in two islands.
    """

    islands: dict[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]+$")], str] = msgspec.field(default_factory=dict)
    topology: str = ""
    label: bool = True
    small_gpus: Annotated[int, msgspec.Meta(ge=1)] = 8
    bind: bool = False
    ahead: Annotated[int, msgspec.Meta(ge=1)] = 32

    def __post_init__(self) -> None:
        """See that islands have no node in common."""
        seen: dict[str, str] = {}
        for island, hostlist in self.islands.items():
            for name in expand_hostlist(hostlist):
                if seen.setdefault(name, island) != island:
                    raise ValueError(f"node {name} is in the islands {seen[name]} and {island}")


def islands_of(settings: Settings, view: ClusterView) -> dict[str, list[str]]:
    """Names of nodes, sorted, by name of island."""
    named = {name: island for island, hostlist in settings.islands.items() for name in expand_hostlist(hostlist)}
    found: dict[str, list[str]] = defaultdict(list)
    for name, node in sorted(view.nodes.items()):
        places = dict(word.partition(":")[::2] for word in node.particulars.topology.split(","))
        island = named.get(name) or (places.get(settings.topology, "") if settings.topology else "").rpartition(":")[2]
        if island:
            found[island].append(name)
    return dict(sorted(found.items()))


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Action]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    islands = islands_of(settings, view)
    for island, names in islands.items() if settings.label else ():
        yield Label(tuple(names), FEATURE + island, f"It is one of {len(names)} nodes of the island {island}.")
    board = Board.of(view, view.nodes.keys() - reserved(view))
    few = range(1, settings.small_gpus + 1)
    small = [job for job in view.jobs.values() if waits_for_room(job, now) and gpus_of(job) in few]
    for job in first(small)[: settings.ahead] if islands else ():
        ask = ask_of(job, view)
        names = _target(ask, board, islands, view) if ask is not None else []
        if ask is None or not names or not board.place(ask, names):
            continue
        others = sorted(view.nodes.keys() - {*names})
        if avoid := tuple(name for name in others if may_use(job, view.nodes[name])):
            why = "It fits elsewhere, and whole islands are for those that need them."
            yield Avoid(job.slurm_job_id, avoid, why)


def _target(ask: Ask, board: Board, islands: Mapping[str, list[str]], view: ClusterView) -> list[str]:
    """Where a small job should start: for one node anywhere but in whole islands, for several one island."""
    whole = {
        name for name, names in islands.items() if all(one in board.nodes and board.free(one).idle for one in names)
    }
    if ask.nodes == 1:
        kept = {name for island in whole for name in islands[island]}
        return [name for name in view.nodes if name not in kept]
    rooms = {island: len(board.roomy(ask, names)) for island, names in islands.items()}
    enough = [(island in whole, room, island) for island, room in rooms.items() if room >= ask.nodes]
    return islands[min(enough)[2]] if enough else []


def admit(spec: JobSpec) -> JobSpec:
    """Bind a job's CPUs to its GPUs, and those of each component. See Admit."""
    het = tuple(msgspec.structs.replace(one, resources=_bound(one.resources)) for one in spec.het)
    return msgspec.structs.replace(spec, resources=_bound(spec.resources), het=het)


def _bound(asked: Resources) -> Resources:
    counts = (asked.gpus, asked.gpus_per_node, asked.gpus_per_socket, asked.gpus_per_task)
    named = (name for text in (asked.gres, asked.tres_per_task) for name in re.split(r"[,/:=]", text or ""))
    if asked.gres_flags is not None or not (any(counts) or "gpu" in named):
        return asked
    return msgspec.structs.replace(asked, gres_flags="enforce-binding")


def _hooks(settings: Settings) -> list[Admit | Tick]:
    bind: list[Admit | Tick] = [Admit(lambda spec, _: admit(spec))] if settings.bind else []
    return [*bind, Tick(lambda view, now: tuple(tick(settings, view, now)), settings.period_s)]


PLUGIN = Plugin(name="islands", api=PLUGIN_API, settings=Settings, hooks=_hooks)
