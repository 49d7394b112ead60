from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpcjobs_plugins.topology.placement.request import Objective, Request, wanted

from .topology_runs import fails, run, saved

TWO_LEAVES = "n[0003-0006]"
"""Two nodes of one leaf, two of the next."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return saved(tmp_path)


@pytest.fixture(autouse=True)
def outside_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)


def leaf(node: str) -> int:
    return (int(node[1:]) - 1) // 4


def lines(*words: str | Path) -> list[str]:
    done = run("rankmap", *words)
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def test_every_rank_stands_in_the_table_with_its_node_and_what_it_is(site):
    head, *rows = lines(site, "--parallel", "tp=2,pp=2,dp=2,gpus=2,objective=pipeline", "-w", TWO_LEAVES)
    assert head.split("\t") == ["RANK", "NODE", "GPU", "TP", "PP", "DP", "EP"]
    cells = [row.split("\t") for row in rows]
    assert [int(row[0]) for row in cells] == list(range(8))
    where = {(int(row[3]), int(row[4]), int(row[5])): row[1] for row in cells}
    for data in range(2):  # a pipeline stays below one leaf
        assert leaf(where[0, 0, data]) == leaf(where[0, 1, data])
    assert where[0, 0, 0] == where[1, 0, 0]  # and a tensor group on one node


def test_each_format_has_the_same_nodes_in_the_same_order(site):
    words = [site, "--parallel", "tp=2,pp=2,dp=2,gpus=2,objective=data", "-w", TWO_LEAVES]
    nodes = lines(*words, "--format", "nodes")
    assert sorted(nodes) == ["n0003", "n0004", "n0005", "n0006"]
    assert lines(*words, "--format", "tasks") == [node for node in nodes for _ in range(2)]
    assert lines(*words, "--format", "slots") == [f"{node} slots=2" for node in nodes]
    ranks = json.loads(run("rankmap", *words, "--json").stdout)
    assert [rank["node"] for rank in ranks] == [node for node in nodes for _ in range(2)]
    assert (ranks[3]["rank"], ranks[3]["gpu"], ranks[3]["tp"]) == (3, 1, 1)
    assert "8 ranks on 4 nodes of 2 GPUs" in "\n".join(lines(*words, "--format", "why"))


def test_in_a_job_the_nodes_are_those_of_the_job(site, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[0009,0011]")
    assert lines(site, "--parallel", "tp=8,dp=2", "--format", "nodes") == ["n0009", "n0011"]
    assert lines(site, "--parallel", "tp=8", "-w", "n0002", "--format", "nodes") == ["n0002"]


def test_of_another_job_squeue_says_the_nodes(site, tmp_path, monkeypatch):
    def squeue(script: str) -> None:
        (tmp_path / "squeue").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "squeue").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    squeue("""[ "$*" = "--noheader --format=%N --job=77" ] && echo 'n[0001-0002]'""")
    words = ["rankmap", site, "--parallel", "tp=8,dp=2", "--format", "nodes", "--job", "77"]
    assert run(*words).stdout.split() == ["n0001", "n0002"]
    squeue("echo")
    fails(run(*words), "job 77: it does not run")
    squeue("echo n0001; echo n0002")
    fails(run(*words), "job 77: it is several jobs")
    squeue("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    fails(run(*words), "Invalid job id specified")


def test_nodes_that_are_not_needed_and_nodes_of_no_fabric_are_said(site):
    more = run("rankmap", site, "--parallel", "tp=8,pp=2", "-w", "n[0001,0005,0006]", "--format", "nodes")
    assert more.stdout.split() == ["n0005", "n0006"]  # both below one leaf
    assert more.stderr == "hpcjobs: note: n0001 of its nodes have no rank\n"
    strange = run("rankmap", site, "--parallel", "tp=8,pp=2", "-w", "n0001,ghost", "--format", "nodes")
    assert sorted(strange.stdout.split()) == ["ghost", "n0001"]
    assert strange.stderr == "hpcjobs: note: 1 usable nodes are on no fabric that is known\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "say which nodes: --nodelist or --job"),
        (["-w", "n0001", "--job", "1"], "say --nodelist or --job"),
        (["-w", "n0001"], "16 ranks need 2 nodes of 8 GPUs; 1 are usable"),
        (["--parallel", "tp=8,zp=2", "-w", "n0001"], "'zp=2': no parallel degree"),
        (["--parallel", "tp=8,objective=fast", "-w", "n0001"], "'fast' is no objective; there are pipeline, data"),
        (["--parallel", "tp 8", "-w", "n0001"], "'tp 8' is no word with a value"),
        (["--parallel", "tp=3,dp=8,gpus=8", "-w", "n[0001-0003]"], "do not come out even with 8 GPUs"),
        (["--format", "yaml", "-w", "n0001"], "Invalid value for '--format'"),
    ],
)
def test_what_cannot_be_is_a_usage_error(site, words, complaint):
    done = run("rankmap", site, *([] if "--parallel" in words else ["--parallel", "tp=8,dp=2"]), *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert complaint in " ".join(done.stderr.split())


@pytest.mark.parametrize(("hostlist", "complaint"), [("n[1-", "is no hostlist"), (",", "--nodelist: it names no node")])
def test_a_hostlist_that_is_none_is_one_sentence(site, hostlist, complaint):
    fails(run("rankmap", site, "--parallel", "tp=8", "-w", hostlist), complaint)


def test_words_win_over_what_is_usual():
    assert wanted("tp=4,pp=2", 4) == (Request(tp=4, pp=2, gpus=4), Objective.BALANCED)
    assert wanted("tp=4,gpus=8,objective=data", 4, Objective.PIPELINE) == (Request(tp=4, gpus=8), Objective.DATA)
