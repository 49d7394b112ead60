"""A backend under contract, and what a test needs to know of its cluster."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from hpcjobs.errors import Conflict, NotSupported
from hpcjobs.model.job import JobRecord
from hpcjobs.model.order import Order, Verb
from hpcjobs.model.reservation import Reservation, ReservationOrder, ReservationVerb
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.slurm.base import Backend, Launch, Op

LONG = "#!/bin/bash\nsleep 600\n"
GONE = 99_999_999
"""A number that no job has."""


class Subject:
    """One backend.

    Args:
        backend: Under contract.
        users_suspend: Whether this Slurm lets users suspend their own jobs (26.05 does, 24.11 does not).
        real: Whether there is a Slurm behind it that runs scripts.
        administrator: Whether the service's user is an administrator of Slurm, who may change nodes.
        otherwise: Carries out an order to a reservation that the backend lacks.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        users_suspend: bool = True,
        real: bool = True,
        administrator: bool = True,
        otherwise: Callable[[ReservationOrder], object] = print,
    ) -> None:
        self.backend = backend
        self.administrator = administrator
        self.otherwise = otherwise
        self.reservations: list[str] = []
        self.users_suspend = users_suspend
        self.real = real
        self.numbers: list[int] = []
        self._now = 1_000_000.0

    @property
    def now(self) -> float:
        """The cluster's time: a simulated one goes on by a second at each look."""
        if self.real:
            return time.time()
        self._now += 1
        return self._now

    def launch(self, script: str = LONG, **fields: Any) -> Launch:
        told: dict[str, Any] = {
            "name": f"contract-{uuid.uuid4().hex[:8]}",
            "workdir": "/tmp",
            "stdout": "/dev/null",
            "environment": {"PATH": "/usr/bin:/bin"},
            "resources": Resources(wall_s=600),
        }
        return Launch(JobSpec(script=script, **(told | fields)), uuid.uuid4().hex)

    async def submit(self, script: str = LONG, user: str = "alice", **fields: Any) -> int:
        number = await self.backend.submit(user, self.launch(script, **fields))
        self.numbers.append(number)
        return number

    async def jobs(self) -> dict[int, JobRecord]:
        return dict((await self.backend.view(self.now)).jobs)

    async def record(self, number: int) -> JobRecord:
        return (await self.jobs())[number]

    async def tasks(self, number: int) -> dict[str, JobRecord]:
        """The jobs of an array, by their tasks."""
        found = [job for job in (await self.jobs()).values() if job.array_job_id == number]
        return {job.array_task: job for job in found}

    async def until(self, number: int, true: Callable[[JobRecord], bool], within_s: float = 180) -> JobRecord:
        """Look until it is so."""
        end = time.monotonic() + within_s
        while True:
            job = await self.record(number)
            if true(job):
                return job
            if time.monotonic() > end:
                pytest.fail(f"job {number} did not come so far in {within_s} s: {job}")
            await asyncio.sleep(0.2 if self.real else 0)

    async def pause(self) -> None:
        """A moment for accounting to hear of what has happened."""
        await asyncio.sleep(0.3 if self.real else 0)

    async def running(self, number: int) -> JobRecord:
        return await self.until(number, lambda job: job.raw_state == "RUNNING")

    async def ended(self, number: int) -> JobRecord:
        return await self.until(number, lambda job: job.fate is not None)

    async def order(self, verb: Verb, target: int | str, user: str = "alice", **more: Any) -> bool:
        """Give an order; where the backend lacks it, it must say so, do nothing and raise with that reason.

        Returns:
            Whether the backend can.
        """
        order = Order(verb, str(target), **more)
        why = self.backend.lacks(Op(verb), order)
        if not why:
            await self.backend.act(user, order)
            return True
        with pytest.raises(NotSupported) as refused:
            await self.backend.act(user, order)
        assert why in refused.value.detail
        return False

    async def reserve(self, order: ReservationOrder) -> None:
        """Give an order; where the backend lacks it, it must say so and raise with that reason, and another does it."""
        if order.verb is ReservationVerb.MAKE:
            self.reservations.append(order.name)
        why = self.backend.lacks(Op.RESERVE, order)
        if not why:
            await self.backend.reserve(order)
            return
        with pytest.raises(NotSupported) as refused:
            await self.backend.reserve(order)
        assert why in refused.value.detail
        self.otherwise(order)

    async def reservation(self, name: str) -> Reservation | None:
        return (await self.backend.view(self.now)).reservations.get(name)

    async def clean(self) -> None:
        """Leave no job and no reservation behind; what a test cannot cancel any more has ended."""
        for number in self.numbers:
            for target in {number, *(job.slurm_job_id for job in (await self.tasks(number)).values())}:
                try:
                    await self.backend.act("alice", Order(Verb.CANCEL, str(target)))
                except Exception as error:  # noqa: BLE001  the test has said what it had to say
                    del error
        for name in self.reservations:
            for _ in range(50):
                if await self.reservation(name) is None:
                    break
                try:
                    await self.reserve(ReservationOrder(ReservationVerb.DELETE, name))
                except Conflict:  # until the last of its jobs has ended
                    await self.pause()
