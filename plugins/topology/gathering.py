"""A Site of everything that a site's sources say: the way from settings to what was found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from hpcjobs_plugins.topology.assemble import assemble
from hpcjobs_plugins.topology.fabric import Dump, FabricError, Network, Notice, Site
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers import iblinkinfo, ibnetdiscover, lldp, nvlink, table
from hpcjobs_plugins.topology.providers.source import Fetched, SourceSettings, fetched

MOST_REASONS: Final = 3
"""As many notices say why nothing was found."""


class Reader(StrEnum):
    """What a source speaks."""

    IBNETDISCOVER = "ibnetdiscover"
    IBLINKINFO = "iblinkinfo"
    LLDP = "lldp"
    TABLE = "table"
    NVLINK = "nvlink"


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One source of a site.

    Attributes:
        reader: What it speaks.
        source: Where it is.
        columns: Of a table: its columns by ours, where they are called otherwise.
        network: Of a table: what the fabric carries.
    """

    reader: Reader
    source: SourceSettings
    columns: dict[str, str] = {}
    network: Network = Network.INFINIBAND


_DUMPS: Final[Mapping[Reader, Callable[[bytes, str], Dump]]] = {
    Reader.IBNETDISCOVER: ibnetdiscover.read,
    Reader.IBLINKINFO: iblinkinfo.read,
    Reader.LLDP: lldp.read,
}


def gather(
    feeds: Sequence[Feed],
    naming: Naming,
    nodes: Collection[str] | None,
    now: float,
    *,
    get: Callable[[SourceSettings], Fetched] = fetched,
) -> Site:
    """Ask every source, and put together what they say.

    Args:
        feeds: The sources.
        naming: How hosts and fabrics are named.
        nodes: NodeNames of slurm.conf; None: nobody says which there are.
        now: Unix seconds.
        get: Gets the bytes of a source.

    Raises:
        FabricError: A source cannot be had or read, or there is none of a fabric or of domains.
    """
    dumps: list[Dump] = []
    domains: dict[str, tuple[str, ...]] = {}
    notices: list[Notice] = []
    for feed in feeds:
        name = feed.source.name
        got = get(feed.source)
        notices += got.notices
        if feed.reader is Reader.NVLINK:
            found = nvlink.read(got.data, name)
            for domain, hosts in found.domains.items():
                domains[domain] = tuple(dict.fromkeys((*domains.get(domain, ()), *hosts)))
            notices += found.notices
        elif feed.reader is Reader.TABLE:
            dumps.append(table.read(got.data, name, feed.columns or None, feed.network))
        else:
            dumps.append(_DUMPS[feed.reader](got.data, name))
    if not dumps and not domains:
        why = "; ".join(dict.fromkeys(notice.text for notice in notices[:MOST_REASONS]))
        raise FabricError(f"no source has a fabric or an NVLink domain{': ' * bool(why)}{why}")
    return assemble(dumps, naming, nodes, domains, now, notices)
