"""A job's container on its way in: what the site allows, which runtime it gets, and how a program is started in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final

import msgspec

from hpcjobs.containers.devices import asked_of, devices_of
from hpcjobs.containers.script import FOLDER
from hpcjobs.errors import FileMissing, NotAllowed, PathOutside, Refusal, Refused
from hpcjobs.files import FileSystem
from hpcjobs.hooks.generation import AtWork
from hpcjobs.hooks.host import Hooks
from hpcjobs.images.registry import Connect, Registries, Registry
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.container import Container, Devices, Launch, Mount, Runtime, parse_mount
from hpcjobs.model.gres import entries_of_node
from hpcjobs.model.image import Image, parse_image
from hpcjobs.model.spec import JobSpec
from hpcjobs.settings import ClusterSettings, ContainerSettings

MEANS: Final[Mapping[str, frozenset[str]]] = {
    "apptainer": frozenset({"apptainer"}),
    "enroot": frozenset({"enroot", "pyxis"}),
    "oci": frozenset({"oci"}),
}
"""What a site may have for a runtime that a job asks for by name."""


class Containing:
    """Gives jobs their containers.

    Args:
        hooks: The plugins; those of runtimes say the words.
        files: A cluster's files as a user.
        clusters: Their settings.
        connect: Makes what connects to registries.
        project_of: The project of a user's job on a cluster.
    """

    def __init__(
        self,
        hooks: Hooks,
        files: Callable[[str, str], FileSystem],
        clusters: Iterable[ClusterSettings],
        connect: Connect,
        project_of: Callable[[str, str, JobSpec], str | None],
    ) -> None:
        self.hooks = hooks
        self.files = files
        self.clusters = {cluster.name: cluster for cluster in clusters if cluster.containers}
        self.registries = {
            cluster.name: Registry(Registries(site.registries, site.insecure), connect)
            for cluster in self.clusters.values()
            if (site := cluster.containers)
        }
        self.project_of = project_of

    async def contained(
        self, at_work: AtWork, user: str, cluster: str, spec: JobSpec, view: ClusterView | None, now: float
    ) -> JobSpec:
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
            return spec
        settings = self.clusters.get(cluster)
        if settings is None or (site := settings.containers) is None:
            raise Refused([Refusal("container", f"Cluster {cluster} runs no containers.", "no-containers")])
        runtimes = _runtimes(site, asked, spec, view)
        self._check_mounts(site, asked, user, self.project_of(user, cluster, spec))
        image = parse_image(asked.image)
        digest = ""
        if not image.remote:
            await self._check_file(cluster, user, image)
        elif not Registries(site.registries, site.insecure).takes(image.host):
            taken = ", ".join((*site.registries, *site.insecure))
            raise _of_image(
                f"Images of {image.host or 'libraries'} are not taken here; images come from {taken}.",
                "registry-refused",
            )
        elif site.ask and asked.pull != "never" and image.kind != "library":
            digest = (await self.registries[cluster].digest_of(image, None)).digest
            image = image.pinned(digest)
        home = settings.home.format(user=user)
        workdir = asked.workdir or spec.workdir or home
        mounts = _mounts(site, asked, home, spec.workdir or home, _above(spec.hints.checkpoints))
        devices = _devices(spec, view, site) if asked.devices else Devices()
        insecure = image.remote and Registries(insecure=site.insecure).over_http(image.host)
        launch = Launch("apptainer", image.text, digest, asked.scope, workdir, insecure)
        wrapped = await self._wrapped(at_work, runtimes, launch, asked, mounts, devices, now)
        if asked.mpi is not None:
            wrapped = msgspec.structs.replace(wrapped, srun=(f"--mpi={asked.mpi}", *wrapped.srun))
        return msgspec.structs.replace(spec, launch=wrapped)

    async def _wrapped(
        self,
        at_work: AtWork,
        runtimes: Sequence[Runtime],
        launch: Launch,
        asked: Container,
        mounts: Sequence[Mount],
        devices: Devices,
        now: float,
    ) -> Launch:
        """By the first runtime that has nothing against it; else what each has against it."""
        against: list[Refusal] = []
        for runtime in runtimes:
            one = msgspec.structs.replace(launch, runtime=runtime)
            try:
                return await self.hooks.ask.wrap(at_work, one, asked, mounts, devices, now)
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

    async def _check_file(self, cluster: str, user: str, image: Image) -> None:
        """Refuse an image that is not there, or that the user may not read, where the service can reach its folder."""
        path = image.path.encode()
        try:
            found = await self.files(cluster, user).status(path)
            if found.type == "file":
                await self.files(cluster, user).read(path, 0, 1)
        except FileMissing as error:
            raise _of_image(f"{image.path} is not there.", "image-missing") from error
        except PathOutside:
            return  # a site's own folder of images, as /opt/images
        except NotAllowed as error:
            raise _of_image(f"{user} may not read {image.path}: {error.detail}", "image-denied") from error
        wanted = "dir" if image.kind in ("folder", "oci") else "file"
        if found.type != wanted:
            told = f"{image.path} is a {found.type}, and {image.kind} is a {wanted}."
            raise _of_image(told, "image-kind")


def _of_image(detail: str, code: str) -> Refused:
    return Refused([Refusal("container.image", detail, code)])


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
    if not asked.workdir and not any(PurePosixPath(workdir).is_relative_to(one.there) for one in (*own, *asked.mounts)):
        own.append(Mount(workdir, optional=True))
    brought = [parse_mount(text) for text in site.mounts]
    if checkpoints and not any(PurePosixPath(checkpoints).is_relative_to(one.there) for one in (*own, *asked.mounts)):
        own.append(Mount(checkpoints))
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
