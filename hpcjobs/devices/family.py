"""Families of accelerators: one TOML file each, the product's in ``families/``, a site's own in a folder of its own.

What is not known of a family is absent; what is written without a page that says it is named in ``unconfirmed``.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from hpcjobs.devices.probe import Probe
from hpcjobs.devices.sampling import Sampling
from hpcjobs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of a family.

    Attributes:
        name: As Slurm's type, in lower case: ``a100``.
        title: As its maker calls it.
        mem_gib: Memory in GiB, as its maker counts it: an "80 GB" accelerator has 80; None: not known.
        tdp_w: Most power that it draws in the long run (TDP, TBP), in watts; None: not known.
        partitions: Which parts it can be split into, by profile: of the compute units how many, and of how many.
    """

    name: str
    title: str
    mem_gib: int | None = None
    tdp_w: float | None = None
    partitions: dict[str, tuple[int, int]] = {}


class Containers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What lets a container have the devices of its job.

    Attributes:
        apptainer: Flags of ``apptainer exec``, as ``--nv``.
        runtime: Docker's ``--runtime`` that brings devices and libraries in; None: none is needed, or none known.
        cdi: Kind of the devices in the Container Device Interface, as ``nvidia.com/gpu``.
        visible: Environment variable by which runtime or hooks (enroot's too) are told which devices to bring in.
        devices: Files that a container needs beside those of its devices (``Family.files``), or in place of them.
        mounts: Folders and files of the host that it needs to read.
    """

    apptainer: tuple[str, ...] = ()
    runtime: str | None = None
    cdi: str | None = None
    visible: str | None = None
    devices: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one family of accelerators.

    Attributes:
        name: As hpcjobs calls it; a site's file of the same name replaces the product's.
        title: As people call it.
        gres: Slurm's name of the generic resource; sites are free to choose another.
        visible: Environment variable that says which devices a program sees; None: not known.
        files: Device file, with ``%d`` for a number, or with a comma between those of one device; None: not known.
        files_from: That number of the first device.
        autodetect: Words of AutoDetect in gres.conf that find its devices; empty: slurmd cannot find them.
        models: Those that are met in data centres; there are others.
        sample: How to ask what its devices are doing, in the order in which ways are tried.
        probe: How to ask whether they are well; None: not known.
        containers: What lets containers have them; None: not known.
        sources: Page that says it, by fact (``facts``), or for all below it: ``tdp_w`` is for ``tdp_w.a100``, too.
        unconfirmed: The same of what no page was found for.
    """

    name: str
    title: str
    gres: str
    visible: str | None = None
    files: str | None = None
    files_from: int = 0
    autodetect: tuple[str, ...] = ()
    models: tuple[Model, ...] = ()
    sample: tuple[Sampling, ...] = ()
    probe: Probe | None = None
    containers: Containers | None = None
    sources: dict[str, str] = {}
    unconfirmed: tuple[str, ...] = ()


def facts(family: Family) -> dict[str, str]:
    """All that is said of a family, with the page that says it.

    Returns:
        By fact, as ``visible``, ``models.a100``, ``tdp_w.a100``, ``sample.0``, ``containers.cdi``; ``""``: no page was
        found for it.

    Raises:
        KeyError: A fact has neither a page nor the word that there is none; the tests see that there is no such.
    """
    plain = ("gres", "visible", "files", "files_from", "autodetect", "probe")
    said = [field for field in plain if getattr(family, field)]
    for model in family.models:
        said.append(f"models.{model.name}")
        said += [f"{field}.{model.name}" for field in ("tdp_w", "partitions") if getattr(model, field)]
    said += [f"sample.{place}" for place in range(len(family.sample))]
    if family.containers is not None:
        fields = family.containers.__struct_fields__
        said += [f"containers.{field}" for field in fields if getattr(family.containers, field)]
    pages = dict.fromkeys(family.unconfirmed, "") | family.sources
    return {fact: pages[fact] if fact in pages else pages[fact.partition(".")[0]] for fact in said}


def families(site: Path | None = None) -> dict[str, Family]:
    """Read all families, by name.

    Args:
        site: Folder of a site's own files; each replaces the family of its name.

    Raises:
        SettingsError: A file is no TOML, has a field that is not known, or lacks one that is needed.
    """
    found = {family.name: family for family in _read(resources.files("hpcjobs.devices") / "families")}
    if site is not None:
        found |= {family.name: family for family in _read(site)}
    return dict(sorted(found.items()))


def _read(folder: Traversable) -> Iterator[Family]:
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            try:
                yield msgspec.toml.decode(file.read_bytes(), type=Family)
            except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
                raise SettingsError(f"the family of devices in {file.name} cannot be read: {error}") from error
