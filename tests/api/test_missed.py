"""What came and went while nobody listed is asked of accounting, aside from the listings, until it has answered."""

from __future__ import annotations

import asyncio
import itertools
import time

import msgspec
import pytest

from hpcjobs.model.history import Accounted
from hpcjobs.observe import endings
from hpcjobs.observe.missed import LAST_PAUSE_S, STRETCH_S, stretches
from tests.api.bench import Bench, UnrulySlurm, running, settings_of
from tests.unit.builders import finished, record

DAY_S = 86_400.0


class Ledger:
    """An accounting that remembers what it was asked and has a job that ended at a moment."""

    def __init__(self, slurm: UnrulySlurm, ended_at: float = 0.0) -> None:
        self.slurm = slurm
        self.queries = []
        self.job = finished(77, name="unseen", submit_time=int(ended_at) - 60, end_time=int(ended_at))
        slurm.history = self.history

    async def history(self, query):
        self.queries.append(query)
        found = await UnrulySlurm.history(self.slurm, query)
        if self.job.end_time and query.since <= self.job.end_time < query.until:
            found = (*found, Accounted(self.job))
        return found


async def names(bench: Bench) -> list[str]:
    return [job["name"] for job in (await bench.get("/v1/jobs", max_age_s=1e9)).json()["items"]]


async def test_a_gap_is_remembered_until_accounting_has_told_of_it(bench):
    ledger = Ledger(bench.slurm, time.time() + 500)
    bench.slurm.accounting_down = True
    await bench.tick(1000)
    await bench.ask_accounting(1000)
    await bench.tick(1040)
    assert (await names(bench), bench.observer.trouble) == ([], None)
    bench.slurm.accounting_down = False
    await bench.ask_accounting(1040)
    assert await names(bench) == ["unseen"]
    asked = len(ledger.queries)
    await bench.ask_accounting(1100)
    assert len(ledger.queries) == asked, "it was told"


async def test_a_gap_is_remembered_over_a_restart(place):
    slurm = UnrulySlurm()
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick()
        slurm.accounting_down = True
        await bench.tick(1000)
        await bench.ask_accounting(1000)
    slurm.accounting_down = False
    Ledger(slurm, time.time() + 500)
    async with running(settings_of(place), {"big": slurm}) as bench:
        await bench.tick(1100)
        await bench.ask_accounting(1100)
        assert await names(bench) == ["unseen"]


async def test_a_long_gap_is_asked_for_a_stretch_at_a_time_and_goes_on_where_it_was_left(bench):
    ledger = Ledger(bench.slurm, time.time() + DAY_S - 200)
    await bench.tick(DAY_S - 100)
    await bench.ask_accounting(DAY_S - 100)
    assert len(ledger.queries) == DAY_S / STRETCH_S
    assert await names(bench) == ["unseen"]
    assert all(query.until - query.since <= STRETCH_S + 62 for query in ledger.queries)


def test_stretches_cover_all_of_a_time():
    asked = list(stretches(1000.0, 1000.0 + 2.5 * STRETCH_S))
    assert asked[0].since < 1000 < 1000 + 2.5 * STRETCH_S < asked[-1].until
    assert all(one.until > other.since for one, other in itertools.pairwise(asked))
    assert list(stretches(5.0, 5.0)) == []


async def test_what_runs_again_after_a_gap_is_as_it_is_listed(bench):
    job = await bench.submitted()
    before = bench.slurm._jobs[1].record
    again = msgspec.structs.replace(before, restarts=1, submit_time=before.submit_time + 500)
    bench.slurm._jobs[1].record = again
    told = msgspec.convert(
        msgspec.to_builtins(before) | {"state": "FINISHED", "fate": "NODE_FAIL", "end_time": int(time.time()) + 400},
        type(before),
    )
    bench.slurm.accounted = [told]
    bench.slurm._jobs[1].ends_at = 1e12
    await bench.tick(1000)
    await bench.ask_accounting(1000)
    (seen,) = (await bench.get("/v1/jobs", max_age_s=1e9)).json()["items"]
    assert (seen["id"], seen["state"], seen["restarts"]) == (job["id"], "RUNNING", 1)


async def test_listings_go_on_while_accounting_takes_its_time(bench):
    answer, asked = asyncio.Event(), asyncio.Event()

    async def history(query):
        asked.set()
        await answer.wait()
        return ()

    bench.slurm.history = history
    await bench.tick(1000)
    asking = asyncio.create_task(bench.ask_accounting(1000))
    await asked.wait()
    before = bench.observer.listings
    await bench.tick(1001)
    assert bench.observer.listings == before + 1
    answer.set()
    await asking


@pytest.mark.thorough
async def test_however_many_attempts_are_open_accounting_is_asked_once_and_seldom_in_vain(bench):
    bench.slurm.mishaps, bench.slurm.cannot_find = ["lost before"] * 5, True
    for name in "abcde":
        assert (await bench.post(name=name)).status_code == 202
    bench.slurm.cannot_find = False
    bench.observer.min_job_age_s = bench.observer.missed.long_s = 1e9  # no gap
    ledger = Ledger(bench.slurm)
    bench.slurm.accounting_down = True
    await bench.tick(1000)
    assert ledger.queries == [], "not within a listing"
    for ahead_s in range(1000, 1000 + 3600):
        await bench.observer.missed.tick(time.time() + ahead_s)
    assert 3600 / LAST_PAUSE_S < len(ledger.queries) < 20
    bench.slurm.accounting_down = False
    ledger.queries.clear()
    await bench.observer.missed.tick(time.time() + 6000)
    assert len(ledger.queries) == 1
    await bench.send()
    assert sorted(entry.record.name for entry in bench.slurm._jobs.values()) == list("abcde")


async def test_every_job_whose_end_is_not_known_has_its_turn(bench, monkeypatch):
    monkeypatch.setattr(endings, "MOST", 2)
    for number in range(1, 6):
        bench.slurm.bring_back(record(number))
    await bench.tick()
    bench.slurm._jobs.clear()
    await bench.tick()
    ledger = Ledger(bench.slurm)
    for ahead_s in (0, 2, 4):
        await bench.ask_accounting(ahead_s)
    assert sorted({number for query in ledger.queries for number in query.numbers}) == [1, 2, 3, 4, 5]
