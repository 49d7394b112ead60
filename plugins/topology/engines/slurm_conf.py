"""slurm.conf: what of it belongs to the topology. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.model import Kind, Plan, reached
from hpcjobs_plugins.topology.fabric import FabricError

PLUGINS: Final[Mapping[Kind, str]] = {
    Kind.TREE: "topology/tree",
    Kind.BLOCK: "topology/block",
    Kind.FLAT: "topology/default",
}
"""TopologyPlugin, by kind; for a flat one the word that every release knows."""

PARAMS: Final = frozenset(
    {"dragonfly", "routepart", "routetree", "switchasnoderank", "blockasnoderank", "topooptional", "topomaxsizeunroll"}
)
"""Options of TopologyParam that slurm.conf(5) of 24.11 to 26.05 has, in small letters."""

WIDEST: Final = 65_533
"""The largest TreeWidth."""


def settings(plan: Plan, form: Form, *, params: Sequence[str] = (), tree_width: int = 0) -> dict[str, str]:
    """What slurm.conf must say for a plan, by key; what Slurm makes no use of beside topology.yaml is left out.

    Args:
        plan: What Slurm shall know.
        form: Which file says it.
        params: Options of TopologyParam, as ``RoutePart`` or ``RouteTree``; empty: TopologyParam stays as it is.
        tree_width: Fan-out of messages to nodes; 0: stays as it is.

    Raises:
        FabricError: An option is none, or does not go with the plan.
    """
    said = {"TopologyPlugin": PLUGINS[plan.default.kind]} if form is Form.CONF else {}
    named = [param.partition("=")[0].lower() for param in params]
    for param, word in zip(params, named, strict=True):
        if word not in PARAMS:
            raise FabricError(f"TopologyParam has no option {param}")
    needs = {"routetree": Kind.TREE, "switchasnoderank": Kind.TREE, "blockasnoderank": Kind.BLOCK}
    for word, kind in needs.items():
        if word in named and plan.default.kind is not kind:
            raise FabricError(f"{params[named.index(word)]} needs a {kind} as the default topology of the cluster")
    if "routetree" in named and plan.default.nodes not in reached(plan.default.switches).values():
        raise FabricError("RouteTree needs a switch that reaches all nodes: messages could not get to some")
    if params:
        said["TopologyParam"] = ",".join(params)
    if not 0 <= tree_width <= WIDEST:
        raise FabricError(f"TreeWidth is a number from 1 to {WIDEST}, not {tree_width}")
    if tree_width:
        said["TreeWidth"] = str(tree_width)
    return said


def fragment(plan: Plan, form: Form, *, params: Sequence[str] = (), tree_width: int = 0) -> str:
    """Lines for slurm.conf, for who puts them there by hand. Arguments and errors as of ``settings``."""
    said = [f"{key}={value}" for key, value in settings(plan, form, params=params, tree_width=tree_width).items()]
    said += [f"# PartitionName={partition} ... Topology={topology}" for partition, topology in plan.partitions.items()]
    return "\n".join(["# slurm.conf: what belongs to the topology", *said]) + "\n"
