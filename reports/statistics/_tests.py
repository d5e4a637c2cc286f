"""Tests of no difference, and what remains of them among many."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

import lists
from reports.statistics._estimates import RESAMPLES, Over
from reports.statistics._resampling import MOST_LISTED, check_over, checked, log_values

EVEN = 1e-12  # what two sums of logarithms may differ by and be the same


def permutation_test(
    a: Float[np.ndarray, "*axes"],
    b: Float[np.ndarray, "*axes"],
    *,
    penalty: float = lists.PENALTY,
    over: Over = "workloads",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> float:
    """How often chance alone shows a difference of log C(A) and log C(B) as large, either way: a p-value.

    Over workloads A and B change places on each workload with probability 1/2: nothing else is supposed of the workloads
    than that they are drawn independently, and of A and B that neither name matters. All 2^n ways are counted where they
    are no more than `resamples`; with n workloads no p-value is below 2^(1 - n).

    Over repeats the workloads are fixed, and on each the repeats of A and B are dealt out anew.

    Args:
      a, b, penalty, seed: as `paired_difference` has them.
      over: "workloads" or "repeats".
      resamples: permutations drawn where there are more than that.

    Raises:
      ValueError: an argument out of range; other workloads; nothing to exchange.

    Example:
      >>> ours = np.array([[0.5], [0.2], [0.9], [0.4], [0.3], [0.8]])
      >>> permutation_test(ours, 0.9 * ours)  # 2 of 64: all one way, or all the other
      0.03125
    """
    first, second = checked(a, penalty, "a"), checked(b, penalty, "b")
    if over == "both":
        raise ValueError("over is 'both'; a test is over workloads or over repeats")
    check_over(over, first, second)
    if over == "workloads":
        return _over_workloads(log_values(first, penalty) - log_values(second, penalty), resamples, seed)
    points = max(first.shape[0], second.shape[0])
    pooled = np.concatenate([padded(one, points) for one in (first, second)], axis=2)
    generator = np.random.default_rng([seed, 4])
    dealt = _deals(first.shape[2], second.shape[2], generator)
    gaps = differences_of_deals(pooled, *dealt, penalty)  # [deal, workload]
    observed = log_values(first, penalty).mean() - log_values(second, penalty).mean()
    workloads = gaps.shape[1]
    which = generator.integers(0, len(gaps), (resamples, workloads))
    shown = np.abs(gaps[which, np.arange(workloads)].mean(axis=1))
    return float(1 + (shown >= abs(observed) - EVEN).sum()) / (1 + resamples)


def _over_workloads(gaps: Float[np.ndarray, " workload"], resamples: int, seed: int) -> float:
    from scipy import stats

    # Of one sample and its mirror image, so that to exchange the pair is to change the sign.
    found = stats.permutation_test(
        (gaps, np.zeros_like(gaps)), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples",
        n_resamples=resamples, vectorized=True, rng=np.random.default_rng([seed, 4]),
    )  # fmt: skip
    return float(found.pvalue)


def padded(values: Float[np.ndarray, "point workload repeat"], points: int) -> np.ndarray:
    """With as many points; the added ones never get there, which changes nothing."""
    wide = ((0, points - len(values)), (0, 0), (0, 0))
    return np.pad(values, wide, constant_values=np.inf)


def _deals(
    first: int, second: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, "deal repeat"], Int[np.ndarray, "deal repeat"]]:
    """Which repeats go to A and which to B: all ways, or as many draws."""
    everyone = first + second
    if math.comb(everyone, first) <= MOST_LISTED:
        rows = np.array(list(itertools.combinations(range(everyone), first)))
    else:
        rows = random_deals(everyone, MOST_LISTED, generator)[:, :first]
    left = np.ones((len(rows), everyone), bool)
    left[np.arange(len(rows))[:, None], rows] = False
    return rows, np.nonzero(left)[1].reshape(len(rows), second)


def random_deals(
    everyone: int, deals: int, generator: np.random.Generator
) -> Int[np.ndarray, "deal repeat"]:
    """As many orders of all repeats."""
    return generator.permuted(np.broadcast_to(np.arange(everyone), (deals, everyone)), axis=1)


def differences_of_deals(
    pooled: Float[np.ndarray, "*more point workload repeat"],
    to_a: Int[np.ndarray, "deal repeat"],
    to_b: Int[np.ndarray, "deal repeat"],
    penalty: float,
) -> Float[np.ndarray, "*more deal workload"]:
    """log of A's value over B's on every workload, for every deal of the repeats of both."""
    of_a, of_b = (log_values(np.moveaxis(pooled[..., rows], -2, -4), penalty) for rows in (to_a, to_b))
    return of_a - of_b


def holm(p_values: Sequence[float] | Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """p-values that hold for all tests of a family at once: Holm's step-down correction.

    Where those below a level are called differences, the probability that any of these calls is wrong is at most the
    level, however the tests depend on each other (family-wise error).

    Example:
      >>> holm([0.01, 0.04, 0.03]).tolist()
      [0.03, 0.06, 0.06]

    Reference: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p_values must be a row of numbers from 0 to 1")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
