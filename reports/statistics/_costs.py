"""The cost of a list and the difference of two, with bootstrap intervals."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float

import lists
from reports.statistics._estimates import CONFIDENCE, RESAMPLES, Estimate, Over, check_settings, interval
from reports.statistics._resampling import check_over, checked, log_values, resampled


@dataclasses.dataclass(frozen=True)
class Difference:
    """The costs of two contenders, A and B, held against each other on the same workloads.

    Attributes:
      difference: C(A) - C(B); below 0 where A is better.
      ratio: C(A) / C(B); below 1 where A is better.
      share: of resamples in which A costs less; where they cost the same, half.
    """

    difference: Estimate
    ratio: Estimate
    share: float


def cost_interval(
    fractions: Float[np.ndarray, "*axes"],
    *,
    penalty: float = lists.PENALTY,
    over: Over = "workloads",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """The cost C_tau of a list with a bootstrap interval.

    C = exp(mean_w log min(min_p median_r f[p, w, r], tau))

    Args:
      fractions: shares of the budget, positive, inf where missed; [workload, repeat], or [point, workload, repeat].
      penalty: tau, at least 1.
      over: see `Estimate`.
      confidence: of the interval, in (0, 1).
      resamples: of the bootstrap.
      seed: of its draws.

    Raises:
      ValueError: an argument out of range; nothing to resample: one workload, or one repeat.

    Example:
      >>> found = cost_interval(np.array([[0.5], [0.5], [np.inf]]))
      >>> round(found.value, 4), round(found.low, 4), round(found.high, 4)
      (0.7937, 0.5, 2.0)
    """
    values = checked(fractions, penalty)
    check_over(over, values)
    check_settings(confidence, resamples)
    samples = log_costs(values, penalty=penalty, over=over, resamples=resamples, seed=seed)
    low, high = interval(samples, confidence, over, values.shape[1])
    value = math.exp(log_values(values, penalty).mean())
    return Estimate(value, math.exp(low), math.exp(high), over, confidence)


def cost_of(fractions: Float[np.ndarray, "*axes"], *, penalty: float = lists.PENALTY) -> float:
    """The cost alone; see `cost_interval`."""
    return math.exp(log_values(checked(fractions, penalty), penalty).mean())


def log_costs(
    fractions: Float[np.ndarray, "*axes"],
    *,
    penalty: float = lists.PENALTY,
    over: Over = "workloads",
    resamples: int = RESAMPLES,
    seed: int = 0,
    stream: int = 0,
) -> Float[np.ndarray, " resample"]:
    """log C_tau of every resample, for statistics that are not here.

    Args:
      fractions, penalty, over, resamples, seed: as `cost_interval` has them. Contenders with the same seed and number
        of workloads are resampled on the same workloads, so that their differences are paired.
      stream: which repeats are drawn; contenders take different numbers, since their seeds had nothing in common.
    """
    values = checked(fractions, penalty)
    check_over(over, values)
    return resampled(values, penalty, over, resamples, seed, stream).mean(axis=1)


def paired_difference(
    a: Float[np.ndarray, "*axes"],
    b: Float[np.ndarray, "*axes"],
    *,
    penalty: float = lists.PENALTY,
    over: Over = "workloads",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """How much A costs less than B: both are resampled on the same workloads.

    Args:
      a, b: fractions on the same workloads in the same order; [workload, repeat], or [point, workload, repeat].
        Numbers of points and of repeats may differ.
      penalty, over, confidence, resamples, seed: as `cost_interval` has them.

    Raises:
      ValueError: an argument out of range; other workloads; nothing to resample.

    Example:
      >>> ours = np.array([[0.5], [0.2], [0.9], [0.4], [0.3], [0.8]])
      >>> found = paired_difference(ours, 2 * ours, penalty=4.0)  # half the cost everywhere
      >>> round(found.ratio.value, 3), round(found.ratio.high, 3), found.share
      (0.5, 0.5, 1.0)
    """
    first, second = checked(a, penalty, "a"), checked(b, penalty, "b")
    check_over(over, first, second)
    check_settings(confidence, resamples)
    logs = [
        log_costs(one, penalty=penalty, over=over, resamples=resamples, seed=seed, stream=stream)
        for stream, one in enumerate((first, second))
    ]
    of_a, of_b = logs
    mine, its = (math.exp(log_values(one, penalty).mean()) for one in (first, second))
    workloads = first.shape[1]
    low, high = interval(of_a - of_b, confidence, over, workloads)
    ratio = Estimate(mine / its, math.exp(low), math.exp(high), over, confidence)
    low, high = interval(np.exp(of_a) - np.exp(of_b), confidence, over, workloads)
    difference = Estimate(mine - its, low, high, over, confidence)
    # Sums in another order differ in their last digits, and evaluation grids make real ties common.
    gap = of_a - of_b
    even = np.abs(gap) <= 1e-12
    return Difference(difference, ratio, float(((gap < 0) & ~even).mean() + even.mean() / 2))
