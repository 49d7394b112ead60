"""The backend that goes through ssh: Slurm's own commands on a login node, each user's as that user."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Final, TypeVar

import msgspec

from hpcjobs.errors import HpcjobsError, NotSupported, OutcomeUnknown, SlurmUnavailable
from hpcjobs.model.account import Account
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Estimate, Order, Verb
from hpcjobs.model.reservation import ReservationOrder, ReservationVerb
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.tenant import Ledger, LedgerOrder
from hpcjobs.model.usage import Run
from hpcjobs.slurm import cluster_commands, configuration, ledger
from hpcjobs.slurm import slurm_commands as commands
from hpcjobs.slurm.accounting import SACCTMGR, AccountsTold, accounts_of
from hpcjobs.slurm.base import Launch, Op, Subject
from hpcjobs.slurm.cluster_orders import check_nodes, check_reservation, retold
from hpcjobs.slurm.errnos import NO_LONGER, error_of
from hpcjobs.slurm.history import can_be_any, history_words
from hpcjobs.slurm.ledger_qos import QOS
from hpcjobs.slurm.openapi import Reply, ReservationsTold, decode, record_of
from hpcjobs.slurm.openapi_accounting import AccountingReply, accounted_of
from hpcjobs.slurm.openapi_cluster import node_of
from hpcjobs.slurm.openapi_reservations import reservation_of
from hpcjobs.slurm.outcomes import verdict
from hpcjobs.slurm.printed_partitions import WORDS as PARTITIONS
from hpcjobs.slurm.printed_partitions import partitions_of
from hpcjobs.slurm.sacct_runs import new_delimiter, runs_printed, runs_words
from hpcjobs.slurm.ssh_transport import AnswerLost, NotSent, Ran, SshPool
from hpcjobs.slurm.targets import Target, expand_tasks, parse_target, signal_number

T = TypeVar("T", Reply, ReservationsTold, AccountingReply, AccountsTold)

COMMAND_S: Final = 25
"""After so many seconds a command is killed where it runs."""

LISTING_S: Final = 60
ANSWER_S: Final = 5.0
"""How much longer we wait for the answer than the command may run, in seconds."""

LISTING_BYTES: Final = 512 * 1024 * 1024
KILLED: Final = frozenset({124, 137})
"""Exit statuses of timeout(1) for a command that took too long."""

UNEXPECTED_MESSAGE: Final = "Unexpected message received"
"""What scontrol says of a job that is not there when it is to suspend or resume it."""


class SshBackend:
    """One cluster through a login node.

    Args:
        cluster: Its name.
        pool: Connections to the login node.
        observer: The user that lists all jobs; an operator in Slurm's accounting.
    """

    kind = "ssh"

    def __init__(self, cluster: str, pool: SshPool, observer: str) -> None:
        self.cluster = cluster
        self.pool = pool
        self.observer = observer

    def lacks(self, op: Op, subject: Subject | None = None) -> str:
        """See Backend."""
        if op is Op.SUBMIT and isinstance(subject, Launch):
            names = commands.reserved_variables(subject)
            if names:
                return f"sbatch would take {', '.join(sorted(names))} of the job's environment for its own options"
        return ""

    async def _run(
        self,
        user: str,
        script: str,
        limit_s: int = COMMAND_S,
        most_bytes: int = 1 << 20,
        *,
        again: bool = True,
        changing: bool = False,
    ) -> Ran:
        """Run a command; a second time where the first answer is lost, unless ``again`` says that this does harm.

        Raises:
            SlurmUnavailable: The login node does not answer, or the command took too long.
            OutcomeUnknown: The same of what is ``changing`` something, once it may have run.
        """
        lost = OutcomeUnknown if changing else SlurmUnavailable
        for first in (True, False):
            try:
                ran = await self.pool.run(user, script, limit_s + ANSWER_S, most_bytes)
            except NotSent as error:
                kind = SlurmUnavailable if first else lost
                raise kind(f"The login node of cluster {self.cluster!r} does not answer: {error}.") from error
            except AnswerLost as error:
                if first and again:
                    continue
                raise lost(f"The login node of cluster {self.cluster!r} did not answer: {error}.") from error
            if ran.status in KILLED:
                raise lost(f"A command on cluster {self.cluster!r} did not end within {limit_s} s.")
            return ran
        raise AssertionError

    def _away(self, error: Exception) -> SlurmUnavailable:
        return SlurmUnavailable(f"The login node of cluster {self.cluster!r} does not answer: {error}.")

    async def _words(self, user: str, words: list[str], limit_s: int = COMMAND_S, most_bytes: int = 1 << 20) -> Ran:
        return await self._run(user, commands.plain_script(words, limit_s), limit_s, most_bytes)

    async def view(self, now: float) -> ClusterView:
        """See Backend."""
        listings = [["scontrol", "show", what, "--json"] for what in ("jobs", "nodes", "reservations")]
        ran = [self._words(self.observer, words, LISTING_S, LISTING_BYTES) for words in (*listings, list(PARTITIONS))]
        jobs, nodes, reservations, partitions = await asyncio.gather(*ran)
        if partitions.status:
            raise commands.fault_of(partitions.err)
        return ClusterView(
            self.cluster,
            now,
            {job.job_id: record_of(job) for job in self._document(jobs, Reply).jobs},
            {node.name: node_of(node) for node in self._document(nodes, Reply).nodes},
            {partition.name: partition for partition in partitions_of(partitions.out.decode(errors="replace"))},
            reservations={
                words.name: reservation_of(words)
                for words in self._document(reservations, ReservationsTold).reservations
            },
        )

    async def scheduling(self) -> Scheduling:
        """See Backend."""
        ran = await self._words(self.observer, list(configuration.WORDS))
        if ran.status:
            raise commands.fault_of(ran.err)
        return configuration.printed_scheduling(ran.out.decode(errors="replace"))

    def _document(self, ran: Ran, kind: type[T]) -> T:
        """A document that a command printed.

        Raises:
            HpcjobsError: The command failed, or it printed something else.
        """
        if ran.status:
            raise commands.fault_of(ran.err)
        try:
            reply = decode(ran.out, kind)
        except msgspec.MsgspecError as error:
            raise SlurmUnavailable(f"Slurm on cluster {self.cluster!r} prints what we cannot read: {error}.") from error
        for fault in reply.errors:
            raise error_of(fault.error_number, fault.error or fault.description or "an error without words")
        return reply

    async def submit(self, user: str, launch: Launch) -> int:
        """See Backend."""
        self._check(Op.SUBMIT, launch)
        try:
            ran = await self.pool.run(user, commands.submit_script(launch, COMMAND_S), COMMAND_S + ANSWER_S)
        except NotSent as error:
            raise self._away(error) from error
        except AnswerLost as error:
            raise OutcomeUnknown(f"The login node did not answer the submission: {error}.") from error
        if ran.status in KILLED:
            raise OutcomeUnknown(f"sbatch did not end within {COMMAND_S} s.")
        if ran.status:
            raise commands.fault_of(ran.err, changing=True)
        return commands.read_submitted(ran.out.decode(errors="replace"))

    def _check(self, op: Op, launch: Launch) -> None:
        if why := self.lacks(op, launch):
            raise NotSupported(f"Cluster {self.cluster!r}: {why}.")

    async def find(self, user: str, attempt: str) -> int | None:
        """See Backend."""
        nonce = secrets.token_hex(8)
        ran = await self._words(user, commands.find_words(user, nonce), most_bytes=LISTING_BYTES)
        if ran.status:
            raise commands.fault_of(ran.err)
        return commands.find_in(ran.out.decode(errors="replace"), nonce, attempt)

    async def act(self, user: str, order: Order) -> None:
        """See Backend."""
        target = parse_target(order.target)
        if order.verb is Verb.SIGNAL:
            signal_number(order.signal)
        # Requeueing twice could end a run that had begun meanwhile; what gets a signal twice may count them.
        again = order.verb not in (Verb.REQUEUE, Verb.SIGNAL)
        words = commands.order_words(order, time.time())
        ran = await self._run(user, commands.plain_script(words, COMMAND_S), again=again, changing=True)
        parts = commands.read_parts(ran.err)
        if not parts:
            if ran.status:
                raise await self._fault(user, target, ran)
            return
        faults = [part for part in parts if part.errno]
        others = False
        if faults and all(part.errno in NO_LONGER for part in faults) and words[0] == "scancel":
            try:
                others = bool(await self._parts_of(user, target) - {part.name for part in faults})
            except SlurmUnavailable as away:
                raise OutcomeUnknown(f"Whether any part was left for the order is not known: {away.detail}") from away
        error = verdict(parts, others_done=others)
        if error is not None:
            unheard = all(part.errno == commands.UNKNOWN_WORDS for part in faults)
            raise await self._fault(user, target, ran) if unheard else error

    async def _fault(self, user: str, target: Target, ran: Ran) -> HpcjobsError:
        if UNEXPECTED_MESSAGE in ran.err and not await self._parts_of(user, target):
            return error_of(2017, "Invalid job id specified")
        return commands.fault_of(ran.err, changing=True)

    async def _parts_of(self, user: str, target: Target) -> set[str]:
        """Names of a job's parts that the controller knows."""
        ran = await self._words(user, commands.parts_words(target.number), most_bytes=LISTING_BYTES)
        names = set(ran.out.decode(errors="replace").split()) if not ran.status else set()
        if target.offset is not None:
            return names & {target.text}
        if not target.tasks:
            return names
        wanted = set(expand_tasks(target.tasks))
        return {name for name in names if wanted & set(expand_tasks(parse_target(name).tasks or "0"))}

    async def act_nodes(self, order: NodeOrder) -> None:
        """See Backend."""
        check_nodes(order)
        with retold(self.observer, order):
            await self._change(cluster_commands.node_words(order), again=True)

    async def reserve(self, order: ReservationOrder) -> None:
        """See Backend."""
        check_reservation(order)
        with retold(self.observer, order):
            # What was made or deleted without our hearing of it would be refused the second time.
            words = cluster_commands.reservation_words(order, time.time())
            await self._change(words, again=order.verb is ReservationVerb.CHANGE)

    async def _change(self, words: list[str], *, again: bool) -> None:
        """Run what changes the cluster, as the service's own user."""
        ran = await self._run(self.observer, commands.plain_script(words, COMMAND_S), again=again, changing=True)
        if ran.status:
            raise commands.fault_of(ran.err, changing=True)

    async def estimate(self, user: str, launch: Launch) -> Estimate:
        """See Backend."""
        ran = await self._run(user, commands.estimate_script(launch, COMMAND_S))
        estimate = commands.read_estimate(ran.err)
        if estimate is None:
            raise commands.fault_of(ran.err)
        return estimate

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        """See Backend."""
        if not can_be_any(query):
            return ()
        ran = await self._words(self.observer, history_words(query), LISTING_S, LISTING_BYTES)
        return tuple(map(accounted_of, self._document(ran, AccountingReply).jobs))

    async def runs(self, since: int, until: int) -> tuple[Run, ...]:
        """See Backend."""
        delimiter = new_delimiter()
        ran = await self._words(self.observer, runs_words(delimiter, since, until), LISTING_S, LISTING_BYTES)
        if ran.status:
            raise commands.fault_of(ran.err)
        return await asyncio.to_thread(runs_printed, ran.out, delimiter)

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend."""
        ran = await self._words(self.observer, list(SACCTMGR), LISTING_S, LISTING_BYTES)
        return accounts_of(self._document(ran, AccountsTold).accounts, self.cluster)

    async def ledger(self) -> Ledger:
        """See Backend."""
        associations = await self._words(
            self.observer, ledger.associations_words(self.cluster), LISTING_S, LISTING_BYTES
        )
        coordinators = await self._words(self.observer, list(ledger.COORDINATORS), LISTING_S, LISTING_BYTES)
        tres = await self._words(self.observer, list(ledger.TRES))
        qos = await self._words(self.observer, list(QOS), LISTING_S, LISTING_BYTES)
        for ran in (associations, tres, qos):
            if ran.status:
                raise commands.fault_of(ran.err)
        people = self._document(coordinators, AccountsTold).accounts
        return ledger.read(associations.out, people, tres.out, qos.out, self.cluster)

    async def enter(self, order: LedgerOrder) -> None:
        """See Backend."""
        words = ledger.order_words(order, self.cluster)
        ran = await self._run(self.observer, commands.plain_script(words, COMMAND_S), changing=True)
        ledger.judge(ran.status, ran.out, ran.err)

    async def close(self) -> None:
        """See Backend."""
        await self.pool.close()
