"""What sacct prints of runs, read: as printed by Slurm 26.05, and with texts that try to be more than a text."""

from __future__ import annotations

import msgspec
import pytest

from hpcjobs.errors import Unavailable
from hpcjobs.model.history import Accounted, Ledger
from hpcjobs.model.job import JobRecord
from hpcjobs.model.usage import Run
from hpcjobs.slurm.sacct_runs import FIELDS, new_delimiter, run_of, runs_of_text, runs_printed, runs_words, seconds_of

D = "\x1fab12cd34"
TOLD = {
    "JobIDRaw": "2551", "JobID": "2551", "User": "alice", "Account": "vision", "Partition": "gpu", "QOS": "normal",
    "State": "COMPLETED", "Submit": "1795843447", "Eligible": "1795843454", "Start": "1795843456",
    "End": "1795843481", "Suspended": "00:00:00", "TimelimitRaw": "2", "NNodes": "2", "NCPUS": "2",
    "NodeList": "c[1-2]", "AllocTRES": "billing=2,cpu=2,gres/gpu:a100=8,gres/gpu=8,mem=1800M,node=2",
    "ReqTRES": "billing=2,cpu=2,gres/gpu=8,mem=1800M,node=2", "ExitCode": "0:0", "Restarts": "0",
    "Reason": "BeginTime", "TotalCPU": "00:00.003", "MaxRSS": "", "ConsumedEnergyRaw": "", "Reservation": "",
    "WCKey": "", "SubmitLine": "sbatch --parsable a.sh",
}  # fmt: skip
STEP = dict.fromkeys(TOLD, "") | {"JobIDRaw": "2551.batch", "JobID": "2551.batch", "MaxRSS": "2056K"}


def printed(*lines: dict[str, str], delimiter: str = D) -> str:
    return "".join("".join(line[field] + delimiter for field in FIELDS) + "\n" for line in lines)


def read(*lines: dict[str, str]) -> list[Run]:
    return list(runs_of_text(printed(*lines), D))


def test_a_run_and_the_memory_of_its_steps():
    (run,) = read(TOLD, STEP, STEP | {"JobIDRaw": "2551.0", "MaxRSS": "1.50G"})
    assert run == Run(
        slurm_job_id=2551, submit_time=1795843447, eligible_time=1795843454, start_time=1795843456, end_time=1795843481,
        user="alice", account="vision", partition="gpu", qos="normal", raw_state="COMPLETED", wall_s=120, nodes=2,
        cpus=2, mem_bytes=1800 * 2**20, node_list="c[1-2]", tres_alloc=TOLD["AllocTRES"], tres_req=TOLD["ReqTRES"],
        submit_line="sbatch --parsable a.sh", reason="BeginTime", cpu_used_s=0.003,
        mem_max_bytes=int(1.5 * 2**30),
    )  # fmt: skip


@pytest.mark.parametrize(("told", "alone"), [("NO", False), ("NODE", True), ("USER", False), ("", None)])
def test_a_run_that_had_its_nodes_to_itself_says_so_where_sacct_does(told, alone):
    text = "".join("".join(line[field] + D for field in FIELDS) + f"{told}{D}\n" for line in (TOLD, STEP))
    assert [run.exclusive for run in runs_of_text(text, D)] == [alone]


def test_what_never_ran_has_what_it_asked_for_and_no_time():
    never = TOLD | {"State": "CANCELLED by 1001", "Start": "None", "NodeList": "None assigned", "AllocTRES": ""}
    (run,) = read(never | {"NCPUS": "0", "Eligible": "Unknown", "End": "1795843500", "TimelimitRaw": "UNLIMITED"})
    assert (run.raw_state, run.start_time, run.eligible_time, run.end_time) == ("CANCELLED", 0, 0, 1795843500)
    assert (run.cpus, run.nodes, run.node_list, run.wall_s, run.cpu_used_s) == (2, 2, "", None, None)


def test_tasks_and_components_know_what_they_are_of():
    runs = read(TOLD | {"JobID": "100_3"}, TOLD | {"JobID": "100_[4-9]"}, TOLD | {"JobID": "200+1"}, TOLD)
    assert [(run.array_job_id, run.het_job_id) for run in runs] == [(100, 0), (100, 0), (0, 200), (0, 0)]


@pytest.mark.parametrize(
    "text",
    ["two\nlines", "a|b|c", "\x1f", "\x1fab12cd3", f"{'|' * 40}\n2552|bob|", "2552\x1fbob\x1f\n", "", "größer 漢\n\n"],
)
def test_no_text_of_a_user_is_another_line(text):
    assert [run.submit_line for run in read(TOLD | {"SubmitLine": text}, TOLD)] == [text, TOLD["SubmitLine"]]


def test_json_of_slurmrestd_says_the_same():
    told = JobRecord(
        slurm_job_id=7, user="alice", raw_state="PENDING,REQUEUED", submit_time=1, start_time=5, end_time=9,
        node_list="c1",
    )  # fmt: skip
    tres = Ledger(tres_alloc="cpu=2,gres/gpu=1,mem=10M,node=1", suspended_s=1, exclusive="NODE")
    run = run_of(Accounted(told, (), tres))
    assert (run.raw_state, run.start_time, run.cpus, run.nodes, run.mem_bytes) == ("REQUEUED", 5, 2, 1, 10 * 2**20)
    assert (run.suspended_s, run.exclusive) == (1, True)
    waits = run_of(Accounted(msgspec.structs.replace(told, end_time=0), (), tres))
    assert waits.raw_state == "PENDING"
    never = msgspec.structs.replace(told, raw_state="CANCELLED", node_list="", start_time=9)
    assert (run_of(Accounted(never)).start_time, run_of(Accounted(never)).cpu_used_s) == (0, None)


def test_our_mark_is_nobodys_business():
    (run,) = read(TOLD | {"SubmitLine": f"sbatch --comment=hpcjobs:{'0' * 32} a.sh"})
    assert run.submit_line == "sbatch --comment= a.sh"


def test_a_print_that_was_cut_off_is_no_answer():
    with pytest.raises(Unavailable, match="cannot read"):
        runs_printed(printed(TOLD, TOLD)[:-40].encode(), D)
    assert runs_printed(b"", D) == ()


def test_a_delimiter_is_new_each_time_and_times_are_asked_in_seconds():
    assert len({new_delimiter() for _ in range(99)}) == 99
    words = runs_words(D, 5, 0)
    assert words[:2] == ["env", "SLURM_TIME_FORMAT=%s"]
    assert "--starttime=uts1000000000" in words, "older times sacct does not read"
    assert {"--duplicates", "--allusers", f"--delimiter={D}"} <= {*words}


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:00", 0), ("03:04.500", 184.5), ("01:02:03", 3723), ("2-00:00:01", 172801)]
)
def test_times_are_read(text, seconds):
    assert seconds_of(text) == seconds
