"""Tuning curves: what random search reaches with n trials, with simultaneous confidence bands.

The curve at n is the median, over random searches of n trials, of the best value found. Its band comes from
a band on the distribution function of a single trial's value (opda), hence holds for all n at once.

Reference: Lourie, Cho and He 2023, arXiv:2311.09480; used in Medapati et al. 2025, arXiv:2503.03986,
figure 1.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
from jaxtyping import Float

from reports.calibration import simultaneous_intervals
from reports.simulated import METHOD, simulated_intervals
from results import reached

BAND_METHOD = METHOD
# Up to so many trials the band is calibrated as opda does, by simulation in time and memory that grow with them (0.6 s
# and 60 MB for 40, 107 s and 1.7 GB for 2,000), once per user; beyond, the same band is calibrated by calculation.
MOST_SIMULATED = 100

# The support of a metric keeps a band finite where few trials say nothing about the tail.
SUPPORTS = {
    #  metric                    least      greatest
    "accuracy": (0.0, 1.0),
    "error_rate": (0.0, 1.0),
    "mean_average_precision": (0.0, 1.0),
    "bleu": (0.0, 100.0),
    "ssim": (-1.0, 1.0),
    "wer": (0.0, math.inf),
    "loss": (0.0, math.inf),
    "ppl": (0.0, math.inf),
}


@dataclasses.dataclass(frozen=True)
class EqualBudget:
    """How many trials of random search match a given result; None means more than were run.

    Attributes:
      trials: smallest n whose median reaches the result.
      least: the same for the optimistic edge of the band.
      most: the same for the pessimistic edge of the band.
      run: trials of the search, beyond which nothing can be said.
    """

    trials: int | None
    least: int | None
    most: int | None
    run: int

    def __str__(self) -> str:
        trials = f"{self.number(self.trials)} trial{'' if self.trials == 1 else 's'}"
        return trials if self.least == self.most else f"{trials} ({self.interval})"

    @property
    def interval(self) -> str:
        """The band's interval in words, such as `7 to 31`."""
        if self.least is None:
            return self.number(None)
        return f"{self.least} to {self.number(self.most)}" if self.least != self.most else str(self.least)

    def number(self, trials: int | None) -> str:
        """A number of trials in words."""
        return f"more than {self.run}" if trials is None else str(trials)


def metric_support(metric: str) -> tuple[float, float]:
    """Least and greatest value that a metric can take; the whole line for an unknown one.

    Example:
      >>> metric_support("error_rate")
      (0.0, 1.0)
    """
    return SUPPORTS.get(metric, (-math.inf, math.inf))


def tuning_curve(
    values: Float[np.ndarray, " trial"],
    *,
    minimize: bool,
    confidence: float = 0.7,
    support: tuple[float, float] = (-math.inf, math.inf),
    seed: int = 0,
) -> pl.DataFrame:
    """The median tuning curve of random search and its simultaneous confidence band.

    curve(n) = the value y with P(best of n trials is at or past y) = 1/2

    Args:
      values: best value of each trial, in the metric's unit. A diverged trial is the worst value of the
        support: inf when minimising, -inf when maximising, is accepted and moved there. No NaN.
      minimize: whether smaller is better.
      confidence: probability that the whole band holds, in (0, 1).
      support: least and greatest value possible; widened where the values contradict it.
      seed: of the simulation that calibrates the band of up to `MOST_SIMULATED` trials. The band depends on (number
        of trials, confidence, seed) and the values, on nothing that ran before.

    Returns:
      Columns trials (1 to the number of values), lower, median, upper; lower <= median <= upper in the
      metric's unit.

    Raises:
      ValueError: no values, NaN among them, or a confidence outside (0, 1).

    Example:
      >>> curve = tuning_curve(np.array([0.5, 0.1, 0.3, 0.2]), minimize=True, support=(0.0, 1.0))
      >>> curve["median"].to_list()
      [0.2, 0.2, 0.1, 0.1]
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise ValueError("values is empty; a tuning curve needs at least one trial")
    if np.isnan(values).any():
        raise ValueError(
            f"values has {np.isnan(values).sum()} NaN entries; give a diverged trial the worst value "
            f"({'inf' if minimize else '-inf'})"
        )
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; must lie between 0 and 1")

    least, greatest = support
    finite = values[np.isfinite(values)]
    least = least if finite.size == 0 or finite.min() >= least else -math.inf
    greatest = greatest if finite.size == 0 or finite.max() <= greatest else math.inf
    values = np.sort(np.clip(values, least, greatest))
    trials = np.arange(1, values.size + 1)
    share = _share_of_best(trials, 0.5, minimize)
    if values.size > MOST_SIMULATED:
        low, high = simultaneous_intervals(values.size, confidence)
        median = _quantile(np.arange(1, values.size + 1) / values.size, values, share)
    else:
        low, high = simulated_intervals(values.size, confidence, seed)
        median = _quantile(*_distribution(values), share)
    # Between two values the distribution function lies above the lower end at the one before and below the upper end at
    # the one after. A high one means small values, so the band of the curve is the other way round.
    extended = np.concatenate([[least], values, [greatest]])
    lower = _quantile(np.concatenate([high, [1.0, 1.0]]), extended, share)
    upper = _quantile(np.concatenate([[0.0], low, [1.0]]), extended, share)
    return pl.DataFrame({"trials": trials, "lower": lower, "median": median, "upper": upper})


def _share_of_best(trials: np.ndarray, q: float, minimize: bool) -> np.ndarray:
    """The share of a single trial's values up to the q-quantile of the best of so many trials."""
    return 1 - (1 - q) ** (1 / trials) if minimize else q ** (1 / trials)


def _distribution(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The empirical distribution function, and the values at which it rises.

    Summed up as opda sums it: at the median of a single trial the last bit decides which of two values it is.
    """
    at, counts = np.unique(values, return_counts=True)
    cumulated = np.cumsum(counts / counts.sum())
    return cumulated / cumulated[-1], at


def _quantile(distribution: np.ndarray, at: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The least value at which a distribution function that rises at these values is no less than a share."""
    return at[np.searchsorted(distribution, share, side="left")]


def equal_budget(curve: pl.DataFrame, result: float, *, minimize: bool) -> EqualBudget:
    """The smallest random search whose median result is at or past a given one.

    Args:
      curve: what `tuning_curve` returned.
      result: the value to match, in the metric's unit.
      minimize: whether smaller is better.

    Returns:
      The number of trials by the median, and the interval that the band gives.

    Example:
      >>> curve = pl.DataFrame({"trials": [1, 2, 3], "lower": [0.3, 0.2, 0.1], "median": [0.4, 0.3, 0.2],
      ...                       "upper": [0.6, 0.5, 0.4]})
      >>> str(equal_budget(curve, 0.3, minimize=True))
      '2 trials (1 to more than 3)'
    """
    if math.isnan(result):
        raise ValueError("result is NaN; only a finished list can be compared with random search")
    optimistic, pessimistic = ("lower", "upper") if minimize else ("upper", "lower")

    def first(column: str) -> int | None:
        return curve.filter(reached(column, result, minimize))["trials"].min()  # type: ignore[return-value]

    return EqualBudget(first("median"), first(optimistic), first(pessimistic), curve.height)


def median_of_best(values: Float[np.ndarray, " trial"], trials: int, *, minimize: bool) -> float:
    """The median, over random searches of so many trials, of the best value found.

    Args:
      values: of all trials of a search, in any unit; inf and -inf are values like others. No NaN.
      trials: of the smaller search, drawn from these with replacement.
      minimize: whether smaller is better.

    Example:
      >>> median_of_best(np.array([0.5, 0.1, np.inf, 0.2]), 2, minimize=True)
      0.2
    """
    return quantile_of_best(values, trials, 0.5, minimize=minimize)


def quartiles_of_best(
    values: Float[np.ndarray, " trial"], trials: int, *, minimize: bool
) -> tuple[float, float]:
    """The quartiles, over random searches of so many trials, of the best value found; see `median_of_best`.

    Example:
      >>> quartiles_of_best(np.array([0.5, 0.1, np.inf, 0.2]), 2, minimize=True)
      (0.1, 0.2)
    """
    low, high = (quantile_of_best(values, trials, q, minimize=minimize) for q in (0.25, 0.75))
    return low, high


def quantile_of_best(values: Float[np.ndarray, " trial"], trials: int, q: float, *, minimize: bool) -> float:
    """The q-quantile, over random searches of so many trials, of the best value found; see `median_of_best`.

    Example:
      >>> quantile_of_best(np.array([0.5, 0.1, np.inf, 0.2]), 2, 0.75, minimize=True)
      0.2
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise ValueError("values is empty; random search needs at least one trial")
    if np.isnan(values).any():
        raise ValueError(f"values has {np.isnan(values).sum()} NaN entries; use inf for a miss")
    return float(_quantile(*_distribution(values), _share_of_best(np.asarray(trials), q, minimize)))
