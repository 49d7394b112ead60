"""A service on a test bench: real application and database, a simulated Slurm that can be told to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec
from litestar import Litestar

from hpcjobs.api.app import create_app
from hpcjobs.errors import HpcjobsError, OutcomeUnknown, SlurmUnavailable
from hpcjobs.identity import Scope, make_token
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.history import Accounted, HistoryQuery
from hpcjobs.model.job import JobRecord
from hpcjobs.model.order import Order
from hpcjobs.model.spec import JobSpec
from hpcjobs.observe.endings import SETTLE_S
from hpcjobs.observe.observer import Observer
from hpcjobs.service import Service
from hpcjobs.settings import ClusterSettings, Settings
from hpcjobs.slurm.base import Backend, Launch
from hpcjobs.slurm.simulated import SimulatedBackend
from hpcjobs.slurm.simulated_orders import Entry
from tests.unit.builders import node

SCRIPT = "#!/bin/sh\nsleep 9999\n"
NEVER = 3600.0
"""Seconds between two listings of a bench whose test makes them itself."""

Mishap = Literal["lost before", "lost after", "late", "bug before", "bug after"] | HpcjobsError


class Bug(Exception):
    """What nobody foresaw."""


class UnrulySlurm(SimulatedBackend):
    """A simulated Slurm that loses answers, hides jobs and goes away.

    Attributes:
        down: Whether every call finds no controller.
        mishaps: What befalls the next submissions, first first.
        cannot_find: Whether looking for a mark fails.
        hidden: Numbers that listings and look-ups leave out.
        unlisted: Numbers that only listings leave out.
        late: Submissions under way that arrive with deliver().
        accounting_down: Whether accounting is away.
        accounted: What accounting knows beside what the controller does.
        calls: How often a submission was tried.
    """

    def __init__(self, cluster: str = "big", run_s: float = 60.0) -> None:
        super().__init__(cluster, [node("n1"), node("n2")], run_s, operators=("hpcjobs",))
        self.down = False
        self.mishaps: list[Mishap] = []
        self.cannot_find = False
        self.hidden: set[int] = set()
        self.unlisted: set[int] = set()
        self.late: list[tuple[str, Launch]] = []
        self.accounting_down = False
        self.accounted: list[JobRecord] = []
        self.calls = 0

    def _there(self) -> None:
        if self.down:
            raise SlurmUnavailable("The controller is away.")

    @property
    def attempts(self) -> list[str | None]:
        """The mark of every job that this Slurm has ever taken."""
        return [entry.record.attempt for entry in self._jobs.values()]

    async def deliver(self) -> None:
        """Let what was under way arrive."""
        late, self.late = self.late, []
        for user, launch in late:
            await super().submit(user, launch)

    def lose(self, count: int = 1) -> list[JobRecord]:
        """Forget the jobs that were taken last, as a killed controller does; their numbers are given again."""
        numbers = sorted(self._jobs)[len(self._jobs) - count :]
        entries = [self._jobs.pop(number) for number in numbers]
        for entry in entries:
            if entry.placed:
                self.let_go(entry)
        return [entry.record for entry in entries]

    def bring_back(self, record: JobRecord) -> None:
        """List a job again that was lost."""
        self._jobs[record.slurm_job_id] = Entry(record, JobSpec(SCRIPT), held=True)

    def end(self, number: int, raw_state: str = "FAILED", **facts: object) -> None:
        """End a job in another way than by its time."""
        self.set_state(self._jobs[number], raw_state, end_time=int(self.now), **facts)

    async def view(self, now: float) -> ClusterView:
        self._there()
        view = await super().view(now)
        jobs = {number: job for number, job in view.jobs.items() if number not in self.hidden | self.unlisted}
        return msgspec.structs.replace(view, jobs=jobs)

    async def submit(self, user: str, launch: Launch) -> int:
        self.calls += 1
        self._there()
        mishap = self.mishaps.pop(0) if self.mishaps else None
        if isinstance(mishap, HpcjobsError):
            raise mishap
        if mishap == "late":
            self.late.append((user, launch))
        if mishap in ("lost after", "bug after", None):
            number = await super().submit(user, launch)
        if mishap in ("bug before", "bug after"):
            raise Bug
        if mishap is not None:
            raise OutcomeUnknown("The answer was lost.")
        return number

    async def find(self, user: str, attempt: str) -> int | None:
        self._there()
        if self.cannot_find:
            raise SlurmUnavailable("The controller is busy.")
        number = await super().find(user, attempt)
        return None if number in self.hidden else number

    async def history(self, query: HistoryQuery) -> tuple[Accounted, ...]:
        if self.accounting_down:
            raise SlurmUnavailable("slurmdbd is away.")
        return (*await super().history(query), *(Accounted(record) for record in self.accounted))

    async def act(self, user: str, order: Order) -> None:
        self._there()
        await super().act(user, order)


def settings_of(folder: Path, **more: Any) -> Settings:
    told: dict[str, Any] = {
        "clusters": (ClusterSettings("big", observe_s=NEVER),),
        "max_age_s": NEVER,  # as nobody lists, a slow test would else find Slurm away
        "database_url": f"sqlite:///{folder}/jobs.db",
        "token_key_file": folder / "token.key",
        "spawner_socket": str(folder / "none.sock"),
        "service_user": "hpcjobs",
        "admins": ("boss",),
        "operators": ("ops",),
    }
    return Settings(**(told | more))


class Bench:
    """A running service and callers of it."""

    def __init__(self, service: Service, http: httpx.AsyncClient) -> None:
        self.service = service
        self.http = http

    @property
    def observer(self) -> Observer:
        return self.service.target(None).observer

    @property
    def slurm(self) -> UnrulySlurm:
        backend = self.observer.backend
        assert isinstance(backend, UnrulySlurm)
        return backend

    async def tick(self, ahead_s: float = 0.0) -> None:
        """One listing, as if so many seconds had passed."""
        await self.observer.tick(time.time() + ahead_s)

    async def send(self) -> None:
        """Send what waits, as the clock does each second."""
        await self.service.submission.send_waiting(self.service.target(None), time.time())

    async def settle(self) -> None:
        """A listing late enough to settle every attempt that is open now."""
        await self.tick(SETTLE_S + 1)

    async def ask_accounting(self, ahead_s: float = SETTLE_S + 2) -> None:
        """Ask after the jobs whose end is not known, as if so many seconds had passed."""
        await self.observer.endings.tick(time.time() + ahead_s)

    def headers(self, user: str, scopes: Iterable[Scope] | None = None) -> dict[str, str]:
        words = None if scopes is None else tuple(scopes)
        return {"Authorization": f"Bearer {make_token(self.service.token_key, user, time.time(), 600, words)}"}

    async def call(self, method: str, path: str, user: str = "alice", **more: Any) -> httpx.Response:
        headers = self.headers(user, more.pop("scopes", None)) | more.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **more)

    async def get(self, path: str, user: str = "alice", **params: Any) -> httpx.Response:
        return await self.call("GET", path, user, params=params or None)

    async def post(self, key: str | None = None, user: str = "alice", **body: Any) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.call("POST", "/v1/jobs", user, json={"script": SCRIPT} | body, headers=headers)

    async def submitted(self, user: str = "alice", **body: Any) -> dict[str, Any]:
        """Submit a job and list it: the job as it is shown."""
        answer = await self.post(user=user, **body)
        assert answer.status_code == 201, answer.text
        await self.tick()
        job: dict[str, Any] = (await self.get(answer.headers["Location"], user)).json()
        return job


@functools.cache
def shared_app() -> Litestar:
    """One application for all benches: making one takes longer than most tests."""
    return create_app(Service(Settings((ClusterSettings("none"),), database_url="sqlite://")))


def caller(app: Litestar) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://big")


@contextlib.asynccontextmanager
async def on_bench(settings: Settings, backends: dict[str, Backend]) -> AsyncIterator[Bench]:
    """Run a service under the shared application."""
    service = Service(settings, backends)
    await service.start()
    app = shared_app()
    app.state.service = service
    try:
        async with caller(app) as http:
            yield Bench(service, http)
    finally:
        await service.stop()


@contextlib.asynccontextmanager
async def running(settings: Settings, backends: dict[str, Backend] | None) -> AsyncIterator[Bench]:
    """Run the application in this event loop."""
    app = create_app(Service(settings, backends))
    started, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:  # one task from start to end, as under uvicorn: pytest-asyncio tears down in another
        async with app.lifespan():
            started.set()
            await over.wait()

    life = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait([life, waiting], return_when=asyncio.FIRST_COMPLETED)
    if life.done():
        waiting.cancel()
        await life
    try:
        async with caller(app) as http:
            yield Bench(app.state.service, http)
    finally:
        over.set()
        await life


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The problem document of an answer that is an error, whole and in itself consistent."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code >= 400
    assert problem["type"] == f"urn:hpcjobs:problem:{problem['code']}"
    assert problem["title"]
    assert problem["detail"]
    path = answer.request.url.path
    # Litestar reads a path so where a route has it, and leaves it as it is where none has.
    assert problem["instance"] in (path, re.sub("/+", "/", path).rstrip("/"))
    assert answer.headers.get("Retry-After") == (str(problem["retry_after_s"]) if "retry_after_s" in problem else None)
    return problem
