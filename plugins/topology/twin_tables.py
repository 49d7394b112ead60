"""A Site written down by hand, and what ``nvidia-smi`` would say on its hosts. No I/O."""

from __future__ import annotations

from collections import Counter

from hpcjobs_plugins.topology.fabric import Site


def as_table(site: Site) -> str:
    """The table (CSV) of a site with all its ports: adapters are numbered, GUIDs are not in it."""
    hosts: list[str] = []
    trunks: list[str] = []
    numbers: Counter[str] = Counter()
    for fabric in site.fabrics:
        for host in fabric.hosts.values():
            for point in host.endpoints:
                numbers[host.name] += 1
                cells = (host.name, numbers[host.name], point.switch, point.switch_port, f"{point.gbps:.12g}")
                hosts.append(",".join(map(str, (*cells, fabric.name, host.role.value))))
        trunks.extend(
            f"{trunk.a},{trunk.a_port},{trunk.b},{trunk.b_port},{trunk.gbps:.12g},{fabric.name}"
            for trunk in fabric.trunks
        )
    lines = ["host,host_port,switch,switch_port,gbps,fabric,role", *hosts]
    if trunks:
        lines += ["switch,switch_port,above,above_port,gbps,fabric", *trunks]
    return "\n".join(lines) + "\n"


def as_nvlink(site: Site, gpus: int = 4, *, query: bool = False) -> str:
    """What each host's GPUs say of their NVLink domain, a line a GPU behind the host's name, as pdsh writes it.

    Args:
        site: With its domains; hosts that are in none say zeros.
        gpus: Of a host.
        query: As of ``nvidia-smi -q``; else ``<ClusterUUID>.<CliqueId>``.
    """
    domains = {host: domain for domain, hosts in site.domains.items() for host in hosts}
    names = {host.name: None for fabric in site.fabrics for host in fabric.compute} | dict.fromkeys(domains)
    lines: list[str] = []
    for name in names:
        uuid, _, clique = domains.get(name, "00000000-0000-0000-0000-000000000000.0").partition(".")
        said = [f"{uuid}.{clique}"]
        if query:
            state = ["GPU 00000008:01:00.0", "    Fabric", "        State                             : Completed"]
            said = [*state, f"        CliqueId                          : {clique}"]
            said.append(f"        ClusterUUID                       : {uuid}")
        lines.extend(f"{name}: {line}" for _ in range(gpus) for line in said)
    return "\n".join(lines) + "\n"
