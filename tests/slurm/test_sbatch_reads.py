"""sbatch is the judge of how a call of it is read: what it prints with -v --test-only, and what we made of the same."""

from __future__ import annotations

import math
import os
import re
import shlex
import uuid
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hpcjobs.sbatch.command import Command, read_command_line, read_line
from hpcjobs.sbatch.getopt import Misspelt
from hpcjobs.sbatch.options import ALIASES, BY_LONG, COMPONENT_FIELDS, SBATCH, Fields
from hpcjobs.sbatch.said import Said, hear
from hpcjobs.sbatch.values import parse_mail_type, parse_profile, parse_signal
from tests.slurm.conftest import Stack

MIB = 2**20


class Call(NamedTuple):
    """A call of sbatch."""

    line: tuple[str, ...] = ()
    script: str = ""
    environment: tuple[tuple[str, str], ...] = ()


class Heard(NamedTuple):
    """What sbatch made of it: printed values by option for each component, its words, its exit code."""

    components: list[dict[str, str]]
    words: str
    code: int


def asked_of_sbatch(stack: Stack, calls: list[Call]) -> list[Heard]:
    mark = uuid.uuid4().hex
    shell = ["cd /tmp"]
    for number, call in enumerate(calls):
        path = f"/tmp/{mark}-{number}.sh"
        variables = [f"{name}={value}" for name, value in call.environment]
        words = shlex.join(["env", *variables, "sbatch", "-v", "--test-only", *call.line, path])
        shell.append(f"printf %s {shlex.quote('#!/bin/sh' + chr(10) + call.script)} > {path}; {words} 2>&1")
        shell.append(f'echo "@{mark} $?"; rm {path}')
    told = stack.as_user("alice", "\n".join(shell))
    return [heard(*part) for part in re.findall(rf"(.*?)@{mark} (\d+)\n", told, re.DOTALL)]


def heard(words: str, code: str) -> Heard:
    components: list[dict[str, str]] = []
    for block in re.findall(r"defined options\nsbatch: -+ -+\n(.*?)sbatch: -+ -+\n", words, re.DOTALL):
        pairs = (re.fullmatch(r"sbatch: (\S+|\(null\)) *: ?(.*)", line) for line in block.splitlines())
        components.append({pair[1]: pair[2] for pair in pairs if pair})
    return Heard(components, words, int(code))


def ours(call: Call) -> Command:
    line = read_line(("-v", "--test-only", *call.line, "x.sh"), SBATCH)
    return read_command_line(line, "#!/bin/sh\n" + call.script, dict(call.environment), SBATCH)


def minutes(seconds: int) -> int:
    return math.ceil(seconds / 60)


def mebibytes(amount: int) -> int:
    return math.ceil(amount / MIB)


ALIKE: dict[str, Any] = {
    "begin": lambda _: "some time",
    "stdin": os.path.basename,  # which sbatch makes absolute
    "stdout": os.path.basename,
    "stderr": os.path.basename,
    "deadline": lambda _: "some time",
    "delay_boot_s": lambda seconds: seconds,
    "mail_type": parse_mail_type,
    "profile": parse_profile,
    "priority": lambda said: "TOP" if said in ("TOP", -3) else said,
    "signal": lambda said: parse_signal(said).number,  # sbatch does not print the time, and forgets no B: said before
    "resources.wall_s": minutes,
    "resources.time_min_s": minutes,
    "resources.switches_wait_s": minutes,
    "resources.mem_per_node_bytes": mebibytes,
    "resources.mem_per_cpu_bytes": mebibytes,
    "resources.mem_per_gpu_bytes": mebibytes,
    "resources.tmp_bytes": mebibytes,
    "resources.gres": lambda said: said.replace("gres/", ""),
}
PRINTED: dict[tuple[str, str], str | None] = {
    ("requeue", "requeue"): None,
    ("no-requeue", "no-requeue"): None,
    ("exclusive", "exclusive"): None,
    ("priority", "-3"): "TOP",
    ("no-kill", "unset"): "off",
}
OF_THE_OTHER = {("requeue", "no-requeue"), ("no-requeue", "requeue"), ("exclusive", "oversubscribe"),
    ("oversubscribe", "unset")}  # fmt: skip
BESIDE = {"verbose", "test-only", "ignore-pbs", "wait", "clusters", "(null)"}


def fields_of(printed: dict[str, str]) -> Fields:
    said = Said.nothing()
    for name, value in printed.items():
        long = ALIASES.get(name, name)
        if long in BESIDE or (long, value) in OF_THE_OTHER:
            continue
        value = value.removesuffix("?")  # how sbatch prints 0 bytes
        argument = None if value == "set" and BY_LONG[long].takes != "required" else value
        hear(said, long, PRINTED.get((long, value), argument))
    if printed.get("exclusive", "oversubscribe") != "oversubscribe":  # one of the two holds, and this is printed right
        said.fields.pop("resources.oversubscribe", None)
    if "gpu-bind" in printed and "tres-bind" in printed:  # the last of the two is in tres-bind
        of_gpu = printed["tres-bind"] == f"gres/gpu:{printed['gpu-bind']}"
        del said.fields["resources.tres_bind" if of_gpu else "resources.gpu_bind"]
    return said.fields


def plain(fields: Fields) -> Fields:
    said = {
        name: ALIKE.get(name, lambda said: said.lower() if isinstance(said, str) else said)(value)
        for name, value in fields.items()
        if value is not None
    }
    said = {name: value for name, value in said.items() if value != ""}
    for name in {"resources.nodes", "resources.nodes_max"} & set(said):  # sbatch sees to it here, the service later
        said[name] = min(said[name], said.get("resources.ntasks", math.inf))
    if said.get("resources.nodes") == said.get("resources.nodes_max"):
        said.pop("resources.nodes_max", None)
    return said


def difference(call: Call, theirs: Heard) -> str:
    """What we read otherwise than sbatch; ``""``: nothing."""
    try:
        mine = ours(call)
    except Misspelt as error:
        if "is the whole job's" in str(error):  # sbatch gives each component its own; a spec has one for all
            return ""
        unheard = [words for words in error.heard if f"sbatch: {words}\n" not in theirs.words]
        if theirs.code != error.exit_code or unheard:
            return f"{call}: we say {error.heard}, exit {error.exit_code}; it exits {theirs.code}: {theirs.words}"
        return ""
    if not theirs.components:
        return f"{call}: we read {mine.components}; it exits {theirs.code}: {theirs.words}"
    told = [plain(fields_of(printed)) for printed in theirs.components]
    for index, (its, our) in enumerate(zip(told, mine.components, strict=False)):
        if index:
            its = {name: value for name, value in its.items() if name.partition(".")[0] in COMPONENT_FIELDS}
        if plain(our) != its:
            return f"{call}: component {index}: we read {plain(our)}, it {its}"
    refused = theirs.code and len(told) < len(mine.components)  # by what a service judges: the sizes of a request
    alike = refused or len(told) == len(mine.components)
    return "" if alike else f"{call}: it finds {len(told)} components: {theirs.words}"


def read_alike(stack: Stack, calls: list[Call]) -> None:
    heard_of_all = asked_of_sbatch(stack, calls)
    assert len(calls) == len(heard_of_all)
    found = [told for call, theirs in zip(calls, heard_of_all, strict=True) if (told := difference(call, theirs))]
    assert not found, "\n".join(found)


WORDS: dict[str, list[str]] = {
    "account": ["vision"],
    "acctg-freq": ["task=5"],
    "array": ["0-3", "1,5-9%2"],
    "begin": ["now+1hour", "2030-12-24"],
    "chdir": ["/scratch"],
    "comment": ["x", "two words", "a#b"],
    "constraint": ["a100"],
    "contiguous": [""],
    "cpu-freq": ["low-high:performance", "high"],
    "cpus-per-task": ["2", "x", "0"],
    "deadline": ["2030-12-24"],
    "delay-boot": ["1:30"],
    "dependency": ["singleton"],
    "distribution": ["cyclic:block,pack", "block"],
    "exclude": ["c2"],
    "exclusive": ["", "user"],
    "export": ["ALL", "NONE", "ALL,A=1"],
    "extra": ["foo"],
    "gpus": ["2", "a100:1"],
    "gpus-per-node": ["1"],
    "gpu-bind": ["single:2"],
    "tres-bind": ["gres/gpu:closest"],
    "gres-flags": ["disable-binding"],
    "hint": ["nomultithread", "compute_bound"],
    "hold": [""],
    "job-name": ["x", "y"],
    "kill-on-invalid-dep": ["yes"],
    "licenses": ["m:2"],
    "mail-type": ["END,FAIL", "NONE", "nope"],
    "mail-user": ["a@b"],
    "mem": ["1G", "5", "0", "1X"],
    "mem-bind": ["local"],
    "mem-per-cpu": ["100", "1G"],
    "mincpus": ["2"],
    "nice": ["", "5"],
    "no-kill": ["", "off"],
    "no-requeue": [""],
    "nodelist": ["c1"],
    "nodes": ["2", "1-3", "0x"],
    "ntasks": ["4", "1", "-1"],
    "ntasks-per-core": ["1"],
    "ntasks-per-node": ["2"],
    "open-mode": ["append", "truncate"],
    "output": ["x-%j.txt"],
    "overcommit": [""],
    "oversubscribe": [""],
    "partition": ["gpu", "gpu,debug"],
    "prefer": ["a100"],
    "profile": ["task", "all"],
    "propagate": ["", "STACK"],
    "qos": ["normal"],
    "reboot": [""],
    "requeue": [""],
    "reservation": ["none"],
    "signal": ["USR1@30", "B:TERM"],
    "sockets-per-node": ["1"],
    "spread-job": [""],
    "switches": ["1", "2@5"],
    "threads-per-core": ["1"],
    "time": ["10", "1-0", "soon"],
    "time-min": ["5"],
    "tmp": ["1G"],
    "use-min-nodes": [""],
    "wait-all-nodes": ["1"],
    "wckey": ["none"],
}
VALUES = {
    "SBATCH_ACCOUNT": ["vision"],
    "SBATCH_CONSOLIDATE_SEGMENTS": ["no"],
    "SBATCH_CONSTRAINT": ["h100"],
    "SBATCH_EXCLUSIVE": ["", "user"],
    "SBATCH_EXPORT": ["NONE"],
    "SBATCH_HINT": ["nomultithread"],
    "SBATCH_JOB_NAME": ["variable"],
    "SBATCH_MEM_PER_CPU": ["7"],
    "SBATCH_MEM_PER_NODE": ["3G"],
    "SBATCH_NO_KILL": ["", "off"],
    "SBATCH_NO_REQUEUE": ["1", "0", "no"],
    "SBATCH_OVERCOMMIT": ["", "yes", "no", "2"],
    "SBATCH_PARTITION": ["debug"],
    "SBATCH_REQUEUE": [""],
    "SBATCH_SPREAD_JOB": ["0", "1"],
    "SBATCH_THREADS_PER_CORE": ["1"],
    "SBATCH_TIMELIMIT": ["7", "bad"],
    "SBATCH_USE_MIN_NODES": ["-1", "x"],
    "SLURM_HINT": ["compute_bound"],
}


EMPTY = ["array", "comment", "dependency", "export", "mail-user", "output", "reservation"]
"""Options that scripts give an empty argument, from a variable of theirs that is not set."""
for _long in EMPTY:
    WORDS[_long] = [*WORDS.get(_long, ()), ""]


def word(long: str, argument: str) -> st.SearchStrategy[tuple[str, ...]]:
    option = BY_LONG[long]
    short = option.short
    if not argument and option.takes == "required":
        return st.sampled_from([(f"--{long}=",), (f"--{long}", ""), *([(f"-{short}", "")] if short else [])])
    if not argument:
        return st.sampled_from([(f"--{long}",), *([(f"-{short}",)] if short else [])])
    forms = [(f"--{long}={argument}",), *([(f"-{short}{argument}",)] if short else [])]
    if option.takes == "required":
        forms += [(f"--{long}", argument), *([(f"-{short}", argument)] if short else [])]
    return st.sampled_from(forms)


OPTION = st.sampled_from(sorted(WORDS)).flatmap(
    lambda long: st.sampled_from(WORDS[long]).flatmap(lambda argument: word(long, argument))
)
OPTIONS_OF_LINE = st.lists(OPTION, max_size=5).map(lambda options: sum(options, ()))
LINE = st.lists(OPTIONS_OF_LINE, min_size=1, max_size=2).map(
    lambda parts: tuple(word for index, part in enumerate(parts) for word in ((":",) if index else ()) + part)
)
DIRECTIVE = OPTION.map(lambda words: "#SBATCH " + shlex.join(words))
OTHER = st.sampled_from(["# comment", "", "##SBATCH -J no", " #SBATCH -J no", "#SBATCH hetjob", "#SBATCH -n1 # -n2"])
PBS = st.sampled_from(["#PBS -N pbs", "#PBS -l nodes=2:ppn=4,walltime=01:00:00", "#PBS -l mem=4gb", "#PBS -q debug",
    "#PBS -m abe", "#PBS -j oe", "#PBS -l select=2:ncpus=8:mpiprocs=4", "#PBS -p 5", "#PBS -v A=1,B",
    "#PBS -l naccelerators=2,proc=a100", "#PBS -t 1-4", "#BSUB -q debug", "#BSUB -n 2,4", "#BSUB -M 5000 -W 30",
    "#PBS -Y", "#PBS -o x stray", "#BSUB -n 3,"])  # fmt: skip
LINES = st.lists(st.one_of(DIRECTIVE, DIRECTIVE, OTHER, PBS), max_size=5).map(
    lambda lines: "".join(f"{one}\n" for one in lines)
)
VARIABLES = st.sets(st.sampled_from(sorted(VALUES)), max_size=3).flatmap(
    lambda names: st.tuples(*(st.tuples(st.just(name), st.sampled_from(VALUES[name])) for name in sorted(names)))
)
CALLS = st.builds(Call, LINE, LINES, VARIABLES)


@settings(
    max_examples=int(os.environ.get("HPCJOBS_READS", "6")), deadline=None, derandomize=True, database=None,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(calls=st.lists(CALLS, min_size=40, max_size=40))
def test_any_call_is_read_as_sbatch_reads_it(new: Stack, calls: list[Call]) -> None:
    read_alike(new, calls)
