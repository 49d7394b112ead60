"""docs/PLUGINS.md: its files are those of examples/night, and what it says is done here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import msgspec
import pytest

from hpcjobs.identity import make_token
from hpcjobs.plugin import HOOKS
from hpcjobs.settings import PluginSettings
from tests.api.test_command_line import serve

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "PLUGINS.md").read_text()
BLOCKS = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
NIGHT = ROOT / "examples" / "night"


def test_the_files_of_the_page_are_those_of_the_example():
    assert set(BLOCKS) == {path.name for path in NIGHT.iterdir() if path.is_file()}
    for name, text in BLOCKS.items():
        assert text == (NIGHT / name).read_text(), name


def test_the_page_names_every_hook():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == [kind.__name__ for kind in HOOKS.values()]


def test_the_settings_of_the_page_are_settings():
    (text,) = re.findall(r"^```toml\n(\[\[plugins\]\].*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (plugin,) = msgspec.convert(tomllib.loads(text)["plugins"], tuple[PluginSettings, ...])
    assert plugin == PluginSettings("night", settings={"from_hour": 20})


INSTALLED = pytest.mark.xdist_group("installed")
"""Of tests of what pip has installed, which takes long: on one worker it is done once."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A copy of the example, installed by pip outside of the tree."""
    place = tmp_path_factory.mktemp("plugin")
    source, target = place / "source", place / "site"
    source.mkdir()
    for name, text in BLOCKS.items():
        (source / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index",
         "--no-build-isolation", "--target", str(target), str(source)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def away(site, monkeypatch) -> dict[str, str]:
    """The variables of a process that finds the plugin and the house."""
    path = f"{site}:{ROOT}"
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(str(site))
    return {**os.environ, "PYTHONPATH": path}


OTHER = """
import time
from hpcjobs.plugin import *
OTHER = Plugin("night", 1, [Admit(lambda spec, context: (open("/dev/null").close(), spec)[1])])
"""


@INSTALLED
@pytest.mark.thorough
def test_its_tests_pass_and_fail_for_a_plugin_that_is_none_of_it(site, away, tmp_path):
    def tested(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_night.py").write_text(text)
        plainly = ["-q", "-p", "no:cacheprovider", "--noconftest", "-c", "/dev/null"]
        run = [sys.executable, "-m", "pytest", *plainly, str(tmp_path)]
        return subprocess.run(run, capture_output=True, text=True, env=away, cwd=tmp_path, check=False)

    text = BLOCKS["test_night.py"]
    done = tested(text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) >= 12
    done = tested(text.replace("plugin = PLUGIN", "plugin = OTHER").replace("\n\nNOON", f"\n{OTHER}\nNOON"))
    assert "admit does I/O: open" in done.stdout
    assert "the entry point leads to something else" in done.stdout


def hpcjobs(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hpcjobs.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, check=False)


@INSTALLED
@pytest.mark.thorough
def test_check_says_what_is_wrong(away):
    good = hpcjobs("plugins", "check", "night", "--settings", '{"from_hour": 20}')
    assert good.returncode == 0, good.stdout + good.stderr
    assert "night 1.0, code" in good.stdout
    bad = hpcjobs("plugins", "check", "night", "--settings", '{"from": 20}')
    assert (bad.returncode, "unknown field `from`" in bad.stderr) == (1, True)
    absent = hpcjobs("plugins", "check", "day")
    assert (absent.returncode, "No plugin is called 'day'" in absent.stderr) == (1, True)


@pytest.fixture
def served(empty_database, tmp_path, spawner, folder, away, monkeypatch):
    yield from serve(tmp_path, empty_database, folder)


@INSTALLED
@pytest.mark.thorough
def test_it_is_enabled_listed_changed_reloaded_and_disabled_on_the_command_line(served, away, tmp_path):
    service, url = served

    def run(*words: str, user: str = "boss") -> subprocess.CompletedProcess[str]:
        token = make_token(service.token_key, user, time.time(), 600)
        return hpcjobs(*words, HPCJOBS_URL=url, HPCJOBS_TOKEN=token, XDG_CONFIG_HOME=str(tmp_path), COLUMNS="200")

    assert "night\t-" in run("plugins", "list").stdout
    denied = run("plugins", "enable", "night", user="nobody")
    assert (denied.returncode, "scope" in denied.stderr) == (1, True), denied.stderr
    enabled = run("plugins", "enable", "night", "--settings", '{"longest_s": 60}')
    assert enabled.returncode == 0, enabled.stderr
    assert "night\tON\tadmit\t1.0" in enabled.stdout
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\n")
    refused = run("submit", "--time", "5", str(script), user="nobody")
    assert (refused.returncode, "At most 60 s here; 300 were asked for." in refused.stderr) == (1, True), refused.stderr
    typed = run("sbatch", "--time", "5", str(script), user="nobody")
    assert (typed.returncode, "At most 60 s here" in typed.stderr) == (1, True), typed.stderr
    bad = run("plugins", "enable", "night", "--settings", '{"longest": 60}')
    assert (bad.returncode, "unknown field" in bad.stderr, "stays in use" in bad.stderr) == (1, True, True), bad.stderr
    again = run("plugins", "enable", "night", "--not-required", "--timeout", "1")
    assert again.returncode == 0, again.stderr
    (one,) = json.loads(run("plugins", "list", "--json").stdout)["plugins"]
    assert (one["required"], one["timeout_s"], one["settings"]) == (False, 1.0, {"longest_s": 60})
    assert "Generation 3" in run("plugins", "reload").stderr
    assert run("plugins", "disable", "night").returncode == 0
    assert run("submit", "--time", "5", str(script), user="nobody").returncode == 0
    assert (run("plugins", "disable", "night").returncode, run("plugins", "list", "-g", "1").returncode) == (1, 0)
