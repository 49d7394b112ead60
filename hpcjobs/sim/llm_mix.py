"""A mix of kinds of LLM jobs whose moments are those of a real cluster. Pure.

Jobs are of three kinds: evaluation (many, small, short), tuning and pretraining (few, large, long). Run times of a
kind are lognormal and do not depend on the size within it; sizes are powers of two. What is solved for so that the
mix has the mean size, the mean and median run time and the mean GPU seconds of the cluster:

* ``E[g] = sum_k p_k G_k`` gives pretraining's mean size, and with it the slope of its sizes;
* ``E[r] = sum_k p_k R_k`` and ``E[g r] = sum_k p_k G_k R_k`` are linear in the mean run times of evaluation and
  pretraining;
* the median then gives the spread of evaluation's run times.

Pretraining jobs end as the cluster's GPU seconds do, for nearly all of them are theirs; the others end so that the
shares of all jobs are the cluster's.

ASSUMED, as no summary has them: how many jobs are of which kind (near to what the Acme paper tells of Kalos), the
sizes of evaluation and tuning jobs, the mean run time of tuning, and the spread of tuning's and pretraining's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Final, NamedTuple

from hpcjobs.model.job import Fate
from hpcjobs.sim.traces.acme import GpuJobs

EVALUATION: Final = "eval"
TUNING: Final = "tune"
PRETRAINING: Final = "pretrain"

SHARES: Final = {EVALUATION: 0.929, TUNING: 0.039, PRETRAINING: 0.032}
EVALUATION_SIZES: Final = {1: 0.66, 2: 0.10, 4: 0.10, 8: 0.14}
TUNING_SIZES: Final = {8: 0.40, 16: 0.25, 32: 0.20, 64: 0.10, 128: 0.05}
TUNING_MEAN_S: Final = 3600.0
SPREAD: Final = 1.3
"""Sigma of ln(run time) of tuning and pretraining jobs."""
LEAST_PRETRAINING: Final = 64


class Kind(NamedTuple):
    """One kind of job.

    Attributes:
        name: What it is called.
        share: Of all jobs.
        sizes: Probabilities by number of GPUs.
        mean_run_s: Mean run time in seconds.
        sigma: Standard deviation of ln(run time).
        fates: Probabilities by how it ends.
    """

    name: str
    share: float
    sizes: Mapping[int, float]
    mean_run_s: float
    sigma: float
    fates: Mapping[Fate, float]

    @property
    def mean_gpus(self) -> float:
        """Mean number of GPUs."""
        return math.fsum(gpus * share for gpus, share in self.sizes.items())

    @property
    def mu(self) -> float:
        """Mean of ln(run time in seconds)."""
        return math.log(self.mean_run_s) - self.sigma**2 / 2


def calibrated(told: GpuJobs) -> tuple[Kind, ...]:
    """The mix of a cluster.

    Args:
        told: What is known of it.

    Raises:
        ValueError: No mix of these kinds is like it; the kinds are made for those that train large models.
    """
    evaluation_gpus, tuning_gpus = _mean(EVALUATION_SIZES), _mean(TUNING_SIZES)
    e, t, p = (SHARES[name] for name in (EVALUATION, TUNING, PRETRAINING))
    pretraining_gpus = (told.mean_gpus - e * evaluation_gpus - t * tuning_gpus) / p
    sizes = [2**power for power in range(int(math.log2(LEAST_PRETRAINING)), int(math.log2(told.max_gpus)) + 1)]
    if not sizes or not sizes[0] < pretraining_gpus < sizes[-1]:
        raise ValueError(
            f"pretraining jobs would have {pretraining_gpus:.3g} GPUs in the mean: that is no such cluster"
        )
    slope = _root(lambda slope: _mean(_powers(sizes, slope)) - pretraining_gpus, -20.0, 20.0)
    rest_s = told.mean_run_s - t * TUNING_MEAN_S
    rest_gpu_s = told.mean_gpu_s - t * tuning_gpus * TUNING_MEAN_S
    # e R_e + p R_p = rest_s;  e G_e R_e + p G_p R_p = rest_gpu_s
    pretraining_s = (rest_gpu_s - evaluation_gpus * rest_s) / (p * (pretraining_gpus - evaluation_gpus))
    evaluation_s = (rest_s - p * pretraining_s) / e
    if min(evaluation_s, pretraining_s) <= 0:
        raise ValueError("run times would be below 0: that is no such cluster")
    gpu_s = told.completed_gpu_s + told.cancelled_gpu_s + told.failed_gpu_s
    late = _fates(told.completed_gpu_s / gpu_s, told.cancelled_gpu_s / gpu_s)
    early = _fates(
        (told.completed - p * late[Fate.COMPLETED]) / (1 - p), (told.cancelled - p * late[Fate.CANCELLED]) / (1 - p)
    )
    tuning = Kind(TUNING, t, TUNING_SIZES, TUNING_MEAN_S, SPREAD, early)
    pretraining = Kind(PRETRAINING, p, _powers(sizes, slope), pretraining_s, SPREAD, late)

    def kinds(sigma: float) -> tuple[Kind, ...]:
        return Kind(EVALUATION, e, EVALUATION_SIZES, evaluation_s, sigma, early), tuning, pretraining

    below = _share_below(told.median_run_s)
    return kinds(_root(lambda sigma: below(kinds(sigma)) - 0.5, 0.5, 4.0))


def median_run_s(kinds: tuple[Kind, ...]) -> float:
    """The median run time of a mix, in seconds."""
    return math.exp(_root(lambda log_s: _share_below(math.exp(log_s))(kinds) - 0.5, -5.0, 25.0))


def _share_below(run_s: float) -> Callable[[tuple[Kind, ...]], float]:
    def share(kinds: tuple[Kind, ...]) -> float:
        return math.fsum(kind.share * NormalDist(kind.mu, kind.sigma).cdf(math.log(run_s)) for kind in kinds)

    return share


def _fates(completed: float, cancelled: float) -> dict[Fate, float]:
    if min(completed, cancelled, 1 - completed - cancelled) < 0:
        raise ValueError("shares of how jobs end would be below 0: that is no such cluster")
    return {Fate.COMPLETED: completed, Fate.CANCELLED: cancelled, Fate.FAILED: 1 - completed - cancelled}


def _mean(sizes: Mapping[int, float]) -> float:
    return math.fsum(gpus * share for gpus, share in sizes.items())


def _powers(sizes: list[int], slope: float) -> dict[int, float]:
    """Probabilities that go as ``g**slope``."""
    weights = [(gpus / sizes[-1]) ** slope for gpus in sizes]
    return {gpus: weight / math.fsum(weights) for gpus, weight in zip(sizes, weights, strict=True)}


def _root(of: Callable[[float], float], low: float, high: float) -> float:
    """Where a monotonous function is 0, by halving.

    Raises:
        ValueError: It has no root there.
    """
    rising = of(high) > of(low)
    if of(low) * of(high) > 0:
        raise ValueError("no such mix is like the cluster")
    for _ in range(200):
        middle = (low + high) / 2
        if (of(middle) > 0) is rising:
            high = middle
        else:
            low = middle
    return (low + high) / 2
