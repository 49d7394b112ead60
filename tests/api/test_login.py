"""Login, logout, profiles: against the real application on a loopback port."""

from __future__ import annotations

import io
import json
import os
import stat
import time
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from hpcjobs.cli import entry
from hpcjobs.cli.main import main
from hpcjobs.cli.sbatch.call import call
from hpcjobs.identity import make_token
from tests.api.test_command_line import served, slurm  # noqa: F401

VARIABLES = ("HPCJOBS_URL", "HPCJOBS_TOKEN", "HPCJOBS_PROFILE")


@pytest.fixture
def run(monkeypatch, tmp_path) -> Callable[..., Result]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def invoke(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, list(words), input=io.BytesIO(stdin.encode()))

    return invoke


@pytest.fixture
def token(served) -> Callable[..., str]:  # noqa: F811
    return lambda user="nobody", life_s=600.0: make_token(served[0].token_key, user, time.time(), life_s)


@pytest.fixture
def config(tmp_path):
    return tmp_path / "hpcjobs" / "config.toml"


def test_a_token_that_holds_is_kept_where_only_its_owner_can_read_it(run, served, token, config):  # noqa: F811
    done = run("login", served[1], stdin=f"{token()}\n")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"nobody at {served[1]} until ")
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    me = json.loads(run("whoami", "--json").stdout)
    assert (me["user"], me["url"], me["profile"], me["role"]) == ("nobody", served[1], "", "user")
    assert "user  nobody" in run("whoami").stdout
    assert run("jobs").exit_code == 0


def test_a_token_that_does_not_hold_is_not_kept(run, served, token, config):  # noqa: F811
    done = run("login", served[1], stdin="x.y.z")
    assert (done.exit_code, config.exists()) == (1, False)
    assert "The token does not hold" in done.stderr
    assert run("login", served[1], stdin="").exit_code == 1


def test_comments_and_other_settings_stay(run, served, token, config, tmp_path):  # noqa: F811
    config.parent.mkdir()
    config.write_text('# mine\nurl = "http://old"  # of last year\n\n[spank.image]\nplugin = "shifter"\n')
    (tmp_path / "token").write_text(token())
    (tmp_path / "token").chmod(0o600)
    done = run("login", f"{served[1]}/", "--token-file", str(tmp_path / "token"), "--cluster", "big", "--workdir", "/w")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = config.read_text().splitlines()
    assert lines[:2] == ["# mine", f'url = "{served[1]}"  # of last year']
    assert set(lines[2:5]) == {f'token = "{token_of(config)}"', 'cluster = "big"', 'workdir = "/w"'}
    assert lines[5:] == ["", "[spank.image]", 'plugin = "shifter"']


def token_of(config) -> str:
    (line,) = [line for line in config.read_text().splitlines() if line.startswith("token")]
    return line.split('"')[1]


def test_files_that_others_can_read_are_told(run, served, token, config, tmp_path):  # noqa: F811
    (tmp_path / "token").write_text(token())
    (tmp_path / "token").chmod(0o644)
    done = run("login", served[1], "--token-file", str(tmp_path / "token"))
    assert done.exit_code == 0
    assert f"warning: permissions 0644 for {tmp_path}/token are too open" in done.stderr
    config.chmod(0o604)
    told = run("jobs")
    assert told.exit_code == 0
    assert told.stderr.count("are too open") == 1


def test_profiles_are_written_listed_and_chosen(run, served, token, config):  # noqa: F811
    assert run("login", served[1], "--profile", "one", stdin=token()).exit_code == 0
    done = run("--profile", "two", "login", served[1], "--cluster", "big", stdin=token("alice"))
    assert "hpcjobs config use two" in done.stdout
    assert json.loads(run("--profile", "one", "whoami", "--json").stdout)["user"] == "nobody"
    assert json.loads(run("--profile", "two", "whoami", "--json").stdout)["user"] == "alice"
    assert run("config", "use", "two").exit_code == 0
    assert json.loads(run("whoami", "--json").stdout)["user"] == "alice"
    assert [line.split() for line in run("config", "profiles").stdout.splitlines()] == [
        ["one", served[1], "-", "token"], ["*", "two", served[1], "big", "token"]
    ]  # fmt: skip
    wrong = run("config", "use", "three")
    assert (wrong.exit_code, "there are one, two" in wrong.stderr) == (1, True)
    assert run("config", "use", "--none").exit_code == 0
    assert "HPCJOBS_TOKEN" in run("jobs").stderr


def test_no_command_prints_the_token(run, served, token, config):  # noqa: F811
    run("login", served[1], "--profile", "one", stdin=token())
    secret = token_of(config)
    for words in (["config", "show"], ["config", "show", "--json"], ["config", "profiles"], ["config", "path"],
                  ["whoami"], ["whoami", "--json"], ["login", "--json"]):  # fmt: skip
        done = run("--profile", "one", *words, stdin=secret)
        assert done.exit_code == 0, done.output
        assert secret not in done.output
    facts = json.loads(run("--profile", "one", "config", "show", "--json").stdout)
    assert facts["token"] == {"value": "set", "from": "profile one"}
    assert facts["url"] == {"value": served[1], "from": "profile one"}


def test_logout_forgets_the_token_and_nothing_else(run, served, token, config):  # noqa: F811
    run("login", served[1], "--profile", "one", "--cluster", "big", stdin=token())
    assert run("logout", "--profile", "one").stdout.startswith("Forgotten")
    assert "token" not in config.read_text()
    assert 'cluster = "big"' in config.read_text()
    assert run("logout", "--profile", "one").stdout.startswith("There is no token")
    told = run("--profile", "one", "jobs")
    assert (told.exit_code, "call hpcjobs login" in told.stderr) == (1, True)


def test_variables_that_win_are_told(run, served, token, config, monkeypatch):  # noqa: F811
    monkeypatch.setenv("HPCJOBS_TOKEN", "another")
    done = run("login", served[1], stdin=token())
    assert "HPCJOBS_TOKEN is set, and wins" in done.stderr
    assert "HPCJOBS_TOKEN is still set" in run("logout").stderr


def test_a_token_that_has_expired_says_how_to_get_on(run, served, token, config, monkeypatch, tmp_path, capsys):  # noqa: F811
    monkeypatch.setenv("HPCJOBS_URL", served[1])
    monkeypatch.setenv("HPCJOBS_TOKEN", token(life_s=-300.0))
    told = run("jobs")
    assert (told.exit_code, "hpcjobs login" in told.stderr) == (1, True)
    assert call(["--wrap", "true"], os.environ) == 1
    assert "hpcjobs login" in capsys.readouterr().err


def test_every_command_goes_to_the_cluster_of_the_profile(run, served, token, config):  # noqa: F811
    run("login", served[1], "--profile", "near", "--cluster", "big", stdin=token())
    run("login", served[1], "--profile", "far", "--cluster", "nowhere", stdin=token())
    for words in (["jobs"], ["show", "1"], ["logs", "1"], ["cancel", "1"], ["why", "1"], ["nodes"], ["top", "--once"],
                  ["retry", "1"], ["hold", "1"], ["files", "ls", "/"], ["events"], ["submit", "-"]):  # fmt: skip
        far = run("--profile", "far", *words, stdin="#!/bin/sh\ntrue\n")
        assert "nowhere" in far.stderr, (words, far.output)
        assert "nowhere" not in run("--profile", "near", *words, stdin="#!/bin/sh\ntrue\n").output, words
    assert run("--profile", "far", "jobs", "--cluster", "big").exit_code == 0
    assert run("--profile", "far", "jobs", "-M", "all").exit_code == 0


def test_a_new_profile_needs_an_address(run, config):
    done = run("login", "--profile", "new", stdin="x")
    assert (done.exit_code, "where is the service of profile 'new'?" in done.stderr) == (1, True)


def test_a_file_that_cannot_be_changed_is_left_as_it_was(run, served, token, config):  # noqa: F811
    config.parent.mkdir()
    config.write_text('profiles = { one = { cluster = "big" } }\n')
    done = run("login", served[1], "--profile", "one", stdin=token())
    assert (done.exit_code, "please do it by hand" in done.stderr) == (1, True)
    assert config.read_text() == 'profiles = { one = { cluster = "big" } }\n'


@pytest.mark.parametrize("said", [["--profile", "far"], ["--profile=far"]])
def test_slurms_commands_hear_the_profile_before_them(run, served, token, config, monkeypatch, capsys, said):  # noqa: F811
    run("login", served[1], "--profile", "far", "--cluster", "nowhere", stdin=token())
    monkeypatch.setattr("sys.argv", ["hpcjobs", *said, "sbatch", "--wrap", "true"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 1
    assert "nowhere" in capsys.readouterr().err
    through_click = run(*said, "sbatch", "--wrap", "true")
    assert through_click.exit_code == 1
    assert "nowhere" in through_click.stderr
