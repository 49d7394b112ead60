"""The file of usage: what is read and what is written at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hpcjobs.errors import Unavailable
from hpcjobs.usage import intake


async def test_what_is_read_together_is_of_one_moment(store):
    """Rows of a report and its total are two statements: what is written between them is in neither."""
    begun, go_on = threading.Event(), threading.Event()

    def twice(connection):
        before = intake.read_until(connection, "big")
        begun.set()
        assert go_on.wait(10)
        return before, intake.read_until(connection, "big")

    await store.write(intake.set_read_until, "big", 1)
    reading = asyncio.create_task(store.read(twice))
    assert await asyncio.to_thread(begun.wait, 10)
    await store.write(intake.set_read_until, "big", 2)
    go_on.set()
    assert await reading == (1, 1)
    assert await store.read(intake.read_until, "big") == 2


async def test_what_a_question_makes_is_gone_after_it_also_where_it_fails(store):
    def fails(connection):
        connection.execute("CREATE TEMP TABLE made AS SELECT 1")
        connection.execute("no SQL")

    with pytest.raises(Unavailable, match="does not answer"):
        await store.read(fails)
    with pytest.raises(Unavailable, match="made"):
        await store.read(lambda connection: connection.execute("FROM made"))
    assert await store.read(intake.read_until, "big") is None
