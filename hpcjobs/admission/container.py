"""What can be held against what a job says of its container, whatever cluster it goes to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.container import Container, Mount
from hpcjobs.model.image import parse_image
from hpcjobs.model.spec import JobSpec

MAX_MOUNTS: Final = 64
MAX_PATH: Final = 4096
MAX_ARGS: Final = 64
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names of containers and credentials: letters, digits and . _ -, 64 at the most."""
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def judge_container(spec: JobSpec) -> tuple[JobSpec, Sequence[Refusal]]:
    """Refuse a container that cannot be meant. What an earlier admission made of one is worked out anew."""
    if spec.launch is not None:
        spec = msgspec.structs.replace(spec, launch=None)
    return spec, () if spec.container is None else list(_faults(spec, spec.container))


def for_operators(spec: JobSpec) -> list[Refusal]:
    """What only operators may ask for."""
    if spec.container is None or not spec.container.extra_args:
        return []
    return [Refusal("container.extra_args", "Words for the runtime itself are for operators.", "operators-only")]


def _faults(spec: JobSpec, asked: Container) -> Iterator[Refusal]:
    try:
        image = parse_image(asked.image)
    except ValueError as error:
        yield Refusal("container.image", f"{error}", "image-name")
    else:
        if asked.credential and image.kind not in ("docker", "oras"):
            told = "A credential is for a registry's images, docker:// and oras://: this one asks none with it."
            yield Refusal("container.credential", told, "credential-elsewhere")
    if spec.oci_bundle is not None or spec.container_id is not None:
        yield Refusal("container", "The job has an OCI bundle (--container) as well: say one of the two.", "two-ways")
    if spec.het:
        yield Refusal("container", "A heterogeneous job cannot have a container: its script starts the components.")
    if len(asked.mounts) > MAX_MOUNTS:
        yield Refusal("container.mounts", f"{len(asked.mounts)} mounts are more than {MAX_MOUNTS}.")
    else:
        for number, mount in enumerate(asked.mounts):
            yield from _of_mount(f"container.mounts.{number}", mount)
        yield from _twice(asked.mounts)
    for field in ("workdir", "save"):
        if path := getattr(asked, field):
            yield from _of_path(f"container.{field}", path)
    for name, value in asked.env.items():
        if not VARIABLE.fullmatch(name) or "\0" in value:
            yield Refusal(
                "container.env",
                f"{name[:80]!r} is no variable: letters, digits and _, and no NUL character in what it says.",
            )
    for field in ("credential", "name"):
        value = getattr(asked, field)
        if value and not NAME.fullmatch(value):
            yield Refusal(
                f"container.{field}",
                f"{value[:40]!r} is no name: letters, digits and . _ -, 64 characters at the most.",
            )
    if asked.mpi not in (None, "none") and asked.scope == "script":
        yield Refusal("container.mpi", f"{asked.mpi} is for what srun starts: scope tasks or steps.")
    if len(asked.extra_args) > MAX_ARGS or not all(word and word.isprintable() for word in asked.extra_args):
        yield Refusal("container.extra_args", f"These are at most {MAX_ARGS} words of printable characters.")


def _of_path(field: str, path: str) -> Iterator[Refusal]:
    if not path.startswith("/") or len(path) > MAX_PATH or not path.isprintable():
        yield Refusal(field, f"{path[:80]!r} is no absolute path, of at most {MAX_PATH} printable characters.")
    elif ".." in path.split("/"):
        yield Refusal(field, f"{path[:80]!r} goes up by '..': say where it is.")


def _of_mount(field: str, mount: Mount) -> Iterator[Refusal]:
    yield from _of_path(f"{field}.source", mount.source)
    if mount.target:
        yield from _of_path(f"{field}.target", mount.target)
    if mount.there.rstrip("/") == "":
        yield Refusal(f"{field}.target", "The root of a container is its image: mount below it.")


def _twice(mounts: Sequence[Mount]) -> Iterator[Refusal]:
    seen: dict[str, int] = {}
    for number, mount in enumerate(mounts):
        first = seen.setdefault(mount.there.rstrip("/"), number)
        if first != number:
            yield Refusal(f"container.mounts.{number}.target", f"{mount.there!r} is where mount {first} is already.")
