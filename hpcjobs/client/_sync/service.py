# Made by scripts/unasync of hpcjobs/client/_async/service.py; change that and run it. Alike on purpose.
"""What there is to run on, who one is, and what is written down of it all."""

from __future__ import annotations

from typing import Unpack

import httpx
import msgspec

from hpcjobs.client._sync.caller import Caller
from hpcjobs.client.patience import Stream
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


class Service(Caller):
    """The service itself and its clusters."""

    def clusters(self) -> list[ClusterSummary]:
        """The clusters; the first is the default one."""
        return self.ask(list[ClusterSummary], "GET", "/v1/clusters")

    def nodes(self, cluster: str, *, max_age_s: float | None = None) -> NodeList:
        """The nodes of a cluster.

        Args:
            cluster: Its name.
            max_age_s: How old the listing may be that they are from, in seconds.
        """
        return self.ask(NodeList, "GET", f"/v1/clusters/{segment(cluster)}/nodes", {"max_age_s": max_age_s})

    def partitions(self, cluster: str, *, max_age_s: float | None = None) -> PartitionList:
        """The partitions of a cluster, in the order of Slurm's configuration.

        Args:
            cluster: Its name.
            max_age_s: How old the listing may be that they are from, in seconds.
        """
        path = f"/v1/clusters/{segment(cluster)}/partitions"
        return self.ask(PartitionList, "GET", path, {"max_age_s": max_age_s})

    def gpus(self, cluster: str, *, max_age_s: float | None = None) -> GpuPool:
        """The accelerators of a cluster by type: in use, idle, down.

        Args:
            cluster: Its name.
            max_age_s: How old the listing may be that they are from, in seconds.
        """
        return self.ask(GpuPool, "GET", f"/v1/clusters/{segment(cluster)}/gpus", {"max_age_s": max_age_s})

    def send_samples(self, cluster: str, node: str, told: NodeSamples) -> SamplesKept:
        """Tell what the devices of a node did; the same five minutes told again are replaced.

        Args:
            cluster: Whose node it is.
            node: Its name in Slurm.
            told: What they did.
        """
        path = f"/v1/clusters/{segment(cluster)}/nodes/{segment(node)}/samples"
        return self.ask(SamplesKept, "PUT", path, body=msgspec.json.encode(told))

    def scheduling(self, cluster: str) -> Scheduling:
        """What of Slurm's configuration decides when and where jobs start on a cluster; the controller is asked.

        Raises:
            NotSupported: No way to the cluster tells it.
        """
        return self.ask(Scheduling, "GET", f"/v1/clusters/{segment(cluster)}/scheduling")

    def capabilities(self, cluster: str) -> list[Capability]:
        """What can be asked of a cluster, and why not where it cannot."""
        return self.ask(list[Capability], "GET", f"/v1/clusters/{segment(cluster)}/capabilities")

    def accounting(self, cluster: str, **filters: Unpack[AccountingFilters]) -> AccountedList:
        """What Slurm's accounting knows of jobs that one may see.

        Args:
            cluster: Its name.
            filters: Which jobs.

        Raises:
            Refused: Slurm does not understand the question, or more jobs are so than one answer holds.
        """
        return self.ask(AccountedList, "GET", f"/v1/clusters/{segment(cluster)}/accounting", filters)

    def reports(self) -> Catalogue:
        """What can be reported: named reports, what rows are told apart by, measures with their definitions."""
        return self.ask(Catalogue, "GET", "/v1/reports")

    def report(self, name: str = "usage", **filters: Unpack[ReportFilters]) -> Table:
        """A report of what was used, of jobs that one may see.

        Args:
            name: Which.
            filters: Period, columns, and which jobs.

        Raises:
            Refused: The question cannot be answered; each fault is told.
        """
        return self.ask(Table, "GET", f"/v1/reports/{segment(name)}", filters)

    def report_file(self, form: str, name: str = "usage", **filters: Unpack[ReportFilters]) -> bytes:
        """The same as a file.

        Args:
            form: ``csv``, ``xlsx``, ``parquet``, ``html``, ``pdf`` or ``json``.
            name: Which report.
            filters: Period, columns, and which jobs.
        """
        response = self.request("GET", f"/v1/reports/{segment(name)}", {**filters, "format": form})
        return response.content

    def me(self) -> Me:
        """Whom the service takes one for."""
        return self.ask(Me, "GET", "/v1/me")

    def projects(self) -> ProjectList:
        """The projects that one belongs to or manages; for operators all."""
        return self.ask(ProjectList, "GET", "/v1/projects")

    def audit(self, limit: int | None = None, **filters: Unpack[AuditFilters]) -> Stream[AuditEntry]:
        """Who asked for what, newest first; for admins.

        Args:
            limit: Most entries; None: all of them.
            filters: Which entries.
        """
        cursor: int | None = None
        while limit is None or limit > 0:
            size = 1000 if limit is None else min(limit, 1000)
            page = self.ask(AuditPage, "GET", "/v1/audit", {**filters, "cursor": cursor, "limit": size})
            yield from page.items
            if limit is not None:
                limit -= len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    def plugins(self, generation: int | None = None) -> Generation:
        """The plugins in use, and what else is installed.

        Args:
            generation: Those of an earlier generation instead, as an attempt of a job shows it.
        """
        return self.ask(Generation, "GET", "/v1/plugins", {"generation": generation})

    def change_plugins(self, wanted: PluginSet) -> Generation:
        """Put other plugins in the place of those in use; for admins.

        Raises:
            Refused: One of them cannot be used; those in use stay.
            Conflict: Others have been put in use meanwhile.
        """
        return self.ask(Generation, "PUT", "/v1/plugins", body=msgspec.json.encode(wanted))

    def configuration(self, cluster: str) -> list[ConfigurationFile]:
        """What plugins write of a cluster's configuration; for operators."""
        return self.ask(list[ConfigurationFile], "GET", f"/v1/clusters/{segment(cluster)}/configuration")

    def policies(self, cluster: str) -> PolicyReport:
        """What the policies want of a cluster now, and how they fare; for operators."""
        return self.ask(PolicyReport, "GET", f"/v1/clusters/{segment(cluster)}/policies")

    def lemons(self, cluster: str) -> Suspicions:
        """The nodes of a cluster against which something speaks, the worst first; for operators."""
        return self.ask(Suspicions, "GET", f"/v1/clusters/{segment(cluster)}/lemons")

    def pardon_node(self, cluster: str, node: str, why: str) -> Suspicion:
        """Have what speaks against a node until now count no more; for admins.

        Args:
            cluster: Whose.
            node: Its name.
            why: Why, as ``new GPU``.
        """
        path = f"/v1/clusters/{segment(cluster)}/lemons/{segment(node)}/pardon"
        return self.ask(Suspicion, "POST", path, body=msgspec.json.encode(PardonAsked(why)))

    def quotas(self, *, cluster: str | None = None) -> list[ProjectQuota]:
        """What one's projects may use and what is left of it; for operators all."""
        return self.ask(list[ProjectQuota], "GET", "/v1/quotas", {"cluster": cluster})

    def quota(self, project: str, *, cluster: str | None = None) -> ProjectQuota:
        """What one project may use and what is left of it."""
        return self.ask(ProjectQuota, "GET", f"/v1/projects/{segment(project)}", {"cluster": cluster})

    def declare_project(self, project: str, tenant: Tenant, *, cluster: str | None = None) -> ProjectQuota:
        """Say what a project shall be; for admins. Slurm hears of it when the plan is applied.

        Raises:
            Refused: It cannot be so.
        """
        path = f"/v1/projects/{segment(project)}"
        return self.ask(ProjectQuota, "PUT", path, {"cluster": cluster}, body=msgspec.json.encode(tenant))

    def withdraw_project(self, project: str, *, cluster: str | None = None) -> None:
        """Say nothing of a project any more; for admins. The next plan gives back what was there before."""
        self.request("DELETE", f"/v1/projects/{segment(project)}", {"cluster": cluster}, repeatable=False)

    def quota_requests(self, project: str, *, cluster: str | None = None) -> list[QuotaRequest]:
        """A project's requests for more, the newest first; members see their own."""
        path = f"/v1/projects/{segment(project)}/requests"
        return self.ask(list[QuotaRequest], "GET", path, {"cluster": cluster})

    def request_quota(self, project: str, asked: QuotaAsked, *, cluster: str | None = None) -> QuotaRequest:
        """Ask for another quota."""
        path = f"/v1/projects/{segment(project)}/requests"
        return self.ask(QuotaRequest, "POST", path, {"cluster": cluster}, body=msgspec.json.encode(asked))

    def decide_quota(
        self, project: str, request_id: str, decision: Decision, *, cluster: str | None = None
    ) -> QuotaRequest:
        """Grant a request or not; for admins and managers of a project above.

        Raises:
            Conflict: It is decided already.
        """
        path = f"/v1/projects/{segment(project)}/requests/{segment(request_id)}/decision"
        return self.ask(QuotaRequest, "POST", path, {"cluster": cluster}, body=msgspec.json.encode(decision))

    def quota_plan(self, *, cluster: str | None = None) -> Plan:
        """What must change in Slurm's accounting for it to be as declared; for operators. Nothing is done."""
        return self.ask(Plan, "GET", "/v1/quotas/plan", {"cluster": cluster})

    def apply_quotas(self, *, cluster: str | None = None) -> Plan:
        """Change Slurm's accounting so; for admins. Returns what was done."""
        return self.ask(Plan, "POST", "/v1/quotas/apply", {"cluster": cluster})

    def health(self) -> dict[str, str]:
        """Whether the service's process is alive, and its version."""
        return self.ask(dict[str, str], "GET", "/healthz", retry_for_s=0.0)

    def ready(self) -> dict[str, str]:
        """Whether the database and each cluster are ``ok``; where not, why not. Asked once."""
        try:
            response = self._http.get("/readyz")
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error
        try:
            return msgspec.json.decode(response.content, type=dict[str, str])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise problem_of(response.status_code, response.reason_phrase, response.content) from error
