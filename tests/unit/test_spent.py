"""Where the time of a job went, of its runs as they are told: productive, lost to what, and how far that is known."""

from __future__ import annotations

import pytest

from hpcjobs.model.failure import FailureClass
from hpcjobs.model.job import State
from hpcjobs.model.job_runs import JobRun
from hpcjobs.model.losses import Parts
from hpcjobs.recovery.spent import PARTLY, SAVING, UNTOLD, spent
from tests.unit.test_chain import DIAGNOSIS, progress, recovery

FAILED = JobRun(run=0, began=100, ended=1100, raw_state="NODE_FAIL", recovery=recovery())
DONE = JobRun(run=1, began=1300, ended=2300, raw_state="COMPLETED")
CAME = progress(0, began=150.0, checkpoint="/c/1", checkpoint_at=900.0, save_s=50.0)


def told(run: JobRun, came) -> JobRun:
    fields = {name: getattr(run, name) for name in run.__struct_fields__}
    return JobRun(**fields | {"progress": came})


def test_without_a_checkpoint_all_before_a_failure_is_lost_and_that_is_said():
    found = spent([FAILED, DONE], 50, 8, 9e9)
    assert found.losses.time_s == Parts(productive=1000, lost=1000, waiting=50 + 200)
    assert found.ettr == pytest.approx(1000 / 2250)
    assert found.losses.by_cause["node"] == pytest.approx(8 * 1200 / 3600)
    assert found.told == ("Of 2 runs as Slurm tells them; no agent told of any.", UNTOLD)


def test_from_the_checkpoint_on_that_the_next_run_went_on_from_it_is_lost():
    found = spent([told(FAILED, CAME), told(DONE, progress(1, began=1400.0, resumed="/c/1"))], 50, 8, 9e9)
    assert found.losses.time_s == Parts(
        productive=700 + 900, saving=50, lost=200, restarting=50 + 100, waiting=50 + 200
    )  # fmt: skip
    assert found.ettr == pytest.approx(1600 / 2250)
    assert found.told == ("Of 2 runs as Slurm tells them; its agent told of 2 of them.", SAVING)


def test_a_checkpoint_that_nobody_knows_when_it_was_made_is_a_bound_that_is_said():
    other = spent([told(FAILED, CAME), told(DONE, progress(1, began=1400.0, resumed="/c/0"))], 50, 8, 9e9)
    assert other.losses.time_s.lost == 700 + 200
    assert other.told[1:] == (SAVING, PARTLY)


def test_a_run_that_goes_on_counts_until_now_and_as_work():
    runs = [FAILED, JobRun(run=1, state=State.RUNNING, raw_state="RUNNING", began=1300)]
    assert spent(runs, 50, 8, 1500).losses.time_s == Parts(productive=200, lost=1000, waiting=250)


def test_a_run_of_which_nothing_was_heard_where_others_were_never_came_to_work():
    silent = JobRun(run=1, began=1300, ended=1400, raw_state="NODE_FAIL")
    last = told(JobRun(run=2, began=1500, ended=1900, raw_state="COMPLETED"), progress(2, began=1500.0, resumed="/c/1"))
    found = spent([told(FAILED, CAME), silent, last], 100, 8, 9e9)
    assert (found.losses.time_s.restarting, found.losses.time_s.lost) == (50 + 100, 200)


def test_clocks_that_differ_make_no_time():
    early = progress(0, began=-5.0, checkpoint="/c/1", checkpoint_at=99_999.0, save_s=1e9)
    found = spent([told(FAILED, early), told(DONE, progress(1, began=99_999.0, resumed="/c/1"))], 500, 8, 9e9)
    assert found.losses.time_s.whole == 2300 - 100
    assert min(found.losses.time_s.productive, found.losses.time_s.lost, found.losses.time_s.waiting) >= 0


def test_what_never_began_has_no_time():
    assert spent([JobRun(run=0, state=State.PENDING)], 50, 8, 100) is None


def test_the_diagnosis_is_the_cause():
    assert DIAGNOSIS.failure is FailureClass.NODE
    assert spent([FAILED], 100, 8, 9e9).losses.failures == {"node": 1}
