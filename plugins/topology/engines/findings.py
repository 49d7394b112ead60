"""What is wrong with a topology, and what slurmctld would make of it. Data.

The fates were seen with a real slurmctld of each release (tests/slurm/test_topology.py); the code that decides them is
switch_record_validate() and block_record_validate() of Slurm's topology plugins.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from hpcjobs_plugins.topology.engines.model import YAML_SINCE, Plan, Release


class Fate(StrEnum):
    """What slurmctld does."""

    DIES = "dies"
    WARNS = "warns"
    SILENT = "silent"  # takes it without a word, and makes something of it that nobody meant
    FINE = "fine"  # it is meant to be so from this release on


class Form(StrEnum):
    """Which file says it."""

    CONF = "topology.conf"
    YAML = "topology.yaml"


class Fates(NamedTuple):
    """By form and release.

    Attributes:
        old: topology.conf before 25.05.
        new: topology.conf from 25.05 on.
        yaml: topology.yaml.
    """

    old: Fate
    new: Fate
    yaml: Fate


_DIES: Final = Fates(Fate.DIES, Fate.DIES, Fate.DIES)
_WARNS: Final = Fates(Fate.WARNS, Fate.WARNS, Fate.WARNS)
_SILENT: Final = Fates(Fate.SILENT, Fate.SILENT, Fate.SILENT)
_NOW_FINE: Final = Fates(Fate.DIES, Fate.FINE, Fate.FINE)

FATES: Final[Mapping[str, Fates]] = {
    "syntax": _DIES,
    "key-unknown": Fates(Fate.DIES, Fate.DIES, Fate.SILENT),
    "hostlist": _DIES,
    "hostlist-bracket": _WARNS,
    "name-missing": _DIES,
    "topology-nameless": _SILENT,
    "name-too-long": Fates(Fate.DIES, Fate.DIES, Fate.SILENT),
    "name-illegal": _SILENT,
    "name-of-node": _SILENT,
    "switch-twice": _DIES,
    "block-twice": _DIES,
    "topology-twice": _SILENT,
    "nodes-and-switches": Fates(Fate.DIES, Fate.DIES, Fate.WARNS),
    "child-unknown": _DIES,
    "child-twice": _SILENT,
    "cycle": _DIES,
    "too-deep": _DIES,
    "switch-empty": _NOW_FINE,
    "block-empty": _NOW_FINE,
    "block-below-base": _NOW_FINE,
    "block-sizes": _DIES,
    "block-sizes-twice": _SILENT,
    "nothing-there": Fates(Fate.WARNS, Fate.DIES, Fate.DIES),
    "host-under-several-leaves": _WARNS,
    "node-twice": _SILENT,
    "node-in-two-blocks": _SILENT,
    "node-unknown": _WARNS,
    "node-nowhere": _WARNS,
    "no-common-root": _WARNS,
    "include": _SILENT,
    "kind-unknown": Fates(Fate.DIES, Fate.DIES, Fate.FINE),
    "form-too-new": Fates(Fate.SILENT, Fate.FINE, Fate.SILENT),
    "partition-topology": _DIES,
}
"""What becomes of each fault, by its code."""


class Finding(msgspec.Struct, frozen=True):
    """One fault.

    Attributes:
        code: Stable name, a key of FATES.
        text: What is wrong, a sentence.
        fate: What slurmctld makes of it.
        line: Of the file, from 1; 0: none in particular, or there is no file.
        subject: Switch, block or node that it is about, or ``""``.
    """

    code: str
    text: str
    fate: Fate
    line: int = 0
    subject: str = ""


class Read(msgspec.Struct, frozen=True):
    """What a file says.

    Attributes:
        plan: As far as it can be read.
        form: Which of the two files it is.
        lines: Where each switch or block stands, by topology, in its order; 0: no line in particular.
        findings: What cannot be read of it.
    """

    plan: Plan
    form: Form
    lines: tuple[tuple[int, ...], ...]
    findings: tuple[Finding, ...] = ()


def fate_of(code: str, form: Form, release: Release | None) -> Fate:
    """What slurmctld does with a fault.

    Args:
        code: A key of FATES.
        form: Which file says it.
        release: Of Slurm; None: not known, the worst of all is taken.
    """
    fates = FATES[code]
    if form is Form.YAML:
        return fates.yaml
    if release is None:
        return min(fates.old, fates.new, key=list(Fate).index)
    return fates.new if release >= YAML_SINCE else fates.old
