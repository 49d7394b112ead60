"""``/v1/plugins``: which plugins are in use, and others in their place."""

from __future__ import annotations

import time
from typing import Annotated

from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import ClusterName, MaxAge, problems
from hpcjobs.errors import NotAllowed
from hpcjobs.identity import Scope
from hpcjobs.model.plugin import ConfigurationFile, Generation, PluginSet
from hpcjobs.service import Service


def _sees_settings(request: Asked) -> bool:
    return Scope.ADMIN in request.user.scopes


class PluginsController(Controller):
    """Look, change."""

    path = "/v1/plugins"
    tags = ("plugins",)

    @get(
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(),
        summary="Plugins",
        description="Which are in use, in the order in which they are asked, and how they fare; what else is "
        "installed. What each was given is shown to admins only, how it failed to operators. With `generation` "
        "those of an earlier one.",
    )
    async def plugins(
        self,
        request: Asked,
        service: NamedDependency[Service],
        generation: Annotated[
            int | None, QueryParameter(ge=1, le=2**31 - 1, description="The number that an attempt of a job shows.")
        ] = None,
    ) -> Generation:
        """List."""
        if generation is None or generation == service.hooks.at_work.number:
            return await service.hooks.shown(settings=_sees_settings(request), failures=request.user.sees_all)
        return await service.hooks.earlier(generation, settings=_sees_settings(request))

    @put(
        security=needs(Scope.ADMIN),
        responses=problems(409),
        summary="Change the plugins",
        description="A new generation is loaded beside the one in use and takes its place when every plugin of it "
        "could be loaded and has its settings; else the one in use stays. The same list again reads new code. The "
        "change is kept: it holds until the list in the settings file changes.",
    )
    async def change(self, request: Asked, service: NamedDependency[Service], data: JSONBody[PluginSet]) -> Generation:
        """Change."""
        return await service.hooks.change(data, request.user.user, time.time())


@get(
    "/v1/clusters/{cluster:str}/configuration",
    security=needs(Scope.CLUSTERS_READ),
    responses=problems(),
    summary="Configuration that plugins write",
    description="Parts of Slurm's configuration for this cluster as it is now, as its topology. Nothing is installed.",
    tags=["plugins"],
)
async def configuration(
    request: Asked, service: NamedDependency[Service], cluster: ClusterName, max_age_s: MaxAge = None
) -> list[ConfigurationFile]:
    """Write."""
    if not request.user.sees_all:
        raise NotAllowed("The configuration of a cluster is for operators.")
    now = time.time()
    view = service.target(cluster).observer.fresh_view(max_age_s, now)
    with service.hooks.held() as at_work:
        return await service.hooks.ask.configure(at_work, view, now)
