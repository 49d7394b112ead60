"""The service put together: store, agents, backends, observers, clock."""

from __future__ import annotations

import functools
import logging
import ssl
import time
from collections.abc import Collection, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from hpcjobs import clock
from hpcjobs.accounting import Accounting
from hpcjobs.admitting import Admitting
from hpcjobs.advising import Advising
from hpcjobs.agents.pool import AgentPool
from hpcjobs.audit import AuditLog
from hpcjobs.billing.invoices import Invoices
from hpcjobs.billing.prices import Prices
from hpcjobs.containing import Containing
from hpcjobs.credentials import Credentials
from hpcjobs.details import Details
from hpcjobs.errors import ClusterUnknown, HpcjobsError, NotSupported
from hpcjobs.files import AgentFiles, FileSystem
from hpcjobs.hooks.discovery import Discoveries
from hpcjobs.hooks.host import Hooks
from hpcjobs.identity import check_may_run
from hpcjobs.identity.absent import Absent
from hpcjobs.identity.authenticator import Authenticator
from hpcjobs.identity.directory import Directory
from hpcjobs.identity.ratelimit import RateLimiter
from hpcjobs.identity.tokens import load_key
from hpcjobs.lives import TURN_S, Lives
from hpcjobs.metrics import Metrics
from hpcjobs.model.audit import AuditEvent
from hpcjobs.model.job import JobRecord
from hpcjobs.model.letter import SubscriptionKind
from hpcjobs.model.losses import RunTold
from hpcjobs.model.tenant import Change
from hpcjobs.observe.observer import Observer
from hpcjobs.orders import Orders
from hpcjobs.output import OutputReader
from hpcjobs.push import outbound
from hpcjobs.push.hub import EventHub
from hpcjobs.push.posting import Poster
from hpcjobs.push.telling import Telling
from hpcjobs.push.webhooks import Webhooks
from hpcjobs.recovering import Recovering
from hpcjobs.recovery.lemons import rules_with
from hpcjobs.reporting import Reporting
from hpcjobs.sending.alerts import Alerts, NewsMaker
from hpcjobs.sending.courier import Courier, Make
from hpcjobs.sending.report import ReportMaker
from hpcjobs.sending.schedules import Schedules
from hpcjobs.sending.watching import Watching
from hpcjobs.settings import ClusterSettings, Settings
from hpcjobs.slurm.base import Backend
from hpcjobs.slurm.history import DAWN
from hpcjobs.slurm.layered import ways_of
from hpcjobs.steering.lemons import Lemons
from hpcjobs.steering.past import Past
from hpcjobs.steering.runner import PolicyRunner
from hpcjobs.store import events, happened, webhooks
from hpcjobs.store.store import Store
from hpcjobs.submission import Submission, Target
from hpcjobs.tenants.tenants import Tenants
from hpcjobs.together import Together
from hpcjobs.usage.energy import factors
from hpcjobs.usage.reading import UsageReader
from hpcjobs.usage.sampled import Sampled
from hpcjobs.usage.store import UsageStore
from hpcjobs.ways import open_ways

log = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
FORGET_S: Final = 3600.0
SAVE_S: Final = 30.0
SEND_S: Final = 5.0
"""How often it is looked what is due to be sent, and what waits, in seconds."""
DISCOVER_S: Final = 1.0
"""How often it is looked which discoveries are due, and whether a plugin wants to be told of events, in seconds."""
JUDGE_S: Final = 5.0
"""How often nodes are judged, in seconds."""
WATCH_S: Final = 60.0
"""How often alerts are looked at, in seconds."""
LEARN_S: Final = 60.0
"""Seconds between two questions to Slurm's accounting: how long a new coordinator waits."""


class Service:
    """Everything that a request needs.

    Args:
        settings: As read.
        backends: By cluster name; None: made from the settings at start().
    """

    def __init__(self, settings: Settings, backends: dict[str, Backend] | None = None) -> None:
        self.settings = settings
        self.store = Store(settings.database_url)
        self.usage = UsageStore(str(settings.usage_path), settings.usage.memory)
        self.sampled = Sampled(self.usage, settings.usage.samples_days)
        self.pool = AgentPool(settings.spawner_socket, min_uid=settings.min_uid)
        self.output = OutputReader(self.files)
        self.hooks = Hooks(self.store, settings.plugins)
        self.discoveries = Discoveries(self.store, self.hooks, [cluster.name for cluster in settings.clusters])
        self.directory = Directory()
        self.tenants = Tenants(
            self.store,
            self.usage,
            self.directory,
            lambda name: self.target(name).observer.backend,
            self._changed_slurm,
            {cluster.name: cluster.storage for cluster in settings.clusters if cluster.storage},
            self._listed,
        )
        self.prices = Prices(self.store, settings.billing, ZoneInfo(settings.usage.timezone))
        zone = settings.usage.timezone
        self.carbon = factors(settings.usage.carbon, ZoneInfo(zone))
        self.reporting = Reporting(self.usage, self.hooks, self.prices.every, self.carbon, zone, self._told)
        self.invoices = Invoices(self.store, self.usage, self.prices, self.directory)
        self.credentials = Credentials(self.store, settings.credentials_per_user)
        containing = Containing(
            self.hooks,
            self.files,
            settings.clusters,
            _registries_through,
            self.tenants.rule.project_of,
            self.credentials,
        )
        admitting = Admitting(self.hooks, self.files, self.tenants.rule, containing)
        self.submission = Submission(self.store, settings.forbidden, settings.min_uid, admitting)
        self.together = Together(self.submission)
        self.orders = Orders(self.store)
        self.details = Details(self.store, self.usage, self.tenants.rule)
        self.advising = Advising(self.store, self.usage)
        self.accounting = Accounting()
        self.audit = AuditLog(self.store)
        self.hub = EventHub(self.store)
        self.telling = Telling(self.hooks, self.hub)
        names = [cluster.name for cluster in settings.clusters]
        self.absent = Absent(settings.admins, settings.operators, self.directory, names)
        self.webhooks = Webhooks(settings, self.store, self.hub, self.absent)
        poster = Poster(settings)
        watching = Watching(self.usage, self.tenants, self.directory, names)
        makers: dict[SubscriptionKind, Make] = {
            SubscriptionKind.REPORT: ReportMaker(self.reporting),
            SubscriptionKind.ALERT: NewsMaker(watching),
        }
        self.courier = Courier(self.store, self.absent, poster, settings.mail, makers)
        self.schedules = Schedules(settings, self.store, self.courier, poster, self.reporting)
        self.alerts = Alerts(settings, self.store, self.courier, poster, watching)
        self.limiter = RateLimiter()
        self.token_key = b""
        self.authenticator = Authenticator(settings, self.token_key, self.directory)
        self.policies: dict[str, PolicyRunner] = {}
        self.recovering: dict[str, Recovering] = {}
        self.lives: dict[str, Lives] = {}
        self.lemons: dict[str, Lemons] = {}
        self._accounting_trouble: set[str] = set()
        self.targets: dict[str, Target] = {}
        self.metrics = Metrics(
            self.store, self.pool, self.submission, self.hub, self.targets, self.policies, self.recovering
        )
        self._backends = backends
        self._clock: clock.Clock | None = None

    async def start(self) -> None:
        """Open the database, choose the backends, start the clock."""
        self.token_key = load_key(self.settings.token_key_file)
        self.authenticator = Authenticator(self.settings, self.token_key, self.directory)
        self.credentials.start(self.token_key)
        self.store.upgrade()
        self.usage.open()
        entries = [
            clock.Entry("let-go-idle-agents", 30.0, self._let_go),
            clock.Entry("forget-events", FORGET_S, self.forget_events),
            clock.Entry("save-webhooks", SAVE_S, self.webhooks.save),
            clock.Entry("thin-samples", FORGET_S, self.sampled.tick),
            clock.Entry("schedules", SEND_S, self.schedules.tick),
            clock.Entry("alerts", WATCH_S, self.alerts.tick),
            clock.Entry("letters", SEND_S, self.courier.tick),
            clock.Entry("forget-letters", FORGET_S, self.courier.forget),
        ]
        rules = rules_with(self.settings.lemons)
        for cluster in self.settings.clusters:
            backend = self._backends[cluster.name] if self._backends else await self._open(cluster)
            kinds = [way.kind for way in ways_of(backend)]
            log.warning("cluster %s through %s", cluster.name, ", ".join(kinds))
            observer = Observer(
                cluster.name,
                backend,
                self.store,
                self.settings.max_age_s,
                cluster.min_job_age_s,
                cluster.resend_lost,
            )
            self.targets[cluster.name] = Target(observer, cluster.home)
            target = self.targets[cluster.name]
            past = Past(self.store, cluster.name)
            lives = Lives(self.store, observer, self.files)
            recovering = Recovering(self.store, self.hooks, observer, self.output, past, lives)
            lemons = self.lemons[cluster.name] = Lemons(self.store, self.usage, observer, past, rules)
            policies = PolicyRunner(
                self.store, self.hooks, observer, self.settings.service_user, past, lemons.found, recovering.wants
            )
            self.recovering[cluster.name], self.policies[cluster.name] = recovering, policies
            self.lives[cluster.name] = lives
            entries += [
                clock.Entry(
                    f"recovery-{cluster.name}",
                    cluster.observe_s,
                    functools.partial(observer.after_listing, functools.partial(_recover, recovering, policies)),
                ),
                clock.Entry(
                    f"policies-{cluster.name}",
                    cluster.observe_s,
                    functools.partial(observer.after_listing, policies.tick),
                ),
                clock.Entry(f"lives-{cluster.name}", TURN_S, lives.tick),
                clock.Entry(f"lemons-{cluster.name}", JUDGE_S, lemons.tick),
                clock.Entry(f"observe-{cluster.name}", cluster.observe_s, observer.beat),
                clock.Entry(f"endings-{cluster.name}", 2 * cluster.observe_s, observer.endings.tick),
                clock.Entry(
                    f"usage-{cluster.name}", self.settings.usage.period_s, self._reader(cluster.name, observer).tick
                ),
                clock.Entry(
                    f"send-{cluster.name}", cluster.observe_s, functools.partial(self.submission.send_waiting, target)
                ),
                clock.Entry(
                    f"accounts-{cluster.name}",
                    LEARN_S,
                    functools.partial(self.learn_accounts, cluster.name),
                    at_once=True,
                ),
                clock.Entry(f"tenants-{cluster.name}", LEARN_S, functools.partial(self.see_to_tenants, cluster)),
            ]
            if cluster.storage:
                measure = functools.partial(self.measure_storage, cluster.name)
                entries.append(clock.Entry(f"storage-{cluster.name}", LEARN_S, measure))
        await self.hooks.start()
        entries += [
            clock.Entry("discoveries", DISCOVER_S, self.discoveries.tick),
            clock.Entry("tell-plugins", DISCOVER_S, self.telling.tick),
        ]
        await self.submission.start(list(self.targets))
        self.audit.start()
        self.hub.start()
        await self.webhooks.start(self.token_key)
        self.courier.start(self.token_key)
        self._clock = clock.Clock(entries)
        self._clock.start()

    async def _open(self, cluster: ClusterSettings) -> Backend:
        return await open_ways(cluster, self.pool, self.settings.service_user)

    def _reader(self, cluster: str, observer: Observer) -> UsageReader:
        wanted = self.settings.usage
        return UsageReader(
            cluster,
            observer.backend,
            self.usage,
            lambda: observer.view,
            begin=DAWN,
            overlap_s=wanted.overlap_s,
            again_days=wanted.again_days,
        )

    async def learn_accounts(self, cluster: str, now: float) -> None:
        """Ask a cluster's accounting who belongs to which project; what was known stays good while it is away.

        Args:
            cluster: Which.
            now: Unix seconds.
        """
        try:
            self.directory.learn(cluster, await self.targets[cluster].observer.backend.accounts(), now)
        except HpcjobsError as error:
            if cluster not in self._accounting_trouble:
                log.warning("cluster %s: whose projects are whose cannot be asked: %s", cluster, error.detail)
            self._accounting_trouble.add(cluster)
        else:
            self._accounting_trouble.discard(cluster)

    async def see_to_tenants(self, cluster: ClusterSettings, _now: float) -> None:
        """Tell how quotas stand, and bring Slurm's accounting to them where the settings say so.

        Args:
            cluster: Which.
        """
        try:
            await self.tenants.tick(cluster.name, applies=cluster.tenants == "apply")
        except HpcjobsError as error:
            log.warning("cluster %s: quotas are not seen to now: %s", cluster.name, error.detail)

    async def _told(self, since: float) -> Sequence[RunTold]:
        """What is known, beside accounting, of runs of jobs that did anything since then."""
        return await self.store.read(happened.to_runs, since)

    def _listed(self, cluster: str) -> Collection[JobRecord] | None:
        """All jobs of a cluster, as it was last listed."""
        view = self.targets[cluster].observer.view if cluster in self.targets else None
        return None if view is None else view.jobs.values()

    async def measure_storage(self, cluster: str, now: float) -> None:
        """Find what files of projects use, where it is time to.

        Args:
            cluster: Whose.
            now: Unix seconds.
        """
        try:
            await self.tenants.meter.tick(cluster, now)
        except HpcjobsError as error:
            log.warning("cluster %s: what files use is not measured now: %s", cluster, error.detail)

    async def _changed_slurm(self, cluster: str, change: Change) -> None:
        """Write down what was changed in a cluster's accounting, by the service's own user."""
        setting = change.setting
        what = f"{cluster} {setting.project} {setting.field} {setting.of}".rstrip()
        told = f"{what}: {change.was or '-'} -> {change.value or '-'} ({change.why})"
        user = self.settings.service_user
        await self.audit.write(AuditEvent(at=time.time(), user=user, action=f"sacctmgr {change.verb}", target=told))

    async def forget_events(self, now: float) -> None:
        """Forget events that are older than the settings say, few at a time: others want to write too.

        Those that a webhook has not got yet are kept, up to twice as long.

        Args:
            now: Unix seconds.
        """
        try:
            for days, keep_after in [
                (self.settings.events_days, await self.store.read(webhooks.slowest)),
                (2 * self.settings.events_days, None),
            ]:
                while await self.store.write(events.prune, now - days * DAY_S, keep_after):
                    pass
        except HpcjobsError as error:
            log.warning("old events are not forgotten now: %s", error.detail)

    async def _let_go(self, _now: float) -> None:
        self.pool.let_go_idle()

    def target(self, cluster: str | None) -> Target:
        """A cluster by name; None is the default.

        Raises:
            ClusterUnknown: There is no such cluster.
        """
        name = cluster or self.settings.clusters[0].name
        target = self.targets.get(name)
        if target is None:
            raise ClusterUnknown(f"There is no cluster {name!r}; there are {', '.join(sorted(self.targets))}.")
        return target

    def files(self, cluster: str, user: str) -> FileSystem:
        """A cluster's files, as a user.

        Raises:
            ClusterUnknown: There is no such cluster.
            NotSupported: Its files cannot be reached from here.
            NotAllowed: Nobody acts as this user.
        """
        name = self.target(cluster).observer.cluster
        (settings,) = (told for told in self.settings.clusters if told.name == name)
        if not settings.file_roots:
            raise NotSupported(
                f"Files and outputs of cluster {name} cannot be reached from here: it has no file_roots."
            )
        check_may_run(user, self.settings.forbidden, self.settings.min_uid)
        return AgentFiles(self.pool, user, tuple(root.format(user=user) for root in settings.file_roots))

    async def stop(self) -> None:
        """Stop the clock and let go of everything."""
        if self._clock is not None:
            await self._clock.stop()
        await self.webhooks.stop()
        await self.hub.stop()
        await self.audit.stop()
        await self.details.stop()
        await self.accounting.stop()
        await self.telling.stop()
        await self.discoveries.stop()
        await self.hooks.stop()
        await self.authenticator.close()
        for target in self.targets.values():
            await target.observer.backend.close()
        self.pool.close()
        self.usage.close()
        self.store.close()


_authorities = functools.cache(ssl.create_default_context)


def _registries_through(networks: Sequence[outbound.Network]) -> outbound.CheckedTransport:
    """What connects to registries of images, which users name."""
    return outbound.CheckedTransport(networks, _authorities(), outbound.resolve)


async def _recover(recovering: Recovering, policies: PolicyRunner, now: float) -> None:
    """Decide what becomes of runs that ended, and have it done by what was listed, not by the next listing."""
    began = time.monotonic()
    if await recovering.tick(now):
        await policies.tick(now + time.monotonic() - began)
