"""How far a node is under suspicion, and what says so."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec


class SignalKind(StrEnum):
    """What speaks against a node; the words are stable."""

    NODE_FAILED = "node_failed"  # a job lost it
    NOT_RESPONDING = "not_responding"  # Slurm heard nothing of it, whoever ran there
    HEALTH_CHECK = "health_check"  # a health check, or a prolog or epilog that failed, took it out of use
    DIAGNOSED = "diagnosed"  # why a job failed: the diagnosis names it
    DIAGNOSED_WEAKLY = "diagnosed_weakly"  # the same, where it can have been another, or something else
    CURED_ELSEWHERE = "cured_elsewhere"  # a job failed there, and its next run completed without it
    SEVERAL_USERS = "several_users"  # jobs of more than one user ended badly there, as Slurm lists them now


class Signal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that speaks against a node.

    Attributes:
        node: Its name.
        kind: What it is.
        at: When, Unix seconds.
        slurm_job_id: Slurm's number of the job that it was told by; 0: none.
        among: So many nodes it speaks against together: one of them is meant.
        said: What was said, as Slurm's reason or the sentence of a diagnosis.
    """

    node: str
    kind: SignalKind
    at: float
    slurm_job_id: int = 0
    among: int = 1
    said: str = ""


class SignalEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """All signals of one kind against one node.

    Attributes:
        kind: What they are.
        count: How many.
        weight: What a fresh one of them counts.
        points: What they count together by now, each by itself.
        last_at: When the last was, Unix seconds.
        slurm_job_id: Slurm's number of the job of the last; 0: it is of none.
        said: What was said the last time.
    """

    kind: SignalKind
    count: int
    weight: float
    points: float
    last_at: float
    slurm_job_id: int = 0
    said: str = ""


class Standing(StrEnum):
    """What is made of the evidence."""

    GOOD = "good"  # no more than chance does
    SUSPECT = "suspect"  # taken last, and kept from large jobs
    LEMON = "lemon"  # it should be drained


class Pardon(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence before it does not count any more.

    Attributes:
        node: Which node.
        at: When, Unix seconds.
        by: Who said so.
        why: Why, as ``new GPU``.
    """

    node: str
    at: float
    by: str
    why: str


class PardonAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody says who pardons a node.

    Attributes:
        why: Why evidence until now counts no more, as ``new GPU``.
    """

    why: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """One node against which something speaks.

    Attributes:
        node: Its name.
        standing: What is made of it.
        points: Incidents, each of which counts 1 at most, faded with their age.
        expected: As many points a node like all others would have, that ran for as long.
        chance: Probability of so many points or more where so many are expected, 0 to 1.
        ratio: How many times as often as others it fails, as far as so little can tell: it begins at 1.
        node_days: Days that count for it, faded like the points: those in which it ran jobs, and a part of the others.
        evidence: What speaks against it, by kind, what counts most first.
        pardon: The last one; None: there is none.
        proposed: Whether somebody should drain it: it is a lemon, and in use.
    """

    node: str
    standing: Standing
    points: float
    expected: float
    chance: float
    ratio: float
    node_days: float
    evidence: tuple[SignalEvidence, ...] = ()
    pardon: Pardon | None = None
    proposed: bool = False


class Suspicions(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes of a cluster against which something speaks.

    Attributes:
        cluster: Its name.
        items: The nodes, the worst first.
        judged_at: When, Unix seconds; None: they have not been yet.
        per_1000_node_days: How many points the nodes of this cluster have in 1000 node-days, on the average.
    """

    cluster: str
    items: list[Suspicion]
    judged_at: float | None
    per_1000_node_days: float


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From where on a node is called something; both have to hold.

    Attributes:
        points: It has so many points at least.
        chance: So many or more have no larger probability, 0 to 1.
    """

    points: Annotated[float, msgspec.Meta(gt=0)]
    chance: Annotated[float, msgspec.Meta(gt=0, le=1)]


class LemonRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How nodes are judged; those of the house are in ``hpcjobs/recovery/lemons.toml``.

    Attributes:
        window_days: What is older does not count.
        half_life_days: After so many days a signal counts half; a day of running too.
        incident_s: What speaks against a node within so many seconds is one incident.
        prior_per_1000_node_days: Failures in 1000 node-days, as long as this cluster has shown few.
        prior_failures: As many failures that is worth.
        alike: How alike nodes are taken to be: the ratio of one begins at 1 as if it had had so many failures.
        idle: What a day counts on which a node runs nothing, 0 to 1.
        weights: How far a fresh signal by itself says that it was the node, 0 to 1.
        not_responding: Reasons of nodes, as regular expressions, by which Slurm says that it heard nothing of them.
        health_check: Reasons of nodes by which a health check says that it found something.
        suspect: From where on a node is suspect.
        lemon: From where on it is a lemon.
    """

    window_days: Annotated[float, msgspec.Meta(gt=0)]
    half_life_days: Annotated[float, msgspec.Meta(gt=0)]
    incident_s: Annotated[float, msgspec.Meta(ge=0)]
    prior_per_1000_node_days: Annotated[float, msgspec.Meta(gt=0)]
    prior_failures: Annotated[float, msgspec.Meta(gt=0)]
    alike: Annotated[float, msgspec.Meta(gt=0)]
    idle: Annotated[float, msgspec.Meta(ge=0, le=1)]
    weights: dict[SignalKind, Annotated[float, msgspec.Meta(ge=0, le=1)]]
    not_responding: tuple[str, ...]
    health_check: tuple[str, ...]
    suspect: Bound
    lemon: Bound
