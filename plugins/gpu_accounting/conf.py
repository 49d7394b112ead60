"""gres.conf and its part of slurm.conf, of what is declared, in the forms of gres.conf(5) and slurm.conf(5). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
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
LINE: Final = "#   NodeName="
"""Begins what the line of nodes must say."""
MPS_PERCENT: Final = 100
"""Of each device (gres.conf(5), MPS Management)."""


GPU: Final = "gpu"
"""The generic resource of which Slurm tells jobs by a variable which devices they have."""
FLAGS: Final = {
    "CUDA_VISIBLE_DEVICES": "nvidia_gpu_env",
    "ROCR_VISIBLE_DEVICES": "amd_gpu_env",
    "ZE_AFFINITY_MASK": "intel_gpu_env",
    "GPU_DEVICE_ORDINAL": "opencl_env",
}
"""Flags of gres.conf by the variable that jobs get of it. Without one they get all of them."""
NO_VARIABLE: Final = "no_gpu_env"


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
    _check_together(declared, families, where)
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
    if devices.shards or devices.mps:
        _check_shared(devices, family, what)
    if devices.files and devices.multiple:
        raise DeclarationError(f"{what}: a device has one file (files) or several (multiple), not both")
    if is_slice(devices.type) and not (devices.autodetect or devices.files or devices.multiple):
        raise DeclarationError(f"{what}: slices have no file names that could be known: say autodetect, or multiple")
    if devices.autodetect and devices.autodetect not in family.autodetect:
        words = " or ".join(family.autodetect) or "none: say files"
        raise DeclarationError(f"{what}: {devices.autodetect} does not find {family.title}; its autodetect is {words}")
    if not devices.autodetect and (found := len(_files(devices, family))) != devices.count:
        told = (
            f"files of {found} for {devices.count} devices" if found else "no device files are known of it: say files"
        )
        raise DeclarationError(f"{what}: {told}")


def _check_shared(devices: Devices, family: Family, what: str) -> None:
    if family.gres != GPU:
        raise DeclarationError(f"{what}: Slurm shares what is called {GPU}, not {family.gres}")
    if devices.mps and _flags(family) != FLAGS["CUDA_VISIBLE_DEVICES"]:
        raise DeclarationError(f"{what}: MPS is NVIDIA's, and {family.title} is not: say shards")
    if is_slice(devices.type):
        raise DeclarationError(f"{what}: slices are not shared further")
    if any(len(files) > 1 for files in _files(devices, family)):
        raise DeclarationError(f"{what}: devices of several files are not shared")


def _files(devices: Devices, family: Family) -> list[tuple[str, ...]]:
    """The files of each device."""
    try:
        if devices.multiple:
            return [tuple(expand_hostlist(files)) for files in devices.multiple]
        if devices.files:
            return [(file,) for file in expand_hostlist(devices.files)]
    except ValueError as error:
        raise DeclarationError(f"{devices.type} on {devices.nodes}: {error}") from error
    if family.files is None:
        return []
    numbers = range(family.files_from, family.files_from + devices.count)
    return [tuple(family.files.replace("%d", str(number)).split(",")) for number in numbers]


def _check_together(
    declared: Sequence[Devices], families: Mapping[str, Family], where: Sequence[tuple[str, ...]]
) -> None:
    """One node has one set of devices: no type twice, no file twice, and of what slurmd takes one on a node, one.

    With both shards and MPS in GresTypes, which is of the whole cluster, neither tells a job its device: the plugin of
    Slurm that a job does not use takes its variables away (measured on 24.11 and 26.05).
    """
    if any(devices.shards for devices in declared) and any(devices.mps for devices in declared):
        raise DeclarationError("shards and MPS are declared: of a cluster with both Slurm tells jobs neither's devices")
    types: set[tuple[str, str]] = set()
    one_of: dict[tuple[str, str], str] = {}
    files: dict[tuple[str, str], str] = {}
    gpus: dict[str, list[Devices]] = defaultdict(list)
    for devices, names in zip(declared, where, strict=True):
        family = families[devices.family]
        given = _given(devices, family)
        for node in names:
            if family.gres == GPU:
                gpus[node].append(devices)
            if (node, devices.type) in types:
                raise DeclarationError(f"{node} has {devices.type} twice")
            types.add((node, devices.type))
            for what, word in _one_on_a_node(devices, family).items():
                if (other := one_of.setdefault((node, what), word)) != word:
                    raise DeclarationError(f"{node} has {other} and {word}: slurmd takes one {what} on a node")
            for file in given:
                if (node, file) in files:
                    raise DeclarationError(f"{node}: {file} is of {files[node, file]} and of {devices.type}")
                files[node, file] = devices.type
    for node, found in gpus.items():
        if len(found) > 1 and any(one.autodetect and (one.shards or one.mps) for one in found):
            raise DeclarationError(
                f"{node} has GPUs of several types: which are shared is told by their files: say files"
            )


def _one_on_a_node(devices: Devices, family: Family) -> dict[str, str]:
    """Of what slurmd takes one on a node, and what is said of it (gres.conf(5); measured on 24.11 and 26.05)."""
    told = {}
    if family.gres == GPU:
        told["AutoDetect"] = devices.autodetect or "off"
        told[f"set of variables for {GPU} (give a family another gres)"] = _flags(family)
    return told


def _given(devices: Devices, family: Family) -> list[str]:
    """The device files that are said; slices of one device share some."""
    if is_slice(devices.type) or not (devices.files or devices.multiple):
        return []
    return [file for files in _files(devices, family) for file in files]


def _flags(family: Family) -> str:
    return FLAGS.get(family.visible or "", NO_VARIABLE)


def _gres_conf(declared: Sequence[Devices], families: Mapping[str, Family]) -> str:
    lines = [HEAD.rstrip()]
    for devices in declared:
        family = families[devices.family]
        if devices.autodetect:
            lines.append(f"NodeName={devices.nodes} AutoDetect={devices.autodetect}")
            continue
        gpu = family.gres == GPU
        head = f"NodeName={devices.nodes}{' AutoDetect=off' if gpu else ''} Name={family.gres} Type={devices.type}"
        files = _files(devices, family)
        several = any(len(of) > 1 for of in files)
        told = (
            [f"MultipleFiles={fold_hostlist(of)}" for of in files]
            if several
            else [f"File={fold_hostlist([file for (file,) in files])}"]
        )
        lines += [f"{head} {said}{f' Flags={_flags(family)}' if gpu else ''}" for said in told]
    for devices in declared:
        lines += _shared_lines(devices, families[devices.family])
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _shared_lines(devices: Devices, family: Family) -> list[str]:
    """How many parts each device has; without files slurmd deals those of a node to its GPUs, evenly."""
    name, parts = _sharing(devices)
    if not parts:
        return []
    if devices.autodetect:
        return [f"NodeName={devices.nodes} Name={name} Count={parts * devices.count}"]
    return [f"NodeName={devices.nodes} Name={name} Count={parts} File={file}" for (file,) in _files(devices, family)]


def _sharing(devices: Devices) -> tuple[str, int]:
    """Name and number of the parts that each device can be shared in; 0: it is not."""
    return ("mps", MPS_PERCENT) if devices.mps else ("shard", devices.shards)


def _part(declared: Sequence[Devices], families: Mapping[str, Family], where: Sequence[tuple[str, ...]]) -> str:
    """GresTypes and AccountingStorageTRES, and what the lines of the nodes must say."""
    types: dict[str, None] = {}
    tracked: dict[str, None] = {}
    nodes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for devices, names in zip(declared, where, strict=True):
        gres = families[devices.family].gres
        sharing, parts = _sharing(devices)
        types[gres] = tracked[f"gres/{gres}"] = tracked[f"gres/{gres}:{devices.type}"] = None
        if parts:
            types[sharing] = tracked[f"gres/{sharing}"] = None
        for node in names:
            nodes[node][f"{gres}:{devices.type}"] += devices.count
            if parts:
                nodes[node][sharing] += parts * devices.count
    alike: dict[str, list[str]] = defaultdict(list)
    for node, told in nodes.items():
        alike[",".join(f"{name}:{count}" for name, count in told.items())].append(node)
    lines = [
        HEAD.rstrip(),
        f"GresTypes={','.join(types)}",
        f"AccountingStorageTRES={','.join(tracked)}",
        "# The line of each node in slurm.conf says:",
        *(f"{LINE}{fold_hostlist(names)} Gres={gres}" for gres, names in alike.items()),
    ]
    return "\n".join(lines) + "\n"
