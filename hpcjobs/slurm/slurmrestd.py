"""The backend that goes through slurmrestd, with a JWT per user. Slurm 24.11 to 26.05 (v0.0.42 to v0.0.45).

Reads: REST API of Slurm, openapi/slurmctld; token claims: Slurm's jwt page (``sun`` names the user).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
import jwt
import msgspec

from hpcjobs.errors import HpcjobsError, NotSupported, OutcomeUnknown, SlurmUnavailable
from hpcjobs.model.account import Account
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.model.order import Changes, Estimate, Order, Verb
from hpcjobs.model.partition import Partition
from hpcjobs.model.reservation import Reservation, ReservationOrder, ReservationVerb
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.tenant import Ledger, LedgerOrder
from hpcjobs.model.usage import Run
from hpcjobs.slurm import slurmrestd_cluster as cluster_orders
from hpcjobs.slurm import slurmrestd_orders as orders
from hpcjobs.slurm.accounting import AccountsTold, accounts_of
from hpcjobs.slurm.base import Launch, Op, Subject
from hpcjobs.slurm.cluster_orders import check_nodes, check_reservation, retold
from hpcjobs.slurm.configuration import ConfigurationTold, said_scheduling
from hpcjobs.slurm.errnos import NO_LONGER, error_of
from hpcjobs.slurm.history import DAWN, DUSK, history_params, of_whom, state_by_state
from hpcjobs.slurm.openapi import ErrorWords, JobWords, Reply, ReservationsTold, decode, record_of
from hpcjobs.slurm.openapi_accounting import AccountingReply, accounted_of
from hpcjobs.slurm.openapi_cluster import node_of, partition_of
from hpcjobs.slurm.openapi_reservations import reservation_of
from hpcjobs.slurm.outcomes import verdict
from hpcjobs.slurm.sacct_runs import run_of
from hpcjobs.slurm.slurmrestd_body import VERSIONS, job_body
from hpcjobs.slurm.slurmrestd_marks import MarkLists
from hpcjobs.slurm.targets import Target, expand_tasks, parse_target, signal_number

T = TypeVar("T", Reply, ReservationsTold, ConfigurationTold, AccountingReply, AccountsTold)

TOKEN_LIFE_S: Final = 600
TIMEOUT_S: Final = 30.0
NUMBERS_PER_CALL: Final = 100
"""They travel in the address, which must not grow without bound."""

TAKEN: Final = 2082, "Duplicate reservation name"
MISSING: Final = 2053, "Requested reservation is invalid"

PARTITIONS_S: Final = 1.0
"""How long a listing waits for the partitions, in seconds."""


class SlurmrestdBackend:
    """One cluster through slurmrestd.

    Args:
        cluster: Its name.
        url: As ``http://slurmrestd:6820``.
        jwt_key_file: The key that slurmctld checks tokens with (AuthAltParameters=jwt_key).
        observer: The user that lists all jobs; an operator in Slurm's accounting.
        versions: Of the API, the one to be tried first in front.
    """

    kind = "slurmrestd"

    def __init__(
        self, cluster: str, url: str, jwt_key_file: Path, observer: str, versions: Sequence[str] = VERSIONS
    ) -> None:
        self.cluster = cluster
        self.observer = observer
        self.versions = tuple(versions)
        self._key = jwt_key_file.read_bytes()
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S)
        self._version = ""
        self._marks = MarkLists(self._jobs_as)
        self._partitions: Mapping[str, Partition] = {}
        self._asking: asyncio.Task[None] | None = None
        """The question for the partitions."""

    def lacks(self, op: Op, subject: Subject | None = None) -> str:
        """See Backend."""
        return orders.lacks(op, subject, self._version)

    def _headers(self, user: str) -> dict[str, str]:
        now = int(time.time())
        token = jwt.encode({"iat": now, "exp": now + TOKEN_LIFE_S, "sun": user}, self._key, algorithm="HS256")
        return {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": token}

    async def _known_version(self) -> str:
        """The newest version of the API that both sides know."""
        for version in () if self._version else self.versions:
            try:
                response = await self._client.get(f"/slurm/{version}/ping/", headers=self._headers(self.observer))
            except httpx.HTTPError as error:
                raise SlurmUnavailable(f"slurmrestd of cluster {self.cluster!r} does not answer: {error!r}.") from error
            if response.status_code != httpx.codes.NOT_FOUND:
                self._version = version
                break
        if not self._version:
            raise SlurmUnavailable(f"slurmrestd of cluster {self.cluster!r} speaks none of {', '.join(self.versions)}.")
        return self._version

    async def _exchange(
        self,
        kind: type[T],
        user: str,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        params: httpx.QueryParams | None = None,
        changing: bool = False,
    ) -> tuple[int, T]:
        """One call: HTTP status and what was answered."""
        family = "slurm" if issubclass(kind, Reply) else "slurmdb"
        address = f"/{family}/{await self._known_version()}{path}"
        try:
            response = await self._client.request(
                method, address, json=body, params=params, headers=self._headers(user)
            )
        except httpx.HTTPError as error:
            if changing and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                raise OutcomeUnknown(f"The answer of slurmrestd was lost: {error!r}.") from error
            raise SlurmUnavailable(f"slurmrestd of cluster {self.cluster!r} does not answer: {error!r}.") from error
        if response.status_code == httpx.codes.NOT_FOUND and not response.content:
            self._version = ""
        try:
            return response.status_code, decode(response.content, kind)
        except msgspec.MsgspecError as error:
            detail = f"slurmrestd answered {response.status_code} with what we cannot read: {error}."
            raise (OutcomeUnknown(detail) if changing else SlurmUnavailable(detail)) from error

    async def _call(
        self,
        user: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        changing: bool = False,
    ) -> Reply:
        """One call to the controller; errors of the whole call are raised, those of parts are in the reply."""
        code, reply = await self._exchange(Reply, user, method, path, body=body, changing=changing)
        if not reply.job_id:
            _raise_first(reply.errors, changing=changing)
            if code >= httpx.codes.BAD_REQUEST:
                raise SlurmUnavailable(f"slurmrestd answered {code} without a reason.")
        return reply

    async def view(self, now: float) -> ClusterView:
        """See Backend."""
        await self._known_version()
        jobs, nodes, reservations, _ = await asyncio.gather(
            self._call(self.observer, "GET", "/jobs/"),
            self._call(self.observer, "GET", "/nodes/"),
            self._reservations(),
            self._refresh_partitions(),
        )
        return ClusterView(
            self.cluster,
            now,
            {job.job_id: record_of(job) for job in jobs.jobs},
            {node.name: node_of(node) for node in nodes.nodes},
            self._partitions,
            reservations=reservations,
        )

    async def _told(self, kind: type[T], path: str, params: httpx.QueryParams | None = None) -> T:
        """What the service's own user is told."""
        code, told = await self._exchange(kind, self.observer, "GET", path, params=params)
        _raise_first(told.errors)
        if code >= httpx.codes.BAD_REQUEST:
            raise SlurmUnavailable(f"slurmrestd answered {code} without a reason.")
        return told

    async def _reservations(self) -> dict[str, Reservation]:
        told = await self._told(ReservationsTold, "/reservations/")
        return {words.name: reservation_of(words) for words in told.reservations}

    async def _refresh_partitions(self) -> None:
        """Ask for the partitions too, and wait a little: slurmrestd does not answer that while slurmdbd is away.

        Jobs must not wait for it; what was known of partitions holds meanwhile.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_partitions())
            await asyncio.wait([self._asking], timeout=PARTITIONS_S)

    async def _ask_partitions(self) -> None:
        with contextlib.suppress(HpcjobsError):
            reply = await self._call(self.observer, "GET", "/partitions/")
            self._partitions = {partition.name: partition_of(partition) for partition in reply.partitions}

    async def scheduling(self) -> Scheduling:
        """See Backend."""
        await self._check(Op.SCHEDULING)
        told = await self._told(ConfigurationTold, "/conf")
        try:
            return said_scheduling(told)
        except msgspec.MsgspecError as error:
            raise SlurmUnavailable(f"slurmrestd told a configuration that we cannot read: {error}.") from error

    async def _check(self, op: Op, subject: Subject | None = None) -> None:
        """Raise where this cannot be done, which depends on the version of the API."""
        await self._known_version()
        if why := self.lacks(op, subject):
            raise NotSupported(f"Cluster {self.cluster!r}: {why}.")

    async def submit(self, user: str, launch: Launch) -> int:
        """See Backend."""
        await self._check(Op.SUBMIT, launch)
        reply = await self._call(user, "POST", "/job/submit", job_body(launch), changing=True)
        if not reply.job_id:
            raise OutcomeUnknown("slurmrestd answered the submission without a job number.")
        return reply.job_id

    async def _jobs_as(self, lister: str) -> Sequence[JobWords]:
        return (await self._call(lister, "GET", "/jobs/")).jobs

    async def find(self, user: str, attempt: str) -> int | None:
        """See Backend: one listing answers all who ask, of whatever user; only who is not in it lists as itself."""
        for lister in (self.observer, user):
            number = (await self._marks.next_of(lister)).get(f"{user} {attempt}")
            if number is not None or user == self.observer:
                return number
        return None

    async def act(self, user: str, order: Order) -> None:
        """See Backend."""
        await self._check(Op(order.verb), order)
        target = parse_target(order.target)
        if order.verb is Verb.SIGNAL:
            signal_number(order.signal)
        if order.verb in (Verb.CANCEL, Verb.SIGNAL):
            await self._kill(user, order, target)
        elif order.verb is Verb.REQUEUE:
            self._judge(await self._call(user, "POST", "/jobs/requeue", orders.requeue_body(order), changing=True))
        else:
            await self._update(user, order, target)

    @staticmethod
    def _judge(reply: Reply, *, others_done: bool = False) -> None:
        error = verdict([status.part for status in reply.statuses()], others_done=others_done)
        if error is not None:
            raise error

    async def _jobs_of(self, user: str, target: Target) -> list[JobWords]:
        """The controller's jobs of this name."""
        jobs = (await self._call(user, "GET", f"/job/{target.number}")).jobs
        wanted = set(expand_tasks(target.tasks)) if target.tasks else None
        return [job for job in jobs if wanted is None or job.array_task_id.value in wanted]

    async def _kill(self, user: str, order: Order, target: Target) -> None:
        """Cancel or signal: slurmrestd mentions the parts that it could not."""
        reply = await self._call(user, "DELETE", "/jobs/", orders.kill_body(order), changing=True)
        faults = [status for status in reply.statuses() if status.part.errno]
        others = False
        if faults and target.offset is None and all(fault.part.errno in NO_LONGER for fault in faults):
            try:
                known = {job.job_id for job in await self._jobs_of(user, target)}
            except SlurmUnavailable as error:
                raise OutcomeUnknown(f"Whether any part was left for the order is not known: {error.detail}") from error
            others = bool(known - {fault.number for fault in faults})
        self._judge(reply, others_done=others)

    async def _update(self, user: str, order: Order, target: Target) -> None:
        if any(job.het_job_id.value for job in await self._jobs_of(user, target)):
            # It would change the first component and say nothing of the others.
            raise NotSupported(f"Cluster {self.cluster!r}: slurmrestd cannot change a heterogeneous job.")
        body: dict[str, Any] = {"hold": order.verb is Verb.HOLD}
        if order.verb is Verb.UPDATE:
            body = orders.change_body(order.changes or Changes(), time.time())
        _, reply = await self._exchange(Reply, user, "POST", f"/job/{target.number}", body=body, changing=True)
        if not any(result.part.errno for result in reply.results or ()):
            _raise_first(reply.errors, changing=True)
        self._judge(reply)

    async def act_nodes(self, order: NodeOrder) -> None:
        """See Backend."""
        check_nodes(order)
        await self._check(Op.NODES, order)
        with retold(self.observer, order):
            await self._call(self.observer, "POST", "/nodes/", cluster_orders.node_body(order), changing=True)

    async def reserve(self, order: ReservationOrder) -> None:
        """See Backend."""
        check_reservation(order)
        await self._check(Op.RESERVE, order)
        with retold(self.observer, order):
            if order.verb is ReservationVerb.DELETE:
                await self._call(self.observer, "DELETE", f"/reservation/{quote(order.name)}", changing=True)
                return
            # slurmrestd changes what it is to make, where that is there, and makes what it is to change.
            there = order.name in await self._reservations()
            if there is (order.verb is ReservationVerb.MAKE):
                raise error_of(*(TAKEN if there else MISSING))
            body = cluster_orders.reservation_body(order, time.time())
            await self._call(self.observer, "POST", "/reservation", body, changing=True)

    async def estimate(self, user: str, launch: Launch) -> Estimate:
        """See Backend."""
        raise NotSupported(f"Cluster {self.cluster!r}: {self.lacks(Op.ESTIMATE, launch)}.")

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        """See Backend."""
        found: dict[tuple[int, int, str], Accounted] = {}
        for question in state_by_state(query):
            for one in of_whom(query, await self._history(question)):
                found.setdefault((one.record.slurm_job_id, one.record.submit_time, one.ledger.sluid), one)
        return tuple(found.values())

    async def _history(self, query: HistoryQuery) -> list[Accounted]:
        common = list(history_params(query))
        found: list[Accounted] = []
        for first in range(0, max(len(query.numbers), 1), NUMBERS_PER_CALL):
            numbers = query.numbers[first : first + NUMBERS_PER_CALL]
            params = httpx.QueryParams([*common, *(("step", str(number)) for number in numbers)])
            found.extend(map(accounted_of, (await self._told(AccountingReply, "/jobs/", params)).jobs))
        return found

    async def runs(self, since: int, until: int) -> tuple[Run, ...]:
        """See Backend."""
        query = HistoryQuery(since=max(since, DAWN), until=until or DUSK, steps=True, duplicates=True)
        return tuple(map(run_of, await self._history(query)))

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend."""
        params = httpx.QueryParams(WithAssociations="true", WithCoordinators="true")
        return accounts_of((await self._told(AccountsTold, "/accounts/", params)).accounts, self.cluster)

    async def ledger(self) -> Ledger:
        """See Backend."""
        raise NotSupported(f"Cluster {self.cluster!r}: {self.lacks(Op.LEDGER)}.")

    async def enter(self, order: LedgerOrder) -> None:
        """See Backend."""
        raise NotSupported(f"Cluster {self.cluster!r}: {self.lacks(Op.LEDGER)}.")

    async def close(self) -> None:
        """See Backend."""
        self._marks.close()
        if self._asking is not None:
            self._asking.cancel()
        await self._client.aclose()


def _raise_first(errors: Sequence[ErrorWords], *, changing: bool = False) -> None:
    for fault in errors:
        words = fault.error or fault.description or "an error without words"
        raise error_of(fault.error_number, words, changing=changing)
