"""``hpcjobs topology check``: what is wrong with a fabric, or with a file that Slurm is to read."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import click

from hpcjobs.slurmconf.saying import faults, print_json, tell
from hpcjobs_plugins.topology.commands.options import (
    Asked,
    Sectioned,
    json_option,
    known_codes,
    release_option,
    site_options,
)
from hpcjobs_plugins.topology.commands.saying import counted, sentences

if TYPE_CHECKING:
    from hpcjobs_plugins.topology.commands.sites import Given

_CONF: Final = re.compile(rb"^[ \t]*(?:SwitchName|BlockName|BlockSizes)[ \t]*=", re.IGNORECASE | re.MULTILINE)
_YAML: Final = re.compile(rb"^(?:-[ \t]+|[ \t]+)?(?:topology|tree|block|flat):(?:\s|$)", re.MULTILINE)
_NAMED: Final = re.compile(r"topology(?:[._-].*)?\.(?:conf|ya?ml)", re.IGNORECASE)


@click.command(cls=Sectioned)
@site_options()
@click.option("--strict", is_flag=True, help="Warnings are failures, too.")
@click.option("--ignore", metavar="CODE", multiple=True, help="Do not tell findings with this code.")
@click.option("--oversubscription", type=click.FloatRange(min=0, min_open=True), metavar="RATIO",
    help="Of a tier, at most.  [default: 4]")  # fmt: skip
@release_option
@json_option
def check(
    asked: Asked,
    strict: bool,
    ignore: tuple[str, ...],
    oversubscription: float | None,
    release: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """Look for faults: miswired or missing cables, slow links, oversubscription, nodes without fabric and more.

    A file topology.conf or topology.yaml is judged as slurmctld would: what it dies of is an error, what it warns of
    or takes otherwise than it is meant a warning. --release says which slurmctld; else it is the strictest of all.

    Exit code: 0 no error, 1 a warning with --strict, 2 an error, or something cannot be read.
    """
    with faults():
        from hpcjobs_plugins.topology.checks import CODES
        from hpcjobs_plugins.topology.commands.sites import given
        from hpcjobs_plugins.topology.engines.findings import FATES

        known_codes(ignore, CODES.keys() | FATES.keys(), "--ignore")
        known = given(asked)
        file = _alone(asked)
        if file is not None and _is_of_slurm(*file):
            code = _judge(*file, known, strict, frozenset(ignore), release, as_json)
        else:
            code = _look_over(asked, known, file, strict, frozenset(ignore), oversubscription, as_json)
    sys.exit(code)


def _alone(asked: Asked) -> tuple[str, bytes] | None:
    """The file that is named alone, and no source, with what is in it.

    Raises:
        FabricError: It cannot be read.
    """
    from hpcjobs_plugins.topology.commands.sites import bytes_of, split_source

    alone = len(asked.words) == 1 and not (asked.sources or asked.commands)
    return bytes_of(asked.words[0]) if alone and split_source(asked.words[0])[0] is None else None


def _is_of_slurm(path: str, data: bytes) -> bool:
    """Whether Slurm is to read it, by its name or by what is in it."""
    return bool(_NAMED.fullmatch(PurePath(path).name) or _CONF.search(data) or _YAML.search(data))


def _look_over(
    asked: Asked,
    known: Given,
    file: tuple[str, bytes] | None,
    strict: bool,
    ignore: frozenset[str],
    oversubscription: float | None,
    as_json: bool,
) -> int:
    from hpcjobs_plugins.topology import shown
    from hpcjobs_plugins.topology.checks import Settings, exit_code
    from hpcjobs_plugins.topology.checks import check as findings_of
    from hpcjobs_plugins.topology.commands.sites import site_of

    site = site_of(asked, known, file)
    allowed = Settings(ignore=ignore) if oversubscription is None else Settings(oversubscription, ignore=ignore)
    found = findings_of(site, allowed, known.nodes)
    if as_json:
        print_json(shown.report(site, found))
    else:
        if found:
            several = ("FABRIC",) if len(site.fabrics) > 1 else ()
            sentences(shown.findings_table(found), ("SEVERITY", *several, "CODE"))
        _count(one.severity.value for one in found)
    return exit_code(found, strict=strict)


def _judge(
    path: str,
    data: bytes,
    known: Given,
    strict: bool,
    ignore: frozenset[str],
    release: tuple[int, int] | None,
    as_json: bool,
) -> int:
    from hpcjobs_plugins.topology.engines.findings import Fate
    from hpcjobs_plugins.topology.engines.judge import check as judged
    from hpcjobs_plugins.topology.shown import Table

    yaml = PurePath(path).suffix in (".yaml", ".yml") or not (PurePath(path).suffix == ".conf" or _CONF.search(data))
    name = path if yaml == (PurePath(path).suffix in (".yaml", ".yml")) else f"{path}.yaml"
    found = [one for one in judged(data, name, nodes=known.nodes, release=release) if one.code not in ignore]
    severities: Mapping[Fate, str] = {Fate.DIES: "error", Fate.WARNS: "warning", Fate.SILENT: "warning"}
    count = Counter(severities.get(one.fate, "note") for one in found)
    if as_json:
        print_json({"file": path, "findings": found, "counts": count})
    else:
        if found:
            head = ("FILE", "LINE", "SLURM", "CODE", "SUBJECT", "WHAT")
            rows = [
                (path, str(one.line or "-"), one.fate.value, one.code, one.subject or "-", one.text) for one in found
            ]
            sentences(Table(head, rows), ("LINE", "SLURM", "CODE"))
        _count(severities.get(one.fate, "note") for one in found)
    return 2 if count["error"] else int(strict and bool(count["warning"]))


def _count(severities: Iterable[str]) -> None:
    count = Counter(severities)
    words = [counted(count[word], word) for word in ("error", "warning", "note") if count[word]]
    tell(", ".join(words) or "nothing is wrong")
