"""sbatch's options that have a field in the spec, as a table, and the fold of a script's directives into a spec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.job import JobSpec, Resources
from hpcjobs.sbatch.directives import find_directives, split_words
from hpcjobs.sbatch.units import parse_count_range, parse_memory, parse_time

Fields = dict[str, Any]


class Option(NamedTuple):
    """One option.

    Attributes:
        long: Name after ``--``.
        short: Letter after ``-``, or ``""``.
        read: From the argument to spec fields; a name with a dot is in ``resources``. None: no argument.
        flag: The fields that an option without argument sets.
    """

    long: str
    short: str
    read: Callable[[str], Fields] | None
    flag: Fields


def _text(field: str) -> Callable[[str], Fields]:
    return lambda text: {field: text}


def _number(field: str) -> Callable[[str], Fields]:
    def read(text: str) -> Fields:
        if not text.isdigit():
            raise ValueError(f"{text!r} is not a whole number")
        return {field: int(text)}

    return read


def _gpus(field: str) -> Callable[[str], Fields]:
    def read(text: str) -> Fields:
        parse_gpus(text)
        return {field: text}

    return read


def _nodes(text: str) -> Fields:
    low, high = parse_count_range(text)
    return {"resources.nodes": low, "resources.nodes_max": high if high != low else None}


def _gres(text: str) -> Fields:
    kinds = []
    for item in text.split(","):
        name, _, rest = item.partition(":")
        if name != "gpu":
            raise ValueError(f"--gres of {name!r} is not known here, only gpu")
        kinds.append(rest if rest.rpartition(":")[2].isdigit() else f"{rest}:1" if rest else "1")
    return _gpus("resources.gpus_per_node")(",".join(kinds))


def _with(long: str, short: str, read: Callable[[str], Fields]) -> Option:
    return Option(long, short, read, {})


def _flag(long: str, short: str, **fields: object) -> Option:
    return Option(long, short, None, dict(fields))


OPTIONS: Final[Sequence[Option]] = (
    _with("account", "A", _text("account")),
    _with("chdir", "D", _text("workdir")),
    _with("comment", "", _text("comment")),
    _with("constraint", "C", _text("resources.constraint")),
    _with("cpus-per-task", "c", _number("resources.cpus_per_task")),
    _with("dependency", "d", _text("dependency")),
    _with("error", "e", _text("stderr")),
    _with("exclude", "x", _text("resources.exclude")),
    _flag("exclusive", "", **{"resources.exclusive": True}),
    _with("gpus", "G", _gpus("resources.gpus")),
    _with("gpus-per-node", "", _gpus("resources.gpus_per_node")),
    _with("gpus-per-task", "", _gpus("resources.gpus_per_task")),
    _with("gres", "", _gres),
    _flag("hold", "H", hold=True),
    _with("input", "i", _text("stdin")),
    _with("job-name", "J", _text("name")),
    _with("mem", "", lambda text: {"resources.mem_per_node_bytes": parse_memory(text)}),
    _with("mem-per-cpu", "", lambda text: {"resources.mem_per_cpu_bytes": parse_memory(text)}),
    _flag("no-requeue", "", requeue=False),
    _with("nodelist", "w", _text("resources.nodelist")),
    _with("nodes", "N", _nodes),
    _with("ntasks", "n", _number("resources.ntasks")),
    _with("ntasks-per-node", "", _number("resources.ntasks_per_node")),
    _with("output", "o", _text("stdout")),
    _with("partition", "p", _text("partition")),
    _with("qos", "q", _text("qos")),
    _flag("requeue", "", requeue=True),
    _with("reservation", "", _text("reservation")),
    _with("time", "t", lambda text: {"resources.wall_s": parse_time(text)}),
)

_BY_LONG: Final = {option.long: option for option in OPTIONS} | {"tasks-per-node": next(
    option for option in OPTIONS if option.long == "ntasks-per-node")}  # fmt: skip
_BY_SHORT: Final = {option.short: option for option in OPTIONS if option.short}


def _option(word: str) -> tuple[Option, str | None]:
    """The option that a word names, and an argument joined to it."""
    if word.startswith("--"):
        name, joined, argument = word[2:].partition("=")
        option = _BY_LONG.get(name)
        if option is not None:
            return option, argument if joined else None
    elif word.startswith("-") and word[1:2] in _BY_SHORT:
        return _BY_SHORT[word[1]], word[2:].removeprefix("=") or None
    raise ValueError(f"the option {word!r} is not one that hpcjobs knows yet")


def read_words(words: Sequence[str]) -> Fields:
    """Read options.

    Args:
        words: Arguments as sbatch would get them.

    Returns:
        Spec fields; a later option wins.

    Raises:
        ValueError: An option is unknown, lacks its argument or has one too many, or its argument is bad.
    """
    fields: Fields = {}
    rest = iter(words)
    for word in rest:
        option, argument = _option(word)
        if option.read is None:
            if argument is not None:
                raise ValueError(f"--{option.long} takes no argument")
            fields.update(option.flag)
            continue
        argument = next(rest, None) if argument is None else argument
        if argument is None:
            raise ValueError(f"--{option.long} needs an argument")
        fields.update(option.read(argument))
    return fields


def fill_in(spec: JobSpec) -> tuple[JobSpec, list[Refusal]]:
    """Fill in from the script's directives what the spec leaves open: ``#SBATCH`` is the weakest word.

    Args:
        spec: As asked for.

    Returns:
        The fuller spec, and a refusal for each directive that cannot be read.
    """
    fields: Fields = {}
    refusals: list[Refusal] = []
    for number, text in find_directives(spec.script):
        try:
            fields.update(read_words(split_words(text)))
        except ValueError as error:
            refusals.append(Refusal("script", f"line {number}: #SBATCH{text}: {error}", "bad-directive"))
    top = {name: value for name, value in fields.items() if "." not in name and getattr(spec, name) is None}
    inner = {
        name: value
        for name, value in ((full.partition(".")[2], value) for full, value in fields.items() if "." in full)
        if getattr(spec.resources, name) is None
    }
    if spec.resources.nodes is not None:
        inner.pop("nodes_max", None)
    resources: Resources = msgspec.structs.replace(spec.resources, **inner)
    return msgspec.structs.replace(spec, resources=resources, **top), refusals
