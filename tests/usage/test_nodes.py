"""For how long nodes ran jobs, and where a job failed that completed elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from hpcjobs.model.suspicion import SignalKind
from hpcjobs.model.usage import Run
from hpcjobs.recovery.lemons import DAY_S, faded_days, usual_rules
from hpcjobs.usage import intake
from hpcjobs.usage.fleet import Fleet
from hpcjobs.usage.nodes import cured_elsewhere, ran_days
from hpcjobs.usage.tables import TABLES

RULES = usual_rules()
NOW = 1_800_000_000


@pytest.fixture
def usage() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(TABLES)
        yield connection


def ago(days: float) -> int:
    return int(NOW - days * DAY_S)


def run(number: int, where: str, begun: float, ended: float | None, state: str = "COMPLETED", **facts: int) -> Run:
    """A run between so many days ago; None: it goes on."""
    told = {"submit_time": ago(begun), "start_time": ago(begun), "end_time": 0 if ended is None else ago(ended)}
    return Run(slurm_job_id=number, raw_state=state, node_list=where, **(told | facts))


def kept(usage: duckdb.DuckDBPyConnection, *runs: Run) -> None:
    intake.set_read_until(usage, "big", NOW)
    intake.write_runs(usage, "big", runs, Fleet())


def test_days_are_counted_for_each_node_of_a_run_and_fade_with_their_age(usage: duckdb.DuckDBPyConnection) -> None:
    runs = run(1, "n[1-2]", 3, 1), run(2, "n2", 40, 20), run(3, "n3", 1, None, "RUNNING"), run(4, "n4", 60, 30)
    kept(usage, *runs, run(5, "", 3, 1, start_time=0))
    found = ran_days(usage, "big", RULES, NOW)
    assert found is not None
    whole = faded_days(RULES, ago(3), ago(1), NOW)
    assert found.pop("n1") == pytest.approx(whole)
    assert found.pop("n2") == pytest.approx(whole + faded_days(RULES, ago(28), ago(20), NOW))
    assert found.pop("n3") == pytest.approx(faded_days(RULES, ago(1), NOW, NOW))
    assert found == {}


def test_where_accounting_knows_of_no_run_nobody_has_counted(usage: duckdb.DuckDBPyConnection) -> None:
    kept(usage, run(4, "n4", 60, 30))
    assert ran_days(usage, "big", RULES, NOW) is None
    assert ran_days(usage, "other", RULES, NOW) is None


def test_a_job_that_failed_and_completed_without_some_of_its_nodes_speaks_against_these(
    usage: duckdb.DuckDBPyConnection,
) -> None:
    kept(
        usage,
        run(1, "n[1-3]", 5, 4, "FAILED"), run(1, "n[2-4]", 4, 3),
        run(2, "n[5-8]", 5, 4, "NODE_FAIL"), run(2, "n[7-8,10-11]", 4, 3),
        run(3, "n1", 5, 4, "FAILED"), run(3, "n2", 4, 3, "FAILED"),  # the script's own fault
        run(4, "n1", 5, 4, "FAILED"), run(4, "n1", 4, 3),  # it was not the node
        run(5, "n1", 5, 4, "TIMEOUT"), run(5, "n2", 4, 3),
        run(6, "n1", 40, 39, "FAILED"), run(6, "n2", 39, 38),
    )  # fmt: skip
    found = cured_elsewhere(usage, "big", RULES, NOW)
    assert [(one.node, one.slurm_job_id, one.among, one.at) for one in found] == [
        ("n1", 1, 1, ago(4)), ("n5", 2, 2, ago(4)), ("n6", 2, 2, ago(4)),
    ]  # fmt: skip
    assert {one.kind for one in found} == {SignalKind.CURED_ELSEWHERE}
