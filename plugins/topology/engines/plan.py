"""What is wished for, made into a plan: which topologies a site shall be, and who uses which. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs_plugins.topology.engines.block import OLDEST, By, block
from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.model import DEFAULT, YAML_SINCE, Kind, Plan, Release, Topology
from hpcjobs_plugins.topology.engines.topology_conf import write_conf
from hpcjobs_plugins.topology.engines.topology_yaml import write_yaml
from hpcjobs_plugins.topology.engines.tree import Drawn, tree
from hpcjobs_plugins.topology.fabric import FabricError, Notice, Site


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One topology that a site shall be.

    Attributes:
        name: What partitions name it by.
        kind: Which of Slurm's plugins reads it.
        fabrics: Names of those that it is made of; empty: all.
        partitions: Names of those that use it; the first wish of a plan is for all others.
        physical: Of a tree: every switch.
        one_root: Of a tree: name of a switch above all fabrics, or ``""``.
        rest: Of a tree: name of a switch for nodes on no fabric, or ``""``.
        by: Of blocks: what makes nodes a block.
        base: Of blocks: nodes of the base block; 0: as most have.
    """

    name: str = DEFAULT
    kind: Kind = Kind.TREE
    fabrics: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    physical: bool = False
    one_root: str = ""
    rest: str = ""
    by: By = By.DOMAINS
    base: int = 0


GROUPED: Final = (Wish(),)
"""What is wished for where nobody says anything: one tree of groups."""


def make_plan(
    site: Site,
    wishes: Sequence[Wish] = GROUPED,
    *,
    nodes: Collection[str] | None = None,
    release: Release = OLDEST,
) -> Plan:
    """The plan of some wishes.

    Args:
        site: What was found.
        wishes: At least one; the first is the cluster's default.
        nodes: Names of Slurm's nodes; None: all compute hosts are.
        release: Of Slurm.

    Raises:
        FabricError: A wish cannot be, or two say something else of one partition.
    """
    if not wishes:
        raise FabricError("no topology is wished for")
    partitions: dict[str, str] = {}
    topologies: list[Topology] = []
    notices: list[Notice] = []
    for index, wish in enumerate(wishes):
        drawn = _drawn(site, wish, nodes, release)
        topologies.append(msgspec.structs.replace(drawn.topology, name=wish.name, cluster_default=not index))
        notices += drawn.notices
        for partition in wish.partitions:
            if partitions.setdefault(partition, wish.name) != wish.name:
                raise FabricError(f"partition {partition} is to use both {partitions[partition]} and {wish.name}")
    return Plan(tuple(topologies), partitions, tuple(dict.fromkeys(notices)))


def _drawn(site: Site, wish: Wish, nodes: Collection[str] | None, release: Release) -> Drawn:
    match wish.kind:
        case Kind.TREE:
            return tree(
                site,
                nodes=nodes,
                fabrics=wish.fabrics,
                physical=wish.physical,
                one_root=wish.one_root,
                rest=wish.rest,
            )
        case Kind.BLOCK:
            return block(site, by=wish.by, nodes=nodes, fabrics=wish.fabrics, base=wish.base, release=release)
        case Kind.FLAT:
            return Drawn(Topology(kind=Kind.FLAT), ())


def form_of(plan: Plan, release: Release) -> Form:
    """Which file says a plan: topology.conf as long as it can, for every release reads it."""
    several = len(plan.topologies) > 1 or bool(plan.partitions)
    return Form.YAML if several and release >= YAML_SINCE else Form.CONF


def said_in(plan: Plan, form: Form) -> Plan:
    """The plan as a controller has it that read this file: the one topology of topology.conf is called ``default``."""
    if form is Form.YAML or len(plan.topologies) != 1:
        return plan
    return msgspec.structs.replace(plan, topologies=(msgspec.structs.replace(plan.default, name=DEFAULT),))


def written(plan: Plan, form: Form) -> Mapping[str, str]:
    """Texts of the files of a plan, by name; empty for one flat topology in topology.conf, which needs no file."""
    if form is Form.YAML:
        return {Form.YAML.value: write_yaml(plan.topologies)}
    return {} if plan.default.kind is Kind.FLAT else {Form.CONF.value: write_conf(plan.default)}
