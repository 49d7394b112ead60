"""Pyxis: Enroot by Slurm, with options of srun in place of words before the program.

What pyxis finds in the environment it hands to Enroot and to the program; where an image says another value of a
variable, the image's counts, unless srun names it (``--container-env``). A container is started once on each node for
all tasks there, and its options are the same on all nodes: what only some nodes have, cannot be said. A mount that the
site or the house would have where it is there is left out, but for the job's working directory, which is needed.

The entry point is run once on each node, before the tasks, and must start the words that it is given: the tasks have
the variables that it leaves, and are no children of it. A container with a ``name`` is left on its nodes when the job
ends, for the next one, unless the site has ``container_scope=job``. NVIDIA's devices are all that its cgroup opens.

Sources: https://github.com/NVIDIA/pyxis/blob/HEAD/README.md, and for what is not said there args.c and
pyxis_slurmstepd.c beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.container import Container, Devices, Launch, Mount
from hpcjobs.model.image import Image, parse_image
from hpcjobs.plugin import PLUGIN_API, Plugin, Wrap
from hpcjobs_plugins.containers.common import (
    NVIDIA,
    against_env,
    brought,
    enroot_devices,
    field_of,
    in_order,
    refused,
    start_of,
    steers,
)
from hpcjobs_plugins.containers.enroot import against_authfile, against_env_file

_UNSAYABLE: Final = re.compile(r'[:,"$`\\\s]')
"""What pyxis divides mounts by, or its shell would read: it writes them into a script, between double quotes."""
_SRUNS: Final = ("SLURM_", "SRUN_", "SPANK_", "PYXIS_")


def wrap(launch: Launch, container: Container, mounts: Sequence[Mount], devices: Devices) -> Launch | list[Refusal]:
    """Say it in options of ``srun`` that pyxis knows; see ``hpcjobs.plugin.WrapHook``."""
    image = parse_image(launch.image)
    start = start_of(launch, container, mounts)
    said = [mount for mount in in_order(mounts) if not mount.optional or mount.source == start.needs]
    needed = brought(container, devices)
    if refusals := [*_against(launch, image, container, needed), *_against_mounts(container, said)]:
        return refusals
    options = [f"--container-image={image.pyxis}"]
    if said:
        options.append(f"--container-mounts={','.join(map(_mounted, said))}")
    options += [
        *([f"--container-workdir={start.folder}"] if start.folder else []),
        *([f"--container-name={container.name}"] if container.name else []),
        *([f"--container-save={container.save}"] if container.save else []),
        "--container-mount-home" if container.home else "--no-container-mount-home",
        "--container-remap-root" if container.root else "--no-container-remap-root",
        "--container-entrypoint" if container.entrypoint else "--no-container-entrypoint",
        "--container-writable" if container.writable else "--container-readonly",
        *([f"--container-env={','.join(container.env)}"] if container.env else []),
        *container.extra_args,
    ]
    return msgspec.structs.replace(
        launch,
        srun=tuple(options),
        environment=enroot_devices(needed, "all") | container.env,
        copied={
            name: source for name, source in needed.visible.items() if name != NVIDIA and name not in container.env
        },
    )


def _against(launch: Launch, image: Image, container: Container, devices: Devices) -> Iterator[Refusal]:
    if not image.pyxis:
        yield refused("image", f"pyxis starts images of registries (docker://) and a .sqsh, and no {image.kind}:"
            " Apptainer can.")  # fmt: skip
    elif launch.insecure and image.remote:
        yield refused("image", "pyxis asks a registry by https only, and this one speaks http: Apptainer can.")
    if devices.mounts:
        yield refused("devices", f"pyxis cannot leave out what a node does not have, as {', '.join(devices.mounts)} for"
            f" {', '.join(devices.families)}: Apptainer and Enroot can.")  # fmt: skip
    yield from against_authfile(launch, "pyxis")
    yield from against_env_file(container, "pyxis")
    yield from against_env(
        container,
        lambda name, value: not value or steers(name) or name.startswith(_SRUNS),
        "cannot be set by pyxis: a value is not empty, and what srun and the shell around it go by is theirs. Apptainer"
        " and Enroot can.",
    )


def _against_mounts(container: Container, said: Sequence[Mount]) -> Iterator[Refusal]:
    for mount in container.mounts:
        if mount.optional:
            yield refused(field_of(mount, container), f"pyxis cannot leave out what a node does not have: say that"
                f" {mount.source} is not optional. Apptainer and Enroot can.")  # fmt: skip
    for mount in said:
        if _UNSAYABLE.search(mount.source + mount.there):
            yield refused(field_of(mount, container), f"pyxis cannot mount {mount.source!r} at {mount.there!r}: there"
                ' must be no blank in it and none of : , " $ ` \\. Apptainer can.')  # fmt: skip


def _mounted(mount: Mount) -> str:
    return f"{mount.source}:{mount.there}{':ro' if mount.read_only else ''}"


PLUGIN = Plugin(name="pyxis", api=PLUGIN_API, hooks=[Wrap(wrap, runtime="pyxis")])
