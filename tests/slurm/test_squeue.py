"""hpcjobs squeue, scontrol show job and their JSON beside Slurm's own: the same jobs, the same user, the same lines."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from hpcjobs.cli.slurm import job_json, job_words
from hpcjobs.cli.slurm.job_columns import BY_LETTER, FIELDS, NOT_KNOWN
from tests.slurm.conftest import Stack

SLEEP = "--wrap 'sleep 900'"
KINDS = {
    "held": f"--hold --mail-type=BEGIN,END --mail-user=a@b.c --nice=5 --deadline=now+3days -t 10 --time-min=5 {SLEEP}",
    "plain": f"-n3 -t 1-02:03:04 {SLEEP}",
    "gpus": f"-N2 --ntasks-per-node=2 -c2 --mem=1G --gpus-per-node=1 -t 30 {SLEEP}",
    "perjob": f"--gpus=3 --cpus-per-gpu=2 --mem-per-gpu=512 -t 20 {SLEEP}",
    "pertask": f"-n2 --gpus-per-task=1 -c2 -t 20 {SLEEP}",
    "array": f"--array=0-7%2 -t 20 {SLEEP}",
    "after": f"-d afterany:HELD -t 20 {SLEEP}",
    "cons": f"-C 'a100|h100' -x c1,c2 --hold -t 20 {SLEEP}",
    "begin": f"-b now+1day -p gpu,debug -t 20 {SLEEP}",
    "geometry": f"--hold --sockets-per-node=1 --cores-per-socket=2 --threads-per-core=1 --mem-per-cpu=100 --tmp=100 "
    f"--contiguous --ntasks-per-socket=2 -n4 --mincpus=2 -t 20 {SLEEP}",
    "exclusive": f"--hold --exclusive -N1 -w c3 {SLEEP}",
    "files": f"--no-requeue --hold --switches=2@10 --prefer=a100 --oversubscribe -o o-%j -e e.txt {SLEEP}",
    "odd": f"--hold --comment 'two words' --extra=x {SLEEP}",
    "het": f"-t 20 -n1 : -n2 --mem=200 {SLEEP}",
    "failed": "-t 5 --wrap 'exit 3'",
    "killed": "-t 5 --wrap 'kill -9 $$'",
    "segv": "-t 5 --wrap 'ulimit -c 0; kill -SEGV $$'",
    "usr1": "-t 5 --wrap 'kill -USR1 $$'",
    "done": "-t 5 --wrap true",
}
"""Options of each job; its name is that of its kind behind a word of this run."""

BY_OURS = ("plain", "cons", "array", "killed")
"""Kinds that are submitted by hpcjobs sbatch; the mark in their comments is told apart."""

MARK = re.compile(r" hpcjobs:[0-9a-f]{32}")
OF_NOW = {"TimeUsed", "TimeLeft", "PendingTime", "M", "L", "RunTime"}
"""What goes on from second to second."""

UNTOLD_BY_PYSLURM = {"cpus-per-tres", "mem-per-tres", "tres-bind", "SLUID", "s"}
EXPANDED = {"StdOut", "StdErr", "StdIn"}
"""Ours are the paths themselves, as squeue prints them with --expand-patterns."""


class Zoo(NamedTuple):
    """Jobs of every kind.

    Attributes:
        prefix: Of their names.
        numbers: By kind.
    """

    prefix: str
    numbers: dict[str, str]

    @property
    def names(self) -> str:
        """Their names, as -n takes them."""
        return ",".join(f"{self.prefix}-{kind}" for kind in KINDS)


@pytest.fixture(scope="module")
def zoo(new: Stack) -> Iterator[Zoo]:
    prefix = f"zoo{uuid.uuid4().hex[:6]}"
    numbers: dict[str, str] = {}
    for kind, options in KINDS.items():
        program = "hpcjobs sbatch --comment mine" if kind in BY_OURS else "sbatch"
        typed = options.replace("HELD", numbers.get("held", ""))
        code, out, err = new.typed(f"{program} --parsable -J {prefix}-{kind} {typed}")
        assert code == 0, f"{kind}: {err}"
        numbers[kind] = out.strip()
    found = Zoo(prefix, numbers)
    until(lambda: states(new, "squeue", found).count("PENDING") + states(new, "squeue", found).count("RUNNING") >= 15
          and len(states(new, "squeue", found)) >= 20)  # fmt: skip
    until(lambda: states(new, "squeue", found) == states(new, "hpcjobs squeue", found))
    yield found
    new.typed(f"scancel {' '.join(numbers.values())}")


def states(stack: Stack, program: str, zoo: Zoo) -> list[str]:
    return sorted(stack.typed(f"{program} -h -r -t all -o %T -n {zoo.names}")[1].split())


def until(true: Callable[[], bool], within_s: float = 240) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.5)


def both(stack: Stack, words: str, same: Callable[[str, str], bool] | None = None, **variables: str) -> tuple[str, str]:
    """What squeue and ours print; again while they differ, as jobs go on and a listing is a second old."""
    found = ("", "")
    for _ in range(15):
        answers = [stack.typed(f"{program} {words}", **variables) for program in ("squeue", "hpcjobs squeue")]
        (code, out, err), (our_code, our_out, our_err) = answers
        assert (our_code, our_err) == (code, err)
        found = (MARK.sub(lambda found: " " * len(found[0]), out), our_out)
        if same(*found) if same else found[0] == found[1]:
            return found
        time.sleep(1)
    return found


def cells(text: str, width: int, names: list[str]) -> list[dict[str, str]]:
    lines = [line.encode(errors="surrogateescape") for line in text.split("\n")[:-1]]
    return [
        {name: line[at * width : (at + 1) * width].decode(errors="replace").strip() for at, name in enumerate(names)}
        for line in lines
    ]


def apart(natives: list[dict[str, str]], ours: list[dict[str, str]], known: set[str]) -> list[str]:
    told = []
    for native, mine in zip(natives, ours, strict=True):
        told += [
            f"{native.get('JobArrayId', '?')} {name}: squeue {value!r}, ours {mine[name]!r}"
            for name, value in native.items()
            if value != mine[name] and name not in known | OF_NOW
        ]
    return told


def test_every_name_of_big_o_prints_what_squeue_prints(new: Stack, zoo: Zoo) -> None:
    there = new.typed("squeue --helpFormat")[1].split()
    assert {field.name for field in FIELDS if not field.hidden} | set(NOT_KNOWN) >= set(there)
    names = [field.name for field in FIELDS]
    words = f"-t all -n {zoo.names} -O '{','.join(f'{name}:150' for name in names)}'"
    known = UNTOLD_BY_PYSLURM | EXPANDED

    def same(native: str, mine: str) -> bool:
        return native.count("\n") == mine.count("\n") and not apart(
            cells(native, 150, names), cells(mine, 150, names), known
        )

    native, mine = both(new, words, same)
    assert native.count("\n") == mine.count("\n") > 18
    assert not apart(cells(native, 150, names), cells(mine, 150, names), known)


def test_the_paths_are_those_that_squeue_prints_with_expanded_patterns(new: Stack, zoo: Zoo) -> None:
    words = f"--expand-patterns -h -n {zoo.prefix}-files,{zoo.prefix}-held -O StdOut:90,StdErr:90"
    native, mine = (new.typed(f"{program} {words}")[1] for program in ("squeue", "hpcjobs squeue"))
    for one, other in zip(native.split(), mine.split(), strict=True):
        assert other.endswith(one.lstrip("/")) or one == other


def test_every_letter_of_o_prints_what_squeue_prints(new: Stack, zoo: Zoo) -> None:
    there = {word[1] for word in new.typed("squeue --helpformat")[1].split()}
    assert set(BY_LETTER) >= there
    letters = [letter for letter in sorted(filter(None, BY_LETTER)) if letter not in UNTOLD_BY_PYSLURM]
    for form, width in (("%50{}", 50), ("%.50{}", 50)):
        words = f"-t all -n {zoo.names} -o '{''.join(form.format(letter) for letter in letters)}'"

        def same(native: str, mine: str, width: int = width) -> bool:
            return native.count("\n") == mine.count("\n") and not apart(
                cells(native, width, letters), cells(mine, width, letters), set()
            )

        native, mine = both(new, words, same)
        assert not apart(cells(native, width, letters), cells(mine, width, letters), set())


LINES = [
    "",
    "-h",
    "-l",
    "-r",
    "-rl",
    "--start",
    "-P",
    "-t all",
    "-t PD",
    "-t R,CD,F",
    "-t pending,Running -h",
    "-t CD --sort=-i",
    "-o '%.3i|%5j|%-|%8N|%.9N%R'",
    "-o '%.2t %!%T'",
    "-o 'x%i'",
    "-o '%i %b %m %d %z %H %I %J %X %c %h %E %f %n %x' -S i",
    "--noconvert -o '%i %m %d' -S i",
    "-O jobid,name:4,nope,statecompact:.3,reasonlist:0",
    "-O 'jobarrayid:.18 ,name:.8 ,state:.8|'",
    "-p debug",
    "-p gpu -t all",
    "-q normal -A VISION",
    "-q nope",
    "-A nope",
    "-L none",
    "-R none",
    "-w c1,c2",
    "-w 'c[3-4]' -h",
    "-u alice",
    "-u bob",
    "--me -t all",
    "--notme",
    "--running-over=0:01 -h -o %i -S i",
    "--running-under=0:01",
    "-a --local --hide",
]


@pytest.mark.parametrize("words", LINES)
def test_the_lines_are_squeues(new: Stack, zoo: Zoo, words: str) -> None:
    def without_time(text: str) -> str:
        return re.sub(r" *[0-9]+:[0-9]{2}(?::[0-9]{2})?|^[A-Z][a-z]{2} [A-Z].*\n", "", text)

    native, mine = both(new, f"{words} -n {zoo.names}", lambda one, other: without_time(one) == without_time(other))
    assert without_time(mine) == without_time(native)


@pytest.mark.parametrize("letters", ["i", "-i", "j,i", "-j", "D,-i", "C,i", "P,t,-p", "-P,i", "t,j", "T,-j", "V,i",
    "S,i", "-S", "e,i", "l,i", "-l,j", "m,j", "u,U,g,G,i", "z,i", "H,I,J,i", "N,i", "Q,i", "d,-j", "v,i", "B,i", "S",
    "p", "t"])  # fmt: skip
def test_every_order_is_squeues(new: Stack, zoo: Zoo, letters: str) -> None:
    native, mine = both(new, f"-h -t all -o %i -n {zoo.names} -S {letters}")
    assert mine == native


def test_a_job_a_task_and_a_component_are_picked_by_their_names(new: Stack, zoo: Zoo) -> None:
    array, het = zoo.numbers["array"], zoo.numbers["het"]
    for jobs in (array, f"{array}_0", f"{array}_5", f"{array}_0,{array}_6,{zoo.numbers['held']}", het, f"{het}+1",
                 zoo.numbers["failed"], f"{zoo.numbers['held']},99999999"):  # fmt: skip
        for more in ("-h -o '%i %T'", "-h -r -o '%i %T'", "-h -t all -o '%i %T'"):
            native, mine = both(new, f"{more} -j {jobs}")
            assert mine == native, jobs
    assert both(new, f"-h -o %i -j {array} -r")[0].count("\n") == 8


def test_variables_say_what_options_say(new: Stack, zoo: Zoo) -> None:
    for variables in (
        {"SQUEUE_FORMAT": "%i|%j", "SQUEUE_SORT": "-i"},
        {"SQUEUE_FORMAT2": "jobid:9,name:30"},
        {"SQUEUE_STATES": "PD,CD", "SQUEUE_USERS": "alice", "SQUEUE_PARTITION": "gpu", "SQUEUE_QOS": "normal"},
        {"SQUEUE_ACCOUNT": "nope"},
        {"SQUEUE_ARRAY": "1", "SQUEUE_FORMAT": "%i"},
        {"SLURM_TIME_FORMAT": "%H:%M", "SQUEUE_FORMAT": "%i %V %S"},
        {"SLURM_TIME_FORMAT": "relative", "SQUEUE_FORMAT": "%i %V %S"},
        {"SLURM_BITSTR_LEN": "0", "SQUEUE_FORMAT": "%i"},
    ):
        native, mine = both(new, f"-h -n {zoo.names} -S i", **variables)
        assert mine == native, variables


@pytest.mark.parametrize(
    "words",
    ["--nope", "-Z", "foo", "-o %i -O jobid", "-l -o %i", "-t nope", "-j abc", "-j 99999999", "-S x -h", "-i 0",
     "--only-job-state --me", "--running-over=x", "--running-over=9 --running-under=2", "-j"],
)  # fmt: skip
def test_what_is_wrong_is_told_and_ends_as_by_squeue(new: Stack, words: str) -> None:
    (code, _, err), (our_code, _, our_err) = (
        new.typed(f"{program} {words}") for program in ("squeue", "hpcjobs squeue")
    )
    assert (our_code, our_err) == (code, err.partition("Usage: ")[0])


def jobs_of(text: str) -> dict[int, dict[str, Any]]:
    return {job["job_id"]: job for job in json.loads(text)["jobs"]}


def test_every_key_of_json_says_what_slurms_says(new: Stack, zoo: Zoo) -> None:
    def differences(native: str, mine: str) -> list[str]:
        theirs, ours = jobs_of(native), jobs_of(mine)
        assert list(ours) == list(theirs)
        told = []
        for number, job in ours.items():
            assert not set(job) - set(theirs[number])
            assert set(theirs[number]) - set(job) == set(job_json.NOT_KNOWN) & set(theirs[number])
            theirs[number]["comment"] = theirs[number]["comment"].strip()
            told += [f"{job['name']} {key}: {theirs[number][key]!r}, ours {value!r}" for key, value in job.items()
                     if value != theirs[number][key]]  # fmt: skip
        return told

    native, mine = both(new, f"--json -t all -n {zoo.names}", lambda one, other: not differences(one, other))
    assert differences(native, mine) == []
    whole, theirs = json.loads(mine), json.loads(native)
    assert set(whole) == {"jobs", "last_backfill", "last_update", "meta", "errors", "warnings"} == set(theirs)
    assert {name: whole["meta"][name] for name in ("plugin", "client", "command")} == {
        name: theirs["meta"][name] for name in ("plugin", "client", "command")
    }
    for name in ("version", "release"):  # which release of the series it is is not known
        theirs["meta"]["slurm"].pop(name), whole["meta"]["slurm"].pop(name)
    assert whole["meta"]["slurm"] == theirs["meta"]["slurm"]
    assert whole["warnings"] == theirs["warnings"]


def test_of_no_jobs_json_warns_as_slurms_does(new: Stack) -> None:
    native, mine = (json.loads(new.typed(f"{program} --json -n nobody-calls-a-job-so")[1]) for program in (
        "squeue", "hpcjobs squeue"))  # fmt: skip
    assert (mine["jobs"], mine["warnings"]) == (native["jobs"], native["warnings"]) == ([], native["warnings"])
    assert mine["warnings"]


@pytest.mark.parametrize(
    "words", ["-O 'jobid:|'", "-O 'jobid: 5|'", "-O jobid,,username", "-O ''", "-O 'nope:5|,jobid:12'", "-O 'jobid:.x'",
              "-O 'jobid:+12|'", "-O 'jobid:5,%i'", "-O 'jobid:1234567|,username' | cut -c1-99", "-o 'x%5'",
              "-o '%123456i|' | cut -c1-99", "-o '%..5i'"]
)  # fmt: skip
def test_odd_formats_read_as_squeue_reads_them(new: Stack, zoo: Zoo, words: str) -> None:
    native, mine = both(new, f"-n {zoo.prefix}-held {words}")
    assert mine == native


def pairs(text: str) -> list[tuple[str, str]]:
    """Keys and values of ``scontrol show job -o``; values may have blanks."""
    parts = re.split(r"(?:^|(?<=\s))([A-Za-z_:/]+)=", MARK.sub("", text.strip()))
    return list(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


OF_PYSLURM = set(job_words.OF_SOME_WAYS) | {"MinMemoryTRES", "MinMemoryNode"}


@pytest.mark.parametrize("kind", KINDS)
def test_scontrol_shows_a_job_as_scontrol_does(new: Stack, zoo: Zoo, kind: str) -> None:
    number = zoo.numbers[kind]
    for _ in range(15):
        native, mine = (
            [one for one in new.typed(f"{program} show job {number} -o")[1].split("\n") if one]
            for program in ("scontrol", "hpcjobs scontrol")
        )
        left = [
            [pair for pair in pairs(line) if pair[0] not in job_words.NOT_KNOWN and pair[0] not in OF_PYSLURM | OF_NOW]
            for line in native
        ]
        ours = [[pair for pair in pairs(line) if pair[0] not in OF_PYSLURM | OF_NOW] for line in mine]
        if left == ours:
            break
        time.sleep(1)
    assert ours == left
    assert not {key for line in mine for key, _ in pairs(line)} & set(job_words.NOT_KNOWN)


def test_scontrol_prints_its_lines_and_blank_lines(new: Stack, zoo: Zoo) -> None:
    number = zoo.numbers["geometry"]
    for _ in range(15):
        native, mine = (new.typed(f"{program} show jobs {number}")[1] for program in ("scontrol", "hpcjobs scontrol"))
        native = re.sub(r" LastSchedEval=\S+ Scheduler=\S+", "", native)
        if mine == native:
            break
        time.sleep(1)
    assert mine == native
    assert {int(number) for number in re.findall(r"JobId=(\d+)", new.typed("hpcjobs scontrol show job")[1])} >= {
        int(number)
    }
    shown = jobs_of(new.typed(f"hpcjobs scontrol show job {number} --json")[1])
    assert list(shown) == [int(number)]


@pytest.mark.parametrize(
    "words",
    ["show job 99999999", "show job abc", "show", "show foo", "foo", "hold", "--nope", "requeue 99999999",
     "release 99999999", "hold 99999999", "hold abc", "update Foo=1", "update JobId=99999999 Nice=3",
     "update JobId=99999999 Foo=3", "show hostnames 'c[1-3],d[08-11]'", "show hostlist c1,c2,c3,d1,c9,c10",
     "show hostlistsorted d1,c3,c1,c2,c2", "show hostnames", "show hostnames 'c[1-'",
     "show hostlist c01,c02,c3"],
)  # fmt: skip
def test_scontrol_says_and_ends_as_scontrol(new: Stack, words: str) -> None:
    native, mine = (new.typed(f"{program} {words}") for program in ("scontrol", "hpcjobs scontrol"))
    assert mine == native
