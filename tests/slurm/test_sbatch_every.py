"""sbatch is the judge of every option, in each of its spellings, and of every input variable."""

from __future__ import annotations

import pytest

from hpcjobs.sbatch.options import ALIASES, BY_LONG, OPTIONS, SBATCH, Option
from hpcjobs.sbatch.variables import GONE, SWITCH_COUNT, SWITCH_WAIT, VARIABLES
from tests.slurm.conftest import Stack
from tests.slurm.test_sbatch import PROGRAMS
from tests.slurm.test_sbatch_reads import Call, read_alike
from tests.unit.test_options import ALONE, ARGUMENTS

BESIDE = {
    "gpu-bind": ("--gpus=2",), "gpu-freq": ("--gpus=2",), "cpus-per-gpu": ("--gpus=2",), "mem-per-gpu": ("--gpus=2",),
    "gpus-per-socket": ("--sockets-per-node=2",), "gpus-per-task": ("--ntasks=2",), "ntasks-per-gpu": ("--gpus=2",),
    "tres-per-task": ("--ntasks=2",), "tres-bind": ("--gpus=2",), "resv-ports": ("--stepmgr",),
    "time-min": ("--time=2:00:00",),
}  # fmt: skip
"""What must be said too, that sbatch does not refuse the option."""


UNPRINTED = {"SBATCH_REQ_SWITCH", "SBATCH_WAIT4SWITCH"}
"""Variables of which sbatch -v does not tell."""


def shortest(long: str) -> str:
    """The shortest beginning of an option that no other has."""
    names = (*SBATCH.longs, *SBATCH.aliases)
    return next(
        long[:end]
        for end in range(1, len(long) + 1)
        if end == len(long) or [n for n in names if n.startswith(long[:end])] == [long]
    )


def spellings(option: Option) -> list[tuple[str, ...]]:
    argument, _ = ARGUMENTS[option.long]
    if option.takes == "none":
        words: list[tuple[str, ...]] = [(f"--{option.long}",), (f"--{shortest(option.long)}",)]
        return words + ([(f"-{option.short}",)] if option.short else [])
    words = [(f"--{option.long}={argument}",), (f"--{shortest(option.long)}={argument}",)]
    if option.takes == "required":
        words.append((f"--{option.long}", str(argument)))
    if option.short:
        words.append((f"-{option.short}{argument}",))
        words += [(f"-{option.short}", str(argument))] if option.takes == "required" else []
    words += [(f"--{name}={argument}",) for name, long in ALIASES.items() if long == option.long]
    return words + ([(f"--{option.long}",)] if option.long in ALONE else [])


def quoted(word: str) -> str:
    return f"'{word}'"


def calls_of(option: Option) -> list[Call]:
    beside = BESIDE.get(option.long, ())
    calls = [Call((*beside, *words)) for words in spellings(option)]
    return calls + [Call(beside, f"#SBATCH {' '.join(map(quoted, words))}\n") for words in spellings(option)]


@pytest.mark.parametrize("first", range(0, len(OPTIONS), 12))
def test_every_option_is_read_as_sbatch_reads_it_however_it_is_spelled(new: Stack, first: int) -> None:
    read_alike(new, [call for option in OPTIONS[first : first + 12] for call in calls_of(option)])


def said_by(name: str, long: str) -> list[Call]:
    if long in (SWITCH_COUNT, SWITCH_WAIT):
        values = ["2", "x"] if long == SWITCH_COUNT else ["5", "soon"]
    elif long == GONE:
        values = ["1"]
    elif BY_LONG[long].takes == "none":
        values = ["", "yes", "1", "0", "no"]
    else:
        argument = ARGUMENTS[long][0] if long in ARGUMENTS else "slurm2605"
        values = [str(argument)] + ([""] if BY_LONG[long].takes == "optional" else [])
    beside = BESIDE.get(long, ())
    return [Call(beside, environment=((name, value),)) for value in values]


def test_every_variable_says_what_it_says_to_sbatch(new: Stack) -> None:
    calls = [call for name, long in VARIABLES.items() for call in said_by(name, long)]
    assert len({name for call in calls for name, _ in call.environment}) == len(VARIABLES)
    read_alike(new, [call for call in calls if call.environment[0][0] not in UNPRINTED])


@pytest.mark.parametrize(
    "variables",
    ["REQ_SWITCH=2", "REQ_SWITCH=2 WAIT4SWITCH=2", "REQ_SWITCH=2 WAIT4SWITCH=soon", "WAIT4SWITCH=5", "REQ_SWITCH=x"],
)
def test_the_variables_of_switches_make_the_job_that_they_make_with_sbatch(
    new: Stack, name: str, variables: str
) -> None:
    told = []
    for program in PROGRAMS:
        words = " ".join(f"SBATCH_{one}" for one in variables.split())
        code, out, _ = new.typed(
            f"job=$(env {words} {program} --hold --parsable -J {name} --wrap true) || exit $?; "
            "scontrol show job $job | grep -o 'Switches=[^ ]*'; scancel $job"
        )
        told.append((code, out))
    assert told[0] == told[1]
