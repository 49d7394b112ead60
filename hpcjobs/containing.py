"""A job's container on its way in: what the site allows, which runtime it gets, and how a program is started in it."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import msgspec

from hpcjobs.containers.devices import asked_of, devices_of
from hpcjobs.containers.script import FOLDER
from hpcjobs.credentials import Credentials
from hpcjobs.errors import Refusal, Refused, SettingsError
from hpcjobs.files import FileSystem
from hpcjobs.hooks.generation import AtWork
from hpcjobs.hooks.host import Hooks
from hpcjobs.images.authfile import AuthFile
from hpcjobs.images.fetching import Fetch
from hpcjobs.images.registry import Connect
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.container import Container, Devices, Launch, Mount, Runtime, parse_mount
from hpcjobs.model.gres import entries_of_node
from hpcjobs.model.spec import JobSpec
from hpcjobs.resolving import Located, Resolved, Resolving, Whose
from hpcjobs.settings import ClusterSettings, ContainerSettings

MEANS: Final[Mapping[str, frozenset[str]]] = {
    "apptainer": frozenset({"apptainer"}),
    "enroot": frozenset({"enroot", "pyxis"}),
    "oci": frozenset({"oci"}),
}
"""What a site may have for a runtime that a job asks for by name."""


PROJECT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""A project that may stand in a path."""


PLAIN: Final = re.compile(r"[A-Za-z0-9_@%+=:,./#-]+")
"""Words that a shell takes as they are, out of a variable without quotes."""


class Contained(NamedTuple):
    """A job with its container.

    Attributes:
        spec: With how a program is started in it.
        fetch: What must bring its image first; None: it is there, or its nodes fetch it.
        authfile: What tells whoever fetches it who asks; None: nobody in particular does.
    """

    spec: JobSpec
    fetch: Fetch | None = None
    authfile: AuthFile | None = None


class Containing:
    """Gives jobs their containers.

    Args:
        hooks: The plugins; those of runtimes say the words.
        files: A cluster's files as a user.
        clusters: Their settings.
        connect: Makes what connects to registries.
        project_of: The project of a user's job on a cluster.
        credentials: Who users are to registries.
    """

    def __init__(
        self,
        hooks: Hooks,
        files: Callable[[str, str], FileSystem],
        clusters: Iterable[ClusterSettings],
        connect: Connect,
        project_of: Callable[[str, str, JobSpec], str | None],
        credentials: Credentials,
    ) -> None:
        self.hooks = hooks
        self.clusters = {cluster.name: cluster for cluster in clusters if cluster.containers}
        for cluster in self.clusters.values():
            _check_site(cluster)
        sites = {name: one.containers for name, one in self.clusters.items() if one.containers}
        self.resolving = Resolving(files, sites, connect, credentials)
        self.project_of = project_of

    async def contained(
        self, at_work: AtWork, user: str, cluster: str, spec: JobSpec, view: ClusterView | None, now: float
    ) -> Contained:
        """A job with how a program of it is started in its container; without one it stays as it is.

        Args:
            at_work: The plugins that admitted it, held.
            user: Whom it runs as.
            cluster: Where.
            spec: As admitted.
            view: How the cluster was last listed; None: not yet.
            now: Unix seconds.

        Raises:
            Refused: With the field that is wrong: of the site's rules, the image, or what no runtime can do.
            PluginFailed: A runtime's plugin could not answer.
            Unavailable: The registry, or the cluster's files, do not answer.
        """
        asked = spec.container
        if asked is None or asked.runtime == "none":
            return Contained(spec)
        settings = self.clusters.get(cluster)
        if settings is None or (site := settings.containers) is None:
            raise Refused([Refusal("container", f"Cluster {cluster} runs no containers.", "no-containers")])
        runtimes = _runtimes(site, asked, spec, view)
        home = settings.home.format(user=user)
        project = self.project_of(user, cluster, spec) or ""
        whose = Whose(user, project if PROJECT.fullmatch(project) else None, home, spec.account)
        self._check_mounts(site, asked, user, whose.project)
        resolved = await self.resolving.resolved(cluster, site, whose, asked, runtimes)
        workdir = asked.workdir or spec.workdir or home
        mounts = _mounts(site, asked, home, spec.workdir or "", _above(spec.hints.checkpoints))
        devices = _devices(spec, view, site) if asked.devices else Devices()
        ask = functools.partial(self.hooks.ask.wrap, at_work, container=asked, mounts=mounts, devices=devices, now=now)
        wrapped, found = await self._wrapped(runtimes, resolved, Launch("apptainer", "", "", asked.scope, workdir), ask)
        if asked.scope == "steps" and (odd := [word for word in wrapped.srun if not PLAIN.fullmatch(word)]):
            told = f"The shell of a script would read {odd[0]!r:.200} otherwise: scope script or tasks can say it."
            raise Refused([Refusal("container.scope", told, "container-unsupported")])
        if asked.mpi is not None:
            wrapped = msgspec.structs.replace(wrapped, srun=(f"--mpi={asked.mpi}", *wrapped.srun))
        return Contained(msgspec.structs.replace(spec, launch=wrapped), found.fetch, found.authfile)

    @staticmethod
    async def _wrapped(
        runtimes: Sequence[Runtime], resolved: Resolved, launch: Launch, ask: Callable[[Launch], Awaitable[Launch]]
    ) -> tuple[Launch, Located]:
        """By the first runtime that has nothing against it; else what each has against it."""
        against: list[Refusal] = []
        for runtime in runtimes:
            try:
                located = await resolved.located(runtime)
                asks = located.authfile if located.fetch is None else None
                one = msgspec.structs.replace(
                    launch,
                    runtime=runtime,
                    image=located.text,
                    digest=resolved.image.digest,
                    insecure=resolved.insecure,
                    authfile=asks.path if asks is not None else "",
                )
                return await ask(one), located
            except Refused as error:
                against += error.refusals
        raise Refused(list(dict.fromkeys(against)))

    @staticmethod
    def _check_mounts(site: ContainerSettings, asked: Container, user: str, project: str | None) -> None:
        """Refuse mounts of folders that this site lets no job of the project have."""
        patterns = [pattern for pattern in site.allowed if project or "{project}" not in pattern]
        folders = [PurePosixPath(pattern.format(user=user, project=project)) for pattern in patterns]
        refusals = [
            Refusal(
                f"container.mounts.{number}.source",
                f"Jobs of {project or user} may not mount {mount.source}; they may mount what is in "
                f"{', '.join(map(str, folders)) or 'no folder'}.",
                "mount-not-allowed",
            )
            for number, mount in enumerate(asked.mounts)
            if not any(PurePosixPath(mount.source).is_relative_to(folder) for folder in folders)
        ]
        if refusals:
            raise Refused(refusals)


def _check_site(cluster: ClusterSettings) -> None:
    """Refuse settings that no job could go by.

    Raises:
        SettingsError: With what is wrong.
    """
    site = cluster.containers
    for text in site.mounts if site else ():
        try:
            mount = parse_mount(text)
        except ValueError as error:
            raise SettingsError(f"containers of cluster {cluster.name}: mounts: {error}") from error
        if not mount.source.startswith("/") or not mount.there.startswith("/"):
            raise SettingsError(f"containers of cluster {cluster.name}: mounts: {text!r} has no absolute paths")
    if site and site.store and not cluster.file_roots:
        raise SettingsError(f"containers of cluster {cluster.name}: a store needs file_roots: its folders are read")


def _runtimes(site: ContainerSettings, asked: Container, spec: JobSpec, view: ClusterView | None) -> list[Runtime]:
    """The runtimes that will do, the preferred first: what every partition that the job names has.

    Raises:
        Refused: There is none.
    """
    names = spec.partition.split(",") if spec.partition else _default(view)
    there = [site.partitions.get(name, site.runtimes) for name in names] or [site.runtimes]
    every = [one for one in there[0] if all(one in others for others in there)]
    found = [one for one in every if asked.runtime == "auto" or one in MEANS[asked.runtime]]
    if not found:
        of = f"Partition {','.join(names)}" if names else "The cluster"
        has = f"has {', '.join(every)}" if every else "has no runtime for containers"
        wanted = "" if asked.runtime == "auto" else f", not {asked.runtime}"
        raise Refused([Refusal("container.runtime", f"{of} {has}{wanted}.", "no-runtime")])
    return found


def _default(view: ClusterView | None) -> list[str]:
    return [name for name, one in view.partitions.items() if one.default] if view is not None else []


def _mounts(site: ContainerSettings, asked: Container, home: str, workdir: str, checkpoints: str) -> list[Mount]:
    """All that a container has of the host. What the job says of a place in it goes before what the site says."""
    scripts = f"{home.rstrip('/')}/{FOLDER}"
    own = [Mount(home)] if asked.home else [Mount(scripts, read_only=True)]
    for folder, optional in ((workdir if not asked.workdir else "", True), (checkpoints, False)):
        if folder and not any(PurePosixPath(folder).is_relative_to(one.there) for one in (*own, *asked.mounts)):
            own.append(Mount(folder, optional=optional))
    brought = [parse_mount(text) for text in site.mounts]
    found = {mount.there.rstrip("/"): mount for mount in (*brought, *own, *asked.mounts)}
    return list(found.values())


def _above(checkpoints: str) -> str:
    """The folder that a job's checkpoint folder is made in, which is there before it; ``""``: it has none."""
    parts = PurePosixPath(checkpoints).parts[:-1] if checkpoints else ()
    named = next((number for number, part in enumerate(parts) if "%" in part), len(parts))
    return str(PurePosixPath(*parts[:named])) if named > 1 else ""


def _devices(spec: JobSpec, view: ClusterView | None, site: ContainerSettings) -> Devices:
    """What brings in the accelerators that the job asks for, of the types that its partitions' nodes have."""
    there: set[tuple[str, str]] = set()
    if view is not None:
        names = set(spec.partition.split(",") if spec.partition else _default(view))
        for node in view.nodes.values():
            if not names or names & set(node.partitions):
                there |= {("gpu", kind) for kind in node.gpus}
                there |= {(entry.name, entry.kind) for entry in entries_of_node(node.particulars.gres)}
    with suppress(ValueError):  # the rules of the house say so
        return devices_of(asked_of(spec), there, site.families)
    return Devices()
