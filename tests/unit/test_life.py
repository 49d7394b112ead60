"""What agents tell is read, whatever a user has put there, and whether a run does anything is seen by one clock."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.injob import status
from hpcjobs.injob.lines import Told as Line
from hpcjobs.injob.naming import folder, told_of
from hpcjobs.injob.status import Status
from hpcjobs.recovery.life import Life
from hpcjobs.recovery.told import MOST_BYTES, Told, progress_of, told

BEGAN = 1_000_000.0
PLAIN = Status(3, 0, "17", 1, "c1", 99, BEGAN, BEGAN)


def test_what_the_agent_writes_is_what_is_read():
    wrote = status.told(PLAIN, Line(12, 0.5), BEGAN + 5)
    wrote = status.published(wrote, "/x/saved/step-12", 12, 1.5, BEGAN + 6)._replace(alive=BEGAN + 7)
    found = told(status.encode(wrote))
    assert found is not None
    assert (found.attempt, found.restarts, found.job, found.step, found.steps) == (3, 1, "17", 12, ((BEGAN + 5, 12),))
    kept = progress_of(found, "big", "a", 5.0)
    assert (kept.run, kept.checkpoint, kept.checkpoint_step, kept.save_s) == (1, "/x/saved/step-12", 12, 1.5)
    for field in msgspec.structs.fields(Told):
        assert field.name in Status._fields, field.name


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers() | st.floats(), max_size=3)
)


@given(changed=st.dictionaries(st.sampled_from(Status._fields) | st.text(max_size=5), VALUES, max_size=4))
def test_whatever_stands_in_it_is_read_or_is_none(changed):
    found = told(json.dumps(PLAIN._asdict() | changed).encode(errors="surrogatepass"))
    if found is not None:
        life = Life(found.restarts, 0.0)
        life.heard(found, 5.0)
        life.idle(0.0), life.idle(1.0)
        assert msgspec.json.decode(msgspec.json.encode(progress_of(found, "big", "a", 5.0)))


@given(data=st.binary(max_size=200))
def test_what_is_no_status_file_is_none(data):
    assert told(data) is None or data.lstrip().startswith(b"{")
    assert told(b" " * MOST_BYTES + status.encode(PLAIN)) is None


def heard(life: Life, at: float, now: float, *steps: float) -> bool:
    read = told(status.encode(PLAIN._replace(alive=at, steps=tuple((step, place) for place, step in enumerate(steps)))))
    assert read is not None
    return life.heard(read, now)


@pytest.mark.parametrize("ahead_s", [-5000.0, 0.0, 5000.0])
def test_a_node_whose_clock_is_wrong_hangs_no_job(ahead_s):
    now = BEGAN + ahead_s
    life = Life(1, now)
    for minute in range(20):
        at = BEGAN + 60 * minute
        assert heard(life, at, at + ahead_s, *(BEGAN + 60 * seen for seen in range(minute + 1)))
        assert life.idle(0.0) is None
        assert life.idle(90.0) is None
    late = BEGAN + 60 * 19 + 700
    assert heard(life, late, late + ahead_s)
    assert life.idle(0.0) is not None
    assert life.idle(900.0) is None


def test_a_file_that_cannot_be_read_any_more_hangs_no_job():
    life = Life(1, BEGAN)
    heard(life, BEGAN + 240, BEGAN + 240, *(BEGAN + 60 * seen for seen in range(5)))
    for _ in range(10):  # it is looked at, and cannot be read: nobody says anything to the life
        assert life.idle(0.0) is None
    assert not heard(life, BEGAN + 240, BEGAN + 940)  # it can be read, and is as old as before
    assert life.idle(0.0) is not None


def test_time_in_which_a_job_was_suspended_is_no_hang():
    life = Life(1, BEGAN)
    heard(life, BEGAN + 240, BEGAN + 240, *(BEGAN + 60 * seen for seen in range(5)))
    heard(life, BEGAN + 240, BEGAN + 2000)
    life.rested()
    assert life.idle(0.0) is None


def test_without_an_agent_output_says_whether_anything_is_done():
    life = Life(0, BEGAN)
    for look in range(8):
        life.grew(10 * min(look, 6), BEGAN + 20 * look)
    assert life.activity.outputs == tuple(BEGAN + 20 * look for look in range(1, 7))
    life.grew(60, BEGAN + 120 + 599)
    assert life.idle(0.0) is None
    life.grew(60, BEGAN + 120 + 601)
    assert life.idle(0.0) is not None


def test_folders_of_tasks_are_told_apart():
    assert folder("/s/%A/%a-%j-%%", "12", "10", "2") == "/s/10/2-12-%"
    assert folder("/s/%A", "12") == "/s/12"
    assert folder("", "12") == ""
    assert told_of("12") == "status/job-12.json"
