"""Fragmentation of one node for a mix of jobs, shares of GPUs included. Pure.

It is F_n(M) of Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient
Descent", USENIX ATC 2023, section 3.2, as in hpcjobs/sim/fgd.py, which has it as tables for a whole fleet; a test holds
the two together. Of what is free of a node's GPUs, in GPUs, a job of shape m cannot use

    F_n(m) = all of it                                          where m does not fit on n,
             the sum of R_g over GPUs g with R_g < D_m          else,

with R_g what is free of GPU g and D_m what m needs of one: a whole GPU, or so many parts of those that g has. A GPU
that is not shared as m asks for it is of no use to it. As on Slurm, and unlike the paper, memory is heeded, and a job
gets the first GPUs that will do (measured: hpcjobs/model/shards.py), not those on which the least is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from hpcjobs.model.shards import Gpu, Share


class Shape(NamedTuple):
    """What a job asks of one node.

    Attributes:
        gpus: Whole GPUs.
        cpus: CPUs.
        mem_bytes: Memory in bytes.
        sharing: What it has a share by of one GPU, ``shard`` or ``mps``; ``""``: it has none.
        parts: How many parts.
    """

    gpus: int
    cpus: int
    mem_bytes: int
    sharing: str = ""
    parts: int = 0

    def room(self, gpus: tuple[Gpu, ...]) -> list[int]:
        """Which of some GPUs it could have, or its share of, in the order in which Slurm takes them."""
        return _room(gpus, self.sharing, self.parts)


def _room(gpus: tuple[Gpu, ...], sharing: str, parts: int) -> list[int]:
    return Share(sharing, parts).room(gpus) if parts else [place for place, gpu in enumerate(gpus) if gpu.free]


@lru_cache(maxsize=2**12)
def _able(gpus: tuple[Gpu, ...], sharing: str, parts: int) -> tuple[int, float]:
    """How many of some GPUs a job could have, or its share of, and what is free of these together, in GPUs."""
    able = _room(gpus, sharing, parts)
    return len(able), sum(gpus[place].fraction for place in able)


Mix = Sequence[tuple[Shape, float]]
"""Shapes of jobs, each with its share of all, from 0 to 1."""


class Left(NamedTuple):
    """What is free on a node.

    Attributes:
        plain: GPUs that are free and cannot be had in shares.
        cpus: CPUs.
        mem_bytes: Memory in bytes.
        shared: The GPUs of which shares can be had, in Slurm's order.
    """

    plain: int
    cpus: int
    mem_bytes: int
    shared: tuple[Gpu, ...] = ()

    @property
    def gpus(self) -> float:
        """What is free of all GPUs, in GPUs."""
        return self.plain + sum(gpu.fraction for gpu in self.shared)

    def usable(self, shape: Shape) -> float:
        """What of them a job can use, in GPUs; 0 where it does not fit."""
        if self.cpus < shape.cpus or self.mem_bytes < shape.mem_bytes:
            return 0.0
        plain = 0 if shape.parts else self.plain
        number, able = _able(self.shared, shape.sharing, shape.parts) if self.shared else (0, 0.0)
        return plain + able if plain + number >= max(shape.gpus, 1) else 0.0

    def after(self, shape: Shape) -> Left:
        """What is free when a job that fits has come."""
        cpus, mem_bytes = self.cpus - shape.cpus, self.mem_bytes - shape.mem_bytes
        if not self.shared:
            return Left(self.plain - shape.gpus, cpus, mem_bytes)
        shared, wanted = list(self.shared), 1 if shape.parts else shape.gpus
        places = shape.room(self.shared)[:wanted]
        for place in places:
            gpu = shared[place]
            shared[place] = gpu._replace(used=gpu.used + shape.parts) if shape.parts else gpu.given()
        return Left(self.plain - wanted + len(places), cpus, mem_bytes, tuple(shared))


def fragmented(left: Left, mix: Mix) -> float:
    """F_n(M): what is free of a node's GPUs and of no use to the next job, on average, in GPUs."""
    free = left.gpus
    return sum(share * (free - left.usable(shape)) for shape, share in mix) if free else 0.0


def growth(left: Left, mix: Mix) -> float | None:
    """By how many GPUs that grows when a node takes one of the jobs that fit, on average; None: none fits."""
    fit = [(shape, share) for shape, share in mix if left.usable(shape)]
    if not fit:
        return None
    after = sum(share * fragmented(left.after(shape), mix) for shape, share in fit)
    return after / sum(share for _, share in fit) - fragmented(left, mix)
