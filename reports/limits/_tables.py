"""What the trainings of `shortlist limits` say, as tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from reports.limits._critical_batch import CriticalBatch, critical_batch
from results.baselines import training_losses
from results.limits import STUDIES, THEN, TOLD, Cell, Limits, read_limits

TRUTH = "the truth"
CURVE = {
    "workload": pl.String,
    "contender": pl.String,
    "told": pl.String,
    "step": pl.Int64,
    "loss": pl.Float64,
}
CELL = {
    "workload": pl.String, "at": pl.Int64, "contender": pl.String, "point": pl.String, "loss": pl.Float64,
    "low": pl.Float64, "high": pl.Float64,
}  # fmt: skip
HIT = {
    "batch": pl.Int64, "contender": pl.String, "point": pl.String, "length": pl.Int64, "steps": pl.Float64,
    "low": pl.Float64, "high": pl.Float64,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class LimitsFound:
    """What was found, a table a part; tables of parts that were not trained are empty.

    Losses are training losses, means over repeats of the best point; null where they are not finite. low and high are
    of its best and worst repeat.

    Attributes:
      asked: what was trained.
      source: the folder.
      longer: workload, contender, told, and "after N" for every length N.
      curves: of the learned optimizer in `longer`, at every evaluation: workload, contender, told, step, loss.
      larger: workload, at (parameters), contender, point, loss, low, high.
      target: the loss of `batch`.
      batch: batch, contender, point, length, steps, low, high: the least steps to the target, inf if never.
      critical: contender -> critical batch size, of those with one.
      gradients: workload, at (pairs; 0 is the true gradient), contender, point, loss, low, high.
      data: workload -> provenance.
    """

    asked: Limits
    source: str
    longer: pl.DataFrame
    curves: pl.DataFrame
    larger: pl.DataFrame
    target: float | None
    batch: pl.DataFrame
    critical: dict[str, CriticalBatch]
    gradients: pl.DataFrame
    data: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist limits --json`."""
        tables = {name: getattr(self, name).to_dicts() for name in ("longer", "larger", "batch", "gradients")}
        return {
            "folder": self.source,
            "contenders": self.asked.contenders,
            "points": self.asked.points,
            "weights_sha256": self.asked.sha256,
            "trained_on": self.asked.trained_on,
            "steps": self.asked.steps,
            **tables,
            "target": self.target,
            "critical_batch": {name: one._asdict() for name, one in self.critical.items()},
            "data": self.data,
        }


class _Loss(NamedTuple):
    """Of a contender in a cell: its best point's mean, least and greatest loss over repeats."""

    point: str
    loss: float
    low: float
    high: float


def limits(folder: Path | str) -> LimitsFound:
    """Reads what `shortlist limits` trained.

    Raises:
      FileNotFoundError, ValueError: there is nothing, or it is damaged, or trials are missing.
    """
    folder = Path(folder)
    return of_losses(read_limits(folder), training_losses(folder / STUDIES).table, str(folder))


def of_losses(asked: Limits, losses: pl.DataFrame, source: str) -> LimitsFound:
    """What training losses say.

    Args:
      asked: what was to be trained.
      losses: as `results.baselines.training_losses` has them, a study's name as the contender.
      source: where they are from.

    Raises:
      ValueError: some are missing.
    """
    trials = losses.partition_by("contender", "workload", as_dict=True)
    if missing := [cell for cell in asked.cells if (cell.study, cell.workload) not in trials]:
        raise ValueError(
            f"{source}: study {missing[0].study} is not trained to its end; the same 'shortlist limits' goes on"
        )
    of = {cell: trials[cell.study, cell.workload] for cell in asked.cells}
    longer, curves = _longer(asked, of)
    target = _target(asked, of)
    batch = _batch(asked, of, target)
    critical = {
        name: found
        for (name,), rows in batch.group_by("contender", maintain_order=True)
        if (found := critical_batch(rows["batch"].to_list(), rows["steps"].to_list()))
    }
    data = {cell.of: rows["data"][0] for cell, rows in of.items()}
    return LimitsFound(
        asked, source, longer, curves, _ends(asked, of, "larger"), target, batch, critical,
        _ends(asked, of, "gradients"), data,
    )  # fmt: skip


def _losses(rows: pl.DataFrame) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(point, steps, losses [repeat, evaluation]); what is not finite is inf, and so is all after a training's end."""
    for (point,), part in rows.sort("repeat").group_by("point", maintain_order=True):
        steps = max(part["step"].to_list(), key=len)
        filled = [[math.inf if x is None else x for x in one] for one in part["loss"].to_list()]
        losses = np.asarray([one + [math.inf] * (len(steps) - len(one)) for one in filled], float)
        yield str(point), np.asarray(steps), np.nan_to_num(losses, nan=math.inf, posinf=math.inf)


def _best(rows: pl.DataFrame, step: int) -> _Loss:
    """The best point after so many steps."""
    found = []
    for point, steps, losses in _losses(rows):
        there = np.flatnonzero(steps == step)
        of_step = losses[:, there[0]] if len(there) else np.full(len(losses), math.inf)
        found.append(_Loss(point, float(of_step.mean()), float(of_step.min()), float(of_step.max())))
    return min(found, key=lambda one: one.loss)


def _shown(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _of_part(asked: Limits, part: str) -> list[Cell]:
    return [cell for cell in asked.cells if cell.part == part]


def _longer(asked: Limits, of: dict[Cell, pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame]:
    cells = _of_part(asked, "longer")
    lengths = sorted({cell.at for cell in cells})
    rows: list[dict[str, Any]] = []
    curves = []
    for workload in dict.fromkeys(cell.of for cell in cells):
        here = [cell for cell in cells if cell.of == workload]
        truth: dict[str, dict[int, float]] = {}
        for cell in here:
            if cell.contender != asked.learned:
                truth.setdefault(cell.contender, {})[cell.at] = _best(of[cell], cell.at).loss
                continue
            for point, steps, losses in _losses(of[cell]):
                number, then, way = point.removeprefix(TOLD).partition(THEN)
                told, mean = int(number), losses.mean(axis=0)
                after = {n: float(mean[steps == n][0]) for n in lengths if n in steps}
                shown = f"{told:,}{then}{way.replace('_', ' ')}"
                rows.append(_row(workload, cell.contender, shown, lengths, after))
                if told in lengths and not way:
                    truth.setdefault(cell.contender, {})[told] = after.get(told, math.inf)
                curves += [
                    (workload, cell.contender, shown, int(s), _shown(float(x)))
                    for s, x in zip(steps, mean, strict=True)
                ]
        names = [name for name in asked.contenders if name in truth]
        rows += [_row(workload, name, TRUTH, lengths, truth[name]) for name in names]
    types = dict.fromkeys(("workload", "contender", "told"), pl.String)
    schema = {**types, **{f"after {n}": pl.Float64 for n in lengths}}
    return pl.DataFrame(rows, schema=schema), pl.DataFrame(curves, schema=CURVE, orient="row")


def _row(
    workload: str, contender: str, told: str, lengths: Sequence[int], after: dict[int, float]
) -> dict[str, Any]:
    losses = {f"after {n}": _shown(after.get(n, math.inf)) for n in lengths}
    return {"workload": workload, "contender": contender, "told": told, **losses}


def _ends(asked: Limits, of: dict[Cell, pl.DataFrame], part: str) -> pl.DataFrame:
    """Losses at the end of the cells of a part."""
    rows = []
    for cell in _of_part(asked, part):
        best = _best(of[cell], cell.steps)
        rows.append((cell.of, cell.at, cell.contender, best.point, *map(_shown, best[1:])))
    return pl.DataFrame(rows, schema=CELL, orient="row")


def _target(asked: Limits, of: dict[Cell, pl.DataFrame]) -> float | None:
    """The loss that is asked for; else the least that every contender reaches at the middle batch size."""
    cells = _of_part(asked, "batch")
    if asked.target is not None or not cells:
        return asked.target
    sizes = sorted({cell.at for cell in cells})
    middle = sizes[len(sizes) // 2]
    least: dict[str, float] = {}
    for cell in cells:
        if cell.at == middle:
            reached = min(float(losses.mean(axis=0).min()) for _, _, losses in _losses(of[cell]))
            least[cell.contender] = min(reached, least.get(cell.contender, math.inf))
    return max(least.values())


def _batch(asked: Limits, of: dict[Cell, pl.DataFrame], target: float | None) -> pl.DataFrame:
    found: dict[tuple[int, str], tuple[Any, ...]] = {}
    for cell in _of_part(asked, "batch"):
        assert target is not None
        for point, steps, losses in _losses(of[cell]):
            hits = [_first(steps, one, target) for one in losses]
            row = (cell.at, cell.contender, point, cell.steps, float(np.median(hits)), min(hits), max(hits))
            before = found.get((cell.at, cell.contender))
            if before is None or row[4] < before[4]:
                found[cell.at, cell.contender] = row
    return pl.DataFrame(list(found.values()), schema=HIT, orient="row")


def _first(steps: np.ndarray, losses: np.ndarray, target: float) -> float:
    """The first evaluated step at or below the target."""
    reached = np.flatnonzero(losses <= target)
    return float(steps[reached[0]]) if len(reached) else math.inf
