"""Baseline curves of workloads: from trainings, or from a file that keeps them."""

from __future__ import annotations

import dataclasses
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from results._parquet import checked, read_parquet
from results._results import LeftOut
from results.baselines._curve import DECAY, POINTS, BaselineCurve, lower_envelope, tuned_curve
from results.baselines._losses import training_losses
from workloads.data import reading
from workloads.data.files import write_atomically
from workloads.spelling import did_you_mean

SCHEMA: Mapping[str, Any] = {
    "workload": pl.String,
    "baseline": pl.String,
    "data": pl.String,
    "note": pl.String,
    "step": pl.List(pl.Float64),
    "loss": pl.List(pl.Float32),
}


MOST_AVERAGED = 0.02  # of a curve's evaluations; the original averages 20 of 10,001


@dataclasses.dataclass(frozen=True, eq=False)
class Baselines:
    """What tuned baselines reach on workloads.

    Attributes:
      curves: workload -> its curve.
      made_of: workload -> what the curve is the least of, in words; empty where that is not known.
      data: workload -> what was trained on, as far as it is known.
      notes: workload -> what must be said of its curve, where something must.
      left_out: what of the sources has no curve, and why.
    """

    curves: Mapping[str, BaselineCurve]
    made_of: Mapping[str, str] = dataclasses.field(default_factory=dict)
    data: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    def of(self, workload: str) -> BaselineCurve | None:
        """The curve of a workload, with or without `taskset/` before its name; None where there is none."""
        short = workload.removeprefix("taskset/")
        return next((self.curves[n] for n in (workload, short, f"taskset/{short}") if n in self.curves), None)


def read_baselines(
    paths: Sequence[Path], *, decay: float = DECAY, points: int = POINTS, only: Sequence[str] = ()
) -> Baselines:
    """Baselines from studies, from files of `write_baselines`, or from VeLOdrome's released files.

    Several are one baseline: on a workload that more than one has, the best of them at every step. Trainings that were
    evaluated at the same steps are pooled before they are smoothed and interpolated, as the original does it.

    | what | recognised by |
    |---|---|
    | trainings: a study, a folder of them, TaskSet's curves | see `training_losses` |
    | curves that were kept | a .parquet file with the columns workload, step, loss |
    | VeLOdrome's `speedup_over_multiple_baselines.json` | its ending |
    | VeLOdrome's `speedup_over_adam.pkl`, which is an .npz | a zip file of arrays [2, point] |

    Args:
      paths: at least one.
      decay, points: of curves that are made here, see `tuned_curve`.
      only: of trainings only these contenders', names of studies or submissions; () takes all.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: nothing of these kinds, a damaged file, curves of one workload that end at different steps.
    """
    if not paths:
        raise ValueError("no baseline is given; name a study, or a file of baseline curves")
    made: dict[str, list[tuple[BaselineCurve, str]]] = {}
    data: dict[str, str] = {}
    notes: dict[str, str] = {}
    left_out: list[LeftOut] = []
    trainings = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if (kept := _read_file(path)) is not None:
            for name, curve in kept.curves.items():
                made.setdefault(name, []).append((curve, kept.made_of.get(name, path.name)))
            data |= kept.data
            notes |= kept.notes
            continue
        found = training_losses(path)
        left_out += found.left_out
        trainings.append(found.table)
    if only:
        there = {name for table in trainings for name in table["contender"].unique()}
        if absent := [name for name in only if name not in there]:
            near = did_you_mean(absent[0], there)
            raise ValueError(
                f"no trainings of {absent[0]!r}{near}; there are: {', '.join(sorted(there)) or 'none'}"
            )
        trainings = [table.filter(pl.col("contender").is_in(list(only))) for table in trainings]
    if trainings:
        for one in _of_trainings(pl.concat(trainings), decay, points, left_out):
            made.setdefault(one.workload, []).append((one.curve, one.words))
            for told, said in ((data, one.data), (notes, one.note)):
                if said:
                    told[one.workload] = said
    curves = {}
    for name, parts in made.items():
        try:
            curves[name] = lower_envelope([curve for curve, _ in parts])
        except ValueError as error:
            raise ValueError(f"baselines of {name}: {error}") from None
    if not curves:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in left_out[:3])
        raise ValueError(f"{paths[0]}: no workload has a baseline curve ({reasons})")
    made_of = {name: "; ".join(dict.fromkeys(words for _, words in parts)) for name, parts in made.items()}
    return Baselines(curves, made_of, data, notes, tuple(left_out))


def write_baselines(path: Path, baselines: Baselines, overwrite: bool = False) -> None:
    """Keeps curves in one Parquet file, whole or not at all.

    Raises:
      FileExistsError: the file is there and overwrite is off.
      ValueError: the path ends in something else.
    """
    if path.suffix != ".parquet":
        raise ValueError(f"{path}: curves are kept as Parquet; give a name that ends in .parquet")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: is there already; choose another name, or add --overwrite")
    rows = [
        (
            *(name, baselines.made_of.get(name), baselines.data.get(name), baselines.notes.get(name)),
            *(c.steps.tolist(), c.losses.tolist()),
        )
        for name, c in sorted(baselines.curves.items())
    ]
    buffer = io.BytesIO()
    pl.DataFrame(rows, schema=dict(SCHEMA), orient="row").write_parquet(buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


@dataclasses.dataclass(frozen=True, eq=False)
class _Made:
    """A curve that was made of trainings; see `Baselines`."""

    workload: str
    curve: BaselineCurve
    words: str
    data: str | None
    note: str | None


def _of_trainings(table: pl.DataFrame, decay: float, points: int, left_out: list[LeftOut]) -> Iterator[_Made]:
    """A curve for every workload and grid of steps."""
    for (workload, steps), rows in table.group_by("workload", "step", maintain_order=True):
        named = f"{rows['contender'][0]}: {workload}"
        repeats = rows["repeat"].n_unique()
        by_point = rows.group_by("contender", "point", maintain_order=True).agg("loss", "repeat")
        whole = by_point.filter(pl.col("loss").list.len() == repeats)
        if len(whole) < len(by_point):
            reason = f"{len(by_point) - len(whole)} of {len(by_point)} points have not {repeats} repeats"
            left_out.append(LeftOut(named, reason))
        if not len(whole):
            continue
        losses = np.array(
            [
                [[np.nan if x is None else x for x in curve] for curve in point]
                for point in whole["loss"].to_list()
            ],
            np.float64,
        )
        try:
            curve = tuned_curve(np.array(steps, np.float64), losses, decay=decay, points=points)
        except ValueError as error:
            left_out.append(LeftOut(named, str(error)))
            continue
        rules = rows["optimizer"].drop_nulls().unique(maintain_order=True).to_list()
        of = " and ".join(rules) or rows["contender"][0]
        words = f"{len(whole)} points of {of}, {repeats} repeats, {len(steps)} evaluations, average {decay:g}"
        data = rows["data"].drop_nulls().first()
        yield _Made(str(workload), curve, words, data, _lag(len(steps), decay))  # type: ignore[arg-type]


def _lag(evaluations: int, decay: float) -> str | None:
    """What a moving average does to a curve of few evaluations; None where it does little."""
    window = 1 / (1 - decay)
    if window < 2 or window <= MOST_AVERAGED * evaluations:
        return None
    return (
        f"the moving average of {window:.3g} evaluations lags behind curves of {evaluations}: the baseline looks "
        "slower than it is, and every score better; evaluate more often, or take --decay 0"
    )


def _read_file(path: Path) -> Baselines | None:
    """The curves of a file that keeps some; None for what holds trainings."""
    if path.is_dir():
        return None
    if path.suffix == ".json":
        return _checked(path, _of_json(path))
    if path.suffix == ".parquet":
        try:
            columns = set(pl.read_parquet_schema(path))
        except (pl.exceptions.PolarsError, OSError):
            return None  # told by who reads it as something else
        return _of_parquet(path) if columns == set(SCHEMA) else None
    if path.suffix in (".pkl", ".npz"):
        return _of_arrays(path)
    raise ValueError(f"{path}: not baseline curves; a file of them ends in .parquet, .json, .npz or .pkl")


def _of_parquet(path: Path) -> Baselines:
    table = checked(read_parquet(path), SCHEMA, path, frozenset({"baseline", "data", "note"}))
    if table["workload"].n_unique() < len(table):
        raise ValueError(f"{path}: a workload has two curves; must have one")
    found = _checked(
        path, dict(zip(table["workload"], zip(table["step"], table["loss"], strict=True), strict=True))
    )
    said = {
        column: dict(table.select("workload", column).drop_nulls().iter_rows())
        for column in ("baseline", "data", "note")
    }
    return dataclasses.replace(found, made_of=said["baseline"], data=said["data"], notes=said["note"])


def _of_json(path: Path) -> dict[str, Any]:
    found = reading.read_json(path)
    pairs = isinstance(found, dict) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, list) for one in pair)
        for pair in found.values()
    )
    if not pairs:
        raise ValueError(f"{path}: not VeLOdrome's curves; must be an object of name: [[steps], [losses]]")
    return found


def _of_arrays(path: Path) -> Baselines | None:
    reading.check_file(path)
    content = reading.read_bytes(path)
    if not content.startswith(b"PK"):
        raise ValueError(f"{path}: not an archive of arrays; a real pickle is never opened here")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if {"xs", "ys"} <= set(archive.files):
                return None  # TaskSet's curves
            arrays = {name: archive[name] for name in archive.files}
    except (
        ValueError,
        OSError,
        EOFError,
        KeyError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(f"{path}: not an archive of arrays: {str(error).splitlines()[0]}") from None
    if any(array.ndim != 2 or len(array) != 2 for array in arrays.values()):
        return None  # replica means, or something else that others tell
    return _checked(path, arrays)


def _checked(path: Path, pairs: Mapping[str, Any]) -> Baselines:
    curves = {}
    for name, (steps, losses) in pairs.items():
        try:
            curves[name] = BaselineCurve(np.asarray(steps, np.float64), np.asarray(losses, np.float64))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {name}: {error}") from None
    if not curves:
        raise ValueError(f"{path}: holds no curves")
    return Baselines(curves)
