"""The application: routes, error table, OpenAPI page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

from litestar import Litestar, MediaType, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.response import Redirect
from litestar.static_files import create_static_files_router

from hpcjobs import __version__
from hpcjobs.api import (
    access,
    accounting,
    actions,
    advice,
    audit,
    clusters,
    credentials,
    described,
    events,
    files,
    gangs,
    invoices,
    jobs,
    lemons,
    manners,
    me,
    metrics,
    output,
    plugins,
    policies,
    prices,
    problems,
    quotas,
    reports,
    routes,
    sbatch,
    sending,
    trail,
    uploads,
    webhooks,
)
from hpcjobs.identity import Scope
from hpcjobs.service import Service

MAX_BODY_BYTES = 8 * 1024 * 1024
SWAGGER = resources.files("swagger_ui") / "static"


TAGS = {
    "jobs": "Submit, look, change, cancel.",
    "clusters": "What there is to run on.",
    "reports": "What was used, by whom, of what, when.",
    "events": "What happens, as it happens: streams, pages, webhooks.",
    "files": "Files of a cluster, in the user's own name.",
    "quotas": "What projects may use, what is left of it, and requests for more.",
    "billing": "What use costs, and who is charged for it.",
    "plugins": "Rules and knowledge of the site, exchanged while the service runs.",
    "identity": "Who one is here, what one belongs to, and who did what.",
    "health": "What load balancers and Prometheus ask.",
}


def _provide(state: State) -> Service:
    service: Service = state.service
    return service


@get("/", include_in_schema=False, media_type=MediaType.TEXT, sync_to_thread=False)
def root() -> Redirect:
    """The page that explains the API."""
    return Redirect("/docs")


def create_app(service: Service) -> Litestar:
    """Make the application.

    Args:
        service: Not yet started; it lives as long as the application.
    """

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    return Litestar(
        route_handlers=[
            root,
            jobs.JobsController,
            sbatch.sbatch,
            gangs.gangs,
            actions.ActionsController,
            *actions.ORDERS,
            output.OutputController,
            clusters.ClustersController,
            accounting.accounting,
            reports.ReportsController,
            sending.ReportSchedulesController,
            sending.AlertsController,
            credentials.CredentialsController,
            me.whoami,
            me.projects,
            quotas.ProjectsController,
            quotas.QuotasController,
            prices.PricesController,
            invoices.InvoicesController,
            plugins.PluginsController,
            plugins.configuration,
            policies.policies,
            lemons.lemons,
            lemons.pardon,
            advice.advice,
            audit.trail_page,
            events.events,
            webhooks.WebhooksController,
            files.FilesController,
            uploads.UploadsController,
            clusters.healthz,
            clusters.readyz,
            metrics.numbers,
            # The page's scripts come from the service itself: clusters have no way out.
            create_static_files_router("/assets/swagger", [str(SWAGGER)], name="swagger"),
        ],
        state=State({"service": service}),
        logging_config=None,
        dependencies={"service": Provide(_provide, sync_to_thread=False)},
        lifespan=[lifespan],
        before_send=[trail.leave],
        middleware=[access.Gate, manners.Manners],
        exception_handlers=problems.HANDLERS,
        plugins=[routes.Routes(), described.DescribedStructs()],
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=OpenAPIConfig(
            title="hpcjobs",
            version=__version__,
            description="Jobs on Slurm clusters. Errors are RFC 9457 problem documents; JSON answers to GET have an "
            "ETag (If-None-Match: 304) and gzip; a query parameter that a route does not know is a 400.",
            tags=[Tag(name=name, description=text) for name, text in TAGS.items()],
            path="/docs",
            render_plugins=[
                SwaggerRenderPlugin(
                    js_url="/assets/swagger/swagger-ui-bundle.js",
                    css_url="/assets/swagger/swagger-ui.css",
                    standalone_preset_js_url="/assets/swagger/swagger-ui-standalone-preset.js",
                    favicon="<link rel='icon' type='image/png' href='/assets/swagger/favicon-32x32.png'>",
                )
            ],
            components=Components(
                security_schemes={
                    access.TOKEN: SecurityScheme(
                        type="http",
                        scheme="bearer",
                        bearer_format="JWT",
                        description="Beside each route stand the scopes that its token must have: "
                        + ", ".join(f"`{scope}`" for scope in Scope)
                        + ". A token of ours without a `scope` claim has all that its user's role has.",
                    )
                }
            ),
            security=access.needs(),
        ),
    )
