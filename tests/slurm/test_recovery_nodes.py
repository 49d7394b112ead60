"""Nodes fail in every way at the same time, on real Slurm: each job goes on elsewhere, and none of it runs twice.

For one release: what a node does is the same in both, and the older cluster has two nodes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.slurm.conftest import Stack
from tests.slurm.faults import (
    BEGIN_DELAY_S,
    agent_told,
    asked,
    away,
    began_from,
    begun_on,
    counting,
    decisions,
    folder_of,
    kill,
    published,
    ran_again,
    usable,
)
from tests.slurm.inside import agent_on
from tests.slurm.steered import in_use, until

MISSED_S = 22
"""So long after a job was seen at its node Slurm misses it there (BatchStartTimeout, and ten seconds)."""


class Hit(NamedTuple):
    """A job that was hit.

    Attributes:
        node: Where it ran.
        folder: Its checkpoint folder.
        job: As it ran there.
        after: As it ran again.
        at: When it was hit, Unix seconds.
    """

    node: str
    folder: str
    job: dict[str, Any]
    after: dict[str, Any]
    at: float


@pytest.fixture(scope="module")
def hits(new: Stack) -> Iterator[dict[str, Hit]]:
    """One job on each node, all hit within seconds; in the end the nodes are back."""
    usable(new)
    agent, mark = agent_on(new), uuid.uuid4().hex[:8]
    nodes = {"slurmd": "c1", "stepd": "c2", "cut": "c3", "stopped": "c4"}
    folders = {what: folder_of(f"{what}-{mark}") for what in nodes}
    with in_use(new) as put:
        put(checkpoint={})
        jobs = {
            what: begun_on(new, node, counting(agent, 2000), **asked(folders[what])) for what, node in nodes.items()
        }
        for folder in folders.values():
            until(new, partial(published, new, folder), bool)
        at = time.time()
        new.run("c1", "kill -9 $(pidof slurmd)", check=False)
        kill(new, "c2", f"slurmstepd: .{jobs['stepd']['slurm_job_id']}.batch")
        until(new, lambda: new.run("c1", "pidof slurmd", check=False), bool)
        with away(new, cut="c3", stopped="c4"):
            until(new, time.time, lambda now: now > at + MISSED_S)
            for node in ("c1", "c2"):
                new.run(node, "kill -HUP $(pidof slurmd)")  # it tells Slurm what runs there, as it does now and then
            after = {what: ran_again(new, job) for what, job in jobs.items()}
            until(new, lambda: agent_told(new, folders["cut"], 1)["exit_code"], lambda code: code is not None)
        usable(new)
        yield {what: Hit(nodes[what], folders[what], jobs[what], after[what], at) for what in nodes}


@pytest.mark.parametrize("what", ["slurmd", "stepd", "cut", "stopped"])
def test_a_job_whose_node_fails_goes_on_elsewhere_from_its_checkpoint(
    new: Stack, hits: dict[str, Hit], what: str
) -> None:
    hit = hits[what]
    assert decisions(new, hit.job) == [("node", "retry", hit.node)]
    assert hit.after["node_list"] != hit.node
    assert hit.after["start_time"] - hit.at < BEGIN_DELAY_S
    until(new, lambda: new.output(hit.job["id"]), lambda said: "attempt 2 from" in said)
    assert began_from(new, hit.job, 2) > 0


@pytest.mark.parametrize("what", ["stepd", "cut"])
def test_what_runs_on_at_a_node_that_was_given_up_is_told_that_it_was_overtaken_and_writes_no_more(
    new: Stack, hits: dict[str, Hit], what: str
) -> None:
    hit = hits[what]
    orphan = until(new, lambda: agent_told(new, hit.folder, 1), lambda told: told["exit_code"] is not None)
    assert orphan["exit_code"] == 93
    assert "the checkpoint folder" in orphan["fault"]
    # It came further than where its successor began, if it was not told at once; nothing of that counts.
    assert began_from(new, hit.job, 2) <= orphan["step"]
    kept = published(new, hit.folder)
    assert kept == sorted(kept), "its successor's checkpoints are all later ones"
    assert kept[-1].attempt == 2


@pytest.mark.parametrize("what", ["slurmd", "stepd", "cut", "stopped"])
def test_a_node_that_comes_back_ends_no_run_that_began_elsewhere(new: Stack, hits: dict[str, Hit], what: str) -> None:
    hit = hits[what]
    now = new.job(hit.job["id"])
    assert (now["state"], now["restarts"], now["node_list"]) == ("RUNNING", 1, hit.after["node_list"])
    came = agent_told(new, hit.folder, 2)
    until(new, lambda: agent_told(new, hit.folder, 2)["step"], lambda step: step > came["step"])
    assert agent_told(new, hit.folder, 2)["attempt"] == 2
