"""``hpcjobs gres`` against the real application, which has the plugin in use."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcjobs.client import Client
from hpcjobs.identity import make_token
from hpcjobs.model.plugin import PluginSet
from hpcjobs.settings import PluginSettings
from hpcjobs_plugins.gpu_accounting.commands import gres
from tests.api.test_command_line import serve


@pytest.fixture(scope="module")
def served(empty_database, tmp_path_factory, spawner, folder):
    yield from serve(tmp_path_factory.mktemp("gres"), empty_database, folder)


@pytest.fixture
def use(served, monkeypatch, tmp_path: Path):
    """Declare accelerators, and return what calls the command."""
    service, url = served
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HPCJOBS_URL", url)

    def run(*words: str, user: str = "ops") -> Result:
        monkeypatch.setenv("HPCJOBS_TOKEN", make_token(service.token_key, user, time.time(), 600))
        return CliRunner().invoke(gres, list(words))

    def declare(*declared: dict[str, object]):
        boss = make_token(service.token_key, "boss", time.time(), 600)
        wanted = PluginSettings("gpu_accounting", timeout_s=20.0, settings={"clusters": {"big": list(declared)}})
        with Client(url, boss) as client:
            client.change_plugins(PluginSet((wanted,)))
        return run

    return declare


def nodes_of(served) -> list[str]:
    return sorted(served[0].target(None).observer.view.nodes)


def test_what_is_declared_is_printed_and_held_against_the_nodes(served, use):
    first = nodes_of(served)[0]
    run = use({"nodes": first, "type": "ascend910b3", "count": 8, "family": "ascend"})
    told = run("plan")
    assert told.exit_code == 0, told.output
    assert f"NodeName={first} Name=npu Type=ascend910b3 File=/dev/davinci[0-7]" in told.stdout
    assert f"#   NodeName={first} Gres=npu:ascend910b3:8" in told.stdout
    files = json.loads(run("plan", "--json").stdout)
    assert {one["name"] for one in files} == {"gres.conf", "gres-slurm.conf"}
    checked = run("check")
    assert checked.exit_code == 1
    assert any(line.split("\t")[:2] == [first, "npu:ascend910b3:8"] for line in checked.stdout.splitlines())
    assert json.loads(run("check", "--json").stdout)["errors"] == []


def test_what_cannot_be_is_said_and_the_command_ends_with_1(served, use):
    run = use({"nodes": "nowhere", "type": "a100", "count": 8})
    for word in ("plan", "check"):
        told = run(word)
        assert (told.exit_code, told.stdout) == (1, "")
        assert "hpcjobs: error: a100 on nowhere: cluster big has no node nowhere" in told.stderr
    told = run("check", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["errors"] == ["a100 on nowhere: cluster big has no node nowhere"]


def test_where_nothing_is_declared_that_is_said(served, use):
    told = use()("plan")
    assert (told.exit_code, "nothing is declared of big" in told.stderr) == (1, True)


def test_others_than_operators_are_refused(served, use):
    told = use()("plan", user="nobody")
    assert (told.exit_code, "for operators" in told.stderr) == (1, True)
