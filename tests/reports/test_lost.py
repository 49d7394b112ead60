"""What failures took: by cause, never more than was held, and the same as one account of each job says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import Refused
from hpcjobs.identity.policy import Visibility
from hpcjobs.model.failure import FailureClass
from hpcjobs.model.losses import RunTold
from hpcjobs.model.progress import Progress
from hpcjobs.model.report import ReportQuery, Table
from hpcjobs.reports.answer import answer
from hpcjobs.reports.asked import check
from hpcjobs.reports.ready import READY, filled

from .test_answer import DAY, EVERYBODY, NOW, by_name
from .usage import Usage

A100 = ("a100", 8, 8.0, 8.0)
H = 3600
LOST = ("gpu_hours_lost", "gpu_hours_undone", "gpu_hours_stalled", "gpu_hours_restarting", "gpu_hours_waited")


def ask(usage: Usage, *told: RunTold, visible: Visibility = EVERYBODY, name: str = "lost", **query: Any) -> Table:
    asked = check(filled(READY[name], ReportQuery(**({"period": "2026-10-25"} | query))), "Europe/Berlin", NOW)
    return answer(usage.connection, asked._replace(told=told), visible)


def lost(table: Table) -> dict[Any, list[float]]:
    return {name: [pytest.approx(row[measure]) for measure in LOST] for name, row in by_name(table).items()}


def tried(usage: Usage, number: int, *spans: tuple[int, int, str], **fields: Any) -> None:
    """A job with 8 GPUs that ran from hour to hour of the day, as Slurm says how each run ended."""
    for run, (since, until, state) in enumerate(spans):
        usage.run(
            DAY + since * H, DAY + until * H, A100, slurm_job_id=number, restarts=run, raw_state=state,
            submit_time=DAY + since * H, **fields,
        )  # fmt: skip


def told(run: int, at: int, cause: FailureClass | None = None, number: int = 1, **progress: Any) -> RunTold:
    came = None
    if progress:
        of_run = {"cluster": "north", "job_id": "x", "run": run, "attempt": run + 1, "alive": 0.0, "seen_at": 0.0}
        came = Progress(**(of_run | progress))
    return RunTold(
        cluster="north", slurm_job_id=number, run=run, at=DAY + at * H, cause=cause, progress=came
    )  # fmt: skip


def test_without_checkpoints_all_of_a_run_that_failed_is_lost_and_so_is_the_wait_for_the_next():
    usage = Usage()
    tried(usage, 1, (1, 3, "NODE_FAIL"), (4, 5, "TIMEOUT"), (5, 9, "COMPLETED"))
    tried(usage, 2, (1, 9, "COMPLETED"))
    assert lost(ask(usage)) == {"node": [16, 16, 0, 0, 8], "time_limit": [8, 8, 0, 0, 0]}


def test_from_the_last_checkpoint_on_a_run_is_lost_and_what_follows_until_its_program_begins():
    usage = Usage()
    tried(usage, 1, (1, 4, "NODE_FAIL"), (5, 9, "COMPLETED"))
    first = told(0, 4, began=DAY + 1.0 * H, checkpoint="/c/1", checkpoint_at=DAY + 3.0 * H)
    last = told(1, 6, began=DAY + 5.5 * H, resumed="/c/1")
    assert lost(ask(usage, first, last)) == {"node": [8 + 4, 8, 0, 4, 8]}
    anew = told(1, 6, began=DAY + 5.5 * H)
    assert lost(ask(usage, first, anew)) == {"node": [24 + 4, 24, 0, 4, 8]}


def test_a_diagnosis_says_more_than_slurm_and_what_hung_was_stalled():
    usage = Usage()
    tried(usage, 1, (1, 5, "TIMEOUT"))
    why = told(0, 5, FailureClass.HANG)
    came = told(0, 5, began=DAY + 1.0 * H, step_at=DAY + 2.0 * H)
    assert lost(ask(usage, why, came)) == {"hang": [32, 8, 24, 0, 0]}


def test_what_completed_or_was_cancelled_has_lost_nothing_and_what_is_requeued_after_it_is_other_work():
    usage = Usage()
    tried(usage, 1, (1, 3, "COMPLETED"), (4, 5, "CANCELLED"))
    tried(usage, 2, (1, 3, "CANCELLED"))
    assert ask(usage).rows == ()


def test_a_number_that_is_given_again_is_another_job():
    usage = Usage()
    tried(usage, 1, (1, 2, "FAILED"))
    tried(usage, 1, (8, 9, "NODE_FAIL"))
    found = lost(ask(usage, told(0, 2, FailureClass.USER)))
    assert found == {"user": [8, 8, 0, 0, 0], "node": [8, 8, 0, 0, 0]}


def test_a_run_that_became_smaller_lost_what_it_had():
    usage = Usage()
    usage.run(DAY, DAY + H, A100, slurm_job_id=1, submit_time=DAY, raw_state="RESIZING")
    usage.run(
        DAY + H, DAY + 3 * H, ("a100", 4, 4.0, 4.0), slurm_job_id=1, submit_time=DAY + H, raw_state="NODE_FAIL"
    )  # fmt: skip
    assert lost(ask(usage)) == {"node": [16, 16, 0, 0, 0]}


def test_hours_are_those_inside_the_period_and_of_what_one_may_see():
    usage = Usage()
    tried(usage, 1, (-3, 2, "NODE_FAIL"), (3, 5, "COMPLETED"))
    assert lost(ask(usage)) == {"node": [16, 16, 0, 0, 8]}
    assert lost(ask(usage, period="2026-10-24")) == {"node": [24, 24, 0, 0, 0]}
    assert ask(usage, visible=Visibility("bob")).rows == ()


def test_ettr_is_what_was_not_lost_over_that_and_waits():
    usage = Usage()
    tried(usage, 1, (1, 3, "NODE_FAIL"), (4, 10, "COMPLETED"))
    tried(usage, 2, (1, 3, "COMPLETED"))
    (row,) = ask(usage, name="ettr").rows
    assert row == ("north", pytest.approx((80 - 16) / (80 + 8)), 80, 16, 8)


def test_what_has_no_cause_is_refused():
    for measure in ("gpu_hours", "ettr", "pool_used"):
        with pytest.raises(Refused, match="has no cause"):
            ask(Usage(), by=("cause",), measures=(measure,))
    with pytest.raises(Refused, match="has no cause"):
        ask(Usage(), name="usage", where={"cause": ("node",)})


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[tuple[int, int, int, int, str]], list[RunTold]]:
    """Runs of a few jobs: number, which run, hours of begin and end, state; and what is told of some of them."""
    runs, facts = [], []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        clock, saved = draw(st.integers(-30, 20)), ""
        for run in range(draw(st.integers(1, 4))):
            clock += draw(st.integers(0, 3))
            begin = clock
            clock += draw(st.integers(1, 12))
            runs.append((number, run, begin, clock, draw(st.sampled_from(STATES))))
            if draw(st.booleans()):
                cause = draw(st.sampled_from([None, *FailureClass]))
                facts.append(told(run, clock, cause, number=number) if cause else told(run, clock, number=number))
            if draw(st.booleans()):
                at = DAY + draw(st.integers(begin - 2, clock + 2)) * H
                path = draw(st.sampled_from(("", f"/{number}/{run}")))
                facts.append(told(
                    run, clock, number=number, began=float(DAY + begin * H + draw(st.integers(-90, 5000))),
                    step_at=float(at), checkpoint=path, checkpoint_at=float(at), save_s=draw(st.floats(0, 5000)),
                    resumed=draw(st.sampled_from(("", saved))),
                ))  # fmt: skip
                saved = path or saved
    return runs, facts


STATES = ("NODE_FAIL", "FAILED", "TIMEOUT", "PREEMPTED", "REQUEUED", "COMPLETED", "CANCELLED", "OUT_OF_MEMORY")


@given(histories(), st.sampled_from([("hour",), ("user", "day"), ("gpu",)]))
def test_causes_add_up_to_what_was_lost_which_is_part_of_what_was_held(history, by):
    runs, facts = history
    usage = Usage()
    for number, run, begin, end, state in runs:
        usage.run(
            DAY + begin * H, DAY + end * H, A100, slurm_job_id=number, restarts=run, raw_state=state,
            submit_time=DAY + begin * H,
        )  # fmt: skip
    by_cause = ask(usage, *facts, period="2026-10-24..2026-10-27")
    assert {row[0] for row in by_cause.rows} <= {*FailureClass}
    for place in range(1, len(LOST) + 1):
        assert sum(float(row[place]) for row in by_cause.rows) == pytest.approx(by_cause.total[place])
    whole, *parts, _ = by_cause.total[1:]
    assert whole == pytest.approx(sum(parts))
    measures = ("gpu_hours_held", "gpu_hours_lost", "ettr")
    table = ask(usage, *facts, period="2026-10-24..2026-10-27", by=by, measures=measures)
    for row in (*table.rows, table.total):
        held, gone, ratio = row[-3:]
        assert -1e-9 <= gone <= held + 1e-9
        assert ratio is None or -1e-9 <= ratio <= 1 + 1e-9
    assert sum(float(row[-2]) for row in table.rows) == pytest.approx(whole)
