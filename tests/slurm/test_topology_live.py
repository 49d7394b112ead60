"""A fabric that lives: ibsim in the service's container, Debian's ibnetdiscover asked by the plugin's discovery."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hpcjobs_plugins.topology.engines.topology_yaml import read_yaml
from tests.slurm.conftest import Stack

CABLES = (
    ("leaf01", 1, "c1 HCA-1", 1), ("leaf01", 2, "c2 HCA-1", 1), ("leaf01", 7, "spine01", 1),
    ("leaf02", 1, "c3 HCA-1", 1), ("leaf02", 2, "c4 HCA-1", 1), ("leaf02", 3, "admin HCA-1", 1),
    ("leaf02", 7, "spine01", 2),
)  # fmt: skip


def net() -> str:
    """The fabric as ibsim reads it: every cable at both of its ends."""
    ends: dict[str, list[str]] = {}
    for a, a_port, b, b_port in CABLES:
        ends.setdefault(a, []).append(f'[{a_port}] "{b}"[{b_port}]')
        ends.setdefault(b, []).append(f'[{b_port}] "{a}"[{a_port}]')
    blocks = [
        "\n".join((f'{"Hca 1" if "HCA" in name else "Switch 8"} "{name}"', *lines)) for name, lines in ends.items()
    ]
    return "\n\n".join(blocks) + "\n"


PRELOAD = "/usr/lib/x86_64-linux-gnu/umad2sim/libumad2sim.so"
PERIOD_S = 3.0
TAKES_S = 60.0
LATE_S = 10.0
COMMAND = ["env", f"LD_PRELOAD={PRELOAD}", "SIM_HOST=admin HCA-1", "ibnetdiscover"]


class Fabric:
    """ibsim, with the end of a pipe for its console."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.folder = "/tmp/ibsim"
        text = shlex.quote(net())
        stack.run(
            "hpcjobs",
            f"rm -rf {self.folder}; mkdir -m 755 {self.folder}; cd {self.folder}; printf %s {text} > fabric.net; "
            "mkfifo console; (setsid sleep 600 > console & echo $! > holder); "
            "(setsid ibsim -s -P 64 fabric.net < console > log 2>&1 & echo $! > pid)",
        )

    def say(self, line: str) -> None:
        self.stack.run("hpcjobs", f"echo {shlex.quote(line)} > {self.folder}/console")

    def end(self) -> None:
        self.stack.run("hpcjobs", f"cd {self.folder} && kill $(cat pid holder); rm -rf {self.folder}", check=False)


@pytest.fixture
def fabric(new: Stack) -> Iterator[Fabric]:
    fabric = Fabric(new)
    yield fabric
    fabric.end()


def call(stack: Stack, method: str, path: str, user: str = "admin", **more: Any) -> Any:
    with stack.api(user) as api:
        answer = api.request(method, path, **more)
    assert answer.is_success, answer.text
    return answer.json()


@pytest.fixture
def plugin(new: Stack, fabric: Fabric) -> Iterator[Stack]:
    """The plugin in use, and what was in use before afterwards."""
    before = call(new, "GET", "/v1/plugins")["plugins"]
    source = {"reader": "ibnetdiscover", "source": {"command": COMMAND, "timeout_s": 60.0}}
    settings = {"clusters": {"slurm2605": {"sources": [source], "nodes": "c[1-4]"}}, "period_s": PERIOD_S}
    wanted = [{"name": "topology", "timeout_s": 30.0, "settings": settings}]
    call(new, "PUT", "/v1/plugins", json={"plugins": wanted})
    yield new
    names = ("name", "required", "timeout_s", "settings")
    call(new, "PUT", "/v1/plugins", json={"plugins": [{name: one[name] for name in names} for one in before]})


def soon(what: Callable[[], Any], within_s: float = 90) -> Any:
    give_up = time.monotonic() + within_s
    while not (value := what()) and time.monotonic() < give_up:
        time.sleep(0.2)
    return value


def files(stack: Stack) -> dict[str, str]:
    found = call(stack, "GET", "/v1/clusters/slurm2605/configuration")
    return {one["name"]: one["text"] for one in found}


def last_event(stack: Stack) -> int:
    with stack.api("admin") as api:
        found = api.get("/v1/events", params={"after": 0, "limit": 1000}, headers={"Accept": "application/json"}).json()
        while found["more"]:
            params = {"after": found["next_after"], "limit": 1000}
            found = api.get("/v1/events", params=params, headers={"Accept": "application/json"}).json()
    return int(found["next_after"])


def told(stack: Stack, after: int) -> list[tuple[str, str]]:
    return [(one["data"]["code"], one["data"]["subject"]) for one in findings(stack, after)]


def findings(stack: Stack, after: int) -> list[dict[str, Any]]:
    """Events of discoveries; each has the time at which its discovery began."""
    params, page = {"after": after, "kind": "plugin.finding"}, {"Accept": "application/json"}
    return list(call(stack, "GET", "/v1/events", params=params, headers=page)["items"])


def test_a_leaf_that_is_unlinked_and_relinked_is_told_within_one_discovery_period_each(
    plugin: Stack, fabric: Fabric
) -> None:
    found = soon(lambda: files(plugin))
    (topology,) = read_yaml(found["topology.yaml"]).plan.topologies
    assert {line.nodes for line in topology.switches if line.nodes} == {("c1", "c2"), ("c3", "c4")}
    begin = last_event(plugin)
    unlinked_at = time.time()
    fabric.say('unlink "leaf01"')
    # One period until the next discovery begins, and what it takes on a busy machine.
    gone = soon(lambda: told(plugin, begin), PERIOD_S + TAKES_S)
    assert gone == [("switch-gone", "leaf01")]
    relinked_at = time.time()
    fabric.say('relink "leaf01"')
    back = soon(lambda: told(plugin, begin)[1:], PERIOD_S + TAKES_S)
    assert back == [("switch-came", "leaf01")]
    # The discovery that told of it began within a period, and as much as a busy machine is late.
    began = [one["at"] for one in findings(plugin, begin)]
    assert began[0] - unlinked_at <= PERIOD_S + LATE_S
    assert began[1] - relinked_at <= PERIOD_S + LATE_S


def test_the_ranks_of_a_training_stand_where_the_placement_put_them(plugin: Stack, name: str) -> None:
    assert soon(lambda: files(plugin))
    script = "#!/bin/bash\nsrun --label hostname\n"
    wanted = {"nodes": 4, "ntasks_per_node": 1, "gpus_per_node": "8", "wall_s": 60}
    job = plugin.submit(script, name=name, parallel="tp=8,pp=2,dp=2,objective=pipeline", resources=wanted)
    done = plugin.finished(job["id"])
    assert done["fate"] == "COMPLETED", plugin.output(job["id"])
    lines = dict(line.split(": ") for line in plugin.output(job["id"]).split("\n") if line)
    placed = [lines[str(rank)] for rank in range(4)]
    leaf = {"c1": 1, "c2": 1, "c3": 2, "c4": 2}
    assert sorted(placed) == ["c1", "c2", "c3", "c4"]
    assert (leaf[placed[0]], leaf[placed[1]]) == (leaf[placed[2]], leaf[placed[3]]), placed
    assert leaf[placed[0]] != leaf[placed[1]], placed


def test_place_says_on_the_command_line_where_and_why(plugin: Stack) -> None:
    assert soon(lambda: files(plugin))
    code, out, err = plugin.typed("hpcjobs place tp=8,pp=2,dp=2,objective=pipeline --dry-run")
    assert code == 0, err
    assert re.search(r"32 ranks on 4 nodes of 8 GPUs", out), out
    code, out, err = plugin.typed("hpcjobs place tp=8,dp=2 --nodelist c2,c3 --hostfile")
    assert (code, sorted(set(out.split()))) == (0, ["c2", "c3"]), err
    code, out, err = plugin.typed("hpcjobs place tp=5,dp=2")
    assert (code, out) == (1, "")
    assert err.startswith("hpcjobs: error: "), err
