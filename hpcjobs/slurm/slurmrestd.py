"""The backend that goes through slurmrestd, with a JWT per user. Slurm 24.11 to 26.05 (v0.0.42 to v0.0.45).

Reads: REST API of Slurm, openapi/slurmctld; token claims: Slurm's jwt page (``sun`` names the user).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import jwt
import msgspec

from hpcjobs.errors import NotSupported, OutcomeUnknown, SlurmUnavailable
from hpcjobs.model.account import Account
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.gres import gpus_of_tres, parse_gpus, parse_node_gres, parse_tres
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.job import JobRecord, State
from hpcjobs.model.order import Estimate, Order
from hpcjobs.sbatch.environment import tres_per_task
from hpcjobs.slurm.accounting import AccountTold, accounts_of
from hpcjobs.slurm.base import MIB, Launch, Op, ceil_div, split_comment
from hpcjobs.slurm.errnos import error_of
from hpcjobs.slurm.states import node_usable, read_state

T = TypeVar("T")
VERSIONS: Final = ("v0.0.45", "v0.0.44", "v0.0.43", "v0.0.42")
TOKEN_LIFE_S: Final = 600
TIMEOUT_S: Final = 30.0


class _Number(msgspec.Struct, frozen=True):
    """Slurm's number that may be unset or infinite."""

    set: bool = False
    infinite: bool = False
    number: float = 0

    @property
    def value(self) -> int:
        """The number, 0 where there is none."""
        return int(self.number) if self.set and not self.infinite else 0


_NONE: Final = _Number()


class _Signal(msgspec.Struct, frozen=True):
    id: _Number = _NONE


class _ExitCode(msgspec.Struct, frozen=True):
    return_code: _Number = _NONE
    signal: _Signal = _Signal()


class _Error(msgspec.Struct, frozen=True):
    error_number: int = 0
    error: str | None = None
    description: str | None = None


class _Job(msgspec.Struct, frozen=True):
    job_id: int
    user_name: str = ""
    job_state: tuple[str, ...] = ()
    state_reason: str = ""
    name: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    comment: str = ""
    node_count: _Number = _NONE
    nodes: str = ""
    tasks: _Number = _NONE
    cpus: _Number = _NONE
    tres_req_str: str = ""
    tres_alloc_str: str = ""
    time_limit: _Number = _NONE
    submit_time: _Number = _NONE
    eligible_time: _Number = _NONE
    start_time: _Number = _NONE
    end_time: _Number = _NONE
    exit_code: _ExitCode = _ExitCode()
    restart_cnt: int = 0
    priority: _Number = _NONE
    dependency: str = ""
    current_working_directory: str = ""
    standard_output: str = ""
    standard_error: str = ""
    stdout_expanded: str = ""
    stderr_expanded: str = ""


class _Node(msgspec.Struct, frozen=True):
    name: str
    state: tuple[str, ...] = ()
    effective_cpus: int = 0
    alloc_cpus: int = 0
    real_memory: int = 0
    alloc_memory: int = 0
    gres: str = ""
    gres_used: str = ""
    partitions: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    reason: str = ""


class _Status(msgspec.Struct, frozen=True):
    error: dict[str, Any] = {}


class _Reply(msgspec.Struct, frozen=True):
    """The parts of any reply that we read."""

    errors: tuple[_Error, ...] = ()
    jobs: tuple[_Job, ...] = ()
    nodes: tuple[_Node, ...] = ()
    status: tuple[_Status, ...] = ()
    accounts: tuple[AccountTold, ...] = ()
    job_id: int = 0


def record_of(job: _Job) -> JobRecord:
    """Slurmrestd's job as ours."""
    raw_state = ",".join(job.job_state)
    reason = "" if job.state_reason == "None" else job.state_reason
    state, fate = read_state(raw_state, reason)
    comment, attempt = split_comment(job.comment)
    started = state not in (State.PENDING, State.HELD)
    tres = parse_tres((job.tres_alloc_str if started else "") or job.tres_req_str)
    stdout = job.stdout_expanded or job.standard_output
    return JobRecord(
        slurm_job_id=job.job_id,
        attempt=attempt,
        user=job.user_name,
        state=state,
        fate=fate,
        raw_state=raw_state,
        name=job.name,
        account=job.account,
        partition=job.partition,
        qos=job.qos,
        reason=reason,
        comment=comment,
        nodes=job.node_count.value,
        node_list=job.nodes,
        ntasks=job.tasks.value,
        cpus=job.cpus.value,
        gpus=gpus_of_tres(tres),
        mem_bytes=tres.get("mem", 0),
        wall_s=job.time_limit.value * 60 if job.time_limit.set and not job.time_limit.infinite else None,
        submit_time=job.submit_time.value,
        eligible_time=job.eligible_time.value,
        start_time=job.start_time.value,
        end_time=job.end_time.value,
        exit_code=job.exit_code.return_code.value,
        exit_signal=job.exit_code.signal.id.value,
        restarts=job.restart_cnt,
        priority=job.priority.value,
        dependency=job.dependency,
        workdir=job.current_working_directory,
        stdout=stdout,
        stderr=job.stderr_expanded or job.standard_error or stdout,
    )


def node_of(node: _Node) -> Node:
    """Slurmrestd's node as ours."""
    raw_state = "+".join(node.state)
    return Node(
        name=node.name,
        raw_state=raw_state,
        usable=node_usable(raw_state),
        cpus=node.effective_cpus,
        cpus_alloc=node.alloc_cpus,
        mem_bytes=node.real_memory * MIB,
        mem_alloc_bytes=node.alloc_memory * MIB,
        gpus=parse_node_gres(node.gres),
        gpus_alloc=parse_node_gres(node.gres_used),
        partitions=node.partitions,
        features=node.features,
        reason=node.reason,
    )


def _tres(request: int | str | None) -> str | None:
    if request is None:
        return None
    counts = parse_gpus(str(request))
    return ",".join(f"gres/gpu:{kind}:{count}" if kind else f"gres/gpu:{count}" for kind, count in counts.items())


def _number(amount: int | None) -> dict[str, Any] | None:
    return None if amount is None else {"set": True, "number": amount}


def job_body(launch: Launch) -> dict[str, Any]:
    """Our spec in slurmrestd's words; what is None stays Slurm's default."""
    spec, asked = launch.spec, launch.spec.resources
    nodes = None
    if asked.nodes is not None or asked.nodes_max is not None:
        nodes = f"{asked.nodes or 1}-{asked.nodes_max or asked.nodes}"
    per_task, bind = tres_per_task(asked)
    words: dict[str, Any] = {
        "name": spec.name,
        "account": spec.account,
        "partition": spec.partition,
        "qos": spec.qos,
        "reservation": spec.reservation,
        "dependency": spec.dependency,
        "comment": launch.comment,
        "current_working_directory": spec.workdir,
        "standard_output": spec.stdout,
        "standard_error": spec.stderr,
        "standard_input": spec.stdin or "/dev/null",
        "environment": [f"{name}={value}" for name, value in spec.environment.items()],
        "argv": [spec.script_name or "script", *spec.args] if spec.args else None,
        "requeue": spec.requeue,
        "hold": spec.hold,
        "nodes": nodes,
        "tasks": asked.ntasks,
        "tasks_per_node": asked.ntasks_per_node,
        "cpus_per_task": asked.cpus_per_task,
        "flags": ["EXACT_CPU_COUNT_REQUESTED"] if asked.cpus_per_task is not None else None,
        "tres_per_job": _tres(asked.gpus),
        "tres_per_node": _tres(asked.gpus_per_node),
        "tres_per_task": per_task,
        "tres_bind": bind,
        "memory_per_node": _number(asked.mem_per_node_bytes and ceil_div(asked.mem_per_node_bytes, MIB)),
        "memory_per_cpu": _number(asked.mem_per_cpu_bytes and ceil_div(asked.mem_per_cpu_bytes, MIB)),
        "time_limit": _number(asked.wall_s and ceil_div(asked.wall_s, 60)),
        "constraints": asked.constraint,
        "required_nodes": asked.nodelist,
        "excluded_nodes": asked.exclude,
        "shared": ["none"] if asked.exclusive else None,
    }
    return {"script": spec.script, "job": {word: value for word, value in words.items() if value is not None}}


class SlurmrestdBackend:
    """One cluster through slurmrestd.

    Args:
        cluster: Its name.
        url: As ``http://slurmrestd:6820``.
        jwt_key_file: The key that slurmctld checks tokens with (AuthAltParameters=jwt_key).
        observer: The user that lists all jobs; an operator in Slurm's accounting.
    """

    kind = "slurmrestd"

    def __init__(self, cluster: str, url: str, jwt_key_file: Path, observer: str) -> None:
        self.cluster = cluster
        self.observer = observer
        self._key = jwt_key_file.read_bytes()
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S)
        self._version = ""

    def _headers(self, user: str) -> dict[str, str]:
        now = int(time.time())
        token = jwt.encode({"iat": now, "exp": now + TOKEN_LIFE_S, "sun": user}, self._key, algorithm="HS256")
        return {"X-SLURM-USER-NAME": user, "X-SLURM-USER-TOKEN": token}

    async def _newest_version(self) -> str:
        """``v0.0.NN``, the newest that both sides know."""
        for version in VERSIONS:
            response = await self._client.get(f"/slurm/{version}/ping/", headers=self._headers(self.observer))
            if response.status_code != httpx.codes.NOT_FOUND:
                self._version = version
                return version
        raise SlurmUnavailable(f"slurmrestd of cluster {self.cluster!r} speaks none of {', '.join(VERSIONS)}.")

    async def _call(
        self, user: str, method: str, path: str, body: dict[str, Any] | None = None, daemon: str = "slurm"
    ) -> _Reply:
        submitting = method == "POST"
        try:
            version = self._version or await self._newest_version()
        except httpx.HTTPError as error:
            raise SlurmUnavailable(f"slurmrestd of cluster {self.cluster!r} does not answer: {error}.") from error
        try:
            response = await self._client.request(
                method, f"/{daemon}/{version}{path}", json=body, headers=self._headers(user)
            )
        except httpx.HTTPError as error:
            if submitting and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                raise OutcomeUnknown(f"slurmrestd did not answer the submission: {error!r}.") from error
            raise SlurmUnavailable(f"slurmrestd of cluster {self.cluster!r} does not answer: {error!r}.") from error
        if response.status_code == httpx.codes.NOT_FOUND and not response.content:
            self._version = ""
        try:
            # Job names are bytes to Slurm: one that is no UTF-8 must not hide all others.
            reply = msgspec.json.decode(response.content.decode(errors="replace"), type=_Reply)
        except msgspec.MsgspecError as error:
            detail = f"slurmrestd answered {response.status_code} with what we cannot read: {error}."
            raise (OutcomeUnknown(detail) if submitting else SlurmUnavailable(detail)) from error
        if not reply.job_id:
            for fault in reply.errors:
                words = fault.error or fault.description or "an error without words"
                raise error_of(fault.error_number, words, submitting=submitting)
        for status in reply.status:
            if status.error.get("code"):
                raise error_of(int(status.error["code"]), str(status.error.get("message", "")))
        if response.is_error and not reply.job_id:
            raise SlurmUnavailable(f"slurmrestd answered {response.status_code} without a reason.")
        return reply

    async def view(self, now: float) -> ClusterView:
        """See Backend."""
        jobs = (await self._call(self.observer, "GET", "/jobs/")).jobs
        nodes = (await self._call(self.observer, "GET", "/nodes/")).nodes
        return ClusterView(
            self.cluster,
            now,
            {job.job_id: record_of(job) for job in jobs},
            {node.name: node_of(node) for node in nodes},
        )

    async def submit(self, user: str, launch: Launch) -> int:
        """See Backend."""
        reply = await self._call(user, "POST", "/job/submit", job_body(launch))
        if not reply.job_id:
            raise OutcomeUnknown("slurmrestd answered the submission without a job number.")
        return reply.job_id

    async def find(self, user: str, attempt: str) -> int | None:
        """See Backend."""
        for job in (await self._call(user, "GET", "/jobs/")).jobs:
            if job.user_name == user and split_comment(job.comment)[1] == attempt:
                return job.job_id
        return None

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
        slurm_job_id = int(order.target)
        await self._call(user, "DELETE", f"/job/{slurm_job_id}")

    async def accounts(self) -> tuple[Account, ...]:
        """See Backend."""
        path = "/accounts/?WithAssociations=true&WithCoordinators=true"
        return accounts_of((await self._call(self.observer, "GET", path, daemon="slurmdb")).accounts, self.cluster)

    async def close(self) -> None:
        """See Backend."""
        await self._client.aclose()
