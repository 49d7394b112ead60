"""From words to a spec: options of a command line or of ``#SBATCH`` lines, read and folded together."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.spec import CARRIED_OVER, Component, JobSpec, Resources
from hpcjobs.sbatch.directives import HETJOB, find_directives, header_of, split_words
from hpcjobs.sbatch.getopt import Misspelt, named_options
from hpcjobs.sbatch.options import BY_LONG, COMPONENT_FIELDS, SBATCH, ClientOption, Fields
from hpcjobs.sbatch.said import Said, hear

Part = TypeVar("Part", JobSpec, Component)

NODES: Final = frozenset({"nodes", "node_counts"})
SAID_TOGETHER: Final = defaultdict(
    frozenset, nodes=frozenset({"node_counts"}), nodes_max=NODES, node_counts=NODES | {"nodes_max"},
    switches_wait_s=frozenset({"switches"}),
)  # fmt: skip
"""Fields that one option says: where a spec has one of these, a directive does not add the other."""

MOST_COMPONENTS: Final = 128
"""Most components of a heterogeneous job (MAX_HET_JOB_COMPS of Slurm)."""

TOO_MANY_COMPONENTS: Final = f"A heterogeneous job has at most {MOST_COMPONENTS} components."

MOST_DIRECTIVES: Final = 64 * 1024
"""Most characters of all directive lines of a script together."""

MOST_FAULTS: Final = 100
"""After so many lines that cannot be read the others are not looked at."""

_MOST_CACHED: Final = 16 * 1024


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
    said = Said.nothing()
    for long, argument in named_options(words, SBATCH):
        if not long:
            raise Misspelt(
                f"{str(argument)[:80]!r} is not an option that hpcjobs knows",
                f"error: Invalid directive found in batch script: {argument}",
            )
        hear(said, long, argument)
        option = BY_LONG[long]
        if isinstance(option, ClientOption) and option.instead:
            raise ValueError(f"--{long} has no meaning here: {option.instead}")
    return said.fields


def _add(components: list[Fields], fields: Fields) -> None:
    """Add what was said of the last component."""
    for name, value in fields.items():
        if len(components) == 1 or name.partition(".")[0] in COMPONENT_FIELDS:
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
    if spec.read_directives is False:
        return with_carried_over(spec), []
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
