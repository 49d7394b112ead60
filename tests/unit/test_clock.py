from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from hpcjobs import clock

PERIOD_S = 0.05


async def run_for(seconds: float, *entries: clock.Entry) -> None:
    end = time.monotonic() + seconds
    await run_until(lambda: time.monotonic() >= end, *entries)


async def run_until(enough: Callable[[], bool], *entries: clock.Entry) -> None:
    running = clock.Clock(entries)
    running.start()
    async with asyncio.timeout(60):
        while not enough():  # noqa: ASYNC110
            await asyncio.sleep(PERIOD_S / 5)
    await running.stop(grace_s=0.1)


async def test_a_tick_is_called_with_the_time_again_and_again():
    moments: list[float] = []

    async def tick(now: float) -> None:
        moments.append(now)

    before = time.time()
    await run_until(lambda: len(moments) >= 3, clock.Entry("tick", PERIOD_S, tick))
    assert moments == sorted(moments)
    assert before <= moments[0] <= moments[-1] <= time.time()


async def test_a_slow_tick_never_overlaps_itself_and_is_not_made_up_for():
    running, most, count = 0, 0, 0

    async def slow(_now: float) -> None:
        nonlocal running, most, count
        running += 1
        count += 1
        most = max(most, running)
        await asyncio.sleep(PERIOD_S * 3)
        running -= 1

    begun = time.monotonic()
    await run_until(lambda: count >= 4, clock.Entry("slow", PERIOD_S, slow))
    assert most == 1
    assert count <= (time.monotonic() - begun) / (PERIOD_S * 3) + 1


async def test_a_slow_or_broken_tick_does_not_hold_up_the_others():
    calls: list[str] = []

    async def stuck(_now: float) -> None:
        calls.append("stuck")
        await asyncio.sleep(60)

    async def broken(_now: float) -> None:
        calls.append("broken")
        raise RuntimeError("this tick breaks")

    async def good(_now: float) -> None:
        calls.append("good")

    await run_until(
        lambda: min(calls.count("broken"), calls.count("good")) >= 3,
        *[clock.Entry(tick.__name__, PERIOD_S, tick) for tick in (stuck, broken, good)],
    )
    assert calls.count("stuck") == 1


async def test_a_tick_that_has_begun_comes_to_its_end_before_the_clock_has_stopped():
    calls: list[str] = []

    async def slow(_now: float) -> None:
        calls.append("begun")
        await asyncio.sleep(PERIOD_S * 3)
        calls.append("done")

    running = clock.Clock([clock.Entry("slow", PERIOD_S, slow)])
    running.start()
    while not calls:  # noqa: ASYNC110
        await asyncio.sleep(PERIOD_S / 10)
    await running.stop()
    assert calls[-1] == "done"


async def test_nothing_ticks_after_the_clock_is_stopped():
    calls: list[float] = []

    async def tick(now: float) -> None:
        calls.append(now)

    await run_for(0.2, clock.Entry("tick", PERIOD_S, tick))
    told = len(calls)
    await asyncio.sleep(PERIOD_S * 4)
    assert len(calls) == told
