"""The hooks: fabrics are discovered by the clock, remembered, translated for Slurm and placed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.cluster import ClusterView, Node
from hpcjobs.model.placement import Placement
from hpcjobs.model.spec import JobSpec
from hpcjobs.plugin import Configure, Discover, Discovery, Finding, Hook, Inventory, Place
from hpcjobs.sbatch.hostlists import expand_hostlist, in_hostlist
from hpcjobs_plugins.topology.diff import diff
from hpcjobs_plugins.topology.engines.plan import written
from hpcjobs_plugins.topology.engines.slurm_conf import fragment
from hpcjobs_plugins.topology.fabric import FabricError, Site
from hpcjobs_plugins.topology.gathering import gather
from hpcjobs_plugins.topology.placement.blocks import Blocks
from hpcjobs_plugins.topology.placement.default import Slurm
from hpcjobs_plugins.topology.placement.explain import explain
from hpcjobs_plugins.topology.placement.planning import WAITS, Plan, plan
from hpcjobs_plugins.topology.placement.rankmap import slurm_side
from hpcjobs_plugins.topology.placement.request import Objective, wanted
from hpcjobs_plugins.topology.settings import OfCluster, Settings, Translation

MOST_TOLD: Final = 100
"""As many changes as one discovery tells of by themselves."""


def findings(before: Site | None, after: Site) -> list[Finding]:
    """What a discovery has to tell: what is not as it was; of the first, what was odd."""
    told = (
        [Finding(one.code, one.text, one.subject) for one in diff(before, after)]
        if before is not None
        else [Finding(one.code, one.text, one.subject) for one in after.notices]
    )
    if len(told) > MOST_TOLD:
        more = Finding("more-changes", f"{len(told) - MOST_TOLD} more are not told one by one.")
        told = [*told[:MOST_TOLD], more]
    return told


def files_of(translation: Translation, site: Site, nodes: frozenset[str] | None) -> dict[str, str]:
    """The parts of Slurm's configuration, by file name.

    Raises:
        FabricError: There is nothing to translate.
    """
    made = translation.plan(site, nodes)
    return {**written(made, translation.form), "slurm.conf.topology": fragment(made, translation.form)}


def usable(spec: JobSpec, view: ClusterView, gpus: int) -> list[str]:
    """Nodes that a job could have at once, whole.

    Args:
        spec: The job; with a node list of its own, these are they.
        view: Of the cluster.
        gpus: That each must have.
    """
    asked = spec.resources
    if asked.nodelist:
        return expand_hostlist(asked.nodelist)
    partitions = set(spec.partition.split(",")) if spec.partition else _default_partitions(view)
    return [
        node.name
        for node in view.nodes.values()
        if _is_idle(node, gpus)
        and partitions.intersection(node.partitions)
        and not in_hostlist(node.name, asked.exclude or "")
        and (asked.constraint is None or asked.constraint in node.features)
    ]


def _default_partitions(view: ClusterView) -> set[str]:
    return {one.name for one in view.partitions.values() if one.default} or set(view.partitions)


def _is_idle(node: Node, gpus: int) -> bool:
    return node.usable and not node.cpus_alloc and sum(node.gpus.values()) >= gpus


def blocks_of(site: Site, of: OfCluster) -> Blocks | None:
    """The blocks that Slurm is told of; None: none, or none can be made of what is there now."""
    if of.translation.slurm is not Slurm.BLOCK:
        return None
    try:
        return Blocks.of(of.translation.plan(site, of.names).default)
    except FabricError:
        return None


def _kept(state: bytes) -> Site | None:
    """A site that was kept; None: an earlier release kept it in another way, and the next discovery is the first."""
    try:
        return msgspec.msgpack.decode(state, type=Site)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Topology:
    """The plugin at work.

    Args:
        settings: Of the admin.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sites: dict[str, Site] = {}

    def hooks(self) -> Sequence[Hook]:
        """All of them."""
        settings = self.settings
        return (
            Discover(self.discover, settings.period_s, self.remember, settings.timeout_s),
            Configure(self.configure),
            Place(self.place),
        )

    def discover(self, cluster: str, state: bytes | None, now: float) -> Discovery | None:
        """Ask the fabrics of a cluster; see hpcjobs.plugin.DiscoverHook."""
        of = self.settings.clusters.get(cluster)
        if of is None:
            return None
        after = gather(of.sources, of.naming, of.names, now)
        before = _kept(state) if state else None
        return Discovery(msgspec.msgpack.encode(after), tuple(findings(before, after)))

    def remember(self, cluster: str, state: bytes) -> None:
        """Know what was found."""
        if (site := _kept(state)) is not None:
            self.sites[cluster] = site

    def configure(self, inventory: Inventory) -> Mapping[str, str]:
        """The topology of a cluster's nodes, as Slurm reads it; nothing where no fabric of it is known."""
        site, of = self.sites.get(inventory.cluster), self.settings.clusters.get(inventory.cluster)
        if site is None or of is None:
            return {}
        try:
            return files_of(of.translation, site, frozenset(inventory.nodes))
        except FabricError as error:
            return {"topology.error": f"{error}\n"}

    def place(self, spec: JobSpec, view: ClusterView) -> Placement | Refusal | None:
        """Where a training should run, and in which order of ranks."""
        site, of = self.sites.get(view.cluster), self.settings.clusters.get(view.cluster)
        if site is None or of is None or not spec.parallel:
            return None
        try:
            return self._placed(spec, view, site, of)
        except ValueError as error:
            return Refusal("parallel", f"{error}.", "not-placeable")

    def _placed(self, spec: JobSpec, view: ClusterView, site: Site, of: OfCluster) -> Placement:
        gpus = sum(spec.resources.gpus_each_node.values()) or self.settings.gpus
        request, objective = wanted(spec.parallel or "", gpus, Objective(self.settings.objective))
        free = usable(spec, view, request.gpus)
        if len(free) < request.nodes and not spec.resources.nodelist:
            return Placement(
                why=f"{request.nodes} idle nodes of {request.gpus} GPUs are needed and {len(free)} are there: Slurm "
                "chooses when it can, and hpcjobs place orders the ranks in the job."
            )
        made = plan(
            site, free, request, objective,
            slurm=of.translation.slurm, blocks=blocks_of(site, of), release=of.translation.release,
            tasks_each=spec.resources.ntasks_per_node or 0,
        )  # fmt: skip
        if any(one.code == WAITS for one in made.notices) and not spec.resources.nodelist:
            return Placement(
                why=f"Slurm (topology/{made.slurm}) would not give a job of {request.nodes} nodes any of those that "
                "are idle now: Slurm chooses when it can, and hpcjobs place orders the ranks in the job."
            )
        return placement_of(made, spec)


def placement_of(made: Plan, spec: JobSpec) -> Placement:
    """A plan in Slurm's words."""
    side = slurm_side(made)
    block = made.slurm is Slurm.BLOCK
    return Placement(
        nodes=None if block else made.nodes,
        avoid=made.excluded if block else None,
        switches=side.switches or None,
        segment=side.segment or None,
        ranks=tuple(node for node in made.nodes for _ in range(_tasks(made, spec))),
        why=explain(made),
    )


def _tasks(made: Plan, spec: JobSpec) -> int:
    """Tasks of a node: one for each GPU, unless the job says how many (torchrun wants one)."""
    return spec.resources.ntasks_per_node or min(made.request.gpus, made.request.world)
