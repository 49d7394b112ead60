"""``hpcjobs gres``: families as rows, and what is declared of nodes beside what Slurm has of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcjobs.devices.family import facts, families
from hpcjobs.model.cluster import Node
from hpcjobs.model.node_particulars import NodeParticulars
from hpcjobs_plugins.gpu_accounting.commands import gres
from hpcjobs_plugins.gpu_accounting.differences import Difference, differences
from hpcjobs_plugins.gpu_accounting.shown import said

ROOT = Path(__file__).parents[2]
PART = """\
GresTypes=gpu,shard,npu
#   NodeName=n[1-2] Gres=gpu:a100:8,shard:32
#   NodeName=n3 Gres=npu:ascend910b3:8
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(gres, list(words))


def test_the_table_of_the_page_is_made_of_the_data():
    done = subprocess.run([sys.executable, "scripts/families", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "docs/GRES.md differs from the families: run scripts/families"


def test_families_are_listed_a_line_each():
    _, *lines = run("devices").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == list(families())
    (amd,) = (line.split("\t")[1:] for line in lines if line.startswith("amd\t"))
    assert amd[:5] == ["AMD Instinct", "gpu", "ROCR_VISIBLE_DEVICES", "/dev/dri/renderD(128+N)", "rsmi"]
    assert amd[5] == "use memory power health"


@pytest.mark.parametrize("name", families())
def test_of_one_family_every_fact_is_shown_with_its_page(name):
    family = families()[name]
    assert [fact for fact, *_ in said(family)] == list(facts(family))
    assert all(words for _, words, _ in said(family))
    shown = run("devices", name).stdout
    assert all(page in shown for page in facts(family).values())


def test_a_family_is_json_too_and_a_site_has_its_own(tmp_path):
    (tmp_path / "own.toml").write_text('name = "own"\ntitle = "Own"\ngres = "own"\n')
    assert json.loads(run("devices", "own", "--json", "--families", str(tmp_path)).stdout)["title"] == "Own"
    assert len(json.loads(run("devices", "--json").stdout)) == len(families())


def test_a_family_that_is_not_there_is_told_of(tmp_path):
    assert "there is no family 'gorilla'" in run("devices", "gorilla").output
    (tmp_path / "bad.toml").write_text("name =")
    bad = run("devices", "--families", str(tmp_path))
    assert (bad.exit_code, "bad.toml cannot be read" in bad.output) == (1, True)


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts a command in place of nvidia-smi."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(script: str) -> None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("echo 'Remapping Failure Occurred : No'", ""),
        ("echo '  Remapping Failure Occurred : Yes'", "Remapping Failure Occurred : Yes"),
        ("exit 15", "nvidia-smi ended with 15"),
        ("sleep 5", "nvidia-smi has not ended after 0.1 s"),
    ],
)
def test_a_node_is_asked_how_its_devices_are(smi, monkeypatch, script, fault):
    if "sleep" in script:
        monkeypatch.setattr("hpcjobs_plugins.gpu_accounting.probing.PATIENCE_S", 0.1)
    smi(script)
    told = run("probe", "nvidia")
    assert (told.exit_code, told.stdout) == (bool(fault), f"nvidia: {fault}\n" if fault else "")
    assert json.loads(run("probe", "nvidia", "--json").stdout) == [{"family": "nvidia", "fault": fault}]


def test_a_command_that_is_not_there_and_a_family_without_one_are_no_health(smi):
    told = run("probe", "nvidia", "thead")
    assert told.exit_code == 1
    assert told.stdout.splitlines() == [
        "nvidia: nvidia-smi cannot be run: No such file or directory", "thead: how to ask is not known"
    ]  # fmt: skip


def node(name: str, has: str) -> Node:
    return Node(name, "IDLE", True, 8, 0, 0, 0, {}, {}, (), (), particulars=NodeParticulars(gres=has))


@pytest.mark.parametrize(
    "has",
    ["gpu:a100:8,shard:32", "gpu:a100:8(S:0-1),shard:a100:32(S:0-1)", "shard:a100:16,shard:a100:16,gpu:a100:8"],
)
def test_nodes_that_have_what_is_declared_do_not_differ(has):
    assert differences(PART, [node("n1", has), node("n3", "npu:ascend910b3:8(S:0)"), node("n4", "(null)")]) == []


@pytest.mark.parametrize(
    "has", ["gpu:a100:6(S:0-1),shard:a100:32(S:0,1)", "gpu:a100:8", "gpu:8,shard:32", "gpu:h100:8,shard:32", ""]
)
def test_nodes_that_have_something_else_are_told_together(has):
    plain = has.replace("(S:0-1)", "").replace("(S:0,1)", "")
    assert differences(PART, [node("n1", has), node("n2", has)]) == [Difference("n[1-2]", "gpu:a100:8,shard:32", plain)]


def test_a_node_of_which_nothing_is_declared_differs_where_it_has_something():
    assert differences(PART, [node("n9", "gpu:h100:8(S:0)"), node("n8", "")]) == [Difference("n9", "", "gpu:h100:8")]
