"""Fabrics written down as a tree in YAML: ``table`` says how."""

from __future__ import annotations

from typing import NamedTuple

import yaml

from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs_plugins.topology.fabric import FabricError, Network, Role
from hpcjobs_plugins.topology.providers.tables import Tables


class _Node(NamedTuple):
    """A value and where it stands: text, or items with keys (of a list: without)."""

    line: int
    text: str
    items: tuple[tuple[str, _Node], ...] = ()
    keyed: bool = False


def read_tree(text: str, source: str, tables: Tables) -> Network | None:
    """Put a tree's cables into tables.

    Returns:
        What it carries; None: it does not say.

    Raises:
        FabricError: It is no such tree.
    """
    try:
        top = _converted(_composed(text, source), source, set())
    except RecursionError as error:
        raise FabricError("no YAML that can be read: it goes too deep", source) from error
    network: Network | None = None
    fabrics = _Node(top.line, "")
    for key, node in top.items if top.keyed else ():
        if key == "network":
            if node.text not in set(Network):
                raise FabricError(f"no network is called {node.text!r}", source, node.line)
            network = Network(node.text)
        elif key == "fabrics":
            fabrics = node
        else:
            raise FabricError(f"no key {key!r} is known here; there are network, fabrics", source, node.line)
    if not fabrics.keyed:
        raise FabricError("it has no fabrics under their names", source, fabrics.line)
    for name, node in fabrics.items:
        _fabric(name, node, source, tables)
    return network


def _composed(text: str, source: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise FabricError(f"no YAML: {error.problem}", source, line) from error
    except (yaml.YAMLError, ValueError) as error:
        raise FabricError(f"no YAML: {error}", source) from error


def _converted(node: yaml.Node | None, source: str, seen: set[int]) -> _Node:
    if node is None:
        raise FabricError("it is empty", source)
    line = int(node.start_mark.line) + 1
    if id(node) in seen:
        raise FabricError("aliases (*name) are not read", source, line)
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        return _Node(line, "" if node.tag.endswith(":null") else str(node.value))
    if isinstance(node, yaml.SequenceNode):
        return _Node(line, "", tuple(("", _converted(item, source, seen)) for item in node.value))
    items: list[tuple[str, _Node]] = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise FabricError("a key is no name", source, line)
        if any(known == key.value for known, _ in items):
            raise FabricError(f"{key.value!r} stands there twice", source, int(key.start_mark.line) + 1)
        items.append((str(key.value), _converted(value, source, seen)))
    return _Node(line, "", tuple(items), keyed=True)


def _fabric(name: str, node: _Node, source: str, tables: Tables) -> None:
    known = dict(node.items) if node.keyed else {}
    if unknown := known.keys() - {"gbps", "storage", "other", "switches"}:
        key = min(unknown)
        text = f"no key {key!r} is known here; there are gbps, storage, other, switches"
        raise FabricError(text, source, known[key].line)
    switches = known.get("switches")
    if switches is None or not switches.keyed:
        raise FabricError(f"fabric {name} has no switches", source, node.line)
    speed = tables.speed(known["gbps"].text, known["gbps"].line) if "gbps" in known else ""
    names = _switches(switches)
    for switch, below in switches.items:
        _below(switch, below, names, speed, source, tables)
    for switch in names:
        if tables.fabrics.setdefault(switch, name) != name:
            raise FabricError(f"switch {switch} is in {name} and in {tables.fabrics[switch]}", source, node.line)
    for role in (Role.STORAGE, Role.OTHER):
        for host in _names(known.get(role.value), source):
            tables.say_role(host, role.value, known[role.value].line)


def _switches(node: _Node) -> dict[str, int]:
    """Names that have a place as a switch, in order."""
    found: dict[str, int] = {}
    for key, below in node.items if node.keyed else ():
        found.setdefault(key, below.line)
        found.update(_switches(below))
    return found


def _below(switch: str, node: _Node, names: dict[str, int], speed: str, source: str, tables: Tables) -> None:
    if node.keyed:
        for lower, below in node.items:
            tables.join(lower, switch, speed, below.line)
            _below(lower, below, names, speed, source, tables)
        return
    for name in _names(node, source):
        if name in names:
            tables.join(name, switch, speed, node.line)
        else:
            tables.hang(name, "", switch, 0, speed, node.line)


def _names(node: _Node | None, source: str) -> list[str]:
    """Names of hostlists: one, or a list of them."""
    if node is None:
        return []
    if node.keyed:
        raise FabricError("names are wanted here, not keys", source, node.line)
    if node.items:
        return [name for _, item in node.items for name in _names(item, source)]
    try:
        return expand_hostlist(node.text)
    except ValueError as error:
        raise FabricError(str(error), source, node.line) from error
