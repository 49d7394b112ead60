"""A job on its way in: the rules of the house, the plugins, the rules once more, and where it should run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from hpcjobs.admission import AFTER_PLUGINS, admit
from hpcjobs.containing import Containing
from hpcjobs.errors import FileExists, HpcjobsError
from hpcjobs.files import FileSystem
from hpcjobs.hooks.host import Hooks
from hpcjobs.images.authfile import AuthFile
from hpcjobs.images.fetching import Fetch
from hpcjobs.keeping import keep
from hpcjobs.model.placement import Placement
from hpcjobs.model.spec import JobSpec
from hpcjobs.observe.observer import Observer
from hpcjobs.placing import keep_host_file, with_placement
from hpcjobs.sbatch.effective import with_absolute_times
from hpcjobs.tenants.admission import QuotaRule

log = logging.getLogger(__name__)


class Admitted(msgspec.Struct, frozen=True):
    """A job that may go to Slurm.

    Attributes:
        spec: As it goes.
        generation: Of the plugins that admitted it.
        placement: What one of them said to where it should run.
        fetch: What must bring its container's image first; None: nothing.
        authfile: What tells whoever fetches that image who asks; None: nobody in particular does.
    """

    spec: JobSpec
    generation: int
    placement: Placement | None
    fetch: Fetch | None = None
    authfile: AuthFile | None = None


class Admitting:
    """Admits jobs.

    Args:
        hooks: The plugins.
        files: A cluster's files as a user.
        quotas: What projects have left.
        containing: Gives them their containers.
    """

    def __init__(
        self, hooks: Hooks, files: Callable[[str, str], FileSystem], quotas: QuotaRule, containing: Containing
    ) -> None:
        self.hooks = hooks
        self.files = files
        self.quotas = quotas
        self.containing = containing

    async def admitted(self, user: str, observer: Observer, asked: JobSpec) -> Admitted:
        """A job as the rules of the house and the plugins admit it.

        Args:
            user: Whom it runs as.
            observer: Of the cluster that it goes to.
            asked: As asked for.

        Raises:
            Refused: One of them is against it, or the project has nothing left.
            PluginFailed: A plugin that must be asked could not answer.
            ViewStale: It is to be placed, and nobody knows how the cluster looks now.
            Unavailable: What its container needs to be known of cannot be asked.
        """
        now = time.time()
        ruled = admit(asked)
        placement = None
        with self.hooks.held() as at_work:
            spec = await self.hooks.ask.admit(at_work, user, observer.cluster, ruled, now)
            if spec.parallel:
                placement = await self.hooks.ask.place(at_work, spec, observer.fresh_view(None, now), now)
            if placement is not None:
                spec = with_placement(spec, placement, None)
            if spec != ruled:
                spec = admit(spec, AFTER_PLUGINS)
            await self.quotas.check(user, observer.cluster, spec)
            found = await self.containing.contained(at_work, user, observer.cluster, spec, observer.view, now)
        spec = with_absolute_times(found.spec, now)
        return Admitted(spec, at_work.number, placement, found.fetch, found.authfile)

    async def make_folder(self, user: str, observer: Observer, path: str) -> None:
        """Make a folder of the user's on the cluster, if it is not there."""
        with suppress(FileExists):
            await self.files(observer.cluster, user).make_folder(path.encode(), True)

    async def keep_authfile(self, user: str, observer: Observer, authfile: AuthFile) -> None:
        """Have a file in the user's home, for them alone, that says who asks a registry.

        Raises:
            HpcjobsError: It cannot be written.
        """
        files = self.files(observer.cluster, user)
        await keep(files, authfile.path.encode(), authfile.data, private=True)

    async def with_host_file(self, user: str, observer: Observer, admitted: Admitted) -> JobSpec:
        """The job with the order of its ranks in a file of the user's, where files can be reached from here."""
        spec, placement = admitted.spec, admitted.placement
        if placement is None or not placement.ranks:
            return spec
        try:
            path = await keep_host_file(self.files(observer.cluster, user), placement)
        except HpcjobsError as error:
            log.warning("no file with the ranks of a job of %s: %s", user, error.detail)
            return spec
        return with_placement(spec, Placement(ranks=placement.ranks), path)
