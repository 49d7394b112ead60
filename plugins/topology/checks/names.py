"""Names and GUIDs that are there twice, nodes of Slurm and of the fabric held against each other, and notices. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from hpcjobs.sbatch.hostlists import fold_hostlist, natural
from hpcjobs_plugins.topology.checks.findings import Finding, Severity, Value
from hpcjobs_plugins.topology.checks.survey import Survey
from hpcjobs_plugins.topology.fabric import Notice, Role, Site

NOTICES: Final[Mapping[str, Severity]] = {
    "adapter-without-name": Severity.WARNING,
    "cable-contradicted": Severity.WARNING,
    "cable-one-sided": Severity.WARNING,
    "cable-rates-differ": Severity.WARNING,
    "domain-without-node": Severity.WARNING,
    "duplicate-name": Severity.WARNING,
    "host-without-node": Severity.NOTE,
    "host-without-switch": Severity.WARNING,
    "node-without-fabric": Severity.WARNING,
    "nvlink-disagrees": Severity.WARNING,
    "self-loop": Severity.NOTE,
    "several-neighbours": Severity.WARNING,
    "sources-differ": Severity.WARNING,
    "switch-name-shared": Severity.WARNING,
    "switch-without-description": Severity.WARNING,
    "tool-complained": Severity.WARNING,
}
"""Notices of a discovery that are findings too; the others are of the source and not of the fabric."""

_NUMBERS: Final = re.compile(r"[0-9]+")


def check_twice(survey: Survey) -> Iterator[Finding]:
    """Names, GUIDs and ports that two have."""
    site = survey.site
    for said, code, owners in (
        ("The name {0} is", "name-twice", _names(site)),
        ("GUID {0} is", "guid-twice", _guids(site)),
        ("Port {0} is", "port-twice", _ports(site)),
    ):
        for what, its in owners:
            several = sorted(its, key=natural)
            if len(several) > 1:
                text = f"{said.format(what)} that of {' and of '.join(several)}"
                yield Finding(code, Severity.ERROR, what, text, {"of": tuple(several)})


def _gathered(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    yield from found.items()


def _names(site: Site) -> Iterator[tuple[str, list[str]]]:
    hosts = {name: f"host {name}" for fabric in site.fabrics for name in fabric.hosts}
    switches = [(name, f"a switch of {fabric.name}") for fabric in site.fabrics for name in fabric.switches]
    yield from _gathered([*switches, *((name, hosts[name]) for name in hosts)])


def _guids(site: Site) -> Iterator[tuple[str, list[str]]]:
    switches = [
        (switch.guid, f"switch {name} of {fabric.name}")
        for fabric in site.fabrics
        for name, switch in fabric.switches.items()
        if switch.guid
    ]
    adapters = {
        (point.adapter, f"host {host.name}"): None
        for fabric in site.fabrics
        for host in fabric.hosts.values()
        for point in host.endpoints
    }
    yield from _gathered([*switches, *adapters])


def _ports(site: Site) -> Iterator[tuple[str, list[str]]]:
    ends: list[tuple[str, str]] = []
    for fabric in site.fabrics:
        for host in fabric.hosts.values():
            for point in host.endpoints:
                place, own = f"{point.switch}:{point.switch_port}", f"{host.name} (rail {point.rail})"
                ends += [(place, f"the cable to {own}"), (f"{point.adapter}/{point.port}", f"the cable to {place}")]
        for trunk in fabric.trunks:
            one, other = f"{trunk.a}:{trunk.a_port}", f"{trunk.b}:{trunk.b_port}"
            ends += [(one, f"the cable to {other}"), (other, f"the cable to {one}")]
    yield from _gathered(ends)


def check_nodes(survey: Survey) -> Iterator[Finding]:
    """Nodes of slurm.conf that are on no fabric, and compute hosts of a fabric that are no nodes."""
    if survey.nodes is None:
        return
    hosts = {name: host.role for fabric in survey.site.fabrics for name, host in fabric.hosts.items()}
    missing = sorted(survey.nodes - hosts.keys(), key=natural)
    unknown = sorted(
        (name for name, role in hosts.items() if role is not Role.STORAGE and name not in survey.nodes), key=natural
    )
    plain: dict[str, list[str]] = defaultdict(list)
    for name in unknown:
        plain[_plain(name)].append(name)
    alike = [(name, plain[_plain(name)][0]) for name in missing if len(plain[_plain(name)]) == 1]
    if missing:
        folded = fold_hostlist(missing)
        are = "is" if len(missing) == 1 else "are"
        text = f"{len(missing)} of {len(survey.nodes)} nodes of slurm.conf {are} on no fabric: {folded}"
        if alike:
            text += f"; {alike[0][0]} may be {alike[0][1]}"
        evidence: dict[str, Value] = {
            "nodes": folded,
            "count": len(missing),
            "alike": tuple(f"{node} = {host}" for node, host in alike),
        }
        yield Finding("node-without-fabric", Severity.WARNING, folded, text, evidence, names=tuple(missing))
    if unknown:
        folded = fold_hostlist(unknown)
        what = "is no node" if len(unknown) == 1 else "are no nodes"
        text = f"{len(unknown)} of {len(hosts)} hosts {what} of slurm.conf: {folded}"
        yield Finding(
            "host-without-node",
            Severity.NOTE,
            folded,
            text,
            {"hosts": folded, "count": len(unknown)},
            names=tuple(unknown),
        )


def _plain(name: str) -> str:
    """A name without what people write in two ways: case, domain, zeros before numbers."""
    return _NUMBERS.sub(lambda match: str(int(match[0][:18])), name.split(".")[0].lower())


def check_notices(survey: Survey) -> Iterator[Finding]:
    """What a discovery found odd and that somebody should see to, each kind once."""
    kinds: dict[str, list[Notice]] = defaultdict(list)
    for notice in survey.site.notices:
        if notice.code in NOTICES:
            kinds[notice.code].append(notice)
    for code, notices in kinds.items():
        if survey.nodes is not None and code in ("node-without-fabric", "host-without-node"):
            continue  # check_nodes knows better
        # In an order of their own: that of the source is another from run to run.
        first = min(notices, key=lambda notice: (notice.more, natural(notice.subject)))
        count = sum(notice.count for notice in notices)
        more = f", and {count - 1} more of this kind" if count > 1 else ""
        subjects = tuple(sorted({notice.subject for notice in notices} - {""}, key=natural))
        subject = subjects[0] if len(subjects) == 1 else code
        yield Finding(code, NOTICES[code], subject, f"{first.text}{more}", {"subjects": subjects, "count": count})
