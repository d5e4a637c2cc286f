"""How often a run of one contender is ahead of a run of another."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

import lists
from reports.statistics._estimates import CONFIDENCE, RESAMPLES, Estimate, Over, check_settings, interval
from reports.statistics._resampling import check_over, checked, drawn_workloads, runs


def probability_of_beating(
    a: Float[np.ndarray, "*axes"],
    b: Float[np.ndarray, "*axes"],
    *,
    penalty: float = lists.PENALTY,
    over: Over = "workloads",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """The probability that a run of A reaches the target before a run of B, on a workload drawn at random of these.

    P = mean_w mean_(r, s) ([A_wr < B_ws] + [A_wr = B_ws] / 2), where A_wr = min(min_p a[p, w, r], tau)

    A run is one repeat of all points, and needs what the first of them to get there needs; two that miss are equal.
    Repeats of A and of B have nothing to do with each other, so that every one of A meets every one of B.

    Args:
      a, b, penalty, over, confidence, resamples, seed: as `paired_difference` has them.

    Raises:
      ValueError: an argument out of range; other workloads; nothing to resample.

    Example:
      >>> found = probability_of_beating(np.array([[0.5], [np.inf]]), np.array([[0.6], [np.inf]]))
      >>> found.value
      0.75

    Reference: Agarwal et al. 2021, arXiv:2108.13264, section 4.3 ("probability of improvement").
    """
    first, second = checked(a, penalty, "a"), checked(b, penalty, "b")
    check_over(over, first, second)
    check_settings(confidence, resamples)
    ahead = _ahead(first, second, penalty)
    workloads = len(ahead)
    on_each = ahead.mean(axis=(1, 2))
    if over == "workloads":
        samples = on_each[drawn_workloads(workloads, resamples, seed)]
    else:
        generator = np.random.default_rng([seed, 2])
        weights_a, weights_b = (
            generator.multinomial(n, np.full(n, 1 / n), (resamples, workloads)) / n for n in ahead.shape[1:]
        )
        if over == "both":
            there = drawn_workloads(workloads, resamples, seed)
            samples = np.einsum("bwi,bwij,bwj->bw", weights_a, ahead[there], weights_b, optimize=True)
        else:
            samples = np.einsum("bwi,wij,bwj->bw", weights_a, ahead, weights_b, optimize=True)
    low, high = interval(samples.mean(axis=1), confidence, over, workloads)
    return Estimate(float(on_each.mean()), low, high, over, confidence)


def share_ahead(
    a: Float[np.ndarray, "*axes"], b: Float[np.ndarray, "*axes"], *, penalty: float = lists.PENALTY
) -> float:
    """The probability alone; see `probability_of_beating`."""
    return float(_ahead(checked(a, penalty, "a"), checked(b, penalty, "b"), penalty).mean())


def _ahead(
    a: Float[np.ndarray, "point workload repeat"],
    b: Float[np.ndarray, "point workload repeat"],
    penalty: float,
) -> Float[np.ndarray, "workload repeat_of_a repeat_of_b"]:
    """1 where a run of A is sooner than one of B, 1/2 where they are even."""
    mine, its = runs(a, penalty)[:, :, None], runs(b, penalty)[:, None, :]
    return (mine < its) + (mine == its) / 2
