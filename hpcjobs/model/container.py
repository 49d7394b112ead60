"""What a job says of its container, and what a runtime makes of that: words before the words of its program."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

RuntimeAsked = Literal["auto", "apptainer", "enroot", "oci", "none"]
"""Which runtime a job asks for: ``auto`` takes the first that its partition has and that can read the image; ``enroot``
is pyxis where the partition has that; ``none`` is no container at all."""

Runtime = Literal["apptainer", "enroot", "pyxis", "oci"]
"""What a site has: ``pyxis`` is Enroot through Slurm's plugin, ``oci`` Slurm's own ``--container``."""

Scope = Literal["script", "tasks", "steps"]
"""What runs inside: the script, once, on the first node; the script as every task of the job, by srun; or what the
script, outside, starts by ``srun $HPCJOBS_SRUN ... $HPCJOBS_WRAP program``."""

Pull = Literal["missing", "always", "never"]
"""When a registry is asked: where the image is not here yet; each time for what a tag is now; not at all."""

Mpi = Literal["pmix", "pmi2", "none"]


MOUNT_OPTIONS: Final = frozenset({"ro", "rw", "optional"})


class Mount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A folder or file of the host that a container has.

    Attributes:
        source: Absolute path on the node.
        target: Absolute path in the container; ``""``: the same.
        read_only: Whether it cannot be written there.
        optional: Whether a node that does not have it goes without.
    """

    source: str
    target: str = ""
    read_only: bool = False
    optional: bool = False

    @property
    def there(self) -> str:
        """Its path in the container."""
        return self.target or self.source


def parse_mount(text: str) -> Mount:
    """Read a mount as people write it: ``SOURCE[:TARGET[:OPTION,...]]``.

    Raises:
        ValueError: It is not of that form.
    """
    source, _, rest = text.partition(":")
    target, _, options = rest.partition(":")
    if target in MOUNT_OPTIONS and not options:
        target, options = "", target
    words = frozenset(options.split(",")) if options else frozenset()
    if not source or words - MOUNT_OPTIONS or {"ro", "rw"} <= words:
        raise ValueError(f"{text[:120]!r} is not of the form SOURCE[:TARGET[:ro|rw,optional]]")
    return Mount(source, target, "ro" in words, "optional" in words)


class Container(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The container that a job runs in.

    Attributes:
        image: ``debian:sid``, ``registry:5000/vision/train@sha256:...``, ``registry#vision/train:1``, ``docker://...``,
            ``oras://...``, ``docker-archive:/path``, ``oci:/folder``, or an absolute path: a .sif, a .sqsh, a folder.
        runtime: What runs it.
        scope: What of the job runs inside.
        pull: When a registry is asked for the image.
        mounts: What of the host it has, beside its home and what its runtime and site bring.
        workdir: Where the program starts, in the container; ``""``: in the job's working directory, where that is
            mounted, else where the image says.
        env: Variables inside, over those of the job.
        home: Whether the user's home is mounted.
        writable: Whether the image's files can be written; what is written is gone at the end, but for ``save``.
        root: Whether the user is shown as root inside (a user namespace; no rights outside).
        entrypoint: Whether the image's own entry point is run, with the program as its arguments.
        devices: Whether it has the accelerators that the job asks for, and what of the host these need.
        mpi: How MPI finds its peers, for tasks; same as --mpi of srun. None: as the site has it.
        credential: Name of one of the user's credentials for a registry; ``""``: none.
        name: A container that later steps of the job use again; ``""``: none.
        save: Absolute path where what became of the image is written, at the end; ``""``: nowhere.
        extra_args: Further words for the runtime; operators only.
    """

    image: str
    runtime: RuntimeAsked = "auto"
    scope: Scope = "script"
    pull: Pull = "missing"
    mounts: tuple[Mount, ...] = ()
    workdir: str = ""
    env: dict[str, str] = {}
    home: bool = True
    writable: bool = False
    root: bool = False
    entrypoint: bool = False
    devices: bool = True
    mpi: Mpi | None = None
    credential: str = ""
    name: str = ""
    save: str = ""
    extra_args: tuple[str, ...] = ()


class Devices(msgspec.Struct, frozen=True, omit_defaults=True):
    """What lets a container have the accelerators of its job, of each family that it asks for.

    Attributes:
        families: Names of these (``hpcjobs.devices``).
        apptainer: Flags of ``apptainer exec``, as ``--nv``.
        visible: Variable by which a runtime is told which devices to bring in, and the variable of Slurm's that says
            so: ``{"NVIDIA_VISIBLE_DEVICES": "CUDA_VISIBLE_DEVICES"}``.
        files: Device files that it needs; a node may lack some.
        mounts: Folders and files of the host that it reads; a node may lack some.
        cdi: Kinds of the Container Device Interface, as ``nvidia.com/gpu``.
    """

    families: tuple[str, ...] = ()
    apptainer: tuple[str, ...] = ()
    visible: dict[str, str] = {}
    files: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    cdi: tuple[str, ...] = ()


class Where(msgspec.Struct, frozen=True):
    """Words that are only said on nodes that have a file.

    Attributes:
        path: Absolute path of it.
        words: These.
    """

    path: str
    words: tuple[str, ...]


class Launch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a program is started in a container: ``before``, ``where``, the variables, ``after``, and then its own words.

    Attributes:
        runtime: Which one does it.
        image: The image as the runtime is to be given it.
        digest: What the image's manifest was when the job was admitted; ``""``: not known.
        scope: What of the job runs inside.
        workdir: Where the program starts, inside.
        insecure: Whether the image's registry speaks http.
        authfile: Absolute path, on the cluster, of a file that says who asks the image's registry, in the form of
            Docker's config.json; ``""``: nobody in particular does.
        before: The runtime and its flags. Empty: srun does it.
        where: Flags for what not every node has.
        after: What comes behind the flags: the image, mostly.
        environment: Variables of the runtime, set for it alone; no secret is to be in words.
        copied: Variables that take the value of another, where that is set: ``{"NVIDIA_VISIBLE_DEVICES": "..."}``.
        env_flag: Said before the name of each variable of the job, for a runtime that hands on none of itself.
        srun: Options of srun.
    """

    runtime: Runtime
    image: str
    digest: str = ""
    scope: Scope = "script"
    workdir: str = ""
    insecure: bool = False
    authfile: str = ""
    before: tuple[str, ...] = ()
    where: tuple[Where, ...] = ()
    after: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    copied: dict[str, str] = {}
    env_flag: str = ""
    srun: tuple[str, ...] = ()


_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a shell can call a variable."""


def fault_of(launch: Launch, asked: Launch) -> str:
    """Why nobody can have meant a launch, or ``""``.

    Args:
        launch: What a plugin made of it.
        asked: What it was given.
    """
    for name in ("runtime", "digest", "scope", "workdir", "insecure", "authfile"):
        was, now = getattr(asked, name), getattr(launch, name)
        if now != was:
            return f"has {now!r:.100} as {name}: {was!r:.100} was asked for"
    if not launch.before and not launch.srun:
        return "has no words: neither of a runtime (before) nor of srun"
    if not launch.before and (launch.where or launch.after or launch.env_flag):
        return "has words behind those of a runtime, and none of a runtime (before)"
    if odd := [field for field, word in _words(launch) if not word.isprintable()]:
        return f"has a word in {odd[0]} that is not printable"
    if odd := [where.path for where in launch.where if not where.path.startswith("/")]:
        return f"asks for {odd[0]!r:.100}, which is no absolute path"
    names = (*launch.environment, *launch.copied, *launch.copied.values())
    if odd := [name for name in names if not _VARIABLE.fullmatch(name)]:
        return f"has a variable that no shell can have: {odd[0]!r:.100}"
    if odd := [name for name, value in launch.environment.items() if "\0" in value]:
        return f"has a NUL character in {odd[0]}"
    return ""


def _words(launch: Launch) -> Iterator[tuple[str, str]]:
    """All that is written into a script as a word, with the field that it is of."""
    yield from (("image", launch.image), ("env_flag", launch.env_flag))
    for field in ("before", "after", "srun"):
        yield from ((field, word) for word in getattr(launch, field))
    for where in launch.where:
        yield from (("where", word) for word in (where.path, *where.words))
