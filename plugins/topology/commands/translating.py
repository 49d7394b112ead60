"""What was said of a translation, put together with the settings; what its judge has to say, told."""

from __future__ import annotations

from collections.abc import Iterable

import click
import msgspec

from hpcjobs.slurmconf.saying import tell
from hpcjobs_plugins.topology.commands.options import FORMS, Wanted
from hpcjobs_plugins.topology.engines.findings import Fate, Finding, Form
from hpcjobs_plugins.topology.engines.model import YAML_SINCE, Release
from hpcjobs_plugins.topology.settings import OfCluster, Shape, Translation


def translation_of(wanted: Wanted, of: OfCluster | None, release: Release | None) -> Translation:
    """How a site is to be translated.

    Args:
        wanted: What was said; it wins.
        of: The settings of the cluster, or None.
        release: Of the Slurm that reads it; None: not said.

    Raises:
        UsageError: Options do not go together.
    """
    said: dict[str, object] = {}
    if wanted.shape:
        said["shape"] = Shape(wanted.shape)
    if wanted.form:
        said["form"] = Form(FORMS[wanted.form])
    elif of is None and release is not None and release < YAML_SINCE:
        said["form"] = Form.CONF
    if wanted.fabrics:
        said["fabrics"] = wanted.fabrics
    if wanted.base is not None:
        said["base"] = wanted.base
    if wanted.one_root:
        said["one_root"] = wanted.one_root
    if wanted.rest:
        said["rest"] = wanted.rest
    if release is not None:
        said["release"] = release
    translation = msgspec.structs.replace(of.translation if of else Translation(), **said)
    is_tree = translation.shape in (Shape.TREE, Shape.PHYSICAL)
    if wanted.base is not None and is_tree:
        raise click.UsageError("--base is of blocks: it goes with --shape block or leaf-block")
    for option, name in (("--one-root", wanted.one_root), ("--rest", wanted.rest)):
        if name and not is_tree:
            raise click.UsageError(f"{option} is of a tree: it goes with --shape tree or physical")
    return translation


def tell_findings(findings: Iterable[Finding]) -> None:
    """What slurmctld would make of a plan, on stderr, one a line."""
    for one in findings:
        kind = "error" if one.fate is Fate.DIES else "warning"
        tell(f"{one.text} ({one.code}: {fate_words(one.fate)})", kind)


def fate_words(fate: Fate) -> str:
    """What slurmctld does, in a few words."""
    return {
        Fate.DIES: "slurmctld dies of it",
        Fate.WARNS: "slurmctld warns",
        Fate.SILENT: "slurmctld says nothing of it",
        Fate.FINE: "meant to be so",
    }[fate]
