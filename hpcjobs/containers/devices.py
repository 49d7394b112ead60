"""What lets a container have the accelerators that a job asks for. Pure, but for reading the families once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from functools import cache

from hpcjobs.devices.family import Family, families
from hpcjobs.devices.worth import is_slice, whole_of
from hpcjobs.model.container import Devices
from hpcjobs.model.gres import gpus_of_gres, parse_gpus
from hpcjobs.model.spec import JobSpec, Resources

Asked = Set[tuple[str, str]]
"""Generic resources: the name of each, and a type of it; ``""``: any."""


def asked_of(spec: JobSpec) -> Asked:
    """The accelerators that a job asks for, however it does. Raises ValueError where that cannot be read."""
    return {pair for resources in spec.all_resources for pair in _asked(resources)}


def _asked(resources: Resources) -> Iterator[tuple[str, str]]:
    for request in (resources.gpus, resources.gpus_per_node, resources.gpus_per_socket, resources.gpus_per_task):
        if request is not None:
            yield from (("gpu", kind) for kind, count in parse_gpus(str(request)).items() if count)
    told = f"{resources.gres or ''},{(resources.tres_per_task or '').replace('=', ':')}"
    items = (item.strip().removeprefix("gres/").removeprefix("gres:") for item in told.split(","))
    for name in dict.fromkeys(item.partition(":")[0] for item in items if item):
        yield from ((name, kind) for kind, count in gpus_of_gres(told.replace("gres:", ""), name).items() if count)


def devices_of(asked: Asked, there: Asked, default: Iterable[str] = ()) -> Devices:
    """What a container needs for these.

    Args:
        asked: What a job asks for.
        there: What the nodes that it may run on have: where it names no type, each of these may be its own.
        default: Names of families that untyped devices are of, where nodes tell no type.

    Returns:
        Those of every family that may be meant; none of a resource that no family has, as licences.
    """
    found: dict[str, Family] = {}
    for name, kind in sorted(asked):
        kinds = {kind} if kind else {one for other, one in there if other == name and one}
        meant = [family for one in sorted(kinds) for family in _families_of(name, one)]
        if not meant:
            meant = [family for family in _all() if family.name in default and _is_of(family, name)]
        found |= {family.name: family for family in meant}
    return _together(found.values())


@cache
def _all() -> tuple[Family, ...]:
    return tuple(families().values())


def _is_of(family: Family, gres: str) -> bool:
    return gres in {family.gres, "gpu"} or (gres in {"shard", "mps"} and family.gres == "gpu")


def _families_of(gres: str, kind: str) -> list[Family]:
    """The families that a type is of: by its model, or because only NVIDIA names slices without one."""
    model = (whole_of(kind) if is_slice(kind) else kind).lower().replace("-", "_")
    if not model:
        return [family for family in _all() if family.name == "nvidia"]
    return [family for family in _all() if _is_of(family, gres) and _has(family, model)]


def _has(family: Family, model: str) -> bool:
    return model == family.name or any(
        model == one.name or model.startswith((f"{one.name}_", f"{family.name}_")) for one in family.models
    )


def _together(found: Iterable[Family]) -> Devices:
    told = [(family, family.containers) for family in found]
    brought = [(family, containers) for family, containers in told if containers is not None]
    return Devices(
        families=tuple(family.name for family, _ in told),
        apptainer=_once(flag for _, one in brought for flag in one.apptainer),
        visible={one.visible: family.visible for family, one in brought if one.visible and family.visible},
        files=_once(path for _, one in brought for path in one.devices),
        mounts=_once(path for _, one in brought for path in one.mounts),
        cdi=_once(one.cdi for _, one in brought if one.cdi),
    )


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
