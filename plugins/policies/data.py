"""Data: jobs that read data sets start where these are cached, as long as enough such nodes will be free soon.

What a node holds stands in its features, as ``data:imagenet``, or with bytes in its Extra text, as ``{"data":
{"imagenet": 123456}}``; whoever fills the caches writes it there (``scontrol update NodeName=n1 Extra=...``). A data
set of which no bytes are told counts as much as where most of it is told, or as one byte.

What it does to Slurm: ExcNodeList of waiting jobs, and with ``look_s`` the start time of jobs with data sets. When
not to use it: where every node reads as fast from shared storage; and where features alone say it, because ``--prefer
data:imagenet`` has Slurm do the same without waiting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import inf
from typing import Annotated

import msgspec

from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.hints import Hints
from hpcjobs.model.job import JobRecord
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.steering import Avoid
from hpcjobs.plugin import PLUGIN_API, Admit, Plugin, Tick
from hpcjobs.sbatch.asks import Ask, ask_of
from hpcjobs_plugins.policies.board import Board
from hpcjobs_plugins.policies.datasets import held_bytes
from hpcjobs_plugins.policies.kept import reserved
from hpcjobs_plugins.policies.made import PolicySettings
from hpcjobs_plugins.policies.queue import first, waiting
from hpcjobs_plugins.policies.room import busy_until


class Settings(PolicySettings, frozen=True, kw_only=True):
    """What an admin sets.

    Attributes:
        wait_s: How long a job keeps to nodes that hold its data, from when it may start, in seconds.
        share: A node holds a job's data if it has this share, from 0 to 1, of the bytes of the node with the most.
        ahead: Jobs that are steered at a time, those of the highest priority.
        look_s: Jobs with data sets are admitted to start so many seconds later, so that they are seen before Slurm
            starts them; 0: a job that Slurm starts at once is not steered.
    """

    wait_s: Annotated[float, msgspec.Meta(ge=1)] = 300.0
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    ahead: Annotated[int, msgspec.Meta(ge=1)] = 64
    look_s: Annotated[int, msgspec.Meta(ge=0)] = 0


def holders(
    ask: Ask, hints: Hints, held: Mapping[str, Mapping[str, int]], view: ClusterView, share: float
) -> list[str]:
    """Nodes that a job may use and that hold most of the bytes that it reads, those with the most first."""
    score: dict[str, int] = defaultdict(int)
    for dataset in set(hints.datasets):
        for name, count in held.get(dataset, {}).items():
            if view.nodes[name].usable and ask.may_use(view.nodes[name]):
                score[name] += count
    most = max(score.values(), default=0)
    return sorted((name for name, count in score.items() if count >= share * most), key=lambda one: (-score[one], one))


def tick(settings: Settings, view: ClusterView, now: float) -> Iterator[Avoid]:
    """What it wants.

    Args:
        settings: See Settings.
        view: The last listing.
        now: Unix seconds.
    """
    reading = {job.slurm_job_id: hints for job, hints in waiting(view) if hints.datasets and hints.gang_size < 2}
    held = held_bytes(view) if reading else {}
    if not held:
        return
    until, groups = busy_until(view), view.nodes_by_partition()
    board = Board.of(view, view.nodes.keys() - reserved(view))
    for job in first(view.jobs[number] for number in reading)[: settings.ahead]:
        ask, left_s = ask_of(job, view), settings.wait_s - max(0.0, now - _since(job, now))
        good = holders(ask, reading[job.slurm_job_id], held, view, settings.share) if ask is not None else []
        if ask is None or left_s <= 0 or not _soon(ask, good, board, until, now + left_s):
            continue
        mine = groups if not job.partition else job.partition.split(",")
        others = {node.name for one in mine for node in groups.get(one, ())} - {*good}
        if others:
            why = f"{len(good)} other nodes hold the data that it reads."
            yield Avoid(job.slurm_job_id, tuple(sorted(others)), why)


def _since(job: JobRecord, now: float) -> float:
    """Since when it could have started; now for one that may not start yet."""
    return min(float(job.eligible_time), now) if job.eligible_time else now


def _soon(ask: Ask, good: list[str], board: Board, until: dict[str, float], by: float) -> bool:
    """Whether a job could start on nodes that hold its data by a time; then they are promised to it."""
    free = board.roomy(ask, good)
    others = (name for name in good if name in board.nodes and name not in free and name not in board.came)
    later = [name for name in others if until.get(name, inf) <= by and ask.fits(board.nodes[name])]
    names = [*free, *later][: ask.nodes]
    if len(names) < ask.nodes:
        return False
    board.promise(ask, names)
    return True


def admit(look_s: int, spec: JobSpec) -> JobSpec:
    """Let a job that reads data sets wait until it has been looked at. See Admit."""
    if not (look_s and spec.hints.datasets) or spec.begin is not None:
        return spec
    return msgspec.structs.replace(spec, begin=f"now+{look_s}seconds")


def _hooks(settings: Settings) -> list[Admit | Tick]:
    look: list[Admit | Tick] = [Admit(lambda spec, _: admit(settings.look_s, spec))] if settings.look_s else []
    return [*look, Tick(lambda view, now: tuple(tick(settings, view, now)), settings.period_s)]


PLUGIN = Plugin(name="data", api=PLUGIN_API, settings=Settings, hooks=_hooks)
