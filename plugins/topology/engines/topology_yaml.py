"""topology.yaml, which Slurm 25.05 and later read: written and read. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import yaml

from hpcjobs.sbatch.hostlists import expand_hostlist, fold_hostlist
from hpcjobs_plugins.topology.engines.findings import Finding, Form, Read, fate_of
from hpcjobs_plugins.topology.engines.model import Block, Kind, Plan, SwitchLine, Topology
from hpcjobs_plugins.topology.engines.topology_conf import HEADER, hostlist_fault
from hpcjobs_plugins.topology.fabric import FabricError

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-\[\],]*")
_WORDS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NULL: Final = frozenset({"", "~", "null"})
_NO: Final = frozenset({"false", "no", "off", "0", ""})

NOT_OURS: Final = ("ring", "torus3d")
"""Kinds of Slurm 26.05 that no fabric of ours is: they are passed over."""

SOURCE: Final = Form.YAML.value

DEEPEST: Final = 20
"""How deep lists and mappings of a file may be in one another."""


def write_yaml(topologies: Sequence[Topology]) -> str:
    """The file's text.

    Args:
        topologies: Slurm takes the first that is ``cluster_default`` for partitions that name none.
    """
    said = [f"# {HEADER}", "---"]
    for topology in topologies:
        said += [f"# {remark}" for remark in topology.remarks]
        said.append(f"- topology: {_scalar(topology.name)}")
        said.append(f"  cluster_default: {str(topology.cluster_default).lower()}")
        match topology.kind:
            case Kind.FLAT:
                said.append("  flat: true")
            case Kind.TREE:
                said += ["  tree:", "    switches:"]
                for line in topology.switches:
                    said += _entry("switch", line.name, children=line.children, nodes=line.nodes)
            case Kind.BLOCK:
                said.append("  block:")
                if topology.block_sizes:
                    said += ["    block_sizes:", *(f"      - {size}" for size in topology.block_sizes)]
                said.append("    blocks:")
                for block in topology.blocks:
                    said += _entry("block", block.name, nodes=block.nodes)
    return "\n".join(said) + "\n"


def _entry(what: str, name: str, **names: tuple[str, ...]) -> Iterator[str]:
    yield f"      - {what}: {_scalar(name)}"
    for key, members in names.items():
        if members:
            yield f"        {key}: {_scalar(fold_hostlist(members))}"


def _scalar(text: str) -> str:
    """A word that YAML takes for text, in quotes where it would take it for something else."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text)


class _Item(msgspec.Struct, frozen=True):
    """A part of a YAML file: text, a list or a mapping."""

    line: int
    text: str | None = None
    items: tuple[_Item, ...] | None = None
    fields: tuple[tuple[str, _Item], ...] | None = None


def _each(item: _Item | None) -> tuple[_Item, ...]:
    """The items of a list; what stands alone is taken for a list of one, as Slurm does."""
    if item is None:
        return ()
    return (item,) if item.items is None else item.items


def _parsed(text: str) -> _Item:
    """The whole file, from the parser's events: its own way to make a tree of them ends the process on deep ones.

    Raises:
        FabricError: It is no YAML, or of a kind that Slurm does not read.
    """
    open_items: list[tuple[int, bool, list[_Item]]] = []
    whole: _Item | None = None
    for line, event in _events(text):
        if isinstance(event, yaml.AliasEvent):
            raise FabricError("a part of the file is used in two places: say it twice", SOURCE, line)
        if isinstance(event, yaml.CollectionStartEvent):
            if len(open_items) > DEEPEST:
                raise FabricError("lists and mappings are too deep in one another", SOURCE, line)
            open_items.append((line, isinstance(event, yaml.MappingStartEvent), []))
            continue
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style is None
            item = _Item(line, text="" if plain and event.value.lower() in _NULL else str(event.value))
        elif isinstance(event, yaml.CollectionEndEvent):
            item = _closed(*open_items.pop())
        else:
            continue
        if open_items:
            open_items[-1][2].append(item)
        elif whole is not None:
            raise FabricError("there is a second document in the file", SOURCE, line)
        else:
            whole = item
    if whole is None or whole.text == "":
        raise FabricError("the file says nothing", SOURCE)
    return whole


def _events(text: str) -> Iterator[tuple[int, yaml.Event]]:
    """The parser's events, with the line of each."""
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            yield event.start_mark.line + 1, event
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise FabricError(f"this is no YAML: {error.problem or error.context}", SOURCE, line) from None
    except yaml.YAMLError as error:
        raise FabricError(f"this is no YAML: {str(error)[:120]}", SOURCE) from None


def _closed(line: int, mapping: bool, inside: list[_Item]) -> _Item:
    if not mapping:
        return _Item(line, items=tuple(inside))
    for key in inside[::2]:
        if key.text is None:
            raise FabricError("a key is no word", SOURCE, key.line)
    return _Item(
        line, fields=tuple((key.text or "", value) for key, value in zip(inside[::2], inside[1::2], strict=True))
    )


def read_yaml(text: str) -> Read:
    """What a text says. What cannot be read of it is a finding; the rest is read on.

    Raises:
        FabricError: It is no YAML at all.
    """
    reader = _Reader()
    topologies = []
    for entry in _each(_parsed(text)):
        reader.lines.append([])
        topologies.append(reader.topology(entry))
    if not topologies:
        raise FabricError("the file names no topology", SOURCE)
    lines = tuple(tuple(lines) for lines in reader.lines)
    return Read(Plan(tuple(topologies)), Form.YAML, lines, tuple(reader.findings))


class _Reader:
    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.lines: list[list[int]] = []

    def fault(self, code: str, text: str, item: _Item, subject: str = "") -> None:
        self.findings.append(Finding(code, text, fate_of(code, Form.YAML, None), item.line, subject))

    def fields(self, item: _Item, known: tuple[str, ...]) -> dict[str, _Item]:
        """The fields of a mapping that may be there."""
        if item.fields is None:
            self.fault("syntax", f"here belongs a mapping with {', '.join(known)}", item)
            return {}
        found: dict[str, _Item] = {}
        for key, value in item.fields:
            if key not in known:
                self.fault("key-unknown", f"{key} has no place beside {', '.join(known)}", value)
            elif key in found:
                self.fault("syntax", f"{key} stands here twice", value)
            else:
                found[key] = value
        return found

    def word(self, item: _Item | None) -> str:
        """The text of a scalar."""
        if item is not None and item.text is None:
            self.fault("syntax", "here belongs a word, not a list or a mapping", item)
        return (item.text or "") if item else ""

    def names(self, item: _Item | None, subject: str) -> tuple[str, ...]:
        try:
            return tuple(expand_hostlist(self.word(item)))
        except ValueError as error:
            if item:
                self.fault(hostlist_fault(self.word(item)), str(error), item, subject)
            return ()

    def topology(self, entry: _Item) -> Topology:
        kinds = ("tree", "block", "flat")
        said = self.fields(entry, ("topology", "cluster_default", *kinds, *NOT_OURS))
        name = self.word(said.get("topology"))
        if not name:
            self.fault("topology-nameless", "a topology has no name", entry)
        default = self.word(said.get("cluster_default")).lower()
        if default not in _YES | _NO:
            self.fault("syntax", f"cluster_default is true or false, not {default[:20]}", said["cluster_default"])
        of = [kind for kind in kinds if kind in said and not self._is_off(said[kind])]
        other = [kind for kind in NOT_OURS if kind in said]
        if other:
            self.fault("kind-unknown", f"topology {name} is of kind {other[0]}, which is not looked at here", entry)
        if len(of) + len(other) != 1:
            self.fault("syntax", f"topology {name} must be one of {', '.join(kinds)}, and is {len(of)} of them", entry)
        made = Topology(name, Kind(of[0]) if of else Kind.FLAT, cluster_default=default in _YES)
        if "tree" in of[:1]:
            return msgspec.structs.replace(made, switches=tuple(self._switches(said["tree"])))
        if "block" in of[:1]:
            return self._blocks(made, said["block"])
        return made

    def _is_off(self, item: _Item) -> bool:
        return item.text is not None and item.text.lower() in _NO

    def _switches(self, tree: _Item) -> Iterator[SwitchLine]:
        for item in _each(self.fields(tree, ("switches",)).get("switches")):
            said = self.fields(item, ("switch", "children", "nodes"))
            name = self._named(said.get("switch"), item)
            yield SwitchLine(name, self.names(said.get("nodes"), name), self.names(said.get("children"), name))

    def _blocks(self, made: Topology, of: _Item) -> Topology:
        blocks = []
        said = self.fields(of, ("block_sizes", "blocks"))
        for item in _each(said.get("blocks")):
            entry = self.fields(item, ("block", "nodes"))
            name = self._named(entry.get("block"), item)
            blocks.append(Block(name, self.names(entry.get("nodes"), name)))
        sizes: list[int] = []
        for item in _each(said.get("block_sizes")):
            word = self.word(item)
            if word.isascii() and word.isdigit() and len(word) < 10:
                sizes.append(int(word))
            else:
                self.fault("block-sizes", f"block size {word[:20]!r} is no number", item)
        return msgspec.structs.replace(made, blocks=tuple(blocks), block_sizes=tuple(sizes))

    def _named(self, word: _Item | None, item: _Item) -> str:
        self.lines[-1].append(item.line)
        name = self.word(word)
        if not name:
            self.fault("name-missing", "an entry has no name", item)
        return name
