"""Looking for lost answers through slurmrestd: a listing is dear, and one of it answers all who ask."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from hpcjobs.errors import SlurmUnavailable
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend

ALICES, BOBS, HIDDEN = "a" * 32, "b" * 32, "c" * 32
JOBS = [
    {"job_id": 1, "user_name": "alice", "comment": f"hpcjobs:{ALICES}"},
    {"job_id": 2, "user_name": "bob", "comment": f"mine hpcjobs:{BOBS}"},
    {"job_id": 3, "user_name": "bob", "comment": f"hpcjobs:{ALICES}"},
]


class Wire(httpx.AsyncBaseTransport):
    """Answers as slurmrestd does, when a test lets it; the job of HIDDEN is shown to its owner only."""

    def __init__(self) -> None:
        self.listed_as: list[str] = []
        self.begun, self.answer = asyncio.Event(), asyncio.Event()
        self.answer.set()
        self.away = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/ping/"):
            return httpx.Response(200, json={})
        user = request.headers["X-SLURM-USER-NAME"]
        self.listed_as.append(user)
        self.begun.set()
        await self.answer.wait()
        if self.away:
            raise httpx.ReadError("gone")
        own = [{"job_id": 4, "user_name": user, "comment": f"hpcjobs:{HIDDEN}"}] if user != "hpcjobs" else []
        return httpx.Response(200, json={"jobs": JOBS + own, "errors": []})


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
async def backend(tmp_path, wire):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    backend = SlurmrestdBackend("big", "http://slurmrestd", key, "hpcjobs")
    await backend._client.aclose()
    backend._client = httpx.AsyncClient(base_url="http://slurmrestd", transport=wire)
    yield backend
    await backend.close()


async def test_all_who_ask_together_are_answered_by_one_listing(backend, wire):
    asked = [backend.find("alice", ALICES) for _ in range(10)] + [backend.find("bob", BOBS) for _ in range(10)]
    assert await asyncio.gather(*asked) == [1] * 10 + [2] * 10
    assert wire.listed_as == ["hpcjobs"]


async def test_who_asks_while_a_listing_is_made_is_answered_by_the_next_one(backend, wire):
    wire.answer.clear()
    first = asyncio.create_task(backend.find("alice", ALICES))
    await wire.begun.wait()
    later = [asyncio.create_task(backend.find("bob", BOBS)) for _ in range(5)]
    later.append(asyncio.create_task(backend.find("alice", ALICES)))
    await asyncio.sleep(0)
    later.pop().cancel()
    wire.answer.set()
    assert [await first, *await asyncio.gather(*later)] == [1, 2, 2, 2, 2, 2]
    assert wire.listed_as == ["hpcjobs"] * 2


async def test_a_job_that_only_its_owner_sees_is_found_and_a_copied_mark_is_not(backend, wire):
    assert await backend.find("alice", HIDDEN) == 4
    assert await backend.find("alice", BOBS) is None
    assert await backend.find("bob", ALICES) == 3, "a copy finds the job of the one who copied it"
    assert wire.listed_as == ["hpcjobs", "alice"] * 2 + ["hpcjobs"]


async def test_a_listing_that_fails_fails_all_who_wait_for_it_and_the_next_is_made(backend, wire):
    wire.away = True
    for failed in await asyncio.gather(*[backend.find("alice", ALICES) for _ in range(3)], return_exceptions=True):
        assert isinstance(failed, SlurmUnavailable)
    assert wire.listed_as == ["hpcjobs"]
    wire.away = False
    assert await backend.find("alice", ALICES) == 1
