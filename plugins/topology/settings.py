"""What an admin says of a cluster's fabrics: where they are asked, how things are named, what Slurm is told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs_plugins.topology.engines.block import By
from hpcjobs_plugins.topology.engines.findings import Form
from hpcjobs_plugins.topology.engines.model import Kind, Plan, Release
from hpcjobs_plugins.topology.engines.plan import Wish, make_plan
from hpcjobs_plugins.topology.fabric import Site
from hpcjobs_plugins.topology.gathering import Feed
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.placement.default import Slurm


class Shape(StrEnum):
    """What the topology of Slurm is made of."""

    TREE = "tree"  # groups of hosts that share their leaves, under a root for each fabric
    PHYSICAL = "physical"  # every switch
    BLOCK = "block"  # NVLink domains
    LEAF_BLOCK = "leaf-block"  # groups of hosts that share their leaves, as blocks


class Translation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a fabric becomes a topology of Slurm.

    Attributes:
        shape: What it is made of.
        form: Which file says it.
        fabrics: Names of those that are translated; empty: all.
        base: Nodes of a block; 0: as most blocks have.
        one_root: Of a tree: name of a switch above all fabrics, so that a job may span them; ``""``: none.
        rest: Of a tree: name of a switch for nodes that are on no fabric; ``""``: they are in none.
        release: Series of the Slurm that reads it, as ``[26, 5]``.
        others: Further topologies beside it in topology.yaml, and which partitions use each.
    """

    shape: Shape = Shape.TREE
    form: Form = Form.YAML
    fabrics: tuple[str, ...] = ()
    base: Annotated[int, msgspec.Meta(ge=0)] = 0
    one_root: str = ""
    rest: str = ""
    release: Release = (26, 5)
    others: tuple[Wish, ...] = ()

    def plan(self, site: Site, nodes: frozenset[str] | None) -> Plan:
        """What Slurm shall know of a site.

        Args:
            site: What was found.
            nodes: Names of Slurm's nodes; None: all compute hosts are.

        Raises:
            FabricError: There is nothing to translate, or two topologies say something else of one partition.
        """
        wish = Wish(
            kind=Kind.TREE if self.shape in (Shape.TREE, Shape.PHYSICAL) else Kind.BLOCK,
            fabrics=self.fabrics,
            physical=self.shape is Shape.PHYSICAL,
            one_root=self.one_root,
            rest=self.rest,
            by=By.LEAVES if self.shape is Shape.LEAF_BLOCK else By.DOMAINS,
            base=self.base,
        )
        return make_plan(site, (wish, *self.others), nodes=nodes, release=self.release)

    @property
    def slurm(self) -> Slurm:
        """What Slurm knows of the fabric, for a placement."""
        return Slurm.TREE if self.shape in (Shape.TREE, Shape.PHYSICAL) else Slurm.BLOCK


class OfCluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fabrics of a cluster.

    Attributes:
        sources: Who is asked.
        naming: How hosts and fabrics are named.
        nodes: NodeNames of its slurm.conf as a hostlist; ``""``: every host with a name is a node.
        translation: How they become a topology of Slurm.
    """

    sources: tuple[Feed, ...]
    naming: Naming = Naming()
    nodes: str = ""
    translation: Translation = Translation()

    @property
    def names(self) -> frozenset[str] | None:
        """The nodes by name; None: nobody says which there are."""
        return frozenset(expand_hostlist(self.nodes)) if self.nodes else None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plugin.

    Attributes:
        clusters: By name.
        period_s: Seconds between two discoveries.
        timeout_s: How long one may take.
        gpus: GPUs of a node, for trainings that do not say how many they use.
        objective: What placements are best at, for trainings that do not say.
    """

    clusters: dict[str, OfCluster]
    period_s: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 240.0
    gpus: Annotated[int, msgspec.Meta(ge=1)] = 8
    objective: str = "balanced"
