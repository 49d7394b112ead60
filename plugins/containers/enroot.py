"""Enroot by itself: ``enroot start`` before the program, with a .sqsh that it mounts in memory and forgets at the end.

Enroot runs the image's /etc/rc, which goes to the image's working directory and starts its entry point with the words
that it is given. The only way around either is a script in its place (``--rc FILE``). So the words begin with a shell
that keeps ``RC`` in a file beside the jobs' scripts, if it is not there yet, and becomes ``enroot``: the program is the
process that Slurm started, and gets its signals. ``RC`` itself is run inside, by the image's shell, as
``RC exec|run FOLDER must|may NAME... -- PROGRAM...``: it sets the variables NAME, goes to FOLDER, and starts the
program, or /etc/rc with a ``cd`` that goes to FOLDER.

Enroot hands on no variable of itself: each is named (``--env``), and its value is taken from the environment. Those
that would steer the shell and ``enroot`` outside (``PATH``) are there under another name, which ``RC`` undoes. As by
pyxis, the program's shell is a login shell: an image's /etc/profile may say another PATH than its variables do, unless
the site has ``ENROOT_LOGIN_SHELL no``; and what is mounted below a read-only folder on the node can be written inside.

Sources: https://github.com/NVIDIA/enroot/blob/HEAD/doc/cmd/start.md, doc/image-format.md, doc/configuration.md, and for
what is not said there src/runtime.sh, src/docker.sh, bin/enroot-switchroot.c and bin/enroot-mount.c beside them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hpcjobs.errors import Refusal
from hpcjobs.model.container import Container, Devices, Launch, Mount
from hpcjobs.model.image import Image, parse_image
from hpcjobs.plugin import PLUGIN_API, Plugin, Wrap
from hpcjobs_plugins.containers.common import (
    against_env,
    brought,
    enroot_devices,
    field_of,
    refused,
    said,
    start_of,
    steers,
    unsupported,
)


def _line(text: str) -> str:
    """A text of a shell as a word: on one line."""
    return " ".join(text.split())


RC: Final = _line(
    r"""
hpcjobs_mode=$1 hpcjobs_start=$2 hpcjobs_must=$3; shift 3;
while [ "$1" != -- ]; do
  eval "export $1=\"\$HPCJOBS_INSIDE_$1\""; unset "HPCJOBS_INSIDE_$1"; shift;
done; shift;
[ "$hpcjobs_must" = must ] || [ -d "$hpcjobs_start" ] || hpcjobs_start=;
cd() { command cd -- "${hpcjobs_start:-$1}"; };
if [ "$hpcjobs_mode" = run ] && [ -r /etc/rc ]; then . /etc/rc; fi;
if [ -n "$hpcjobs_start" ]; then cd || exit 1;
elif [ -r /etc/rc ]; then
  while read -r hpcjobs_line; do
    case $hpcjobs_line in 'cd "/'*) eval "$hpcjobs_line"; break ;; esac;
  done </etc/rc;
fi;
exec "$@"
"""
)
"""What is run inside in place of the image's /etc/rc."""

KEPT: Final = f"$HOME/.hpcjobs/scripts/enroot-{hashlib.sha256(RC.encode()).hexdigest()[:32]}"
"""Where it is outside."""

START: Final = _line(
    rf"""
hpcjobs_rc={KEPT}; hpcjobs_new=$hpcjobs_rc.$SLURM_JOB_ID.$$;
[ -s "$hpcjobs_rc" ] || {{
  mkdir -p -m 700 "${{hpcjobs_rc%/*}}" && (umask 077 && printf "%s\n" "$1" >"$hpcjobs_new") &&
    mv -f "$hpcjobs_new" "$hpcjobs_rc";
}} || [ -s "$hpcjobs_rc" ] || exit 1;
shift; exec enroot start --rc "$hpcjobs_rc" "$@"
"""
)
"""What keeps it there, whole or not at all, and goes on as ``enroot``."""

HIDDEN: Final = "HPCJOBS_INSIDE_"
"""Before the names of variables that only ``RC`` sets."""

CANNOT: Final = {
    "name": "Enroot keeps a named container on its node until somebody removes it: name is for pyxis.",
    "save": "Enroot starts a .sqsh without unpacking it, and has nothing to write back: save is for pyxis.",
}
_UNSAYABLE: Final = re.compile(r"[:\\\s]")
"""What divides the parts of a mount, and what an Enroot after 4.1.2 alone reads as fstab(5) says."""
_QUOTES: Final = re.compile(r"[\"'].*[\"']\s*")


def wrap(launch: Launch, container: Container, mounts: Sequence[Mount], devices: Devices) -> Launch | list[Refusal]:
    """Say it in the words of ``enroot``; see ``hpcjobs.plugin.WrapHook``."""
    image = parse_image(launch.image)
    if refusals := [*_against(launch, image, container), *_against_mounts(container, mounts)]:
        return refusals
    needed = brought(container, devices)
    start = start_of(launch, container, mounts)
    everywhere, where = said(mounts, needed, _mounted)
    hidden = [name for name in container.env if steers(name)]
    own = {
        "ENROOT_MOUNT_HOME": "y" if container.home else "n",
        "ENROOT_REMAP_ROOT": "y" if container.root else "n",
        "ENROOT_ROOTFS_WRITABLE": "y" if container.writable else "n",
    }
    env = {f"{HIDDEN}{name}" if name in hidden else name: value for name, value in container.env.items()}
    mode, must = "run" if container.entrypoint else "exec", "may" if start.needs or not start.folder else "must"
    return msgspec.structs.replace(
        launch,
        before=("sh", "-c", START, "enroot", RC, *everywhere, *container.extra_args),
        where=tuple(where),
        after=(image.path, mode, start.folder, must, *hidden, "--"),
        environment=own | enroot_devices(needed, "void") | env,
        copied={name: source for name, source in needed.visible.items() if name not in container.env},
        env_flag="--env",
    )


def _against(launch: Launch, image: Image, container: Container) -> Iterator[Refusal]:
    if image.remote:
        yield refused("image", "Enroot starts no image of a registry by itself: give a .sqsh, or run it by pyxis.")
        yield from against_authfile(launch, "Enroot")
    elif image.kind != "sqsh":
        yield refused("image", f"Enroot starts a .sqsh, and no {image.kind}: Apptainer can.")
    elif "'" in image.path:
        yield refused("image", "Enroot cannot mount an image with a quote in its path: name it otherwise.")
    yield from unsupported(container, CANNOT)
    yield from against_env_file(container, "Enroot")


def against_authfile(launch: Launch, runtime: str) -> Iterator[Refusal]:
    """Refuse a credential that would have to be Enroot's: it takes none but those in a file of its own.

    Args:
        launch: What is known of it.
        runtime: Enroot, or who uses it.
    """
    if launch.authfile:
        yield refused("credential", f"{runtime} asks a registry as ~/.config/enroot/.credentials says, which Enroot"
            " reads by itself: keep it there and name none here. Apptainer can be given one.")  # fmt: skip


def against_env_file(container: Container, runtime: str) -> Iterator[Refusal]:
    """Refuse variables that Enroot's file of them cannot hold: it has one a line, and takes quotes off.

    Args:
        container: As asked for.
        runtime: Enroot, or who uses it.
    """
    yield from against_env(
        container,
        lambda name, value: "\n" in value or name.startswith("ENROOT_") or _QUOTES.fullmatch(value) is not None,
        f"cannot be set by {runtime}: a value has no new line and no quotes around it, and ENROOT_ is Enroot's own."
        " Apptainer can.",
    )


def _against_mounts(container: Container, mounts: Sequence[Mount]) -> Iterator[Refusal]:
    for mount in mounts:
        if _UNSAYABLE.search(mount.source + mount.there):
            yield refused(field_of(mount, container), f"Enroot cannot mount {mount.source!r} at {mount.there!r}: there"
                " must be no blank in it and none of : \\. Apptainer can.")  # fmt: skip


def _mounted(mount: Mount) -> tuple[str, ...]:
    options = f"x-create=auto,rbind{',ro' if mount.read_only else ''}"
    return "--mount", f"{mount.source}:{mount.there}:none:{options}"


PLUGIN = Plugin(name="enroot", api=PLUGIN_API, hooks=[Wrap(wrap, runtime="enroot")])
