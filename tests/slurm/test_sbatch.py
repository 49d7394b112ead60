"""hpcjobs sbatch beside sbatch, on one machine, as one user: what they print, how they exit, what their jobs find."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.slurm.conftest import Stack
from tests.slurm.test_same_as_sbatch import differences, seen

SURROUNDINGS = r"""
export PLAIN=1 LINES=$'two\nlines' SLURM_FOO=from-outside SLURM_NTASKS=9 ODD="x'\"y" 'A-B=c'
greet() { echo hello; }
export -f greet
"""
OF_THE_JOB = {"SLURM_JOBID", "SLURM_JOB_ID", "SLURM_JOB_SLUID", "SLURM_JOB_START_TIME", "SLURM_JOB_END_TIME",
    "SLURM_TASK_PID", "SLURM_JOB_NODELIST", "SLURM_NODELIST", "SLURMD_NODENAME", "SLURM_TOPOLOGY_ADDR",
    "SLURM_JOB_GPUS", "SLURM_ARRAY_JOB_ID", "SLURM_SCRIPT_CONTEXT"}  # fmt: skip
OF_THE_PROGRAM = {"_", "HPCJOBS_TOKEN"}  # a shell names the program it calls; a token is not handed on
PROGRAMS = ("sbatch", "hpcjobs sbatch")


def variables(text: str) -> dict[str, str]:
    pairs = (one.partition("=") for one in text.split("\1") if one)
    return {name: value for name, _, value in pairs if name not in OF_THE_JOB | OF_THE_PROGRAM}


@pytest.mark.parametrize(
    "options",
    [
        "", "--export=ALL", "--export=NONE", "--export=NIL", "--export=ALL,B=2", "--export=PLAIN,B='\"a,b\"',NOT_THERE",
        "--get-user-env", "-n2 -c2 --mem=100", "--chdir=/tmp --ntasks-per-node=2 -N1", "--dependency=singleton",
        "--distribution=cyclic --gpus=1", "--array=3", "--hint=nomultithread",
    ],
)  # fmt: skip
def test_a_job_finds_the_same_variables(stack: Stack, name: str, options: str) -> None:
    wrapped = shlex.quote("env -0 | sort -z | tr '\\0' '\\1'")
    found = []
    for program in PROGRAMS:
        path = f"/scratch/{name}-{len(found)}.txt"
        code, out, err = stack.typed(
            f"{SURROUNDINGS} {program} --quiet --wait -J {name} {options} -o {path} --wrap {wrapped}; status=$?; "
            f"cat {path}; exit $status"
        )
        assert code == 0, err
        found.append(variables(out))
    native, ours = found
    assert ours == native


@pytest.mark.parametrize("options", ["", "--propagate=NONE", "--propagate=STACK,CORE", "--export=NONE"])
def test_a_job_has_the_limits_of_the_shell_that_called(stack: Stack, name: str, options: str) -> None:
    found = []
    for program in PROGRAMS:
        path = f"/scratch/{name}-{len(found)}.txt"
        code, out, err = stack.typed(
            f"ulimit -S -s 4096; ulimit -S -n 500; umask 027; {program} --quiet --wait -J {name} {options} -o {path} "
            f"--wrap 'umask; ulimit -S -a; ulimit -H -a'; cat {path}"
        )
        assert code == 0, err
        found.append(out)
    assert found[0] == found[1]
    assert "0027" in found[0]
    if options in ("", "--propagate=STACK,CORE"):
        assert re.search(r"stack\S*\s.*4096", found[0]), found[0]


@pytest.mark.parametrize(
    ("call", "mends"),
    [
        ("--nope", ""),
        ("-Z", ""),
        ("--no x.sh", ""),
        ("--hold=1 x.sh", ""),
        ("--time=soon --wrap true", "note"),
        ("-n x --wrap true", "note"),
        ("--wrap true x.sh", ""),
        ("no-such-file", ""),
        ("/dev/null", ""),
        ("-M", ""),
        ("-Qv --wrap true", ""),
        ("--uid=0 --wrap true", "note"),
        ("--mem=1 --mem-per-cpu=1 --wrap true", ""),
        ("-p nope --wrap true", "error"),
        ("-A nope --wrap true", "note"),
        ("-q nope --wrap true", "note"),
        ("-C nope --wrap true", "note"),
        ("-d afterok:99999999 --wrap true", "note"),
        ("--nodes=400 --wrap true", "error"),
        ("--bbf=nope --wrap true", ""),
        ("--nodefile=nope --wrap true", "note"),
    ],
)
def test_a_refusal_reads_and_exits_as_sbatchs(new: Stack, call: str, mends: str) -> None:
    (code, out, err), (our_code, our_out, our_err) = (new.typed(f"{program} {call}") for program in PROGRAMS)
    assert (our_code, our_out) == (code, out), our_err
    native, ours = err.splitlines(), our_err.splitlines()
    last = native[-1]
    assert last in ours, our_err  # in words that scripts look for
    added = [line for line in ours if line not in native]
    assert all(line.startswith(("sbatch: note: ", f"sbatch: {mends}: ")) for line in added), added


@pytest.mark.parametrize(
    "script",
    ["", "  \n", "echo hello\n", "#!/bin/sh\r\necho\r\n", "#!/bin/sh\n#SBATCH stray\n", "#!/bin/sh\n#SBATCH -J 'x\n"],
)
def test_what_is_not_a_script_is_told_apart_as_by_sbatch(new: Stack, script: str) -> None:
    piped = f"printf %s {shlex.quote(script)} |"
    (code, _, err), (our_code, out, our_err) = (new.typed(f"{piped} {program}") for program in PROGRAMS)
    assert (our_code, out) == (code, "")
    told = [line for line in our_err.splitlines() if "note: " not in line]
    assert told == err.splitlines()


def test_what_is_printed_on_success_is_sbatchs(stack: Stack, name: str) -> None:
    for options, pattern in {
        "": r"Submitted batch job \d+\n",
        "--parsable": r"\d+\n",
        "--quiet": "",
        f"-M {stack.cluster}": rf"Submitted batch job \d+ on cluster {stack.cluster}\n",
        f"-M {stack.cluster} --parsable": rf"\d+;{stack.cluster}\n",
    }.items():
        for program in PROGRAMS:
            code, out, err = stack.typed(f"{program} --hold -J {name} {options} --wrap true")
            assert (code, err) == (0, "")
            assert re.fullmatch(pattern, out), (program, options, out)
    assert len(stack.slurm_jobs_named(name)) == 10


@pytest.mark.parametrize(
    "options",
    [
        "--wrap 'exit 7'",
        "--wrap 'kill -TERM $$'",
        "--array=0-3 --wrap 'exit $SLURM_ARRAY_TASK_ID'",
        "--wrap true",
        "--signal=B:USR1 --wrap 'exit 300'",
    ],
)
def test_wait_exits_as_sbatch_does(new: Stack, options: str) -> None:
    codes = [new.typed(f"{program} -Q --wait -o /dev/null {options}")[0] for program in PROGRAMS]
    assert codes[0] == codes[1]


SCRIPT = """#!/bin/bash
#SBATCH --ntasks=2 --comment="of the script"
#SBATCH hetjob
#SBATCH -n1
echo $0 "$@"
"""
CALLS = [
    "job.sh one 'two words' --help",
    "-J typed --time=7 job.sh",
    "--het-nothing job.sh",
    "< job.sh",
    "--chdir=/tmp job.sh",
    "-o out-%j.txt -e err.txt -i /dev/null job.sh x",
    "--wrap 'echo \"$HOME\"; sleep 1'",
    "-n1 : -n2 --mem=100 job.sh",
    "--array=1-4%2 --nice=5 --wrap true",
    "--begin=now+1hour --deadline=now+3hours --wrap true",
    "--gpus=2 --export=NONE --wrap true",
    "--constraint='a100|h100' --exclude=c4 --mail-type=END --wrap true",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_makes_the_job_that_sbatch_makes(new: Stack, name: str, call: str) -> None:
    there = f"mkdir -p {name}; cd {name}; printf %s {shlex.quote(SCRIPT)} > job.sh;"
    answers = [new.typed(f"{there} {program} --parsable --hold {call}") for program in PROGRAMS]
    (code, native, _), (our_code, ours, err) = answers
    assert code == our_code, err
    if code:
        return
    told = seen(new, [native.strip(), ours.strip()])
    theirs, mine = told[native.strip()], told[ours.strip()]
    apart = differences(mine.variables, theirs.variables)
    for record, its in zip((*mine.records, *mine.words), (*theirs.records, *theirs.words), strict=True):
        apart |= differences(record, its)
    known = {"SLURM_JOB_START_TIME", "eligible_time", "deadline", "Deadline", "OOMKillStep"}
    assert not {field: pair for field, pair in apart.items() if field not in known}


def test_a_link_named_sbatch_is_sbatch(new: Stack, name: str) -> None:
    code, out, err = new.typed(
        f"mkdir -p {name}; ln -sf $(command -v hpcjobs) {name}/sbatch; PATH=$PWD/{name}:$PATH; "
        f"sbatch --version; sbatch --hold -J {name} --wrap true"
    )
    assert (code, err) == (0, "")
    assert re.fullmatch(r"slurm 26\.05 \(hpcjobs .*\)\nSubmitted batch job \d+\n", out)
    assert len(new.slurm_jobs_named(name)) == 1


def test_the_table_of_options_is_that_of_the_running_sbatch(new: Stack) -> None:
    helps = [new.typed(f"{program} --help")[1] for program in PROGRAMS]
    native, ours = (set(re.findall(r"--([a-z][a-z0-9-]+)", text)) for text in helps)
    assert native - ours == {"power"}  # is in the text, and not among the options


def test_only_the_estimate_is_told_with_test_only(new: Stack, name: str) -> None:
    for options in ("-n4 -N2 --wrap true", "-p debug --wrap true"):
        told = [new.typed(f"{program} --test-only -J {name} {options}") for program in PROGRAMS]
        (code, out, err), (our_code, our_out, our_err) = told
        assert (our_code, our_out) == (code, out)
        pattern = r"sbatch: Job (?:\d+ )?to start at \S+ a (using \d+ processors on nodes \S+ in partition \S+)\n"
        native, ours = re.fullmatch(pattern, err), re.fullmatch(pattern, our_err)
        assert native, err
        assert ours, our_err
        assert ours[1] == native[1]
    assert new.slurm_jobs_named(name) == []
