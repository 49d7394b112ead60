"""Numbers for Prometheus: requests as they are answered, everything else as it stands when somebody asks.

Labels are route templates, clusters, states and outcomes: never a path, a job or a user.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hpcjobs.agents.pool import AgentPool
from hpcjobs.errors import HpcjobsError
from hpcjobs.push.hub import EventHub
from hpcjobs.recovering import Recovering
from hpcjobs.steering.runner import PolicyRunner
from hpcjobs.store import gauges
from hpcjobs.store.gauges import Gauges
from hpcjobs.store.store import Store
from hpcjobs.submission import Submission, Target

CONTENT_TYPE: Final = "text/plain; version=0.0.4"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SUBMISSIONS: Final = frozenset({("POST", "/v1/jobs"), ("POST", "/v1/sbatch")})
REPLAYED: Final = "replayed"
OUTCOMES: Final = {201: "submitted", 202: "waiting", 503: "unavailable"}
"""Of submissions by HTTP status; 4xx and 501 are refused, other 5xx failed."""


def outcome_of(status: int) -> str:
    """What came of a submission."""
    refused = 400 <= status < 500 or status == 501
    return OUTCOMES.get(status, "refused" if refused else "failed")


class Metrics:
    """The numbers of one service.

    Args:
        store: Its database.
        pool: Its agents.
        submission: What waits.
        hub: Who listens.
        targets: Its clusters.
        policies: The policies of each.
        recovering: What sees to runs that ended badly, of each.
    """

    def __init__(
        self,
        store: Store,
        pool: AgentPool,
        submission: Submission,
        hub: EventHub,
        targets: Mapping[str, Target],
        policies: Mapping[str, PolicyRunner],
        recovering: Mapping[str, Recovering],
    ) -> None:
        self.store = store
        self.pool = pool
        self.submission = submission
        self.hub = hub
        self.targets = targets
        self.policies = policies
        self.recovering = recovering
        self.registry = CollectorRegistry()
        self._requests = Counter("hpcjobs_requests", "Answers.", ["method", "route", "status"], registry=self.registry)
        self._durations = Histogram(
            "hpcjobs_request_duration_seconds",
            "From the request's head to the answer's.",
            ["method", "route"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._submissions = Counter("hpcjobs_submissions", "Submissions.", ["outcome"], registry=self.registry)
        self._state = _State(self)
        self.registry.register(self._state)
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, took_s: float | None, *, replayed: bool = False) -> None:
        """Count an answer.

        Args:
            method: Of the request.
            route: Template of its path; ``-`` for none.
            status: Of the answer.
            took_s: Until the answer began, in seconds; None: not measured.
            replayed: Whether it repeats the answer to an earlier submission.
        """
        if method not in METHODS:
            method = "other"
        self._requests.labels(method, route, str(status)).inc()
        if took_s is not None:
            self._durations.labels(method, route).observe(took_s)
        if (method, route) in SUBMISSIONS and status != 200:  # 200: only tested
            self._submissions.labels(REPLAYED if replayed else outcome_of(status)).inc()

    async def text(self) -> bytes:
        """Everything in Prometheus' text format; without the database's part where it does not answer."""
        try:
            self._state.gauges = await self.store.read(gauges.read, list(self.targets))
        except HpcjobsError:
            self._state.gauges = None
        return generate_latest(self.registry)


class _State(Collector):
    """What the parts of the service say of themselves."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.gauges: Gauges | None = None

    def describe(self) -> Iterable[Metric]:
        return []  # names are checked by tests; the registry must not ask before the service has started

    def collect(self) -> Iterable[Metric]:
        yield from self._clusters()
        yield from self._policies()
        yield from self._recoveries()
        yield from self._parts()
        if (found := self.gauges) is not None:
            yield CounterMetricFamily("hpcjobs_events", "Events ever written.", value=found.last_seq)
            hooks = GaugeMetricFamily("hpcjobs_webhooks", "Webhooks by how they are.", labels=["state"])
            for state, count in found.webhooks.items():
                hooks.add_metric([state], count)
            yield hooks
            yield GaugeMetricFamily(
                "hpcjobs_webhook_events_behind", "Events since the place of the slowest webhook.", value=found.behind
            )
            yield GaugeMetricFamily(
                "hpcjobs_letters_waiting", "Reports and alerts that wait to be sent.", value=found.letters
            )
            unknown = GaugeMetricFamily(
                "hpcjobs_submissions_unknown", "Submissions whose answer was lost.", labels=["cluster"]
            )
            for cluster, count in found.unknown.items():
                unknown.add_metric([cluster], count)
            yield unknown

    def _clusters(self) -> Iterable[Metric]:
        now, label = time.time(), ["cluster"]
        jobs = GaugeMetricFamily("hpcjobs_jobs", "Jobs that have not ended.", labels=["cluster", "state"])
        nodes = GaugeMetricFamily("hpcjobs_nodes", "Nodes.", labels=["cluster", "usable"])
        up = GaugeMetricFamily("hpcjobs_cluster_up", "Whether the last listing succeeded and is young.", labels=label)
        age = GaugeMetricFamily("hpcjobs_listing_age_seconds", "Age of the last listing.", labels=label)
        made = CounterMetricFamily("hpcjobs_listings", "Listings.", labels=["cluster", "outcome"])
        took = CounterMetricFamily("hpcjobs_listings_seconds", "Time that listings took.", labels=label)
        waiting = GaugeMetricFamily("hpcjobs_submissions_waiting", "Submissions that wait for Slurm.", labels=label)
        for name, target in self._metrics.targets.items():
            observer = target.observer
            for state, count in observer.live_counts().items():
                jobs.add_metric([name, state], count)
            up.add_metric([name], observer.health(now) == "ok")
            made.add_metric([name, "made"], observer.listings)
            made.add_metric([name, "failed"], observer.failures)
            took.add_metric([name], observer.listing_s)
            waiting.add_metric([name], self._metrics.submission.backlog.of(name))
            if observer.view is not None:
                age.add_metric([name], now - observer.view.asked_at)
                usable = sum(node.usable for node in observer.view.nodes.values())
                nodes.add_metric([name, "yes"], usable)
                nodes.add_metric([name, "no"], len(observer.view.nodes) - usable)
        return [jobs, nodes, up, age, made, took, waiting]

    def _policies(self) -> Iterable[Metric]:
        label = ["cluster"]
        turns = CounterMetricFamily("hpcjobs_policy_turns", "Turns in which policies were asked.", labels=label)
        took = CounterMetricFamily("hpcjobs_policy_turn_seconds", "Time that these took.", labels=label)
        orders = CounterMetricFamily("hpcjobs_policy_order_seconds", "Of it, in orders to Slurm.", labels=label)
        for name, runner in self._metrics.policies.items():
            turns.add_metric([name], runner.turns)
            took.add_metric([name], runner.turn_s)
            orders.add_metric([name], runner.order_s)
        return [turns, took, orders]

    def _recoveries(self) -> Iterable[Metric]:
        told = CounterMetricFamily(
            "hpcjobs_recoveries",
            "Runs that ended badly, by why and by what was decided.",
            labels=["cluster", "failure", "decision"],
        )
        took = CounterMetricFamily(
            "hpcjobs_recovery_decision_seconds", "From ends of runs to what was decided of them.", labels=["cluster"]
        )
        still = GaugeMetricFamily(
            "hpcjobs_recoveries_open", "What was decided and is not done yet.", labels=["cluster"]
        )  # fmt: skip
        for name, one in self._metrics.recovering.items():
            for (failure, decision), count in one.decisions.items():
                told.add_metric([name, failure, decision], count)
            took.add_metric([name], one.decision_s)
            still.add_metric([name], one.open_count)
        return [told, took, still]

    def _parts(self) -> Iterable[Metric]:
        store = self._metrics.store
        yield GaugeMetricFamily(
            "hpcjobs_streams", "Streams of events that are open.", value=self._metrics.hub.listeners
        )
        yield GaugeMetricFamily("hpcjobs_agents", "Processes that act as a user.", value=self._metrics.pool.agents)
        yield CounterMetricFamily("hpcjobs_database_commits", "Transactions that wrote.", value=store.commits)
        yield CounterMetricFamily("hpcjobs_database_writes", "What was written in them.", value=store.writes)
        yield CounterMetricFamily("hpcjobs_database_write_seconds", "Time they took.", value=store.write_s)
