"""Which nodes of one cluster are under suspicion, by the clock: gathered, judged (recovery/lemons.py), told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import msgspec

from hpcjobs.errors import HpcjobsError, NodeUnknown
from hpcjobs.model.cluster import ClusterView
from hpcjobs.model.event import Event, EventKind
from hpcjobs.model.suspicion import LemonRules, Pardon, Signal, Standing, Suspicion, Suspicions
from hpcjobs.observe.observer import Observer
from hpcjobs.recovery import signals
from hpcjobs.recovery.lemons import DAY_S, faded_days, judge, rate_of, worst_first
from hpcjobs.steering.past import Past
from hpcjobs.store import events, recoveries
from hpcjobs.store.store import Store
from hpcjobs.usage import nodes
from hpcjobs.usage.store import UsageStore

log = logging.getLogger(__name__)

ASK_USAGE_S: Final = 600.0
"""How often accounting is asked how long nodes ran, in seconds."""


class Lemons:
    """Judges the nodes of one cluster.

    Args:
        store: Where events and diagnoses are.
        usage: Where runs are.
        observer: Of the cluster.
        past: What happened to its nodes.
        rules: How they are judged.
    """

    def __init__(self, store: Store, usage: UsageStore, observer: Observer, past: Past, rules: LemonRules) -> None:
        self.store = store
        self.usage = usage
        self.observer = observer
        self.past = past
        self.rules = rules
        self._found: dict[str, Suspicion] = {}
        self._judged_at: float | None = None
        self._rate = 0.0
        self._told: list[Signal] = []
        """By events and diagnoses."""
        self._pardons: dict[str, Pardon] = {}
        self._stood: dict[str, Standing] = {}
        """How each node stood when it was told last."""
        self._heard = 0
        """The ``seq`` of the last event that was heard."""
        self._upto = 0
        """The last diagnosis that was read."""
        self._cured: list[Signal] = []
        self._ran: dict[str, float] | None = None
        self._asked_at = 0.0
        self._judging = asyncio.Lock()

    def found(self) -> Mapping[str, Suspicion]:
        """The nodes against which something speaks, by name; as policies are shown them."""
        return self._found

    def shown(self) -> Suspicions:
        """The same as people are shown it."""
        usable = {
            name for name, node in (self.observer.view.nodes if self.observer.view else {}).items() if node.usable
        }
        items = [
            msgspec.structs.replace(one, proposed=one.standing is Standing.LEMON and one.node in usable)
            for one in worst_first(self._found.values())
        ]
        return Suspicions(
            cluster=self.observer.cluster, items=items, judged_at=self._judged_at, per_1000_node_days=self._rate
        )

    async def tick(self, now: float) -> None:
        """Judge all nodes anew, and tell of those that stand otherwise than before.

        Args:
            now: Unix seconds.
        """
        try:
            await self._judge(now)
        except HpcjobsError as error:
            log.warning("cluster %s: nodes are not judged now: %s", self.observer.cluster, error.detail)

    async def pardon(self, node: str, by: str, why: str, now: float) -> Suspicion:
        """Have evidence until now count no more.

        Args:
            node: Against which.
            by: Who says so.
            why: Why.
            now: Unix seconds.

        Returns:
            How the node stands.

        Raises:
            NodeUnknown: The cluster has none of this name.
        """
        if self.observer.view is None or node not in self.observer.view.nodes:
            raise NodeUnknown(f"Cluster {self.observer.cluster} has no node {node[:80]!r}.")
        data: dict[str, str | int | float | bool | None] = {"node": node, "by": by, "why": why}
        told = Event(0, now, EventKind.NODE_PARDON, self.observer.cluster, data=data)
        await self.store.write(events.write, [told])
        await self._judge(now)
        return self._found[node]

    async def _judge(self, now: float) -> None:
        async with self._judging:  # what one reads is not read by another once more
            if (view := self.observer.view) is not None:
                await self._judge_all(view, now)

    async def _judge_all(self, view: ClusterView, now: float) -> None:
        await self._gather(now)
        known = {(one.node, one.slurm_job_id) for one in await self.past.failures()}
        told = [*self._told, *self._cured, *signals.of_view(view, known, now)]
        since = await self.store.read(events.first_at) or now
        found = await asyncio.to_thread(
            judge, [*view.nodes], told, self._ran, since, self.rules, now, dict(self._pardons)
        )
        news = [_news(self.observer.cluster, one, was, now) for one, was in _changed(found, self._stood)]
        if news:
            await self.store.write(events.write, news)
            await self._hear(now)
        self._found, self._judged_at = found, now
        days = faded_days(self.rules, since, now, now) * len(view.nodes)
        self._rate = rate_of(sum(one.points for one in found.values()), days, self.rules)

    async def _hear(self, now: float) -> None:
        """Take in events that are new, and forget signals that are old."""
        fresh = [event for event in await self.past.events() if event.seq > self._heard]
        for event in fresh:
            node = str(event.data.get("node"))
            if event.kind is EventKind.NODE_PARDON:
                by, why = str(event.data.get("by")), str(event.data.get("why"))
                self._pardons[node] = Pardon(node=node, at=event.at, by=by, why=why)
            elif event.kind is EventKind.NODE_LEMON:
                self._stood[node] = Standing(str(event.data.get("standing")))
            elif (signal := signals.of_event(event, self.rules)) is not None:
                self._told.append(signal)
            self._heard = event.seq
        oldest = now - self.rules.window_days * DAY_S
        self._told = [one for one in self._told if one.at > oldest]

    async def _gather(self, now: float) -> None:
        """Read what is new of events and diagnoses, and now and then what accounting says."""
        found, self._upto = await self.store.read(recoveries.after, self.observer.cluster, self._upto)
        self._told += [signal for one in found for signal in signals.of_recovery(one)]
        await self._hear(now)
        if now - self._asked_at >= ASK_USAGE_S:
            self._ran = await self.usage.read(nodes.ran_days, self.observer.cluster, self.rules, now)
            self._cured = await self.usage.read(nodes.cured_elsewhere, self.observer.cluster, self.rules, now)
            self._asked_at = now


def _changed(found: Mapping[str, Suspicion], before: Mapping[str, Standing]) -> list[tuple[Suspicion, Standing]]:
    """Nodes that came to be lemons, or are so no more, with how they stood: chance alone makes suspects come and go."""
    news = []
    for name in sorted(found.keys() | before.keys()):
        was = before.get(name, Standing.GOOD)
        now = found.get(name)
        if now is None and was is Standing.LEMON:
            now = Suspicion(node=name, standing=Standing.GOOD, points=0, expected=0, chance=1, ratio=1, node_days=0)
        if now is not None and (now.standing is Standing.LEMON) is not (was is Standing.LEMON):
            news.append((now, was))
    return news


def _news(cluster: str, one: Suspicion, was: Standing, now: float) -> Event:
    evidence = ", ".join(f"{each.count} {each.kind.value}" for each in one.evidence)
    data: dict[str, str | int | float | bool | None] = {
        "node": one.node,
        "standing": one.standing.value,
        "before": was.value,
        "points": round(one.points, 2),
        "expected": round(one.expected, 2),
        "chance": one.chance,
        "evidence": evidence,
    }
    return Event(0, now, EventKind.NODE_LEMON, cluster, data=data)
