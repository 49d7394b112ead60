from __future__ import annotations

import pytest

from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.model import Kind, Plan, SwitchLine, Topology
from hpcjobs_plugins.topology.engines.slurm_conf import fragment, settings
from hpcjobs_plugins.topology.fabric import FabricError

TREE = Plan(
    (Topology(switches=(SwitchLine("s1", ("c1",)), SwitchLine("s2", ("c2",)), SwitchLine("r", (), ("s1", "s2")))),)
)


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
