"""The clusters themselves are what the documentation says."""

from __future__ import annotations

import json
import subprocess
import time

import docker
import httpx
import pytest

from tests.slurm.conftest import PROJECT, Stack

VERSIONS = {"slurm2605": "26.05", "slurm2411": "24.11"}
NODES = {
    "slurm2605": {"c1": "a100", "c2": "a100", "c3": "h100", "c4": "h100"},
    "slurm2411": {"o1": "a100", "o2": "h100"},
}


def test_slurm_is_of_the_series_that_the_cluster_is_named_for(stack: Stack) -> None:
    assert stack.run("slurmctld", "slurmctld -V").split()[1].startswith(VERSIONS[stack.cluster])
    assert stack.said("slurmctld", "scontrol show config | sed -n 's/^ClusterName *= //p'").strip() == stack.cluster


def test_every_node_has_eight_gpus_of_its_type_backed_by_device_files(stack: Stack) -> None:
    nodes = json.loads(stack.said("slurmctld", "scontrol show nodes --json"))["nodes"]
    assert {node["name"]: node["gres"].split("(")[0] for node in nodes} == {
        name: f"gpu:{kind}:8" for name, kind in NODES[stack.cluster].items()
    }
    said = stack.as_user("alice", "srun -N2 --ntasks-per-node=1 --gres=gpu:8 bash -c 'ls /dev/fakegpu* | wc -l'")
    assert said.split() == ["8", "8"]


def test_partitions_and_accounts_are_there(stack: Stack) -> None:
    assert set(stack.as_user("alice", "sinfo -h -o %R").split()) == {"gpu", "debug"}
    said = stack.said("slurmctld", "sacctmgr -nP show assoc format=account,user where user=alice,bob,carol,dave")
    seeded = {line for line in said.split() if not line.startswith("quota-")}  # those are of tests
    assert seeded == {"vision|alice", "vision|bob", "climate|carol", "climate|dave"}


def test_home_and_scratch_are_the_same_on_login_compute_and_service(stack: Stack, name: str) -> None:
    for folder in ("/home/alice", "/scratch"):
        stack.as_user("alice", f"echo {name} > {folder}/{name}")
        assert stack.as_user("alice", f"srun cat {folder}/{name}").strip() == name
        assert stack.said("hpcjobs", f"cat {folder}/{name}").strip() == name
        stack.as_user("alice", f"rm {folder}/{name}")
    assert stack.said("login", "stat -c '%U %a' /home/alice").split() == ["alice", "700"]


@pytest.mark.parametrize("user", ["alice", "bob", "carol", "dave"])
def test_users_log_in_by_key_with_the_host_key_checked(stack: Stack, user: str) -> None:
    old = ["--old"] if stack.prefix else []
    done = subprocess.run(
        ["scripts/cluster", "ssh", *old, user, "id -un; sinfo -h -o %R"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == {user, "gpu", "debug"}


def test_slurmrestd_knows_a_user_by_token_and_nobody_without(stack: Stack) -> None:
    token = stack.run("slurmctld", "scontrol token username=alice lifespan=600").strip().removeprefix("SLURM_JWT=")
    port = stack.container("slurmrestd").attrs["NetworkSettings"]["Ports"]["6820/tcp"][0]["HostPort"]
    url = f"http://127.0.0.1:{port}/slurm/v0.0.42/jobs/"
    headers = {"X-SLURM-USER-NAME": "alice", "X-SLURM-USER-TOKEN": token}
    assert httpx.get(url, headers=headers, timeout=30).status_code == 200
    assert httpx.get(url, timeout=30).status_code == 401


def test_nothing_is_privileged_and_ports_are_on_loopback(engine: docker.DockerClient) -> None:
    containers = engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={PROJECT}"})
    assert len(containers) >= 19
    for container in containers:
        settings = container.attrs["HostConfig"]
        assert settings["Privileged"] is False, container.name
        bindings = [binding for port in (settings["PortBindings"] or {}).values() for binding in port or []]
        assert {binding["HostIp"] for binding in bindings} <= {"127.0.0.1"}, container.name
        assert container.attrs["State"]["Health"], container.name


def process_table(stack: Stack) -> list[tuple[str, str, int]]:
    """Of the service's container: command, user and effective capabilities."""
    script = (
        "for p in /proc/[0-9]*; do printf '%s\\t%s\\t%s\\n' $(stat -c %U $p) "
        "$(sed -n 's/^CapEff:\\t//p' $p/status) \"$(tr '\\0' ' ' < $p/cmdline)\"; done 2>/dev/null; true"
    )
    rows = [line.split("\t") for line in stack.run("hpcjobs", script).splitlines() if line.count("\t") == 2]
    # A process that ended while it was looked at has no capabilities to read.
    return [(command, user, int(capabilities, 16)) for user, capabilities, command in rows if capabilities]


def test_the_api_process_is_unprivileged_and_the_spawner_has_few_capabilities(stack: Stack) -> None:
    chown, dac_override, kill, setgid, setuid = 1 << 0, 1 << 1, 1 << 5, 1 << 6, 1 << 7
    expected = ([("hpcjobs", 0)], [chown | dac_override | kill | setgid | setuid])
    for _ in range(20):
        table = process_table(stack)
        server = [(user, caps) for command, user, caps in table if "hpcjobs serve" in command]
        spawner = [caps for command, user, caps in table if "hpcjobs.spawner" in command and user == "root"]
        assert set(server) == set(expected[0])
        assert set(spawner) == set(expected[1])
        if (server, spawner) == expected:  # one that was just forked looks like its parent for a moment
            break
        time.sleep(0.5)
    assert (server, spawner) == expected


def test_pyslurm_is_there_where_it_builds_and_the_service_says_why_where_it_does_not(stack: Stack) -> None:
    report = stack.run("hpcjobs", "head -c 300 /opt/hpcjobs/pyslurm-build.txt")
    logs = stack.container("hpcjobs").logs().decode()
    if stack.backend == "pyslurm":
        assert "built against Slurm 26.05" in report
        assert "cluster slurm2605 through pyslurm" in logs
    else:
        assert "does not build against Slurm 24.11" in report
        assert "no pyslurm here, going by slurmrestd" in logs
        assert "does not build against Slurm 24.11" in logs


def test_the_second_service_keeps_its_jobs_in_postgresql(old: Stack, name: str) -> None:
    job = old.submit("#!/bin/bash\ntrue\n", name=name, hold=True)
    database = Stack(old.engine, old.cluster, "", old.backend)  # its container has no prefix
    rows = database.run(
        "postgres", f'su postgres -c "psql -At hpcjobs -c \\"select id from jobs where name=\'{name}\'\\""'
    )
    with old.api() as api:
        api.delete(f"/v1/jobs/{job['id']}")
    assert rows.split() == [job["id"]]
