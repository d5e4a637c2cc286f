"""Resampled workloads and repeats: what a list would have needed, had others been drawn.

The value of a list on a workload is the least, over its points, of the median over repeats (Medapati et al. 2025,
arXiv:2503.03986, section 2.5). Repeats are resampled whole, the same of all points, so that what a repeat has in common
stays together.

Of R repeats there are only C(2R - 1, R) different resamples, 126 of 5: values are worked out once for each, and drawn
by how often they come about.
"""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
from jaxtyping import Float, Int

from reports.statistics._estimates import OVER, Over

MOST_LISTED = 5_000  # resamples that are listed; of more, as many are drawn


def checked(fractions: Float[np.ndarray, "*axes"], penalty: float, name: str = "fractions") -> np.ndarray:
    """Fractions as point x workload x repeat.

    Raises:
      ValueError: other axes, none of one, NaN, values that are not positive; a penalty below 1.
    """
    values = np.asarray(fractions, dtype=np.float64)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3:
        raise ValueError(
            f"{name} has shape {values.shape}; must be workload x repeat, or point x workload x repeat"
        )
    if 0 in values.shape:
        raise ValueError(f"{name} has shape {values.shape}; every axis needs at least one entry")
    if np.isnan(values).any():
        raise ValueError(f"{name} has {np.isnan(values).sum()} NaN entries; use inf for a missed target")
    if (values <= 0).any():
        raise ValueError(f"{name} has an entry of {values.min():g}; must be positive, or inf where missed")
    if not (math.isfinite(penalty) and penalty >= 1):
        raise ValueError(f"penalty is {penalty:g}; must be finite and at least 1, the whole budget")
    return values


def check_over(over: Over, *contenders: Float[np.ndarray, "point workload repeat"]) -> None:
    """Raises ValueError where there is nothing to resample, or the contenders differ in workloads."""
    if over not in OVER:
        raise ValueError(f"over is {over!r}; must be one of {', '.join(OVER)}")
    workloads = {one.shape[1] for one in contenders}
    if len(workloads) > 1:
        raise ValueError(
            f"the contenders have {' and '.join(map(str, sorted(workloads)))} workloads; must be the same ones"
        )
    if over != "repeats" and min(workloads) < 2:
        raise ValueError("there is 1 workload; nothing over workloads can be said, use over='repeats'")
    if over == "repeats" and (fewest := min(one.shape[2] for one in contenders)) < 2:
        raise ValueError(f"there is {fewest} repeat; nothing over repeats can be said, use over='workloads'")


def log_values(
    values: Float[np.ndarray, "*more point workload repeat"], penalty: float
) -> Float[np.ndarray, "*more workload"]:
    """log min(min_p median_r f, tau)."""
    # The mean of two middle values is infinite if one of them is, as it must be.
    least = np.median(values, axis=-1).min(axis=-2)
    return np.log(np.minimum(least, penalty))


def runs(
    values: Float[np.ndarray, "point workload repeat"], penalty: float
) -> Float[np.ndarray, "workload repeat"]:
    """min(min_p f, tau) of every repeat: what one run of the whole list needs."""
    return np.minimum(values.min(axis=0), penalty)


def drawn_workloads(workloads: int, resamples: int, seed: int) -> Int[np.ndarray, "resample workload"]:
    """Which workloads are in each resample; the same for all contenders, which is what pairs them."""
    return np.random.default_rng([seed, 0]).integers(0, workloads, (resamples, workloads), dtype=np.int32)


def resampled(
    values: Float[np.ndarray, "point workload repeat"],
    penalty: float,
    over: Over,
    resamples: int,
    seed: int,
    stream: int,
) -> Float[np.ndarray, "resample workload"]:
    """`log_values` of as many resamples.

    Args:
      values: checked.
      penalty: tau.
      over: what is drawn.
      resamples: how many.
      seed: of the workloads, with nothing else: contenders are paired by it.
      stream: with the seed, of the repeats: that of two contenders differs, as their seeds did.
    """
    workloads, repeats = values.shape[1:]
    if over == "workloads":
        return log_values(values, penalty)[drawn_workloads(workloads, resamples, seed)]
    generator = np.random.default_rng([seed, 1, stream])
    rows, weights = _repeats_drawn(repeats)
    listed = log_values(np.moveaxis(values[:, :, rows], 2, 0), penalty)  # [row, workload]
    which = generator.choice(len(rows), size=(resamples, workloads), p=weights)
    there = drawn_workloads(workloads, resamples, seed) if over == "both" else np.arange(workloads)
    return listed[which, there]


@cache
def _repeats_drawn(repeats: int) -> tuple[Int[np.ndarray, "row repeat"], Float[np.ndarray, " row"] | None]:
    """Resamples of so many repeats, and the probability of each; None where they are draws themselves."""
    if math.comb(2 * repeats - 1, repeats) > MOST_LISTED:
        return np.random.default_rng(repeats).integers(0, repeats, (MOST_LISTED, repeats)), None
    rows = np.array(list(itertools.combinations_with_replacement(range(repeats), repeats)))
    counts = (rows[:, :, None] == np.arange(repeats)).sum(axis=1)
    ways = np.array(
        [math.factorial(repeats) // math.prod(map(math.factorial, row)) for row in counts.tolist()]
    )
    return rows, ways / repeats**repeats
