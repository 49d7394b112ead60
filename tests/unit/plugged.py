"""Plugins for tests, installed as pip would: modules with the metadata of a distribution beside them."""

from __future__ import annotations

import textwrap
from pathlib import Path

HEAD = """\
import os, sys, time
import msgspec
from hpcjobs.errors import Refusal
from hpcjobs.model.placement import Placement
from hpcjobs.plugin import *
replace = msgspec.structs.replace
"""


def install(folder: Path, name: str, body: str, version: str = "1.0", entry: str = "") -> None:
    """A plugin in a folder that is on the path.

    Args:
        folder: Where.
        name: Its name; its module is called ``plug_<name>``.
        body: Of the module, after the imports; it defines PLUGIN.
        version: Of the distribution.
        entry: Name of the entry point, where it is another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"plug_{name}.py").write_text(HEAD + textwrap.dedent(body))
    info = folder / f"plug_{name}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plug-{name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[hpcjobs.plugins]\n{entry or name} = plug_{name}:PLUGIN\n")


def judging(name: str, admit: str) -> str:
    """A plugin that admits by an expression of ``spec`` and ``context``."""
    return f"""
        def admit(spec, context):
            return {admit}
        PLUGIN = Plugin(name={name!r}, api=1, hooks=[Admit(admit)])
    """
