"""The topology plugin passes what every plugin must pass."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from hpcjobs.conformance import HELLO, NOW, SPECS, VIEW, PluginConformance
from hpcjobs.model.placement import Placement
from hpcjobs.model.spec import JobSpec
from hpcjobs_plugins.topology.hooks import Topology
from hpcjobs_plugins.topology.plugin import PLUGIN
from hpcjobs_plugins.topology.settings import OfCluster, Settings
from hpcjobs_plugins.topology.twin import Shape, dump_of, fat_tree
from hpcjobs_plugins.topology.twin_texts import as_ibnetdiscover

SOURCE = {"reader": "ibnetdiscover", "source": {"path": "/no/such/file"}}


class TestTopology(PluginConformance):
    plugin = PLUGIN
    settings: ClassVar[dict[str, Any]] = {"clusters": {"alpha": {"sources": [SOURCE]}}}


def test_a_state_that_cannot_be_read_is_none_and_the_next_discovery_is_the_first(tmp_path):
    file = tmp_path / "fabric"
    file.write_text(as_ibnetdiscover(dump_of(fat_tree(Shape(hosts=8, hosts_per_leaf=4, spines=2)))))
    of = msgspec.convert({"sources": [{"reader": "ibnetdiscover", "source": {"path": str(file)}}]}, OfCluster)
    topology = Topology(Settings({"alpha": of}))
    first = topology.discover("alpha", None, NOW)
    for state in (b"garbage", b"\xa1\xff", msgspec.msgpack.encode({"fabrics": 1})):
        topology.remember("alpha", state)
        assert topology.sites == {}
        assert topology.discover("alpha", state, NOW) == first


def test_it_places_the_jobs_of_the_conformance_tests_once_it_knows_a_fabric(tmp_path):
    file = tmp_path / "fabric"
    names = {f"n{number:04}": f"n{number}" for number in range(1, 9)}
    text = as_ibnetdiscover(dump_of(fat_tree(Shape(hosts=8, hosts_per_leaf=4, spines=2))))
    for long, short in names.items():
        text = text.replace(long, short)
    file.write_text(text)
    of = msgspec.convert({"sources": [{"reader": "ibnetdiscover", "source": {"path": str(file)}}]}, OfCluster)
    topology = Topology(Settings({"alpha": of}))
    found = topology.discover("alpha", None, NOW)
    assert found is not None
    topology.remember("alpha", found.state)
    placed = [topology.place(spec, VIEW) for spec in SPECS]
    assert [isinstance(one, Placement) for one in placed] == [spec.parallel is not None for spec in SPECS]
    idle = {name for name, node in VIEW.nodes.items() if not node.cpus_alloc}
    assert all(set(one.nodes or ()) <= idle for one in placed if isinstance(one, Placement))
    assert topology.discover("beta", None, NOW) is None


def test_where_a_block_topology_would_let_a_job_wait_on_every_idle_node_slurm_chooses():
    of = msgspec.convert({"sources": [SOURCE], "translation": {"shape": "leaf-block"}}, OfCluster)
    topology = Topology(Settings({"alpha": of}))
    site = fat_tree(Shape(hosts=8, hosts_per_leaf=4, spines=2))
    topology.remember("alpha", msgspec.msgpack.encode(site))
    one = next(node for node in VIEW.nodes.values() if not node.cpus_alloc)
    job = JobSpec(HELLO, parallel="tp=8,dp=4")
    for idle, chosen in (((1, 2, 5, 6), False), ((1, 2, 3, 4, 5, 6), True)):  # four nodes are of one block of four
        names = [f"n{number:04}" for number in idle]
        nodes = {name: msgspec.structs.replace(one, name=name) for name in names}
        placed = topology.place(job, msgspec.structs.replace(VIEW, nodes=nodes))
        assert isinstance(placed, Placement)
        assert (placed.avoid is not None) == (placed.ranks is not None) == chosen
        assert ("Slurm chooses when it can" in placed.why) == (not chosen)
        if chosen:
            assert set(placed.ranks or ()) == set(names[:4])
