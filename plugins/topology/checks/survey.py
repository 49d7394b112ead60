"""A site prepared for its checks: what several of them need is worked out once. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from typing import Final

from hpcjobs_plugins.topology.checks.findings import Settings
from hpcjobs_plugins.topology.checks.pattern import Pattern, both_ways, pattern
from hpcjobs_plugins.topology.fabric import Fabric, Site
from hpcjobs_plugins.topology.layers import Layers

_DIGITS: Final = re.compile(r"[0-9]+")
_GUID: Final = re.compile(r"[0-9a-f]{16}$")


def kind_of_name(name: str) -> str:
    """What names of machines of one kind have in common: all but the numbers, and GUIDs that stand for names."""
    return _DIGITS.sub("#", _GUID.sub("#", name))


class Surveyed:
    """A fabric with its rows and its patterns.

    Attributes:
        fabric: The fabric.
        layers: Its switches by rows.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.layers = Layers(fabric)

    @cached_property
    def kinds(self) -> tuple[frozenset[str], frozenset[str]]:
        """What names of its switches, and of its hosts, have in common."""
        switches, hosts = self.fabric.switches, self.fabric.hosts
        return frozenset(map(kind_of_name, switches)), frozenset(map(kind_of_name, hosts))

    @cached_property
    def patterns(self) -> dict[int, Pattern]:
        """What the switches of each row but the highest should be cabled to, by row."""
        rows = {row: self.layers.upward(row) for row in range(1, self.layers.top)}
        return {row: both_ways(pattern(cables, kind_of_name), cables) for row, cables in rows.items()}


class Survey:
    """Everything that checks look at.

    Attributes:
        site: What was found.
        settings: What is allowed.
        nodes: NodeNames of slurm.conf, or None where nobody says which there are.
        fabrics: Each fabric of the site, prepared.
    """

    def __init__(self, site: Site, settings: Settings, nodes: Collection[str] | None) -> None:
        self.site = site
        self.settings = settings
        self.nodes = None if nodes is None else frozenset(nodes)
        self.fabrics = [Surveyed(fabric) for fabric in site.fabrics]
