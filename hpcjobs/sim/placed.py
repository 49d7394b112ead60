"""What a job asks of each of its nodes (Need), and what it is given of them (Placed)."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hpcjobs.errors import Refusal, Refused
from hpcjobs.sim.workload import WHOLE_GPU, SimJob

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Need(NamedTuple):
    """What a job asks of each of its nodes. Jobs with an equal need fit the same nodes.

    Attributes:
        exclusive: Whether it wants the node for itself.
        cpus: CPUs.
        mem_bytes: Memory in bytes.
        gpus: Whole GPUs.
        milli: A share of one GPU in thousandths, for needs with no whole GPU.
        gpu_types: Types of GPU that will do; empty: any.
    """

    exclusive: bool = False
    cpus: int = 0
    mem_bytes: int = 0
    gpus: int = 0
    milli: int = 0
    gpu_types: tuple[str, ...] = ()

    @classmethod
    def of(cls, job: SimJob) -> Need:
        """That of a job."""
        return cls(
            job.exclusive, job.cpus_per_node, job.mem_per_node_bytes, job.gpus_per_node, job.gpu_milli, job.gpu_types
        )

    @property
    def gpu_milli(self) -> int:
        """Thousandths of GPUs on each node."""
        return self.gpus * WHOLE_GPU + self.milli

    def check(self) -> None:
        """See whether it makes sense.

        Raises:
            Refused: A count is negative, a share is more than a GPU, or is asked for beside whole GPUs.
        """
        faults = [
            Refusal(field, f"{field} is {count}, and cannot be below 0")
            for field, count in (
                ("cpus_per_node", self.cpus),
                ("mem_per_node_bytes", self.mem_bytes),
                ("gpus_per_node", self.gpus),
                ("gpu_milli", self.milli),
            )
            if count < 0
        ]
        if self.milli > WHOLE_GPU:
            faults.append(Refusal("gpu_milli", f"gpu_milli is {self.milli}, and a share is at most {WHOLE_GPU}"))
        if self.milli and self.gpus:
            faults.append(Refusal("gpu_milli", "a share of a GPU cannot be had beside whole GPUs"))
        if faults:
            raise Refused(faults)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """What a job has, or would have. Its arrays are not to be written to.

    Attributes:
        job: The job's number.
        nodes: Indices of its nodes in the fleet, ascending; shape (nodes,).
        cpus: CPUs on each of them; shape (nodes,).
        mem_bytes: Memory on each of them in bytes; shape (nodes,).
        milli: Thousandths of each GPU of each of them; shape (nodes, most GPUs that a node of the fleet has).
        exclusive: Whether it has them for itself.
    """

    job: int
    nodes: Ints
    cpus: Ints
    mem_bytes: Ints
    milli: Ints
    exclusive: bool = False

    @property
    def gpus(self) -> float:
        """GPUs of all its nodes, shares as fractions."""
        return int(self.milli.sum()) / WHOLE_GPU

    def gpu_indices(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the GPUs that it has, or has a share of, for each of its nodes."""
        return tuple(tuple(np.flatnonzero(row).tolist()) for row in self.milli)

    def split(self, keep: int) -> tuple[Placed, Placed]:
        """Its first ``keep`` nodes and the rest, as for a job that gives nodes back."""
        return self._part(slice(None, keep)), self._part(slice(keep, None))

    def _part(self, which: slice) -> Placed:
        return dataclasses.replace(
            self,
            nodes=self.nodes[which],
            cpus=self.cpus[which],
            mem_bytes=self.mem_bytes[which],
            milli=self.milli[which],
        )
