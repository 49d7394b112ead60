"""sbatch's options as a table: those that a spec has fields for, and those that only a program can obey."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hpcjobs.model.gres import gpus_of_gres, parse_gpus
from hpcjobs.sbatch import layout, values
from hpcjobs.sbatch.getopt import Grammar, Misspelt, Takes
from hpcjobs.sbatch.units import memory_text, parse_count_range, parse_memory, parse_time, time_text

Fields = dict[str, Any]

RESOURCES: Final = "resources."
"""What the names of fields begin with that are in ``resources``."""

COMPONENT_FIELDS: Final = frozenset({"resources", "partition", "mail_type", "mail_user"})
"""What each component of a heterogeneous job has of its own: the fields of Component, whose module loads slowly."""


class Option(NamedTuple):
    """One option.

    Attributes:
        long: Name after ``--``.
        short: Letter after ``-``, or ``""``.
        takes: Whether an argument must follow, may be joined to it, or cannot.
        fields: What it says; a name with a dot is in ``resources``.
        read: From the argument (None: none was given) to fields. Raises ValueError.
        write: From the values of ``fields`` to the argument; True: without one; None: the option is left out.
        fault: What sbatch says of a bad argument.
    """

    long: str
    short: str
    takes: Takes
    fields: tuple[str, ...]
    read: Callable[[str | None], Fields]
    write: Callable[..., str | bool | None]
    fault: str = "Invalid --{long} specification"

    @property
    def of_component(self) -> bool:
        """Whether each component of a heterogeneous job has its own."""
        return all(name.startswith("resources.") or name in COMPONENT_FIELDS for name in self.fields)


class ClientOption(NamedTuple):
    """An option that has no field: it tells the program ``sbatch`` what to do.

    Attributes:
        takes: As in Option.
        short: Letter after ``-``, or ``""``.
        instead: Why a spec cannot say it and what does; ``""``: nothing is lost without it.
    """

    takes: Takes
    short: str
    instead: str


def _text(long: str, short: str, field: str, check: Callable[[str], object] | None = None) -> Option:
    def read(text: str | None) -> Fields:
        if check is not None:
            check(text or "")
        return {field: text}

    return Option(long, short, "required", (field,), read, lambda value: value)


def _converted(
    long: str, short: str, field: str, convert: Callable[[str], object], write: Callable[[Any], str] = str
) -> Option:
    return Option(
        long, short, "required", (field,),
        lambda text: {field: convert(text or "")},
        lambda value: None if value is None else write(value),
    )  # fmt: skip


def whole_number(text: str) -> int:
    """A whole number of Slurm's 64 bits. Raises ValueError."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


NOT_A_NUMBER: Final = 'Invalid numeric value "{argument}" for --{long}.'
"""What sbatch says of most numbers."""
UNKNOWN_HINT: Final = 'unrecognized --hint argument "{argument}", see --hint=help'
NO_ARRAY: Final = "Batch job submission failed: Invalid job array specification"
NOT_OF_A_NODE: Final = 'Invalid numeric value "{argument}" for first arg of -B.'
NO_LIMIT: Final = "Bad rlimit name: {argument}\n--propagate={argument} is not valid."
EXITS_WITH_1: Final = frozenset({NOT_A_NUMBER, UNKNOWN_HINT, NO_ARRAY, NOT_OF_A_NODE, NO_LIMIT})
"""Faults after which sbatch exits with 1, not with 255."""


def _positive(text: str) -> int:
    number = whole_number(text)
    if not number:
        raise ValueError("0 is none at all")
    return number


def _number(long: str, short: str, field: str, convert: Callable[[str], int] = _positive) -> Option:
    return _converted(long, short, field, convert)._replace(fault=NOT_A_NUMBER)


def _memory(long: str, field: str) -> Option:
    return _converted(long, "", field, parse_memory, memory_text)


def _gpus(long: str, short: str, field: str) -> Option:
    def convert(text: str) -> str:
        parse_gpus(text)
        return text

    return _converted(long, short, field, convert)


def _flag(long: str, short: str, field: str) -> Option:
    return Option(long, short, "none", (field,), lambda _: {field: True}, lambda value: True if value else None)


def _words(long: str, short: str, field: str, said: Mapping[str | None, object], takes: Takes = "required") -> Option:
    """An option whose argument is one of a few words; the first word of a meaning is the one that is written."""
    first: dict[object, str | None] = {}
    for word, meaning in said.items():
        first.setdefault(meaning, word)

    def read(text: str | None) -> Fields:
        word = None if text is None else text.strip().lower()
        if word not in said:
            raise ValueError(f"{text!r} is not one of {', '.join(word for word in said if word)}")
        return {field: said[word]}

    def write(value: object) -> str | bool | None:
        word = first.get(value)
        return (True if word is None else word) if value in first else None

    return Option(long, short, takes, (field,), read, write)


def _nodes(text: str | None) -> Fields:
    said = text or ""
    if "," in said or ":" in said:
        return {"resources.nodes": None, "resources.nodes_max": None,
            "resources.node_counts": values.parse_node_counts(said)}  # fmt: skip
    least, dash, most = said.partition("-")
    if dash and least.isdigit() and most.isdigit() and int(most) < int(least):
        told = f"Maximum node count {most} is less than minimum node count {least}"
        raise Misspelt(told, f"error: {told}")
    low, high = parse_count_range(said)
    return {"resources.nodes": low, "resources.nodes_max": high if high != low else None,
        "resources.node_counts": None}  # fmt: skip


def _write_nodes(nodes: int | None, nodes_max: int | None, counts: str | None) -> str | None:
    if counts is not None:
        return counts
    if nodes is None and nodes_max is None:
        return None
    return f"{nodes or 1}-{nodes_max}" if nodes_max is not None else str(nodes)


def _switches(text: str | None) -> Fields:
    count, wait_s = values.parse_switches(text or "")
    waiting = {} if wait_s is None else {"resources.switches_wait_s": wait_s}  # an earlier word holds otherwise
    return {"resources.switches": count} | waiting


def _write_switches(count: int | None, wait_s: int | None) -> str | None:
    return None if count is None else str(count) + (f"@{time_text(wait_s)}" if wait_s is not None else "")


def _nice(text: str | None) -> Fields:
    said = "100" if text is None else text
    if not said.removeprefix("-").isdigit() or not said.isascii() or len(said) > 11:
        raise ValueError(f"{said!r} is not a whole number")
    return {"nice": int(said)}


def _priority(text: str) -> int | str:
    return "TOP" if text.upper() == "TOP" else whole_number(text)


def _ports(text: str | None) -> Fields:
    return {"resources.resv_ports": 0 if text is None else whole_number(text)}


def _delay(text: str) -> int:
    if not text[:1].isdigit():
        raise ValueError(f"{text!r} is not a duration")
    return parse_time(text)


def _when(text: str) -> None:
    from hpcjobs.sbatch.when import parse_when  # loads slowly, and few calls name a time

    parse_when(text, 0)


R: Final = RESOURCES
_YES_NO: Final[Mapping[str | None, object]] = {"yes": True, "no": False}
_MODES: Final[Mapping[str | None, object]] = {
    "append": "append",
    "truncate": "truncate",
    "a": "append",
    "t": "truncate",
}
_BITS: Final[Mapping[str | None, object]] = {"1": True, "0": False}

OPTIONS: Final[Sequence[Option]] = (
    _text("account", "A", "account"),
    _text("acctg-freq", "", "acctg_freq", values.parse_acctg_freq)._replace(
        fault="Invalid --acctg-freq specification: {argument}"
    ),
    _converted("array", "a", "array", lambda text: values.parse_array(text).text)._replace(fault=NO_ARRAY),
    _text("batch", "", "batch"),
    _text("bb", "", R + "bb"),
    _text("begin", "b", "begin", _when),
    _text("chdir", "D", "workdir"),
    _text("cluster-constraint", "", "cluster_constraint"),
    _text("comment", "", "comment"),
    _flag("consolidate-segments", "", R + "consolidate_segments"),
    _text("constraint", "C", R + "constraint"),
    _text("container", "", "oci_bundle"),
    _text("container-id", "", "container_id"),
    _text("container-type", "", "container_type"),
    _text("context", "", "context"),
    _flag("contiguous", "", R + "contiguous"),
    _number("core-spec", "S", R + "core_spec", whole_number),
    _number("cores-per-socket", "", R + "cores_per_socket"),
    _text("cpu-freq", "", R + "cpu_freq", layout.parse_cpu_freq)._replace(
        fault='unrecognized --cpu-freq argument "{argument}"\nInvalid --cpu-freq argument'
    ),
    _number("cpus-per-gpu", "", R + "cpus_per_gpu"),
    _number("cpus-per-task", "c", R + "cpus_per_task"),
    _text("deadline", "", "deadline", _when),
    _converted("delay-boot", "", "delay_boot_s", _delay, time_text),
    _text("dependency", "d", "dependency"),
    _text("distribution", "m", R + "distribution", layout.parse_distribution),
    _text("error", "e", "stderr"),
    _text("exclude", "x", R + "exclude"),
    _words("exclusive", "", R + "exclusive", {None: True, "user": "user", "mcs": "mcs", "topo": "topo"}, "optional"),
    _text("export", "", "export", values.parse_export),
    _text("extra", "", "extra"),
    _text("extra-node-info", "B", R + "extra_node_info", values.parse_extra_node_info)._replace(fault=NOT_OF_A_NODE),
    _text("gpu-bind", "", R + "gpu_bind", layout.parse_gpu_bind)._replace(
        fault="Invalid --gpu-bind argument: {argument}"
    ),
    _text("gpu-freq", "", R + "gpu_freq", layout.parse_gpu_freq)._replace(
        fault="Invalid --gpu-freq argument: gpu:{argument}"
    ),
    _gpus("gpus", "G", R + "gpus"),
    _gpus("gpus-per-node", "", R + "gpus_per_node"),
    _gpus("gpus-per-socket", "", R + "gpus_per_socket"),
    _gpus("gpus-per-task", "", R + "gpus_per_task"),
    _text("gres", "", R + "gres", gpus_of_gres),
    _text("gres-flags", "", R + "gres_flags", layout.parse_gres_flags)._replace(
        fault="Invalid --gres-flags specification: {argument}"
    ),
    _converted("hint", "", R + "hint", layout.parse_hint)._replace(fault=UNKNOWN_HINT),
    _flag("get-user-env", "", "get_user_env"),
    _flag("hold", "H", "hold"),
    _text("input", "i", "stdin"),
    _text("job-name", "J", "name"),
    _words("kill-on-invalid-dep", "", "kill_on_invalid_dep", _YES_NO),
    _text("licenses", "L", R + "licenses"),
    _text("mail-type", "", "mail_type", values.parse_mail_type),
    _text("mail-user", "", "mail_user"),
    _text("mcs-label", "", "mcs_label"),
    _memory("mem", R + "mem_per_node_bytes"),
    _text("mem-bind", "", R + "mem_bind", layout.parse_mem_bind)._replace(
        fault='unrecognized --mem-bind argument "{argument}"'
    ),
    _memory("mem-per-cpu", R + "mem_per_cpu_bytes"),
    _memory("mem-per-gpu", R + "mem_per_gpu_bytes"),
    _text("mem-update", "", "mem_update", values.parse_mem_update),
    _number("mincpus", "", R + "mincpus"),
    _text("network", "", R + "network"),
    Option("nice", "", "optional", ("nice",), _nice, lambda value: None if value is None else str(value)),
    _words("no-kill", "k", "no_kill", {None: True, "off": False}, "optional"),
    _text("nodelist", "w", R + "nodelist"),
    Option(
        "nodes",
        "N",
        "required",
        (R + "nodes", R + "nodes_max", R + "node_counts"),
        _nodes,
        _write_nodes,
        '"{argument}" is not a valid node count',
    ),
    _number("ntasks", "n", R + "ntasks"),
    _number("ntasks-per-core", "", R + "ntasks_per_core"),
    _number("ntasks-per-gpu", "", R + "ntasks_per_gpu"),
    _number("ntasks-per-node", "", R + "ntasks_per_node"),
    _number("ntasks-per-socket", "", R + "ntasks_per_socket"),
    _words("oom-kill-step", "", "oom_kill_step", {"1": True, "0": False, None: True}, "optional"),
    _words("open-mode", "", "open_mode", _MODES),
    _text("output", "o", "stdout"),
    _flag("overcommit", "O", R + "overcommit"),
    _flag("oversubscribe", "s", R + "oversubscribe"),
    _text("partition", "p", "partition"),
    _text("prefer", "", R + "prefer"),
    _converted("priority", "", "priority", _priority),
    _text("profile", "", "profile", values.parse_profile)._replace(fault="invalid --profile={argument} option"),
    Option(
        "propagate",
        "",
        "optional",
        ("propagate",),
        lambda text: {"propagate": ",".join(values.parse_propagate("ALL" if text is None else text))},
        lambda value: value,
        NO_LIMIT,
    ),
    _text("qos", "q", "qos"),
    _flag("reboot", "", "reboot"),
    _words("requeue", "", "requeue", {None: True, "expedite": "expedite"}, "optional"),
    Option(
        "no-requeue",
        "",
        "none",
        ("requeue",),
        lambda _: {"requeue": False},
        lambda value: True if value is False else None,
    ),
    _text("reservation", "", "reservation"),
    Option(
        "resv-ports",
        "",
        "optional",
        (R + "resv_ports",),
        _ports,
        lambda value: None if value is None else str(value) if value else True,
    ),
    _converted("segment", "", R + "segment", whole_number),
    _text("signal", "", "signal", values.parse_signal),
    _number("sockets-per-node", "", R + "sockets_per_node"),
    _flag("spread-job", "", R + "spread_job"),
    _flag("spread-segments", "", R + "spread_segments"),
    _flag("stepmgr", "", "stepmgr"),
    Option(
        "switches", "", "required", (R + "switches", R + "switches_wait_s"), _switches, _write_switches, NOT_A_NUMBER
    ),
    _number("thread-spec", "", R + "thread_spec"),
    _number("threads-per-core", "", R + "threads_per_core"),
    _converted("time", "t", R + "wall_s", parse_time, time_text),
    _converted("time-min", "", R + "time_min_s", parse_time, time_text),
    _memory("tmp", R + "tmp_bytes"),
    _text("tres-bind", "", R + "tres_bind"),
    _text("tres-per-task", "", R + "tres_per_task", layout.parse_tres_per_task),
    _flag("use-min-nodes", "", R + "use_min_nodes"),
    _words("wait-all-nodes", "", "wait_all_nodes", _BITS),
    _text("wckey", "", "wckey"),
)

ALIASES: Final[Mapping[str, str]] = {
    "ntasks-per-tres": "ntasks-per-gpu",
    "resources": "licenses",
    "tasks-per-node": "ntasks-per-node",
}
"""Other names of options."""

_IDENTITY: Final = "a job runs as whoever submits it"
_CLUSTER: Final = "the request names the cluster (field cluster)"

CLIENT_OPTIONS: Final[Mapping[str, ClientOption]] = {
    "autocomplete": ClientOption("required", "", "it is for shells"),
    "bbf": ClientOption("required", "", "the file is not here: give its text with --bb"),
    "cluster": ClientOption("required", "", _CLUSTER),
    "clusters": ClientOption("required", "M", _CLUSTER),
    "export-file": ClientOption("required", "", "the file is not here: give the variables in the request"),
    "external": ClientOption("none", "", "an external job has no script"),
    "gid": ClientOption("required", "", _IDENTITY),
    "help": ClientOption("none", "h", "it is for people who type"),
    "ignore-pbs": ClientOption("none", "", ""),  # a service never reads #PBS lines
    "nodefile": ClientOption("required", "F", "the file is not here: give its nodes with --nodelist"),
    "parsable": ClientOption("none", "", ""),
    "quiet": ClientOption("none", "Q", ""),
    "runtime": ClientOption("required", "", "it came with Slurm 26.11"),
    "test-only": ClientOption("none", "", "this is a submission"),
    "uid": ClientOption("required", "", _IDENTITY),
    "usage": ClientOption("none", "", "it is for people who type"),
    "verbose": ClientOption("none", "v", ""),
    "version": ClientOption("none", "V", "it is for people who type"),
    "wait": ClientOption("none", "W", "a submission is answered at once: ask for the job until it has ended"),
    "wrap": ClientOption("required", "", "the script is there already"),
}

BY_LONG: Final[Mapping[str, Option | ClientOption]] = {
    **{option.long: option for option in OPTIONS},
    **CLIENT_OPTIONS,
}
BY_SHORT: Final[Mapping[str, str]] = {
    **{option.short: option.long for option in OPTIONS if option.short},
    **{option.short: long for long, option in CLIENT_OPTIONS.items() if option.short},
}

SBATCH: Final = Grammar({long: option.takes for long, option in BY_LONG.items()}, BY_SHORT, ALIASES)
"""How sbatch's words are heard."""
