"""The sampler on a node of a real cluster: whose the devices are it learns there, and the service then knows how busy
they were. There is no GPU here: a command stands in for nvidia-smi and prints what was recorded of one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from hpcjobs.sbatch.hostlists import expand_hostlist
from tests.slurm.conftest import Stack
from tests.slurm.steered import until

NODE = {"slurm2605": "c1", "slurm2411": "o1"}
"""Compose calls both c1."""
PACKAGES = ("hpcjobs", "msgspec", "click", "httpx", "httpcore", "h11", "idna", "certifi", "anyio", "rich", "pygments")
FEED = """#!/bin/sh
echo 'index, uuid, name, utilization.gpu [%], memory.used [MiB], power.draw [W]'
i=0
for busy in 90 10 70 30 0 0 0 0; do
  echo "$i, GPU-feed-$i, NVIDIA A100-SXM4-40GB, $busy %, 1024 MiB, $((100 + busy)).00 W"
  i=$((i + 1))
done
"""
SMI = "/opt/feed/nvidia-smi"
BUSY = (0.9, 0.1, 0.7, 0.3, 0, 0, 0, 0)


def site(stack: Stack) -> str:
    """Where the service has its packages."""
    return stack.said("hpcjobs", "ls -d /opt/hpcjobs/venv/lib/python3*/site-packages").strip()


def bring(stack: Stack, paths: Iterable[str], folder: str = "") -> None:
    """Bring files of the service to a node, to the same place or into a folder."""
    for path in paths:
        stream, _ = stack.container("hpcjobs").get_archive(path)
        into = folder or str(PurePosixPath(path).parent)
        stack.run("c1", f"mkdir -p {into}")
        assert stack.container("c1").put_archive(into, b"".join(stream))


def sample(stack: Stack, node: str, options: str, check: bool = True) -> str:
    token = stack.run("hpcjobs", "hpcjobs token operator --scope samples:write", user="hpcjobs").strip()
    where = f"PATH=/opt/feed:$PATH HPCJOBS_URL=http://hpcjobs:8080 HPCJOBS_TOKEN={token}"
    return stack.run(node, f"{where} /opt/hpcjobs/venv/bin/hpcjobs sample {options}", check=check)


@pytest.fixture
def job(stack: Stack) -> Iterator[dict[str, Any]]:
    node = NODE[stack.cluster]
    told = stack.submit(
        "#!/bin/sh\nsrun sleep 300\n", name="sampled", resources={"gpus": 2, "wall_s": 600, "nodelist": node}
    )
    stack.running(told["id"])
    yield stack.job(told["id"])
    with stack.api() as api:
        api.delete(f"/v1/jobs/{told['id']}")


@pytest.mark.parametrize("stack", ["new"], indirect=True)
def test_how_busy_the_gpus_of_a_job_were_is_known_of_the_real_node(stack, job):
    packages = [f"{site(stack)}/{name}" for name in PACKAGES]
    modules = stack.said("hpcjobs", f"ls {site(stack)}/*.py").split()
    bring(stack, ["/opt/hpcjobs/venv/bin", "/opt/hpcjobs/venv/pyvenv.cfg", *packages, *modules])
    stack.run("c1", f"mkdir -p /opt/feed; printf %s {shlex.quote(FEED)} >{SMI} && chmod +x {SMI}")
    keep = f"--keep /tmp/samples-{job['slurm_job_id']}"

    def mine() -> list[int]:
        lines = [line.split() for line in sample(stack, "c1", "--once").splitlines()]
        return [int(words[0]) for words in lines if words[-1] == str(job["slurm_job_id"])]

    # A job is running before slurmd has started its first process.
    devices = until(stack, mine, lambda found: len(found) == 2, 20)
    # Killed where it stands, and begun anew.
    sample(stack, "c1", f"--cluster {stack.cluster} --every 1 --for 60 {keep} & sleep 6; kill -9 $!", check=False)
    said = sample(stack, "c1", f"--cluster {stack.cluster} --every 1 --for 5 {keep} 2>&1")
    assert "kept for now" not in said
    assert stack.run("c1", f"ls {keep.split()[1]}") == "open.json\n"
    busy = sum(BUSY[device] for device in devices) / 2

    def runs() -> list[dict[str, Any]]:
        with stack.api() as api:
            return list(api.get(f"/v1/jobs/{job['id']}/usage").json()["runs"])

    (run,) = until(stack, runs, lambda found: bool(found) and found[0]["gpu_busy"] is not None)
    assert run["gpu_busy"] == pytest.approx(busy)
    assert sum(use["devices"] for use in run["gpus"]) == 2
    asked = {"period": "1d", "measures": "gpu_busy,gpu_hours_idle", "by": "node,user", "node": "c1"}
    with stack.api() as api:
        rows = api.get("/v1/reports/idle", params=asked).json()["rows"]
    (row,) = [row for row in rows if row[:2] == ["c1", "alice"]]
    assert 0 < row[3] < 1


@pytest.mark.parametrize("stack", ["new", "old"], indirect=True)
def test_the_processes_of_a_node_say_whose_its_devices_are(stack, job):
    bring(stack, [f"{site(stack)}/hpcjobs"], "/tmp/source")
    code = (
        "import json; from hpcjobs.cli.sampler import whose; print(json.dumps(whose.jobs_by_device(whose.processes())))"
    )
    had = stack.said("slurmctld", f"scontrol show job -d {job['slurm_job_id']} | grep -o 'IDX:[0-9,-]*' | head -1")

    def mine() -> set[str]:
        told = json.loads(stack.said("c1", f"PYTHONPATH=/tmp/source python3 -c {shlex.quote(code)}"))
        return {index for index, jobs in told.items() if job["slurm_job_id"] in jobs}

    # A job is running before slurmd has started its first process.
    indices = set(expand_hostlist(f"[{had.strip().removeprefix('IDX:')}]"))
    until(stack, mine, lambda found: found == indices, 20)
