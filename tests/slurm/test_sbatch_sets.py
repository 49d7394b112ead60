"""sbatch is the judge: whatever options, script and variables, both programs make the same job of a call."""

from __future__ import annotations

import os
import re
import shlex
import uuid
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.slurm.conftest import Stack
from tests.slurm.test_same_as_sbatch import Seen, differences, seen
from tests.slurm.test_sbatch import PROGRAMS
from tests.slurm.test_sbatch_reads import CALLS, Call

TIMES = {"SLURM_JOB_START_TIME", "eligible_time", "deadline", "Deadline"}
"""What moves between two submissions, where a time counts from now."""
OF_THE_WAY = {"OOMKillStep", "SLURM_DISTRIBUTION"}
"""What depends on the way to Slurm: pyslurm does not say 0 where nothing was asked for, which means the same;
slurmrestd tells the layout of the first component of a heterogeneous job once more, under its plain name."""


class Answer(NamedTuple):
    """How a program answered a call."""

    code: int
    out: str
    err: str


def typed(stack: Stack, calls: list[Call]) -> list[list[Answer]]:
    """Each call through both programs, in one shell."""
    mark = uuid.uuid4().hex
    shell = [f"mkdir /tmp/{mark}; cd /tmp/{mark}"]
    for call in calls:
        shell.append(f"printf %s {shlex.quote('#!/bin/sh' + chr(10) + call.script)} > job.sh")
        variables = shlex.join([f"{name}={value}" for name, value in call.environment])
        for program in PROGRAMS:
            words = f"{program} --hold --parsable {shlex.join(call.line)} job.sh"
            shell.append(f'env {variables} {words} >out 2>err; echo "@{mark} $?"; cat out; echo "@-"; cat err')
    code, told, err = stack.typed("\n".join([*shell, f"rm -r /tmp/{mark}"]))
    assert code == 0, err
    parts = re.findall(rf"@{mark} (\d+)\n(.*?)@-\n(.*?)(?=@{mark}|\Z)", told, re.DOTALL)
    answers = [Answer(int(code), out.strip(), err) for code, out, err in parts]
    return [answers[at : at + 2] for at in range(0, len(answers), 2)]


def difference(call: Call, native: Answer, ours: Answer, jobs: dict[str, Seen]) -> str:
    """What became otherwise; ``""``: nothing."""
    if "is the whole job's" in ours.err:  # sbatch gives each component its own; a spec has one for all
        return ""
    if native.code == ours.code and "a heterogeneous job cannot be an array" in ours.err:  # it may complain of more
        return ""
    if native.code != ours.code:
        return f"{call}: it exits {native.code}: {native.err}; we {ours.code}: {ours.err}"
    if native.code:
        last = native.err.splitlines()[-1]
        told = last in ours.err or last.startswith("Try ")
        return "" if told else f"{call}: it says {native.err}; we {ours.err}"
    theirs, mine = jobs[native.out], jobs[ours.out]
    if len(mine.records) != len(theirs.records):
        return f"{call}: it makes {len(theirs.records)} components, we {len(mine.records)}"
    apart = differences(mine.variables, theirs.variables)
    for record, its in zip((*mine.records, *mine.words), (*theirs.records, *theirs.words), strict=True):
        apart |= differences(record, its)
    told = {field: pair for field, pair in apart.items() if field not in TIMES | OF_THE_WAY}
    return f"{call}: ours, sbatch's: {told}" if told else ""


HUNT = os.environ.get("HPCJOBS_SETS")
"""How many times 40 calls are made, other ones each time; where it is not set, twice and always the same."""


@settings(
    max_examples=int(HUNT or 2), derandomize=HUNT is None, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(calls=st.lists(CALLS, min_size=40, max_size=40))
def test_any_call_makes_the_job_that_sbatch_makes(new: Stack, calls: list[Call]) -> None:
    answers = typed(new, calls)
    assert len(answers) == len(calls)
    made = [answer.out for pair in answers for answer in pair if answer.code == 0]
    jobs = seen(new, made)
    new.run("slurmctld", f"scancel {' '.join(made)}" if made else "true")
    found = [told for call, pair in zip(calls, answers, strict=True) if (told := difference(call, *pair, jobs))]
    assert not found, "\n".join(found)
    assert made, "nothing was submitted"
