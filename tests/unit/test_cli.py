from __future__ import annotations

import socket
import sys
import time

import pytest
from click.testing import CliRunner, Result

from hpcjobs import __version__
from hpcjobs.cli.main import main
from hpcjobs.identity import Scope, load_key
from hpcjobs.identity.tokens import own_claims


@pytest.fixture
def closed_port():
    """A port on which nobody listens, kept so that nobody else gets it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def run(monkeypatch, tmp_path, closed_port):
    monkeypatch.setattr("hpcjobs.client.patience.RETRY_FOR_S", 0.0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HPCJOBS_URL", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("HPCJOBS_TOKEN", "a-token")

    def invoke(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, list(words), input=stdin)

    return invoke


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.sh"
    path.write_text("#!/bin/sh\ntrue\n")
    return str(path)


@pytest.mark.parametrize("words", [["jobs"], ["show", "7"], ["logs", "7"], ["logs", "-f", "7"], ["cancel", "7"],
    ["nodes"], ["submit", "-"]], ids=" ".join)  # fmt: skip
def test_a_service_that_cannot_be_reached_is_one_clear_sentence_and_exit_code_1(run, closed_port, words):
    result = run(*words, stdin="#!/bin/sh\ntrue\n")
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("hpcjobs: error: ")
    assert f"http://127.0.0.1:{closed_port} does not answer: " in line or "the stream broke: " in line
    assert "refused" in line


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-N", "four"], "'four' is not a count"),
        (["-N", "4-2"], "upside down"),
        (["--mem", "lots"], "Invalid memory specification 'lots'"),
        (["-t", "soon"], "Invalid time limit specification 'soon'"),
    ],
)
def test_a_bad_amount_is_told_before_the_service_is_asked(run, script, words, complaint):
    result = run("submit", *words, script)
    assert result.exit_code == 1
    assert complaint in result.stderr
    assert "does not answer" not in result.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["submit", "/no/such/file"], "No such file"),
        (["submit"], "Missing argument 'SCRIPT'"),
        (["submit", "-n", "many", "-"], "'many' is not a valid integer"),
        (["cancel"], "Missing argument 'JOB_IDS...'"),
        (["show"], "Missing argument 'JOB_ID...'"),
        (["jobs", "--limit", "x"], "is not a valid integer"),
        (["nosuch"], "No such command 'nosuch'"),
        (["jobs", "--nosuch"], "No such option"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(run, words, complaint):
    result = run(*words)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_a_script_that_is_no_text_is_told_so(run, tmp_path):
    path = tmp_path / "binary"
    path.write_bytes(b"\x7fELF\xff\xfe")
    result = run("submit", str(path))
    assert result.exit_code == 1
    assert "byte 4 is not UTF-8; is this a script?" in result.stderr


@pytest.mark.parametrize("url", ["http://host:port", "localhost:8080", "ftp://host", "http://", "", "http://[::1"])
def test_an_address_that_is_none_is_told_at_once(run, monkeypatch, url):
    monkeypatch.setenv("HPCJOBS_URL", url)
    result = run("jobs")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"hpcjobs: error: {url!r} is not the address of a service")


def test_a_broken_configuration_file_is_named(run, tmp_path):
    (tmp_path / "hpcjobs").mkdir()
    (tmp_path / "hpcjobs/config.toml").write_text("url = 3\n")
    result = run("jobs")
    assert result.exit_code == 1
    assert "hpcjobs/config.toml: url must be text" in result.stderr


def test_the_configuration_file_is_read_where_the_environment_says_nothing(run, tmp_path, monkeypatch, closed_port):
    monkeypatch.delenv("HPCJOBS_URL")
    (tmp_path / "hpcjobs").mkdir()
    (tmp_path / "hpcjobs/config.toml").write_text(f'url = "http://localhost:{closed_port}"\n')
    assert f"http://localhost:{closed_port} does not answer" in run("jobs").stderr


@pytest.mark.parametrize("words", [[], ["submit"], ["jobs"], ["show"], ["logs"], ["cancel"], ["nodes"], ["token"]])
def test_every_command_explains_itself(run, words):
    result = run(*words, "-h")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_the_version_is_told(run):
    assert run("--version").stdout.strip() == f"hpcjobs, version {__version__}"


def test_a_token_is_made_with_the_services_key(run, tmp_path):
    config = tmp_path / "hpcjobs.toml"
    config.write_text(f'token_key_file = "{tmp_path}/token.key"\n[[clusters]]\nname = "big"\n')
    result = run("token", "alice", "--hours", "1", "--config", str(config))
    assert result.exit_code == 0
    key = load_key(tmp_path / "token.key")
    claims = own_claims(result.stdout.strip(), key, 0)
    assert (claims.user, claims.scopes) == ("alice", None)
    assert 3500 < claims.expires_at - time.time() <= 3600


def test_a_token_is_made_for_less_and_for_a_time_of_its_own(run, tmp_path):
    config = tmp_path / "hpcjobs.toml"
    config.write_text(f'token_key_file = "{tmp_path}/token.key"\n[[clusters]]\nname = "big"\n')
    words = ["--scope", "jobs:read", "--scope", "events:read", "--config", str(config)]
    for life, seconds in {"90s": 90, "30m": 1800, "1h": 3600, "1.5d": 129_600}.items():
        result = run("token", "alice", "--life", life, *words)
        claims = own_claims(result.stdout.strip(), load_key(tmp_path / "token.key"), 0)
        assert claims.scopes == {Scope.JOBS_READ, Scope.EVENTS_READ}
        assert seconds - 60 < claims.expires_at - time.time() <= seconds


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--life", "soon"], "is not a time like"),
        (["--life", "0h"], "is not a time like"),
        (["--scope", "jobs"], "jobs: there are jobs:read"),
    ],
)
def test_a_token_for_what_there_is_not_is_not_made(run, words, complaint):
    result = run("token", "alice", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in " ".join(result.stderr.split())


def test_without_settings_no_token_is_made(run, tmp_path):
    result = run("token", "alice", "--config", str(tmp_path / "none.toml"))
    assert result.exit_code == 1
    assert "none.toml: No such file or directory" in result.stderr


def test_words_after_the_script_are_the_scripts(run, script, monkeypatch):
    told = []
    monkeypatch.setattr("hpcjobs.client.Client.submit", lambda _client, request: told.append(request) or sys.exit(0))
    run("submit", "-n", "2", script, "-n", "4", "--nodes", "x", "--")
    assert (told[0]["resources"], told[0]["args"]) == ({"ntasks": 2}, ["-n", "4", "--nodes", "x", "--"])


def test_the_end_that_following_tells_is_that_of_the_same_clusters_job(run, monkeypatch):
    asked = []
    monkeypatch.setattr("hpcjobs.client.Client.follow", lambda _client, _job, **_query: iter([b"text"]))
    monkeypatch.setattr("hpcjobs.client.Client.job", lambda _client, job, **query: asked.append((job, query)))
    run("logs", "-f", "--stderr", "-M", "other", "42")
    assert asked == [("42", {"cluster": "other"})]
