"""How often nodes fail, what a job does about it, and what that comes to."""

from __future__ import annotations

from typing import Final

import msgspec

DAY_S: Final = 86_400.0


class FailureRate(msgspec.Struct, frozen=True, kw_only=True):
    """How often nodes fail, and how sure that is.

    Attributes:
        per_1000_node_days: Failures per 1000 node-days, as counted or as stated.
        low: The rate may as well be this low; as the rate itself where it is stated.
        high: Or this high.
        confidence: So often such bounds hold the true rate, 0 to 1; 1 where the rate is stated.
        failures: How many were counted; 0 where the rate is stated.
        node_days: In so many days of nodes; 0 where the rate is stated.
    """

    per_1000_node_days: float
    low: float
    high: float
    confidence: float = 1.0
    failures: int = 0
    node_days: float = 0.0


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What a job does against failures, and what each costs it.

    Attributes:
        save_s: For so long a checkpoint stops the work; what is written behind its back does not count.
        restart_s: From the start of an attempt until it works again: processes, communicators, reading the checkpoint.
        down_s: From a failure until the next attempt starts: until it is noticed, decided upon, and has its nodes.
    """

    save_s: float
    restart_s: float
    down_s: float = 0.0


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of work between two checkpoints, without the time that saving takes, by several formulas.

    Attributes:
        young_s: Young 1974.
        daly_first_s: Daly 2006, first order: restarts count.
        daly_s: Daly 2006, higher order.
        best_s: Where the expected time is least, if failures are exponential.
    """

    young_s: float
    daly_first_s: float
    daly_s: float
    best_s: float


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What a job of some size has to expect, and should do.

    Attributes:
        nodes: Of the job.
        mtbf_s: Mean time between its failures, in seconds.
        intervals: How often to save, by several formulas.
        interval_s: How often it saves, or should: seconds of work between two checkpoints.
        ettr: Effective training time ratio by the closed formula of Kokolis et al.; 0: nothing gets done.
        ettr_low: The same at the upper bound of the failure rate.
        ettr_high: The same at the lower bound of the failure rate.
        ettr_exponential: The same by the renewal formula, which holds also where failures are frequent.
        failures_per_day: Of the job.
        lost_per_failure_s: Work that a failure undoes, and saving that it breaks off, in seconds.
        lost_per_day_s: Seconds a day in which the job gets no further, for whatever reason.
        spare_nodes: So many nodes beside its own make up for those under repair.
    """

    nodes: int
    mtbf_s: float
    intervals: Intervals
    interval_s: float
    ettr: float
    ettr_low: float
    ettr_high: float
    ettr_exponential: float
    failures_per_day: float
    lost_per_failure_s: float
    lost_per_day_s: float
    spare_nodes: int


class Advised(msgspec.Struct, frozen=True, kw_only=True):
    """What was advised, and what it was computed from.

    Attributes:
        cluster: Of which.
        job_id: Our id of the job that it is for; ``""``: for any of so many nodes.
        advice: It.
        rate: How often nodes fail, as it was taken.
        counted: How often jobs of this cluster met failures of nodes; None: none of its node-days is known.
        recovery: What saving, restarting and being down take, as it was taken.
        told: Where each of these is from, a sentence each.
    """

    cluster: str
    job_id: str = ""
    advice: Advice
    rate: FailureRate
    counted: FailureRate | None
    recovery: Recovery
    told: tuple[str, ...]
