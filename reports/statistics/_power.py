"""How many workloads and repeats it takes to find what the data show.

Experiments of other sizes are drawn from the data at hand, the test of `p_value` is made in each, and the share
that finds A to cost less is counted. This takes the difference and the spread of the data for the true ones: it plans
the next experiment, and says nothing more about this one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl
from jaxtyping import Float

import lists
from reports.statistics._estimates import Over
from reports.statistics._resampling import check_over, checked, log_values
from reports.statistics._tests import EVEN, check_testable, two_sided

WORKLOADS, REPEATS = (4, 6, 8, 12, 16, 24, 32, 64), (1, 3, 5, 10)
ENOUGH = 0.8  # the share of experiments that is usually asked for
FLIPS = 1023  # of signs, where there are more ways
AT_ONCE = 2**22  # numbers held at a time
SCHEMA = {"over": pl.String, "workloads": pl.Int64, "repeats": pl.Int64} | dict.fromkeys(
    ("found", "low", "high"), pl.Float64
)


def power_curve(
    a: Float[np.ndarray, "*axes"],
    b: Float[np.ndarray, "*axes"],
    *,
    penalty: float = lists.PENALTY,
    over: Over = "workloads",
    workloads: Sequence[int] | None = None,
    repeats: Sequence[int] | None = None,
    level: float = 0.05,
    experiments: int = 400,
    seed: int = 0,
) -> pl.DataFrame:
    """In which share of experiments A is found to cost less than B, by their size.

    Args:
      a, b, penalty: as `paired_difference` has them.
      over: "workloads": each experiment draws workloads, and repeats of each, with replacement. "repeats": the
        workloads stay as they are, repeats are drawn.
      workloads: numbers of them; None: `WORKLOADS` and what there are. Over repeats there is only one, what there are.
      repeats: numbers of them; None: `REPEATS` and what there are. Where each point was trained once there is only 1.
      level: at which a difference is found: p at most that, two-sided.
      experiments: drawn for every size.
      seed: of all draws.

    Returns:
      A row for every size: over, workloads, repeats, found (the share), low and high (its 95 % Wilson interval, of
      drawing so few experiments alone).

    Raises:
      ValueError: an argument out of range; other workloads; nothing to resample.

    Example:
      >>> ours = np.array([[0.5], [0.2], [0.9], [0.4], [0.3], [0.8]])
      >>> found = power_curve(ours, 1.1 * ours, workloads=[4, 8])  # 4 can never show less than 2 in 16
      >>> found["found"].to_list()
      [0.0, 1.0]
    """
    first, second = checked(a, penalty, "a"), checked(b, penalty, "b")
    check_testable(over)
    check_over(over, first, second)
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level:g}; must lie between 0 and 1")
    there, fewest = first.shape[1], min(first.shape[2], second.shape[2])
    widths = tuple(workloads or sorted({*WORKLOADS, there})) if over == "workloads" else (there,)
    default = sorted({*REPEATS, fewest} if over == "workloads" else {*REPEATS, fewest} - {1})
    times = tuple(repeats or (default if fewest > 1 else (1,)))
    for name, least, sizes in (("workloads", 2, widths), ("repeats", 1 if over == "workloads" else 2, times)):
        if min(sizes) < least:
            raise ValueError(f"{name} holds {min(sizes)}; a test over {over} needs {least} or more")
    if fewest == 1 and max(times) > 1:
        raise ValueError("every point was trained once, so that repeats cannot be drawn; leave out repeats")
    if workloads is not None and over == "repeats" and tuple(workloads) != (there,):
        raise ValueError("over repeats the workloads stay as they are; leave out workloads")
    rows = []
    for w, r in itertools.product(widths, times):
        generator = np.random.default_rng([seed, 5, w, r])
        test = _found_over_workloads if over == "workloads" else _found_over_repeats
        found = int(test(first, second, w, r, level, penalty, experiments, generator))
        rows.append((over, w, r, found / experiments, *_wilson(found, experiments)))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def needed(curve: pl.DataFrame, share: float = ENOUGH) -> pl.DataFrame:
    """The sizes with which so large a share of experiments finds the difference, and none smaller does.

    Args:
      curve: what `power_curve` returned.
      share: of experiments.

    Returns:
      Rows of the curve, by repeats: fewer workloads with more of them; none where no size is enough.
    """
    fewest = pl.col("workloads").min().over("repeats")
    enough = curve.filter(pl.col("found") >= share).filter(pl.col("workloads") == fewest).sort("repeats")
    sooner = pl.col("workloads").cum_min().shift()
    return enough.filter(sooner.is_null() | (pl.col("workloads") < sooner))


def _found_over_workloads(
    a: np.ndarray,
    b: np.ndarray,
    workloads: int,
    repeats: int,
    level: float,
    penalty: float,
    experiments: int,
    generator: np.random.Generator,
) -> int:
    which = generator.integers(0, a.shape[1], (experiments, workloads))
    logs = [_drawn_logs(one, which, repeats, penalty, generator) for one in (a, b)]
    gaps = logs[0] - logs[1]  # [experiment, workload]
    if 2**workloads <= FLIPS + 1:
        signs, added = np.array(list(itertools.product((1.0, -1.0), repeat=workloads))), 0
    else:
        signs, added = generator.choice((1.0, -1.0), (FLIPS, workloads)), 1
    observed = gaps.sum(axis=1)
    shown = np.abs(gaps @ signs.T) >= np.abs(observed)[:, None] - EVEN * workloads
    p = (shown.sum(axis=1) + added) / (len(signs) + added)
    return int(((p <= level) & (observed < 0)).sum())


def _drawn_logs(
    values: np.ndarray, which: np.ndarray, repeats: int, penalty: float, generator: np.random.Generator
) -> np.ndarray:
    """log of the value on every drawn workload, by as many repeats drawn anew."""
    there = values.shape[2]
    if there == 1:
        return log_values(values, penalty)[which]
    found = np.empty(which.shape)
    step = max(1, AT_ONCE // (len(values) * which.shape[1] * repeats))
    for start in range(0, len(which), step):
        some = which[start : start + step]
        drawn = generator.integers(0, there, (*some.shape, repeats))
        picked = values[:, some[:, :, None], drawn]  # [point, experiment, workload, repeat]
        found[start : start + step] = log_values(np.moveaxis(picked, 0, 1), penalty)
    return found


def _found_over_repeats(
    a: np.ndarray,
    b: np.ndarray,
    workloads: int,
    repeats: int,
    level: float,
    penalty: float,
    experiments: int,
    generator: np.random.Generator,
) -> int:
    resamples = max(
        99, round(5 / level) - 1
    )  # so that the level itself can be met, 2 (1 + k) / (1 + resamples)
    found = 0
    step = max(1, AT_ONCE // (max(len(a), len(b)) * workloads * repeats * resamples))
    on = np.arange(workloads)[None, :, None]
    for start in range(0, experiments, step):
        some = min(step, experiments - start)
        gaps, observed = 0.0, 0.0
        for sign, one in ((1, a), (-1, b)):
            drawn = one[:, on, generator.integers(0, one.shape[2], (some, workloads, repeats))]
            drawn = np.moveaxis(drawn, 0, 1)  # [experiment, point, workload, repeat]
            observed = observed + sign * log_values(drawn, penalty).mean(axis=1)
            rows = generator.integers(0, repeats, (resamples, repeats))
            listed = log_values(np.moveaxis(drawn[..., rows], 3, 1), penalty)  # [experiment, row, workload]
            which = generator.integers(0, resamples, (resamples, workloads))
            gaps = gaps + sign * listed[:, which, on[0, :, 0]].mean(axis=2)
        found += int(((two_sided(np.asarray(gaps)) <= level) & (np.asarray(observed) < 0)).sum())
    return found


def _wilson(found: int, of: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    ends = binomtest(found, of).proportion_ci(0.95, method="wilson")
    return float(ends.low), float(ends.high)
