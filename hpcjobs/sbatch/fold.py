"""From words to a spec: options of a command line or of ``#SBATCH`` lines, read and folded together."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.spec import CARRIED_OVER, Component, JobSpec, Resources
from hpcjobs.sbatch.directives import find_directives, header_of, split_words
from hpcjobs.sbatch.options import BY_LONG, BY_SHORT, Fields, Option, find_long

Part = TypeVar("Part", JobSpec, Component)

RESOURCES: Final = "resources."
NODES: Final = frozenset({"nodes", "node_counts"})
SAID_TOGETHER: Final = defaultdict(
    frozenset, nodes=frozenset({"node_counts"}), nodes_max=NODES, node_counts=NODES | {"nodes_max"},
    switches_wait_s=frozenset({"switches"}),
)  # fmt: skip
"""Fields that one option says: where a spec has one of these, a directive does not add the other."""

HETJOB: Final = ("hetjob", "packjob")
"""What a directive says, in any capitals, where the next component begins. sbatch does not read the rest of it."""


MOST_COMPONENTS: Final = 128
"""Most components of a heterogeneous job (MAX_HET_JOB_COMPS of Slurm)."""

TOO_MANY_COMPONENTS: Final = f"A heterogeneous job has at most {MOST_COMPONENTS} components."

MOST_DIRECTIVES: Final = 64 * 1024
"""Most characters of all directive lines of a script together."""

MOST_FAULTS: Final = 100
"""After so many lines that cannot be read the others are not looked at."""

_MOST_CACHED: Final = 16 * 1024


def _argument(long: str, rest: Iterator[str]) -> str:
    argument = next(rest, None)
    if argument is None:
        raise ValueError(f"--{long} needs an argument")
    return argument


def _named(word: str, rest: Iterator[str]) -> Iterator[tuple[str, str | None]]:
    """The options that a word names, each with its argument: one long one, or a cluster of letters as getopt's."""
    if word.startswith("--") and len(word) > 2:
        name, joined, text = word[2:].partition("=")
        long = find_long(name)
        takes = BY_LONG[long].takes
        if joined and takes == "none":
            raise ValueError(f"--{long} takes no argument")
        yield long, text if joined else _argument(long, rest) if takes == "required" else None
        return
    if not word.startswith("-") or len(word) < 2:
        raise ValueError(f"{word[:80]!r} is not an option that hpcjobs knows")
    for at, letter in enumerate(word[1:], start=2):
        if letter not in BY_SHORT:
            raise ValueError(f"{f'-{letter}'!r} of {word[:80]!r} is not an option that hpcjobs knows")
        long = BY_SHORT[letter]
        takes = BY_LONG[long].takes
        if takes == "none":
            yield long, None
            continue
        yield long, word[at:] or (_argument(long, rest) if takes == "required" else None)
        return


def read_words(words: Sequence[str]) -> Fields:
    """Read options of one component.

    Args:
        words: Arguments as sbatch would get them.

    Returns:
        Spec fields; a later option wins. A name with a dot is in ``resources``.

    Raises:
        ValueError: An option is unknown, is for a program only, lacks its argument or has one too many, or its
            argument is bad.
    """
    fields: Fields = {}
    rest = iter(words)
    for word in rest:
        for long, argument in _named(word, rest):
            option = BY_LONG[long]
            if isinstance(option, Option):
                fields.update(option.read(argument))
            elif option.instead:
                raise ValueError(f"--{long} has no meaning here: {option.instead}")
    return fields


def _add(components: list[Fields], fields: Fields) -> None:
    """Add what was said of the last component."""
    for name, value in fields.items():
        if len(components) == 1 or name.startswith(RESOURCES) or name in Component.__struct_fields__:
            components[-1][name] = value
        elif components[0].get(name) != value:
            raise ValueError(f"{name} is the whole job's: say it before the first hetjob")


def read_directives(script: str) -> tuple[Sequence[Fields], Sequence[Refusal]]:
    """Read the ``#SBATCH`` lines of a script.

    Args:
        script: The batch script.

    Returns:
        The fields of each component, and a refusal for each line that cannot be read.
    """
    header = header_of(script)
    return _read_header(header) if len(header) <= _MOST_CACHED else _read_header.__wrapped__(header)


@functools.lru_cache(maxsize=256)
def _read_header(header: str) -> tuple[Sequence[Fields], Sequence[Refusal]]:
    directives = find_directives(header)
    if sum(len(one.magic) + len(one.text) for one in directives) > MOST_DIRECTIVES:
        too_large = f"The #SBATCH lines of the script are longer than {MOST_DIRECTIVES} characters in all."
        return [{}], [Refusal("script", too_large, "directives-too-large")]
    components: list[Fields] = [{}]
    refusals: list[Refusal] = []
    for number, magic, text in directives:
        try:
            words = split_words(text)
            if not words or words[0].lower() not in HETJOB:
                _add(components, read_words(words))
            elif len(components) < MOST_COMPONENTS:
                components.append({})
            else:
                refusals.append(Refusal("script", f"line {number}: {TOO_MANY_COMPONENTS}", "too-many-components"))
                break
        except ValueError as error:
            refusals.append(Refusal("script", f"line {number}: {magic}{text}: {error}", "bad-directive"))
            if len(refusals) == MOST_FAULTS:
                break
    return components, refusals


def _filled(part: Part, fields: Mapping[str, object]) -> Part:
    """What a spec or component leaves open, from what is said elsewhere."""
    asked = part.resources
    top = {name: value for name, value in fields.items() if "." not in name and getattr(part, name) is None}
    inner = {
        name: value
        for name, value in ((full.partition(".")[2], value) for full, value in fields.items() if "." in full)
        if getattr(asked, name) is None and not any(getattr(asked, word) is not None for word in SAID_TOGETHER[name])
    }
    resources: Resources = msgspec.structs.replace(asked, **inner)
    return msgspec.structs.replace(part, resources=resources, **top)


def with_carried_over(spec: JobSpec) -> JobSpec:
    """Give each component of a heterogeneous job what sbatch would carry over to it from the one before."""
    before = spec.resources
    het = []
    for component in spec.het:
        asked = component.resources
        silent = [name for name in CARRIED_OVER if getattr(asked, name) is None]
        if asked.mem_per_cpu_bytes is not None or asked.mem_per_gpu_bytes is not None:
            silent = [name for name in silent if name != "mem_per_node_bytes"]
        before = msgspec.structs.replace(asked, **{name: getattr(before, name) for name in silent})
        het.append(msgspec.structs.replace(component, resources=before))
    return msgspec.structs.replace(spec, het=tuple(het)) if het else spec


def _folded(spec: JobSpec, components: Sequence[Fields]) -> JobSpec:
    het = [*spec.het, *[Component()] * (len(components) - 1 - len(spec.het))]
    for index, fields in enumerate(components[1:]):
        het[index] = _filled(het[index], fields)
    return with_carried_over(msgspec.structs.replace(_filled(spec, components[0]), het=tuple(het)))


def fill_in(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Fill in from the script's directives what the spec leaves open: ``#SBATCH`` is the weakest word.

    Args:
        spec: As asked for.

    Returns:
        The fuller spec, and a refusal for each directive that cannot be read.
    """
    components, refusals = read_directives(spec.script)
    return _folded(spec, components), refusals


def read_command(words: Sequence[str], script: str) -> JobSpec:
    """Read the options of a command line, as ``sbatch`` would get them before the script's name.

    Args:
        words: The options; ``:`` stands between components.
        script: The batch script; its directives are not read.

    Returns:
        What they say.

    Raises:
        ValueError: See read_words.
    """
    components: list[Fields] = [{}]
    said: list[str] = []
    for word in (*words, None):
        if word is not None and word != ":":
            said.append(word)
            continue
        _add(components, read_words(said))
        said = []
        if word is not None:
            components.append({})
    return _folded(JobSpec(script), components)
