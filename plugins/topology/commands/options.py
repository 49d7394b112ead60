"""Options that the commands share: where a site comes from and how it is named, what Slurm shall know. Light."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import click

READERS: Final = ("ibnetdiscover", "iblinkinfo", "lldp", "table", "nvlink")
SHAPES: Final = ("tree", "physical", "block", "leaf-block")
"""As gathering.Reader and settings.Shape have them: a test compares them, ``hpcjobs --help`` loads neither."""

FORMS: Final = {"conf": "topology.conf", "yaml": "topology.yaml"}

Command = Callable[..., None]
Decorator = Callable[[Command], Command]

PATH: Final = click.Path(path_type=Path)


class Asked(NamedTuple):
    """What was said of where a site comes from.

    Attributes:
        words: A saved site, or sources, each as ``reader:path``.
        sources: The same, as options.
        commands: Commands, each as ``reader:command`` or as one whose reader is plain.
        ssh: Where they run, as ``user@host:port``, or ``""``: here.
        ssh_key: File with the private key.
        known_hosts: File with the host's key.
        timeout_s: When to give up.
        settings: File with the settings of the plugin or of the service.
        cluster: Which of its clusters.
        guid_map: File with names by GUID.
        storage: Regular expressions.
        nodes: Hostlist; None: not said.
        slurm_conf: File with the nodes.
    """

    words: tuple[str, ...]
    sources: tuple[str, ...]
    commands: tuple[str, ...]
    ssh: str
    ssh_key: Path | None
    known_hosts: Path | None
    timeout_s: float
    settings: Path | None
    cluster: str
    guid_map: Path | None
    storage: tuple[str, ...]
    nodes: str | None
    slurm_conf: Path | None


SECTIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("sources", "commands", "ssh", "ssh_key", "known_hosts", "timeout_s"), "Who is asked"),
    **dict.fromkeys(("settings", "cluster", "guid_map", "storage", "nodes", "slurm_conf"), "What is known already"),
    **dict.fromkeys(
        ("shape", "form", "fabrics", "base", "one_root", "rest", "release", "params", "tree_width"),
        "What Slurm is told",
    ),
}
"""Which heading of the help a parameter stands below; others are of the command itself."""


class Sectioned(click.Command):
    """A command whose help has its own options first, then those that others have, too, below headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click."""
        rows: dict[str, list[tuple[str, str]]] = {"Options": []}
        for section in SECTIONS.values():
            rows.setdefault(section, [])
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                rows[SECTIONS.get(param.name or "", "Options")].append(record)
        for section, records in rows.items():
            if records:
                with formatter.section(section):
                    formatter.write_dl(records, col_max=26)


def known_codes(said: Iterable[str], known: Collection[str], option: str) -> None:
    """See that codes are some.

    Raises:
        UsageError: One is none, with those that are like it.
    """
    for code in said:
        if code not in known:
            like = ", ".join(difflib.get_close_matches(code, known, 3, 0.5))
            raise click.UsageError(f"{option} {code}: there is no such code" + (f"; there is {like}" if like else ""))


def site_options(*, ssh: str = "--ssh", positional: bool = True) -> Decorator:
    """Give a command, as its first argument, what was said of where its site comes from.

    Args:
        ssh: What the option is called that says where commands run.
        positional: Whether sources are named by words, too.
    """
    options: list[Decorator] = [
        click.option("--from", "sources", metavar="READER:PATH", multiple=True,
            help=f"Ask a file, - is stdin. READER: {', '.join(READERS)}. Several are put together."),
        click.option("--command", "commands", metavar="COMMAND", multiple=True,
            help="Ask a command, as ibnetdiscover, or READER:COMMAND where it does not say what it speaks."),
        click.option(ssh, "ssh", metavar="USER@HOST", default="", help="Run --command there."),
        click.option("--ssh-key", type=PATH, metavar="FILE", help="Private key.  [default: the first in ~/.ssh]"),
        click.option("--known-hosts", type=PATH, metavar="FILE",
            help="Keys of hosts.  [default: ~/.ssh/known_hosts]"),
        click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=120.0,
            metavar="SECONDS", help="How long a command may take.  [default: 120]"),
        click.option("--settings", type=PATH, metavar="FILE",
            help="Settings of this plugin, or hpcjobs.toml: sources, naming, nodes, translation of a cluster."),
        click.option("--cluster", metavar="NAME", default="", help="Which cluster of --settings."),
        click.option("--guid-map", type=PATH, metavar="FILE", help='Names of nodes by GUID: lines "GUID NAME".'),
        click.option("--storage", metavar="REGEX", multiple=True, help="Hosts with such a whole name are storage."),
        click.option("--nodes", metavar="HOSTLIST", help="Slurm's nodes."),
        click.option("--slurm-conf", type=PATH, metavar="FILE", help="Slurm's nodes as this file has them."),
    ]  # fmt: skip
    if positional:
        options.insert(0, click.argument("words", metavar="[SITE|READER:PATH]...", nargs=-1, type=click.Path()))

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def called(**given: object) -> None:
            said = {name: given.pop(name) for name in Asked._fields if name in given}
            function(Asked(**{"words": (), **said}), **given)  # type: ignore[arg-type]

        decorated: Command = called
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def _release(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """The series of Slurm, as ``24.11``; the rest of a version is of no account."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{2})\.([0-9]{2})(?:\.[0-9]+)?", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no release of Slurm, as 24.11 is")
    return int(match[1]), int(match[2])


release_option: Final = click.option("--release", callback=_release, metavar="YY.MM",
    help="Slurm that reads it, as 24.11.")  # fmt: skip
json_option: Final = click.option("--json", "as_json", is_flag=True, help="JSON, one document.")


class Wanted(NamedTuple):
    """What was said of how a site becomes a topology of Slurm; what was not said is as the settings have it.

    Attributes:
        shape: What it is made of, or None.
        form: Which file says it, or None.
        fabrics: Which of them; empty: as the settings have it.
        base: Nodes of a block, or None.
        one_root: Name of a switch above all fabrics, or ``""``.
        rest: Name of a switch for nodes on no fabric, or ``""``.
        params: Options of TopologyParam.
        tree_width: 0: as it is.
    """

    shape: str | None
    form: str | None
    fabrics: tuple[str, ...]
    base: int | None
    one_root: str
    rest: str
    params: tuple[str, ...]
    tree_width: int


def translation_options(function: Command) -> Command:
    """Give a command what was said of the translation as ``wanted``."""

    @functools.wraps(function)
    def called(*words: object, **given: object) -> None:
        said = {name: given.pop(name) for name in Wanted._fields}
        function(*words, wanted=Wanted(**said), **given)  # type: ignore[arg-type]

    decorated: Command = called
    for option in reversed((
        click.option("--shape", type=click.Choice(SHAPES), metavar="SHAPE",
            help="tree, leaf-block: groups of hosts that share their leaves; physical: every switch; block: NVLink "
            "domains.  [default: tree]"),
        click.option("--form", type=click.Choice(tuple(FORMS)), metavar="FORM",
            help="conf or yaml, for topology.conf or topology.yaml.  [default: yaml; conf for a Slurm before 25.05]"),
        click.option("--fabric", "fabrics", metavar="NAME", multiple=True,
            help="Only this fabric; several in this order."),
        click.option("--base", type=click.IntRange(min=1), metavar="N", help="Nodes of a block.  [default: as most]"),
        click.option("--one-root", metavar="NAME", default="",
            help="A switch above all fabrics: jobs may span them. Of a tree."),
        click.option("--rest", metavar="NAME", default="",
            help="A switch for nodes that are on no fabric. Of a tree."),
        click.option("--param", "params", metavar="OPTION", multiple=True, help="For TopologyParam, as RoutePart."),
        click.option("--tree-width", type=click.IntRange(min=0), default=0, metavar="N",
            help="TreeWidth of slurm.conf."),
    )):  # fmt: skip
        decorated = option(decorated)
    return decorated
