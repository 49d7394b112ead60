"""Options of ``hpcjobs submit`` for jobs in containers: pyxis' names, where it has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

IMAGE: Final = "container_image"
PREFIX: Final = "container_"

OPTIONS: Final = (
    click.option(
        "--container-image", metavar="IMAGE", help="It runs in this image: debian:sid, host/name@sha256:..., a file."
    ),
    click.option(
        "--container-runtime",
        type=click.Choice(["auto", "apptainer", "enroot", "oci", "none"]),
        help="What runs it; auto: the first that the partition has.",
    ),
    click.option(
        "--container-scope",
        type=click.Choice(["script", "tasks", "steps"]),
        help="What runs inside: the script, the script as every task, or what it starts by srun $HPCJOBS_WRAP.",
    ),
    click.option(
        "--container-pull",
        type=click.Choice(["missing", "always", "never"]),
        help="When the registry is asked for the image.",
    ),
    click.option(
        "--container-mounts",
        multiple=True,
        metavar="SRC[:DST[:ro]]",
        help="Folders or files of the host that it has; with commas, or several times.",
    ),
    click.option("--container-workdir", metavar="DIR", help="Where the program starts, in the container."),
    click.option(
        "--container-env",
        multiple=True,
        metavar="NAME=VALUE",
        help="A variable inside; NAME alone has the value that it has here. Several times.",
    ),
    click.option(
        "--container-mount-home/--no-container-mount-home", default=None, help="Whether it has the home; it has."
    ),
    click.option("--container-writable", is_flag=True, help="The image's files can be written, until the end."),
    click.option("--container-remap-root", is_flag=True, help="The user is root inside, and nowhere else."),
    click.option("--container-entrypoint", is_flag=True, help="The image's own entry point runs the program."),
    click.option(
        "--container-devices/--no-container-devices",
        default=None,
        help="Whether it has the accelerators that the job asks for; it has.",
    ),
    click.option("--container-mpi", type=click.Choice(["pmix", "pmi2", "none"]), help="As --mpi of srun."),
    click.option("--container-credential", metavar="NAME", help="Which of your credentials its registry gets."),
    click.option("--container-name", metavar="NAME", help="A container that later steps of the job use again."),
    click.option("--container-save", metavar="PATH", help="Where what became of the image is written, at the end."),
    click.option("--container-arg", "container_args", multiple=True, help="A word for the runtime; operators only."),
)


def container_options(command: F) -> F:
    """Give a command the options of containers."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def container_of(options: dict[str, Any]) -> dict[str, Any] | None:
    """What a submission says of its container; None: it has none.

    Args:
        options: Of the command line.

    Raises:
        ValueError: An option cannot be read, or there is no image for it.
    """
    told = {name: value for name, value in options.items() if name.startswith(PREFIX)}
    said = {name: value for name, value in told.items() if value not in (None, False, ())}
    home, devices = options["container_mount_home"], options["container_devices"]
    if not options[IMAGE]:
        if said or home is not None or devices is not None:
            name = next(iter(said), "container_mount_home" if home is not None else "container_devices")
            raise ValueError(f"--{name.replace('_', '-')} is for a container: say --container-image")
        return None
    found: dict[str, Any] = {
        field: said[name]
        for field in ("image", "runtime", "scope", "pull", "workdir", "writable", "entrypoint", "mpi", "credential",
                      "name", "save")
        if (name := PREFIX + field) in said
    }  # fmt: skip
    if home is not None:
        found["home"] = home
    if devices is not None:
        found["devices"] = devices
    if options["container_remap_root"]:
        found["root"] = True
    if options["container_args"]:
        found["extra_args"] = list(options["container_args"])
    if options["container_env"]:
        found["env"] = dict(map(_variable, options["container_env"]))
    if options["container_mounts"]:
        found["mounts"] = _mounts(options["container_mounts"])
    return found


def _variable(text: str) -> tuple[str, str]:
    import os

    name, equals, value = text.partition("=")
    if not equals and name not in os.environ:
        raise ValueError(f"--container-env {name}: it has no value here; write {name}=VALUE")
    return name, value if equals else os.environ[name]


def _mounts(texts: Sequence[str]) -> list[dict[str, Any]]:
    import msgspec

    from hpcjobs.model.container import MOUNT_OPTIONS, parse_mount

    words: list[str] = []
    for text in texts:
        for part in text.split(","):
            if part in MOUNT_OPTIONS and words:  # SRC:DST:ro,optional
                words[-1] += f",{part}"
            else:
                words.append(part)
    try:
        return [msgspec.to_builtins(parse_mount(word)) for word in words]
    except ValueError as error:
        raise ValueError(f"--container-mounts: {error}") from error
