"""Accounting is read once, in pieces, and on: whatever fails or is killed, nothing is lost or there twice."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from hpcjobs.errors import SlurmUnavailable
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs.model.usage import Run
from hpcjobs.slurm.base import Op
from hpcjobs.usage.intake import LOST
from hpcjobs.usage.reading import AGAIN_AFTER_S, DAY_S, UsageReader
from hpcjobs.usage.store import UsageStore

NOW = 1_790_000_000
BEGIN = 1_700_000_000


class Slurmdbd:
    """Accounting that is asked as the real one is: what had not ended before, and was there by then."""

    def __init__(self) -> None:
        self.runs_there: dict[tuple[int, int], Run] = {}
        self.asked: list[tuple[int, int]] = []
        self.fails: Callable[[int], bool] = lambda _: False

    def tell(self, number: int, submitted: int, **fields: object) -> None:
        told = {"slurm_job_id": number, "submit_time": submitted, "eligible_time": submitted, "user": "alice"}
        self.runs_there[number, submitted] = msgspec.convert(told | fields, Run)

    def lacks(self, op: Op, subject: object = None) -> str:
        return ""

    async def runs(self, since: int, until: int) -> tuple[Run, ...]:
        self.asked.append((since, until))
        if self.fails(len(self.asked)):
            raise SlurmUnavailable("slurmdbd is away.")
        return tuple(
            run
            for run in self.runs_there.values()
            if (not until or run.eligible_time < until) and (not run.end_time or run.end_time >= since)
        )


def reader(slurmdbd: Slurmdbd, store: UsageStore, view: ClusterView | None = None, **more: float) -> UsageReader:
    told = {"begin": BEGIN, "overlap_s": 900, "again_days": 8} | more
    nobody = ClusterView("big", NOW, {}, {}, {})
    return UsageReader("big", slurmdbd, store, lambda: view or nobody, **told)  # type: ignore[arg-type]


async def test_nothing_is_read_before_it_is_known_what_nodes_have(store):
    slurmdbd = Slurmdbd()
    await UsageReader("big", slurmdbd, store, lambda: None, begin=BEGIN, overlap_s=9, again_days=8).tick(NOW)  # type: ignore[arg-type]
    assert slurmdbd.asked == []


async def kept(store: UsageStore, columns: str = "slurm_job_id, submit_time, end_time") -> list[tuple]:
    return await store.read(lambda usage: usage.execute(f"SELECT {columns} FROM runs ORDER BY ALL").fetchall())


async def test_all_of_the_past_is_read_once_and_then_what_is_new(store):
    slurmdbd = Slurmdbd()
    for number in range(50):
        start = BEGIN + number * 40 * DAY_S
        if start < NOW:
            slurmdbd.tell(number, start, start_time=start, end_time=start + 1000)
    reading = reader(slurmdbd, store)
    await reading.tick(NOW)
    there = len(slurmdbd.runs_there)
    assert len(await kept(store)) == there
    assert reading.read_until == NOW - 1
    slurmdbd.tell(900, NOW + 5, start_time=NOW + 6)
    slurmdbd.asked.clear()
    await reading.tick(NOW + 20)
    assert slurmdbd.asked == [(NOW - 901, 0)]
    slurmdbd.tell(900, NOW + 5, start_time=NOW + 6, end_time=NOW + 30)
    await reading.tick(NOW + 40)
    assert (await kept(store))[-1] == (900, NOW + 5, NOW + 30)
    assert len(await kept(store)) == there + 1


async def test_what_is_as_it_was_is_not_written_again(store):
    slurmdbd = Slurmdbd()
    slurmdbd.tell(1, NOW - 50, start_time=NOW - 40)
    reading = reader(slurmdbd, store)
    for second in range(5):
        await reading.tick(NOW + second)
    assert reading.runs_read == 1
    assert reading.read_until == NOW + 3


async def test_a_run_whose_end_was_told_late_is_asked_for_again(store):
    slurmdbd = Slurmdbd()
    slurmdbd.tell(1, NOW - 40 * DAY_S, start_time=NOW - 40 * DAY_S)
    slurmdbd.tell(2, NOW - 3 * DAY_S, start_time=NOW - 3 * DAY_S)
    await reader(slurmdbd, store).tick(NOW)
    slurmdbd.tell(1, NOW - 40 * DAY_S, start_time=NOW - 40 * DAY_S, end_time=NOW - 30 * DAY_S)
    slurmdbd.tell(2, NOW - 3 * DAY_S, start_time=NOW - 3 * DAY_S, end_time=NOW - 2 * DAY_S)
    slurmdbd.tell(3, NOW - 2 * DAY_S, start_time=NOW - 2 * DAY_S, end_time=NOW - 2 * DAY_S + 5)
    anew = reader(slurmdbd, store)
    await anew.tick(NOW + 20)
    assert slurmdbd.asked[-1] == (NOW - 901, 0), "at first it only goes on"
    await anew.tick(NOW + 20 + AGAIN_AFTER_S)
    assert await kept(store, "slurm_job_id, end_time") == [
        (1, NOW - 30 * DAY_S), (2, NOW - 2 * DAY_S), (3, NOW - 2 * DAY_S + 5),
    ]  # fmt: skip


async def test_a_run_that_accounting_has_lost_does_not_count_for_ever(store):
    slurmdbd = Slurmdbd()
    slurmdbd.tell(1, NOW - 50, start_time=NOW - 40)
    slurmdbd.tell(2, NOW - 50, start_time=NOW - 40)
    slurmdbd.tell(3, NOW - 50)
    reading = reader(slurmdbd, store)
    await reading.tick(NOW)
    gone = {number: slurmdbd.runs_there.pop((number, NOW - 50)) for number in (2, 3)}
    await reading.tick(NOW + 20)
    assert {end for _, end in await kept(store, "slurm_job_id, end_time")} == {None}
    later = NOW + DAY_S + 100
    await reading.tick(later)
    ended = [(1, None, ""), (2, later, LOST), (3, later, LOST)]
    assert await kept(store, "slurm_job_id, end_time, reason") == ended
    slurmdbd.runs_there[2, NOW - 50] = gone[2]
    await reading.tick(later + 20)
    assert (await kept(store, "slurm_job_id, end_time, reason"))[1] == (2, None, "")


async def test_each_day_the_last_days_are_read_once_more(store):
    slurmdbd = Slurmdbd()
    reading = reader(slurmdbd, store)
    await reading.tick(NOW)
    slurmdbd.asked.clear()
    await reading.tick(NOW + 20)
    await reading.tick(NOW + DAY_S)
    await reading.tick(NOW + DAY_S + 20)
    times = (NOW + 20, NOW + DAY_S, NOW + DAY_S + 20)
    assert [now - since for now, (since, _) in zip(times, slurmdbd.asked, strict=True)] == [921, 8 * DAY_S, 921]


async def test_accounting_that_is_away_is_asked_again_for_all_that_is_not_known(store):
    slurmdbd = Slurmdbd()
    slurmdbd.tell(1, NOW - 50, start_time=NOW - 40)
    slurmdbd.fails = lambda _: True
    reading = reader(slurmdbd, store)
    await reading.tick(NOW)
    assert (reading.trouble, reading.read_until) == ("slurmdbd is away.", None)
    slurmdbd.fails = lambda _: False
    await reading.tick(NOW + 5000)
    assert (reading.trouble, reading.read_until, len(await kept(store))) == ("", NOW + 4999, 1)


@pytest.mark.parametrize("seed", range(20))
async def test_killed_anywhere_and_begun_anew_it_ends_with_each_run_once(store, seed):
    chance = random.Random(seed)
    slurmdbd = Slurmdbd()
    for number in range(200):
        start = chance.randrange(BEGIN, NOW)
        slurmdbd.tell(number, start, start_time=start, end_time=start + chance.randrange(10 * DAY_S))
    slurmdbd.fails = lambda _: chance.random() < 0.4
    now = NOW
    for _ in range(200):
        now += 20
        reading = reader(slurmdbd, store)  # whatever it knew is gone
        await reading.tick(now)
        if reading.read_until == now - 1:
            break
    slurmdbd.fails = lambda _: False
    await reader(slurmdbd, store).tick(now + 20)
    assert await kept(store) == sorted((*key, run.end_time) for key, run in slurmdbd.runs_there.items())


def listed(gres: str, usable: bool = True, name: str = "n1") -> ClusterView:
    node = Node(name, "IDLE", usable, 64, 0, 0, 0, {}, {}, (), (), particulars=NodeParticulars(gres=gres))
    return ClusterView("big", NOW, {}, {name: node}, {})


async def kept_nodes(store: UsageStore) -> list[tuple]:
    told = "SELECT node, since, gres, cpus, usable FROM node_kinds ORDER BY since, node"
    return await store.read(lambda usage: usage.execute(told).fetchall())


async def test_what_nodes_have_is_kept_where_it_changes(store):
    slurmdbd = Slurmdbd()
    slurmdbd.tell(1, NOW - 50, start_time=NOW - 40, nodes=1, node_list="n1", tres_alloc="gres/gpu=2")
    for second, gres in enumerate(["gpu:a100:8", "gpu:a100:8", "gpu:h100:8"]):
        await reader(slurmdbd, store, listed(gres)).tick(NOW + second)
    assert await kept_nodes(store) == [("n1", NOW, "gpu:a100:8", 64, True), ("n1", NOW + 2, "gpu:h100:8", 64, True)]
    told = await store.read(lambda usage: usage.execute("SELECT kind, devices, basis FROM run_gpus").fetchall())
    assert told == [("a100", 2, "nodes")]


async def test_nodes_that_are_down_or_gone_are_known_to_be(store):
    views = [listed("gpu:a100:8"), listed("gpu:a100:8", usable=False), listed("", name="n2"), listed("", name="n2")]
    for second, view in enumerate(views):
        await reader(Slurmdbd(), store, view).tick(NOW + second)
    empty = ClusterView("big", NOW, {}, {}, {})
    await reader(Slurmdbd(), store, empty).tick(NOW + 9)
    assert await kept_nodes(store) == [
        ("n1", NOW, "gpu:a100:8", 64, True), ("n1", NOW + 1, "gpu:a100:8", 64, False), ("n1", NOW + 2, "", 0, False),
        ("n2", NOW + 2, "", 64, True),
    ]  # fmt: skip
