"""What there is to run on, who one is, and what is written down of it all."""

from __future__ import annotations

from typing import Unpack

import httpx
import msgspec

from hpcjobs.client._async.caller import AsyncCaller
from hpcjobs.client.patience import AsyncStream
from hpcjobs.client.problems import problem_of, unreachable
from hpcjobs.client.wire import AccountingFilters, AuditFilters, ReportFilters, segment
from hpcjobs.model.audit import AuditEntry, AuditPage
from hpcjobs.model.capability import Capability
from hpcjobs.model.cluster import ClusterSummary, NodeList
from hpcjobs.model.history import AccountedList
from hpcjobs.model.partition import PartitionList
from hpcjobs.model.plugin import ConfigurationFile, Generation, PluginSet
from hpcjobs.model.policy import PolicyReport
from hpcjobs.model.pool import GpuPool
from hpcjobs.model.report import Catalogue, Table
from hpcjobs.model.sample import NodeSamples, SamplesKept
from hpcjobs.model.scheduling import Scheduling
from hpcjobs.model.suspicion import PardonAsked, Suspicion, Suspicions
from hpcjobs.model.tenant import Decision, Plan, ProjectQuota, QuotaAsked, QuotaRequest, Tenant
from hpcjobs.model.who import Me, ProjectList


class AsyncService(AsyncCaller):
    """The service itself and its clusters."""

    async def clusters(self) -> list[ClusterSummary]:
        """The clusters; the first is the default one."""
        return await self.ask(list[ClusterSummary], "GET", "/v1/clusters")

    async def nodes(self, cluster: str, *, max_age_s: float | None = None) -> NodeList:
        """The nodes of a cluster.

        Args:
            cluster: Its name.
            max_age_s: How old the listing may be that they are from, in seconds.
        """
        return await self.ask(NodeList, "GET", f"/v1/clusters/{segment(cluster)}/nodes", {"max_age_s": max_age_s})

    async def partitions(self, cluster: str, *, max_age_s: float | None = None) -> PartitionList:
        """The partitions of a cluster, in the order of Slurm's configuration.

        Args:
            cluster: Its name.
            max_age_s: How old the listing may be that they are from, in seconds.
        """
        path = f"/v1/clusters/{segment(cluster)}/partitions"
        return await self.ask(PartitionList, "GET", path, {"max_age_s": max_age_s})

    async def gpus(self, cluster: str, *, max_age_s: float | None = None) -> GpuPool:
        """The accelerators of a cluster by type: in use, idle, down.

        Args:
            cluster: Its name.
            max_age_s: How old the listing may be that they are from, in seconds.
        """
        return await self.ask(GpuPool, "GET", f"/v1/clusters/{segment(cluster)}/gpus", {"max_age_s": max_age_s})

    async def send_samples(self, cluster: str, node: str, told: NodeSamples) -> SamplesKept:
        """Tell what the devices of a node did; the same five minutes told again are replaced.

        Args:
            cluster: Whose node it is.
            node: Its name in Slurm.
            told: What they did.
        """
        path = f"/v1/clusters/{segment(cluster)}/nodes/{segment(node)}/samples"
        return await self.ask(SamplesKept, "PUT", path, body=msgspec.json.encode(told))

    async def scheduling(self, cluster: str) -> Scheduling:
        """What of Slurm's configuration decides when and where jobs start on a cluster; the controller is asked.

        Raises:
            NotSupported: No way to the cluster tells it.
        """
        return await self.ask(Scheduling, "GET", f"/v1/clusters/{segment(cluster)}/scheduling")

    async def capabilities(self, cluster: str) -> list[Capability]:
        """What can be asked of a cluster, and why not where it cannot."""
        return await self.ask(list[Capability], "GET", f"/v1/clusters/{segment(cluster)}/capabilities")

    async def accounting(self, cluster: str, **filters: Unpack[AccountingFilters]) -> AccountedList:
        """What Slurm's accounting knows of jobs that one may see.

        Args:
            cluster: Its name.
            filters: Which jobs.

        Raises:
            Refused: Slurm does not understand the question, or more jobs are so than one answer holds.
        """
        return await self.ask(AccountedList, "GET", f"/v1/clusters/{segment(cluster)}/accounting", filters)

    async def reports(self) -> Catalogue:
        """What can be reported: named reports, what rows are told apart by, measures with their definitions."""
        return await self.ask(Catalogue, "GET", "/v1/reports")

    async def report(self, name: str = "usage", **filters: Unpack[ReportFilters]) -> Table:
        """A report of what was used, of jobs that one may see.

        Args:
            name: Which.
            filters: Period, columns, and which jobs.

        Raises:
            Refused: The question cannot be answered; each fault is told.
        """
        return await self.ask(Table, "GET", f"/v1/reports/{segment(name)}", filters)

    async def report_file(self, form: str, name: str = "usage", **filters: Unpack[ReportFilters]) -> bytes:
        """The same as a file.

        Args:
            form: ``csv``, ``xlsx``, ``parquet``, ``html``, ``pdf`` or ``json``.
            name: Which report.
            filters: Period, columns, and which jobs.
        """
        response = await self.request("GET", f"/v1/reports/{segment(name)}", {**filters, "format": form})
        return response.content

    async def me(self) -> Me:
        """Whom the service takes one for."""
        return await self.ask(Me, "GET", "/v1/me")

    async def projects(self) -> ProjectList:
        """The projects that one belongs to or manages; for operators all."""
        return await self.ask(ProjectList, "GET", "/v1/projects")

    async def audit(self, limit: int | None = None, **filters: Unpack[AuditFilters]) -> AsyncStream[AuditEntry]:
        """Who asked for what, newest first; for admins.

        Args:
            limit: Most entries; None: all of them.
            filters: Which entries.
        """
        cursor: int | None = None
        while limit is None or limit > 0:
            size = 1000 if limit is None else min(limit, 1000)
            page = await self.ask(AuditPage, "GET", "/v1/audit", {**filters, "cursor": cursor, "limit": size})
            for entry in page.items:
                yield entry
            if limit is not None:
                limit -= len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def plugins(self, generation: int | None = None) -> Generation:
        """The plugins in use, and what else is installed.

        Args:
            generation: Those of an earlier generation instead, as an attempt of a job shows it.
        """
        return await self.ask(Generation, "GET", "/v1/plugins", {"generation": generation})

    async def change_plugins(self, wanted: PluginSet) -> Generation:
        """Put other plugins in the place of those in use; for admins.

        Raises:
            Refused: One of them cannot be used; those in use stay.
            Conflict: Others have been put in use meanwhile.
        """
        return await self.ask(Generation, "PUT", "/v1/plugins", body=msgspec.json.encode(wanted))

    async def configuration(self, cluster: str) -> list[ConfigurationFile]:
        """What plugins write of a cluster's configuration; for operators."""
        return await self.ask(list[ConfigurationFile], "GET", f"/v1/clusters/{segment(cluster)}/configuration")

    async def policies(self, cluster: str) -> PolicyReport:
        """What the policies want of a cluster now, and how they fare; for operators."""
        return await self.ask(PolicyReport, "GET", f"/v1/clusters/{segment(cluster)}/policies")

    async def lemons(self, cluster: str) -> Suspicions:
        """The nodes of a cluster against which something speaks, the worst first; for operators."""
        return await self.ask(Suspicions, "GET", f"/v1/clusters/{segment(cluster)}/lemons")

    async def pardon_node(self, cluster: str, node: str, why: str) -> Suspicion:
        """Have what speaks against a node until now count no more; for admins.

        Args:
            cluster: Whose.
            node: Its name.
            why: Why, as ``new GPU``.
        """
        path = f"/v1/clusters/{segment(cluster)}/lemons/{segment(node)}/pardon"
        return await self.ask(Suspicion, "POST", path, body=msgspec.json.encode(PardonAsked(why)))

    async def quotas(self, *, cluster: str | None = None) -> list[ProjectQuota]:
        """What one's projects may use and what is left of it; for operators all."""
        return await self.ask(list[ProjectQuota], "GET", "/v1/quotas", {"cluster": cluster})

    async def quota(self, project: str, *, cluster: str | None = None) -> ProjectQuota:
        """What one project may use and what is left of it."""
        return await self.ask(ProjectQuota, "GET", f"/v1/projects/{segment(project)}", {"cluster": cluster})

    async def declare_project(self, project: str, tenant: Tenant, *, cluster: str | None = None) -> ProjectQuota:
        """Say what a project shall be; for admins. Slurm hears of it when the plan is applied.

        Raises:
            Refused: It cannot be so.
        """
        path = f"/v1/projects/{segment(project)}"
        return await self.ask(ProjectQuota, "PUT", path, {"cluster": cluster}, body=msgspec.json.encode(tenant))

    async def withdraw_project(self, project: str, *, cluster: str | None = None) -> None:
        """Say nothing of a project any more; for admins. The next plan gives back what was there before."""
        await self.request("DELETE", f"/v1/projects/{segment(project)}", {"cluster": cluster}, repeatable=False)

    async def quota_requests(self, project: str, *, cluster: str | None = None) -> list[QuotaRequest]:
        """A project's requests for more, the newest first; members see their own."""
        path = f"/v1/projects/{segment(project)}/requests"
        return await self.ask(list[QuotaRequest], "GET", path, {"cluster": cluster})

    async def request_quota(self, project: str, asked: QuotaAsked, *, cluster: str | None = None) -> QuotaRequest:
        """Ask for another quota."""
        path = f"/v1/projects/{segment(project)}/requests"
        return await self.ask(QuotaRequest, "POST", path, {"cluster": cluster}, body=msgspec.json.encode(asked))

    async def decide_quota(
        self, project: str, request_id: str, decision: Decision, *, cluster: str | None = None
    ) -> QuotaRequest:
        """Grant a request or not; for admins and managers of a project above.

        Raises:
            Conflict: It is decided already.
        """
        path = f"/v1/projects/{segment(project)}/requests/{segment(request_id)}/decision"
        return await self.ask(QuotaRequest, "POST", path, {"cluster": cluster}, body=msgspec.json.encode(decision))

    async def quota_plan(self, *, cluster: str | None = None) -> Plan:
        """What must change in Slurm's accounting for it to be as declared; for operators. Nothing is done."""
        return await self.ask(Plan, "GET", "/v1/quotas/plan", {"cluster": cluster})

    async def apply_quotas(self, *, cluster: str | None = None) -> Plan:
        """Change Slurm's accounting so; for admins. Returns what was done."""
        return await self.ask(Plan, "POST", "/v1/quotas/apply", {"cluster": cluster})

    async def health(self) -> dict[str, str]:
        """Whether the service's process is alive, and its version."""
        return await self.ask(dict[str, str], "GET", "/healthz", retry_for_s=0.0)

    async def ready(self) -> dict[str, str]:
        """Whether the database and each cluster are ``ok``; where not, why not. Asked once."""
        try:
            response = await self._http.get("/readyz")
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error
        try:
            return msgspec.json.decode(response.content, type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise problem_of(response.status_code, response.reason_phrase, response.content) from error
