"""Usage made by hand: runs in a store of their own."""

from __future__ import annotations

from typing import Any

import duckdb

from hpcjobs.model.usage import NodeKind
from hpcjobs.usage.intake import write_nodes
from hpcjobs.usage.samples import Sample, write_samples
from hpcjobs.usage.tables import TABLES

COLUMNS = {
    "run": 0, "cluster": "north", "slurm_job_id": 0, "submit_time": 0, "eligible_time": None, "start_time": None,
    "end_time": None, "user": "alice", "account": "vision", "partition": "gpu", "qos": "normal",
    "raw_state": "COMPLETED", "suspended_s": 0, "wall_s": None, "nodes": 1, "cpus": 1, "mem_bytes": 0,
    "node_list": "n1", "tres_alloc": "", "tres_req": "", "exclusive": None, "exit_code": 0, "exit_signal": 0,
    "restarts": 0, "reason": "", "cpu_used_s": None, "mem_max_bytes": None, "energy_j": None, "array_job_id": None,
    "het_job_id": None, "reservation": "", "wckey": "",
}  # fmt: skip


class Usage:
    """Tables of usage in memory.

    Args:
        read_until: How far accounting has been read.
    """

    def __init__(self, read_until: int = 2_000_000_000) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(TABLES)
        for cluster in ("north", "south"):
            self.connection.execute("INSERT INTO clusters (cluster, read_until) VALUES (?, ?)", [cluster, read_until])
        self._runs = 0

    def run(self, start: int | None, end: int | None, *gpus: tuple[str, int, float, float], **fields: Any) -> int:
        """One run with its GPUs: kind, devices, equivalent and held of each kind."""
        self._runs += 1
        row = COLUMNS | {"run": self._runs, "slurm_job_id": self._runs, "submit_time": (start or end or 0) - 10}
        row |= {"start_time": start, "end_time": end} | fields
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        self.connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", list(row.values()))
        for kind, devices, equivalent, held in gpus:
            self.connection.execute(
                "INSERT INTO run_gpus (run, kind, sharing, devices, equivalent, held, basis) VALUES (?,?,?,?,?,?,?)",
                [self._runs, kind, "", devices, equivalent, held, "named"],
            )
        return self._runs

    def node(self, name: str, since: int, gres: str, usable: bool = True) -> None:
        """What a node has from some time on."""
        write_nodes(self.connection, "north", [NodeKind(name, since, gres, 64, usable)])

    def sample(
        self, job: int, node: str, bucket: int, kind: str, busy_s: float = 100.0, energy_j: float | None = None
    ) -> None:
        """Five minutes of one device."""
        told = Sample(
            node=node, device="0", kind=kind, bucket=bucket, slurm_job_id=job, samples=10, covered_s=300.0,
            busy_s=busy_s, energy_j=energy_j,
        )  # fmt: skip
        write_samples(self.connection, "north", [told])
