"""A Site of Dumps: hosts are named, fabrics told apart, switches named and put on their tiers. Pure.

Switches that cables join are one fabric; hosts do not join fabrics, so that the rails of a host may be fabrics of their
own, and storage's network is apart from compute's. The same switch in several Dumps of one network is one switch.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.fabric import (
    Adapter,
    Cable,
    Dump,
    Endpoint,
    Fabric,
    Host,
    Notice,
    Role,
    Site,
    Switch,
    Trunk,
)
from hpcjobs_plugins.topology.merging import Whole, merged
from hpcjobs_plugins.topology.naming import Named, Namer, Naming, shared_names, unique_names
from hpcjobs_plugins.topology.numbering import in_order, with_names
from hpcjobs_plugins.topology.providers.text import Oddities
from hpcjobs_plugins.topology.rates import gbps
from hpcjobs_plugins.topology.tiers import links_of, tiers

MOST_GUIDS: Final = 4
"""As many of those that have one name are told."""

_Key = tuple[tuple[int, int, str], ...]
"""What ``natural`` sorts by."""


def assemble(
    dumps: Sequence[Dump],
    naming: Naming,
    nodes: Collection[str] | None,
    domains: Mapping[str, Sequence[str]],
    now: float,
    notices: Sequence[Notice] = (),
) -> Site:
    """The Site of what was found.

    Args:
        dumps: Of all sources.
        naming: How hosts and fabrics are named.
        nodes: NodeNames of slurm.conf; None: every host with a name is taken for one that is not named like storage.
        domains: Names of hosts of each NVLink domain.
        now: Unix seconds.
        notices: What was odd in other sources, as that of the domains.

    Raises:
        FabricError: A rule of ``naming`` is no regular expression.
    """
    known = None if nodes is None else frozenset(nodes)
    namer = Namer(naming, known)
    odd = Oddities()
    whole = merged(dumps, odd)
    for chip in whole.chips.values():
        if not chip.description.strip():
            text = f"switch {chip.guid} did not tell its description: it has another name than when it does"
            odd.add("switch-without-description", text, chip.line, chip.guid)
    for name, guids in shared_names(whole.chips).items():
        text = f"{name} is what switches {_several(guids)} are all called: each has its GUID behind its name"
        odd.add("switch-name-shared", text, whole.chips[guids[0]].line, name)
    owners = _owners(whole, namer, odd)
    said = {namer.node(host): role for dump in dumps for host, role in dump.roles.items()}
    roles = {host: _role(host, namer, known, said) for host in {named.host for named in owners.values()}}
    roles.update({owners[guid].host: Role.OTHER for guid in whole.nameless})
    wanted = {guid: name for dump in dumps for guid, name in dump.fabrics.items()}
    wanted.update({key.lower(): name for key, name in naming.fabrics.items()})
    fabrics = _fabrics(whole, owners, roles, wanted)
    on_fabric = {name for fabric in fabrics for name in fabric.hosts}
    _compare_with_nodes(on_fabric, roles, known, odd)
    lost = sorted({named.host for named in owners.values()} - on_fabric, key=natural)
    if lost:
        odd.add("host-without-switch", f"hosts are cabled to no switch: {_listed(lost)}", subject=_listed(lost))
    named_domains = _domains(domains, namer, known, odd)
    every = (*(notice for dump in dumps for notice in dump.notices), *notices, *odd.notices())
    return Site(fabrics, named_domains, every, now)


def _owners(whole: Whole, namer: Namer, odd: Oddities) -> dict[str, Named]:
    """Whose each adapter is; those without a name are hosts of their own, named by their GUID."""
    found: dict[str, Named] = {}
    cards: dict[str, set[str]] = defaultdict(set)
    labels: dict[Named, list[Adapter]] = defaultdict(list)
    without: list[Adapter] = []
    for guid, adapter in whole.adapters.items():
        named = namer.named(adapter, whole.neighbours.get(guid, ""))
        if named is None:
            without.append(adapter)
            continue
        found[guid] = named
        if adapter.system_guid:
            cards[adapter.system_guid].add(named.host)
        if named.label and not adapter.router:
            labels[named].append(adapter)
    _tell_duplicates(whole, labels, odd)
    for adapter in without:
        siblings = cards.get(adapter.system_guid, set()) if adapter.system_guid else set()
        if len(siblings) == 1:
            (host,) = siblings
            text = f"{adapter.guid} ({adapter.description!r}) names no host; its card is one of {host}'s"
            odd.add("adapter-named-by-card", text, adapter.line, adapter.guid)
            found[adapter.guid] = Named(host, "")
            continue
        name = f"a-{adapter.guid}"
        text = f"{adapter.guid} ({adapter.description!r}) names no host: kept as {name}; give its GUID a name"
        odd.add("adapter-without-name", text, adapter.line, adapter.guid)
        found[adapter.guid] = Named(name, "")
        whole.nameless.add(adapter.guid)
    whole.nameless.update(guid for guid, adapter in whole.adapters.items() if adapter.router)
    return found


def _tell_duplicates(whole: Whole, labels: Mapping[Named, Sequence[Adapter]], odd: Oddities) -> None:
    """Adapters of several cards that have one name, once for each name.

    Adapters of one system are a card. Where no system is told, so may adapters be that have no port in common:
    iblinkinfo tells the ports of a card under a GUID each.
    """
    several = {named: sorted(its, key=lambda one: one.guid) for named, its in labels.items() if len(its) > 1}
    ports: dict[str, set[int]] = defaultdict(set)
    for cable in whole.cables if several else ():
        ports[cable.a].add(cable.a_port)
        ports[cable.b].add(cable.b_port)
    for (host, label), its in several.items():
        cards: dict[tuple[str, int], Adapter] = {}
        used: Counter[int] = Counter()
        for adapter in its:
            own = () if adapter.system_guid else ports[adapter.guid]
            cards.setdefault((adapter.system_guid, max((used[port] for port in own), default=0)), adapter)
            used.update(own)
        if len(cards) > 1:
            guids = [card.guid for card in cards.values()]
            text = f"{host} {label} is what adapters {_several(guids)} are all called: hosts may have one name"
            line = whole.adapters[guids[0]].line
            odd.add("duplicate-name", f"{text}; they are taken for one", line, host)


def _several(guids: Sequence[str]) -> str:
    """The first of several GUIDs, and how many more there are."""
    more = f" and {len(guids) - MOST_GUIDS} more" if len(guids) > MOST_GUIDS else ""
    return ", ".join(guids[:MOST_GUIDS]) + more


def _role(host: str, namer: Namer, nodes: frozenset[str] | None, said: Mapping[str, Role]) -> Role:
    if nodes is not None and host in nodes:
        return Role.COMPUTE
    if host in said and (nodes is None or said[host] is not Role.COMPUTE):
        return said[host]
    if namer.is_storage(host):
        return Role.STORAGE
    return Role.COMPUTE if nodes is None else Role.OTHER


def _compare_with_nodes(
    on_fabric: set[str], roles: Mapping[str, Role], nodes: frozenset[str] | None, odd: Oddities
) -> None:
    if nodes is None:
        return
    if missing := nodes - on_fabric:
        text = f"nodes of slurm.conf are on no fabric: {_listed(missing)}"
        odd.add("node-without-fabric", text, subject=fold_hostlist(missing))
    unknown = {name for name in on_fabric - nodes if roles[name] is Role.OTHER}
    if unknown:
        text = f"hosts on a fabric are no nodes of slurm.conf: {_listed(unknown)}"
        odd.add("host-without-node", text, subject=fold_hostlist(unknown))


def _listed(names: Iterable[str]) -> str:
    text = fold_hostlist(names)
    return text if len(text) <= 300 else f"{text[:300]}..."


def _domains(
    domains: Mapping[str, Sequence[str]], namer: Namer, nodes: frozenset[str] | None, odd: Oddities
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for domain in sorted(domains):
        names = {namer.node(name) for name in domains[domain]}
        strange = names - nodes if nodes is not None else set()
        if strange:
            text = f"hosts of NVLink domain {domain} are no nodes of slurm.conf: left out: {_listed(strange)}"
            odd.add("domain-without-node", text, subject=domain)
        if names - strange:
            found[domain] = tuple(sorted(names - strange, key=natural))
    return found


def _fabrics(
    whole: Whole, owners: Mapping[str, Named], roles: Mapping[str, Role], wanted: Mapping[str, str]
) -> tuple[Fabric, ...]:
    parts = _components(whole)
    names = unique_names(whole.chips)
    hanging: dict[str, list[Cable]] = defaultdict(list)
    trunks: dict[str, list[Cable]] = defaultdict(list)
    for cable in whole.cables:
        a, b = cable.a in whole.chips, cable.b in whole.chips
        if a and b:
            trunks[parts[cable.a]].append(cable)
        elif a or b:
            hanging[parts[cable.a if a else cable.b]].append(cable)
    members: dict[str, list[str]] = defaultdict(list)
    for guid, part in parts.items():
        members[part].append(guid)
    order = {host: natural(host) for host in roles}
    made = [
        _fabric(whole, guids, names, _hosts(whole, hanging[part], names, owners, roles, order), trunks[part])
        for part, guids in members.items()
    ]
    return tuple(with_names(in_order(made), wanted))


def _components(whole: Whole) -> dict[str, str]:
    """For each switch one that stands for all that cables join it with."""
    above: dict[str, str] = {guid: guid for guid in whole.chips}

    def top(guid: str) -> str:
        while above[guid] != guid:
            above[guid] = above[above[guid]]
            guid = above[guid]
        return guid

    for cable in whole.cables:
        if cable.a in above and cable.b in above:
            a, b = top(cable.a), top(cable.b)
            above[max(a, b)] = min(a, b)
    return {guid: top(guid) for guid in above}


def _hosts(
    whole: Whole,
    cables: Iterable[Cable],
    names: Mapping[str, tuple[str, str]],
    owners: Mapping[str, Named],
    roles: Mapping[str, Role],
    order: Mapping[str, _Key],
) -> dict[str, Host]:
    ends: dict[str, list[tuple[_Key, str, int, str, int, float]]] = defaultdict(list)
    labels: dict[str, _Key] = {}
    rates: dict[tuple[int, str], float] = {}
    for cable in cables:
        if cable.a in whole.chips:
            chip, chip_port, guid, port = cable.a, cable.a_port, cable.b, cable.b_port
        else:
            guid, port, chip, chip_port = cable.a, cable.a_port, cable.b, cable.b_port
        host, label = owners[guid]
        if label not in labels:
            labels[label] = natural(label)
        rate = (cable.lanes, cable.speed)
        if rate not in rates:
            rates[rate] = gbps(*rate)
        ends[host].append((labels[label], guid, port, names[chip][0], chip_port, rates[rate]))
    return {
        host: Host(
            host,
            roles[host],
            tuple(
                Endpoint(guid, port, rail, switch, switch_port, rate)
                for rail, (_, guid, port, switch, switch_port, rate) in enumerate(sorted(ends[host]))
            ),
        )
        for host in sorted(ends, key=order.__getitem__)
    }


def _fabric(
    whole: Whole,
    guids: Sequence[str],
    names: Mapping[str, tuple[str, str]],
    hosts: Mapping[str, Host],
    cables: Sequence[Cable],
) -> Fabric:
    ends = [(names[cable.a][0], names[cable.b][0]) for cable in cables]
    links = links_of((names[guid][0] for guid in guids), ends)
    every: Counter[str] = Counter()
    compute: Counter[str] = Counter()
    for host in hosts.values():
        count = Counter(point.switch for point in host.endpoints)
        every.update(count)
        if host.role is Role.COMPUTE:
            compute.update(count)
    tier = tiers(links, compute or every, every)
    switches = {}
    for guid in sorted(guids, key=lambda guid: names[guid][0]):
        (name, chassis), chip = names[guid], whole.chips[guid]
        switches[name] = Switch(name, guid, chip.description, tier[name], chassis, chip.ports)
    trunks = []
    for cable, (a, b) in zip(cables, ends, strict=True):
        near, far = (a, cable.a_port), (b, cable.b_port)
        if (tier[b], b) < (tier[a], a):
            near, far = far, near
        trunks.append(Trunk(*near, *far, gbps(cable.lanes, cable.speed)))
    trunks.sort(key=lambda one: (one.a, one.a_port, one.b, one.b_port))
    return Fabric("", whole.networks[guids[0]], switches, hosts, tuple(trunks))
