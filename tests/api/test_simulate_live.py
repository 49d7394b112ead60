"""``hpcjobs simulate --from-live`` against the real application with a simulated Slurm."""

from __future__ import annotations

import json

import pytest

from hpcjobs.errors import NotSupported
from hpcjobs.model.scheduling import Scheduling
from tests.api.test_command_line import run, served, slurm, submitted  # noqa: F401
from tests.unit.builders import until


def simulated(run, *words: str) -> dict:  # noqa: F811
    done = run("simulate", "--from-live", "--json", *words)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def full(run, slurm):  # noqa: F811
    """Both nodes are full for two and for four hours, and three jobs wait; all is gone afterwards."""
    numbers = [
        submitted(run, "-J", name, "-p", "gpu", "-N", nodes, "--gpus-per-node", "a100:8", "-t", limit)
        for name, nodes, limit in (
            ("first", "1", "2:00:00"),
            ("second", "1", "4:00:00"),
            ("large", "2", "1:00:00"),
            ("small", "1", "1:00:00"),
            ("long", "1", "5:00:00"),
        )
    ]
    until(lambda: run("jobs", "--name", "second", "--state", "running").stdout.count("\n") == 2)
    until(lambda: run("jobs", "--name", "long", "--state", "pending").stdout.count("\n") == 2)
    yield dict(zip(("first", "second", "large", "small", "long"), numbers, strict=True))
    for number in numbers:
        run("cancel", str(number))
    until(lambda: run("jobs", "--live").stdout.count("\n") == 1)


def starts_h(report: dict, case: str = "as it is") -> dict[str, float | None]:
    """Hours from now until each job starts."""
    return {
        one["name"]: None if one["starts"][case] is None else (one["starts"][case] - report["observed_at"]) / 3600
        for one in report["expected"]
    }


def test_who_waits_starts_when_those_that_run_reach_their_limits_and_backfill_lets_it(run, full):  # noqa: F811
    hours = starts_h(simulated(run))
    assert hours == {
        "small": pytest.approx(2, abs=0.05),  # beside the reservation of the large one
        "large": pytest.approx(4, abs=0.05),
        "long": pytest.approx(5, abs=0.05),
    }


def test_what_if_there_were_more_nodes_or_fewer(run, full):  # noqa: F811
    report = simulated(run, "--case", "now:", "--case", "two more: add-nodes=2", "--case", "n1 goes: without=n1")
    assert starts_h(report, "now")["large"] == pytest.approx(4, abs=0.05)
    assert starts_h(report, "two more")["large"] == pytest.approx(0, abs=0.05)
    assert starts_h(report, "two more")["small"] == pytest.approx(1, abs=0.05)
    assert starts_h(report, "n1 goes") == {
        "large": None,
        "small": pytest.approx(4, abs=0.05),
        "long": pytest.approx(5, abs=0.05),
    }


def test_without_a_case_the_cluster_as_it_is_stands_beside(run, full):  # noqa: F811
    report = simulated(run, "--add-nodes", "1:n2", "--scheduler", "fcfs")
    assert [case["case"]["name"] for case in report["cases"]] == ["as it is", "what if"]
    assert starts_h(report)["large"] == pytest.approx(4, abs=0.05)
    assert starts_h(report, "what if")["large"] == pytest.approx(2, abs=0.05)
    assert any("time limit" in line for line in report["assumptions"])


def test_the_cluster_is_simulated_as_it_is_configured_and_a_case_changes_of_that_what_it_says(run, slurm, full):  # noqa: F811
    slurm.known_scheduling = Scheduling(
        parameters={"bf_window": "30", "defer": ""}, weights={"jobsize": 100}, topology="topology/tree"
    )
    try:
        report = simulated(run, "--case", "now:", "--case", 'far: scheduler=slurm:{"bf_window": 600}')
    finally:
        slurm.known_scheduling = Scheduling()
    now, far = (one["case"] for one in report["cases"])
    assert now["placement"] == far["placement"] == "order"
    assert now["scheduler"]["settings"]["bf_window"] == 30
    assert far["scheduler"]["settings"] == now["scheduler"]["settings"] | {"bf_window": 600}
    assert now["scheduler"]["settings"]["priority"]["job_size"] == 100
    assert now["scheduler"]["settings"]["by_clock"] is True
    assert "SchedulerParameters=defer; TopologyPlugin=topology/tree" in report["assumptions"][1]
    # At three hours the large one, an hour away, is not planned yet: the long one takes its node.
    assert starts_h(report, "now")["long"] == pytest.approx(3, abs=0.05)
    assert starts_h(report, "far")["long"] == pytest.approx(5, abs=0.05)


def test_where_nobody_tells_the_configuration_slurms_defaults_are_assumed(run, slurm, full, monkeypatch):  # noqa: F811
    async def silent():
        raise NotSupported("no way to ask")

    monkeypatch.setattr(slurm, "scheduling", silent)
    report = simulated(run)
    assert "no way to ask" in report["assumptions"][0]
    assert report["cases"][0]["case"]["placement"] == "consecutive"
    assert starts_h(report)["large"] == pytest.approx(4, abs=0.05)


def test_policies_hear_what_jobs_tell_them(run, full):  # noqa: F811
    urgent = submitted(run, "-J", "now", "-p", "gpu", "--gpus-per-node", "a100:8", "-t", "3:00:00", "--urgent")
    try:
        report = simulated(run, "--policy", "urgent")
    finally:
        run("cancel", str(urgent))
    assert starts_h(report)["now"] > starts_h(report)["large"]
    assert starts_h(report, "what if")["now"] == pytest.approx(2, abs=0.05)
    assert starts_h(report, "what if")["large"] == pytest.approx(5, abs=0.05)


def test_jobs_that_nothing_is_known_of_are_left_out_and_told(run, full):  # noqa: F811
    run("hold", str(full["long"]))
    until(lambda: run("jobs", "--name", "long", "--state", "held").stdout.count("\n") == 2)
    report = simulated(run)
    assert "long" not in starts_h(report)
    assert report["dropped"] == {"it is held": 1}


def test_people_see_a_table_and_what_is_assumed_beside_it(run, full, tmp_path):  # noqa: F811
    done = run("simulate", "--from-live", "--add-nodes", "1", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.stderr
    header, *lines = done.stdout.split("\n\n")[0].splitlines()
    columns = ["JOB", "NAME", "USER", "NODES", "GPUS", "LIMIT", "as it is: STARTS", "what if: STARTS"]
    assert header.split("\t") == columns
    small = next(line.split("\t") for line in lines if "\tsmall\t" in line)
    assert small[:6] == [str(full["small"]), "small", "nobody", "1", "8", "01:00:00"]
    assert small[7] == "at once"
    assert "assumed: A running job ends at its time limit" in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"report.json", "jobs.csv", "gantt-what-if.svg"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--add-nodes", "x"), "--add-nodes: 'x' is not of the form COUNT or COUNT:NODE"),
        (("--add-nodes", "1:n9"), "the cluster has no node 'n9'"),
        (("--without", "n[1-"), "--without: 'n[1-' is no list of nodes"),
        (("--without", "n7"), "the cluster has no node n7"),
        (("--demand", "2"), "--demand: it does not go with --from-live"),
        (("--failures", "2"), "--failures: it does not go with --from-live"),
        (("--placement", "counts"), "--placement: counts knows no nodes"),
        (("-M", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_is_refused(run, words, complaint):  # noqa: F811
    done = run("simulate", "--from-live", *words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
