"""Slurm's own containers: ``srun --container=BUNDLE``, by whatever runtime the site's oci.conf names, as crun.

A bundle is a folder with an unpacked file system and config.json, and that says nearly all: what of the host it has,
where the program starts, whether it can be written, whom the user is shown as, which devices it has. Slurm puts in the
program's words in place of the image's, and the job's variables; those that config.json sets go before these. So what a
job asks for beside an image and variables is refused. The script of a job is kept in the user's home, and the home, the
job's working directory and what the site gives to all are there if config.json mounts them, at the same place: srun
cannot. A bundle without the home cannot find the script, and fails.

Sources: https://slurm.schedmd.com/containers.html, https://slurm.schedmd.com/oci.conf.html, and for what is not said
there src/plugins/runtime/oci/runtime_oci.c of https://github.com/SchedMD/slurm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.container import Container, Devices, Launch, Mount
from hpcjobs.model.image import Image, parse_image
from hpcjobs.plugin import PLUGIN_API, Plugin, Wrap
from hpcjobs_plugins.containers.common import against_env, brought, field_of, refused, steers, unsupported

CANNOT: Final = {
    "workdir": "Where a program starts, a bundle says itself (process.cwd in its config.json): Apptainer can.",
    "writable": "Whether it can be written, a bundle says itself (root.readonly in its config.json): Apptainer can.",
    "root": "Whom the user is shown as, a bundle says itself (linux.uidMappings in its config.json): Apptainer can.",
    "entrypoint": "Slurm puts the program in place of a bundle's entry point: Apptainer and Enroot can run it.",
    "name": "Slurm starts each step in a container of its own: name is for pyxis.",
    "save": "Slurm does not write back what became of a bundle: save is for pyxis.",
}
_SRUNS: Final = ("SLURM_", "SRUN_", "SPANK_")


def wrap(launch: Launch, container: Container, mounts: Sequence[Mount], devices: Devices) -> Launch | list[Refusal]:
    """Say it in the option of ``srun``; see ``hpcjobs.plugin.WrapHook``."""
    image = parse_image(launch.image)
    if refusals := list(_against(launch, image, container, brought(container, devices))):
        return refusals
    return msgspec.structs.replace(
        launch, srun=(f"--container={image.path}", *container.extra_args), environment=dict(container.env)
    )


def _against(launch: Launch, image: Image, container: Container, devices: Devices) -> Iterator[Refusal]:
    if image.kind != "folder":
        yield refused("image", f"Slurm's --container starts an unpacked bundle, a folder with a config.json, and no"
            f" {image.kind}: umoci unpack makes one; Apptainer needs none.")  # fmt: skip
    if launch.authfile:
        yield refused("credential", "Slurm's --container starts what is unpacked already, and asks no registry:"
            " Apptainer can.")  # fmt: skip
    yield from unsupported(container, CANNOT)
    for mount in container.mounts:
        yield refused(field_of(mount, container), f"What of the host it has, a bundle says itself (mounts in its"
            f" config.json), {mount.source} too: Apptainer and Enroot can mount it.")  # fmt: skip
    if not container.home:
        yield refused("home", "A job's script is kept in the home: a bundle without it has none. Apptainer can do so.")
    if devices != Devices():
        yield refused("devices", "Slurm's --container brings no accelerators in: where config.json does, say devices:"
            " false. Apptainer, Enroot and pyxis can.")  # fmt: skip
    yield from against_env(
        container,
        lambda name, _: steers(name) or name.startswith(_SRUNS),
        "cannot be set for a bundle alone: srun and the shell around it go by them. Apptainer and Enroot can.",
    )


PLUGIN = Plugin(name="oci", api=PLUGIN_API, hooks=[Wrap(wrap, runtime="oci")])
