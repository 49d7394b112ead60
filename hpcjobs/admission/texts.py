"""What can be held against texts: the script, names, paths, variables, and words that their option does not take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.parallel import parse_parallel
from hpcjobs.model.spec import Component, JobSpec
from hpcjobs.sbatch.fold import MOST_COMPONENTS, TOO_MANY_COMPONENTS
from hpcjobs.sbatch.options import OPTIONS
from hpcjobs.sbatch.values import parse_node_counts

MAX_SCRIPT_BYTES: Final = 4 * 1024 * 1024
"""Slurm's default max_script_size (slurm.conf(5), SchedulerParameters)."""

MAX_TEXT: Final = 64 * 1024
"""Most characters of an option's text. Longer ones are not read."""

MAX_NAME: Final = 255

MAX_COMMENT_BYTES: Final = 1023 - 41
"""slurmctld takes comments of up to 1,023 bytes; 41 of them are our mark."""

_VARIABLE = re.compile(r"[^=\0\n]+")
"""Also the functions that bash exports, as BASH_FUNC_module%%."""


def parts_of(spec: JobSpec) -> Iterator[tuple[str, JobSpec | Component]]:
    """The job and the components after the first, each with what its fields' names begin with."""
    yield "", spec
    for index, component in enumerate(spec.het):
        yield f"het.{index}.", component


def _too_long(prefix: str, holder: msgspec.Struct) -> list[Refusal]:
    return [
        Refusal(f"{prefix}{name}", f"{name} is longer than {MAX_TEXT} characters.", "too-long")
        for name, value in zip(holder.__struct_fields__, msgspec.structs.astuple(holder), strict=True)
        if value is not None and isinstance(value, str) and len(value) > MAX_TEXT and name != "script"
    ]


def judge_sizes(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse what is too large to be looked at by any other rule."""
    if len(spec.script) > MAX_SCRIPT_BYTES or len(spec.script.encode()) > MAX_SCRIPT_BYTES:
        too_large = f"The batch script is larger than {MAX_SCRIPT_BYTES} bytes."
        return spec, [Refusal("script", too_large, "script-too-large")]
    if len(spec.het) >= MOST_COMPONENTS:
        return spec, [Refusal("het", TOO_MANY_COMPONENTS, "too-many-components")]
    refusals = []
    for prefix, part in parts_of(spec):
        refusals += _too_long(prefix, part) + _too_long(f"{prefix}resources.", part.resources)
    return spec, refusals


def judge_script(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse what sbatch refuses, in its words where scripts and people know them."""
    script = spec.script
    if not script.strip():
        return spec, [Refusal("script", "The batch script is empty.", "script-empty")]
    refusals = []
    if not script.startswith("#!"):
        refusals.append(
            Refusal(
                "script",
                "This does not look like a batch script. The first line must start with #! followed by the path to "
                "an interpreter. For instance: #!/bin/sh",
                "script-no-interpreter",
            )
        )
    if "\r\n" in script:
        refusals.append(
            Refusal(
                "script",
                "The batch script contains DOS line breaks (\\r\\n) instead of expected UNIX line breaks (\\n). "
                "dos2unix mends it.",
                "script-dos-line-breaks",
            )
        )
    if "\0" in script:
        refusals.append(Refusal("script", "The batch script contains a NUL character.", "script-nul"))
    return spec, refusals


def _forms() -> Iterator[tuple[str, Callable[[str], object]]]:
    for option in OPTIONS:
        if len(option.fields) == 1 and option.takes != "none":
            yield option.fields[0], option.read
    yield "resources.node_counts", parse_node_counts
    yield "parallel", parse_parallel


FORMS: Final[Mapping[str, Callable[[str], object]]] = {
    name: read for name, read in _forms() if not name.startswith("resources.gpus")
}
"""How each text is read; requests for GPUs have a rule of their own."""


def judge_texts(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse texts that Slurm cannot carry: long names, relative directories, bad variables and arguments."""
    refusals = [
        Refusal(name, f"{name} is longer than {MAX_NAME} characters.")
        for name in ("account", "qos", "reservation")
        if len(getattr(spec, name) or "") > MAX_NAME
    ]
    if len((spec.comment or "").encode()) > MAX_COMMENT_BYTES:
        refusals.append(Refusal("comment", f"The comment is longer than {MAX_COMMENT_BYTES} bytes."))
    if spec.workdir and not spec.workdir.startswith("/"):
        refusals.append(Refusal("workdir", f"workdir must be an absolute path; {spec.workdir!r} was asked for."))
    for name, value in spec.environment.items():
        if not _VARIABLE.fullmatch(name):
            refusals.append(Refusal("environment", f"{name!r} is not a name that a variable can have."))
        elif "\0" in value:
            refusals.append(Refusal(f"environment.{name}", f"The value of {name} contains a NUL character."))
    if any("\0" in argument for argument in spec.args):
        refusals.append(Refusal("args", "An argument contains a NUL character."))
    return spec, refusals
