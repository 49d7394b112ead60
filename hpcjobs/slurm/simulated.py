"""A cluster in memory: first come, first served, jobs that do nothing for as long as they are told.

For trying the service without Slurm, and for tests of what stands above a backend. It refuses with Slurm's own
error numbers, so that everything above cannot tell the difference. What can be done to its jobs is in
``simulated_orders``, to nodes and reservations in ``simulated_cluster``.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hpcjobs.model.account import Account
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.job import JobRecord
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Estimate, Order
from hpcjobs.model.partition import Partition
from hpcjobs.model.reservation import Reservation, ReservationFlag, ReservationOrder
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.spans import fold_tasks
from hpcjobs.model.spec import JobSpec
from hpcjobs.model.tenant import Ledger, LedgerOrder
from hpcjobs.model.usage import Run
from hpcjobs.sbatch.hostlists import fold_hostlist
from hpcjobs.slurm.base import Launch, Op, Subject
from hpcjobs.slurm.cluster_orders import check_nodes, check_reservation, retold
from hpcjobs.slurm.errnos import error_of
from hpcjobs.slurm.sacct_runs import run_of
from hpcjobs.slurm.simulated_cluster import changed_node, check_access, kept_from, reserved
from hpcjobs.slurm.simulated_history import accounted_of
from hpcjobs.slurm.simulated_ledger import SITES_QOS, entered, ledger_of
from hpcjobs.slurm.simulated_orders import Entry, carry_out
from hpcjobs.slurm.simulated_particulars import particulars_of
from hpcjobs.slurm.states import read_state
from hpcjobs.slurm.targets import expand_tasks

DEFAULT_RUN_S = 60.0


def gpus_per_node(spec: JobSpec, nodes: int) -> dict[str, int]:
    """GPUs that each node of a job must give, by type."""
    asked = spec.resources
    if each := asked.gpus_each_node:
        return each
    return {kind: -(-count // nodes) for kind, count in parse_gpus(str(asked.gpus or 0)).items() if count}


def partitions_of_nodes(nodes: Iterable[Node]) -> list[Partition]:
    """The partitions that nodes name, without limits; the first is the default."""
    members: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.partitions:
            members.setdefault(name, []).append(node)
    return [
        Partition(
            name=name,
            default=not at,
            nodes=fold_hostlist(node.name for node in inside),
            total_nodes=len(inside),
            total_cpus=sum(node.cpus for node in inside),
            preempt_mode="OFF",
        )
        for at, (name, inside) in enumerate(members.items())
    ]


class SimulatedBackend:
    """One cluster.

    Args:
        cluster: Its name.
        nodes: What it is made of.
        run_s: How long a job runs whose script does not say ``sleep N`` in its last line.
        operators: Users who may act on everybody's jobs.
        accounts: What its accounting says.
        partitions: Its partitions; None: those that the nodes name, the first of them the default.
        users_suspend: Whether users suspend their own jobs, as Slurm 26.05 lets them; 24.11 leaves it to operators.
    """

    kind = "simulated"

    def __init__(
        self,
        cluster: str,
        nodes: Iterable[Node],
        run_s: float = DEFAULT_RUN_S,
        operators: Iterable[str] = ("hpcjobs",),
        accounts: Iterable[Account] = (),
        *,
        users_suspend: bool = True,
        partitions: Iterable[Partition] | None = None,
    ) -> None:
        self.cluster = cluster
        self.run_s = run_s
        self.operators = frozenset(operators)
        self.known_accounts = tuple(accounts)
        self.known_scheduling = Scheduling(enforced=("associations", "limits", "qos"), weights={"qos": 1})
        self.known_ledger = ledger_of(self.known_accounts)
        self.known_tres = frozenset({"cpu", "mem", "node", "gres/gpu"})
        self.users_suspend = users_suspend
        self.now = 0.0
        self._nodes = {node.name: node for node in nodes}
        found = partitions_of_nodes(self._nodes.values()) if partitions is None else partitions
        self._partitions = {partition.name: partition for partition in found}
        self._reservations: dict[str, Reservation] = {}
        self._jobs: dict[int, Entry] = {}

    def lacks(self, op: Op, subject: Subject | None = None) -> str:
        """See Backend: it can do everything."""
        return ""

    def _fits(self, node: Node, wanted: dict[str, int], *, free: bool) -> bool:
        have = dict(node.gpus)
        if free:
            have = {kind: count - node.gpus_alloc.get(kind, 0) for kind, count in have.items()}
        return all((have.get(kind, 0) if kind else sum(have.values())) >= count for kind, count in wanted.items())

    def _candidates(self, spec: JobSpec, nodes: int, *, free: bool) -> list[str]:
        wanted = gpus_per_node(spec, nodes)
        partitions = set((spec.partition or "").split(",")) if spec.partition else None
        until = self.now + (spec.resources.wall_s or 0)
        kept = kept_from(spec.reservation or "", self._reservations, self._nodes, self.now, until) if free else set()
        fitting = [
            node
            for node in self._nodes.values()
            if (partitions is None or partitions & set(node.partitions))
            and (not free or node.usable)
            and node.name not in kept
            and self._fits(node, wanted, free=free)
        ]
        return [node.name for node in sorted(fitting, key=lambda node: node.particulars.weight)]

    def judge(self, spec: JobSpec, user: str) -> None:
        """Refuse what can never run here.

        Raises:
            Refused: As Slurm does.
        """
        if spec.reservation:
            check_access(spec.reservation, self._reservations, user, self.known_accounts)
        known = {name for node in self._nodes.values() for name in node.partitions}
        if spec.partition and not set(spec.partition.split(",")) <= known:
            raise error_of(2000, "Invalid partition name specified")
        nodes = spec.resources.nodes or 1
        if len(self._candidates(spec, nodes, free=False)) < nodes:
            raise error_of(2014, "Requested node configuration is not available")

    def _charge(self, entry: Entry, sign: int) -> None:
        wanted = gpus_per_node(entry.spec, len(entry.placed) or 1)
        for name in entry.placed:
            node = self._nodes[name]
            alloc = dict(node.gpus_alloc)
            for kind, count in wanted.items():
                real = kind or next(iter(node.gpus))
                alloc[real] = alloc.get(real, 0) + sign * count
            self._nodes[name] = msgspec.structs.replace(node, gpus_alloc=alloc)

    def set_state(self, entry: Entry, raw_state: str, **facts: object) -> None:
        """Write a state and what goes with it into a job's record."""
        reason = str(facts.get("reason", ""))
        state, fate = read_state(raw_state, reason)
        entry.record = msgspec.structs.replace(
            entry.record, raw_state=raw_state, state=state, fate=fate, **{"reason": reason, **facts}
        )

    def let_go(self, entry: Entry) -> None:
        """Give back what a job holds."""
        self._charge(entry, -1)
        entry.placed = ()

    def split(self, entry: Entry, task: int) -> Entry:
        """Make a job of its own of a task that waits together with others; the last one keeps the number."""
        entry.waiting = [other for other in entry.waiting if other != task]
        own = entry
        if entry.waiting:
            number = max(self._jobs) + 1
            own = Entry(msgspec.structs.replace(entry.record, slurm_job_id=number), entry.spec)
            self._jobs[number] = own
            self.rename(entry)
        own.record = msgspec.structs.replace(own.record, array_task=str(task))
        return own

    def rename(self, entry: Entry) -> None:
        """Write the tasks that wait together into the record, as Slurm prints them."""
        limit = f"%{entry.parallel}" if entry.parallel else ""
        entry.record = msgspec.structs.replace(entry.record, array_task=f"{fold_tasks(entry.waiting)}{limit}")

    def _may_start(self, entry: Entry) -> bool:
        if entry.record.raw_state != "PENDING" or entry.held or entry.record.eligible_time > self.now:
            return False
        if not entry.parallel:
            return True
        array = [job for job in self._jobs.values() if job.record.array_job_id == entry.record.array_job_id]
        return sum(job.record.raw_state in ("RUNNING", "SUSPENDED") for job in array) < entry.parallel

    def advance(self, now: float) -> None:
        """Let the time pass: end what is due, start what fits, in order of submission."""
        self.now = now
        for reservation in [one for one in self._reservations.values() if one.end <= now]:
            self._close(reservation)
        for entry in self._jobs.values():
            if entry.record.raw_state == "RUNNING" and entry.ends_at <= now:
                self.let_go(entry)
                self.set_state(entry, "COMPLETED", end_time=int(entry.ends_at))
        for entry in list(self._jobs.values()):
            while self._may_start(entry):
                nodes = entry.spec.resources.nodes or 1
                free = self._candidates(entry.spec, nodes, free=True)
                if len(free) < nodes:
                    self.set_state(entry, "PENDING", reason="Resources")
                    return
                starting = self.split(entry, entry.waiting[0]) if entry.waiting else entry
                starting.placed, starting.ends_at = tuple(free[:nodes]), now + self._run_s(entry.spec)
                self._charge(starting, 1)
                self.set_state(starting, "RUNNING", start_time=int(now), node_list=",".join(starting.placed))

    def _close(self, reservation: Reservation) -> None:
        """Take a reservation away; what still waits in it is held, unless it was made otherwise."""
        del self._reservations[reservation.name]
        hold = ReservationFlag.NO_HOLD_JOBS not in reservation.flags
        for entry in self._jobs.values():
            if entry.spec.reservation == reservation.name and entry.record.raw_state == "PENDING":
                entry.spec = msgspec.structs.replace(entry.spec, reservation=None)
                entry.held = entry.held or hold
                entry.record = msgspec.structs.replace(entry.record, particulars=particulars_of(entry.spec))
                self.set_state(entry, "PENDING", reason="ReservationDeleted" if hold else entry.record.reason)

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
            self.cluster,
            now,
            {number: entry.record for number, entry in self._jobs.items()},
            dict(self._nodes),
            self._partitions,
            reservations=dict(self._reservations),
        )

    async def submit(self, user: str, launch: Launch) -> int:
        """See Backend."""
        self.judge(launch.spec, user)
        number = max(self._jobs, default=0) + 1
        spec = launch.spec
        tasks = spec.array
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
            wall_s=spec.resources.wall_s,
            submit_time=int(self.now),
            eligible_time=0 if spec.hold else int(self.now),
            workdir=spec.workdir or "",
            stdout=spec.stdout or f"{spec.workdir}/slurm-{number}.out",
            array_job_id=number if tasks else 0,
            particulars=particulars_of(spec),
        )
        self._jobs[number] = entry = Entry(record, spec, held=bool(spec.hold))
        if tasks:
            entry.waiting, entry.parallel = expand_tasks(tasks), int(tasks.partition("%")[2] or 0)
            self.rename(entry)
        self.set_state(entry, "PENDING", reason="JobHeldUser" if spec.hold else "Priority")
        return number

    async def find(self, user: str, attempt: str) -> int | None:
        """See Backend."""
        mine = (number for number, entry in self._jobs.items() if entry.record.user == user)
        return next((number for number in mine if self._jobs[number].record.attempt == attempt), None)

    async def act(self, user: str, order: Order) -> None:
        """See Backend."""
        carry_out(self, self._jobs, user, order)

    async def act_nodes(self, order: NodeOrder) -> None:
        """See Backend."""
        check_nodes(order)
        with retold("hpcjobs", order):
            if not set(order.nodes) <= self._nodes.keys():
                raise error_of(2018, "Invalid node name specified")
            self._nodes |= {name: changed_node(self._nodes[name], order) for name in order.nodes}

    async def reserve(self, order: ReservationOrder) -> None:
        """See Backend."""
        check_reservation(order)
        running = [entry for entry in self._jobs.values() if entry.record.raw_state == "RUNNING"]
        busy_until: dict[str, float] = {}
        for entry in running:
            until = entry.record.start_time + (entry.record.wall_s or 0)
            busy_until |= {name: max(until, busy_until.get(name, 0.0)) for name in entry.placed}
        with retold("hpcjobs", order):
            after = reserved(order, self._reservations, self._nodes, busy_until, self.now)
            if after is not None:
                self._reservations[after.name] = after
            elif any(entry.spec.reservation == order.name and not entry.ended for entry in self._jobs.values()):
                raise error_of(2055, "Requested reservation is in use")
            else:
                self._close(self._reservations[order.name])

    async def estimate(self, user: str, launch: Launch) -> Estimate:
        """See Backend: the first moment at which enough of what runs now has ended."""
        spec = launch.spec
        self.judge(spec, user)
        running = [entry for entry in self._jobs.values() if entry.record.raw_state == "RUNNING"]
        count, kept = spec.resources.nodes or 1, dict(self._nodes)
        start = self.now
        try:
            for entry in [None, *sorted(running, key=lambda entry: entry.ends_at)]:
                if entry is not None:
                    self._charge(entry, -1)
                    start = entry.ends_at
                free = self._candidates(spec, count, free=True)
                if len(free) >= count:
                    nodes = ",".join(free[:count])
                    return Estimate(int(start), nodes, spec.partition or "", spec.resources.ntasks or 1)
        finally:
            self._nodes = kept
        raise error_of(2015, "Requested partition configuration not available now")

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        """See Backend."""
        return accounted_of((entry.record for entry in self._jobs.values()), query, self.now)

    async def runs(self, since: int, until: int) -> tuple[Run, ...]:
        """See Backend."""
        query = HistoryQuery(since=since, until=until, steps=True, duplicates=True)
        return tuple(map(run_of, await self.history(query)))

    async def scheduling(self) -> Scheduling:
        """See Backend."""
        return self.known_scheduling

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend."""
        return self.known_accounts

    async def ledger(self) -> Ledger:
        """See Backend."""
        owners = {setting.of: setting.project for setting in self.known_ledger if setting.field == "qos"}
        return Ledger(dict(self.known_ledger), self.known_tres, owners | dict.fromkeys(SITES_QOS, ""))

    async def enter(self, order: LedgerOrder) -> None:
        """See Backend."""
        entered(order, self.known_ledger)

    async def close(self) -> None:
        """See Backend."""
