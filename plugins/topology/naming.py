"""Names of hosts and switches, from what is written in adapters and switches. Pure.

A node description is 64 characters that anybody may set. Hosts usually have ``<node name> <adapter>`` there, switches
``MF0;<name>:<model>/<chip>``; what nobody has set says who made it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from hpcjobs_plugins.topology.fabric import Adapter, Chip, FabricError

_HOST: Final = r"(?P<node>[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)"
_HCA: Final = (
    r"(?P<hca>HCA-[0-9]+|(?:mlx[45]|mthca|hfi1?|qib|ipath|bnxt_re|irdma|cxi|efa|ibp?|rdma|roce|roceP?|opap)"
    r"[A-Za-z0-9_.-]*[0-9][A-Za-z0-9]*)"
)

RULES: Final = (
    rf"['\"]?{_HOST}\s+{_HCA}(?:[\s/]+(?:port|P)\s*[0-9]+)?['\"]?",
    rf"['\"]?{_HOST}[:/]{_HCA}(?:[\s/]+(?:port|P)\s*[0-9]+)?['\"]?",
    rf"(?!(?:MT[0-9]{{3,6}}|HCA-[0-9]+|(?:mlx[45]|hfi1)_[0-9]+)$){_HOST}",
)
"""Rules that are used where an admin gives none: ``n1 HCA-1``, ``n1 mlx5_0 port 1``, ``n1:ib0``, and ``n1`` alone."""

_NOBODY: Final = frozenset({"localhost", "none", "unknown", "noname", "default", "host"})
"""Names of machines that were not told theirs, with any domain."""

_DIRECTOR: Final = re.compile(r"(?:MF0;)?([^:;/]+):([^/]+)(?:/((?!U[0-9])[A-Z]+[0-9]+))?(?:/U([0-9]+))?")
_SLOT: Final = re.compile(r"(Spine|Line|SRBD) ([0-9]+)(?: Chip ([0-9]+))?")
_MAKERS: Final = re.compile(
    r"Technologies|Voltaire|Topspin|Cisco|QLogic|SilverStorm|Infini(?:scale|host)|SwitchX|Switch-?IB|Quantum|IBM G8|"
    r"Sun D|\AMT[0-9]{3,6}\b",
    re.IGNORECASE,
)
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_.-]+")
MOST_CHARACTERS: Final = 64
"""Longest name of a switch that slurmctld takes."""

MOST_READ: Final = 200
"""Longer descriptions name nobody; InfiniBand has 64 characters."""


class Naming(msgspec.Struct, frozen=True):
    r"""How a site names things.

    Attributes:
        rules: Regular expressions that descriptions of adapters are matched with as a whole, in order; the first that
            matches names the host. Group ``node`` is its name; group ``hca`` or ``rail``, if there is one, tells its
            adapters apart and puts them in order.
        guids: Names of nodes by GUID of an adapter or of its card; before all rules.
        storage: Regular expressions; hosts whose whole name matches one are storage.
        keep_domain: Whether ``n1.cluster.local`` stays; else it is ``n1``, unless it is a node's name as it stands.
        fabrics: Names of fabrics by name or GUID of any switch in them; the others are ``ib0``, ``eth0`` and so on.
    """

    rules: tuple[str, ...] = RULES
    guids: Mapping[str, str] = {}
    storage: tuple[str, ...] = ()
    keep_domain: bool = False
    fabrics: Mapping[str, str] = {}


class Named(NamedTuple):
    """Whose an adapter is.

    Attributes:
        host: Name of the host.
        label: Which of its adapters, as ``mlx5_0``, or ``""``.
    """

    host: str
    label: str


class Namer:
    """Names adapters by the rules of a site."""

    def __init__(self, naming: Naming, nodes: frozenset[str] | None) -> None:
        """With the rules compiled.

        Args:
            naming: The rules.
            nodes: NodeNames of slurm.conf; None: nobody says which there are.

        Raises:
            FabricError: A rule is no regular expression, or has no group ``node``.
        """
        self.naming = naming
        self.nodes = nodes
        self._rules = [_compiled(rule, "rules", "node") for rule in naming.rules]
        self._storage = [_compiled(rule, "storage") for rule in naming.storage]
        self._guids = {form: name for guid, name in naming.guids.items() for form in _forms(guid)}
        self._by_lower = {name.lower(): name for name in nodes or ()}

    def named(self, adapter: Adapter, neighbour: str = "") -> Named | None:
        """Whose an adapter is; None: its description names nobody.

        Args:
            adapter: As found.
            neighbour: Name of the host where the source itself says it, or ``""``.
        """
        known = self._guids.get(adapter.guid) or self._guids.get(adapter.system_guid)
        text = adapter.description.strip()
        rules = self._rules if len(text) <= MOST_READ else []
        match = next((found for rule in rules if (found := rule.fullmatch(text))), None)
        groups = match.groupdict() if match else {}
        label = groups.get("hca") or groups.get("rail") or ""
        if known:
            return Named(known, label)
        if neighbour:
            _, _, rest = adapter.description.partition(" ")
            return Named(self.node(neighbour), rest or label)
        name = (groups.get("node") or "").strip()
        if not name or not _NOBODY.isdisjoint((name.lower(), name.lower().partition(".")[0])):
            return None
        return Named(self.node(name), label)

    def node(self, name: str) -> str:
        """A host's name as slurm.conf has it, without its domain, whatever the case of its letters."""
        short = name if self.naming.keep_domain or name.replace(".", "").isdigit() else name.partition(".")[0]
        for one in (name, short) if self.nodes else ():
            found = one if self.nodes and one in self.nodes else self._by_lower.get(one.lower())
            if found:
                return found
        return short

    def is_storage(self, name: str) -> bool:
        """Whether a host is named like storage."""
        return any(rule.fullmatch(name) for rule in self._storage)


def _compiled(rule: str, field: str, group: str = "") -> re.Pattern[str]:
    try:
        compiled = re.compile(rule)
    except (re.error, RecursionError, OverflowError) as error:
        raise FabricError(f"{field}: {rule!r} is no regular expression: {error}") from error
    if group and group not in compiled.groupindex:
        raise FabricError(f"{field}: {rule!r} has no group {group!r}: write (?P<{group}>...)")
    return compiled


def _forms(guid: str) -> tuple[str, str]:
    """A GUID or MAC address as a Dump has it: people write them with ``0x`` and without, with colons and zeros."""
    digits = guid.lower().removeprefix("0x").replace(":", "").replace("-", "")
    return digits, digits.zfill(16)


class SwitchName(NamedTuple):
    """How a switch is called.

    Attributes:
        name: Of it, or ``""``: it has none.
        chassis: Of the director that it is a chip of, or ``""``: it is none, or the director has no name.
        chip: Which chip of it, as ``L01-U1``, or ``""``.
    """

    name: str
    chassis: str = ""
    chip: str = ""


def switch_name(chip: Chip) -> SwitchName:
    """What a switch's description and its chassis say of its name.

    ``MF0;leaf01:MQM8700/U1`` is ``leaf01``, ``MF0;big:CS8500/L17/U2`` is ``big-L17-U2``; a second chip of a switch that
    is no director ends in ``-U2``. Where the description is its maker's the slot is taken from the chassis's words.
    """
    slot = _SLOT.search(chip.chassis)
    part = f"{slot[1][0]}{int(slot[2]):02d}-U{slot[3] or 1}" if slot else ""
    match = _DIRECTOR.fullmatch(chip.description.strip())
    if match and match[4]:
        name = _legal(match[1])
        if match[3]:
            return SwitchName(f"{name}-{match[3]}-U{match[4]}", name, f"{match[3]}-U{match[4]}")
        return SwitchName(name if match[4] == "1" else f"{name}-U{match[4]}", chip=f"U{match[4]}")
    if _MAKERS.search(chip.description):
        return SwitchName("", chip=part)
    name = _legal(chip.description)
    return SwitchName(f"{name}-{part}", name, part) if part and name else SwitchName(name, chip=part)


def _legal(text: str) -> str:
    return _ILLEGAL.sub("-", text).strip("-.")


def unique_names(chips: Mapping[str, Chip]) -> dict[str, tuple[str, str]]:
    """Name and chassis of each switch, unique and the same from run to run: they depend on no order.

    Switches without a name are ``s-<guid>``; equal names all get their GUID behind them. Chips that share a system GUID
    are of one chassis; the numbers that ibnetdiscover gives to chassis change from run to run.

    Args:
        chips: By GUID.
    """
    wanted, chassis = _wanted_names(chips)
    found: dict[str, tuple[str, str]] = {}
    for name, guids in wanted.items():
        alone = len(guids) == 1 and len(name) <= MOST_CHARACTERS
        for guid in guids:
            found[guid] = (name if alone else f"{name[: MOST_CHARACTERS - len(guid) - 1]}-{guid}", chassis[guid])
    often = Counter(name for name, _ in found.values())
    return {guid: (name if often[name] == 1 else f"s-{guid}", own) for guid, (name, own) in found.items()}


def shared_names(chips: Mapping[str, Chip]) -> dict[str, list[str]]:
    """Names that several switches are called by, each with their GUIDs, sorted.

    Args:
        chips: By GUID.
    """
    wanted, _ = _wanted_names(chips)
    return {name: sorted(guids) for name, guids in sorted(wanted.items()) if len(guids) > 1}


def _wanted_names(chips: Mapping[str, Chip]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """GUIDs by the name that they would have if nothing else had it, and the chassis of each."""
    said = {guid: switch_name(chip) for guid, chip in chips.items()}
    groups: dict[str, list[str]] = {}
    for guid, chip in chips.items():
        groups.setdefault(chip.system_guid or guid, []).append(guid)
    chassis: dict[str, str] = {}
    for group in groups.values():
        director = len(group) > 1 or any(said[guid].chassis or chips[guid].chassis for guid in group)
        names = sorted(
            {said[guid].chassis or said[guid].name.removesuffix(f"-{said[guid].chip}") for guid in group} - {""}
        )
        own = min(chips[guid].system_guid or guid for guid in group)
        chassis.update(dict.fromkeys(group, (names[0] if names else f"c-{own}") if director else ""))
    wanted: dict[str, list[str]] = {}
    for guid in chips:
        wanted.setdefault(_wanted(guid, said[guid], chassis[guid]), []).append(guid)
    return wanted, chassis


def _wanted(guid: str, said: SwitchName, chassis: str) -> str:
    if said.name:
        return said.name
    return f"{chassis}-{said.chip}" if chassis and said.chip else f"s-{guid}"
