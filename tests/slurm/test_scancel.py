"""hpcjobs scancel and scontrol's orders beside Slurm's own: what becomes of the jobs, what is said, how it ends."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.slurm.conftest import Stack
from tests.unit.builders import until

PROGRAMS = ("scancel", "hpcjobs scancel")
SLEEP = "--wrap 'sleep 900'"


def submit(stack: Stack, name: str, options: str) -> str:
    code, out, err = stack.typed(f"sbatch --parsable -o /dev/null -J {name} {options}")
    assert code == 0, err
    return out.strip()


def listed(stack: Stack, number: str) -> None:
    """Wait until the service has seen a job as Slurm has it."""
    end = time.monotonic() + 120
    while True:
        native, mine = (
            stack.typed(f"{one} -h -r -t all -o '%i %T' -j {number}")[1] for one in ("squeue", "hpcjobs squeue")
        )
        if native and sorted(native.split("\n")) == sorted(mine.split("\n")):
            return
        assert time.monotonic() < end, (native, mine)
        time.sleep(0.3)


def states(stack: Stack, *numbers: str) -> list[str]:
    text = stack.typed(f"squeue -h -r -t all -o '%K %T' -j {','.join(numbers)}")[1]
    return sorted(line for line in text.splitlines() if line)


def settled(stack: Stack, *numbers: str) -> list[str]:
    """Their states when they stand still for two seconds."""
    found, since = states(stack, *numbers), time.monotonic()
    give_up = since + 60
    while time.monotonic() < since + 2 and time.monotonic() < give_up:
        time.sleep(0.5)
        now = states(stack, *numbers)
        if now != found or any("COMPLETING" in state for state in now):
            found, since = now, time.monotonic()
    return found


def typed_for(stack: Stack, name: str, options: str, words: str) -> list[tuple[int, str, str, list[str]]]:
    """The same with two jobs, by both programs: what came of it, the numbers written as N."""
    found = []
    for program in PROGRAMS:
        number = submit(stack, name, options)
        listed(stack, number)
        code, out, err = stack.typed(f"{program} {words.replace('N', number)}")
        found.append((code, out.replace(number, "N"), err.replace(number, "N"), settled(stack, number)))
    return found


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--hold", "N"),
        ("--hold", "-v N"),
        ("--hold", "-Q N"),
        ("--hold", "-v --me N"),
        ("--hold --array=1-6", "N_2"),
        ("--hold --array=1-6", "-v N_[1,3-4]"),
        ("--hold --array=1-6", "N_2 N_5"),
        ("--hold --array=1-6", "-v -t PENDING N"),
        ("--hold --array=1-6", "N_9"),
        ("--hold --array=1-6", "-v N_9"),
        ("--hold -n1 : -n1", "N"),
        ("--hold", "-v -t RUNNING N"),
        ("--hold", "-v -p debug N"),
        ("--hold", "-v -p gpu -q NORMAL -A Vision N"),
        ("--hold", "-v -w c1 N"),
        ("--hold", "-v -R none N"),
        ("--hold", "-v --wckey=none N"),
        ("--hold", "N N"),
        ("--hold", "N,99999999"),
    ],
)  # fmt: skip
def test_jobs_are_cancelled_as_by_scancel(new: Stack, name: str, options: str, words: str) -> None:
    native, mine = typed_for(new, name, f"{options} {SLEEP}", words)
    assert mine == native
    new.typed(f"scancel -n {name}")


def test_jobs_are_cancelled_by_their_name_and_by_what_they_are(new: Stack, name: str) -> None:
    numbers = [submit(new, name, f"--hold {SLEEP}") for _ in range(3)]
    other = submit(new, f"{name}x", f"--hold {SLEEP}")
    for number in (*numbers, other):
        listed(new, number)
    code, out, err = new.typed(f"hpcjobs scancel -v -n {name} -u alice -t PD")
    assert (code, out, sorted(re.findall(r"\d+", err))) == (0, "", sorted(numbers))
    assert states(new, *numbers) == ["N/A CANCELLED"] * 3
    assert states(new, other) == ["N/A PENDING"]
    for number in numbers:
        listed(new, number)
    assert new.typed(f"hpcjobs scancel -v -n {name}") == new.typed(f"scancel -v -n {name}")
    new.typed(f"scancel {other}")


def test_signals_reach_whom_scancels_reach(new: Stack, name: str) -> None:
    trapped = f"/scratch/{name}-$SLURM_JOB_ID"
    script = f"--wrap 'trap \"exit 7\" USR1; touch {trapped}; sleep 60 & wait'"
    for words in ("-s USR1 N", "-b -s USR1 N", "--signal=10 --full N"):
        found = []
        for program in PROGRAMS:
            number = submit(new, name, script)
            until_state(new, number, "RUNNING")
            listed(new, number)
            until(lambda: new.typed(f"test -e /scratch/{name}-{number}")[0] == 0)  # noqa: B023
            code, out, err = new.typed(f"{program} {words.replace('N', number)}")
            found.append((code, out, err, settled(new, number)))
            new.typed(f"scancel {number}; rm -f /scratch/{name}-{number}")
        assert found[0] == found[1], words


def until_state(stack: Stack, number: str, state: str) -> None:
    end = time.monotonic() + 180
    while state not in " ".join(states(stack, number)):
        assert time.monotonic() < end
        time.sleep(0.3)


def test_a_signal_to_a_job_that_waits_ends_as_scancel_does_after_it_has_tried_for_a_minute(
    new: Stack, name: str
) -> None:
    number = submit(new, name, f"--hold {SLEEP}")
    listed(new, number)
    told = f"scancel: error: Kill job error on job id {number}: Job can not be altered now, try again later\n"
    assert new.typed(f"hpcjobs scancel -s USR1 {number}") == (2020 & 0xFF, "", told)
    new.typed(f"scancel {number}")


def test_a_yes_is_waited_for(new: Stack, name: str) -> None:
    number = submit(new, name, f"--hold {SLEEP}")
    listed(new, number)
    native = new.typed(f"echo n | scancel -i {number}")
    assert native == (0, f"Cancel job_id={number} name={name} partition=gpu [y/n]? ", "")
    for answer in ("n", "y"):
        assert new.typed(f"echo {answer} | hpcjobs scancel -i {number}") == native
        assert states(new, number) == [f"N/A {'PENDING' if answer == 'n' else 'CANCELLED'}"]


@pytest.mark.parametrize(
    "words",
    ["", "abc", "1_[", "1+x", "-t foo 1", "-s FOO 1", "--nope", "-Z", "99999999", "-v 99999999", "-s USR1 99999999",
     "-Q -s USR1 99999999", "-t COMPLETED -n nope", "-v -n nope -p gpu -t R", "0", "-1"],
)  # fmt: skip
def test_what_is_wrong_is_told_and_ends_as_by_scancel(new: Stack, words: str) -> None:
    native, mine = (new.typed(f"{program} {words}") for program in PROGRAMS)
    assert mine == native


def test_the_usage_is_scancels_but_for_what_is_refused(new: Stack) -> None:
    native, mine = (new.typed(f"{program} --usage") for program in PROGRAMS)
    assert (mine[0], mine[2]) == (native[0], native[2])
    theirs, ours = (set(re.findall(r"\[(?:[^\[\]]|\[[^\]]*\])+\]", text)) for text in (native[1], mine[1]))
    assert theirs - ours == {"[--hurry]", "[job_id[_array_id][.step_id]]"}
    assert ours - theirs == {"[--me]", "[job_id[_array_id]]"}


def test_variables_say_what_options_say(new: Stack, name: str) -> None:
    number = submit(new, name, f"--hold {SLEEP}")
    listed(new, number)
    told = new.typed("hpcjobs scancel", SCANCEL_NAME=name, SCANCEL_STATE="PENDING", SCANCEL_VERBOSE="true")
    assert told == (0, "", f"scancel: Terminating job {number}\n")
    native, mine = (new.typed(f"{program} -n nope", SCANCEL_BATCH="perhaps") for program in PROGRAMS)
    assert mine == native


def shown(stack: Stack, number: str) -> dict[str, Any]:
    return json.loads(stack.typed(f"scontrol show job {number} --json")[1])["jobs"][0]  # type: ignore[no-any-return]


def test_a_job_is_held_released_requeued_and_changed_as_by_scontrol(new: Stack, name: str) -> None:
    number = submit(new, name, f"-b now+1day {SLEEP}")
    listed(new, number)

    def scontrol(words: str) -> None:
        assert new.typed(f"hpcjobs scontrol {words}") == (0, "", "")

    scontrol(f"hold {number}")
    assert shown(new, number)["state_reason"] == "JobHeldUser"
    scontrol(f"release JobId={number}")
    assert shown(new, number)["hold"] is False
    scontrol(f"hold Name={name}")
    assert shown(new, number)["hold"] is True
    scontrol(f"update JobId={number} TimeLimit=20 Nice=7 Requeue=0 Comment='two words' JobName={name}x Features=a100")
    until(lambda: new.typed(f"hpcjobs squeue -h -o %l -j {number}")[1] == "20:00\n")
    scontrol(f"update jobid={number} timelimit+=10 NumNodes=1-2 StartTime=now+2hours ReqNodeList=c1 ExcNodeList=c3")
    job = shown(new, number)
    assert (job["time_limit"]["number"], job["nice"], job["requeue"]) == (30, 7, False)
    assert (job["comment"], job["name"], job["features"]) == ("two words", f"{name}x", "a100")
    assert (job["node_count"]["number"], job["max_nodes"]["number"]) == (1, 2)
    assert (job["required_nodes"], job["excluded_nodes"]) == ("c1", "c3")
    assert abs(job["eligible_time"]["number"] - time.time() - 7200) < 300 or job["hold"]
    for words in (f"update JobId={number} Nice=soon", f"update JobId={number} NumCPUs=2"):
        code, out, err = new.typed(f"hpcjobs scontrol {words}")
        assert (code, out, err.endswith("Request aborted\n")) == (1, "", True)
    for words in (f"suspend {number}", f"resume {number}", f"requeue {number}"):
        native, mine = (new.typed(f"{program} {words}") for program in ("scontrol", "hpcjobs scontrol"))
        assert mine == native, words
    new.typed(f"scancel {number}")


def test_a_running_job_is_suspended_resumed_and_requeued_held(new: Stack, name: str) -> None:
    number = submit(new, name, SLEEP)
    until_state(new, number, "RUNNING")
    listed(new, number)
    for words, state in (("suspend", "SUSPENDED"), ("resume", "RUNNING"), ("requeuehold", "PENDING")):
        assert new.typed(f"hpcjobs scontrol {words} {number}") == (0, "", ""), words
        until_state(new, number, state)
        listed(new, number)
        for _ in range(10):  # ours may be as old as the listing before
            native, mine = (
                re.sub(r" LastSchedEval=\S+ Scheduler=\S+|RunTime=\S+", "", new.typed(f"{one} show job {number}")[1])
                for one in ("scontrol", "hpcjobs scontrol")
            )
            if re.sub(r"\n   OOMKillStep=\d", "", native) == mine:
                break
            time.sleep(1)
        assert re.sub(r"\n   OOMKillStep=\d", "", native) == mine
    new.typed(f"scancel {number}")
