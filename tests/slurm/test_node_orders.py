"""What each way makes of an order to nodes, carried out as root: Slurm lets administrators only change nodes, and the
service's user on these clusters is an operator."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from hpcjobs.errors import Refused
from hpcjobs.model.cluster import Node
from hpcjobs.model.node_order import NodeOrder
from hpcjobs.slurm import pyslurm_orders
from hpcjobs.slurm.base import Op
from hpcjobs.slurm.cluster_commands import node_words
from hpcjobs.slurm.openapi import Reply, decode
from hpcjobs.slurm.openapi_cluster import node_of
from hpcjobs.slurm.slurm_commands import quoted
from hpcjobs.slurm.slurmrestd import SlurmrestdBackend

from .conftest import Stack
from .ways import WAYS, jwt_key

AGENT = "import json, sys; from hpcjobs.slurm.pyslurm_acting import act_nodes; act_nodes(order=json.loads(sys.argv[1]))"
"""What the pyslurm agent does with an order, in a process of root's."""

ENVIRONMENT = "SLURM_CONF=/etc/slurm/slurm.conf PYSLURM_DISABLE_AUTO_INIT=1"
PYTHON = "/opt/hpcjobs/venv/bin/python"
REASON = 'it\'s "hot"; $(touch /tmp/hpcjobs-was-here) x=y [z] größer'

Acting = Callable[[NodeOrder], Awaitable[None]]


@pytest.fixture(params=[way for way in WAYS if way not in {f"v0.0.{minor}@new" for minor in (42, 43, 44)}])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(way: str, request: pytest.FixtureRequest) -> Stack:
    stack: Stack = request.getfixturevalue(way.rpartition("@")[2])
    return stack


@contextlib.asynccontextmanager
async def as_root(way: str, cluster: Stack, folder: Path) -> AsyncIterator[Acting]:
    """Sends an order by one way, as root."""
    kind = way.partition("@")[0]
    if kind == "pyslurm":

        async def act(order: NodeOrder) -> None:
            words = [PYTHON, "-c", AGENT, json.dumps(msgspec.to_builtins(order))]
            cluster.run("hpcjobs", f"{ENVIRONMENT} {shlex.join(words)}")

        yield act
    elif kind == "ssh":

        async def act(order: NodeOrder) -> None:
            cluster.run("login", quoted(node_words(order)))

        yield act
    else:
        url = f"http://127.0.0.1:{cluster.port('slurmrestd', 6820)}"
        backend = SlurmrestdBackend(cluster.cluster, url, jwt_key(cluster, folder), "root", (kind,))
        yield backend.act_nodes
        await backend.close()


@pytest.fixture
async def act(way: str, cluster: Stack, tmp_path: Path) -> AsyncIterator[Acting]:
    async with as_root(way, cluster, tmp_path) as act:
        yield act


@pytest.fixture
def pair(cluster: Stack) -> list[str]:
    return ["c1", "c2"] if cluster.prefix == "" else ["o1", "o2"]


def nodes(cluster: Stack) -> dict[str, Node]:
    told = decode(cluster.run("slurmctld", "scontrol show nodes --json").encode(), Reply)
    return {node.name: node_of(node) for node in told.nodes}


def facts(node: Node) -> tuple[str, bool, tuple[str, ...], tuple[str, ...], str, int]:
    told = node.particulars
    return node.raw_state, node.usable, node.features, told.features_active, node.reason, told.weight


async def test_weight_and_features_leave_the_state_alone_and_the_state_them(
    act: Acting, cluster: Stack, pair: list[str]
) -> None:
    first, second = pair
    before = {name: facts(nodes(cluster)[name]) for name in pair}
    features = (*nodes(cluster)[first].features, "contract_label")
    try:
        await act(NodeOrder((first,), weight=7, features=features))
        after = nodes(cluster)
        state, usable, *_ = before[first]
        assert facts(after[first]) == (state, usable, features, features, "", 7)
        assert facts(after[second]) == before[second]
        await act(NodeOrder((first,), drain=REASON))
        drained = facts(nodes(cluster)[first])
        assert drained == (f"{state}+DRAIN", False, features, features, REASON, 7)
        await act(NodeOrder((first,), weight=3, features=before[first][2]))
        assert facts(nodes(cluster)[first]) == (*drained[:2], before[first][2], before[first][2], REASON, 3)
    finally:
        await act(NodeOrder((first,), weight=before[first][5], features=before[first][2]))
        if "DRAIN" in nodes(cluster)[first].raw_state:
            await act(NodeOrder((first,), resume=True))
    for _ in range(50):  # one that is resumed does not respond until it has answered
        if not any("NOT_RESPONDING" in nodes(cluster)[name].raw_state for name in pair):
            break
        time.sleep(0.2)  # noqa: ASYNC251
    assert {name: facts(nodes(cluster)[name]) for name in pair} == before


async def test_several_nodes_are_changed_by_one_order_and_lose_all_features_where_that_is_asked_for(
    act: Acting, way: str, cluster: Stack, pair: list[str]
) -> None:
    before = nodes(cluster)
    empty = NodeOrder(tuple(pair), features=(), weight=5)
    able = not (way.startswith("pyslurm") and pyslurm_orders.lacks(Op.NODES, empty))
    try:
        await act(empty if able else msgspec.structs.replace(empty, features=None))
        after = nodes(cluster)
        assert [after[name].particulars.weight for name in pair] == [5, 5]
        if able:
            assert [(after[name].features, after[name].particulars.features_active) for name in pair] == [((), ())] * 2
    finally:
        for name in pair:
            await act(NodeOrder((name,), weight=before[name].particulars.weight, features=before[name].features))
    assert [facts(nodes(cluster)[name]) for name in pair] == [facts(before[name]) for name in pair]


async def test_a_node_that_there_is_not_is_refused_by_slurm(act: Acting, way: str) -> None:
    order = NodeOrder(("no-such-node",), weight=2)
    if way.startswith("v"):
        with pytest.raises(Refused) as refused:
            await act(order)
        assert [(one.field, one.code) for one in refused.value.refusals] == [("nodes", "ESLURM_INVALID_NODE_NAME")]
    else:
        with pytest.raises(pytest.fail.Exception, match="Invalid node name specified"):
            await act(order)
