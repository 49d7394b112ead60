"""An ordered fold of rules over a spec: mutate, then judge; every refusal gathered; fail closed.

The built-in rules stand here; plugins join the same list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.gres import parse_gpus
from hpcjobs.model.job import JobSpec
from hpcjobs.sbatch.options import fill_in

Rule = Callable[[JobSpec], tuple[JobSpec, Sequence[Refusal]]]

MAX_SCRIPT_BYTES: Final = 4 * 1024 * 1024
"""Slurm's default max_script_size (slurm.conf(5), SchedulerParameters)."""

_U16: Final = 0xFFFD
_U32: Final = 0xFFFF_FFFD
MOST: Final[Mapping[str, int]] = {
    "nodes": _U32,
    "nodes_max": _U32,
    "ntasks": _U32,
    "ntasks_per_node": _U16,
    "cpus_per_task": _U16,
    "mem_per_node_bytes": 2**53 - 1,
    "mem_per_cpu_bytes": 2**53 - 1,
    "wall_s": _U32 * 60,
}
"""The largest amounts that Slurm's fields hold (job_desc_msg_t of slurm.h; the two numbers above each mean "not set"
and "infinite"). A backend cannot carry more, and would fail half-way."""

MAX_NAME: Final = 255

MAX_COMMENT_BYTES: Final = 1023 - 41
"""slurmctld takes comments of up to 1,023 bytes; 41 of them are our mark."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def fill_defaults(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Give the job a name."""
    script_name = spec.script_name or "hpcjobs"
    return msgspec.structs.replace(spec, name=spec.name or script_name, script_name=script_name), ()


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
    if len(script.encode()) > MAX_SCRIPT_BYTES:
        refusals.append(
            Refusal("script", f"The batch script is larger than {MAX_SCRIPT_BYTES} bytes.", "script-too-large")
        )
    return spec, refusals


def judge_resources(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse numbers that mean nothing and requests that contradict each other."""
    asked = spec.resources
    refusals = []
    for name, most in MOST.items():
        value = getattr(asked, name)
        least = 0 if name == "mem_per_node_bytes" else 1  # --mem=0 is all the memory of each node
        if value is not None and not least <= value <= most:
            refusals.append(
                Refusal(f"resources.{name}", f"{name} must be between {least} and {most}; {value} was asked for.")
            )
    for name in ("gpus", "gpus_per_node", "gpus_per_task"):
        value = getattr(asked, name)
        try:
            if value is not None and not all(parse_gpus(str(value)).values()):
                raise ValueError(f"{value!r} asks for no GPU")  # noqa: TRY301
        except ValueError as error:
            refusals.append(Refusal(f"resources.{name}", f"{name}: {error}."))
    if asked.nodes_max is not None and asked.nodes_max < (asked.nodes or 1):
        refusals.append(Refusal("resources.nodes_max", "nodes_max is below nodes."))
    if asked.mem_per_node_bytes is not None and asked.mem_per_cpu_bytes is not None:
        refusals.append(
            Refusal("resources.mem_per_cpu_bytes", "mem_per_node_bytes and mem_per_cpu_bytes exclude each other.")
        )
    return spec, refusals


def judge_texts(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse texts that Slurm cannot carry: NUL anywhere, relative directories, bad variable names."""
    refusals = []
    for holder, prefix in ((spec, ""), (spec.resources, "resources.")):
        for name in holder.__struct_fields__:
            value = getattr(holder, name)
            if name != "script" and isinstance(value, str) and ("\0" in value or not value):
                refusals.append(Refusal(prefix + name, f"{name} is empty or contains a NUL character."))
    refusals += [
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


RULES: Final[Sequence[Rule]] = (fill_in, fill_defaults, judge_script, judge_resources, judge_texts)


def admit(spec: JobSpec, rules: Sequence[Rule] = RULES) -> JobSpec:
    """Pass a spec through the rules in order.

    Args:
        spec: As asked for.
        rules: Each returns the spec as it passes it on, and what it has against it.

    Returns:
        The admitted spec.

    Raises:
        Refused: At least one rule is against it; every refusal of every rule is in it.
    """
    refusals: list[Refusal] = []
    for rule in rules:
        spec, against = rule(spec)
        refusals.extend(against)
    if refusals:
        raise Refused(refusals)
    return spec
