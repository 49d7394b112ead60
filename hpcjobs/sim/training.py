"""One large training on nodes that fail: what detection, restarts, bad nodes and checkpoints make of its time.

The simulator of whole clusters (engine.py) takes a failure as noticed at once, a failed node as down, and saving and
restarting as free, which is right for comparing schedulers and leaves out all that is asked here. So this is a loop of
its own over the same failures (failures.py). It yields the attempts of the training, which are accounted for as those
of real jobs are (recovery/losses.py).

Simplified: a node that fails while the training does not have it is as good as new; nobody else wants the nodes; a
training that waits meets no failures.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.losses import Saved, Tried
from hpcjobs.model.reliability import Recovery
from hpcjobs.sim.failures import Failures


class Blow(StrEnum):
    """What a failure looks like."""

    EXIT = "exit"  # a process dies
    NODE = "node"  # the node is gone
    HANG = "hang"  # nothing ends, and nothing goes on


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained, and on what.

    Attributes:
        nodes: That it needs, all of them.
        spare_nodes: That there are beside these.
        gpus_per_node: Of each node.
        span_s: So long it is watched, from its submission on; it takes longer.
        interval_s: Work between two checkpoints.
        save_s: For so long a checkpoint stops the work.
        restart_s: From the start of an attempt until it works.
        failures: How nodes fail; ``repair_s`` of it is how long one is away.
        kinds: What failures look like: shares that add up to 1.
        lasting: Share of the failures, of nodes that stay up, after which the node is bad until it is repaired; the
            others are gone with the processes.
    """

    nodes: int
    spare_nodes: int
    span_s: float
    interval_s: float
    save_s: float
    restart_s: float
    failures: Failures
    kinds: Mapping[Blow, float]
    lasting: float
    gpus_per_node: int = 8

    def check(self) -> None:
        """See whether it makes sense.

        Raises:
            Refused: It does not.
        """
        self.failures.check()
        faults = [
            Refusal(name, f"{name} is {value:g}, and has to be {what}")
            for name, value, right, what in (
                ("nodes", self.nodes, self.nodes > 0, "at least 1"),
                ("spare_nodes", self.spare_nodes, self.spare_nodes >= 0, "at least 0"),
                ("span_s", self.span_s, 0 < self.span_s < float("inf"), "more than 0"),
                ("interval_s", self.interval_s, self.interval_s > 0, "more than 0"),
                ("save_s", self.save_s, self.save_s >= 0, "at least 0"),
                ("restart_s", self.restart_s, self.restart_s > 0, "more than 0"),
                ("kinds", sum(self.kinds.values()), abs(sum(self.kinds.values()) - 1) < 1e-9, "1 together"),
                ("lasting", self.lasting, 0 <= self.lasting <= 1, "a share from 0 to 1"),
            )
            if not right
        ]
        if faults:
            raise Refused(faults)


class Handling(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about failures.

    Attributes:
        noticed_s: How long each kind goes unnoticed.
        begins_s: From the end of an attempt to the start of the next, where nodes are free: least and most.
        excluded: How often a bad node that is still up is known, and kept out from then on until it is repaired.
        found_s: After so long somebody else finds it, and takes it away for repair.
        avoided_at: A node with so many failures is taken only where there is no other; 0: that is not looked at.
    """

    noticed_s: Mapping[Blow, float]
    begins_s: tuple[float, float]
    excluded: float
    found_s: float
    avoided_at: int = 0

    def recovery(self, training: Training) -> Recovery:
        """What formulas know of it: the mean time down, as if no restart met a bad node."""
        noticed_s = sum(share * self.noticed_s[kind] for kind, share in training.kinds.items())
        return Recovery(save_s=training.save_s, restart_s=training.restart_s, down_s=noticed_s + sum(self.begins_s) / 2)


class _Strike(NamedTuple):
    """A node fails: when, which, how, whether it stays bad, and where between known (0) and not known (1) that lies."""

    at_s: float
    node: int
    kind: Blow
    lasting: bool
    obscure: float


class _Nodes:
    """Which nodes can be had, and which of them are bad."""

    def __init__(self, training: Training, handling: Handling) -> None:
        self._training, self._handling = training, handling
        self._away: dict[int, tuple[float, float]] = {}
        self._bad_until: dict[int, float] = {}
        self._failures: Counter[int] = Counter()

    def choose(self, now: float) -> tuple[float, list[int]]:
        """When enough of them can be had, and which are taken then: the first, those that are avoided last."""
        needed, there_are = self._training.nodes, self._training.nodes + self._training.spare_nodes
        moments = sorted({now, *(until for _, until in self._away.values() if until > now)})
        for at_s in moments:
            away = {node for node, (since, until) in self._away.items() if since <= at_s < until}
            if there_are - len(away) >= needed:
                break
        usable = [node for node in range(there_are) if node not in away]
        limit = self._handling.avoided_at
        if limit:
            usable.sort(key=lambda node: self._failures[node] >= limit)
        return at_s, usable[:needed]

    def bad(self, chosen: list[int], now: float) -> int | None:
        """The first of them that is bad."""
        bad = {node for node, until in self._bad_until.items() if until > now}
        return next((node for node in chosen if node in bad), None) if bad else None

    def fail(self, strike: _Strike, noticed_at: float) -> None:
        """One has failed, or shown that it is bad."""
        repair_s = self._training.failures.repair_s
        self._failures[strike.node] += 1
        if strike.kind is Blow.NODE or strike.obscure < self._handling.excluded:
            self._away[strike.node] = noticed_at, noticed_at + repair_s
            self._bad_until.pop(strike.node, None)
        elif strike.lasting and self._away.get(strike.node, (0.0, 0.0))[1] <= strike.at_s:
            found_at = strike.at_s + self._handling.found_s
            self._bad_until[strike.node] = found_at
            self._away[strike.node] = found_at, found_at + repair_s


def train(training: Training, handling: Handling) -> list[Tried]:
    """Watch it.

    Args:
        training: What is trained; the seed is that of its failures, so that what is compared meets the same ones.
        handling: What is done about failures.

    Returns:
        Its attempts, from 0 to ``span_s`` seconds; causes are kinds of failure, ``bad`` where it met a bad node.

    Raises:
        Refused: What cannot be trained.
    """
    training.check()
    nodes, strikes = _Nodes(training, handling), _strikes(training)
    chance = random.Random(f"begins {training.failures.seed}")  # noqa: S311  no secret
    attempts: list[Tried] = []
    strike = next(strikes, None)
    gpus, ready_at, resumed_at = float(training.nodes * training.gpus_per_node), 0.0, None
    while ready_at < training.span_s:
        started_at, chosen = nodes.choose(ready_at)
        if started_at >= training.span_s:
            break
        worked_at, among = started_at + training.restart_s, set(chosen)
        while strike is not None and (strike.at_s <= started_at or strike.node not in among):
            strike = next(strikes, None)
        blow, cause = strike, "" if strike is None else str(strike.kind)
        bad = nodes.bad(chosen, started_at)
        if bad is not None and (strike is None or worked_at < strike.at_s):
            blow, cause = _Strike(worked_at, bad, Blow.EXIT, lasting=True, obscure=chance.random()), "bad"
        if blow is None or blow.at_s >= training.span_s:
            blow, cause = None, ""
        failed_at = training.span_s if blow is None else blow.at_s
        ended_at = failed_at if blow is None else min(training.span_s, failed_at + handling.noticed_s[blow.kind])
        works = worked_at < failed_at
        saves = tuple(_saves(training, worked_at, failed_at)) if works else ()
        attempts.append(
            Tried(
                gpus=gpus,
                started_at=started_at,
                worked_at=worked_at if works else None,
                failed_at=failed_at,
                ended_at=ended_at,
                cause=cause,
                resumed_at=resumed_at if works else None,
                saves=saves,
            )
        )
        resumed_at = next((save.state_at for save in reversed(saves) if save.whole), resumed_at)
        if blow is not None:
            nodes.fail(blow, ended_at)
        ready_at = ended_at + chance.uniform(*handling.begins_s)
    if not attempts or attempts[-1].ended_at < training.span_s:
        attempts.append(Tried(gpus=gpus, started_at=training.span_s, worked_at=None, ended_at=training.span_s))
    return attempts


def _strikes(training: Training) -> Iterator[_Strike]:
    """Failures of all nodes, ascending; the same for whatever handles them."""
    chance = random.Random(f"strikes {training.failures.seed}")  # noqa: S311  no secret
    kinds, shares = list(training.kinds), list(training.kinds.values())
    for at_s, node in training.failures.strikes(training.nodes + training.spare_nodes):
        yield _Strike(
            at_s, node, chance.choices(kinds, shares)[0], chance.random() < training.lasting, chance.random()
        )  # fmt: skip


def _saves(training: Training, worked_at: float, failed_at: float) -> Iterator[Saved]:
    """Checkpoints of an attempt; the last may have been broken off."""
    state_at = worked_at + training.interval_s
    while state_at < failed_at:
        whole = state_at + training.save_s <= failed_at
        yield Saved(state_at, training.save_s if whole else failed_at - state_at, whole)
        state_at += training.save_s + training.interval_s
