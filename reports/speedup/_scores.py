"""VeLOdrome's score of any trainings, and what their contenders are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import polars as pl
from jaxtyping import Float

from reports.bands import quantile_of_best
from reports.comparison import Measured
from results import LeftOut
from results.baselines import BaselineCurve, Baselines, TrainingLosses

PERCENTILES = tuple(range(5, 100, 5))
SEARCHES = 101  # random searches that stand for all of one size
SCHEMA = {
    "contender": pl.String,
    "workload": pl.String,
    "points": pl.Int64,
    "repeats": pl.Int64,
    "steps": pl.Int64,
    "loss": pl.Float64,
    "last": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "mean": pl.Float64,
    "max": pl.Float64,
    "limit": pl.Float64,
}


@dataclasses.dataclass(frozen=True, eq=False)
class SpeedupScores:
    """Scores of contenders on workloads.

    Attributes:
      table: a row per contender and workload. points and repeats it has there; steps N; loss after them, the mean over
        repeats of its best point (null if not finite); last, the score: steps that the baseline needs for that loss,
        over N; low and high, the scores of its worst and best repeat, or the quartiles over random searches; mean and
        max of the scores along its curve (null of random searches); limit, beyond which no score goes.
      measured: the same as shares 1 / score, for `reports.comparison`.
      left_out: what was not scored, and why.
    """

    table: pl.DataFrame
    measured: tuple[Measured, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def contenders(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self.table["contender"].unique(maintain_order=True))


def score_speedups(
    losses: TrainingLosses,
    baselines: Baselines,
    *,
    steps: int | None = None,
    budgets: Sequence[int] = (),
) -> SpeedupScores:
    """The steps that tuned baselines need for the losses reached, over the steps taken.

    score = s(loss after N steps) / N, with s of `BaselineCurve.steps_to` and the mean over repeats of the loss. Of
    several points the one with the least loss counts.

    Args:
      losses: of all contenders, named apart.
      baselines: of their workloads.
      steps: N; None takes all that a contender was trained for.
      budgets: only so many points each: the first of lists, and of points that were drawn a random search among them.
        None: all points of each.

    Raises:
      ValueError: nothing can be scored; an argument out of range.

    Reference: Metz et al. 2022, arXiv:2211.09760, and its program.
    """
    if steps is not None and steps < 1:
        raise ValueError(f"steps is {steps}; must be at least 1")
    if any(budget < 1 for budget in budgets):
        raise ValueError(f"a budget is {min(budgets)}; must be at least 1 point")
    left_out = [*losses.left_out, *baselines.left_out]
    rows, measured = [], []
    for (contender,), trained in losses.table.group_by("contender", maintain_order=True):
        found: list[_Trained] = []
        for (workload,), part in trained.group_by("workload", maintain_order=True):
            one = _trained(str(contender), str(workload), part, baselines, steps)
            found.append(one) if isinstance(one, _Trained) else left_out.append(one)
        if not found:
            continue
        drawn, most = bool(trained["drawn"].any()), max(one.points for one in found)
        for name, count, search in _sizes(str(contender), most, drawn, budgets):
            shares = {}
            for one in found:
                row, share = one.searched(name, count) if search else one.scored(name, count)
                rows.append(row)
                shares[one.workload] = share
            what = f"random search of {count} of {most} points" if search else f"{count} points"
            steps_of = {one.workload: (0.0, float(one.steps)) for one in found}
            measured.append(Measured(name, str(contender), what, shares, search, steps_of))
    if not rows:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in left_out[:3])
        raise ValueError(f"nothing can be scored ({reasons})")
    return SpeedupScores(pl.DataFrame(rows, schema=SCHEMA, orient="row"), tuple(measured), tuple(left_out))


def summary_table(scores: SpeedupScores) -> pl.DataFrame:
    """What a contender's scores are over workloads, a row each.

    Returns:
      Columns contender, workloads, mean and std of its scores, one per percentile ("5 %" to "95 %"), faster (workloads
      with a score above 1), at_limit, none (workloads with a score of 0).

    Reference: Metz et al. 2022, arXiv:2211.09760, as its program has them.
    """
    rows = []
    for name in scores.contenders:
        of_it = scores.table.filter(contender=name)
        last = of_it["last"].to_numpy()
        rows.append(
            (
                *(name, len(last), float(last.mean()), float(last.std())),
                *np.percentile(last, PERCENTILES).tolist(),
                *(int((last > 1).sum()), int((last >= of_it["limit"].to_numpy()).sum())),
                int((last <= 0).sum()),
            )
        )
    numbers = dict.fromkeys(["mean", "std", *(f"{p} %" for p in PERCENTILES)], pl.Float64)
    counts = dict.fromkeys(["faster", "at_limit", "none"], pl.Int64)
    schema = {"contender": pl.String, "workloads": pl.Int64, **numbers, **counts}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _sizes(contender: str, most: int, drawn: bool, budgets: Sequence[int]) -> list[tuple[str, int, bool]]:
    """Name, points, and whether it is random search, of everything that a study's points make."""
    smaller = sorted({budget for budget in budgets if budget < most})
    found = [
        (f"{size} of {contender}", size, True) if drawn else (f"{contender}, first {size}", size, False)
        for size in smaller
    ]
    whole = not budgets or most <= max(budgets)
    return [*found, (contender, most, False)] if whole else found


@dataclasses.dataclass(frozen=True, eq=False)
class _Trained:
    """Curves of one contender on one workload."""

    workload: str
    steps: int
    curve: BaselineCurve
    losses: Float[np.ndarray, "point repeat evaluation"]

    @property
    def points(self) -> int:
        return self.losses.shape[0]

    def scored(self, name: str, count: int) -> tuple[tuple, Float[np.ndarray, "point repeat"]]:
        """Row of the table, and shares, of its first so many points."""
        kept = self.losses[:count]
        means = kept.mean(axis=1)
        best = int(np.where(np.isnan(means[:, -1]), np.inf, means[:, -1]).argmin())
        along = self.curve.steps_to(means[best]) / self.steps
        each = self.curve.steps_to(kept[:, :, -1]) / self.steps
        repeats = kept.shape[1]
        ends = (each[best].min(), each[best].max()) if repeats > 1 else (None, None)
        loss = means[best, -1]
        row = (
            *(name, self.workload, len(kept), repeats, self.steps, loss if np.isfinite(loss) else None),
            *(along[-1], *ends, along.mean(), along.max(), self._limit),
        )
        return row, _shares(each)

    def searched(self, name: str, count: int) -> tuple[tuple, Float[np.ndarray, "point repeat"]]:
        """The same of random search of so many among its points."""
        each = _shares(self.curve.steps_to(self.losses[:, :, -1]) / self.steps)
        points = np.median(each, axis=1)
        quantiles = ((np.arange(SEARCHES) + 0.5) / SEARCHES).tolist()
        best = np.array([quantile_of_best(points, count, q, minimize=True) for q in quantiles])
        low, middle, high = (1 / quantile_of_best(points, count, q, minimize=True) for q in (0.75, 0.5, 0.25))
        row = (
            *(name, self.workload, count, self.losses.shape[1], self.steps, None),
            *(middle, low, high, None, None, self._limit),
        )
        return row, best[None]

    @property
    def _limit(self) -> float:
        return self.curve.last_step / self.steps


def _shares(scores: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """1 / score, inf where it is 0."""
    with np.errstate(divide="ignore"):
        return 1 / scores


def _trained(
    contender: str, workload: str, rows: pl.DataFrame, baselines: Baselines, steps: int | None
) -> _Trained | LeftOut:
    where = f"{contender}: {workload}"
    if (curve := baselines.of(workload)) is None:
        return LeftOut(where, "no baseline was trained on it")
    if rows["step"].n_unique() > 1:
        return LeftOut(where, "its trials were evaluated at different steps")
    at = rows["step"][0].to_numpy()
    if steps is not None and steps not in at:
        return LeftOut(where, f"was not evaluated at step {steps}")
    kept = at <= (at[-1] if steps is None else steps)
    last = int(at[kept][-1])
    if last < 1:
        return LeftOut(where, "was not evaluated after any step")
    if curve.last_step < last:
        return LeftOut(where, f"its baseline ends at step {curve.last_step}, before step {last}")
    points = rows.select("point", "place").unique().sort("place", "point")["point"].to_list()
    places = {point: p for p, point in enumerate(points)}
    repeats = {repeat: r for r, repeat in enumerate(rows["repeat"].unique().sort())}
    losses = np.full((len(places), len(repeats), int(kept.sum())), np.nan)
    for point, repeat, values in rows.select("point", "repeat", "loss").iter_rows():
        losses[places[point], repeats[repeat]] = np.array(values, np.float64)[kept]
    return _Trained(workload, last, curve, losses)
