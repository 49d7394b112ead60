"""docs/TOPOLOGY.md: what it shows is run here, in its order, and looks as it does there."""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hpcjobs.hooks.loading import checked
from hpcjobs.settings import PluginSettings
from hpcjobs_plugins.topology.changes import CODES as CHANGES
from hpcjobs_plugins.topology.checks import CODES
from hpcjobs_plugins.topology.commands.sites import cluster_of
from hpcjobs_plugins.topology.engines.findings import FATES
from hpcjobs_plugins.topology.placement.request import Objective
from hpcjobs_plugins.topology.plugin import PLUGIN
from hpcjobs_plugins.topology.settings import Settings, Translation
from hpcjobs_plugins.topology.twin import dump_of, fat_tree
from hpcjobs_plugins.topology.twin_tables import as_nvlink
from hpcjobs_plugins.topology.twin_texts import as_ibnetdiscover

from .controllers import StandIn
from .fabric_edits import Bench
from .topology_runs import ROOT, SMALL, on_terminal

PAGE = (ROOT / "docs" / "TOPOLOGY.md").read_text()
CONSOLE = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = dict(re.findall(r"^```text (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COLUMNS = 100
SLURM = "/etc/slurm"


def calls(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what it prints."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


def steady(text: str) -> str:
    """A text without what is another each time: seconds and the names of backups."""
    return re.sub(r"\d{8}T\d{6}\.\d{3}Z", "TIME", re.sub(r"\d+\.\d s\b", "T s", text))


class Place:
    """A folder with the fabric of the page, and programs that speak of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        slurm = StandIn(folder, "n[0001-0017]", "SwitchName=all Nodes=n[0001-0017]\n")
        self.etc, self.path = str(slurm.etc), slurm.path
        bench = Bench(fat_tree(SMALL))
        bench.unplug(bench.between("leaf02", "spine01")[1])
        today = as_ibnetdiscover(dump_of(bench.site()))
        (folder / "today.txt").write_text(today.replace('"n0011 HCA-1"', '"MT4123 ConnectX6 Mellanox Technologies"'))
        bench.move_host("n0003", 0, "leaf02", 6)
        (folder / "tomorrow.txt").write_text(as_ibnetdiscover(dump_of(bench.site())))
        (folder / "nvlink.txt").write_text(as_nvlink(fat_tree(SMALL)))
        for name, text in FILES.items():
            (folder / name).write_text(text)
        self.program("ibnetdiscover", f"cat {folder}/today.txt")
        run = "from hpcjobs.cli.main import main; main(prog_name='hpcjobs')"
        self.program("hpcjobs", f'PYTHONPATH={folder}:{ROOT} exec {sys.executable} -c "{run}" "$@"')
        info = folder / "hpcjobs_topology-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hpcjobs-topology\nVersion: 1\n")
        (info / "entry_points.txt").write_text(
            "[hpcjobs.commands]\ntopology = hpcjobs_plugins.topology.commands:topology\n"
        )

    def program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def seen(self, command: str) -> str:
        """What is seen on a terminal; an exit code that is not 0 stands below it."""
        shell = ["bash", "-c", f"{command.replace(SLURM, self.etc)}"]
        code, seen = on_terminal(
            COLUMNS, program=shell, folder=self.folder, typed="y\n", PATH=self.path, NO_COLOR="1", LANG="C.UTF-8",
            SLURM_CONF=f"{self.etc}/slurm.conf",
        )  # fmt: skip
        assert "Traceback" not in seen
        return self.here(seen) + (f"[exit code {code}]\n" if code else "")

    def here(self, seen: str) -> str:
        return seen.replace(self.etc, SLURM).replace(str(self.folder), "~")


@pytest.fixture
def place() -> Iterator[Place]:
    """In a folder whose name is short: lines are cut where they are on the page."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        yield Place(Path(folder).resolve())


@pytest.mark.thorough
def test_what_the_page_shows_is_what_is_seen(place):
    shown = [call for block in CONSOLE for call in calls(block)]
    assert len(shown) >= 8
    for command, told in shown:
        assert steady(place.seen(command)) == steady(told), command


SETTINGS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", SETTINGS, ids=range(len(SETTINGS)))
def test_the_settings_of_the_page_are_settings_for_the_service_and_for_the_commands(tmp_path, text):
    (tmp_path / "hpcjobs.toml").write_text(text)
    of = cluster_of(tmp_path / "hpcjobs.toml", "")
    assert of.sources
    (plugin,) = msgspec.convert(tomllib.loads(text)["plugins"], tuple[PluginSettings, ...])
    assert set(checked(PLUGIN, plugin)) == {"discover", "configure", "place"}


def rows(head: str) -> list[list[str]]:
    """Cells of a table of the page."""
    (table,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def test_the_page_names_every_finding_of_check_and_of_the_judge():
    assert {row[0].strip("` ") for row in rows("finding")} == set(CODES)
    told = {row[0].strip("` "): tuple(cell.strip("| ") for cell in row[1:4]) for row in rows("fault")}
    assert told == {code: tuple(fate.value for fate in fates) for code, fates in FATES.items()}


def test_the_page_names_every_setting_and_every_objective():
    for of in (Settings, Translation):
        for field in of.__struct_fields__:
            assert re.search(rf"\b{field}\b", PAGE), field
    for objective in Objective:
        assert f"`{objective}`" in PAGE
    (told,) = re.findall(r"tells each change once, within a period:(.*?) and so on", PAGE, re.DOTALL)
    assert set() < set(re.findall(r"`([a-z-]+)`", told)) <= set(CHANGES)
