"""What every code of a finding means. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    "adapter-without-name": "an adapter that names no host",
    "cable-contradicted": "two ports that say different things of a cable",
    "cable-extra": "more cables to an upper switch than its like have",
    "cable-missing": "a cable that the like of a switch have",
    "cable-misplaced": "a cable with one end in a wrong switch",
    "cable-one-sided": "a cable of which only one end says that it is there",
    "cable-rates-differ": "a cable whose ends say different rates",
    "cable-skips-tier": "a cable past the next tier",
    "cable-within-tier": "a cable between two switches of a tier",
    "cables-crossed": "two cables, each where the other should be",
    "domain-without-node": "an NVLink domain with hosts that are no nodes of Slurm",
    "duplicate-name": "two adapters with one name, as two hosts may have",
    "guid-twice": "a GUID that two have",
    "host-above-leaves": "a host on a switch that is no leaf",
    "host-not-on-fabric": "a host that is missing from a fabric where its like are",
    "host-on-one-leaf": "a host with all its cables on one leaf, where its like have several",
    "host-without-node": "a host that is no node of slurm.conf",
    "host-without-switch": "a host that is cabled to no switch",
    "link-slow": "a link that is slower than those beside it",
    "name-twice": "a name that two have",
    "node-without-fabric": "a node of slurm.conf that is on no fabric",
    "nvlink-disagrees": "a host whose GPUs say different NVLink domains",
    "part-disconnected": "a part of a fabric that cannot be reached from the rest",
    "port-twice": "a port with two cables",
    "rail-misplaced": "a cable of a host on a wrong leaf",
    "rail-missing": "a cable that the like of a host have",
    "rails-differ": "hosts with fewer cables than most of their kind, all those beside them too",
    "rails-crossed": "rails of a host on the leaves of other rails",
    "self-loop": "a cable from a switch to itself",
    "several-neighbours": "a port that sees several neighbours",
    "sources-differ": "two sources that say different things of one thing",
    "speeds-mixed": "several speeds in a tier",
    "spines-unbalanced": "equal switches with unequal shares of cables or bandwidth",
    "switch-chained": "a switch that hangs on another one of its tier",
    "switch-name-shared": "a name that several switches tell, so that each has its GUID behind it",
    "switch-oversubscribed": "a switch that takes more from below than is allowed",
    "switch-single-point": "a switch without which others are cut off",
    "switch-without-description": "a switch that did not tell its description, and so has another name than before",
    "tier-oversubscribed": "a tier that takes more from below than is allowed",
    "tool-complained": "what a discovery could not reach",
    "uplinks-differ": "switches with fewer cables up than most of their kind",
}
"""By code."""
