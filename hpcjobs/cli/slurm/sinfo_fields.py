"""What sinfo can print: letters of -o, names of -O, their headings, and what stands below them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from hpcjobs.cli.slurm.node_states import complete_state, long_state, short_state
from hpcjobs.cli.slurm.sinfo_lines import UNKNOWN_MEMORY, Line
from hpcjobs.cli.slurm.times import Moment, short_span, time_text
from hpcjobs.model.amount import MIB, NO_VAL, amount_text
from hpcjobs.sbatch.hostlists import fold_hostlist

NULL: Final = "(null)"
"""What Slurm prints of a text that is not there."""


class NotTold(ValueError):
    """What is to be printed is not known on this way to the cluster."""


class Look(NamedTuple):
    """How sinfo looks at a line.

    Attributes:
        moment: When, and the style of times.
        in_full: Whether numbers are written in full.
    """

    moment: Moment
    in_full: bool = False


class Field(NamedTuple):
    """One thing that can be printed.

    Attributes:
        name: Its name for -O.
        letter: Its letter for -o, or ``""``.
        heading: Above it.
        text: What stands below, of a line.
        match: By what it parts nodes into lines; ``""``: it does not.
        hidden: Whether --helpFormat leaves it out.
    """

    name: str
    letter: str
    heading: str
    text: Callable[[Line, Look], str]
    match: str = ""
    hidden: bool = False


def scaled(number: int, look: Look) -> str:
    """A count as sinfo shortens it: 2048 is ``2K``, 2000 is 2000."""
    return amount_text(number, convert=not look.in_full, step=1024)


def _at_least(name: str) -> Callable[[Line, Look], str]:
    def text(line: Line, look: Look) -> str:
        least, most = line.least[name], line.most[name]
        return scaled(most, look) if least == most else f"{scaled(least, look)}+"

    return text


def _plain_at_least(name: str) -> Callable[[Line, Look], str]:
    return lambda line, _: f"{line.least[name]}" + ("+" if line.least[name] != line.most[name] else "")


def _sct(line: Line, look: Look) -> str:
    return ":".join(_at_least(name)(line, look) for name in ("sockets", "cores", "threads"))


def _load(line: Line, _: Look) -> str:
    ends = ["N/A" if load == NO_VAL else f"{load / 100:.2f}" for load in (line.least["load"], line.most["load"])]
    return ends[1] if line.least["load"] == line.most["load"] else "-".join(ends)


def _free(line: Line, _: Look) -> str:
    ends = ["N/A" if free == UNKNOWN_MEMORY else str(free) for free in (line.least["free"], line.most["free"])]
    return ends[1] if line.least["free"] == line.most["free"] else "-".join(ends)


def _folded(tell: str) -> Callable[[Line, Look], str]:
    """Names of all the nodes, which sinfo gathers where they part lines only."""
    return lambda line, _: fold_hostlist(str(entry.tells[tell]) for entry in line.entries)


def node_list(line: Line) -> str:
    """The nodes of a line, folded."""
    return fold_hostlist(entry.node.name for entry in line.entries)


def _of_first(tell: str) -> Callable[[Line, Look], str]:
    """A text of the first node."""

    def text(line: Line, _: Look) -> str:
        told = line.entries[0].tells[tell] if line.entries else ""
        return (",".join(told) if isinstance(told, tuple) else str(told)) or NULL

    return text


def _state(word: Callable[[int], str]) -> Callable[[Line, Look], str]:
    return lambda line, _: word(line.bits).lower() if line.entries else "n/a"


def _size(line: Line, look: Look) -> str:
    least, most = line.partition.nodes_min, line.partition.nodes_max
    if least < 1 and most != 0:
        least = 1
    if least == most:
        return scaled(least, look)
    return f"{scaled(least, look)}-{'infinite' if most is None else scaled(most, look)}"


def _default_time(line: Line, _: Look) -> str:
    if line.partition.wall_default_unlimited:
        return "infinite"
    return "n/a" if line.partition.wall_default_s is None else short_span(line.partition.wall_default_s, None)


def _longest(line: Line, _: Look) -> str:
    return "infinite" if line.partition.wall_max_s is None else short_span(line.partition.wall_max_s, None)


def _preempt_mode(line: Line, _: Look) -> str:
    from hpcjobs.model.partition import CLUSTER_GLOBAL

    if line.partition.preempt_mode == CLUSTER_GLOBAL:
        raise NotTold("which preempt mode holds where a partition names none is not told on this way to the cluster")
    return line.partition.preempt_mode


def _user(line: Line, _: Look) -> str:
    # An empty line has number 0 in Slurm's memory.
    user = line.first.particulars.reason_user if line.first else "root"
    return "Unknown" if not user else f"Unk({user})" if user.isdigit() else user


def _user_long(line: Line, _: Look) -> str:
    if line.first is None or not line.first.particulars.reason_user:
        return "root(0)" if line.first is None else "Unknown"
    told = line.first.particulars
    if told.reason_uid is None:
        raise NotTold(f"the number of user {told.reason_user!r} is not told on this way to the cluster")
    return f"{'Unk' if told.reason_user.isdigit() else told.reason_user}({told.reason_uid})"


def partition_text(line: Line, width: int) -> str:
    """The name of the partition; the default has a star, even where there is no room for it."""
    name = line.partition.name
    if not line.partition.default:
        return name
    return f"{name}*" if len(name) < width or not width else f"{name[: width - 1]}*"


FIELDS: Final[Sequence[Field]] = (
    Field("AllocMem", "", "ALLOCMEM", lambda line, _: str(line.mem_alloc_bytes // MIB), "mem_alloc"),
    Field("AllocNodes", "S", "ALLOCNODES", lambda line, _: line.partition.allow_submit_nodes or "all"),
    Field("Available", "a", "AVAIL", lambda line, _: line.partition.state.lower(), "state_up"),
    Field("Cluster", "V", "CLUSTER", lambda line, _: line.cluster or "N/A"),
    Field("Comment", "", "COMMENT", _of_first("comment"), "comment"),
    Field("Cores", "Y", "CORES", _at_least("cores"), "cores"),
    Field("CPUs", "c", "CPUS", _at_least("cpus"), "cpus"),
    Field("CPUsLoad", "O", "CPU_LOAD", _load, "load"),
    Field(
        "CPUsState",
        "C",
        "CPUS(A/I/O/T)",
        lambda line, _: f"{line.cpus_allocated}/{line.cpus_idle}/{line.cpus_other}/{line.cpus_total}",
        "cpus",
    ),
    Field("DefaultTime", "L", "DEFAULTTIME", _default_time, "wall_default"),
    Field("Disk", "d", "TMP_DISK", _plain_at_least("disk"), "disk"),
    Field("Extra", "", "EXTRA", _of_first("extra"), "extra"),
    Field("Features", "f", "AVAIL_FEATURES", _of_first("features"), "features"),
    Field("features_act", "b", "ACTIVE_FEATURES", _of_first("features_active"), "features_active"),
    Field("FreeMem", "e", "FREE_MEM", _free, "free"),
    Field("Gres", "G", "GRES", _of_first("gres"), "gres"),
    Field("GresUsed", "G", "GRES_USED", _of_first("gres_used"), "gres_used"),
    Field("Groups", "g", "GROUPS", lambda line, _: ",".join(line.partition.allow_groups) or "all", "allow_groups"),
    Field(
        "MaxCPUsPerNode",
        "B",
        "MAX_CPUS_PER_NODE",
        lambda line, _: str(line.partition.cpus_per_node_max or "UNLIMITED"),
        "cpus_per_node",
    ),
    Field("Memory", "m", "MEMORY", _plain_at_least("memory"), "memory"),
    Field("NodeAddr", "o", "NODE_ADDR", _folded("address"), "address"),
    Field("NodeAI", "A", "NODES(A/I)", lambda line, _: f"{line.allocated}/{line.idle}"),
    Field(
        "NodeAIOT",
        "F",
        "NODES(A/I/O/T)",
        lambda line, _: f"{line.allocated}/{line.idle}/{line.other}/{line.total}",
    ),
    Field("NodeHost", "n", "HOSTNAMES", _folded("hostname"), "hostname"),
    Field("NodeList", "N", "NODELIST", lambda line, _: node_list(line)),
    Field("Nodes", "D", "NODES", lambda line, _: str(line.total)),
    Field("OverSubscribe", "h", "OVERSUBSCRIBE", lambda line, _: line.partition.oversubscribe),
    Field("Partition", "P", "PARTITION", lambda line, _: partition_text(line, 0), "name"),
    Field("PartitionName", "R", "PARTITION", lambda line, _: line.partition.name, "name"),
    Field("Port", "", "PORT", lambda line, look: scaled(line.first.particulars.port, look) if line.first else "0",
          "port"),
    Field("PreemptMode", "M", "PREEMPT_MODE", _preempt_mode, "preempt"),
    Field("PriorityJobFactor", "I", "PRIO_JOB_FACTOR",
          lambda line, look: scaled(line.partition.priority_job_factor, look), "factor"),
    Field("PriorityTier", "p", "PRIO_TIER", lambda line, look: scaled(line.partition.priority_tier, look), "tier"),
    Field("Reason", "E", "REASON", lambda line, _: (line.first.reason if line.first else "") or "none", "reason"),
    Field("Reservation", "i", "RESERVATION",
          lambda line, _: line.first.particulars.reservation if line.first else "", "reservation"),
    Field("Root", "r", "ROOT", lambda line, _: "yes" if line.partition.root_only else "no", "root"),
    Field("Share", "h", "OVERSUBSCRIBE", lambda line, _: line.partition.oversubscribe, "oversubscribe", True),
    Field("Size", "s", "JOB_SIZE", _size, "size"),
    Field("Sockets", "X", "SOCKETS", _at_least("sockets"), "sockets"),
    Field("SocketCoreThread", "z", "S:C:T", _sct, "sct"),
    Field("StateCompact", "t", "STATE", _state(short_state), "state"),
    Field("StateComplete", "", "STATECOMPLETE", _state(complete_state), "complete"),
    Field("StateLong", "T", "STATE", _state(long_state), "state"),
    Field("Threads", "Z", "THREADS", _at_least("threads"), "threads"),
    Field(
        "Time",
        "l",
        "TIMELIMIT",
        _longest,
        "wall_max",
    ),
    Field(
        "TimeStamp",
        "H",
        "TIMESTAMP",
        lambda line, look: time_text(line.first.particulars.reason_time if line.first else 0, look.moment, "Unknown"),
        "reason_time",
    ),
    Field("User", "u", "USER", _user, "reason_user"),
    Field("UserLong", "U", "USER", _user_long, "reason_user"),
    Field(
        "Version",
        "v",
        "VERSION",
        lambda line, _: (line.first.particulars.version if line.first else "") or "N/A",
        "version",
    ),
    Field("Weight", "w", "WEIGHT", _plain_at_least("weight"), "weight"),
)  # fmt: skip
"""In sinfo's order: of two with one letter the first is meant, and where none stands the first without one."""

BY_LETTER: Final[Mapping[str, Field]] = {field.letter: field for field in reversed(FIELDS)}
BY_NAME: Final[Mapping[str, Field]] = {field.name.lower(): field for field in FIELDS}
