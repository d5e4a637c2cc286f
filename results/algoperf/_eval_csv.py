"""Thousands of `eval_measurements.csv` as one table.

Files with the same header are glued together and parsed in one call, which costs a few microseconds a line;
opening a data frame per file costs a millisecond each. Only a file with something wrong is read line by line,
and says what.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import polars as pl

from results._results import EVAL_COLUMNS, LeftOut

LFS_POINTER = b"version https://git-lfs.github.com/spec"
LOSSES = ("validation/loss", "validation/ctc_loss")
MOST_STEPS = 2**53  # beyond which floating point does not tell whole numbers apart

# What `read_eval_csvs` returns: EVAL_COLUMNS, and whether the validation loss was a finite number (true
# where the file has none). A trial with a lost loss diverged, even if its accuracy still counts as a number.
COLUMNS: dict[str, pl.DataType] = {
    **EVAL_COLUMNS,
    "loss_is_finite": pl.Boolean(),
}


@dataclasses.dataclass(frozen=True)
class EvalCsv:
    """One file, read but not parsed."""

    trial_id: int
    path: str
    metric: str  # the workload's target metric, such as "ssim"
    content: bytes


def read_eval_csvs(files: Sequence[EvalCsv]) -> tuple[pl.DataFrame, list[LeftOut]]:
    """Parses evaluation files.

    Numbers equal Python's `float` of the text, bit for bit. An empty field is null, as is NaN. A line cut
    off at the end of a file is left out even if it looks whole: its last number may have lost digits.

    Args:
      files: contents, each with its trial.

    Returns:
      A table with `COLUMNS`, and what was left out of which file.
    """
    left_out: list[LeftOut] = []
    tables = [pl.DataFrame(schema=COLUMNS)]
    groups: dict[tuple[bytes, str], list[EvalCsv]] = {}
    careful: list[EvalCsv] = []
    for file in files:
        header, _, body = file.content.partition(b"\n")
        if body and _is_plain(header, body):
            groups.setdefault((header, file.metric), []).append(file)
        else:
            careful.append(file)
    for (header, metric), group in groups.items():
        table = _glued(header, metric, group)
        if table is None:
            careful += group
        else:
            tables.append(table)
    for file in careful:
        tables.append(_line_by_line(file, left_out))
    return pl.concat(tables).sort("trial_id", "eval_index"), left_out


def _is_plain(header: bytes, body: bytes) -> bool:
    """Whether every line has as many fields as the header, without quotes, up to a final line end.

    Each line counts: one too long makes up for one too short in a sum, and the parser would take both.
    """
    fields = header.count(b",")
    return (
        body.endswith(b"\n")
        and not any(byte in header or byte in body for byte in (b'"', b"\r", b"\0"))
        and all(line.count(b",") == fields for line in body.splitlines())
    )


def _glued(header: bytes, metric: str, files: Sequence[EvalCsv]) -> pl.DataFrame | None:
    """All files of one header in one parse; None if any value or column is not as it should be."""
    names = header.decode(errors="replace").split(",")
    columns = _columns(names, metric)
    if columns is None:
        return None
    bodies = [file.content[len(header) + 1 :] for file in files]
    try:
        raw = pl.read_csv(
            b"".join([header, b"\n", *bodies]),
            columns=sorted(set(columns.values())),
            schema_overrides=dict.fromkeys(columns.values(), pl.Float64),
            infer_schema=False,
        )
    except pl.exceptions.PolarsError:
        return None
    counts = pl.Series([body.count(b"\n") for body in bodies], dtype=pl.Int64)
    if len(raw) != counts.sum():
        return None
    steps = raw["global_step"]
    if steps.null_count() or not (steps.is_between(0, MOST_STEPS) & (steps == steps.floor())).all():
        return None
    # NaN is an empty field; what is infinite may be too large a number, which only the text tells.
    if any(raw[name].is_infinite().any() for name in set(columns.values())):
        return None
    if "submission_seconds" in columns and (raw[columns["submission_seconds"]] < 0).any():
        return None
    ids = pl.DataFrame({"trial_id": [file.trial_id for file in files], "count": counts})
    trial_ids = ids.select(pl.col("trial_id").repeat_by("count").explode())["trial_id"]
    absent = [name for name, dtype in COLUMNS.items() if dtype == pl.Float64 and name not in columns]
    finite = pl.col("loss").is_finite().fill_null(False) if "loss" in columns else pl.lit(True)
    return (
        raw.select(**{ours: pl.col(theirs) for ours, theirs in columns.items()})
        .with_columns(pl.lit(None, pl.Float64).alias(name) for name in absent)
        .with_columns(loss_is_finite=finite)
        .with_columns(trial_ids.cast(pl.Int64), pl.col("global_step").cast(pl.Int64))
        .with_columns(eval_index=pl.int_range(pl.len(), dtype=pl.Int64).over("trial_id"))
        .select(list(COLUMNS))
        .with_columns(pl.col(pl.Float64).fill_nan(None))
    )


def _columns(names: Sequence[str], metric: str) -> dict[str, str] | None:
    """Our column -> the file's; None if one is missing that nothing can be judged without, or one repeats."""
    if len(set(names)) != len(names) or "global_step" not in names or f"validation/{metric}" not in names:
        return None
    columns = {"global_step": "global_step"}
    optional = {
        "submission_seconds": ("accumulated_submission_time", "score"),
        "validation_metric": (f"validation/{metric}",),
        "test_metric": (f"test/{metric}",),
        "train_metric": (f"train/{metric}",),
        "loss": LOSSES,
    }
    for ours, theirs in optional.items():
        if found := [name for name in theirs if name in names]:
            columns[ours] = found[0]
    return columns


def _line_by_line(file: EvalCsv, left_out: list[LeftOut]) -> pl.DataFrame:
    """The lines that can be used, and a note on everything else."""
    content = file.content.removeprefix(b"\xef\xbb\xbf")
    text = content.decode(errors="replace").replace("\r\n", "\n")
    header, *lines = text.split("\n")
    names = _fields(header)
    columns = _columns(names, file.metric)
    nothing = pl.DataFrame(schema=COLUMNS)
    if content.startswith(LFS_POINTER):
        reason = "a Git LFS pointer, not the data; 'git lfs pull' fetches it"
    elif not text.strip():
        reason = "an empty file; its targets count as missed"
    elif columns is None:
        reason = _wrong_header(names, file.metric)
    elif not any(lines):
        reason = "a header without evaluations; its targets count as missed"
    else:
        rows, wrong = _usable(lines, names, columns)
        if wrong:
            count = f"{len(wrong)} lines" if len(wrong) > 1 else "1 line"
            left_out.append(LeftOut(file.path, f"{count} left out: {wrong[0]}"))
        if not rows:
            return nothing
        table = {name: [row.get(name) for row in rows] for name in COLUMNS}
        table["trial_id"], table["eval_index"] = [file.trial_id] * len(rows), list(range(len(rows)))
        return pl.DataFrame(table, schema=COLUMNS)
    left_out.append(LeftOut(file.path, reason))
    return nothing


def _usable(
    lines: Sequence[str], names: Sequence[str], columns: dict[str, str]
) -> tuple[list[dict[str, float | int | None]], list[str]]:
    *whole, cut = lines  # text after the last line end
    rows, wrong = [], []
    for number, line in enumerate(whole, start=2):
        if not line.strip():
            continue
        fields = _fields(line)
        if len(fields) != len(names):
            wrong.append(f"line {number} has {len(fields)} fields, the header {len(names)}")
            continue
        given = dict(zip(names, fields, strict=True))
        try:
            row = {ours: _number(given[theirs]) for ours, theirs in columns.items()}
        except ValueError:
            bad = next(f for f in columns.values() if not _is_number(given[f]))
            wrong.append(f"line {number}: {bad} is {given[bad][:40]!r}, not a number that a computer holds")
            continue
        step, seconds = row["global_step"], row.get("submission_seconds")
        if step is None or step != math.floor(step) or not 0 <= step <= MOST_STEPS:
            wrong.append(
                f"line {number}: global_step is {given['global_step'][:40]!r}, not a whole number from 0 on"
            )
            continue
        if seconds is not None and seconds < 0:
            name = columns["submission_seconds"]
            wrong.append(f"line {number}: {name} is {given[name][:40]!r}; seconds must be 0 or more")
            continue
        finite = "loss" not in row or row["loss"] is not None
        rows.append(row | {"global_step": int(step), "loss_is_finite": finite})
    if cut:
        wrong.append(f"line {len(lines) + 1} has no line end, so it may be cut off; add one if it is whole")
    return rows, wrong


def _fields(line: str) -> list[str]:
    return [field.strip().strip('"') for field in line.split(",")]


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    value = float(text)
    if math.isinf(value) and "inf" not in text.lower():
        raise ValueError(f"{text!r} is beyond floating point")
    return value if math.isfinite(value) else None


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True


def _wrong_header(names: Sequence[str], metric: str) -> str:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        return f"column {repeated[0]} repeats; not used"
    missing = [name for name in ("global_step", f"validation/{metric}") if name not in names]
    shown = ", ".join(name[:40] for name in names[:5])
    return f"no column {' and no column '.join(missing)} (it starts {shown}); not used"
