"""The topology plugin in the running service: a fabric on disk is discovered, translated, watched and placed on."""

from __future__ import annotations

import asyncio
import os
import time

import msgspec
import pytest

from hpcjobs.slurm.simulated import SimulatedBackend
from hpcjobs_plugins.topology.engines.topology_yaml import read_yaml
from hpcjobs_plugins.topology.fabric import Dump
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_texts import as_ibnetdiscover
from tests.api.bench import UnrulySlurm, on_bench, settings_of
from tests.unit.builders import node

SITE = fat_tree(Shape(hosts=16, hosts_per_leaf=4, spines=2))
LEAF = "leaf"


class Slurm(UnrulySlurm):
    """The nodes of the twin, every other of which is busy."""

    def __init__(self) -> None:
        super().__init__()
        names = [host.name for host in SITE.fabrics[0].compute]
        busy = set(names[::2])
        nodes = [
            node(name, cpus_alloc=64 if name in busy else 0, gpus_alloc={"a100": 8} if name in busy else {})
            for name in names
        ]
        SimulatedBackend.__init__(self, "big", nodes, 60.0, operators=("hpcjobs",))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The plugin as pip would install it, and the file that it reads."""
    folder = tmp_path / "site"
    info = folder / "hpcjobs_topology-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hpcjobs-topology\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[hpcjobs.plugins]\ntopology = hpcjobs_plugins.topology.plugin:PLUGIN\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr("hpcjobs.store.store.Store.upgrade", lambda _store: None)  # the copy is of the newest schema
    monkeypatch.setattr("hpcjobs.service.DISCOVER_S", 0.05)
    file = tmp_path / "fabric.ibnetdiscover"
    file.write_text(as_ibnetdiscover(dump_of(SITE)))
    return file


@pytest.fixture
async def bench(place, site):
    async with on_bench(settings_of(place), {"big": Slurm()}) as bench:
        await bench.tick()
        yield bench


async def use(bench, file, **settings):
    cluster = {"sources": [{"reader": "ibnetdiscover", "source": {"path": str(file)}}]}
    own = {"clusters": {"big": cluster}, "period_s": 0.3, "timeout_s": 20.0, **settings}
    wanted = {"plugins": [{"name": "topology", "timeout_s": 20.0, "settings": own}]}
    answer = await bench.call("PUT", "/v1/plugins", "boss", json=wanted)
    assert answer.status_code == 200, answer.text


async def findings(bench):
    params, page = {"kind": "plugin.finding", "after": 0}, {"Accept": "application/json"}
    answer = await bench.call("GET", "/v1/events", "ops", params=params, headers=page)
    return [one["data"] for one in answer.json()["items"]]


async def soon(condition, timeout_s=60.0):
    give_up = time.monotonic() + timeout_s
    while True:
        value = await condition()
        if value or time.monotonic() > give_up:
            return value
        await asyncio.sleep(0.1)


async def files(bench):
    found = (await bench.get("/v1/clusters/big/configuration", "ops")).json()
    return {one["name"]: one["text"] for one in found}


async def test_what_is_discovered_becomes_a_topology_of_the_clusters_nodes(bench, site):
    await use(bench, site)
    written = await soon(lambda: files(bench))
    read = read_yaml(written["topology.yaml"])
    (topology,) = read.plan.topologies
    assert topology.nodes == frozenset(SITE.fabrics[0].hosts)
    assert sorted(len(line.nodes) for line in topology.switches if line.nodes) == [4, 4, 4, 4]
    assert await findings(bench) == []


def without_leaf(dump: Dump) -> Dump:
    """The same after a leaf was switched off."""
    (leaf,) = [guid for guid, chip in dump.chips.items() if chip.description.startswith(f"MF0;{LEAF}") and "01" in
        chip.description.partition(":")[0]][:1]  # fmt: skip
    cables = tuple(cable for cable in dump.cables if leaf not in (cable.a, cable.b))
    chips = {guid: chip for guid, chip in dump.chips.items() if guid != leaf}
    cabled = {end for cable in cables for end in (cable.a, cable.b)}
    adapters = {guid: one for guid, one in dump.adapters.items() if guid in cabled}
    return msgspec.structs.replace(dump, chips=chips, adapters=adapters, cables=cables)


@pytest.mark.thorough
async def test_a_leaf_that_goes_and_comes_back_is_told_within_a_discovery_each(bench, site):
    await use(bench, site)
    await soon(lambda: files(bench))
    whole = site.read_text()
    site.write_text(as_ibnetdiscover(without_leaf(dump_of(SITE))))
    gone = await soon(lambda: findings(bench))
    assert len(gone) == 1, gone
    assert (gone[0]["plugin"], gone[0]["code"]) == ("topology", "switch-gone")
    site.write_text(whole)

    async def both():
        return len(await findings(bench)) > 1

    assert await soon(both)
    assert (await findings(bench))[1]["code"] == "switch-came"


@pytest.mark.thorough
async def test_a_source_that_cannot_be_read_is_told_with_its_line_and_what_was_known_stays(bench, site):
    await use(bench, site)
    before = await soon(lambda: files(bench))
    lines = site.read_text().splitlines()
    site.write_text("\n".join(lines[: len(lines) // 2]))
    told = await soon(lambda: findings(bench))
    assert told[0]["code"] == "discovery-failed"
    assert str(site) in told[0]["text"]
    assert await files(bench) == before


async def test_a_training_is_placed_on_idle_nodes_in_the_order_of_its_ranks(bench, site):
    await use(bench, site)
    await soon(lambda: files(bench))
    idle = {one.name for one in bench.observer.view.nodes.values() if not one.cpus_alloc}
    answer = await bench.post(parallel="tp=8,pp=2,dp=2,objective=pipeline", name="train")
    assert answer.status_code == 201, answer.text
    (entry,) = [one for one in bench.slurm._jobs.values() if one.record.name == "train"]
    spec = entry.spec
    ranks = spec.environment["HPCJOBS_RANK_NODES"].split(",")
    assert len(ranks) == 4
    assert set(ranks) <= idle
    leaf_of = {host.name: host.leaves for host in SITE.fabrics[0].compute}
    assert leaf_of[ranks[0]] == leaf_of[ranks[2]], "stages of one pipeline are below one leaf"
    assert (spec.resources.nodes, spec.resources.switches) == (4, 2)


@pytest.mark.thorough
async def test_what_cannot_be_placed_is_refused_or_left_to_slurm_with_the_reason(bench, site):
    refused = await bench.post(parallel="tp=8")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "no-placement")
    await use(bench, site)
    await soon(lambda: files(bench))
    bad = await bench.post(parallel="tp=7,dp=2")
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "parallel")
    odd = await bench.post(parallel="tp:8")
    assert (odd.status_code, odd.json()["errors"][0]["field"]) == (422, "parallel")
    large = await bench.call("POST", "/v1/jobs/validate", json={"script": "#!/bin/sh\n", "parallel": "tp=8,dp=12"})
    assert "12 idle nodes of 8 GPUs are needed and 8 are there" in large.json()["placement"]["why"]
    ordered = await bench.call(
        "POST",
        "/v1/jobs/validate",
        json={"script": "#!/bin/sh\n", "parallel": "tp=8,dp=2", "resources": {"nodelist": "n[0001,0003]"}},
    )
    assert sorted(set(ordered.json()["placement"]["ranks"])) == ["n0001", "n0003"], "busy, but asked for by name"
