"""What the plugins of runtimes have in common: how mounts are put in order, where a program starts, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from hpcjobs.errors import Refusal
from hpcjobs.model.container import Container, Devices, Launch, Mount, Where

CODE: Final = "container-unsupported"
"""Of every refusal here."""

ALWAYS: Final = "/"
"""A path that every node has: words that are said everywhere, and yet behind those that are not."""

_STEERS: Final = frozenset({
    "PATH", "HOME", "PWD", "OLDPWD", "SHELL", "SHLVL", "_", "TMPDIR", "USER", "LOGNAME", "MAIL", "ENV", "IFS", "CDPATH",
    "SHELLOPTS", "BASHOPTS", "POSIXLY_CORRECT",
})  # fmt: skip
_STEERS_TOO: Final = ("LD_", "XDG_", "BASH_")

NVIDIA: Final = "NVIDIA_VISIBLE_DEVICES"
"""What the hook of Enroot's that brings in NVIDIA's driver and devices reads; ``void``: none (98-nvidia.sh)."""


def refused(field: str, detail: str) -> Refusal:
    """A refusal of what a runtime cannot do.

    Args:
        field: Of the container, without ``container.``.
        detail: What cannot be, and by what it could.
    """
    return Refusal(f"container.{field}", detail, CODE)


def unsupported(container: Container, cannot: Mapping[str, str]) -> Iterator[Refusal]:
    """Refuse the fields that a job sets and that a runtime has nothing for.

    Args:
        container: As asked for.
        cannot: Why not, by field.
    """
    yield from (refused(field, detail) for field, detail in cannot.items() if getattr(container, field))


def steers(name: str) -> bool:
    """Whether a variable means something to the shell, the linker or the runtime outside, too."""
    return name in _STEERS or name.startswith(_STEERS_TOO)


def against_env(container: Container, cannot: Callable[[str, str], bool], why: str) -> Iterator[Refusal]:
    """Refuse variables that cannot be had inside.

    Args:
        container: As asked for.
        cannot: Tells it of a name and its value.
        why: The end of a sentence that begins with the names; no value is told.
    """
    if names := [name for name, value in container.env.items() if cannot(name, value)]:
        yield refused("env", f"{', '.join(names)} {why}")


def field_of(mount: Mount, container: Container) -> str:
    """The field that a mount is said in; those of the site and the house are in none of their own."""
    return f"mounts.{container.mounts.index(mount)}" if mount in container.mounts else "mounts"


def in_order(mounts: Iterable[Mount]) -> list[Mount]:
    """The mounts, each behind what it lies below: what is mounted later hides what was there before."""
    return sorted(mounts, key=lambda mount: len(PurePosixPath(mount.there).parts))


def _below(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)


def said(
    mounts: Sequence[Mount], devices: Devices, words: Callable[[Mount], tuple[str, ...]]
) -> tuple[list[str], list[Where]]:
    """The words for all mounts: those for every node, and those for nodes that have what is mounted.

    Args:
        mounts: All that a container has of the host.
        devices: Whose folders and files of the host are mounted as well.
        words: Says one mount.
    """
    everywhere: list[str] = []
    where: list[Where] = []
    optional = [mount.there for mount in mounts if mount.optional]
    for mount in in_order(mounts):
        if mount.optional:
            where.append(Where(mount.source, words(mount)))
        elif any(_below(mount.there, folder) for folder in optional):
            where.append(Where(ALWAYS, words(mount)))
        else:
            everywhere += words(mount)
    there = {mount.there for mount in mounts}
    where += [Where(path, words(Mount(path))) for path in devices.mounts if path not in there]
    return everywhere, where


class Start(NamedTuple):
    """Where a program starts.

    Attributes:
        folder: In the container; ``""``: where the image says.
        needs: A path of the node: one that does not have it starts where the image says; ``""``: all start there.
    """

    folder: str
    needs: str = ""


def start_of(launch: Launch, container: Container, mounts: Sequence[Mount]) -> Start:
    """Where a program starts: where the job asks for, or in the job's working directory, where that is mounted."""
    if container.workdir:
        return Start(container.workdir)
    around = [mount for mount in mounts if launch.workdir and _below(launch.workdir, mount.there)]
    if not around:
        return Start("")
    return Start(launch.workdir, "" if any(not mount.optional for mount in around) else in_order(around)[-1].source)


def brought(container: Container, devices: Devices) -> Devices:
    """What is needed for the accelerators that a container is to have."""
    return devices if container.devices else Devices()


def enroot_devices(devices: Devices, visible: str) -> dict[str, str]:
    """The variables by which Enroot brings in devices, or is kept from doing so.

    Without them its hook goes by the image, and those made for CUDA say ``all``: they would not start where there is no
    driver. Of the driver's libraries it brings only nvidia-smi's where an image says nothing, so all are asked for. As
    long as /dev is not restricted (10-devices.sh), a container has every device file of its node: cgroups say which
    open. Source: https://github.com/NVIDIA/enroot/blob/HEAD/doc/standard-hooks.md and conf/hooks.

    Args:
        devices: That a container is to have.
        visible: Which of NVIDIA's.
    """
    found = {NVIDIA: visible, "NVIDIA_DRIVER_CAPABILITIES": "all"} if NVIDIA in devices.visible else {NVIDIA: "void"}
    return found | ({"ENROOT_RESTRICT_DEV": "n"} if devices.files else {})
