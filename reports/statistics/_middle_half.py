"""The interquartile mean of all runs, as rliable has it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

import lists
from reports.statistics._estimates import CONFIDENCE, RESAMPLES, Estimate, Over, check_settings, interval
from reports.statistics._resampling import check_over, checked, drawn_workloads, runs


def interquartile_mean(
    fractions: Float[np.ndarray, "*axes"],
    *,
    penalty: float = lists.PENALTY,
    over: Over = "repeats",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """The mean of the middle half of min(min_p f[p, w, r], tau) over all workloads and repeats together.

    Neither the easiest quarter nor the hardest counts: up to a quarter of all runs may miss without changing it, where
    the cost pays tau for each. The interval over repeats is rliable's: repeats are resampled within every workload.

    Args:
      fractions, penalty, over, confidence, resamples, seed: as `cost_interval` has them.

    Raises:
      ValueError: an argument out of range; nothing to resample.

    Example:
      >>> found = interquartile_mean(np.array([[0.1, 0.3], [0.5, np.inf]]))
      >>> round(found.value, 12)  # of 0.3 and 0.5
      0.4

    Reference: Agarwal et al. 2021, arXiv:2108.13264, sections 4.1 and 4.3.
    """
    from scipy.stats import trim_mean

    values = checked(fractions, penalty)
    check_over(over, values)
    check_settings(confidence, resamples)
    capped = runs(values, penalty)
    workloads, repeats = capped.shape
    there = np.arange(workloads) if over == "repeats" else drawn_workloads(workloads, resamples, seed)
    if over == "workloads":
        samples = capped[there]
    else:
        which = np.random.default_rng([seed, 3]).integers(0, repeats, (resamples, workloads, repeats))
        samples = capped[there[..., None], which]
    middles = trim_mean(samples.reshape(resamples, -1), 0.25, axis=1)
    low, high = interval(middles, confidence, over, workloads)
    return Estimate(middle_half(values, penalty=penalty), low, high, over, confidence)


def middle_half(fractions: Float[np.ndarray, "*axes"], *, penalty: float = lists.PENALTY) -> float:
    """The interquartile mean alone; see `interquartile_mean`."""
    from scipy.stats import trim_mean

    return float(trim_mean(runs(checked(fractions, penalty), penalty).ravel(), 0.25))
