"""Who waits in vain for a job that was started again is told to wait anew, and nobody else is."""

from __future__ import annotations

import pytest

from hpcjobs.model.job import Fate, JobRecord, State
from hpcjobs.model.steering import Depend, unmeant
from hpcjobs.recovery.followers import anew, awaited, stuck


def job(number: int, state: State = State.PENDING, **fields: object) -> JobRecord:
    return JobRecord(slurm_job_id=number, state=state, **fields)  # type: ignore[arg-type]


FAILED = job(7, State.FINISHED, fate=Fate.FAILED)
RUNS = job(7, State.RUNNING, restarts=1)
DONE = job(7, State.FINISHED, fate=Fate.COMPLETED, restarts=1)
GOOD = job(12, State.FINISHED, fate=Fate.COMPLETED, array_job_id=11, array_task="1")
TASK = job(11, State.PENDING, restarts=1, array_job_id=11, array_task="2")
TASK_DONE = job(11, State.FINISHED, fate=Fate.COMPLETED, restarts=1, array_job_id=11, array_task="2")


def listed(*records: JobRecord) -> dict[int, list[JobRecord]]:
    found: dict[int, list[JobRecord]] = {}
    for record in records:
        for number in {record.slurm_job_id, record.array_job_id} - {0}:
            found.setdefault(number, []).append(record)
    return found


@pytest.mark.parametrize(
    ("dependency", "there", "said"),
    [
        ("afterok:7(failed)", [RUNS], "afterok:7"), ("afterok:7(failed)", [DONE], "afterok:7"),
        ("afterok:7(failed)", [FAILED], None),  # it has not been started again
        ("afterok:7(unfulfilled)", [RUNS], None), ("afternotok:7(failed)", [DONE], None), ("", [RUNS], None),
        ("afterok:7(failed)", [], None),  # Slurm has forgotten it
        ("afterok:7(failed),afterok:8(failed)", [RUNS], None),
        ("afterok:7(failed),afterany:8(unfulfilled)", [RUNS], "afterok:7,afterany:8"),
        ("afterok:7(failed)?afterok:11_2(failed)", [RUNS, TASK], "afterok:7?afterok:11_2"),
        ("afterok:11_*(failed)", [GOOD, TASK], None), ("afterok:11_*(failed)", [GOOD, TASK_DONE], ""),
        ("afterok:11_*(failed),afterany:8(unfulfilled)", [GOOD, TASK_DONE], "afterany:8"),
        ("afterok:11_*(failed)?afterok:8(unfulfilled)", [GOOD, TASK_DONE], ""),
        ("afterok:11_1(failed)", [GOOD, TASK], None),  # nobody has started that task again
        ("aftercorr:11_2(failed)", [GOOD, TASK], "aftercorr:11_2"),
    ],
)  # fmt: skip
def test_what_is_said_anew(dependency, there, said):
    record = job(9, dependency=dependency)
    complete = {11} if TASK_DONE in there else set[int]()
    found = list(anew(stuck([record]), listed(*there), lambda one: one.restarts > 0, complete.__contains__))
    assert [one.dependency for one in found] == ([said] if said is not None else [])
    for one in found:
        assert (one.job, unmeant(one)) == (9, "")
        again = [one for one in awaited(record, listed(*there)) if one.restarts]
        assert again[0].target in one.why


def test_the_last_task_of_an_array_is_not_the_array():
    assert (TASK.target, GOOD.target, RUNS.target) == ("11_2", "12", "7")
    assert job(11, array_job_id=11, array_task="2-5%2").target == "11"


def test_what_runs_is_not_told_to_wait():
    assert stuck([job(9, State.RUNNING, dependency="afterok:7(failed)"), job(9, State.HELD)]) == []


@pytest.mark.parametrize("dependency", ["afterok:7 Priority=1", "afterok:7\n", "x" * 5000])
def test_what_is_no_dependency_is_meant_by_nobody(dependency):
    assert "depend" in unmeant(Depend(9, dependency, "x"))
