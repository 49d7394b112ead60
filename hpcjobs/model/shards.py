"""Shares of GPUs: shards (gres/shard) and parts for NVIDIA's MPS (gres/mps), on nodes and as jobs ask for them. Pure.

Of a node with four GPUs of eight shards, of which two have some in use and one is given as a whole, Slurm writes::

    gres       gpu:h100:4,shard:h100:32
    gres_used  gpu:h100:1(IDX:2),shard:h100:11(3/8,8/8,-/8,0/8)    26.05
               gpu:h100:1(IDX:2),shard:h100:11(3/8,8/8,0/8,0/8)    24.11: only the index tells of the third

Indices count the GPUs of all types together, in the order in which the types stand. Slurm gives no GPU as a whole of
which a share is in use, nor shares of one that is given as a whole, and a job's share on a node is of one GPU: the
first with room (measured on both; tests/slurm/test_policies_shards.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from hpcjobs.model.cluster import Node
from hpcjobs.model.gres import UNTYPED, entries_of_node, gpus_of_gres, parse_node_gres
from hpcjobs.model.job import JobFacts

SHARD: Final = "shard"
ONE_AT_A_TIME: Final = "mps"
"""Slurm gives parts of one GPU of a node at a time of this (measured on 24.11 and 26.05)."""
SHARING: Final = (SHARD, ONE_AT_A_TIME)
"""Slurm's names of what a GPU is shared by; a node has one of them."""

_OF_GPU: Final = re.compile(r"(\d+|-)/(\d+)")
_INDEX: Final = re.compile(r"(\d+)(?:-(\d+))?")


class Gpu(NamedTuple):
    """One GPU of which shares can be had.

    Attributes:
        kind: Its type (``""`` untyped).
        sharing: What it is shared by, ``shard`` or ``mps``.
        parts: Into how many parts.
        used: Parts in use; all of them where it is given as a whole.
        whole: Whether one job has it as a whole.
    """

    kind: str
    sharing: str
    parts: int
    used: int = 0
    whole: bool = False

    @property
    def left(self) -> int:
        """Parts that are free."""
        return self.parts - self.used

    @property
    def free(self) -> bool:
        """Whether it can be given as a whole."""
        return not self.used

    @property
    def begun(self) -> bool:
        """Whether jobs have shares of it."""
        return self.used > 0 and not self.whole

    @property
    def fraction(self) -> float:
        """What is free of it, from 0 to 1."""
        return self.left / self.parts

    def given(self) -> Gpu:
        """The same when a job has it as a whole."""
        return self._replace(used=self.parts, whole=True)

    def back(self) -> Gpu:
        """The same when nobody has any of it."""
        return self._replace(used=0, whole=False)


class Share(NamedTuple):
    """What a job asks of one GPU of each of its nodes.

    Attributes:
        sharing: ``shard`` or ``mps``.
        parts: How many.
        kind: Type of the GPU; ``""``: any.
    """

    sharing: str
    parts: int
    kind: str = UNTYPED

    @property
    def text(self) -> str:
        """As a request of each node says it: ``gres/shard:h100:2``."""
        return ":".join(filter(None, (f"gres/{self.sharing}", self.kind, str(self.parts))))

    def room(self, gpus: Sequence[Gpu]) -> list[int]:
        """Which of a node's GPUs have so much left, the one that Slurm takes first.

        Args:
            gpus: All of them that can be shared, in Slurm's order.
        """
        one = self.sharing == ONE_AT_A_TIME and any(gpu.begun for gpu in gpus)
        return [
            place
            for place, gpu in enumerate(gpus)
            if gpu.sharing == self.sharing
            and gpu.left >= self.parts
            and self.kind in (UNTYPED, gpu.kind)
            and (gpu.begun or not one)
        ]


def _indices(detail: str) -> Iterator[int]:
    """``IDX:0-2,5`` as numbers; none for ``IDX:N/A``."""
    if detail.startswith("IDX:"):
        for first, last in _INDEX.findall(detail):
            yield from range(int(first), int(last or first) + 1)


@lru_cache(maxsize=10_000)
def shared_gpus(gres: str, gres_used: str) -> tuple[Gpu, ...]:
    """The GPUs of a node that can be had in shares, one by one.

    Args:
        gres: What the node has, as Slurm writes it.
        gres_used: What of it is in use. Where it does not say what of which GPU, as before a node's slurmd has
            answered, shares are even and none is in use.

    Returns:
        In Slurm's order; empty where the node has no shares.
    """
    sharing = next((name for name in SHARING if parse_node_gres(gres, name)), "")
    if not sharing:
        return ()
    kinds = [kind for kind, count in parse_node_gres(gres).items() for _ in range(count)]
    parts = parse_node_gres(gres, sharing)
    taken: set[int] = set()
    told: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for entry in entries_of_node(gres_used):
        if entry.name == "gpu":
            taken.update(_indices(entry.detail))
        elif entry.name == sharing:
            told[entry.kind] += _OF_GPU.findall(entry.detail)
    found = []
    for index, kind in enumerate(kinds):
        own = kind if kind in parts else UNTYPED
        peers = kinds.count(kind) if kind in parts else len(kinds)
        place = index - kinds.index(kind) if kind in parts else index
        used, many = told[own][place] if place < len(told[own]) else ("0", str(parts.get(own, 0) // peers))
        if int(many):
            gpu = Gpu(kind, sharing, int(many), 0 if used == "-" else int(used))
            found.append(gpu.given() if index in taken or used == "-" else gpu)
    return tuple(found)


def shared_texts(gpus: Sequence[Gpu]) -> tuple[str, str]:
    """The texts of which shared_gpus reads GPUs: what a node has, and what is in use.

    Args:
        gpus: All GPUs of a node, of one type.
    """
    kind, sharing = gpus[0].kind, gpus[0].sharing
    wholes, shares = (f"{name}:{kind}" if kind else name for name in ("gpu", sharing))
    whole = [str(place) for place, gpu in enumerate(gpus) if gpu.whole]
    parts = ",".join(f"{'-' if gpu.whole else gpu.used}/{gpu.parts}" for gpu in gpus)
    used = sum(gpu.used for gpu in gpus if not gpu.whole)
    gres = f"{wholes}:{len(gpus)},{shares}:{sum(gpu.parts for gpu in gpus)}"
    return gres, f"{wholes}:{len(whole)}(IDX:{','.join(whole) or 'N/A'}),{shares}:{used}({parts})"


def shared_gpus_of(node: Node) -> tuple[Gpu, ...]:
    """The GPUs of a node that can be had in shares, one by one; see shared_gpus."""
    return shared_gpus(node.particulars.gres, node.particulars.gres_used)


def free_gpus(node: Node) -> dict[str, int]:
    """How many GPUs of a node can be given as a whole, by type: no job has them or a share of them."""
    free = {kind: count - node.gpus_alloc.get(kind, 0) for kind, count in node.gpus.items()}
    for gpu in shared_gpus_of(node):
        if gpu.begun:
            free[gpu.kind] = free.get(gpu.kind, 0) - 1
    return {kind: max(0, count) for kind, count in free.items()}


def gpus_in_use(node: Node) -> float:
    """How many GPUs of a node are in use, shares as fractions."""
    shares = sum(1 - gpu.fraction for gpu in shared_gpus_of(node) if not gpu.whole)
    return sum(node.gpus_alloc.values()) + shares


@lru_cache(maxsize=10_000)
def _asked(text: str) -> Share | None:
    """The share in a request, as ``gres/shard:3``, ``shard:h100:2`` or ``cpu=1,gres/mps=30``; None: there is none."""
    for sharing in SHARING:
        for kind, parts in gpus_of_gres(text.replace("=", ":"), sharing).items():
            return Share(sharing, parts, kind)
    return None


def share_of(job: JobFacts) -> Share | None:
    """What a job asks of one GPU of each of its nodes, or has of it.

    Returns:
        None: it asks for no share, as one that asks for whole GPUs: Slurm refuses both in one request. What tasks ask
        for is that of all tasks on a node, evenly.
    """
    if job.gpus:
        return None
    told, nodes = job.particulars, max(1, job.nodes)
    for text, times, over in (
        (told.tres_per_node, 1, 1),
        (told.tres_per_socket, 1, 1),
        (told.tres_per_task, -(-job.ntasks // nodes), 1),
        (told.tres_per_job, 1, nodes),
        (told.tres_alloc or told.tres_req, 1, nodes),
    ):
        share = _asked(text) if text else None
        if share is not None:
            return share._replace(parts=-(-share.parts * max(1, times) // over))
    return None
