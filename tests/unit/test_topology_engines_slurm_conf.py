from __future__ import annotations

import pytest

from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.model import Kind, Plan, SwitchLine, Topology
from hpcjobs_plugins.topology.engines.slurm_conf import amended, fragment, read_slurm_conf, settings
from hpcjobs_plugins.topology.fabric import FabricError

FILES = {
    "slurm.conf": "ClusterName=x # a name\nInclude ../common.conf\nNodeName=DEFAULT CPUs=8\n"
    "NodeName=c[1-2],login State=FUTURE\n"
    "PartitionName=DEFAULT State=UP\nPartitionName=gpu Nodes=ALL \\\n   Default=YES\n"
    "PartitionName=cpu Nodes=c1 Topology=old # t\n",
    "../common.conf": 'SlurmUser=slurm TreeWidth=20\ntopologyplugin = "topology/flat"\n',
}

TREE = Plan(
    (Topology(switches=(SwitchLine("s1", ("c1",)), SwitchLine("s2", ("c2",)), SwitchLine("r", (), ("s1", "s2")))),)
)


def test_nodes_partitions_and_settings_are_read_through_includes():
    conf = read_slurm_conf(FILES.__getitem__)
    assert conf.nodes == ("c1", "c2", "login")
    assert conf.settings == {
        "clustername": "x",
        "slurmuser": "slurm",
        "treewidth": "20",
        "topologyplugin": "topology/flat",
    }
    assert conf.partitions["cpu"]["topology"] == "old"
    assert conf.partitions["gpu"]["default"] == "YES"
    assert list(conf.files) == list(FILES)


def test_files_that_include_each_other_are_an_error():
    with pytest.raises(FabricError, match="b: a is included in itself"):
        read_slurm_conf({"slurm.conf": "Include a", "a": "include b", "b": "Include a"}.__getitem__)


def test_nodes_that_cannot_be_read_are_an_error_with_file_and_line():
    with pytest.raises(FabricError, match=r"^slurm.conf:2: "):
        read_slurm_conf({"slurm.conf": "\nNodeName=c[1-"}.__getitem__)


def test_a_value_is_changed_where_it_stands_and_nothing_else_is():
    new = amended(FILES, {"TopologyPlugin": "topology/tree"})
    assert new == {"../common.conf": "SlurmUser=slurm TreeWidth=20\ntopologyplugin=topology/tree\n"}
    assert amended(FILES | new, {"TopologyPlugin": "topology/tree"}) == {}


def test_a_value_among_others_in_a_line_is_changed_alone():
    assert amended(FILES, {"TreeWidth": "32"}) == {
        "../common.conf": 'SlurmUser=slurm TreeWidth=32\ntopologyplugin = "topology/flat"\n'
    }


def test_a_key_that_is_nowhere_is_put_at_the_end_of_the_first_file():
    assert amended({"slurm.conf": "a=1"}, {"TopologyParam": "RoutePart"}) == {
        "slurm.conf": "a=1\nTopologyParam=RoutePart\n"
    }


def test_partitions_get_their_topology_and_lose_one_that_is_not_theirs():
    files = {"slurm.conf": "PartitionName=gpu Nodes=ALL # all\nPartitionName=cpu Topology=old Nodes=c1\n"}
    new = amended(files, {}, {"gpu": "fat"})
    assert new == {"slurm.conf": "PartitionName=gpu Nodes=ALL Topology=fat # all\nPartitionName=cpu Nodes=c1\n"}
    assert amended(new, {}, {"gpu": "fat"}) == {}
    assert amended(new, {}, {"gpu": "thin"})["slurm.conf"].startswith(
        "PartitionName=gpu Nodes=ALL Topology=thin # all\n"
    )
    assert amended(files, {}, None) == {}
    with pytest.raises(FabricError, match="there is no partition nope"):
        amended(files, {}, {"nope": "fat"})


def test_a_continued_line_that_must_change_is_left_to_people():
    with pytest.raises(FabricError, match=r"slurm.conf:6: topology of this line must be changed by hand"):
        amended(FILES, {}, {"gpu": "fat", "cpu": "old"})


def test_lines_for_slurm_conf_name_plugin_and_options():
    assert fragment(TREE, Form.CONF, params=["RoutePart", "TopoMaxSizeUnroll=5"], tree_width=50) == (
        "# slurm.conf: what belongs to the topology\n"
        "TopologyPlugin=topology/tree\nTopologyParam=RoutePart,TopoMaxSizeUnroll=5\nTreeWidth=50\n"
    )
    several = Plan((Topology("a", Kind.FLAT), Topology("b", Kind.FLAT)), {"gpu": "b"})
    assert fragment(several, Form.YAML) == (
        "# slurm.conf: what belongs to the topology\n# PartitionName=gpu ... Topology=b\n"
    )


@pytest.mark.parametrize(
    ("plan", "params", "width", "words"),
    [
        (TREE, ["RouteTrees"], 0, "no option RouteTrees"),
        (TREE, ["BlockAsNodeRank"], 0, "needs a block"),
        (Plan((Topology(kind=Kind.FLAT),)), ["RouteTree"], 0, "needs a tree"),
        (Plan((Topology(switches=TREE.default.switches[:2]),)), ["RouteTree"], 0, "reaches all nodes"),
        (TREE, [], 70_000, "TreeWidth"),
    ],
)
def test_options_that_do_not_go_with_the_plan_are_refused(plan, params, width, words):
    with pytest.raises(FabricError, match=words):
        settings(plan, Form.CONF, params=params, tree_width=width)
