"""From what was said to a site: settings are read, sources asked, saved sites opened. What is odd about it is told."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import click
import msgspec

from hpcjobs.sbatch.hostlists import expand_hostlist
from hpcjobs.slurmconf.conf import read_slurm_conf
from hpcjobs.slurmconf.reach import words_of
from hpcjobs.slurmconf.saying import tell
from hpcjobs_plugins.topology.commands.options import Asked
from hpcjobs_plugins.topology.fabric import FabricError, Site
from hpcjobs_plugins.topology.gathering import Feed, Reader, gather
from hpcjobs_plugins.topology.naming import Naming
from hpcjobs_plugins.topology.providers.source import Fetched, SourceSettings, Ssh, fetched, of_stream
from hpcjobs_plugins.topology.saved import read_site
from hpcjobs_plugins.topology.settings import OfCluster, Settings

STDIN: Final = "/dev/stdin"
"""What ``-`` is called."""

KEYS: Final = ("id_ed25519", "id_ecdsa", "id_rsa")
"""Private keys in ~/.ssh that are looked for where none is named."""

TOOLS: Final[Mapping[str, Reader]] = {
    "ibnetdiscover": Reader.IBNETDISCOVER,
    "iblinkinfo": Reader.IBLINKINFO,
    "nvidia-smi": Reader.NVLINK,
}
"""Which reader understands a tool."""

_GUID: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{1,16}|[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5,7}")
_LINE: Final = re.compile(r"line ([0-9]+)")
_LOOK: Final = 1 << 16
"""As many bytes at the start tell a source from a saved site."""

_LOOKS: Final[Mapping[bytes, str]] = {
    b"switchguid=": "ibnetdiscover",
    b"Switch: 0x": "iblinkinfo",
    b"ClusterUUID": "nvlink",
    b'"lldp"': "lldp",
}


class Given(NamedTuple):
    """What is known before anybody is asked.

    Attributes:
        of: What the settings say of the cluster; None: there are none.
        nodes: Slurm's; None: nobody says which there are.
    """

    of: OfCluster | None
    nodes: frozenset[str] | None


def given(asked: Asked) -> Given:
    """Settings and nodes.

    Raises:
        FabricError: They cannot be read.
        OSError: A file is not there.
    """
    if asked.nodes is not None and asked.slurm_conf:
        raise click.UsageError("say --nodes or --slurm-conf")
    if asked.cluster and not asked.settings:
        raise click.UsageError("--cluster says which one of --settings")
    of = cluster_of(asked.settings, asked.cluster) if asked.settings else None
    if asked.nodes is not None:
        if not asked.nodes.strip():
            raise click.UsageError("--nodes is empty: is the variable set that should have named the nodes?")
        return Given(of, _expanded(asked.nodes, "--nodes"))
    if asked.slurm_conf:
        return Given(of, nodes_of(asked.slurm_conf))
    return Given(of, _expanded(of.nodes, f"{asked.settings}: nodes") if of and of.nodes else None)


def _expanded(hostlist: str, source: str) -> frozenset[str]:
    try:
        return frozenset(expand_hostlist(hostlist))
    except ValueError as error:
        raise FabricError(str(error), source) from None


def nodes_of(path: Path) -> frozenset[str]:
    """NodeNames of a slurm.conf and of what it includes.

    Raises:
        FabricError: It cannot be read, or names no node.
        OSError: It is not there.
    """

    def read(name: str) -> str:
        file = path if name == path.name else path.parent / name
        try:
            return file.read_text()
        except UnicodeDecodeError:
            raise FabricError("the file is no text", str(file)) from None

    nodes = read_slurm_conf(read, path.name).nodes
    if not nodes:
        raise FabricError("it names no node", str(path))
    return frozenset(nodes)


def cluster_of(path: Path, name: str) -> OfCluster:
    """What settings say of a cluster: those of the plugin, or a service's with the plugin in them.

    Raises:
        FabricError: It is no TOML, not these settings, or has no such cluster.
        OSError: It is not there.
    """
    try:
        said = tomllib.loads(path.read_text())
    except UnicodeDecodeError:
        raise FabricError("the file is no text", str(path)) from None
    except tomllib.TOMLDecodeError as error:
        line = _LINE.search(str(error))
        raise FabricError(f"this is no TOML: {error}", str(path), int(line[1]) if line else 0) from None
    own: object = said
    if "plugins" in said or not isinstance(said.get("clusters"), dict):
        mine = [one for one in _tables(said.get("plugins")) if one.get("name") == "topology"]
        if not mine:
            raise FabricError(
                'there is no [[plugins]] with name = "topology", and no [clusters.NAME] either', str(path)
            )
        own = mine[0].get("settings", {})
    try:
        clusters = msgspec.convert(own, Settings).clusters
    except msgspec.ValidationError as error:
        raise FabricError(f"these are no settings of the topology plugin: {error}", str(path)) from None
    if not name and len(clusters) != 1:
        raise FabricError(f"say with --cluster which one: {', '.join(clusters) or 'there is none'}", str(path))
    if name and name not in clusters:
        raise FabricError(f"there is no cluster {name}, but {', '.join(clusters) or 'none'}", str(path))
    return clusters[name or next(iter(clusters))]


def _tables(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def read_guid_map(path: Path) -> dict[str, str]:
    """Names by GUID, of lines ``guid name``; a name may stand in quotes, as in a node-name-map of OpenIB.

    Raises:
        FabricError: A line is none, or gives another name to a GUID that has one.
        OSError: It is not there.
    """
    found: dict[str, str] = {}
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        raise FabricError("the file is no text", str(path)) from None
    for number, line in enumerate(lines, 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise FabricError(f"{line.strip()[:60]!r}: {error}", str(path), number) from None
        if not words:
            continue
        if len(words) != 2 or not _GUID.fullmatch(words[0]) or not words[1].split():
            raise FabricError(f"{line.strip()[:60]!r} is no GUID and a name", str(path), number)
        name = words[1].split()[0]
        if found.setdefault(words[0].lower(), name) != name:
            raise FabricError(f"{words[0]} is {found[words[0].lower()]} in a line before", str(path), number)
    if not found:
        raise FabricError("it names no GUID", str(path))
    return found


def split_source(word: str) -> tuple[Reader | None, str]:
    """``ibnetdiscover:fabric.txt`` as its two parts; no reader where none is named."""
    name, colon, rest = word.partition(":")
    return (Reader(name), rest) if colon and name in set(Reader) else (None, word)


def _path(path: str) -> str:
    return STDIN if path == "-" else os.path.expanduser(path)


def _feeds(asked: Asked) -> list[Feed]:
    """Sources that were named.

    Raises:
        UsageError: What one speaks is not said.
    """
    feeds = []
    for word in (*asked.words, *asked.sources):
        reader, path = split_source(word)
        if reader is None or not path:
            raise click.UsageError(f"{word!r} is none of {', '.join(f'{one}:PATH' for one in Reader)}")
        feeds.append(Feed(reader, SourceSettings(path=_path(path), timeout_s=asked.timeout_s)))
    if sum(feed.source.path == STDIN for feed in feeds) > 1:
        raise click.UsageError("stdin can be read once")
    ssh = _ssh(asked) if asked.ssh else None
    for command in asked.commands:
        reader, text = split_source(command)
        words = tuple(words_of(text, "--command"))
        reader = reader or next((TOOLS[name] for name in map(os.path.basename, words) if name in TOOLS), None)
        if reader is None or not words:
            raise click.UsageError(f"say what {text!r} speaks, as --command 'ibnetdiscover:{text}'")
        feeds.append(Feed(reader, SourceSettings(command=words, ssh=ssh, timeout_s=asked.timeout_s)))
    return feeds


def _ssh(asked: Asked) -> Ssh:
    """Whom the commands are sent to.

    Raises:
        UsageError: There is no command, or no key.
    """
    if not asked.commands:
        raise click.UsageError("only a --command runs on another machine")
    user, _, host = asked.ssh.rpartition("@")
    name, _, port = host.partition(":")
    home = Path.home() / ".ssh"
    key = asked.ssh_key or next((home / name for name in KEYS if (home / name).is_file()), None)
    if key is None:
        raise click.UsageError(f"there is no key in {home}: say --ssh-key")
    if not name or (port and not port.isdigit()):
        raise click.UsageError(f"{asked.ssh!r} is no USER@HOST or USER@HOST:PORT")
    known = asked.known_hosts or home / "known_hosts"
    return Ssh(name, user or os.environ.get("USER", "root"), str(key), str(known), int(port or 22))


def _fetched(source: SourceSettings) -> Fetched:
    """The bytes of a source; unlike the service, a caller at a keyboard may give a pipe and wait for it."""
    if source.path == STDIN:
        return of_stream(sys.stdin.buffer, source)
    try:
        pipe = bool(source.path) and stat.S_ISFIFO(os.stat(source.path).st_mode)
    except OSError:
        pipe = False
    if not pipe:
        return fetched(source)
    with closing(open(source.path, "rb")) as stream:
        return of_stream(stream, source)


def bytes_of(word: str) -> tuple[str, bytes]:
    """A file's path, or what stdin is called, and what is in it, decompressed.

    Raises:
        FabricError: It cannot be read.
    """
    path = _path(word)
    return path, _fetched(SourceSettings(path=path)).data


def saved(path: str, data: bytes) -> Site:
    """A saved site.

    Raises:
        FabricError: It cannot be read, or is something else.
    """
    start = data[:_LOOK]
    reader = next((name for letters, name in _LOOKS.items() if letters in start), "")
    if reader and not start.lstrip().startswith(b'{"fabrics"'):
        raise FabricError(f"this is no saved site: say {reader}:{path}", path)
    return read_site(data, path)


def site_of(asked: Asked, known: Given, read: tuple[str, bytes] | None = None) -> Site:
    """The site that was asked for.

    Args:
        asked: What was said.
        known: What is known already.
        read: Path and bytes of the saved site, where they were read already.

    Raises:
        FabricError: A source cannot be had or read.
        OSError: A file is not there.
        UsageError: Nothing was asked for, or what does not go together.
    """
    if len(asked.words) == 1 and split_source(asked.words[0])[0] is None:
        if asked.sources or asked.commands:
            raise click.UsageError(f"{asked.words[0]} is a saved site or none: it goes with no other source")
        for option, value in (("--guid-map", asked.guid_map), ("--storage", asked.storage)):
            if value:
                raise click.UsageError(f"{option} names what is discovered: a saved site has its names")
        return saved(*(read or bytes_of(asked.words[0])))
    feeds = _feeds(asked) or list(known.of.sources if known.of else ())
    if not feeds:
        raise click.UsageError("say what is to be read: a saved site, READER:PATH, --command or --settings")
    naming = known.of.naming if known.of else Naming()
    guids = read_guid_map(asked.guid_map) if asked.guid_map else {}
    naming = msgspec.structs.replace(naming, guids={**naming.guids, **guids}, storage=(*naming.storage, *asked.storage))
    site = gather(feeds, naming, known.nodes, time.time(), get=_fetched)
    _tell_of_switches(site, guids)
    return site


def _tell_of_switches(site: Site, guids: Mapping[str, str]) -> None:
    """A GUID that is a switch's names no node: nobody should wait for it."""
    forms = {guid.removeprefix("0x").replace(":", "").replace("-", "").zfill(16) for guid in guids}
    for fabric in site.fabrics:
        for switch in fabric.switches.values():
            if switch.guid in forms:
                text = f"{switch.guid} is the GUID of switch {switch.name}, and --guid-map names nodes"
                tell(f"{text}: ibnetdiscover --node-name-map names switches", "warning")
