"""Which image a job runs: what its tag is now, whether it may have it, and whether the cluster's store has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from hpcjobs.credentials import FIELD, Credentials
from hpcjobs.errors import FileMissing, NotAllowed, NotSupported, PathOutside, Refusal, Refused, RegistryDown
from hpcjobs.files import FileSystem
from hpcjobs.images.authfile import AuthFile, path_of
from hpcjobs.images.fetching import Fetch, Order, fetch_of
from hpcjobs.images.registry import Connect, Registries, Registry
from hpcjobs.model.container import Container, Runtime
from hpcjobs.model.image import Image, parse_image
from hpcjobs.settings import ContainerSettings
from hpcjobs.shelf import Shelf

FORMATS: Final[Mapping[str, str]] = {"apptainer": "sif", "enroot": "sqsh"}
"""What runtimes start out of the store. Pyxis has one of its own, and a bundle is nobody's to make."""
UNMADE: Final = ("oras", "sqsh")
"""What Enroot makes nothing of."""
ASKED: Final = ("docker", "oras")
"""Kinds of images that have a digest to ask for."""


class Whose(NamedTuple):
    """Whose job it is.

    Attributes:
        user: Whom it runs as.
        project: What stands for {project} in paths; None: nothing may.
        home: The user's, on the cluster.
        account: That the job says; None: Slurm knows the default.
    """

    user: str
    project: str | None
    home: str
    account: str | None = None


class Located(NamedTuple):
    """An image where a runtime finds it.

    Attributes:
        text: Its name, or its path.
        fetch: What must bring it there first; None: nothing.
        authfile: What tells that, or else the runtime, who asks its registry; None: nobody in particular does.
    """

    text: str
    fetch: Fetch | None = None
    authfile: AuthFile | None = None


class Resolved:
    """The image of one job.

    Args:
        image: With its digest, where that is known.
        site: Of the cluster.
        whose: Whose job it is.
        shelf: The store; None: there is none.
        never: Whether no registry may be asked.
        authfile: Who asks its registry; None: nobody in particular.
    """

    def __init__(
        self,
        image: Image,
        site: ContainerSettings,
        whose: Whose,
        shelf: Shelf | None,
        *,
        never: bool = False,
        authfile: AuthFile | None = None,
    ) -> None:
        self.image = image
        self.site = site
        self.whose = whose
        self.shelf = shelf
        self.never = never
        self.authfile = authfile

    @property
    def insecure(self) -> bool:
        """Whether its registry speaks http."""
        return self.image.remote and Registries(insecure=self.site.insecure).over_http(self.image.host)

    async def located(self, runtime: Runtime) -> Located:
        """Where a runtime finds it.

        Raises:
            Refused: It would have to be fetched, and may not be.
            Unavailable: The cluster's files do not answer.
        """
        image, store, form = self.image, self.site.store, FORMATS.get(runtime)
        if store is None or self.shelf is None or form is None or not image.digest or (image.kind, form) == UNMADE:
            return Located(image.text, authfile=self.authfile)
        if path := await self.shelf.find(image.digest, form):
            return Located(path)
        if self.never:
            raise _not_in_store(image)
        folder = store.private.format(user=self.whose.user)
        authfile = self.authfile.path if self.authfile is not None else ""
        order = Order(image.text, image.digest, form, folder, store.max_bytes, store.keep_s, self.insecure, authfile)
        fetch = fetch_of(image, order, store, self.whose.home, self.whose.account)
        return Located(fetch.path, fetch, self.authfile)


class Resolving:
    """Finds out which image a job runs.

    Args:
        files: A cluster's files as a user.
        sites: What is said of containers, by cluster.
        connect: Makes what connects to registries.
        credentials: Who users are to these.
    """

    def __init__(
        self,
        files: Callable[[str, str], FileSystem],
        sites: Mapping[str, ContainerSettings],
        connect: Connect,
        credentials: Credentials,
    ) -> None:
        self.files = files
        self.credentials = credentials
        self.registries = {
            cluster: Registry(Registries(site.registries, site.insecure), connect) for cluster, site in sites.items()
        }

    async def resolved(
        self, cluster: str, site: ContainerSettings, whose: Whose, asked: Container, runtimes: Sequence[Runtime]
    ) -> Resolved:
        """The image of a job, as it is now.

        Args:
            cluster: Where.
            site: What is said there of containers.
            whose: Whose job it is.
            asked: As the job asks for it.
            runtimes: That may run it.

        Raises:
            Refused: It is not there, or the user may not have it, or nobody here.
            RegistryDown: Its registry does not answer, and the store does not know it.
            Unavailable: The cluster's files do not answer.
        """
        image = parse_image(asked.image)
        if not image.remote:
            await self._check_file(cluster, whose.user, image)
            return Resolved(image, site, whose, None)
        if against := Registries(site.registries, site.insecure).against(image.host):
            raise of_image(against, "registry-refused")
        own = await self._own(cluster, whose, asked, image)
        shelf = self._shelf(cluster, site, whose)
        forms = tuple(dict.fromkeys(FORMATS[runtime] for runtime in runtimes if runtime in FORMATS))
        never = asked.pull == "never"
        if image.kind in ASKED and not await self._known(shelf, image, forms):
            image = await self._asked(cluster, site, image, shelf, forms, asked, own)
        return Resolved(image, site, whose, shelf, never=never, authfile=own)

    def _shelf(self, cluster: str, site: ContainerSettings, whose: Whose) -> Shelf | None:
        if site.store is None:
            return None
        patterns = [one for one in (*site.store.shared, site.store.private) if whose.project or "{project}" not in one]
        folders = [pattern.format(user=whose.user, project=whose.project) for pattern in patterns]
        return Shelf(self.files(cluster, whose.user), folders)

    async def _own(self, cluster: str, whose: Whose, asked: Container, image: Image) -> AuthFile | None:
        """The credential that a job names, and where nodes find it."""
        if not asked.credential:
            return None
        credential = await self.credentials.of(whose.user, asked.credential, image.host)
        try:
            home = self.files(cluster, whose.user).home
        except NotSupported as error:
            told = f"What fetches an image finds a credential in a file in the user's home. {error.detail}"
            raise Refused([Refusal(FIELD, told, "container-unsupported")]) from error
        return AuthFile(path_of(home.decode(), asked.credential), image.host, credential)

    @staticmethod
    async def _known(shelf: Shelf | None, image: Image, forms: Sequence[str]) -> bool:
        """Whether the store has an image whose digest is said: then nobody need be asked."""
        return shelf is not None and bool(image.digest) and any([await shelf.find(image.digest, one) for one in forms])

    async def _asked(
        self,
        cluster: str,
        site: ContainerSettings,
        image: Image,
        shelf: Shelf | None,
        forms: Sequence[str],
        asked: Container,
        own: AuthFile | None,
    ) -> Image:
        """The image with the digest that its registry says; where that is silent or not to be asked, the store."""
        down: RegistryDown | None = None
        if site.ask and asked.pull != "never":
            try:
                credential = own.credential if own is not None else None
                return image.pinned((await self.registries[cluster].digest_of(image, credential)).digest)
            except RegistryDown as error:
                if asked.pull == "always":
                    raise
                down = error
        if shelf is not None and not image.digest:
            for form in forms:
                if digest := await shelf.latest(image, form):
                    return image.pinned(digest)
        if down is not None:
            raise down
        if shelf is not None and asked.pull == "never":
            raise _not_in_store(image)
        return image

    async def _check_file(self, cluster: str, user: str, image: Image) -> None:
        """Refuse an image that is not there, or that the user may not read, where the service can reach its folder."""
        path = image.path.encode()
        try:
            found = await self.files(cluster, user).status(path)
            if found.type == "file":
                await self.files(cluster, user).read(path, 0, 1)
        except FileMissing as error:
            raise of_image(f"{image.path} is not there.", "image-missing") from error
        except (PathOutside, NotSupported):
            return  # a site's own folder of images, as /opt/images
        except NotAllowed as error:
            raise of_image(f"{user} may not read {image.path}: {error.detail}", "image-denied") from error
        wanted = "dir" if image.kind in ("folder", "oci") else "file"
        if found.type != wanted:
            raise of_image(f"{image.path} is a {found.type}, and {image.kind} is a {wanted}.", "image-kind")


def _not_in_store(image: Image) -> Refused:
    return of_image(f"{image.text} is not in the store of this cluster, and pull is never.", "image-missing")


def of_image(detail: str, code: str) -> Refused:
    """What is against the image of a job."""
    return Refused([Refusal("container.image", detail, code)])
