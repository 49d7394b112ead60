"""NVLink domains: which hosts' GPUs one NVLink fabric joins, from what ``nvidia-smi`` says on each. Pure.

Each line begins with the host's name and a colon, as pdsh and clush write it, or stands below a header of dshbak
(hostlist between two rules). After it stands one of

- ``<ClusterUUID>.<CliqueId>``;
- a line of ``nvidia-smi -q``, of which ``ClusterUUID`` and ``CliqueId`` are taken;
- a line of ``nvidia-smi --query-gpu=fabric.clusterUuid,fabric.cliqueId --format=csv``, in either order.

A JSON object of such text by host's name does as well. Without a domain are hosts whose UUID is all zeros or ``N/A``,
and hosts whose GPUs say different things.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from hpcjobs.sbatch.hostlists import expand_hostlist, natural
from hpcjobs_plugins.topology.fabric import FabricError, Notice
from hpcjobs_plugins.topology.providers.text import Oddities, decoded

_UUID: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_PREFIX: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*):(?=\s|$)\s?(.*)")
_PAIR: Final = re.compile(rf"({_UUID})\.([0-9]{{1,10}})")
_KEY: Final = re.compile(r"(ClusterUUID|CliqueId)\s*:\s*(.*)")
_VALUE: Final = re.compile(rf"{_UUID}|[0-9]{{1,10}}|\[?N/A\]?|\[?Not Supported\]?")
_HEADER: Final = re.compile(r"-{4,}")
_OTHER: Final = re.compile(r"=|GPU [0-9A-Fa-f]{8}:|[A-Z][^:]*(?:\s:\s|$)|fabric\.|Attached GPUs")
"""Lines of ``nvidia-smi`` that are of something else."""


class Domains(msgspec.Struct, frozen=True):
    """What one source said.

    Attributes:
        domains: Names of hosts by ``<ClusterUUID>.<CliqueId>``.
        notices: What was odd.
    """

    domains: Mapping[str, tuple[str, ...]]
    notices: tuple[Notice, ...] = ()


def read(data: bytes, source: str) -> Domains:
    """The domains of a source.

    Args:
        data: Text.
        source: What it is called in messages.

    Raises:
        FabricError: No host says anything of NVLink.
    """
    text = decoded(data, source)
    odd = Oddities()
    said: dict[str, set[str]] = {}
    halves: dict[str, dict[str, str]] = {}
    for host, told, line in _lines(text, source, odd):
        found = _domain(host, told, halves)
        if found is None:
            if told and not _OTHER.match(told):
                odd.add("line-unread", f"not understood, left out: {told[:80]!r}", line, host)
            continue
        if found:
            said.setdefault(host, set()).add(found)
    cut = sorted((host for host, half in halves.items() if half), key=natural)
    if cut:
        raise FabricError(f"{cut[0]} says {next(iter(halves[cut[0]]))} and not the other: it was cut off", source)
    if not said:
        raise FabricError("no ClusterUUID and no CliqueId is in it", source)
    domains: dict[str, list[str]] = {}
    for host in sorted(said, key=natural):
        if len(said[host]) > 1:
            text = f"the GPUs of {host} are of {' and '.join(sorted(said[host]))}: taken for one without a domain"
            odd.add("nvlink-disagrees", text, subject=host)
        elif (domain := next(iter(said[host]))) != _NO_DOMAIN:
            domains.setdefault(domain, []).append(host)
    return Domains({name: tuple(hosts) for name, hosts in sorted(domains.items())}, odd.notices())


_NO_DOMAIN: Final = "-"


def _domain(host: str, told: str, halves: dict[str, dict[str, str]]) -> str | None:
    """The domain that a line ends the saying of; ``""``: half of one was said; None: the line is none of that."""
    if pair := _PAIR.fullmatch(told):
        return _named(pair[1], pair[2])
    if key := _KEY.fullmatch(told):
        half = halves.setdefault(host, {})
        half[key[1]] = key[2].strip()
        if len(half) < 2:
            return ""
        found = _named(half["ClusterUUID"], half["CliqueId"])
        half.clear()
        return found
    cells = [cell.strip() for cell in told.split(",")]
    if len(cells) != 2 or not all(map(_VALUE.fullmatch, cells)):
        return None
    uuid, clique = cells if "-" in cells[0] or cells[1].isdigit() else reversed(cells)
    return _named(uuid, clique)


def _named(uuid: str, clique: str) -> str:
    if not re.fullmatch(_UUID, uuid) or not clique.isdigit() or not uuid.strip("0-"):
        return _NO_DOMAIN
    return f"{uuid.lower()}.{int(clique)}"


def _lines(text: str, source: str, odd: Oddities) -> Iterator[tuple[str, str, int]]:
    """Host, what it says, and the line."""
    if text.lstrip().startswith("{"):
        yield from _of_json(text, source)
        return
    lines = text.split("\n")
    hosts: list[str] = []
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or _HEADER.fullmatch(line):
            continue
        if (
            2 <= number < len(lines)
            and _HEADER.fullmatch(lines[number - 2].strip())
            and _HEADER.fullmatch(lines[number].strip())
        ):
            try:
                hosts = expand_hostlist(line)
            except ValueError as error:
                raise FabricError(str(error), source, number) from error
            continue
        if prefix := _PREFIX.fullmatch(line):
            yield prefix[1], prefix[2].strip(), number
        elif hosts:
            for host in hosts:
                yield host, line, number
        else:
            odd.add("line-unread", f"it says no host, left out: {line[:80]!r}", number)


def _of_json(text: str, source: str) -> Iterator[tuple[str, str, int]]:
    try:
        document = msgspec.json.decode(text, type=dict[str, str | list[str]])
    except (msgspec.DecodeError, RecursionError) as error:
        raise FabricError(f"no JSON of text by the names of hosts: {error}", source) from error
    for host, told in document.items():
        for line in told.split("\n") if isinstance(told, str) else told:
            yield host, line.strip(), 0
