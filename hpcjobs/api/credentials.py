"""``/v1/credentials``: who one is to registries of images."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import problems
from hpcjobs.identity import Scope
from hpcjobs.model.credential import NAME, RegistryCredential, RegistryCredentialRequest
from hpcjobs.service import Service

Named = Annotated[str, PathParameter(pattern=NAME, description="Its name; what `container.credential` of a job says.")]


class CredentialsController(Controller):
    """One's own; nobody has another's, whatever their role."""

    path = "/v1/credentials"
    tags = ("jobs",)

    @put(
        "/{name:str}",
        security=needs(Scope.JOBS_WRITE),
        responses=problems(409),
        summary="Keep a credential for a registry",
        description="In the place of the one that had its name. It is kept encrypted, never shown, and sent to its own "
        "registry alone, and to the service that this one names for tokens. Jobs name it (`container.credential`); "
        "what fetches their image on the cluster finds it in a file in their user's home, which nobody else can read.",
    )
    async def keep(
        self,
        request: Asked,
        service: NamedDependency[Service],
        name: Named,
        data: JSONBody[RegistryCredentialRequest],
    ) -> RegistryCredential:
        """Keep."""
        return await service.credentials.put(request.user.user, name, data)

    @get(
        security=needs(Scope.JOBS_READ),
        responses=problems(),
        summary="Credentials for registries",
        description="One's own, by name, without their secrets.",
    )
    async def every(self, request: Asked, service: NamedDependency[Service]) -> list[RegistryCredential]:
        """List."""
        return await service.credentials.every(request.user.user)

    @delete(
        "/{name:str}",
        security=needs(Scope.JOBS_WRITE),
        responses=problems(),
        summary="Forget a credential",
        description="At once. A file that jobs were given of it stays in the home: what waits may need it.",
    )
    async def remove(self, request: Asked, service: NamedDependency[Service], name: Named) -> None:
        """Remove."""
        await service.credentials.remove(request.user.user, name)
