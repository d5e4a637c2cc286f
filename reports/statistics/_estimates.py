"""A number with its interval, and what that interval is over."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

Over = Literal["workloads", "repeats", "both"]
OVER: tuple[Over, ...] = get_args(Over)

CONFIDENCE, RESAMPLES = 0.95, 10_000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A statistic and its confidence interval.

    Attributes:
      value: of the data as they are.
      low, high: ends of the interval.
      over: what varies in it. "workloads": they are a random draw of those that might have been taken, each with its
        repeats; what holds for others of their kind. "repeats": the workloads are fixed, only seeds differ; what holds
        for these alone. "both": workloads are drawn, and repeats within each, which counts the noise of seeds twice.
      confidence: how often such intervals hold the truth, nominally.
    """

    value: float
    low: float
    high: float
    over: Over
    confidence: float

    def to_json(self) -> dict[str, float | str]:
        """Its JSON object."""
        return {"value": self.value, "low": self.low, "high": self.high}


def interval(
    samples: Float[np.ndarray, " resample"], confidence: float, over: Over, workloads: int
) -> tuple[float, float]:
    """Percentiles of a statistic's resamples; those of few workloads reach further out.

    A percentile interval of n draws is too narrow by sqrt((n - 1) / n), and takes no note of the variance being
    estimated. Where workloads are drawn the tail is therefore Phi(-sqrt(n / (n - 1)) t), t of n - 1 degrees of freedom.
    Where only repeats are drawn it is not: medians of few vary more among resamples than they do.

    Reference: Hesterberg 2015, The American Statistician 69, section 3.1 ("expanded percentile interval").
    """
    tail = (1 - confidence) / 2
    if over != "repeats":
        from scipy.stats import norm, t

        tail = float(norm.cdf(math.sqrt(workloads / (workloads - 1)) * t.ppf(tail, workloads - 1)))
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def reachable(workloads: int) -> float:
    """The most confidence that a bootstrap over so few workloads can have.

    No resampled mean leaves the range of what was drawn, and where values lie as often above as below the truth all of
    them are on one side of it with probability 2^(1 - n).

    Example:
      >>> reachable(5), reachable(6)
      (0.9375, 0.96875)
    """
    return 1 - 2.0 ** (1 - workloads)


def check_settings(confidence: float, resamples: int) -> None:
    """Raises ValueError for a confidence outside (0, 1), or too few resamples for its tails."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence:g}; must lie between 0 and 1")
    least = math.ceil(2 / (1 - confidence))
    if resamples < least:
        raise ValueError(
            f"resamples is {resamples}; an interval at {confidence:g} needs at least {least} (and 10,000 to be steady)"
        )
