"""A call of sinfo: its words and variables, heard as sinfo 26.05 hears them. Pure."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Final

from hpcjobs.cli.slurm.columns import Layout, read_letters, read_names
from hpcjobs.cli.slurm.json_document import asks_for_list
from hpcjobs.cli.slurm.node_filters import States, read_states
from hpcjobs.cli.slurm.sinfo_fields import BY_LETTER, BY_NAME, Field
from hpcjobs.sbatch.getopt import Grammar, Misspelt, permuted
from hpcjobs.sbatch.hostlists import expand_hostlist

SINFO: Final = Grammar(
    longs={
        "all": "none", "dead": "none", "exact": "none", "federation": "none", "future": "none", "help": "none",
        "helpformat": "none", "helpFormat": "none", "helpstate": "none", "hide": "none", "iterate": "required",
        "local": "none", "long": "none", "clusters": "required", "nodes": "required", "noconvert": "none",
        "noheader": "none", "Node": "none", "format": "required", "Format": "required", "partition": "required",
        "responding": "none", "list-reasons": "none", "summarize": "none", "sort": "required", "states": "required",
        "reservation": "none", "usage": "none", "verbose": "none", "version": "none", "json": "optional",
        "yaml": "optional",
    },
    shorts={
        "a": "all", "d": "dead", "e": "exact", "F": "future", "h": "noheader", "i": "iterate", "l": "long",
        "M": "clusters", "n": "nodes", "N": "Node", "o": "format", "O": "Format", "p": "partition", "r": "responding",
        "R": "list-reasons", "s": "summarize", "S": "sort", "t": "states", "T": "reservation", "v": "verbose",
        "V": "version",
    },
    aliases={"cluster": "clusters"},
)  # fmt: skip

EARLY: Final = ("help", "helpformat", "helpFormat", "helpstate", "usage", "version")
"""What only asks about sinfo: the first of them answers."""

REFUSED: Final[Mapping[str, str]] = {
    "reservation": "the service does not list reservations",
    "future": "the service does not list nodes in state FUTURE",
    "yaml": "YAML is not written; use --json",
}
"""What cannot be answered, and why."""

SUMMARY: Final = "partition:9 ,available:.5 ,time:.10 ,nodeaiot:.16 ,nodelist:0"
PLAIN: Final = "partition:9 ,available:.5 ,time:.10 ,nodes:.6 ,statecompact:.6 ,nodelist:0"
PLAIN_LONG: Final = (
    "partition:9 ,available:.5 ,time:.10 ,size:.10 ,root:.4 ,oversubscribe:.8 ,groups:.10 ,nodes:.6 ,statelong:.11 ,"
    "reservation:.11 ,nodelist:0"
)
BY_NODE: Final = "nodelist:0 ,nodes:.6 ,partition:.9 ,statecompact:6"
BY_NODE_LONG: Final = (
    "nodelist:0 ,nodes:.6 ,partition:.9 ,statelong:.11 ,cpus:4 ,socketcorethread:.8 ,memory:.6 ,disk:.8 ,weight:.6 ,"
    "features:.8 ,reason:20"
)
REASONS: Final = "reason:20 ,user:9 ,timestamp:19 ,nodelist:0"
REASONS_LONG: Final = "reason:20 ,userlong:12 ,timestamp:19 ,statecompact:6 ,nodelist:0"


class Asked:
    """What a call asks for.

    Attributes:
        early: What only asks about sinfo, ``json``: which versions there are; ``""``: it asks about the cluster.
        layout: What is printed on each line.
        complaints: What is said on stderr of columns that there are not; the program's name stands before those that
            begin with ``error:``.
        fits_nodes: Whether columns of node names are as wide as the longest.
        fits_partitions: The same of partitions.
        partitions: Only these; None: all.
        all: Whether hidden partitions are shown.
        nodes: Only these; None: all.
        states: Only nodes in these; None: any.
        clusters: Argument of --clusters; None: not said.
        iterate_s: Seconds between two looks; 0: one look.
        json: Whether JSON is asked for.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """What the caller's variables say."""
        self.early = ""
        self.layout: Layout[Field] = Layout("", ())
        self.complaints: list[str] = []
        self.fits_nodes = self.fits_partitions = False
        self.partitions: list[str] | None = None
        self.all = "SINFO_ALL" in environment
        self.nodes: frozenset[str] | None = None
        self.states: States | None = None
        self.clusters = environment.get("SLURM_CLUSTERS")
        self.iterate_s = 0
        self.sort = environment.get("SINFO_SORT", "")
        self.dead = self.responding = self.exact = False
        self.header = True
        self.long = self.by_node = self.in_full = self.reasons = self.summary = self.verbose = self.json = False

    @property
    def dated(self) -> bool:
        """Whether the date stands above."""
        return self.header and not self.json and bool(self.iterate_s or self.verbose or self.long)

    @property
    def matches(self) -> list[str]:
        """By what nodes are parted into lines."""
        found = [known.match for _, known in self.layout.parts if known and known.match]
        return found + (["gres_used"] if self.json else [])


def _wrong(told: str, heard: str) -> Misspelt:
    return Misspelt(told, heard, exit_code=1)


def _split(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _iterate(text: str) -> int:
    match = re.match(r"\s*[+-]?[0-9]{1,9}", text)
    seconds = int(match[0]) if match else 0
    if seconds <= 0:
        raise _wrong(f"--iterate={text}", f"error: Error: invalid entry for --iterate={text}")
    return seconds


def _nodes(text: str) -> frozenset[str]:
    try:
        return frozenset(expand_hostlist(text))
    except ValueError as error:
        raise _wrong(str(error), f"error: '{text}' invalid entry for --nodes") from error


def read_call(words: Sequence[str], environment: Mapping[str, str]) -> Asked:
    """Hear a call.

    Args:
        words: After ``sinfo``.
        environment: The caller's variables.

    Raises:
        Misspelt: An option is wrong, or cannot be answered.
    """
    asked = Asked(environment)
    if "SINFO_PARTITION" in environment:
        asked.partitions, asked.all = _split(environment["SINFO_PARTITION"]), True
        if "SINFO_ALL" in environment:
            told = "SINFO_ALL and SINFO_PARTITION"
            raise _wrong(told, f"error: Conflicting options, {told}, specified. Please choose one or the other.")
    if "SINFO_FUTURE" in environment:
        raise _wrong("SINFO_FUTURE", f"error: SINFO_FUTURE: {REFUSED['future']}")
    options, format_ = _options(words), None
    for long, argument in options:
        if long in EARLY or (long == "json" and asks_for_list(argument)):
            asked.early = long
            return asked
        if long in REFUSED:
            raise _wrong(long, f"error: --{long}: {REFUSED[long]}")
        if long in ("format", "Format"):
            format_ = (argument or "", any(name == "Format" for name, _ in options))
        else:
            _set(asked, long, argument or "")
    given = [name for name, _ in options]
    if asked.long and format_ is not None:
        told = "Options -o(--format) and -l(--long) are mutually exclusive. Please remove one and retry."
        raise _wrong(told, f"fatal: {told}")
    if "all" in given and "partition" in given:
        told = "Conflicting options, -a and -p, specified. Please choose one or the other."
        raise _wrong(told, f"error: {told}")
    _choose_columns(asked, format_, environment)
    if asked.reasons and "states" not in given:
        asked.states = read_states("down,fail,drain")
    asked.sort = asked.sort or ("N" if asked.by_node else "#P,-t")
    return asked


def _options(words: Sequence[str]) -> list[tuple[str, str | None]]:
    try:
        return permuted(words, SINFO)[0]
    except Misspelt as error:
        error.exit_code = 1
        raise


_FLAGS: Final[Mapping[str, tuple[str, bool]]] = {
    "dead": ("dead", True),
    "exact": ("exact", True),
    "hide": ("all", False),
    "long": ("long", True),
    "noconvert": ("in_full", True),
    "noheader": ("header", False),
    "Node": ("by_node", True),
    "responding": ("responding", True),
    "list-reasons": ("reasons", True),
    "summarize": ("summary", True),
    "verbose": ("verbose", True),
}


def _set(asked: Asked, long: str, argument: str) -> None:
    match long:
        case "all":
            asked.partitions, asked.all = None, True
        case "partition":
            asked.partitions, asked.all = _split(argument), True
        case "clusters":
            asked.clusters = argument
        case "iterate":
            asked.iterate_s = _iterate(argument)
        case "nodes":
            asked.nodes = _nodes(argument)
        case "sort":
            asked.sort = argument
        case "states":
            asked.states = read_states(argument)
        case "json":
            asked.json = True
        case "federation" | "local":
            pass  # a service's cluster is asked alone
        case _:
            name, value = _FLAGS[long]
            setattr(asked, name, value)


def _choose_columns(asked: Asked, format_: tuple[str, bool] | None, environment: Mapping[str, str]) -> None:
    if format_ is not None:
        text, long_form = format_
        (_names if long_form else _letters)(asked, text)
        return
    if asked.summary:
        asked.fits_partitions = True
        text = SUMMARY
    elif asked.by_node:
        asked.fits_nodes = asked.fits_partitions = True
        text = BY_NODE_LONG if asked.long else BY_NODE
    elif asked.reasons:
        text = REASONS_LONG if asked.long else REASONS
    elif "SINFO_FORMAT" in environment:
        _letters(asked, environment["SINFO_FORMAT"])
        return
    else:
        asked.fits_partitions = True
        text = PLAIN_LONG if asked.long else PLAIN
    _names(asked, text)


EVERY: Final = "|".join(
    [f"%{letter}" for letter in string.ascii_lowercase if letter in BY_LETTER]
    + [f"%{letter} " for letter in string.ascii_uppercase if letter in BY_LETTER]
)
"""What ``%all`` stands for."""


def _letters(asked: Asked, text: str) -> None:
    """Hear ``-o``."""
    asked.layout = read_letters(text, BY_LETTER, EVERY)
    asked.complaints += [f"Invalid node format specification: {letter}" for letter in asked.layout.unknown]


def _names(asked: Asked, text: str) -> None:
    """Hear ``-O``."""
    asked.layout = read_names(text, BY_NAME, read_letters(EVERY, BY_LETTER, EVERY).parts)
    asked.complaints += [f"error: Invalid job format specification: {name}" for name in asked.layout.unknown]
