"""What shells complete: real shells, the real application on a loopback port."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hpcjobs.identity import make_token
from tests.api.test_command_line import run, served, slurm, submitted  # noqa: F401

pytestmark = pytest.mark.thorough

HPCJOBS = """#!{python}
import sys
sys.path[:0] = {path!r}
sys.argv[0] = __file__
from hpcjobs.cli.entry import main
main()
"""
READY = """
eval "$(hpcjobs completion bash)"
tab() {
    COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=()
    local how=$(complete -p "$1"); how=${how##*-F }; how=${how%% *}
    $how "$1" "${@: -1}" "${@: -2:1}"
    printf '%s\\n' "${COMPREPLY[@]}"
}
"""


@pytest.fixture
def there(served, tmp_path) -> dict[str, str]:  # noqa: F811
    """Variables with hpcjobs in the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "hpcjobs"
    program.write_text(HPCJOBS.format(python=sys.executable, path=sys.path))
    program.chmod(0o755)
    return {
        "PATH": f"{folder}:{os.defpath}", "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HPCJOBS_URL": served[1], "HPCJOBS_TOKEN": make_token(served[0].token_key, "nobody", time.time(), 600),
    }  # fmt: skip


@pytest.fixture
def tab(there) -> Callable[..., list[str]]:
    def press(*words: str, before: str = "", **variables: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", f"{READY}\n{before}\ntab {shlex.join(words)}"], env={**there, **variables},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return [line for line in done.stdout.splitlines() if line]

    return press


def test_commands_and_options_are_completed(tab):
    assert tab("hpcjobs", "ca") == ["cancel"]
    assert {"login", "sbatch", "retry", "top", "spool"} <= set(tab("hpcjobs", ""))
    assert tab("hpcjobs", "jobs", "--par") == ["--partition"]
    assert tab("hpcjobs", "completion", "") == ["bash", "zsh", "fish"]
    assert tab("hpcjobs", "config", "u") == ["use"]


def test_jobs_partitions_clusters_states_and_profiles_are_completed(tab, run, slurm, tmp_path):  # noqa: F811
    number = submitted(run, "-J", "to-complete", "-p", "gpu")
    other = submitted(run)
    run("cancel", str(other))
    assert str(number) in tab("hpcjobs", "cancel", "")
    assert tab("hpcjobs", "cancel", str(number), str(number)) == []
    assert "gpu" in tab("hpcjobs", "jobs", "-p", "")
    assert tab("hpcjobs", "jobs", "-p", "gpu,gp") == []
    assert tab("hpcjobs", "jobs", "--partition", "=", "g") == ["gpu"]
    assert tab("hpcjobs", "jobs", "-M", "b") == ["big"]
    assert tab("hpcjobs", "jobs", "-t", "RUN") == ["RUNNING"]
    assert tab("hpcjobs", "jobs", "-t", "run") == ["running"]
    (tmp_path / "config" / "hpcjobs").mkdir(parents=True)
    (tmp_path / "config" / "hpcjobs" / "config.toml").write_text("[profiles.near]\n[profiles.far]\n")
    assert tab("hpcjobs", "--profile", "n") == ["near"]
    assert tab("hpcjobs", "config", "use", "") == ["far", "near"]


def test_words_of_sbatch_are_completed(tab):
    assert tab("hpcjobs", "sbatch", "--part") == ["--partition"]
    assert tab("hpcjobs", "sbatch", "--queue") == ["--queue-offline"]
    assert {"-p", "-n", "--ntasks", "--tasks-per-node"} <= set(tab("hpcjobs", "sbatch", "-"))
    assert tab("hpcjobs", "sbatch", "-n4", "-p", "g") == ["gpu"]
    assert tab("hpcjobs", "sbatch", "--partition", "=", "") == tab("hpcjobs", "sbatch", "--partition", "")
    assert tab("hpcjobs", "sbatch", "-M", "") == ["big"]
    assert tab("hpcjobs", "sbatch", "--time", "") == []
    assert tab("hpcjobs", "sbatch", "job.sh", "-") == []  # the script's own


def test_a_link_named_sbatch_is_completed_and_slurms_own_is_left_alone(tab, tmp_path):
    link = tmp_path / "bin" / "sbatch"
    link.symlink_to("hpcjobs")
    assert tab("sbatch", "--part") == ["--partition"]
    assert tab("sbatch", "-p", "g") == ["gpu"]
    link.unlink()
    link.write_text("#!/bin/sh\n")
    link.chmod(0o755)
    probe = "complete -p sbatch 2>/dev/null && echo taken; complete -W x hpcjobs;"
    assert tab("hpcjobs", "jo", before=probe + READY.splitlines()[1]) == ["jobs"]


@pytest.mark.parametrize(
    "variables",
    [
        {"HPCJOBS_URL": "http://127.0.0.1:1"},
        {"HPCJOBS_URL": "nonsense"},
        {"HPCJOBS_TOKEN": "x.y.z"},
        {"HPCJOBS_TOKEN": ""},
        {"HPCJOBS_TOKEN": "\u00fc"},
        {"HPCJOBS_PROFILE": "nope"},
    ],
)
def test_whatever_is_wrong_is_no_suggestion_and_no_word(tab, variables):
    for words in (("hpcjobs", "cancel", ""), ("hpcjobs", "sbatch", "-p", ""), ("hpcjobs", "jobs", "-A", "")):
        assert tab(*words, **variables) == []


def test_a_service_that_does_not_answer_is_waited_for_a_second(tab):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        assert tab("hpcjobs", "cancel", "", HPCJOBS_URL=f"http://127.0.0.1:{silent.getsockname()[1]}") == []
        assert time.monotonic() - begun < 5  # bash and Python start twice


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_takes_the_script(there):
    code = 'autoload -U compinit; compinit -u; eval "$(hpcjobs completion zsh)"; print ${_comps[hpcjobs]}'
    done = subprocess.run(["zsh", "-f", "-c", code], env=there, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == ("_hpcjobs_completion", "")
    asked = {"COMP_WORDS": "hpcjobs jobs -p ", "COMP_CWORD": "3", "_HPCJOBS_COMPLETE": "zsh_complete"}
    told = subprocess.run(["hpcjobs"], env={**there, **asked}, capture_output=True, text=True, timeout=60, check=False)
    assert "plain\ngpu\n" in told.stdout


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes(there):
    code = 'hpcjobs completion fish | source; complete -C "hpcjobs jobs -p g"; complete -C "hpcjobs sbatch --part"'
    done = subprocess.run(["fish", "-c", code], env=there, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["gpu", "--partition"], done.stderr


def test_the_file_of_each_shell_parses(there, tmp_path):
    for shell in ("bash", "zsh", "fish"):
        if shutil.which(shell):
            text = subprocess.run(["hpcjobs", "completion", shell], env=there, capture_output=True, check=True).stdout
            (tmp_path / shell).write_bytes(text)
            subprocess.run([shell, "-n", str(tmp_path / shell)], check=True, capture_output=True)
    assert Path(tmp_path / "bash").stat().st_size
