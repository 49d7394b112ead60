"""Calls of sbatch against the real application on a loopback port."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from hpcjobs.cli.sbatch.call import call
from hpcjobs.identity import make_token
from hpcjobs.model.order import Estimate
from hpcjobs.slurm.base import Launch
from tests.api.bench import UnrulySlurm
from tests.api.test_command_line import serve, served, slurm  # noqa: F401
from tests.unit.builders import until

SCRIPT = "#!/bin/sh\n#SBATCH -n2 --time=5\nsleep 9999\n"


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def both_served(empty_database, tmp_path_factory, spawner, folder):
    """A service of two clusters."""
    yield from serve(tmp_path_factory.mktemp("both"), empty_database, folder, ("big", "small"))


@pytest.fixture
def sbatch(served, monkeypatch, tmp_path, capsys) -> Callable[..., Answer]:  # noqa: F811
    service, url = served
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.sh").write_text(SCRIPT)
    given = {"XDG_CONFIG_HOME": str(tmp_path), "HPCJOBS_URL": url, "PATH": os.defpath}
    given["HPCJOBS_TOKEN"] = make_token(service.token_key, "nobody", time.time(), 600)

    def run(*words: str, stdin: str = "", **variables: str) -> Answer:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = call(words, given | variables)
        return Answer(code, *capsys.readouterr())

    run.given = given
    return run


def spec_of(slurm: UnrulySlurm, answer: Answer):  # noqa: F811
    assert answer.code == 0, answer.err
    return slurm._jobs[int(answer.out.split()[-1].partition(";")[0])].spec


def test_a_script_is_found_here_and_named_after_its_file(sbatch, slurm, tmp_path):  # noqa: F811
    spec = spec_of(slurm, sbatch("-J", "typed", "job.sh", "one", "two words"))
    assert (spec.name, spec.script_name, spec.args) == ("typed", "job.sh", ("one", "two words"))
    assert (spec.resources.ntasks, spec.resources.wall_s, spec.workdir) == (2, 300, str(tmp_path))
    assert spec_of(slurm, sbatch("job.sh")).name == "job.sh"
    assert spec_of(slurm, sbatch(stdin=SCRIPT)).name == "sbatch"
    wrapped = spec_of(slurm, sbatch("--wrap", "hostname", "-D", "sub"))
    assert (wrapped.name, wrapped.workdir) == ("wrap", f"{tmp_path}/sub")
    assert wrapped.script == "#!/bin/sh\n# This script was created by sbatch --wrap.\n\nhostname\n"


def test_a_script_may_be_anywhere_in_the_path(sbatch, slurm, tmp_path):  # noqa: F811
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "far.sh").write_text(SCRIPT)
    assert spec_of(slurm, sbatch("far.sh", PATH=f"/nowhere:{tmp_path}/bin")).name == "far.sh"
    answer = sbatch("far.sh")
    assert (answer.code, answer.err) == (1, "sbatch: error: Unable to open file far.sh\n")


def test_the_job_gets_what_export_says(sbatch, slurm):  # noqa: F811
    mine = {"MINE": "1", "SLURM_FOO": "2", "SLURM_STEPMGR": "x", "SLURM_JWT": "secret"}
    every = spec_of(slurm, sbatch("--wrap", "x", **mine)).environment
    assert (every["MINE"], every["SLURM_FOO"]) == ("1", "2")
    assert {"HPCJOBS_TOKEN", "SLURM_JWT", "SLURM_STEPMGR", "SLURM_GET_USER_ENV"}.isdisjoint(every)
    none = spec_of(slurm, sbatch("--wrap", "x", "--export=NONE", **mine)).environment
    assert "MINE" not in none
    assert (none["SLURM_FOO"], none["SLURM_EXPORT_ENV"], none["SLURM_GET_USER_ENV"]) == ("2", "NONE", "1")
    some = spec_of(slurm, sbatch("--wrap", "x", "--export=MINE,B='a,b',GONE", OTHER="3", **mine)).environment
    assert (some["MINE"], some["B"]) == ("1", "'a,b'")
    assert {"OTHER", "GONE"}.isdisjoint(some)
    more = spec_of(slurm, sbatch("--wrap", "x", "--export=B=1,ALL", **mine)).environment
    assert (more["MINE"], more["B"], "HPCJOBS_TOKEN" in more) == ("1", "1", False)
    named = spec_of(slurm, sbatch("--wrap", "x", "--export=ALL,HPCJOBS_TOKEN", **mine)).environment
    assert (named["MINE"], "HPCJOBS_TOKEN" in named) == ("1", True)
    assert "MINE" not in spec_of(slurm, sbatch("--wrap", "x", "--export=NIL", **mine)).environment


def test_variables_may_come_from_a_file(sbatch, slurm, tmp_path):  # noqa: F811
    (tmp_path / "variables").write_bytes(b"ONE=1\0TWO=two\nlines\0")
    found = spec_of(slurm, sbatch("--wrap", "x", "--export-file=variables", MINE="1")).environment
    assert (found["ONE"], found["TWO"], "MINE" in found) == ("1", "two\nlines", False)
    answer = sbatch("--wrap", "x", "--export-file=missing")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("sbatch: error: Could not open user environment file missing\n")


def test_what_is_no_text_is_left_out_and_told(sbatch, slurm):  # noqa: F811
    answer = sbatch("--wrap", "x", BYTES="\udcff")
    assert "BYTES" not in spec_of(slurm, answer).environment
    assert answer.err == "sbatch: warning: BYTES not handed on: not UTF-8\n"


def test_names_of_nodes_and_lines_of_burst_buffers_may_come_from_files(sbatch, slurm, tmp_path):  # noqa: F811
    (tmp_path / "nodes").write_text("n1 # first\n\nn2\n")
    (tmp_path / "buffer").write_text("#BB one\n")
    spec = spec_of(slurm, sbatch("-F", "nodes", "--bbf=buffer", "job.sh"))
    assert spec.resources.nodelist == "n1,n2"
    assert spec.script == SCRIPT.replace("#!/bin/sh\n", "#!/bin/sh\n#BB one\n")
    spec = spec_of(slurm, sbatch("-w", "./nodes", "--wrap", "x"))
    assert spec.resources.nodelist == "n1,n2"
    spec = spec_of(slurm, sbatch("--wrap", "x", SLURM_HOSTFILE="nodes"))
    assert (spec.resources.nodelist, spec.resources.distribution) == ("n1,n2", "arbitrary")
    assert sbatch("-F", "missing", "job.sh").err.startswith("sbatch: error: Invalid --nodefile node file\n")
    assert sbatch("--bbf=missing", "job.sh").err == "sbatch: error: Invalid --bbf specification\n"


def test_options_of_plugins_travel_as_spank_says(sbatch, slurm, tmp_path):  # noqa: F811
    (tmp_path / "hpcjobs").mkdir()
    (tmp_path / "hpcjobs" / "config.toml").write_text('[spank.site-image]\nplugin = "shifter"\n')
    found = spec_of(slurm, sbatch("--site-image=a:1", "--wrap", "x")).environment
    assert found["_SLURM_SPANK_OPTION_shifter_site_image"] == "a:1"
    assert found["SLURM_SPANK__SLURM_SPANK_OPTION_shifter_site_image"] == "a:1"
    assert sbatch("--other-image=a", "--wrap", "x").code == 255


def test_a_machine_away_from_the_cluster_says_where_its_jobs_run(sbatch, slurm, tmp_path):  # noqa: F811
    (tmp_path / "hpcjobs").mkdir()
    config = tmp_path / "hpcjobs" / "config.toml"
    config.write_text('[profiles.away]\nworkdir = "/home/nobody"\nexport = "NONE"\ncluster = "big"\n')
    spec = spec_of(slurm, sbatch("--wrap", "x", HPCJOBS_PROFILE="away", MINE="1"))
    assert (spec.workdir, spec.environment["SLURM_SUBMIT_DIR"]) == ("/home/nobody", "/home/nobody")
    assert "MINE" not in spec.environment
    answer = sbatch("--wrap", "x", HPCJOBS_PROFILE="gone")
    assert (answer.code, "there is no profile 'gone'; there are away" in answer.err) == (1, True)


def test_quiet_parsable_and_cluster_change_what_is_printed(sbatch):
    assert sbatch("-Q", "job.sh").out == ""
    assert sbatch("--parsable", "job.sh").out.strip().isdigit()
    assert sbatch("--parsable", "-M", "big", "job.sh").out.endswith(";big\n")
    assert sbatch("-M", "big", "job.sh").out.endswith(" on cluster big\n")


def test_a_refusal_is_told_in_slurms_words_after_our_own(sbatch):
    answer = sbatch("-p", "nope", "job.sh")
    lines = answer.err.splitlines()
    assert (answer.code, answer.out) == (1, "")
    assert "sbatch: error: Batch job submission failed: Invalid partition name specified" in lines
    assert lines[-1].startswith("sbatch: note: Job ")
    assert sbatch("-p", "nope", "job.sh", SLURM_EXIT_ERROR="7").code == 7
    assert sbatch("--nope", "job.sh", SLURM_EXIT_ERROR="7").code == 255
    assert "SLURM_EXIT_ERROR has zero value" in sbatch("job.sh", SLURM_EXIT_ERROR="0").err


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("--uid=0", "job.sh"), "error: --uid only permitted by root user", 255),
        (("--external", "job.sh"), "error: --external is not possible", 1),
        (("-Qv", "job.sh"), "error: don't specify both --verbose (-v) and --quiet (-Q)", 1),
        (("--time=soon", "job.sh"), "error: Invalid --time specification", 255),
    ],
)
def test_what_cannot_be_obeyed_is_refused_before_anything_is_sent(sbatch, slurm, words, told, code):  # noqa: F811
    before = slurm.calls
    answer = sbatch(*words)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith(f"sbatch: {told}")
    assert slurm.calls == before


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (b"", "Batch script is empty!"),
        (b" \n", "Batch script contains only whitespace!"),
        (b"echo\n", "This does not look like a batch script."),
        (b"#!/bin/sh\n\0", "The Slurm controller does not allow scripts that"),
        (b"#!/bin/sh\r\n", "Batch script contains DOS line breaks"),
        (b"#!/bin/sh\n\xff", "Batch script has a byte that is not UTF-8, at 10"),
        (b"#!/bin/sh\n" + b"#" * 2**22, "Script file"),
    ],
)
def test_what_is_not_a_script_is_not_sent(sbatch, tmp_path, script, told):
    (tmp_path / "bad").write_bytes(script)
    answer = sbatch("./bad")
    assert (answer.code, answer.out) == (1, "")
    assert told in answer.err


def test_a_lost_answer_makes_no_second_job(sbatch, slurm, monkeypatch):  # noqa: F811
    from hpcjobs.cli.sbatch import call as module

    exchange = module.exchange

    def lose(*given: object) -> object:
        exchange(*given)
        raise ConnectionResetError

    monkeypatch.setattr(module, "exchange", lose)
    before = len(slurm._jobs)
    assert spec_of(slurm, sbatch("job.sh")).name == "job.sh"
    assert len(slurm._jobs) == before + 1


def test_while_slurm_is_away_the_call_waits_for_its_number(sbatch, slurm):  # noqa: F811
    slurm.down = True
    waker = threading.Timer(1.0, lambda: setattr(slurm, "down", False))
    waker.start()
    try:
        answer = sbatch("job.sh")
    finally:
        slurm.down = False
        waker.join()
    assert answer.code == 0
    assert answer.out.startswith("Submitted batch job ")
    assert "Slurm does not answer. The job is kept as " in answer.err


def test_wait_exits_as_the_job_does(sbatch, slurm, served):  # noqa: F811
    ended: list[int] = []

    def end() -> None:
        until(lambda: len(slurm._jobs) > before)
        number = max(slurm._jobs)
        until(lambda: slurm._jobs[number].record.raw_state == "RUNNING")
        slurm.end(number, exit_code=5)
        ended.append(number)

    before = len(slurm._jobs)
    ending = threading.Thread(target=end)
    ending.start()
    answer = sbatch("-W", "job.sh")
    ending.join()
    assert answer.code == 5
    assert answer.out == f"Submitted batch job {ended[0]}\n"


def test_test_only_submits_nothing(sbatch, slurm):  # noqa: F811
    before = len(slurm._jobs)
    answer = sbatch("--test-only", "job.sh")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.startswith("sbatch: ")
    bad = sbatch("--test-only", "--mem=1", "-p", "nope", "job.sh")
    assert bad.code == 1
    assert "allocation failure: " in bad.err
    assert len(slurm._jobs) == before


def test_help_usage_and_version_ask_nobody(sbatch):
    for words in (["--help"], ["--usage"], ["--version"], ["-V"]):
        assert sbatch(*words, HPCJOBS_URL="http://127.0.0.1:1").code == 0
    text = sbatch("--help").out
    assert "  -N, --nodes=value" in text
    assert "--tasks-per-node is --ntasks-per-node" in text


def test_a_bad_address_or_configuration_is_told(sbatch, tmp_path):
    answer = sbatch("job.sh", HPCJOBS_URL="nowhere")
    assert (answer.code, "is not the address of a service" in answer.err) == (1, True)
    (tmp_path / "hpcjobs").mkdir()
    for text, told in {
        "url = 3": "url must be text",
        "colour = 'red'": "no setting is called colour",
        "spank = 3": "spank is not a table",
        "[spank.x]\nplugin='a'\ntakes='some'": "takes is one of",
        "[spank.x]\ncolour='a'": "unexpected keyword argument",
        "nonsense": "config.toml",
    }.items():
        (tmp_path / "hpcjobs" / "config.toml").write_text(text)
        answer = sbatch("job.sh")
        assert (answer.code, answer.out) == (1, "")
        assert told in answer.err, answer.err


def test_times_of_day_are_those_of_this_machine(sbatch, slurm):  # noqa: F811
    spec = spec_of(slurm, sbatch("--begin=now+1hour", "--wrap", "x"))
    assert abs(int(spec.begin.removeprefix("uts")) - time.time() - 3600) < 60


def test_the_limits_of_the_calling_shell_go_with_the_job_as_propagate_says(sbatch, slurm, tmp_path):  # noqa: F811
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limits(*words: str, **variables: str) -> dict[str, str]:
        found = spec_of(slurm, sbatch("--wrap", "x", *words, **variables)).environment
        return {name: value for name, value in found.items() if name.startswith("SLURM_RLIMIT_")}

    every = limits()
    assert (every["SLURM_RLIMIT_NOFILE"], len(every)) == (str(soft), 10)
    assert limits("--propagate=NOFILE,CORE").keys() == {"SLURM_RLIMIT_NOFILE", "SLURM_RLIMIT_CORE"}
    assert limits("--propagate")["SLURM_RLIMIT_NOFILE"] == f"U{soft}"
    assert limits("--propagate=NONE", SLURM_RLIMIT_STACK="7") == {"SLURM_RLIMIT_STACK": "7"}
    (tmp_path / "hpcjobs").mkdir()
    (tmp_path / "hpcjobs" / "config.toml").write_text('propagate = "NONE"\n')
    assert limits() == {}


def test_of_several_clusters_the_job_goes_where_it_starts_first(both_served, sbatch, monkeypatch):
    service, url = both_served
    token = make_token(service.token_key, "nobody", time.time(), 600)
    there = {"HPCJOBS_URL": url, "HPCJOBS_TOKEN": token}
    starts = {"big": 2_000_000_000, "small": 1_900_000_000}
    for name, target in service.targets.items():

        async def estimate(user: str, launch: Launch, name: str = name) -> Estimate:
            return Estimate(starts[name])

        monkeypatch.setattr(target.observer.backend, "estimate", estimate)
    for clusters in ("all", "big,small"):
        assert sbatch("--parsable", "-M", clusters, "job.sh", **there).out.endswith(";small\n")
    starts["small"] = starts["big"]
    assert sbatch("--parsable", "-M", "small,big", "job.sh", **there).out.endswith(";small\n")
    assert sbatch("--parsable", "-M", "gone,big", "job.sh", **there).out.endswith(";big\n")
    answer = sbatch("-M", "gone,away", "job.sh", **there)
    assert (answer.code, answer.out, "gone" in answer.err, "away" in answer.err) == (1, "", True, True)


def test_scripts_may_leave_a_variable_of_theirs_empty(sbatch, slurm):  # noqa: F811
    spec = spec_of(slurm, sbatch("--partition=", "--dependency=", "--array=", "--comment=", "--gpus=0", "job.sh"))
    assert (spec.partition, spec.dependency, spec.array, spec.comment, spec.resources.gpus) == (None,) * 5
    assert spec_of(slurm, sbatch("--mem-per-cpu=0", "job.sh")).resources.mem_per_node_bytes == 0


def test_a_refusal_is_said_once_and_not_asked_for_again(sbatch, slurm):  # noqa: F811
    before = slurm.calls
    assert sbatch("-p", "nope", "job.sh").code == 1
    assert slurm.calls == before + 1
    script = "import sys; from hpcjobs.cli.sbatch.call import call; call(sys.argv[1:]); print('httpx' in sys.modules)"
    environment = {**os.environ, **sbatch.given}
    done = subprocess.run(
        [sys.executable, "-c", script, "-p", "nope", "--wrap", "x"], env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "Invalid partition name specified" in done.stderr
    assert done.stdout == "False\n"
