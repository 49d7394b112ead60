from __future__ import annotations

import pytest

from hpcjobs.slurmconf.conf import amended, read_slurm_conf
from hpcjobs.slurmconf.lines import Unreadable

FILES = {
    "slurm.conf": "ClusterName=x # a name\nInclude ../common.conf\nNodeName=DEFAULT CPUs=8\n"
    "NodeName=c[1-2],login State=FUTURE\n"
    "PartitionName=DEFAULT State=UP\nPartitionName=gpu Nodes=ALL \\\n   Default=YES\n"
    "PartitionName=cpu Nodes=c1 Topology=old # t\n",
    "../common.conf": 'SlurmUser=slurm TreeWidth=20\ntopologyplugin = "topology/flat"\n',
}


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
    with pytest.raises(Unreadable, match="b: a is included in itself"):
        read_slurm_conf({"slurm.conf": "Include a", "a": "include b", "b": "Include a"}.__getitem__)


def test_nodes_that_cannot_be_read_are_an_error_with_file_and_line():
    with pytest.raises(Unreadable, match=r"^slurm.conf:2: "):
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
    with pytest.raises(Unreadable, match="there is no partition nope"):
        amended(files, {}, {"nope": "fat"})


def test_a_continued_line_that_must_change_is_left_to_people():
    with pytest.raises(Unreadable, match=r"slurm.conf:6: topology of this line must be changed by hand"):
        amended(FILES, {}, {"gpu": "fat", "cpu": "old"})
