"""A cluster in memory: first come, first served, jobs that do nothing for as long as they are told.

For trying the service without Slurm, and for tests of what stands above a backend. It refuses with Slurm's own
error numbers, so that everything above cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hpcjobs.errors import NotSupported
from hpcjobs.model.account import Account
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.job import JobRecord, JobSpec
from hpcjobs.model.order import Estimate, Order
from hpcjobs.slurm.base import Launch, Op
from hpcjobs.slurm.errnos import error_of
from hpcjobs.slurm.states import read_state

DEFAULT_RUN_S = 60.0


class _Entry(msgspec.Struct):
    record: JobRecord
    spec: JobSpec
    ends_at: float = 0.0
    placed: tuple[str, ...] = ()


def gpus_per_node(spec: JobSpec, nodes: int) -> dict[str, int]:
    """GPUs that each node of a job must give, by type."""
    asked = spec.resources
    if asked.gpus_per_node is not None:
        return parse_gpus(str(asked.gpus_per_node))
    return {kind: -(-count // nodes) for kind, count in parse_gpus(str(asked.gpus or 0)).items() if count}


class SimulatedBackend:
    """One cluster.

    Args:
        cluster: Its name.
        nodes: What it is made of.
        run_s: How long a job runs whose script does not say ``sleep N`` in its last line.
        accounts: What its accounting says.
    """

    kind = "simulated"

    def __init__(
        self, cluster: str, nodes: Iterable[Node], run_s: float = DEFAULT_RUN_S, accounts: Iterable[Account] = ()
    ) -> None:
        self.cluster = cluster
        self.run_s = run_s
        self.now = 0.0
        self.known_accounts = tuple(accounts)
        self._nodes = {node.name: node for node in nodes}
        self._jobs: dict[int, _Entry] = {}

    def _fits(self, node: Node, wanted: dict[str, int], *, free: bool) -> bool:
        have = dict(node.gpus)
        if free:
            have = {kind: count - node.gpus_alloc.get(kind, 0) for kind, count in have.items()}
        return all((have.get(kind, 0) if kind else sum(have.values())) >= count for kind, count in wanted.items())

    def _candidates(self, spec: JobSpec, nodes: int, *, free: bool) -> list[str]:
        wanted = gpus_per_node(spec, nodes)
        partitions = set((spec.partition or "").split(",")) if spec.partition else None
        return [
            node.name
            for node in self._nodes.values()
            if (partitions is None or partitions & set(node.partitions))
            and (not free or node.usable)
            and self._fits(node, wanted, free=free)
        ]

    def _judge(self, spec: JobSpec) -> None:
        known = {name for node in self._nodes.values() for name in node.partitions}
        if spec.partition and not set(spec.partition.split(",")) <= known:
            raise error_of(2000, "Invalid partition name specified")
        nodes = spec.resources.nodes or 1
        if len(self._candidates(spec, nodes, free=False)) < nodes:
            raise error_of(2014, "Requested node configuration is not available")

    def _charge(self, entry: _Entry, sign: int) -> None:
        wanted = gpus_per_node(entry.spec, len(entry.placed) or 1)
        for name in entry.placed:
            node = self._nodes[name]
            alloc = dict(node.gpus_alloc)
            for kind, count in wanted.items():
                real = kind or next(iter(node.gpus))
                alloc[real] = alloc.get(real, 0) + sign * count
            self._nodes[name] = msgspec.structs.replace(node, gpus_alloc=alloc)

    def _set(self, entry: _Entry, raw_state: str, **facts: object) -> None:
        reason = str(facts.get("reason", ""))
        state, fate = read_state(raw_state, reason)
        entry.record = msgspec.structs.replace(
            entry.record, raw_state=raw_state, state=state, fate=fate, **{"reason": reason, **facts}
        )

    def advance(self, now: float) -> None:
        """Let the time pass: end what is due, start what fits, in order of submission."""
        self.now = now
        for entry in self._jobs.values():
            if entry.record.raw_state == "RUNNING" and entry.ends_at <= now:
                self._charge(entry, -1)
                self._set(entry, "COMPLETED", end_time=int(entry.ends_at))
        for entry in self._jobs.values():
            if entry.record.raw_state != "PENDING" or entry.spec.hold:
                continue
            nodes = entry.spec.resources.nodes or 1
            free = self._candidates(entry.spec, nodes, free=True)
            if len(free) < nodes:
                self._set(entry, "PENDING", reason="Resources")
                return
            entry.placed, entry.ends_at = tuple(free[:nodes]), now + self._run_s(entry.spec)
            self._charge(entry, 1)
            self._set(entry, "RUNNING", start_time=int(now), node_list=",".join(entry.placed))

    def _run_s(self, spec: JobSpec) -> float:
        words = spec.script.rstrip().rsplit("\n", 1)[-1].split()
        try:
            return float(words[1]) if len(words) == 2 and words[0] == "sleep" else self.run_s
        except ValueError:
            return self.run_s

    async def view(self, now: float) -> ClusterView:
        """See Backend."""
        self.advance(now)
        return ClusterView(
            self.cluster, now, {number: entry.record for number, entry in self._jobs.items()}, dict(self._nodes)
        )

    async def submit(self, user: str, launch: Launch) -> int:
        """See Backend."""
        self._judge(launch.spec)
        number = len(self._jobs) + 1
        spec = launch.spec
        record = JobRecord(
            slurm_job_id=number,
            attempt=launch.attempt,
            user=user,
            name=spec.name or "",
            account=spec.account or user,
            partition=spec.partition or "",
            comment=spec.comment or "",
            nodes=spec.resources.nodes or 1,
            ntasks=spec.resources.ntasks or 1,
            gpus=gpus_per_node(spec, 1),
            submit_time=int(self.now),
            workdir=spec.workdir or "",
            stdout=spec.stdout or f"{spec.workdir}/slurm-{number}.out",
        )
        self._jobs[number] = entry = _Entry(record, spec)
        self._set(entry, "PENDING", reason="JobHeldUser" if spec.hold else "Priority")
        return number

    async def find(self, user: str, attempt: str) -> int | None:
        """See Backend."""
        return next((number for number, entry in self._jobs.items() if entry.record.attempt == attempt), None)

    def lacks(self, op: Op, subject: Launch | Order | None = None) -> str:
        """See Backend."""
        return "" if op in (Op.VIEW, Op.FIND, Op.SUBMIT, Op.CANCEL) else "not yet"

    async def estimate(self, user: str, launch: Launch) -> Estimate:
        """See Backend."""
        raise NotSupported("not yet")

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        """See Backend."""
        raise NotSupported("not yet")

    async def act(self, user: str, order: Order) -> None:
        """See Backend."""
        entry = self._jobs.get(int(order.target))
        if entry is None:
            raise error_of(2017, "Invalid job id specified")
        if entry.record.fate is not None:
            raise error_of(2021, "Job/step already completing or completed")
        if entry.record.raw_state == "RUNNING":
            self._charge(entry, -1)
        self._set(entry, "CANCELLED", end_time=int(self.now))

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend."""
        return self.known_accounts

    async def close(self) -> None:
        """See Backend."""
