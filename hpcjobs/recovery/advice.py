"""What a job has to expect of its nodes, and what it should do: how often it fails, how often to save, how many spares.

Effective training time ratio (ETTR): productive time / time from the submission to the end. Kokolis et al., "Revisiting
Reliability in Large-Scale Machine Learning Research Clusters", HPCA 2025 (arXiv 2410.21680). Pure.
"""

from __future__ import annotations

from typing import Final

from hpcjobs.errors import Refusal, Refused
from hpcjobs.model.reliability import DAY_S, Advice, FailureRate, Recovery
from hpcjobs.recovery import poisson
from hpcjobs.recovery.checked import checked
from hpcjobs.recovery.intervals import intervals, lost_s, slowdown

CONFIDENCE = 0.95
"""How often bounds of a counted rate hold the true one."""
SPARES_SUFFICE = 0.99
"""How often the spare nodes shall be enough."""

PUBLISHED: Final = 6.5
"""Failures of nodes in 1000 node-days of RSC-1, Kokolis et al."""
ENOUGH: Final = 4
"""So many failures have bounds that are not more than ten times apart; of fewer, what others counted says more."""
RESTART_S: Final = 300.0
"""What a restart takes, Kokolis et al."""
REPAIR_S: Final = 4 * 3600.0
"""How long a node is away; assumed, as in docs/ETTR.md."""


def stated_rate(per_1000_node_days: float) -> FailureRate:
    """A rate that somebody else has counted.

    Raises:
        Refused: It is no number of at least 0.
    """
    checked(per_1000_node_days=per_1000_node_days)
    return FailureRate(per_1000_node_days=per_1000_node_days, low=per_1000_node_days, high=per_1000_node_days)


def counted_rate(failures: int, node_days: float, confidence: float = CONFIDENCE) -> FailureRate:
    """A rate from what was counted, with exact bounds, which are wide where little was counted.

    Where nothing failed the rate is 0, and its upper bound tells how little that says.

    Args:
        failures: How many.
        node_days: In so many days of nodes.
        confidence: How often the bounds shall hold the true rate.

    Raises:
        Refused: A number that cannot be.
    """
    checked(node_days=node_days, above=0.0)
    low, high = poisson.bounds(failures, confidence)
    scale = 1000 / node_days
    return FailureRate(
        per_1000_node_days=failures * scale,
        low=low * scale,
        high=high * scale,
        confidence=confidence,
        failures=failures,
        node_days=node_days,
    )


def known_rate(counted: FailureRate | None) -> FailureRate:
    """The rate to go by: what a cluster has counted, or what was published of another as long as that is too little.

    Args:
        counted: On the cluster; None: nothing was.
    """
    return counted if counted is not None and counted.failures >= ENOUGH else stated_rate(PUBLISHED)


def mtbf_s(nodes: int, per_1000_node_days: float) -> float:
    """Mean time between failures of a job that needs all of its nodes, in seconds.

    Nodes fail each by itself at a constant rate, so that the rates add up (Kokolis et al.: MTTF = 1 / (N r)).

    Raises:
        Refused: No node, or no rate above 0: then nothing ever fails, and there is nothing to be advised.
    """
    checked(nodes=nodes, per_1000_node_days=per_1000_node_days, above=0.0)
    return DAY_S * 1000 / (nodes * per_1000_node_days)


def ettr(interval_s: float, recovery: Recovery, mtbf_s: float) -> float:
    """Expected ETTR of a long training by the closed formula of Kokolis et al.; 0 where it says less than nothing.

        (1 - (u0 + dt/2) / M) / (1 + w/dt)      M = 1 / (N r)

    where u0 is what a restart takes, here with the time down before it, dt the interval and w what saving takes.
    It assumes that the training is long (the first wait and start do not count), that failures are exponential and
    seldom (M well above u0 and dt: no failure meets a restart, or a second one the same interval), that each undoes
    half an interval, and that waiting after each is alike. The paper found it within 5 % of a simulation for 8000 GPUs.

    Args:
        interval_s: Work between two checkpoints.
        recovery: What saving, restarting and being down take.
        mtbf_s: Of the job.

    Raises:
        Refused: A number that cannot be.
    """
    checked(save_s=recovery.save_s, restart_s=recovery.restart_s, down_s=recovery.down_s)
    checked(interval_s=interval_s, mtbf_s=mtbf_s, above=0.0)
    undone = (recovery.down_s + recovery.restart_s + interval_s / 2) / mtbf_s
    return max(0.0, 1 - undone) / (1 + recovery.save_s / interval_s)


def ettr_exponential(interval_s: float, recovery: Recovery, mtbf_s: float) -> float:
    """The same where failures may meet restarts, savings and each other: 1 / ``intervals.slowdown``.

    Raises:
        Refused: A number that cannot be.
    """
    return 1 / slowdown(interval_s, recovery, mtbf_s)


def spare_nodes(nodes: int, rate: FailureRate, repair_s: float, suffice: float = SPARES_SUFFICE) -> int:
    """How many nodes to hold beside a job's own, so that those under repair are made up for.

    Failures come at a constant rate and each node is away for its repair, so that the number away is Poisson with mean
    N r T whatever repairs are distributed like (Palm's theorem; M/G/inf). Taken at the upper bound of the rate.

    Args:
        nodes: Of the job.
        rate: How often they fail.
        repair_s: Mean time until a failed node is back, in seconds.
        suffice: How much of the time they shall be enough, 0 to 1.

    Raises:
        Refused: A number that cannot be.
    """
    checked(nodes=nodes, above=0.0)
    checked(repair_s=repair_s)
    return poisson.quantile(nodes * rate.high / 1000 * repair_s / DAY_S, suffice)


def advise(
    nodes: int,
    rate: FailureRate,
    recovery: Recovery,
    *,
    repair_s: float,
    interval_s: float | None = None,
    suffice: float = SPARES_SUFFICE,
) -> Advice:
    """Everything for a job of some size.

    Args:
        nodes: Of the job.
        rate: How often they fail.
        recovery: What saving, restarting and being down take.
        repair_s: Mean time until a failed node is back, in seconds.
        interval_s: How often it saves; None: how often it should, so that the expected time is least.
        suffice: How much of the time the spare nodes shall be enough.

    Raises:
        Refused: A number that cannot be; nothing ever fails; or it shall be said how often to save what costs nothing.
    """
    mean_s = mtbf_s(nodes, rate.per_1000_node_days)
    several = intervals(recovery, mean_s)
    every_s = several.best_s if interval_s is None else interval_s
    if not recovery.save_s and interval_s is None:
        raise Refused([Refusal("save_s", "saving that takes no time is best done always: say how often it is done")])
    exact = ettr_exponential(every_s, recovery, mean_s)

    def at(per_1000_node_days: float) -> float:
        if not per_1000_node_days:
            return 1 / (1 + recovery.save_s / every_s)
        return ettr(every_s, recovery, mtbf_s(nodes, per_1000_node_days))

    return Advice(
        nodes=nodes,
        mtbf_s=mean_s,
        intervals=several,
        interval_s=every_s,
        ettr=ettr(every_s, recovery, mean_s),
        ettr_low=at(rate.high),
        ettr_high=at(rate.low),
        ettr_exponential=exact,
        failures_per_day=DAY_S / mean_s,
        lost_per_failure_s=lost_s(every_s, recovery.save_s, mean_s),
        lost_per_day_s=(1 - exact) * DAY_S,
        spare_nodes=spare_nodes(nodes, rate, repair_s, suffice),
    )
