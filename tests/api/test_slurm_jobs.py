"""hpcjobs squeue, scontrol and scancel against the real application on a loopback port."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest

from hpcjobs.cli.slurm import scancel, scontrol, squeue
from hpcjobs.identity import make_token
from hpcjobs.model.spec import JobSpec, Resources
from hpcjobs.slurm.base import Launch
from tests.api.bench import UnrulySlurm
from tests.api.test_command_line import served, slurm  # noqa: F401
from tests.unit.builders import until

SLEEP = "#!/bin/sh\nsleep 9999\n"
PROGRAMS = {"squeue": squeue.call, "scontrol": scontrol.call, "scancel": scancel.call}


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def typed(served, monkeypatch, tmp_path, capsysbinary) -> Callable[..., Answer]:  # noqa: F811
    service, url = served
    given = {"XDG_CONFIG_HOME": str(tmp_path), "HPCJOBS_URL": url}

    def run(line: str, user: str = "alice", stdin: str = "", **variables: str) -> Answer:
        program, *words = line.split()
        token = make_token(service.token_key, user, time.time(), 600)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = PROGRAMS[program](words, given | {"HPCJOBS_TOKEN": token} | variables)
        out, err = capsysbinary.readouterr()
        return Answer(code, out.decode(), err.decode())

    return run


@pytest.fixture
def submit(served, slurm, typed) -> Callable[..., int]:  # noqa: F811
    """Bring a job into Slurm another way, and wait until the service lists it."""
    import asyncio
    import uuid

    def run(user: str = "alice", **fields: object) -> int:
        told = {"name": "train", "workdir": "/tmp", "hold": True, "resources": Resources(wall_s=600), **fields}
        launch = Launch(JobSpec(SLEEP, **told), uuid.uuid4().hex)  # type: ignore[arg-type]
        number = asyncio.run(slurm.submit(user, launch))
        until(lambda: str(number) in typed("squeue -h -t all -o %A", user).out.split())
        return number

    return run


def state_of(slurm: UnrulySlurm, number: int) -> str:  # noqa: F811
    return slurm._jobs[number].record.raw_state


def test_squeue_shows_ones_own_jobs_and_nobody_elses(typed, submit):
    mine, other = submit(), submit("bob")
    lines = typed("squeue").out.splitlines()
    assert lines[0] == "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)"
    ids = [line.split()[0] for line in lines[1:]]
    assert str(mine) in ids
    assert str(other) not in ids
    assert str(other) not in typed("squeue -h -u bob -o %i").out.split()
    assert typed(f"squeue -j {other}") == Answer(1, "", "slurm_load_jobs error: Invalid job id specified\n")
    assert typed(f"scontrol show job {other}").err == "slurm_load_jobs error: Invalid job id specified\n"
    assert str(mine) in typed("squeue -h --me -o %i").out.split()
    assert typed("squeue -h --notme -o %i").out == ""


def test_an_array_is_a_line_or_a_line_a_task(typed, submit):
    number = submit(array="1-3%2", name="array")
    assert typed(f"squeue -h -j {number} -o %i").out == f"{number}_[1-3%2]\n"
    assert typed(f"squeue -h -r -j {number} -o %i -S i").out.split() == [f"{number}_{task}" for task in (1, 2, 3)]
    assert typed(f"squeue -h -j {number}_2 -o %i").out == f"{number}_2\n"
    assert f"ArrayJobId={number} ArrayTaskId=1-3%2 ArrayTaskThrottle=2" in typed(f"scontrol show job {number}").out
    assert f"ArrayTaskId=3 " in typed(f"scontrol show job {number}_3").out  # noqa: F541
    assert typed(f"scontrol show job {number}_9") == Answer(1, "", f"Job {number}_9 not found\n")


def test_particulars_are_shown_as_they_were_asked_for(typed, submit):
    asked = Resources(nodes=1, cpus_per_task=3, gpus_per_node="a100:2", constraint="x", mem_per_node_bytes=2**31)
    number = submit(resources=asked, nice=4, requeue=False)
    assert typed(f"squeue -h -j {number} -o %b|%m|%f|%y").out == "gres/gpu:a100:2|2G|x|4\n"
    shown = typed(f"scontrol show job {number}").out
    for pair in ("Nice=4", "Requeue=0", "CPUs/Task=3", "MinMemoryNode=2G", "TresPerNode=gres/gpu:a100:2"):
        assert pair in shown


def test_json_has_slurms_shape(typed, submit):
    number = submit(name="json")
    for line in (f"squeue --json -j {number}", f"scontrol show job {number} --json"):
        document = json.loads(typed(line).out)
        (job,) = document["jobs"]
        assert (job["job_id"], job["name"], job["job_state"], job["hold"]) == (number, "json", ["PENDING"], True)
        assert job["time_limit"] == {"set": True, "infinite": False, "number": 10}
        assert (document["errors"], document["warnings"]) == ([], [])


def test_several_clusters_are_named_above_their_jobs_and_an_unknown_one_is_told(typed, submit):
    number = submit()
    assert typed("squeue -M big").out.startswith("CLUSTER: big\n")
    assert str(number) in typed("squeue -h -M all -o %i").out.split()
    answer = typed("squeue -M nope")
    assert (answer.code, answer.out) == (1, "")
    heard = (
        "error: 'nope' can't be reached now, or it is an invalid entry for --cluster.  "
        "Use 'sacctmgr list clusters' to see available clusters.",
        "fatal: Could not get cluster information",
    )
    told = "".join(f"PROGRAM: {line}\n" for line in ("error: No cluster 'nope' known by database.", *heard))
    assert answer.err == told.replace("PROGRAM", "squeue")
    for line in ("scontrol -M nope show job", "scontrol -M nope hold 1", "scancel -M nope 1", "squeue -M big,nope"):
        assert typed(line) == Answer(1, "", told.replace("PROGRAM", line.split()[0]).replace(
            "'nope' can't", "'big,nope' can't" if "," in line else "'nope' can't"))  # fmt: skip


def test_a_job_that_is_named_is_cancelled_and_one_that_is_over_is_as_good_as_that(typed, submit, slurm):  # noqa: F811
    number = submit()
    assert typed(f"scancel {number}") == Answer(0, "", "")
    assert state_of(slurm, number) == "CANCELLED"
    assert typed(f"scancel {number}") == Answer(0, "", "")
    told = f"scancel: Terminating job {number}\nscancel: error: Kill job error on job id {number}: "
    assert typed(f"scancel -v {number}") == Answer(0, "", f"{told}Job/step already completing or completed\n")
    other = submit("bob")
    assert typed(f"scancel {other}") == Answer(0, "", "")
    assert state_of(slurm, other) == "PENDING"
    told = f"scancel: error: Kill job error on job id {other}: Invalid job id specified\n"
    assert typed(f"scancel -n train {other}") == Answer(1, "", told)


def test_jobs_are_cancelled_by_what_they_are(typed, submit, slurm):  # noqa: F811
    one, two, other = submit(name="a"), submit(name="b"), submit("bob", name="a")
    assert typed("scancel -v --me -n a").err == f"scancel: Terminating job {one}\n"
    assert [state_of(slurm, number) for number in (one, two, other)] == ["CANCELLED", "PENDING", "PENDING"]
    nothing = "scancel: error: No active jobs match ALL job filters, including: job_name=a state=RUNNING \n"
    assert typed("scancel -v -n a -t R") == Answer(0, "", nothing)
    assert typed(f"scancel -i {two}", stdin="perhaps\ny\n").out.count("[y/n]? ") == 2
    assert state_of(slurm, two) == "CANCELLED"


def test_tasks_of_an_array_are_cancelled_by_their_numbers(typed, submit, slurm):  # noqa: F811
    number = submit(array="1-6")
    assert typed(f"scancel {number}_2 {number}_[4-5]") == Answer(0, "", "")
    until(lambda: typed(f"squeue -h -j {number} -o %i").out == f"{number}_[1,3,6]\n")
    assert typed(f"scancel -t PD {number}_3") == Answer(0, "", "")
    until(lambda: typed(f"squeue -h -j {number} -o %i").out == f"{number}_[1,6]\n")


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        ("scancel", 1, "scancel: error: No job identification provided\n"),
        ("scancel abc", 1, "scancel: error: Invalid job id abc\n"),
        ("scancel 1.0", 1, "scancel: error: 1.0: the service sends no signals to single steps\n"),
        ("scancel -H 1", 1, "scancel: error: --hurry is not possible: burst buffers are Slurm's own matter\n"),
        ("scancel -s NOPE 1", 1, "Unknown job signal: NOPE\n"),
        ("scontrol show foo", 1, "invalid entity:foo for keyword:show\n"),
        ("scontrol show licenses", 1, "scontrol show licenses is not possible through the service\n"),
        ("scontrol reboot n1", 1, "scontrol reboot is not possible through the service\n"),
        ("scontrol frobnicate", 1, "invalid keyword: frobnicate\n"),
        ("scontrol hold", 1, "too few arguments for keyword:hold\n"),
        ("scontrol show job x", 1, "scontrol_print_job error: Invalid job id specified\n"),
        ("scontrol suspend 99", 1, "Invalid job id specified for job 99\n"),
        ("scontrol -Q suspend 99", 1, ""),
        ("squeue -s", 1, "squeue: error: --steps is not possible: the service keeps no list of running steps; "
            "hpcjobs show JOB shows the steps of one job\n"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_cannot_be_done_is_told_and_exits_1(typed, line, code, err):
    assert typed(line) == Answer(code, "", err)


def test_scontrol_holds_releases_and_changes(typed, submit, slurm):  # noqa: F811
    number = submit(hold=False, resources=Resources(nodes=1, wall_s=3600))
    record = lambda: slurm._jobs[number].record  # noqa: E731
    until(lambda: record().raw_state == "RUNNING")
    until(lambda: "R" in typed(f"squeue -h -j {number} -o %t").out)
    assert typed(f"scontrol update jobid={number} timelimit=20 comment=mine") == Answer(0, "", "")
    assert (record().wall_s, record().comment) == (1200, "mine")
    until(lambda: typed(f"squeue -h -j {number} -o %l").out == "20:00\n")
    assert typed(f"scontrol update jobid={number} timelimit-=5") == Answer(0, "", "")
    assert record().wall_s == 900
    assert typed(f"scontrol suspend {number}") == Answer(0, "", "")
    assert record().raw_state == "SUSPENDED"
    told = f"Update of this parameter is not possible through the service: NumCPUs=4\nRequest aborted\n"  # noqa: F541
    assert typed(f"scontrol update jobid={number} NumCPUs=4") == Answer(1, "", told)
    told = "Update of this parameter is not supported: Foo=4\nRequest aborted\n"
    assert typed(f"scontrol update jobid={number} Foo=4") == Answer(1, "", told)
    held = submit(name="held")
    assert typed(f"scontrol release {held}") == Answer(0, "", "")
    assert typed("scontrol hold Name=nobodys") == Answer(0, "", "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_and_version_ask_nobody_and_a_service_that_is_away_is_one_sentence(typed, program, monkeypatch):
    for words in ("--help", "--usage" if program != "scontrol" else "help", "--version"):
        assert typed(f"{program} {words}", HPCJOBS_URL="http://127.0.0.1:1").code == 0
    monkeypatch.setattr("hpcjobs.client.patience.RETRY_FOR_S", 0.0)
    line = {"squeue": "squeue", "scontrol": "scontrol show job", "scancel": "scancel 7"}[program]
    answer = typed(line, HPCJOBS_URL="http://127.0.0.1:1")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"{program}: error: http://127.0.0.1:1 does not answer: ")


def test_what_slurm_lists_now_can_be_asked_for(typed, submit, served, slurm):  # noqa: F811
    import httpx

    service, url = served
    token = make_token(service.token_key, "alice", time.time(), 600)
    headers = {"Authorization": f"Bearer {token}"}

    def page(**query: str) -> httpx.Response:
        return httpx.get(f"{url}/v1/jobs", params={"listed": "true", **query}, headers=headers)

    array, single = submit(array="1-3", name="listed"), submit(name="listed")
    found = {job["slurm_job_id"]: job for job in page(name="listed").json()["items"]}
    assert set(found) == {array, single}
    assert page(name="listed", state="RUNNING").json()["items"] == []
    assert page(user="bob").json()["items"] == []
    first = page(name="listed", limit="1").json()
    second = page(name="listed", limit="1", cursor=first["next_cursor"]).json()
    assert [first["items"][0]["slurm_job_id"], second["items"][0]["slurm_job_id"]] == [single, array]
    assert second["next_cursor"] is None
    slurm.hidden.add(single)
    try:
        until(lambda: single not in {job["slurm_job_id"] for job in page(name="listed").json()["items"]})
    finally:
        slurm.hidden.discard(single)
    refused = page(parent="0" * 32)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "parent")


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The paths that are asked for with little, in their order."""
    from hpcjobs.cli.slurm import service_read

    paths: list[str] = []
    exchange = service_read.exchange

    def noting(config, method, path, *more, **others):
        paths.append(path.partition("?")[0])
        return exchange(config, method, path, *more, **others)

    monkeypatch.setattr(service_read, "exchange", noting)
    return paths


def test_the_list_of_clusters_is_asked_for_once_and_only_where_the_name_of_the_default_is_needed(typed, submit, asked):
    number = submit()
    for line, wanted in (
        (f"scontrol hold {number}", 0),
        (f"scontrol update job={number} nice=5", 0),
        (f"scontrol -M big show job {number}", 0),
        (f"scontrol show job {number}", 1),
        ("scontrol hold Name=train", 1),
        (f"scancel {number}", 0),
    ):
        asked.clear()
        assert typed(line).code == 0, line
        assert asked.count("/v1/clusters") == wanted, line


def test_many_jobs_are_changed_with_one_call(typed, submit, monkeypatch):
    from hpcjobs.client import Client

    numbers, calls, act = [submit(), submit()], [], Client.act
    monkeypatch.setattr(Client, "act", lambda self, verb, jobs, **more: calls.append(jobs) or act(
        self, verb, jobs, **more))  # fmt: skip
    assert typed(f"scontrol update jobid={numbers[0]},{numbers[1]} comment=x") == Answer(0, "", "")
    assert [len(names) for names in calls] == [2]


def test_a_json_document_says_which_call_it_answers(typed, submit):
    number = submit()
    for line in ("squeue --json", "scontrol --json show node", f"scontrol show job {number} --json"):
        meta = json.loads(typed(line).out)["meta"]
        assert meta["command"] == line.split()
        assert meta["plugin"]["data_parser"] == "data_parser/v0.0.45"
        assert meta["slurm"]["version"] == {"major": "26", "micro": "0", "minor": "05"}
        assert meta["slurm"]["cluster"] == "big"


def test_the_versions_of_json_are_listed(typed):
    told = "Possible data_parser plugins:\n\ndata_parser/v0.0.45\n"
    assert typed("squeue --json=list") == typed("scontrol show job --json=list") == Answer(0, told, "")


def test_control_c_ends_a_command_with_130_and_no_trace(typed, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    code, out, err = typed("squeue -h -i 5")
    assert (code, err) == (130, "")
    assert out.endswith("\n")


def test_a_step_of_the_time_limit_leaves_a_limit_or_is_refused(typed, submit, slurm):  # noqa: F811
    number = submit(resources=Resources(wall_s=1800))
    answer = typed(f"scontrol update jobid={number} timelimit-=30")
    assert (answer.code, "larger than current time limit (30 > 30)" in answer.err) == (1, True)
    unlimited = submit(resources=Resources())
    answer = typed(f"scontrol update jobid={unlimited} timelimit+=30")
    assert (answer.code, "has no time limit of its own" in answer.err) == (1, True)
    assert [slurm._jobs[one].record.wall_s for one in (number, unlimited)] == [1800, None]


def test_an_array_whose_list_of_tasks_slurm_cuts_short_is_cancelled_whole_or_told(typed, submit, slurm):  # noqa: F811
    number = submit(array="1-6", name="sparse")
    entry = slurm._jobs[number]
    entry.record = msgspec.structs.replace(entry.record, array_task="1,3,...%2")
    until(lambda: "..." in typed(f"squeue -h -j {number} -o %K").out)
    answer = typed("scancel -t PD -n sparse")
    assert (answer.code, f"which tasks of {number} wait is not known" in answer.err) == (1, True)
    assert state_of(slurm, number) == "PENDING"
    assert typed("scancel -n sparse") == Answer(0, "", "")
    until(lambda: state_of(slurm, number) == "CANCELLED")
