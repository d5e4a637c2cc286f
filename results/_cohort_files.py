"""The file of a cohort: sealed when it is written, and checked against the study when it is read.

Its seal (`results._seal`) says what it belongs to. So no bit of it can change without being found, and no file of
another study, workload or cohort be taken for it. Files from before there were seals are read without one.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from results._seal import sealed, unsealed
from results._specification import Cohort, StudySpec
from submissions.statuses import STATUSES
from workloads.data import reading

_ANEW = "delete it and run the study again to train this cohort anew"
# Format 1 called a cohort a batch.
COLUMNS_SINCE_1 = {"batch": "cohort", "batch_seconds": "cohort_seconds"}
# One schema for every trial, whoever made it; "<role>/<metric>" lists of floats stand beside these.
SCHEMA: Mapping[str, Any] = {
    "workload": pl.String, "cohort": pl.Int64, "repeat": pl.Int64, "point": pl.String, "hyperparameters": pl.String,
    "status": pl.String, "status_reason": pl.String, "diverged_step": pl.Int64, "metric": pl.String,
    "minimize": pl.Boolean, "validation_target": pl.Float64, "test_target": pl.Float64, "step_hint": pl.Int64,
    "max_runtime_seconds": pl.Float64, "steps": pl.Int64, "global_step": pl.List(pl.Int64),
    "submission_seconds": pl.List(pl.Float64), "cohort_seconds": pl.Float64, "loop": pl.String, "seed": pl.Int64,
    "precision": pl.String, "micro_batches": pl.Int64,
    "optimizer": pl.String, "data": pl.String, "host": pl.String, "device": pl.String, "versions": pl.String,
    "command": pl.String,
}  # fmt: skip
# What the first versions wrote; the rest has come since.
FIRST_COLUMNS = ("workload", "cohort", "repeat", "point", "hyperparameters", "status", "global_step")
# What a study asks of every trial, under the names of the specification; a cohort keeps what it was asked.
_ASKED = (
    "seed", "seeding", "steps", "eval_period", "eval_batches", "eval_at_start", "shared_batches",
)  # fmt: skip


def belongs_to(
    spec: StudySpec, workload: str, cohort: Cohort, source: str | None, workload_source: str | None
) -> dict[str, Any]:
    """What a cohort belongs to, as its file says.

    Args:
      spec: of the study.
      workload: of the trials.
      cohort: which of the workload's.
      source: SHA-256 of a user's own optimizer, or of a learned one's weights; None for others.
      workload_source: SHA-256 of the file of a user's own workload, None for others.
    """
    return {
        **{name: getattr(spec, name) for name in _ASKED},
        "workload": workload,
        "cohort": cohort.number,
        "repeat": cohort.repeat,
        "points": [point.id for point in cohort.points],
        "optimizer_sha256": source,
        "workload_sha256": workload_source,
    }


def as_parquet(trials: pl.DataFrame, belongs: Mapping[str, Any] | None = None) -> bytes:
    """The trials of a finished cohort, as its file holds them, sealed.

    Args:
      trials: a row each.
      belongs: see `belongs_to`; None where the rows say enough.
    """
    return sealed(trials, belongs or {})


def check_content(content: bytes, belongs: Mapping[str, Any], what: str) -> None:
    """Accepts the content of a file that is as it was made, and belongs to what it should.

    Raises:
      ValueError: it has changed on its way, or belongs to something else.
    """
    try:
        said = unsealed(content)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise ValueError(f"the result of {what} has changed on its way: {error}") from None
    if said is None:
        raise ValueError(f"the result of {what} has no checksum")
    if wrong := _differing(said, belongs):
        raise ValueError(f"the result of {what} does not belong to it: {wrong}")


@dataclasses.dataclass(frozen=True)
class CohortFile:
    """A file that was read: its trials, what its seal says that it belongs to, and what it is to hold.

    Attributes:
      path: its name is the number of the cohort.
      trials: a row each.
      belongs: None where it has no seal.
      cohort: what it is to hold; None where the specification does not say.
    """

    path: Path
    trials: pl.DataFrame
    belongs: Mapping[str, Any] | None
    cohort: Cohort | None


def read_cohort(path: Path, spec: StudySpec, cohort: Cohort | None) -> CohortFile:
    """Reads a file whose content is as it was written; see `check_cohorts` for whether it belongs to the study.

    Raises:
      ValueError: it cannot be read, or has changed since it was written.
    """
    try:
        content = reading.read_bytes(path)
        belongs = unsealed(content)
        trials = pl.read_parquet(io.BytesIO(content)).rename(COLUMNS_SINCE_1, strict=False)
    except PermissionError:
        raise  # the file may be as good as ever
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].removeprefix(f"{path}: ")
        raise ValueError(f"{path}: unreadable ({reason}); {_ANEW}") from None
    if belongs is None and spec.sealed:
        raise ValueError(f"{path}: unreadable (no checksum, which every file of this study has); {_ANEW}")
    if wrong := _wrong_columns(trials):
        raise ValueError(f"{path}: does not belong here: {wrong}; {_ANEW}")
    typeless = [name for name, found in trials.schema.items() if found == pl.Null and name in SCHEMA]
    typed = trials.with_columns(pl.col(name).cast(SCHEMA[name]) for name in typeless)
    return CohortFile(path, typed, belongs, cohort)


def check_cohorts(
    files: Sequence[CohortFile],
    trials: pl.DataFrame,
    spec: StudySpec,
    workload: str,
    source: str | None,
    workload_source: str | None,
) -> None:
    """Accepts files of a workload that hold what the study asked for.

    Args:
      files: in order.
      trials: of all of them.
      spec: of the study.
      workload: whose trials they are to be.
      source, workload_source: of the study, see `belongs_to`.

    Raises:
      ValueError: one belongs to something else; says which, and to what.
    """
    for file in files:
        said = file.belongs or {}
        expected = {}
        if len(said) > 1 and file.cohort:
            expected = belongs_to(spec, workload, file.cohort, source, workload_source)
        if wrong := _differing(said, expected):
            raise ValueError(f"{file.path}: does not belong here: {wrong}; {_ANEW}")
    if _as_asked(files, trials, spec, workload):
        return
    before: dict[str, object] = {}
    for file in files:
        if wrong := _wrong_rows(file.trials, spec, workload, int(file.path.stem), file.cohort):
            raise ValueError(f"{file.path}: does not belong here: {wrong}; {_ANEW}")
        for column in ("metric", "minimize"):
            for value in file.trials.get_column(column, default=pl.Series([None])).unique():
                if (other := before.setdefault(column, value)) != value:
                    raise ValueError(
                        f"{file.path}: does not belong here: {column} is {value!r}, in other files of {workload} it is "
                        f"{other!r}; delete what is wrong and run the study again to train it anew"
                    )


def check_alike(files: Sequence[CohortFile]) -> None:
    """Accepts files of a study that all have targets, or none: where one lacks the column, a target would be lost.

    Raises:
      ValueError: one lacks what others have.
    """
    for name in ("validation_target", "test_target"):
        without = [file.path for file in files if name not in file.trials.columns]
        if 0 < len(without) < len(files):
            raise ValueError(
                f"{without[0]}: does not belong here: column {name!r} is missing, which other files have; {_ANEW}"
            )


def _as_asked(files: Sequence[CohortFile], trials: pl.DataFrame, spec: StudySpec, workload: str) -> bool:
    """Whether all rows are as they should be, seen at once: what `_wrong_rows` finds of each file, and faster."""
    cohorts = [file.cohort for file in files if file.cohort is not None]
    columns = ("workload", "cohort", "repeat", "seed", "steps", "metric", "minimize", "status", "loop")
    if len(cohorts) < len(files) or any(column not in trials.columns for column in columns):
        return False
    text = {
        point.id: json.dumps(dict(point.hyperparameters), sort_keys=True)
        for point in (spec.points or {}).get(workload, ())
    }
    expected = [(cohort.number, cohort.repeat, p.id, text[p.id]) for cohort in cohorts for p in cohort.points]
    names = ("cohort", "repeat", "point", "hyperparameters")
    made = pl.DataFrame(expected, schema={name: SCHEMA[name] for name in names}, orient="row")
    alike = {"workload": workload, "seed": spec.seed, "loop": "population"}
    alike |= {} if spec.steps is None else {"steps": spec.steps}
    return (
        trials.select(names).equals(made)
        # In one query: what a query costs by itself adds up over workloads.
        and all(
            trials.select(
                *(pl.col(name).eq_missing(pl.lit(value)).all() for name, value in alike.items()),
                *(pl.col(name).n_unique() == 1 for name in ("metric", "minimize")),
                pl.col("status").is_in(STATUSES, nulls_equal=True).all(),
            ).row(0)
        )
        and _wrong_curves(trials) is None
    )


def _wrong_columns(trials: pl.DataFrame) -> str | None:
    for name in FIRST_COLUMNS:
        if name not in trials.columns:
            return f"column {name!r} is missing"
        if trials[name].has_nulls():
            return f"column {name!r} has nulls"
    for name, found in trials.schema.items():
        expected = pl.List(pl.Float64) if "/" in name else SCHEMA.get(name)
        if expected is None or _alike(found, expected):
            continue
        return f"column {name!r} is of type {found}, must be {expected}"
    return None


def _alike(found: Any, expected: Any) -> bool:
    if isinstance(expected, pl.List):
        return found == pl.Null or (isinstance(found, pl.List) and _alike(found.inner, expected.inner))
    if expected == pl.Float64:
        return found == pl.Null or found.is_numeric()
    return found in (expected, pl.Null) or (expected == pl.Int64 and found.is_integer())


def _wrong_rows(
    trials: pl.DataFrame, spec: StudySpec, workload: str, number: int, cohort: Cohort | None
) -> str | None:
    """What does not hold of the rows, in words; None: nothing."""
    expected: dict[str, object] = {"workload": workload, "cohort": number}
    ours = "loop" not in trials.columns or (trials["loop"] == "population").all()
    if ours:
        expected |= {"seed": spec.seed, "steps": spec.steps}
        if cohort is not None:
            expected |= {"repeat": cohort.repeat}
    for name, value in expected.items():
        if name in trials.columns and value is not None:
            for found in trials[name].unique():
                if found != value:
                    return f"{name} is {found!r}, must be {value!r}"
    for name in ("metric", "minimize"):
        if name in trials.columns and trials[name].n_unique() > 1:
            return (
                f"{name} is {' and '.join(map(repr, trials[name].unique(maintain_order=True)))}, must be one"
            )
    for status in trials["status"].unique():
        if status not in STATUSES:
            return f"status is {status!r}, must be one of {', '.join(STATUSES)}"
    if not ours:
        return None
    return _wrong_points(trials, spec, workload, cohort) or _wrong_curves(trials)


def _wrong_points(trials: pl.DataFrame, spec: StudySpec, workload: str, cohort: Cohort | None) -> str | None:
    ids = trials["point"].to_list()
    if cohort is not None:
        asked = {point.id: point for point in cohort.points}
        if ids != list(asked):
            return f"points are {', '.join(map(str, ids))}, must be {', '.join(asked)}"
    elif spec.points is not None:
        asked = {point.id: point for point in spec.points[workload]}
        if unknown := [name for name in ids if name not in asked]:
            return f"point is {unknown[0]!r}, which the study has not"
    else:
        return None  # a strategy asks as it goes
    for name, text in zip(ids, trials["hyperparameters"], strict=True):
        hyperparameters = dict(asked[name].hyperparameters)
        if text != json.dumps(hyperparameters, sort_keys=True) and _decoded(text) != hyperparameters:
            return f"hyperparameters of point {name} are {text}, must be {json.dumps(hyperparameters)}"
    return None


def _decoded(text: object) -> object:
    try:
        return json.loads(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, RecursionError):
        return None


def _wrong_curves(trials: pl.DataFrame) -> str | None:
    steps = pl.col("global_step").list
    curves = [
        name
        for name, kind in trials.schema.items()
        if ("/" in name or name == "submission_seconds") and kind != pl.Null
    ]
    found = trials.select(
        (steps.diff(null_behavior="drop").list.min() > 0).all(),
        *((pl.col(name).list.len() == steps.len()).fill_null(True).all() for name in curves),
    ).row(0, named=True)
    if not found["global_step"]:
        return "global_step does not rise"
    for name in curves:
        if not found[name]:
            return f"{name} has another number of evaluations than global_step"
    return _missing_curves(trials.filter(steps.len() > 0))


def _missing_curves(trials: pl.DataFrame) -> str | None:
    """Of the metric that trials are judged by; other metrics may be some workload's alone, and so is a test split, but
    for trials that have a target on it."""
    if "metric" not in trials.columns:
        return None
    tested = "test_target" in trials.columns and trials["test_target"].is_not_null().any()
    for (metric,), rows in trials.group_by("metric", maintain_order=True):
        for name in (f"{role}/{metric}" for role in ("train", "validation", *["test"] * tested)):
            if name not in trials.columns or rows[name].has_nulls():
                return f"{name}, which metric {metric!r} needs, is missing"
    return None


def _differing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    for name, value in expected.items():
        if name in found and found[name] != value:
            return f"it was made for {name} = {found[name]!r}, here it is {value!r}"
    return None
