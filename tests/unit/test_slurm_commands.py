from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcjobs.errors import JobUnknown, NotAllowed, OutcomeUnknown, Refused, SlurmUnavailable
from hpcjobs.model.history import HistoryQuery
from hpcjobs.model.order import Changes, Estimate, Order, SignalScope, Verb
from hpcjobs.model.spec import Component, JobSpec, Resources
from hpcjobs.sbatch.directives import find_directives
from hpcjobs.slurm import history
from hpcjobs.slurm import slurm_commands as commands
from hpcjobs.slurm.base import Launch
from hpcjobs.slurm.errnos import ANSWER_LOST, BUSY, ENDED, NOT_THEIRS, REFUSALS, STATE, UNKNOWN_JOB, UNSENT
from hpcjobs.slurm.errtexts import NUMBERS, number_of
from hpcjobs.slurm.outcomes import Part

from .builders import spec

ATTEMPT = "a" * 32


def shell(script: str) -> bytes:
    command = ["/bin/sh", "-s"]
    return subprocess.run(
        command, input=script.encode(errors="surrogateescape"), capture_output=True, check=True
    ).stdout


@given(st.lists(st.binary().map(lambda data: data.replace(b"\0", b"")), max_size=6))
def test_a_shell_reads_back_the_very_words_whatever_bytes_they_are_of(words):
    texts = [word.decode(errors="surrogateescape") for word in words]
    script = f"printf '%s\\0' {commands.quoted(['', *texts])}\n"
    assert shell(script).split(b"\0")[1:-1] == words


def test_every_byte_but_nul_survives_the_shell():
    words = [bytes([byte]) for byte in range(1, 256)] + [bytes(range(1, 256))]
    texts = [word.decode(errors="surrogateescape") for word in words]
    assert shell(f"printf '%s\\0' {commands.quoted(texts)}\n").split(b"\0")[:-1] == words


def test_a_nul_is_refused():
    with pytest.raises(Refused):
        commands.quoted(["a", "b\0c"])


@pytest.mark.parametrize(
    ("script", "left"),
    [
        ("#!/bin/sh\n#SBATCH --hold\necho\n#SBATCH -n2\n", "#!/bin/sh\n##SBATCH --hold\necho\n#SBATCH -n2\n"),
        ("#!/bin/sh\n#SLURM --array=0-9\n", "#!/bin/sh\n##SLURM --array=0-9\n"),
        ("#!/bin/sh\n# x\n\n#SBATCH-n2", "#!/bin/sh\n# x\n\n##SBATCH-n2"),
        ("#!/bin/sh\n ##SBATCH a\n##SBATCH b\n #SBATCH c", "#!/bin/sh\n ##SBATCH a\n##SBATCH b\n #SBATCH c"),
    ],
)
def test_directives_become_comments_on_the_same_lines(script, left):
    assert commands.without_directives(script) == left


@given(
    st.lists(
        st.sampled_from(["#SBATCH -n1", "# x", "", "  ", "echo", "##SBATCH", " #SBATCH", "\x0b", "#PBS", "#SLURM -n1"])
    )
)
def test_of_no_script_is_a_directive_left_and_every_line_keeps_its_number(lines):
    script = "\n".join(["#!/bin/sh", *lines])
    left = commands.without_directives(script)
    assert find_directives(left) == []
    assert [line.lstrip("#") for line in left.split("\n")] == [line.lstrip("#") for line in script.split("\n")]


def test_a_submission_says_its_options_its_mark_and_nothing_of_what_is_exported():
    asked = spec(name="x", export="NONE", comment="mine", hold=True, resources=Resources(ntasks=2))
    words = commands.sbatch_words(Launch(asked, ATTEMPT))
    assert words[:2] == ["--parsable", "--ignore-pbs"]
    assert f"--comment=mine hpcjobs:{ATTEMPT}" in words
    assert {"--job-name=x", "--hold", "--ntasks=2"} <= set(words)
    assert not [word for word in words if word.startswith("--export")]
    assert len([word for word in words if word.startswith("--comment")]) == 1


def test_the_shell_gives_sbatch_the_script_the_arguments_and_exactly_the_jobs_environment(tmp_path):
    fake = tmp_path / "sbatch"
    fake.write_text(
        f"#!{sys.executable} -I\nimport os, sys\nout = sys.stdout.buffer\n"
        "out.write(b''.join(os.fsencode(word) + b'\\0' for word in sys.argv[1:]))\n"
        "out.write(b'\\1' + open('/dev/stdin', 'rb').read() + b'\\1')\n"
        "out.write(b''.join(name + b'=' + value + b'\\0' for name, value in os.environb.items()))\n"
    )
    fake.chmod(0o755)
    environment = {"A": "1", "B": "x\ny, 'z' $(id)", "EMPTY": "", "-odd": "name"}
    script = "#!/bin/sh\n#SBATCH --hold\necho 'it''s' \"$HOME\" \\\nno newline at the end"
    launch = Launch(spec(script, environment=environment, args=("a b", "", "-z")), ATTEMPT)
    outer = f"PATH={tmp_path}:$PATH; export SBATCH_PARTITION=evil OTHER=1; unset SLURM_CONF\n"
    said = shell(outer + commands.submit_script(launch, 5))
    words, read, variables = said.split(b"\1")
    assert words.split(b"\0")[-5:] == [b"/dev/stdin", b"a b", b"", b"-z", b""]
    assert read.decode() == commands.without_directives(script)
    there = dict(entry.split("=", 1) for entry in variables.decode().split("\0") if entry)
    assert {name: value for name, value in there.items() if name != "LC_CTYPE"} == environment  # Python's own


def test_a_jobs_own_variable_that_sbatch_would_obey_is_found_unless_the_command_line_says_it_too():
    variables = {"SBATCH_X": "1", "SBATCH_ACCOUNT": "a", "SLURM_HINT": "x", "SLURM_UMASK": "0022", "SBATCH_WAIT": "1",
        "SBATCH_REQ_SWITCH": "2", "A": "1"}  # fmt: skip
    bare = Launch(JobSpec("#!/bin/sh\n", environment=variables), "0" * 32)
    assert commands.reserved_variables(bare) == ["SBATCH_ACCOUNT", "SLURM_HINT", "SBATCH_WAIT", "SBATCH_REQ_SWITCH"]
    resources = Resources(hint="nomultithread", switches=1)
    said = JobSpec("#!/bin/sh\n", environment=variables, account="b", resources=resources)
    assert commands.reserved_variables(Launch(said, "0" * 32)) == ["SBATCH_WAIT"]
    het = msgspec.structs.replace(said, het=(Component(),))
    assert commands.reserved_variables(Launch(het, "0" * 32)) == commands.reserved_variables(bare)


def test_the_limits_that_a_job_brings_are_not_replaced_by_those_of_the_login_node():
    brings = JobSpec("#!/bin/sh\n", environment={"SLURM_RLIMIT_STACK": "U8192"})
    assert "--propagate=NONE" in commands.sbatch_words(Launch(brings, "0" * 32))
    assert "--propagate=NONE" not in commands.sbatch_words(Launch(JobSpec("#!/bin/sh\n"), "0" * 32))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Order(Verb.CANCEL, "7_[1-3%2]"), ["scancel", "--ctld", "-v", "7_[1-3]"]),
        (Order(Verb.HOLD, "7"), ["scontrol", "hold", "7"]),
        (Order(Verb.REQUEUE, "7+1"), ["scontrol", "requeue", "7+1"]),
        (Order(Verb.REQUEUE, "7", hold=True), ["scontrol", "requeuehold", "7"]),
        (Order(Verb.RESUME, "7_4"), ["scontrol", "resume", "7_4"]),
        (
            Order(Verb.SIGNAL, "7", signal="USR1", scope=SignalScope.FULL),
            ["scancel", "--ctld", "-v", "--signal=USR1", "--full", "7"],
        ),
        (
            Order(Verb.UPDATE, "7", changes=Changes(name="a b=c", wall_s=61, begin=0, nodes=2, requeue=False)),
            [
                "scontrol",
                "update",
                "JobId=7",
                "JobName=a\x00b=c",
                "NumNodes=2-2",
                "TimeLimit=2",
                "StartTime=uts1700000000",
                "Requeue=0",
            ],
        ),
    ],
)
def test_an_order_is_one_command(order, words):
    assert commands.order_words(order, 1.7e9 + 0.5) == [word.replace("\0", " ") for word in words]


def test_accounting_is_asked_from_the_beginning_where_no_time_is_named():
    assert history.history_words(HistoryQuery())[-1] == f"--starttime=uts{history.DAWN}"
    assert history.history_words(HistoryQuery(since=1_700_000_000))[-1] == f"--endtime=uts{history.DUSK}"
    assert "--jobs=1,2" in history.history_words(HistoryQuery(numbers=(1, 2)))
    assert not [word for word in history.history_words(HistoryQuery(numbers=(1,))) if "time" in word]
    assert "--endtime=uts1700000000" in history.history_words(HistoryQuery(until=1_700_000_000, since=3))


def test_a_mark_is_found_behind_its_own_number_even_where_a_comment_looks_like_a_listing():
    listing = f"N 5 a\nN5 77 b hpcjobs:{ATTEMPT}\nN 6 hpcjobs:{'b' * 32}\nN 7 x hpcjobs:{'c' * 32} y\n"
    assert commands.find_in(listing, "N", ATTEMPT) == 5
    assert commands.find_in(listing, "N", "b" * 32) == 6
    assert commands.find_in(listing, "N", "c" * 32) is None


@pytest.mark.parametrize(
    ("said", "estimate"),
    [
        (
            "sbatch: Job 1657 to start at 2026-11-23T16:43:41 a using 1 processors on nodes c1 in partition gpu\n",
            Estimate(1795452221, "c1", "gpu", 1),
        ),
        (
            "sbatch: Job 9 to start at 1970-01-01T00:01:00 using 64 processors on nodes o[1-2] in partition debug",
            Estimate(60, "o[1-2]", "debug", 64),
        ),
        ("allocation failure: Node count specification invalid", None),
    ],
)
def test_an_estimate_is_read_as_both_versions_print_it(said, estimate):
    assert commands.read_estimate(said) == estimate


def test_what_became_of_each_part_is_read_from_what_the_commands_print():
    said = (
        "scancel: Terminating job 5\n"
        "scancel: error: Kill job error on job id 5_1: Job/step already completing or completed\n"
        "788_[1]: Job has already finished\n788_[2-3]: Access/permission denied\n344_2-4: No error\n"
        "Invalid job id specified for job 999999\nslurm_suspend error:Invalid job id specified\n"
        "7+1: Something new\n"
    )
    assert [(part.name, part.errno) for part in commands.read_parts(said)] == [
        ("5_1", 2021),
        ("788_[1]", 2084),
        ("788_[2-3]", 2002),
        ("344_2-4", 0),
        ("999999", 2017),
        ("7+1", commands.UNKNOWN_WORDS),
    ]
    assert commands.read_parts("1: No error") == [Part("1", 0, "No error")]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("sbatch: error: Batch job submission failed: Invalid partition name specified", Refused),
        ("allocation failure: Node count specification invalid", Refused),
        ("sbatch: error: Batch job submission failed: Access/permission denied", NotAllowed),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", SlurmUnavailable),
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
         SlurmUnavailable),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", OutcomeUnknown),
        ("slurm_update error: Invalid job id specified", JobUnknown),
        ("scontrol: fatal: Unable to process configuration file", SlurmUnavailable),
        ("sbatch: error: Invalid --mem specification", Refused),
        ("", Refused),
    ],
)  # fmt: skip
def test_an_error_of_a_command_is_ours(said, kind):
    assert type(commands.fault_of(said, changing=True)) is kind


def test_a_refusal_of_words_that_are_not_known_is_told_in_them():
    error = commands.fault_of("sbatch: error: This is new\nsbatch: error: and so is this\n")
    assert error.detail == "Slurm says: This is new; and so is this"


@pytest.mark.parametrize(("said", "number"), [("12\n", 12), ("12;big\n", 12)])
def test_a_job_number_is_read(said, number):
    assert commands.read_submitted(said) == number


@pytest.mark.parametrize("said", ["", "Submitted batch job 12", "12 13", "-1"])
def test_an_answer_that_is_no_number_leaves_the_outcome_open(said):
    with pytest.raises(OutcomeUnknown):
        commands.read_submitted(said)


def test_every_number_that_we_tell_apart_has_a_text():
    known = set(REFUSALS) | UNSENT | ANSWER_LOST | BUSY | UNKNOWN_JOB | NOT_THEIRS | ENDED | STATE
    reserved = {number for number in known if 6000 <= number < 6013} | {1005}
    assert known - set(NUMBERS.values()) <= reserved
    assert set(NUMBERS.values()) <= known


def test_a_text_is_known_with_what_stands_around_it():
    for text, number in NUMBERS.items():
        assert number_of(f" {text}\n") == number
    assert number_of("Something new") == 0


def test_an_accounting_that_is_away_is_no_refusal():
    said = "sacct: error: Sending PersistInit msg: Unspecified error\n"
    said += "sacct: error: Problem talking to the database: Connection refused\n"
    assert commands.fault_of(said).transient
