"""``scontrol update JobId=... KEY=VALUE``: as far as the service can change a job."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hpcjobs.cli.slurm.common import Failed
from hpcjobs.cli.slurm.job_orders import act
from hpcjobs.cli.slurm.scontrol_job import names_of, told
from hpcjobs.model.order import Changes, Verb
from hpcjobs.sbatch.units import parse_count_range, parse_time
from hpcjobs.sbatch.when import parse_when

if TYPE_CHECKING:
    from hpcjobs.cli.slurm.scontrol import Request


class Key(NamedTuple):
    """One key.

    Attributes:
        name: In scontrol's spelling.
        least: Letters that are enough.
        field: Of Changes.
        read: Makes a value of the text.
    """

    name: str
    least: int
    field: str
    read: Callable[[str], Any] = str


def _yes(text: str) -> bool:
    if text.lower() in ("1", "yes"):
        return True
    if text.lower() in ("0", "no"):
        return False
    raise ValueError(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,10}", text, re.ASCII):
        raise ValueError(text)
    return int(text)


def _when(text: str) -> int:
    return 0 if text.lower() == "now" else parse_when(text, time.time())


KEYS: Final = (
    Key("JobId", 3, ""),
    Key("ArrayTaskThrottle", 10, "array_max_running", _count),
    Key("Comment", 3, "comment"),
    Key("TimeLimit", 5, "wall_s", parse_time),
    Key("TimeMin", 5, "time_min_s", parse_time),
    Key("Priority", 2, "priority", _count),
    Key("Nice", 2, "nice", _count),
    Key("Requeue", 4, "requeue", _yes),
    Key("ReqNodes", 8, "nodes", parse_count_range),
    Key("NumNodes", 8, "nodes", parse_count_range),
    Key("Partition", 2, "partition"),
    Key("QOS", 2, "qos"),
    Key("ReservationName", 3, "reservation"),
    Key("Name", 2, "name"),
    Key("JobName", 4, "name"),
    Key("ExcNodeList", 3, "exclude"),
    Key("NodeList", 8, "nodelist"),
    Key("ReqNodeList", 8, "nodelist"),
    Key("Features", 1, "constraint"),
    Key("Account", 1, "account"),
    Key("Dependency", 1, "dependency"),
    Key("EligibleTime", 2, "begin", _when),
    Key("StartTime", 2, "begin", _when),
    Key("Deadline", 3, "deadline", _when),
)
"""Keys that can be changed here, in scontrol's order: the first that a word begins counts."""

OTHERS: Final = (
    "AdminComment", "SiteFactor", "Clusters", "ClusterFeatures", "DelayBoot", "Extra", "CPUsPerTask", "CpusPerTres",
    "NumCPUs", "NumTasks", "ReqProcs", "ReqSockets", "ReqCores", "TasksPerNode", "ReqThreads", "MinCPUsNode",
    "MinMemoryNode", "MinMemoryCPU", "MinTmpDiskNode", "WCKey", "StdErr", "StdIn", "StdOut", "Switches",
    "wait-for-switch", "OverSubscribe", "Shared", "Contiguous", "CoreSpec", "MemPerTres", "ThreadSpec", "TresBind",
    "TresFreq", "TresPerJob", "TresPerNode", "TresPerSocket", "TresPerTask", "Prefer", "Gres", "BurstBuffer",
    "Licenses", "EndTime", "Reboot", "UserID", "WorkDir", "MailType", "MailUser", "MCSLabel", "ResetAccrueTime",
    "NtasksPerTRES", "MemUpdate", "OOMKillStep",
)  # fmt: skip
"""Keys of scontrol that cannot be changed through the service."""

NO_ENTITY: Final = """\
No valid entity in update command
Input line must include "NodeName", "PartitionName", "Reservation", "JobId", or "SlurmctldDebug"
"""

STEP: Final = re.compile(r"([+-])=?(.*)", re.DOTALL)


def _abort(*lines: str) -> int:
    sys.stderr.write("".join(f"{line}\n" for line in (*lines, "Request aborted")))
    return 1


def update(request: Request) -> int:
    """Change jobs."""
    if not any(_begins("JobId", word.partition("=")[0], 3) for word in request.words):
        sys.stderr.write(NO_ENTITY)
        return 1
    names: list[str] = []
    said: dict[str, Any] = {}
    steps = ""
    for word in request.words:
        tag, equals, text = word.partition("=")
        sign = tag[-1:] if tag[-1:] in ("+", "-") else ""
        tag = tag.rstrip("+-")
        key = next((key for key in KEYS if _begins(key.name, tag, key.least)), None)
        if key is None or (not equals and tag.lower() != "nice"):
            known = any(_begins(name, tag, 2) for name in OTHERS)
            why = "possible through the service" if known else "supported"
            return _abort(f"Update of this parameter is not {why}: {word}")
        if not key.field:
            names += names_of(request, [text])
        elif key.field == "wall_s" and (sign or STEP.match(text)):
            steps = sign + text
        else:
            try:
                said |= _read(key, text if equals else "100")
            except ValueError:
                return _abort(f"Invalid {key.name}: {text}" if key.read is not parse_time
                              else "Invalid TimeLimit value")  # fmt: skip
    if not steps:
        return told(request, act(request.call, request.cluster, Verb.UPDATE, names, changes=Changes(**said)))
    outcomes = []
    for name in names:
        changes = Changes(**{**said, **_limit(request, name, steps)})
        outcomes += act(request.call, request.cluster, Verb.UPDATE, [name], changes=changes)
    return told(request, outcomes)


def _begins(name: str, tag: str, least: int) -> bool:
    return len(tag) >= min(least, len(name)) and name.lower().startswith(tag.lower())


def _read(key: Key, text: str) -> Mapping[str, Any]:
    value = key.read(text)
    if key.field != "nodes":
        return {key.field: value}
    least, most = value
    return {"nodes": least} | ({"nodes_max": most} if most != least else {})


def _limit(request: Request, name: str, step: str) -> dict[str, int]:
    """The time limit that a step up or down makes of a job's own.

    Raises:
        Failed: It has none, or nothing is left of it.
    """
    match = STEP.fullmatch(step)
    change = parse_time(match[2]) if match else 0
    cluster = request.cluster
    before = request.call.ask(lambda client: client.job(name, cluster=cluster or None), cluster).wall_s
    if before is None:
        raise Failed(f"error: job {name} has no time limit of its own: nothing to add to or take from")
    after = before + (change if match and match[1] == "+" else -change)
    if after <= 0:
        raise Failed(f"error: TimeLimit decrement larger than current time limit ({change // 60} > {before // 60})")
    return {"wall_s": after}
