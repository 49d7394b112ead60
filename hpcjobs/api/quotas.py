"""``/v1/projects/{project}`` and ``/v1/quotas``: what projects may use, and requests for more."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from hpcjobs.api.access import Asked, needs
from hpcjobs.api.common import Cluster, problems
from hpcjobs.errors import NotAllowed
from hpcjobs.identity import Scope
from hpcjobs.model.tenant import NAME, Decision, Plan, ProjectQuota, QuotaAsked, QuotaRequest, Tenant
from hpcjobs.service import Service

ProjectName = Annotated[str, PathParameter(pattern=NAME, description="The project: Slurm's name of the account.")]
RequestId = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$", description="`id` of the request.")]
APPLIED: Final = (
    "Slurm hears of it when the plan is applied: by `POST /v1/quotas/apply`, or within a minute where the settings of "
    'the cluster say `tenants = "apply"`.'
)


def _cluster(service: Service, cluster: str | None) -> str:
    return service.target(cluster).observer.cluster


class ProjectsController(Controller):
    """One project."""

    path = "/v1/projects/{project:str}"
    tags = ("quotas",)

    @get(
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(),
        summary="A project's quota",
        description="What is declared of it, and how its budgets stand: used, left, carried over, and when they will "
        "be used up at the rate of the last 14 days. Who the members are is shown to managers and operators.",
    )
    async def show(
        self, request: Asked, service: NamedDependency[Service], project: ProjectName, cluster: Cluster = None
    ) -> ProjectQuota:
        """Show."""
        return await service.tenants.quota(request.user, _cluster(service, cluster), project)

    @put(
        security=needs(Scope.ADMIN),
        responses=problems(),
        summary="Declare a project",
        description="In the place of what was declared of it. What is left out stays as Slurm has it; members and "
        "managers that Slurm has beside these stay. " + APPLIED,
    )
    async def declare(
        self,
        request: Asked,
        service: NamedDependency[Service],
        project: ProjectName,
        data: JSONBody[Tenant],
        cluster: Cluster = None,
    ) -> ProjectQuota:
        """Declare."""
        return await service.tenants.declare(request.user, _cluster(service, cluster), project, data)

    @delete(
        security=needs(Scope.ADMIN),
        responses=problems(),
        summary="Declare nothing of a project any more",
        description="The next plan gives Slurm back what was there before, where nobody has changed it since; the "
        "account itself stays.",
    )
    async def withdraw(self, service: NamedDependency[Service], project: ProjectName, cluster: Cluster = None) -> None:
        """Withdraw."""
        await service.tenants.withdraw(_cluster(service, cluster), project)

    @get(
        "/requests",
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(),
        summary="Requests for more",
        description="Of a project, the newest first; members see their own.",
    )
    async def requests(
        self, request: Asked, service: NamedDependency[Service], project: ProjectName, cluster: Cluster = None
    ) -> list[QuotaRequest]:
        """List."""
        return await service.tenants.requests(request.user, _cluster(service, cluster), project)

    @post(
        "/requests",
        security=needs(Scope.JOBS_WRITE),
        responses=problems(),
        summary="Ask for more",
        description="By members and managers: what of the quota should be otherwise; what is left out stays.",
    )
    async def ask(
        self,
        request: Asked,
        service: NamedDependency[Service],
        project: ProjectName,
        data: JSONBody[QuotaAsked],
        cluster: Cluster = None,
    ) -> QuotaRequest:
        """Ask."""
        return await service.tenants.ask(request.user, _cluster(service, cluster), project, data)

    @post(
        "/requests/{request_id:str}/decision",
        security=needs(Scope.JOBS_WRITE),
        status_code=200,
        responses=problems(409),
        summary="Grant a request, or not",
        description="By admins, and managers of a project above; once. What is granted is the project's quota at once. "
        + APPLIED,
    )
    async def decide(
        self,
        request: Asked,
        service: NamedDependency[Service],
        project: ProjectName,
        request_id: RequestId,
        data: JSONBody[Decision],
        cluster: Cluster = None,
    ) -> QuotaRequest:
        """Decide."""
        name = _cluster(service, cluster)
        return await service.tenants.decide(request.user, name, project, request_id, data)


class QuotasController(Controller):
    """All projects."""

    path = "/v1/quotas"
    tags = ("quotas",)

    @get(
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(),
        summary="Quotas",
        description="Of the projects that one belongs to or manages and of which something is declared; for operators "
        "all.",
    )
    async def every(
        self, request: Asked, service: NamedDependency[Service], cluster: Cluster = None
    ) -> list[ProjectQuota]:
        """List."""
        return await service.tenants.quotas(request.user, _cluster(service, cluster))

    @get(
        "/plan",
        security=needs(Scope.CLUSTERS_READ),
        responses=problems(501),
        summary="The plan",
        description="What must change in Slurm's accounting for it to be as declared, with what somebody has changed "
        "since, and what Slurm cannot have. For operators. Nothing is done.",
    )
    async def plan(self, request: Asked, service: NamedDependency[Service], cluster: Cluster = None) -> Plan:
        """Plan."""
        if not request.user.sees_all:
            raise NotAllowed("The plan is for operators: it names every project's members.")
        return await service.tenants.plan(_cluster(service, cluster))

    @post(
        "/apply",
        security=needs(Scope.ADMIN),
        status_code=200,
        responses=problems(501),
        summary="Apply the plan",
        description="As it is now: one order after the other. Where one fails, those before it are done and `kept` "
        "says how many; the next run goes on. The answer is what was done.",
    )
    async def apply(self, service: NamedDependency[Service], cluster: Cluster = None) -> Plan:
        """Apply."""
        return await service.tenants.apply(_cluster(service, cluster))
