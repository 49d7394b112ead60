"""Families of accelerators: one TOML file each, the product's in ``families/``, a site's own in a folder of its own.

What is not known of a family is absent; what is written without a page that says it is named in ``unconfirmed``.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from hpcjobs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one family of accelerators.

    Attributes:
        name: As hpcjobs calls it; a site's file of the same name replaces the product's.
        title: As people call it.
        gres: Slurm's name of the generic resource; sites are free to choose another.
        visible: Environment variable that says which devices a program sees; None: not known.
        files: Device files, with ``%d`` for the index; None: not known.
        sources: Page that says it, by field.
        unconfirmed: Fields that no page was found for.
    """

    name: str
    title: str
    gres: str
    visible: str | None = None
    files: str | None = None
    sources: dict[str, str] = {}
    unconfirmed: tuple[str, ...] = ()


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
