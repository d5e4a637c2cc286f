"""Tests of no difference, and what remains of them among many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

import lists
from reports.statistics._estimates import RESAMPLES, Over
from reports.statistics._resampling import check_over, checked, log_values, resampled

EVEN = 1e-12  # what two sums of logarithms may differ by and be the same


def p_value(
    a: Float[np.ndarray, "*axes"],
    b: Float[np.ndarray, "*axes"],
    *,
    penalty: float = lists.PENALTY,
    over: Over = "workloads",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> float:
    """How often chance alone shows a difference of log C(A) and log C(B) as large, either way.

    Over workloads, a permutation test: A and B change places on each workload with probability 1/2. Nothing is supposed
    but that workloads are drawn independently, and that without a difference neither name matters on any. All 2^n ways
    are counted where they are no more than `resamples`; with n workloads no p-value is below 2^(1 - n).

    Over repeats, the bootstrap: twice the share of resamples in which the difference is on the other side of 0, which
    is what `paired_difference` has its interval from. Workloads may differ as they like, as long as they are these.

    Args:
      a, b, penalty, seed: as `paired_difference` has them.
      over: "workloads" or "repeats".
      resamples: permutations where there are more than that; resamples of repeats.

    Raises:
      ValueError: an argument out of range; other workloads; nothing to resample.

    Example:
      >>> ours = np.array([[0.5], [0.2], [0.9], [0.4], [0.3], [0.8]])
      >>> p_value(ours, 0.9 * ours)  # 2 of 64: all one way, or all the other
      0.03125

    Reference: Davison and Hinkley 1997, Bootstrap Methods and Their Application, sections 4.3 and 5.3.
    """
    first, second = checked(a, penalty, "a"), checked(b, penalty, "b")
    check_testable(over)
    check_over(over, first, second)
    if over == "workloads":
        return _of_exchanges(log_values(first, penalty) - log_values(second, penalty), resamples, seed)
    of_a, of_b = (
        resampled(one, penalty, over, resamples, seed, stream).mean(axis=1)
        for stream, one in enumerate((first, second))
    )
    return float(two_sided(of_a - of_b))


def check_testable(over: Over) -> None:
    """Raises ValueError for what no test is over."""
    if over == "both":
        raise ValueError("over is 'both'; a test is over workloads or over repeats")


def two_sided(gaps: Float[np.ndarray, "*more resample"]) -> Float[np.ndarray, "*more"]:
    """Twice the share of resamples on the rarer side of 0; the data count as one of them, and 0 for both sides."""
    sides = [(gaps <= EVEN).sum(axis=-1), (gaps >= -EVEN).sum(axis=-1)]
    return np.minimum(1.0, 2 * (1 + np.minimum(*sides)) / (1 + gaps.shape[-1]))


def _of_exchanges(gaps: Float[np.ndarray, " workload"], resamples: int, seed: int) -> float:
    from scipy import stats

    # Of one sample and of zeros, so that to exchange the pair is to change the sign.
    found = stats.permutation_test(
        (gaps, np.zeros_like(gaps)), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples",
        n_resamples=resamples, vectorized=True, rng=np.random.default_rng([seed, 4]),
    )  # fmt: skip
    return float(found.pvalue)


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
