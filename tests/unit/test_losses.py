"""Where the time of a job went that was tried several times."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.model.losses import Losses, Parts, Saved, Tried
from hpcjobs.recovery.losses import CHECKPOINTS, START, losses, together

CAUSES = ("node", "hang", "user")

TWICE = (
    Tried(
        gpus=16, started_at=100, worked_at=200, failed_at=1500, ended_at=1800, cause="node",
        saves=(Saved(600, 10), Saved(1010, 10)),
    ),
    Tried(gpus=16, started_at=1921, worked_at=2021, ended_at=3021, resumed_at=1010, saves=(Saved(2500, 10),)),
)  # fmt: skip
"""A node is lost at 1500, noticed at 1800, and 121 s later it goes on from the checkpoint of 1010."""


def test_each_second_has_its_part():
    found = losses(0, TWICE)
    assert found.time_s == Parts(
        productive=(1010 - 200 - 10) + (3021 - 2021 - 10), saving=30, lost=1500 - 1020, stalled=300,
        restarting=200, waiting=100 + 121,
    )  # fmt: skip
    assert found.time_s.whole == 3021
    assert found.ettr == pytest.approx(1790 / 3021)


def test_gpu_hours_are_laid_to_what_took_them():
    found = losses(0, TWICE)
    assert found.by_cause == pytest.approx({
        START: 16 * 200 / 3600, CHECKPOINTS: 16 * 30 / 3600, "node": 16 * (480 + 300 + 121 + 100) / 3600
    })  # fmt: skip
    assert found.failures == {"node": 1}


def test_a_torn_checkpoint_is_work_lost_back_to_the_one_before_it():
    first, second = TWICE
    torn = msgspec.structs.replace(first, saves=(Saved(600, 10), Saved(1010, 10, whole=False)))
    with pytest.raises(Refused):
        losses(0, (torn, second))
    found = losses(0, (torn, msgspec.structs.replace(second, resumed_at=600)))
    assert found.time_s.lost == 1500 - 610 - 10
    assert found.time_s.whole == 3021


def test_attempts_that_never_worked_take_nothing_of_what_is_saved():
    """A job that is broken loops: its restarts and waits are laid to that."""
    first, _ = TWICE
    loop = [
        Tried(gpus=16, started_at=2000 + 100 * turn, worked_at=None, ended_at=2060 + 100 * turn, cause="user")
        for turn in range(3)
    ]
    found = losses(0, (first, *loop))
    assert found.time_s.productive == 1010 - 200 - 10
    assert found.time_s.restarting == 100 + 3 * 60
    assert found.by_cause["user"] == pytest.approx(16 * (2 * 40 + 2 * 60) / 3600)
    assert found.failures == {"node": 1, "user": 3}


def test_a_job_that_begins_anew_has_lost_all_before():
    first, second = TWICE
    found = losses(0, (first, msgspec.structs.replace(second, resumed_at=None)))
    assert found.time_s.productive == 990
    assert found.time_s.lost == 1500 - 200 - 20


@st.composite
def chains(draw) -> tuple[int, list[Tried]]:
    """Attempts in whole seconds; each begins at any checkpoint that an earlier one has made, or anew."""
    clock = asked_at = draw(st.integers(0, 50))
    attempts: list[Tried] = []
    count = draw(st.integers(1, 5))
    for place in range(count):
        clock += draw(st.integers(0, 20))
        started_at = clock
        clock += draw(st.integers(1, 20))
        made = [save.state_at for attempt in attempts for save in attempt.saves if save.whole]
        worked_at, saves = (clock, []) if draw(st.integers(0, 4)) else (None, [])
        if worked_at is not None:
            for _ in range(draw(st.integers(0, 4))):
                clock += draw(st.integers(1, 20))
                blocked_s = draw(st.integers(0, 5))
                saves.append(Saved(clock, blocked_s, draw(st.booleans())))
                clock += blocked_s
            clock += draw(st.integers(0, 20))
        failed_at = clock
        clock += draw(st.integers(0, 10))
        last = place + 1 == count
        attempts.append(
            Tried(
                gpus=draw(st.sampled_from((8, 64))), started_at=started_at, worked_at=worked_at, failed_at=failed_at,
                ended_at=clock, saves=tuple(saves),
                cause=draw(st.sampled_from(CAUSES + ("",) * last)),
                resumed_at=draw(st.sampled_from([None, *made])) if worked_at is not None else None,
            )
        )  # fmt: skip
    return asked_at, attempts


def lived(asked_at: int, attempts: list[Tried]) -> Parts:
    """The same, lived through second by second: each second of work is kept in the states that hold it."""
    states: dict[float, list[int]] = {}
    held: list[int] = []
    worked = saving = stalled = restarting = waiting = 0
    since = asked_at
    for attempt in attempts:
        waiting += len(range(since, attempt.started_at))
        stalled += len(range(attempt.failed_at, attempt.ended_at))
        since = attempt.ended_at
        if attempt.worked_at is None:
            restarting += len(range(attempt.started_at, attempt.failed_at))
            continue
        restarting += len(range(attempt.started_at, attempt.worked_at))
        memory = [] if attempt.resumed_at is None else list(states[attempt.resumed_at])
        held = list(memory)
        blocked = 0
        for second in range(attempt.worked_at, attempt.failed_at + 1):
            for save in attempt.saves:
                if save.state_at == second:
                    blocked = save.blocked_s
                    if save.whole:
                        states[second] = held = list(memory)
            if second == attempt.failed_at:
                break
            if blocked:
                blocked, saving = blocked - 1, saving + 1
            else:
                memory.append(second)
                worked += 1
        if not attempt.cause:
            held = memory
    return Parts(len(held), saving, worked - len(held), stalled, restarting, waiting)


@given(chains())
def test_parts_are_those_of_living_through_it(chain):
    found = losses(*chain)
    assert found.time_s == lived(*chain)
    assert found.time_s.whole == chain[1][-1].ended_at - chain[0]


@given(st.lists(chains(), min_size=1, max_size=4))
def test_hours_add_up_by_part_and_by_cause(several):
    found = together(losses(*chain) for chain in several)
    assert sum(found.by_cause.values()) + found.gpu_h.productive == pytest.approx(found.gpu_h.whole)
    held = sum(a.gpus * (a.ended_at - a.started_at) for _, attempts in several for a in attempts) / 3600
    assert found.gpu_h.whole - found.gpu_h.waiting == pytest.approx(held)
    assert all(getattr(found.gpu_h, name) >= 0 for name in Parts.__struct_fields__)
    assert sum(found.failures.values()) == sum(bool(a.cause) for _, attempts in several for a in attempts)
    assert found.ettr_of_gpus == pytest.approx(found.gpu_h.productive / found.gpu_h.whole)


def test_nothing_has_no_ratio():
    assert Losses().ettr is None
    assert together([]).ettr_of_gpus is None


@pytest.mark.parametrize(
    "change",
    [
        {"started_at": -1.0},
        {"worked_at": 50.0},
        {"ended_at": 1400.0},
        {"saves": (Saved(600, 10), Saved(605, 10))},
        {"saves": (Saved(1490, 20),)},
        {"worked_at": None},
        {"cause": ""},
        {"resumed_at": 50.0},
    ],
)
def test_what_cannot_have_been_is_refused(change):
    first, second = TWICE
    with pytest.raises(Refused):
        losses(0, (msgspec.structs.replace(first, **change), second))
