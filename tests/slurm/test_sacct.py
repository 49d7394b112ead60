"""``hpcjobs sacct`` beside Slurm's own: the same lines for jobs of every kind."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from hpcjobs.cli.slurm.sacct_fields import TABLE
from tests.slurm.conftest import Stack
from tests.unit.builders import until

SUBMIT = r"""
S() { local name=$1; shift; echo "$name $(sbatch --parsable --job-name=sacct-$name "$@")"; }
S steps -n2 --comment='hello world' --wrap \
    'srun -n2 --job-name=two sleep 1; srun -n1 sh -c "exit 7"; srun --cpu-freq=1000000-2200000:performance true; true'
S exit3 --wrap 'exit 3'
S signal --wrap 'ulimit -c 0; kill -SEGV $$'
S held --hold --wrap true
S later --begin=now+2hours -n3 -c2 -N2-3 --gpus-per-node=a100:1 --mem-per-cpu=1G --wrap true
S array --array=1-2 --wrap 'srun true'
S waiting --hold --array=1-7:2%1 --wrap true
S many --hold --array=0-60:10 --wrap true
S het -n1 : -n1 --mem=60M --wrap 'srun --het-group=0,1 true'
S gpus --gpus=a100:1 --mem=1536M --constraint=a100 --extra=team=7 --wrap true
S suspended --wrap 'sleep 15'
S requeued --requeue --wrap 'sleep 1; [ "$SLURM_RESTART_COUNT" ] || sleep 60'
S running -t 1-3:04:05 -N2 --mem-per-cpu=50M --wrap 'srun sleep 100'
S stepkill --wrap 'srun sleep 60 & sleep 8; scancel $SLURM_JOB_ID.0; wait'
S files -o '/scratch/sacct-%j.out' -e '/scratch/sacct-%x.err' -i /dev/zero --wrap true
"""


class Jobs(NamedTuple):
    """The jobs of this module.

    Attributes:
        stack: Where.
        numbers: Slurm's numbers, by the names above.
        since: When the first was submitted, as sacct reads it.
    """

    stack: Stack
    numbers: dict[str, int]
    since: str

    @property
    def all(self) -> str:
        return ",".join(map(str, self.numbers.values()))

    def of(self, *names: str) -> str:
        return ",".join(str(self.numbers[name]) for name in names)

    def both(self, words: str, user: str = "alice", **variables: str) -> tuple[tuple[int, str, str], ...]:
        """What sacct says, and what ours does: exit code, stdout, stderr."""
        return tuple(
            self.stack.typed(f"{program} {words}", user, **variables) for program in ("sacct", "hpcjobs sacct")
        )

    def same(self, words: str, user: str = "alice", **variables: str) -> str:
        """What both say; asked again where they differ, as the second may have begun between the two."""
        for _ in range(6):
            theirs, ours = self.both(words, user, **variables)
            if ours == theirs:
                break
            time.sleep(0.5)
        assert ours == theirs
        return ours[1]


@pytest.fixture(scope="module")
def jobs(new: Stack) -> Iterator[Jobs]:
    code, told, wrong = new.typed(SUBMIT)
    assert code == 0, wrong
    numbers = {name: int(number) for name, number in (line.split() for line in told.splitlines())}
    since = new.typed("date +%FT%T -d '1 minute ago'")[1].strip()

    def state(name: str) -> str:
        return new.run("slurmctld", f"sacct -nXPa -j {numbers[name]} -o state").partition("\n")[0]

    def until(name: str, *states: str) -> None:
        give_up = time.monotonic() + 180
        while not state(name).startswith(states):
            assert time.monotonic() < give_up, (name, state(name))
            time.sleep(0.3)

    until("suspended", "RUNNING")
    new.run("slurmctld", f"scontrol suspend {numbers['suspended']}; sleep 2; scontrol resume {numbers['suspended']}")
    until("requeued", "RUNNING")
    new.run("slurmctld", f"scontrol requeue {numbers['requeued']}")
    until("requeued", "PENDING")
    new.run("slurmctld", f"scontrol update jobid={numbers['requeued']} starttime=now")
    until("running", "RUNNING")
    time.sleep(1)
    new.typed(f"scancel {numbers['running']} {numbers['held']} {numbers['later']}")
    give_up = time.monotonic() + 300
    for name in ("steps", "exit3", "signal", "array", "het", "gpus", "suspended", "requeued", "running", "stepkill",
                 "files", "held", "later"):  # fmt: skip
        until(name, "COMPLETED", "FAILED", "CANCELLED")
    before, ended = "", f"sacct -nPa -j {','.join(map(str, numbers.values()))} -o jobid,state,end,exitcode"
    while (now := new.run("slurmctld", ended)) != before:  # slurmdbd hears of steps a little later
        assert time.monotonic() < give_up, "accounting does not come to rest"
        before = now
        time.sleep(2)
    yield Jobs(new, numbers, since)
    new.typed(f"scancel {numbers['waiting']} {numbers['many']}")


def table(text: str) -> list[dict[str, str]]:
    head, *lines = (line.split("\x01") for line in text.splitlines())
    assert all(len(line) == len(head) for line in lines)
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_every_field_of_every_kind_of_job_is_as_sacct_prints_it(jobs):
    theirs, ours = jobs.both(f"-j {jobs.all} -P --delimiter=$'\\x01' -o ALL")
    assert (theirs[0], ours[0], ours[2]) == (0, 0, "")
    expected, found = table(theirs[1]), table(ours[1])
    assert list(found[0]) == list(expected[0]) == [field.name for field in TABLE]
    assert len(found) == len(expected) > 30
    differ = {
        (line["JobID"], name, line[name], mine[name])
        for line, mine in zip(expected, found, strict=True)
        for name in line
        if line[name] != mine[name] and name != "QOSRAW"  # Slurm's JSON has no numbers of QOS
    }
    assert differ == set()
    filled = {name for line in expected for name in line if line[name]}
    assert {"SLUID", "DBIndex", "UID", "GID", "StdErr", "Suspended", "Constraints", "Extra", "ReqCPUFreqGov"} <= filled
    states = {line["State"] for line in expected}
    assert {"COMPLETED", "FAILED", "CANCELLED", "PENDING"} <= states
    assert any(re.fullmatch(r"CANCELLED by \d+", state) for state in states)


@pytest.mark.parametrize(
    "words",
    ["", "-X", "-b", "-p", "-P", "-n", "-X -n -P", "-p -n --delimiter=ab", "-o jobid%30,jobidraw%-14,state%5,start%10",
     "-o JOBID,elap,res,tresusageinmaxn", "-o jobid%,state", "-o ''", "--noconvert -o jobid,reqmem,alloctres%50",
     "--units=G -o jobid,reqmem,alloctres%50", "--units=k -X -o jobid,reqmem,reqtres%50",
     "--expand-patterns -X -o stdin,stdout%60,stderr%60",
     "--array -o jobid%20,jobidraw", "-D -X -o jobid,state,restarts,submit", "-X -o jobid,flags%40 -F SchedMain",
     "-X -k 60", "-X -k 1 -K 100", "-X -I 2", "-X -i 2", "-X -r gpu", "-X -q normal", "-X -C a100",
     "-X -A vision", "-X -A climate", "-X -N c1", "-X -u alice", "-X -u bob", "-X --name=sacct-exit3,sacct-het",
     "-X -x 5", "-X -g alice", "-X -W nokey"],
)  # fmt: skip
def test_lines_are_the_same_to_the_last_blank(jobs, words):
    jobs.same(f"-j {jobs.all} {words}")


def test_the_long_form_is_the_same(jobs):
    assert "TRESUsageInMaxNode" in jobs.same(f"-j {jobs.all} -l -P")
    jobs.same(f"-j {jobs.of('steps', 'het')} -l")


def test_jobs_are_named_in_every_way_that_sacct_knows(jobs):
    number, array, het = jobs.numbers["steps"], jobs.numbers["array"], jobs.numbers["het"]
    raw = jobs.stack.typed(f"sacct -nXP -j {array}_1 -o jobidraw")[1].strip()
    forms = (f"{number}.batch", f"{number}.0,{number}.1", f"{number},{number}.0", f"{number}.9", f"{array}_2",
             f"{array}_2.batch", f"{array}_9", raw, f"{jobs.numbers['waiting']}_3", str(het), f"{het}+1", f"{het}+1.0",
             str(het + 1), f"{number}.0 -X", f"{het} --whole-hetjob=no", f"{het + 1} --whole-hetjob",
             "67000000", f"{number},", f"{number},67000000")  # fmt: skip
    for form in forms:
        jobs.same(f"-j {form}")


def test_times_and_states_choose_as_sacct_does(jobs):
    fields = "-P -o jobid,state,start,end,elapsed,cputime,planned --name=" + ",".join(
        f"sacct-{name}" for name in ("steps", "exit3", "array", "het", "gpus", "suspended", "running", "files")
    )
    end = jobs.stack.typed(f"sacct -nXP -j {jobs.numbers['running']} -o end")[1].strip()
    early = jobs.stack.typed(f"date +%FT%T -d @$(( $(date -d {end} +%s) - 2 ))")[1].strip()
    for words in ("", f"-S {jobs.since}", f"-S {jobs.since} -E now", "-E 2020-01-01 -S 2019-01-01",
                  f"-s CD -S {jobs.since} -E now", f"-s f,ca -S {jobs.since} -E now -X", "-s CD", "-s R",
                  f"-s CD -S {jobs.since}", f"-s CD -j {jobs.of('steps')}", f"-s TO -j {jobs.of('steps')}",
                  f"-T -S {early} -E now", f"-T -S {jobs.since} -E {early}", "-S today -E tomorrow -X",
                  "-S now-1hour -X", "-S 00:00 -X"):  # fmt: skip
        # What slurmdbd counts as suspended within a part of a job's time, only it can tell.
        jobs.same(f"{words} {fields.replace('sacct-suspended,', '') if '-T' in words else fields}")
    assert "sacct-" not in jobs.same("-S 2019-01-01 -E 2019-01-02 -o jobname%20")


def test_formats_of_time_and_lengths_of_arrays_come_from_the_environment(jobs):
    words = f"-j {jobs.of('steps', 'held', 'waiting', 'many')} -X -o jobid%40,start,end"
    for form in ("relative", "standard", "%H:%M %d", "%s"):
        jobs.same(words, SLURM_TIME_FORMAT=form)
    for most in ("4", "9", "10", "0"):
        jobs.same(words, SLURM_BITSTR_LEN=most)
    jobs.same(f"-j {jobs.of('steps')}", SACCT_FORMAT="jobid,user%-12,state")
    jobs.same(f"-j {jobs.of('steps')} -o state", SACCT_FORMAT="jobid")


@pytest.mark.parametrize(
    "words",
    ["-o foo", "-o jobid,bar%3", "-o 'jobid state'", "--foo", "-z", "-j", "extra words", "-j abc", "-j 29x", "-j 29.x",
     "-j 0", "-S blah", "-s XX", "-s CG", "-s st", "--units=X", "-F bad", "--whole-hetjob=maybe",
     "-S 2026-02-02 -E 2026-02-01"],
)  # fmt: skip
def test_what_sacct_refuses_is_refused_in_its_words_and_with_its_exit_code(jobs, words):
    theirs, ours = jobs.both(words)
    assert ours == theirs


def test_what_sacct_tells_of_itself_is_the_same(jobs):
    for words in ("-e", "--helpstate", "--usage"):
        jobs.same(words)
    assert {"Resources", "Priority", "JobHeldUser"} <= set(jobs.stack.typed("hpcjobs sacct --helpreason")[1].split())
    assert jobs.stack.typed("hpcjobs sacct -V")[1].startswith("slurm 26.05")
    assert "--allocations" in jobs.stack.typed("hpcjobs sacct --help")[1]


@pytest.mark.parametrize("words", ["-B -j 1", "--env-vars -j 1", "-c", "-f /x", "--yaml", "-j 1 -o qosraw"])
def test_what_cannot_be_answered_is_refused_clearly(jobs, words):
    code, out, wrong = jobs.stack.typed(f"hpcjobs sacct {words}")
    assert (code, out) == (1, "")
    assert wrong.startswith("sacct: error: ")
    assert "cannot be" in wrong


def test_a_version_of_json_that_is_not_there_is_refused_in_slurms_words_and_not_with_exit_code_0_as_sacct_does(jobs):
    theirs, ours = jobs.both("--json=v1")
    assert ours == (1, "", theirs[2])


def _known(theirs: Any, ours: Any, where: str) -> Iterator[str]:
    """Where ours, as far as it goes, says something else than theirs."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            if key not in theirs:
                yield f"{where}.{key}: not of Slurm"
            else:
                yield from _known(theirs[key], value, f"{where}.{key}")
    elif isinstance(ours, list):
        if len(theirs) != len(ours):
            yield f"{where}: {theirs} {ours}"
        for at, (their, our) in enumerate(zip(theirs, ours, strict=False)):
            yield from _known(their, our, f"{where}[{at}]")
    elif theirs != ours:
        yield f"{where}: {theirs!r} {ours!r}"


def test_the_json_is_slurms_as_far_as_it_goes(jobs):
    theirs, ours = jobs.both(f"-j {jobs.all} --json")
    expected, found = json.loads(theirs[1]), json.loads(ours[1])
    assert (ours[0], len(found["jobs"])) == (0, len(expected["jobs"]))
    assert list(_known(expected["jobs"], found["jobs"], "jobs")) == []
    left_out = {key for job in expected["jobs"] for key in job} - {key for job in found["jobs"] for key in job}
    assert left_out == {"hold", "script", "used_gres"}
    assert set(found) == set(expected)
    assert found["meta"]["command"] == ["sacct", "-j", jobs.all, "--json"]


def test_nobody_sees_anothers_jobs_but_who_manages_or_operates(jobs):
    number = jobs.numbers["steps"]
    assert jobs.stack.typed(f"hpcjobs sacct -n -j {number}", "bob") == (0, "", "")
    assert jobs.stack.typed("hpcjobs sacct -n -a -S 00:00 -u alice", "bob")[1] == ""
    everybodys = jobs.stack.typed("hpcjobs sacct -n -P -a -X -S 00:00 -o user", "bob")[1].split()
    assert set(everybodys) <= {"bob"}
    assert set(jobs.stack.typed("hpcjobs sacct -nPX -S 00:00 -o user")[1].split()) == {"alice"}


def test_our_mark_shows_nowhere(jobs):
    job = jobs.stack.submit("#!/bin/bash\ntrue\n", name="sacct-marked", comment="mine")
    jobs.stack.finished(job["id"])
    ours = f"hpcjobs sacct -j {job['slurm_job_id']}"
    until(lambda: "mine" in jobs.stack.typed(f"{ours} -P -o ALL")[1])  # slurmdbd hears of it a little later
    for words in ("-P -o ALL", "--json"):
        code, told, _ = jobs.stack.typed(f"{ours} {words}")
        assert code == 0
        assert "mine" in told
        assert "hpcjobs:" not in told
