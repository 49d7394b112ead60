"""A second slurmctld for a moment: the real one is the judge of what the real one will take.

It has a port, a state folder, a name and a configuration of its own, is asked over loopback, knows every node under an
address where nobody listens, keeps no accounts and starts no program of the cluster's. What it takes from the cluster's
slurm.conf is a short list (``TAKEN``), not everything but a few: a key that a later Slurm brings cannot make it act.
"""

from __future__ import annotations

import io
import re
import secrets
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Unavailable
from hpcjobs.slurmconf.conf import SlurmConf
from hpcjobs.slurmconf.controller import MOST_LOG, Place
from hpcjobs.slurmconf.runner import Runner

TAKEN: Final = (
    "slurmuser", "authtype", "authinfo", "credtype", "cryptotype", "hashplugin", "tlstype", "tlsparameters",
    "plugindir", "selecttype", "selecttypeparameters", "maxnodecount", "messagetimeout", "tcptimeout",
    "topologyplugin", "topologyparam", "treewidth",
)  # fmt: skip
"""Keys of the cluster's slurm.conf that a trial needs to be like it."""

NOTHING: Final[Mapping[str, str]] = {}

PORTS: Final = range(20_000, 32_000)
"""Where a trial may listen, below the ports that Linux gives to connections."""

LOAD_S: Final = 60.0
"""How long slurmctld may take to load; it grows with the cube of the number of switches."""

_COMPLAINT = re.compile(r"(?:\[[^\]]*\] )?(?:slurmctld: )?((?:fatal|error|warning): .*)")
_SCRATCH = re.compile(r"\S*/hpcjobs-trial\.[A-Za-z0-9]+/conf/")
_LOAD = re.compile(r"very large processing time from topology_g_build_config: usec=([0-9]+)")
_NOISE = re.compile(
    r"Could not open .*state|No memory enforcing|No .*state (?:file|information)|NOTE: Trying backup"
    r"|Can't open clustername|default partition not set|[Uu]nable to (?:ping|resolve)|Nodes? .* not responding"
    r"|Note very large processing|[Cc]group|auth/jwt|MUNGE|High latency"
)


class Tried(msgspec.Struct, frozen=True):
    """What a trial came to.

    Attributes:
        up: Whether slurmctld loaded it all and answered.
        complaints: Its words for what it did not like, the deadly last.
        shown: What ``scontrol show`` printed, by the words behind it.
        seconds: From its start to its first answer.
        load_s: What of that it says it took to build the topologies; 0.0: less than it finds worth saying.
    """

    up: bool
    complaints: tuple[str, ...]
    shown: Mapping[str, str]
    seconds: float
    load_s: float = 0.0


def trial_conf(conf: SlurmConf, said: Mapping[str, str]) -> str:
    """A slurm.conf for a trial; ``@words@`` in it are put in where it runs.

    Args:
        conf: The cluster's.
        said: Settings that shall be in place of its own.
    """
    settings = {key: value for key, value in conf.settings.items() if key in TAKEN}
    settings.update({key.lower(): value for key, value in said.items()})
    six = "disableipv4" in conf.settings.get("communicationparameters", "").lower()
    if six:
        settings["communicationparameters"] = "EnableIPv6,DisableIPv4"
    if "slurmuser" not in settings:
        settings["slurmuser"] = "root"
    address = "::1" if six else "127.0.0.1"
    lines = [
        f'{key}="{value}"' if re.search(r"\s", value) else f"{key}={value}"
        for key, value in settings.items()
        if key != "slurmuser"
    ]
    lines += [
        "SlurmUser=@user@",
        "ClusterName=hpcjobs-trial",
        f"SlurmctldHost=@host@({address})",
        "SlurmctldPort=@port@",
        "SlurmdPort=1",
        "SlurmdTimeout=0",
        "StateSaveLocation=@dir@/run",
        "SlurmctldPidFile=@dir@/run/pid",
        "SlurmctldDebug=verbose",
        "AccountingStorageType=accounting_storage/none",
        "JobAcctGatherType=jobacct_gather/none",
        "PriorityType=priority/basic",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "MpiDefault=none",
        "MailProg=/bin/true",
        *_node_lines(conf, address),
        *_partition_lines(conf),
    ]
    return "\n".join(lines) + "\n"


def _node_lines(conf: SlurmConf, address: str) -> Iterator[str]:
    for keys in conf.node_lines:
        default = keys["nodename"].upper() == "DEFAULT"
        state = " State=FUTURE" if keys.get("state", "").upper() == "FUTURE" else ""
        place = f" Topology={keys['topology']}" if "topology" in keys else ""
        where = "" if default else f" NodeAddr={address}"
        if not default or state:
            yield f"NodeName={keys['nodename']}{where}{state}{place}"


def _partition_lines(conf: SlurmConf) -> Iterator[str]:
    for name, keys in conf.partitions.items() or {"trial": {}}.items():
        place = f" Topology={keys['topology']}" if "topology" in keys else ""
        yield f"PartitionName={name} Nodes=ALL{place}"


_SCRIPT: Final = r"""set -u
scratch=$1 conf=$2 slurmctld=$3 scontrol=$4 user=$5 port=$6 limit=$7 mark=$8
shift 8
dir=$(mktemp -d "$scratch/hpcjobs-trial.XXXXXXXX") || exit 70
pid=
finish() {
  trap '' HUP INT TERM
  if [ -n "$pid" ]; then
    kill -TERM "$pid" 2>/dev/null
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -s KILL -- "-$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  fi
  rm -rf -- "$dir"
}
trap finish EXIT
trap 'exit 71' HUP INT TERM
mkdir "$dir/conf" "$dir/run" || exit 70
tar -xf - -C "$dir/conf" || exit 70
for file in "$conf"/*; do
  name=${file##*/}
  case $name in
  slurm.conf | topology.* | plugstack.conf | slurmdbd.conf | gres.conf | job_submit.lua | *.hpcjobs-*) ;;
  *) [ -f "$file" ] && [ ! -e "$dir/conf/$name" ] && ln -s "$file" "$dir/conf/$name" ;;
  esac
done
[ "$(id -u)" = 0 ] || user=$(id -un)
host=$(uname -n)
sed -i "s|@dir@|$dir|; s|@port@|$port|; s|@host@|${host%%.*}|; s|@user@|$user|" "$dir/conf/slurm.conf" || exit 70
chown -R "$user" "$dir" && chmod 700 "$dir" "$dir/run" || exit 70
export SLURM_CONF="$dir/conf/slurm.conf"
unset SLURMCTLD_RECONF SLURM_CLUSTERS SLURM_CLUSTER_NAME SLURM_DEBUG_FLAGS
cd "$dir/run" || exit 70
begun=$(date +%s%N)
timeout -k 5 "$((limit + 30))" "$slurmctld" -D -c -f "$SLURM_CONF" >log 2>&1 </dev/null &
pid=$!
up=no
while kill -0 "$pid" 2>/dev/null && [ $(($(date +%s%N) - begun)) -lt "${limit}000000000" ]; do
  if timeout 5 "$scontrol" ping 2>/dev/null | grep -q 'is UP'; then up=yes; break; fi
  sleep 0.05
done
printf '%s up %s %s\n' "$mark" "$up" "$(($(date +%s%N) - begun))"
if [ $up = yes ]; then
  for words do
    printf '%s shown %s\n' "$mark" "$words"
    # shellcheck disable=SC2086
    timeout 30 "$scontrol" show $words 2>>asked || cat asked
  done
fi
printf '%s log\n' "$mark"
tail -c @most@ log
"""


def trial(
    runner: Runner,
    place: Place,
    conf: SlurmConf,
    files: Mapping[str, str],
    asked: Sequence[str] = (),
    *,
    said: Mapping[str, str] = NOTHING,
    load_s: float = LOAD_S,
) -> Tried:
    """Let a slurmctld load a configuration, and ask it what it has.

    Args:
        runner: The controller's machine; root or SlurmUser there.
        place: Where its files and programs are.
        conf: The slurm.conf that would be, with everything that it includes.
        files: Texts of files beside slurm.conf that would be, as topology.conf, by name.
        asked: What it is asked for, each as ``scontrol show`` has it behind it, as ``config``.
        said: Settings beyond those that every trial takes of slurm.conf (``TAKEN``).
        load_s: How long it may take.

    Raises:
        Unavailable: The machine cannot be reached, or has no folder or port for a trial.
    """
    texts = {"slurm.conf": trial_conf(conf, said), **files}
    script = _SCRIPT.replace("@most@", str(MOST_LOG))
    for _ in range(3):
        mark = f"@{secrets.token_hex(8)}"
        port = str(PORTS[secrets.randbelow(len(PORTS))])
        user = conf.settings.get("slurmuser", "root")
        words = [place.scratch_dir, place.conf_dir, place.slurmctld, place.scontrol, user, port, f"{load_s:.0f}", mark]
        ran = runner.run(["sh", "-c", script, "sh", *words, *asked], _archive(texts), load_s + 60)
        tried = _tried(ran.text, mark, asked)
        if tried is None:
            raise Unavailable(f"a trial of slurmctld could not be made: {ran.complaint or f'exit {ran.code}'}")
        if not any("ddress already in use" in complaint for complaint in tried.complaints):
            return tried
    raise Unavailable("a trial of slurmctld found no free port, three times")


def _archive(texts: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o600
            member.size = len(data := text.encode())
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _tried(printed: str, mark: str, asked: Sequence[str]) -> Tried | None:
    """What a script printed; None: it did not come so far."""
    parts = [part.partition("\n") for part in printed.split(f"{mark} ")[1:]]
    if not parts or not parts[-1][0].startswith("log"):
        return None
    _, up, nanoseconds = parts[0][0].split()
    log = _SCRATCH.sub("", parts[-1][2])
    loads = [int(usec) / 1e6 for usec in _LOAD.findall(log)]
    return Tried(
        up=up == "yes",
        complaints=tuple(complaints(log, noise=up != "yes")),
        shown={words: text for words, (_, _, text) in zip(asked, parts[1:-1], strict=False)},
        seconds=int(nanoseconds) / 1e9,
        load_s=max(loads, default=0.0),
    )


def complaints(log: str, *, noise: bool = False) -> list[str]:
    """What slurmctld did not like, as it says it in its log.

    Args:
        log: Lines of it.
        noise: Whether what a trial or a start of any kind brings with it is among them.
    """
    found = [match[1] for line in log.splitlines() if (match := _COMPLAINT.match(line))]
    return [one for one in found if noise or not _NOISE.search(one)]
