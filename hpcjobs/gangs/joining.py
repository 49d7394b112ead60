"""Whether several jobs can be one heterogeneous job, and the job that they are then. Pure.

Slurm starts the components of a heterogeneous job together and ends them together, and has one batch script for all of
them, on the first: launcher.sh, which runs each member's script in its component.
"""

from __future__ import annotations

import base64
import importlib.resources
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.model.hints import NO_HINTS
from hpcjobs.model.spec import CARRIED_OVER, Component, JobSpec
from hpcjobs.sbatch.fold import MOST_COMPONENTS

OWN: Final = frozenset(
    {"script", "args", "script_name", "read_directives", "resources", "het", "name", "partition", "mail_type",
     "mail_user", "workdir", "stdout", "stderr", "stdin", "open_mode", "environment", "hints"}
)  # fmt: skip
"""What each member may have of its own; of the rest a heterogeneous job has one for all."""
NEVER: Final = {
    "array": "is an array",
    "het": "is a heterogeneous job itself",
    "dependency": "depends on other jobs",
    "parallel": "is to be placed by a plugin",
    "container": "runs in a container",
    "oci_bundle": "runs in a container",
    "container_id": "runs in a container",
    "batch": "says where its script runs",
}
"""What no member may have: Slurm, or the launcher, cannot do it for one component."""
NEVER_RESOURCES: Final = {
    "bb": "uses a burst buffer",
    "time_min_s": "has a least time limit",
}
DEFAULT_OUTPUT: Final = "slurm-%j.out"
OUTPUT: Final = "gang-%j.out"
"""Where the launcher writes: the first member's file is named by the same number."""
MARK: Final = "#member "
_NOTHING: Final = "-"


def why_not(members: Sequence[JobSpec]) -> str:
    """Why these jobs cannot be one heterogeneous job, a sentence, or ``""``.

    Args:
        members: As admitted, in order, at least one.
    """
    return next(_reasons(members), "")


def _reasons(members: Sequence[JobSpec]) -> Iterator[str]:
    if len(members) > MOST_COMPONENTS:
        yield f"A heterogeneous job has at most {MOST_COMPONENTS} components; these are {len(members)} jobs."
    first = members[0]
    for number, member in enumerate(members):
        for field, is_so in NEVER.items():
            if getattr(member, field) not in (None, ()):
                yield f"Job {number} {is_so}."
        for field, is_so in NEVER_RESOURCES.items():
            if getattr(member.resources, field) is not None:
                yield f"Job {number} {is_so}."
        if (member.resources.distribution or "").lower() == "arbitrary":
            yield f"Job {number} has its nodes in a file."
        if member.hints != NO_HINTS:
            yield f"Job {number} has hints for policies, which steer each job for itself."
        for field in JobSpec.__struct_fields__:
            if field not in OWN and getattr(member, field) != getattr(first, field):
                yield f"Job {number} has another {field} than job 0; a heterogeneous job has one for all."
        limit, wall_s = first.resources.wall_s, member.resources.wall_s
        if limit != wall_s and (limit is None or wall_s is None or wall_s > limit):
            yield f"Job {number} may have a longer time limit than job 0, whose end would be the end of all."
        before = members[number - 1].resources if number else member.resources
        for field in CARRIED_OVER:
            if getattr(member.resources, field) is None and getattr(before, field) is not None:
                yield f"Job {number} leaves {field} open, where sbatch would give it that of job {number - 1}."


def join(members: Sequence[JobSpec], name: str) -> JobSpec:
    """The heterogeneous job that these jobs are, where why_not has nothing against it.

    Its script is the launcher, with the members behind it; what all have in common of variables is the job's, the
    rest goes with each. Its own output says how each member ended.

    Args:
        members: As admitted, with names, in order.
        name: Of the whole.
    """
    first = members[0]
    common = dict(set.intersection(*(set(member.environment.items()) for member in members)))
    lines = [MARK + " ".join(_words(member, common)) for member in members]
    script = importlib.resources.files("hpcjobs.gangs").joinpath("launcher.sh").read_text("utf-8")
    return msgspec.structs.replace(
        first,
        script=script + "\n".join(lines) + "\n",
        args=(),
        script_name=name,
        name=name,
        read_directives=False,
        het=tuple(Component(one.resources, one.partition, one.mail_type, one.mail_user) for one in members[1:]),
        environment=common,
        stdout=OUTPUT,
        stderr=None,
        stdin=None,
        open_mode=None,
    )


def members_of(spec: JobSpec) -> tuple[JobSpec, ...]:
    """The members of a job that join made, in order, as they were; of any other job none."""
    lines = [line.removeprefix(MARK) for line in spec.script.splitlines() if line.startswith(MARK)]
    if not spec.het or len(lines) != 1 + len(spec.het):
        return ()
    parts: tuple[JobSpec | Component, ...] = (spec, *spec.het)
    return tuple(_member(spec, part, line.split(" ")) for part, line in zip(parts, lines, strict=True))


def _member(spec: JobSpec, part: JobSpec | Component, words: Sequence[str]) -> JobSpec:
    name, workdir, stdout, stderr, stdin, mode, args, variables, script = map(_plain, words)
    own = dict(pair.split("=", 1) for pair in _parts(variables))
    return msgspec.structs.replace(
        spec,
        script=script,
        args=_parts(args),
        script_name=name,
        resources=part.resources,
        het=(),
        name=name,
        partition=part.partition,
        mail_type=part.mail_type,
        mail_user=part.mail_user,
        workdir=workdir or None,
        stdout=stdout or None,
        stderr=stderr or None,
        stdin=stdin or None,
        open_mode=mode or None,
        environment=spec.environment | own,
    )


def _words(member: JobSpec, common: dict[str, str]) -> Iterator[str]:
    own = [f"{key}={value}" for key, value in member.environment.items() if key not in common]
    stdout = member.stdout or DEFAULT_OUTPUT
    texts = (member.name, member.workdir, stdout, member.stderr, member.stdin, member.open_mode)
    for text in (*texts, _ended(member.args), _ended(own), member.script):
        yield base64.b64encode(text.encode(errors="surrogateescape")).decode() if text else _NOTHING


def _ended(parts: Sequence[str]) -> str:
    return "".join(f"{part}\0" for part in parts)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.split("\0")[:-1])


def _plain(word: str) -> str:
    return "" if word == _NOTHING else base64.b64decode(word).decode(errors="surrogateescape")
