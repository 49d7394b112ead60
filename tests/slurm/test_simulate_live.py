"""``hpcjobs simulate --from-live`` on real clusters: it knows how they are configured, and who starts when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.slurm.conftest import Stack
from tests.slurm.steered import SLEEP, asking, nodes_of, number_of, until

HPCJOBS: Final = str(Path(sys.executable).with_name("hpcjobs"))


def simulated(stack: Stack, home: Path) -> dict[str, Any]:
    environment = {
        **os.environ, "HPCJOBS_URL": stack.url, "HPCJOBS_TOKEN": stack.token("operator"), "HOME": str(home)
    }  # fmt: skip
    done = subprocess.run(
        [HPCJOBS, "simulate", "--from-live", "--json"], env=environment, cwd=home, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def ending(stack: Stack, nodes: int, sleep_s: int, limit_min: int) -> dict[str, Any]:
    """A job of whole nodes that ends before its limit."""
    return stack.submit(SLEEP.format(sleep_s), **asking(nodes, 8, 60 * limit_min))


def test_the_case_as_it_is_has_the_parameters_of_the_cluster(stack: Stack, tmp_path: Path) -> None:
    report = simulated(stack, tmp_path)
    (case,) = (one["case"] for one in report["cases"])
    assert (case["name"], case["placement"]) == ("as it is", "consecutive")
    settings = case["scheduler"]["settings"]
    assert (settings["bf_interval"], settings["by_clock"]) == (5, True)
    weights = {"age": 1000, "job_size": 1000, "favor_small": False, "max_age_s": 604_800}
    assert settings["priority"] == weights  # as slurm-conf/common.conf says
    assert report["assumptions"][0].startswith('The cluster is configured so: scheduler=slurm:{"bf_interval": 5')
    assert any("PriorityWeightFairshare=10000" in line for line in report["assumptions"])


def test_jobs_start_in_the_order_that_was_foretold(stack: Stack, tmp_path: Path) -> None:
    stack.run("slurmctld", "scancel --user=alice")
    until(stack, lambda: stack.run("slurmctld", "squeue -h"), lambda jobs: not jobs)
    every = nodes_of(stack)
    half = every // 2
    for sleep_s, limit_min in ((40, 1), (60, 8)):
        stack.running(ending(stack, half, sleep_s, limit_min)["id"])
    waiting = {
        "long": ending(stack, half, 5, 10),
        "large": ending(stack, every, 5, 1),
        "small": ending(stack, half, 15, 2),
    }
    numbers = {name: number_of(stack, job) for name, job in waiting.items()}
    listed = set(map(str, numbers.values()))
    told = until(
        stack, lambda: simulated(stack, tmp_path), lambda now: {one["job"] for one in now["expected"]} == listed
    )
    foretold = {one["id"]: one["starts"]["as it is"] for one in told["expected"]}
    ended = {name: stack.finished(job["id"]) for name, job in waiting.items()}
    began = {name: job["start_time"] for name, job in ended.items()}
    assert sorted(began, key=began.__getitem__) == ["small", "large", "long"]
    assert sorted(began, key=lambda name: foretold[waiting[name]["id"]]) == ["small", "large", "long"], (began, told)
