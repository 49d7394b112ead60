from __future__ import annotations

import msgspec
import pytest

from hpcjobs_plugins.topology.engines.block import By
from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.judge import judge
from hpcjobs_plugins.topology.engines.model import Kind
from hpcjobs_plugins.topology.engines.plan import Wish, form_of, make_plan, written
from hpcjobs_plugins.topology.engines.topology_yaml import read_yaml
from hpcjobs_plugins.topology.fabric import FabricError
from hpcjobs_plugins.topology.twin import Shape, fat_tree

SITE = fat_tree(Shape(16, 4, spines=2, rails=2, rail_optimised=True))


def test_without_wishes_it_is_one_tree_of_groups_in_topology_conf():
    plan = make_plan(SITE)
    assert [line.name for line in plan.default.switches] == ["leaf01-02", "leaf03-04", "leaf05-06", "leaf07-08", "ib0"]
    assert form_of(plan, (26, 5)) is Form.CONF
    assert list(written(plan, Form.CONF)) == ["topology.conf"]


def test_several_wishes_are_several_topologies_of_which_the_first_is_the_default():
    wishes = [
        Wish("fat"),
        Wish("leaves", Kind.BLOCK, by=By.LEAVES, base=4, partitions=("train",)),
        Wish("none", Kind.FLAT, partitions=("plain", "test")),
    ]
    plan = make_plan(SITE, wishes, release=(26, 5))
    assert plan.default.name == "fat"
    assert [one.cluster_default for one in plan.topologies] == [True, False, False]
    assert plan.partitions == {"train": "leaves", "plain": "none", "test": "none"}
    assert judge(plan, form_of(plan, (26, 5)), nodes=SITE.fabrics[0].hosts, release=(26, 5)) == []
    read = read_yaml(written(plan, Form.YAML)["topology.yaml"])
    assert read.findings == ()
    assert [(one.name, one.kind) for one in read.plan.topologies] == [
        ("fat", Kind.TREE),
        ("leaves", Kind.BLOCK),
        ("none", Kind.FLAT),
    ]


def test_several_topologies_for_an_old_slurm_are_refused_by_the_judge():
    plan = make_plan(SITE, [Wish("a", Kind.FLAT), Wish("b")])
    assert form_of(plan, (24, 11)) is Form.CONF
    assert [finding.code for finding in judge(plan, Form.CONF, release=(24, 11))] == ["kind-unknown"]


def test_wishes_that_cannot_be_are_errors():
    with pytest.raises(FabricError, match="no topology is wished for"):
        make_plan(SITE, [])
    with pytest.raises(FabricError, match="partition p is to use both a and b"):
        make_plan(SITE, [Wish("a", partitions=("p",)), Wish("b", partitions=("p",))])
    with pytest.raises(FabricError, match="there is no fabric ib9"):
        make_plan(SITE, [Wish(fabrics=("ib9",))])


def test_wishes_are_read_from_settings_and_what_is_none_is_refused():
    wish = msgspec.convert({"name": "nvl", "kind": "block", "by": "domains", "base": 16}, Wish)
    assert wish == Wish("nvl", Kind.BLOCK, base=16)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"nane": "x"}, Wish)


def test_a_flat_topology_needs_no_file():
    plan = make_plan(SITE, [Wish(kind=Kind.FLAT)])
    assert written(plan, Form.CONF) == {}
