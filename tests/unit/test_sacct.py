"""The pure parts of sacct: how it writes, which time it looks at, what it reads out of its options."""

from __future__ import annotations

import json
import time

import msgspec
import pytest

from hpcjobs.agents.serve import SlurmFailure
from hpcjobs.cli.slurm import sacct_columns, sacct_text
from hpcjobs.cli.slurm.common import Failed
from hpcjobs.cli.slurm.sacct_fields import TABLE, Row, Way, sluid_number
from hpcjobs.cli.slurm.sacct_jobs import Choice, Wanted, read_jobs, read_states
from hpcjobs.cli.slurm.sacct_options import OPTIONS
from hpcjobs.cli.slurm.sacct_window import BadTime, parse_past, window
from hpcjobs.cli.slurm.service_read import decoded
from hpcjobs.model.amount import amount_text
from hpcjobs.model.history import Accounted, AccountedList, HistoryQuery, Ledger, Step, Usage
from hpcjobs.model.job import JobRecord
from hpcjobs.slurm import history, sacct_agent
from hpcjobs.slurm.openapi_accounting import AccountedWords, accounted_of

NOW = time.mktime((2026, 11, 27, 10, 30, 0, 0, 0, -1))


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(time.mktime((year, month, day, hour, minute, 0, 0, 0, -1)))


@pytest.mark.parametrize(
    ("value", "base", "unit", "convert", "text"),
    [
        (1800, 2, "", True, "1800M"), (1536, 2, "", True, "1.50G"), (1024, 2, "", True, "1G"),
        (1024, 2, "", False, "1024M"), (1800, 2, "G", True, "1.76G"), (1800, 2, "K", True, "1843200K"),
        (1800, 2, "T", True, "0.00T"), (0, 0, "", True, "0"), (7_913_472, 0, "", True, "7728K"),
        (2012, 0, "", True, "2012"),
    ],
)  # fmt: skip
def test_an_amount_is_written_in_a_larger_unit_where_at_most_half_of_one_is_left_over(value, base, unit, convert, text):
    assert amount_text(value, base, into=unit, convert=convert) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "00:00:00"), (0.0004, "00:00:00"), (0.0174, "00:00.017"), (1.5, "00:01.500"), (61.0, "00:01:01"),
     (3599.25, "59:59.250"), (3600.25, "01:00:00"), (90061.5, "1-01:01:01")],
)  # fmt: skip
def test_cpu_time_has_thousandths_below_an_hour(seconds, text):
    assert sacct_text.cpu_time(seconds) == text


@pytest.mark.parametrize(
    ("tasks", "limit", "most", "text"),
    [
        ([1, 3, 5, 7], 1, 64, "[1,3,5,7%1]"), ([1, 3, 5, 7], 1, 9, "[1,3,5...%1]"), ([1, 3, 5, 7], 1, 4, "[...%1]"),
        ([1, 3, 5, 7], 1, 0, "[1,3,5,7%1]"), (list(range(0, 13, 2)), 0, 64, "[0-12:2]"),
        (list(range(0, 11, 2)), 0, 64, "[0,2,4,6,8,10]"), (list(range(0, 51, 10)), 0, 4, "[0-50:10]"),
        ([0, 20, 40], 0, 64, "[0,20,40]"), ([1, 2, 3, 9], 2, 64, "[1-3,9%2]"), ([3], 0, 64, "[3]"),
    ],
)  # fmt: skip
def test_tasks_that_wait_are_written_as_slurm_does(tasks, limit, most, text):
    assert sacct_text.waiting_tasks(tasks, limit, most) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("23:59", at(2026, 11, 27, 23, 59)), ("00:01", at(2026, 11, 27, 0, 1)), ("noon", at(2026, 11, 27, 12)),
        ("midnight", at(2026, 11, 27)), ("1231", at(2025, 12, 31)), ("12/31", at(2025, 12, 31)),
        ("1127", at(2026, 11, 27)), ("1126", at(2026, 11, 26)), ("1231-10:00", at(2025, 12, 31, 10)),
        ("today", at(2026, 11, 27)), ("tomorrow", at(2026, 11, 28)), ("2026-11-28", at(2026, 11, 28)),
        ("now-1hour", int(NOW) - 3600), ("2020-01-02T03:04", at(2020, 1, 2, 3, 4)), ("12/31/26", at(2026, 12, 31)),
    ],
)  # fmt: skip
def test_a_time_without_a_day_is_todays_and_a_day_without_a_year_the_last_one(text, expected):
    assert parse_past(text, NOW) == expected


def test_a_time_that_is_none_is_refused():
    with pytest.raises(BadTime, match=r"Invalid time specification \(pos=0\): blah"):
        parse_past("blah", NOW)


@pytest.mark.parametrize(
    ("start", "end", "with_jobs", "with_states", "expected"),
    [
        (None, None, False, False, (at(2026, 11, 27), 0)),
        (None, None, True, False, (0, 0)),
        (None, None, False, True, (int(NOW), int(NOW) + 1)),
        (None, None, True, True, (0, 0)),
        ("00:00", None, False, True, (at(2026, 11, 27), at(2026, 11, 27) + 1)),
        ("00:00", None, True, True, (at(2026, 11, 27), at(2026, 11, 27) + 1)),
        ("00:00", "now", False, True, (at(2026, 11, 27), int(NOW))),
        ("2026-01-01", None, False, False, (at(2026, 1, 1), 0)),
    ],
)
def test_the_time_looked_at_follows_from_jobs_and_states(start, end, with_jobs, with_states, expected):
    assert window(start, end, NOW, with_jobs=with_jobs, with_states=with_states) == expected


def test_an_end_before_the_start_is_refused():
    with pytest.raises(Failed, match=r"Start time \(2026-11-27T10:30:00\) requested is after end time"):
        window("now", "now-1hour", NOW, with_jobs=False, with_states=False)


def test_jobs_and_steps_are_named_in_every_form():
    assert read_jobs("12, 12_3,12+0,12.batch,12_3.0,") == [
        Wanted(12), Wanted(12, task=3), Wanted(12, offset=0), Wanted(12, step="batch"), Wanted(12, task=3, step="0"),
    ]  # fmt: skip
    for text, why in (("abc", "specified: abc"), ("29x", "JobID includes"), ("0", "zero"), ("29.x", "StepID includes")):
        with pytest.raises(Failed, match=why):
            read_jobs(text)


def test_states_are_read_in_both_forms():
    assert read_states("cd,RUNNING,oom") == ["COMPLETED", "RUNNING", "OUT_OF_MEMORY"]
    for text in ("XX", "compl", "CG", "stopped"):
        with pytest.raises(Failed, match="fatal:"):
            read_states(text)


def test_columns_are_cut_filled_or_overflow_by_what_they_hold():
    job = Accounted(JobRecord(slurm_job_id=7, name="long name", start_time=at(2026, 1, 1)), ledger=Ledger(elapsed_s=44))
    columns = sacct_columns.read_columns("jobname%6,start%4,elapsed%3,jobid%-4,state%,,Account")
    lines = list(sacct_columns.lines(columns, [Row(job, None, Way())], sacct_columns.Shape()))
    assert lines == [
        "JobNam Star Ela JobI     Account ",
        "------ ---- --- ----  ---------- ",
        "long + #### 00:00:44 7                ",
    ]
    with pytest.raises(Failed, match='Invalid field requested: "foo"'):
        sacct_columns.read_columns("jobid,foo%3")


def test_beginnings_of_names_and_all_are_read_as_sacct_does():
    def names(text: str) -> list[str]:
        return [column.field.name for column in sacct_columns.read_columns(text)]

    assert names("j,sta,tresusageinmaxn,s") == ["JobID", "Start", "TRESUsageInMaxNode", "SegmentSize"]
    assert names("ALL") == names("%5") == [field.name for field in TABLE]


def value(name: str, job: Accounted, step: Step | None = None, way: Way | None = None) -> str:
    (field,) = (field for field in TABLE if field.name == name)
    return field.value(Row(job, step, way or Way()))


USED = {
    "max": [{"type": "cpu", "name": "", "id": 1, "count": 61_000, "node": "c1", "task": 0},
            {"type": "mem", "name": "", "id": 2, "count": 7_913_472, "node": "c2", "task": 3},
            {"type": "vmem", "name": "", "id": 7, "count": 1_048_576, "node": "c1", "task": 1},
            {"type": "fs", "name": "disk", "id": 6, "count": 2012, "node": "c1", "task": 2},
            {"type": "pages", "name": "", "id": 8, "count": 5, "node": "c1", "task": 0}],
    "min": [{"type": "cpu", "name": "", "id": 1, "count": 2500, "node": "c2", "task": 1}],
    "average": [{"type": "mem", "name": "", "id": 2, "count": 4096},
                {"type": "cpu", "name": "", "id": 1, "count": 31_000}],
    "total": [{"type": "energy", "name": "", "id": 3, "count": 9}],
}  # fmt: skip


def test_what_a_step_used_is_read_out_of_slurms_json_and_printed_field_by_field():
    told = {"job_id": 5, "steps": [{"step": {"id": "5.0", "name": "run"}, "tres": {"requested": USED}}]}
    job = accounted_of(msgspec.convert(told, AccountedWords))
    (step,) = job.steps
    assert step.usage_in.max["fs/disk"] == 2012
    assert step.usage_out == Usage()
    expected = {
        "MaxRSS": "7728K", "MaxRSSNode": "c2", "MaxRSSTask": "3", "AveRSS": "4K", "MaxVMSize": "1M", "MaxPages": "5",
        "MaxDiskRead": "2012", "MaxDiskReadTask": "2", "MaxDiskWrite": "", "AveCPU": "00:00:31", "MinCPU": "00:00:02",
        "MinCPUNode": "c2", "MinCPUTask": "1", "TRESUsageInTot": "energy=9",
        "TRESUsageInMax": "cpu=00:01:01,fs/disk=2012,mem=7728K,pages=5,vmem=1M",
        "TRESUsageInMaxNode": "cpu=c1,fs/disk=c1,mem=c2,pages=c1,vmem=c1",
    }  # fmt: skip
    assert {name: value(name, job, step) for name in expected} == expected
    assert value("MaxRSS", job) == ""


def test_odd_values_are_written_in_slurms_words():
    waits = Accounted(JobRecord(slurm_job_id=5, raw_state="PENDING,REQUEUED"), ledger=Ledger(planned_s=-3, cpus_req=2))
    assert [value(name, waits) for name in ("State", "Planned", "PlannedCPURAW", "Start", "NodeList", "AllocCPUS")] == [
        "REQUEUED", "INVALID", "4294967290", "Unknown", "None assigned", "0",
    ]  # fmt: skip
    never = Accounted(JobRecord(slurm_job_id=5, raw_state="CANCELLED", end_time=9), ledger=Ledger(killed_by="alice"))
    assert value("Start", never) == "None"
    assert value("State", never) == "CANCELLED by alice"
    assert value("State", never, way=Way(uids={"alice": 1001})) == "CANCELLED by 1001"
    assert value("Timelimit", never) == "Partition_Limit"
    unlimited = msgspec.structs.replace(never, ledger=Ledger(wall_unlimited=True))
    assert value("TimelimitRaw", unlimited) == "UNLIMITED"
    assert sluid_number("s405M8D6GEE200") == "4618028455167461376"


def test_one_component_brings_its_whole_job_only_where_that_is_wanted():
    first, second = (
        Accounted(JobRecord(slurm_job_id=number, het_job_id=44, het_offset=number - 44)) for number in (44, 45)
    )

    def chosen(number: int, whole: str) -> list[int]:
        choice = Choice([Wanted(number)], whole)
        return [job.record.slurm_job_id for job in choice.jobs([first, second])]

    assert (chosen(44, ""), chosen(44, "no"), chosen(45, ""), chosen(45, "yes")) == ([44, 45], [44], [45], [44, 45])


def test_every_option_of_sacct_is_there():
    letters = {letter for letter, _, _ in OPTIONS.values() if letter}
    assert letters == set("aAbBcCDeEfFghiIjkKlLMnNopPqrRsSTuvVWxX")


@pytest.fixture
def sacct(tmp_path, monkeypatch):
    """A sacct that does what a test says."""

    def becomes(script: str) -> None:
        (tmp_path / "sacct").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "sacct").chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/x.conf")
    becomes.folder = tmp_path
    return becomes


def test_the_agent_runs_sacct_with_the_clusters_configuration_and_reads_what_it_prints(sacct):
    told = json.dumps({"jobs": [{"job_id": 3, "user": "alice"}], "errors": []})
    sacct(f"echo \"$SLURM_CONF $*\" > {sacct.folder}/asked; echo '{told}'")
    (job,) = sacct_agent.ask({"numbers": [3], "users": ["alice", "bob"], "states": ["FAILED"], "since": 1_700_000_000})
    assert (job.record.slurm_job_id, job.record.user) == (3, "alice")
    assert (sacct.folder / "asked").read_text().split() == [
        "/etc/slurm/x.conf", "--json", "--allusers", "--allocations", "--jobs=3", "--user=alice,bob", "--state=FAILED",
        "--starttime=uts1700000000", f"--endtime=uts{history.DUSK}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "number", "why"),
    [
        ("echo 'sacct: error: Problem: Unable to connect to database' >&2; exit 1", 7000, "Unable to connect"),
        ("exit 3", 7000, "without a reason"),
        ("echo noise", 7000, "cannot read"),
        ('echo \'{"errors": [{"error_number": 7015, "error": "later"}]}\'', 7015, "later"),
    ],
)
def test_what_sacct_cannot_say_is_told_apart_by_its_number(sacct, script, number, why):
    sacct(script)
    with pytest.raises(SlurmFailure, match=why) as failure:
        sacct_agent.ask({})
    assert failure.value.errno == number


def test_a_question_that_sacct_does_not_understand_is_the_callers_fault_and_an_empty_time_needs_no_answer(sacct):
    sacct("echo 'sacct: error: Invalid user id: nosuch' >&2; exit 1")
    with pytest.raises(ValueError, match="Slurm says: Invalid user id: nosuch"):
        sacct_agent.ask({"users": ["nosuch"]})
    assert sacct_agent.ask({"since": 5, "until": 5}) == ()


def test_users_and_groups_are_picked_out_of_what_slurmrestd_answers():
    alices, bobs = (
        Accounted(JobRecord(slurm_job_id=7, user=name), ledger=Ledger(group=name)) for name in ("alice", "bob")
    )
    assert list(history.of_whom(HistoryQuery(users=("bob", "carol")), [alices, bobs])) == [bobs]
    assert list(history.of_whom(HistoryQuery(groups=("alice",)), [alices, bobs])) == [alices]
    assert list(history.of_whom(HistoryQuery(), [alices, bobs])) == [alices, bobs]


def test_slurmrestd_is_asked_for_one_state_at_a_time():
    asked = history.state_by_state(HistoryQuery(states=("FAILED", "TIMEOUT"), since=3))
    assert [(one.states, one.since) for one in asked] == [(("FAILED",), 3), (("TIMEOUT",), 3)]
    assert history.state_by_state(HistoryQuery(since=3)) == [HistoryQuery(since=3)]


def test_every_condition_reaches_both_sacct_and_slurmrestd():
    query = HistoryQuery(
        users=("u",), accounts=("a",), partitions=("p",), names=("n",), states=("FAILED",), nodes="c[1-2]", qos=("q",),
        wckeys=("w",), reasons=("r",), groups=("g",), constraints=("c",), associations=("5",), cpus="2-8",
        node_count="3", duplicates=True, steps=True, since=1_700_000_000, until=1_700_000_009,
    )  # fmt: skip
    assert set(history.history_words(query)) == {
        "sacct", "--json", "--allusers", "--duplicates", "--user=u", "--accounts=a", "--partition=p", "--name=n",
        "--state=FAILED", "--qos=q", "--wckeys=w", "--reason=r", "--group=g", "--constraints=c", "--associations=5",
        "--nodelist=c[1-2]", "--ncpus=2-8", "--nnodes=3", "--starttime=uts1700000000", "--endtime=uts1700000009",
    }  # fmt: skip
    params = dict(history.history_params(query))
    assert (params["cpus_min"], params["cpus_max"], params["nodes_min"], params["nodes_max"]) == ("2", "8", "3", "3")
    told = {params[name] for name in history.REST_LISTS.values()}
    assert told == {"a", "p", "n", "FAILED", "q", "w", "r", "c", "5"}


def test_a_state_that_a_newer_service_has_words_for_is_shown_in_slurms_own():
    known = AccountedList((Accounted(JobRecord(slurm_job_id=5, raw_state="HOVERING")),), 0.0)
    told = msgspec.json.decode(msgspec.json.encode(known))
    told["items"][0]["record"]["state"] = "hovering"
    (one,) = decoded(msgspec.json.encode(told), AccountedList).items
    assert one.record.raw_state == "HOVERING"
