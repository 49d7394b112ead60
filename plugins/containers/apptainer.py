"""Apptainer: ``apptainer exec`` before the program, or ``run``, where the image's entry point is asked for.

It hands on the job's variables, and shows /dev, /tmp, /proc and /sys of the node by itself. Those of the container are
set as ``APPTAINERENV_NAME``, and ``--no-eval`` keeps ``$`` in them from being read by its shell. Mounts are said by
``--mount``, which quotes as CSV does: ``--bind`` has no way to say a comma.

A device file is left to /dev: bound by itself it could not be opened, since what is bound has ``nodev``
(https://github.com/apptainer/apptainer/issues/2963). Where a site has ``mount dev = minimal``, binding is the way, and
the site says these files among its mounts. A .sqsh runs as a file system only: what Enroot keeps in it of the image's
variables and entry point, Apptainer does not read. What is written to a ``writable`` image is kept in memory, at most
64 MiB of it unless ``sessiondir max size`` says more; ``--writable`` would change a folder for good, and has no place
for mounts that the folder lacks. Who asks a registry is said by a file (``--authfile``, since 1.4): the words that name
it are seen by everybody, and what is in it by nobody else; without it Apptainer would read ~/.docker/config.json.

Sources: https://apptainer.org/docs/user/latest/cli/apptainer_exec.html, .../bind_paths_and_mounts.html,
.../environment_and_metadata.html, .../docker_and_oci.html and .../fakeroot.html below the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.container import Container, Devices, Launch, Mount, Where
from hpcjobs.model.image import Image, parse_image
from hpcjobs.plugin import PLUGIN_API, Plugin, Wrap
from hpcjobs_plugins.containers.common import against_env, brought, refused, said, start_of, unsupported

CANNOT: Final = {
    "name": "Apptainer starts each program in a container of its own: name is for pyxis.",
    "save": "Apptainer does not write back what became of an image: save is for pyxis.",
}
_OWN: Final = ("APPTAINER_", "APPTAINERENV_", "SINGULARITY_", "SINGULARITYENV_")
_OWN_TOO: Final = frozenset({"HOME", "UID", "GID"})


def wrap(launch: Launch, container: Container, mounts: Sequence[Mount], devices: Devices) -> Launch | list[Refusal]:
    """Say it in the words of ``apptainer``; see ``hpcjobs.plugin.WrapHook``."""
    image = parse_image(launch.image)
    if refusals := list(_against(image, container)):
        return refusals
    needed = brought(container, devices)
    start = start_of(launch, container, mounts)
    everywhere, where = said(mounts, needed, _mounted)
    starts = ("--pwd", start.folder) if start.folder else ()
    flags = [*needed.apptainer]
    flags += ["--writable-tmpfs"] if container.writable else []
    flags += ["--fakeroot"] if container.root else []
    flags += ["--no-https"] if launch.insecure and image.remote else []
    flags += ["--authfile", launch.authfile] if launch.authfile and image.kind in ("docker", "oras") else []
    return msgspec.structs.replace(
        launch,
        before=(
            "apptainer",
            "run" if container.entrypoint else "exec",
            "--no-eval",
            "--no-mount",
            "cwd" if container.home else "home,cwd",
            *flags,
            *everywhere,
            *(() if start.needs else starts),
            *container.extra_args,
        ),
        where=(*where, *((Where(start.needs, starts),) if start.needs else ())),
        after=(image.apptainer,),
        environment=({"APPTAINER_CONTAIN": "0", "APPTAINER_CONTAINALL": "0"} if needed.files else {})
        | {f"APPTAINERENV_{name}": value for name, value in container.env.items()},
    )


def _against(image: Image, container: Container) -> Iterator[Refusal]:
    yield from unsupported(container, CANNOT)
    if container.entrypoint and image.kind == "sqsh":
        yield refused("entrypoint", "Apptainer does not read the entry point that Enroot keeps in a .sqsh.")
    yield from against_env(
        container,
        lambda name, _: name in _OWN_TOO or name.startswith(_OWN),
        "are Apptainer's own to set inside: Enroot can set them, or the program itself.",
    )


def _mounted(mount: Mount) -> tuple[str, ...]:
    fields = ["type=bind", f"src={mount.source}", f"dst={mount.there}", *(["ro"] if mount.read_only else [])]
    return "--mount", ",".join(map(_quoted, fields))


def _quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if set(field) & set('," ') else field


PLUGIN = Plugin(name="apptainer", api=PLUGIN_API, hooks=[Wrap(wrap, runtime="apptainer")])
