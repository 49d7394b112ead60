"""gres.conf and its part of slurm.conf, of what is declared, in the forms of gres.conf(5) and slurm.conf(5). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hpcjobs.devices.family import Family
from hpcjobs.devices.worth import is_slice
from hpcjobs.plugin import Inventory
from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from hpcjobs_plugins.gpu_accounting.settings import Devices

GRES_CONF: Final = "gres.conf"
PART: Final = "gres-slurm.conf"
"""What slurm.conf must say; it is included there, or its lines are copied."""
ERROR: Final = "gres.error"
"""In place of both where what is declared cannot be."""
HEAD: Final = "# Written by hpcjobs (plugin gpu_accounting) of what its settings declare; change these.\n"
MPS_PERCENT: Final = 100
"""Of each device (gres.conf(5), MPS Management)."""


VARIABLES: Final = {"nvidia": "nvidia_gpu_env", "amd": "amd_gpu_env", "intel": "intel_gpu_env"}
"""Flags of gres.conf that say which variables jobs get, by family. Without one they get those of all vendors."""


class DeclarationError(ValueError):
    """What is declared cannot be; the message says what and where."""


def files_of(declared: Sequence[Devices], families: Mapping[str, Family], inventory: Inventory) -> dict[str, str]:
    """The texts by file name.

    Args:
        declared: What nodes have.
        families: What is known of accelerators.
        inventory: What the cluster consists of.

    Raises:
        DeclarationError: It cannot be.
    """
    where = [_nodes(devices, inventory) for devices in declared]
    for devices in declared:
        _check(devices, families)
    _check_together(declared, where)
    return {GRES_CONF: _gres_conf(declared, families), PART: _part(declared, families, where)}


def _nodes(devices: Devices, inventory: Inventory) -> tuple[str, ...]:
    try:
        names = expand_hostlist(devices.nodes)
    except ValueError as error:
        raise DeclarationError(f"{error}") from error
    missing = [name for name in names if name not in inventory.nodes]
    if missing or not names:
        told = fold_hostlist(missing) or "nothing"
        raise DeclarationError(f"{devices.type} on {devices.nodes}: cluster {inventory.cluster} has no node {told}")
    return tuple(names)


def _check(devices: Devices, families: Mapping[str, Family]) -> None:
    what = f"{devices.type} on {devices.nodes}"
    family = families.get(devices.family)
    if family is None:
        raise DeclarationError(f"{what}: there is no family {devices.family!r}; there are {', '.join(families)}")
    if devices.shards and devices.mps:
        raise DeclarationError(f"{what}: a device is shared by shards or by MPS, not by both")
    if (devices.shards or devices.mps) and is_slice(devices.type):
        raise DeclarationError(f"{what}: slices are not shared further")
    if is_slice(devices.type) and not (devices.autodetect or devices.files):
        raise DeclarationError(f"{what}: slices have no file names that could be known: say autodetect, or files")
    if not devices.autodetect and (found := len(_files(devices, families))) != devices.count:
        told = f"{found} files for {devices.count} devices" if found else "no device files are known of it: say files"
        raise DeclarationError(f"{what}: {told}")


def _files(devices: Devices, families: Mapping[str, Family]) -> list[str]:
    if devices.files:
        try:
            return expand_hostlist(devices.files)
        except ValueError as error:
            raise DeclarationError(f"{devices.type} on {devices.nodes}: {error}") from error
    pattern = families[devices.family].files
    return [pattern % index for index in range(devices.count)] if pattern else []


def _check_together(declared: Sequence[Devices], where: Sequence[tuple[str, ...]]) -> None:
    """One node has one set of devices: no type twice, no file twice, one way to share them."""
    types: dict[tuple[str, str], str] = {}
    shared: dict[str, str] = {}
    files: dict[tuple[str, str], str] = {}
    for devices, names in zip(declared, where, strict=True):
        told = _given(devices)
        for node in names:
            if (node, devices.type) in types:
                raise DeclarationError(f"{node} has {devices.type} twice")
            types[node, devices.type] = ""
            sharing = "shards" if devices.shards else "mps" if devices.mps else ""
            if sharing and shared.setdefault(node, sharing) != sharing:
                raise DeclarationError(f"{node} has shards and MPS: Slurm knows one of them on a node")
            for file in told:
                if (node, file) in files:
                    raise DeclarationError(f"{node}: {file} is of {files[node, file]} and of {devices.type}")
                files[node, file] = devices.type


def _given(devices: Devices) -> list[str]:
    """The device files that are said; slices of one device may share one."""
    return expand_hostlist(devices.files) if devices.files and not is_slice(devices.type) else []


def _gres_conf(declared: Sequence[Devices], families: Mapping[str, Family]) -> str:
    lines = [HEAD.rstrip()]
    for devices in declared:
        name = families[devices.family].gres
        if devices.autodetect:
            lines.append(f"NodeName={devices.nodes} AutoDetect={devices.autodetect}")
            continue
        files = ",".join(_folded(_files(devices, families)))
        flags = f" Flags={VARIABLES[devices.family]}" if devices.family in VARIABLES else ""
        lines.append(f"NodeName={devices.nodes} AutoDetect=off Name={name} Type={devices.type} File={files}{flags}")
    for devices in declared:
        name, parts = _sharing(devices)
        if parts:
            lines.append(f"NodeName={devices.nodes} Name={name} Count={parts}")
    return "\n".join(lines) + "\n"


def _folded(files: Sequence[str]) -> Iterator[str]:
    """Paths as gres.conf has them: numbers at their ends in brackets."""
    yield fold_hostlist(files)


def _sharing(devices: Devices) -> tuple[str, int]:
    """Name and number of the parts that a node's devices can be shared in."""
    if devices.mps:
        return "mps", devices.count * MPS_PERCENT
    return "shard", devices.count * devices.shards


def _part(declared: Sequence[Devices], families: Mapping[str, Family], where: Sequence[tuple[str, ...]]) -> str:
    """GresTypes and AccountingStorageTRES, and what the lines of the nodes must say."""
    types: dict[str, None] = {}
    tracked: dict[str, None] = {}
    nodes: dict[str, list[str]] = defaultdict(list)
    for devices, names in zip(declared, where, strict=True):
        gres = families[devices.family].gres
        sharing, parts = _sharing(devices)
        types[gres] = tracked[f"gres/{gres}"] = tracked[f"gres/{gres}:{devices.type}"] = None
        if parts:
            types[sharing] = tracked[f"gres/{sharing}"] = None
        for node in names:
            nodes[node].append(f"{gres}:{devices.type}:{devices.count}")
            if parts:
                nodes[node].append(f"{sharing}:{parts}")
    alike: dict[str, list[str]] = defaultdict(list)
    for node, told in nodes.items():
        alike[",".join(told)].append(node)
    lines = [
        HEAD.rstrip(),
        f"GresTypes={','.join(types)}",
        f"AccountingStorageTRES={','.join(tracked)}",
        "# The line of each node in slurm.conf says:",
        *(f"#   NodeName={fold_hostlist(names)} Gres={gres}" for gres, names in alike.items()),
    ]
    return "\n".join(lines) + "\n"
