"""The folder of a meta-training as data: what it is, its record, and what its weights were worth. No JAX.

| file | holds |
|---|---|
| `meta_training.json` | the plan, and what made the weights |
| `weights.msgpack` | the newest weights |
| `weights_N.msgpack` | those after N outer steps, where they are kept |
| `record.jsonl` | a row for every interval of outer steps, and one for every change of how it is trained |
| `state.json` | how far it is to go, and whether it has ended |
| `evaluations.jsonl` | a row for every training of a fixed workload with weights of this folder, and who made them |

Training and evaluation are processes of their own, and people read while both write: files are whole or not there, and
of files of rows the last counts only with its line break.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workloads.data import reading
from workloads.data.files import append_line, write_atomically

DESCRIPTION, WEIGHTS, RECORD = "meta_training.json", "weights.msgpack", "record.jsonl"
STATE, EVALUATIONS = "state.json", "evaluations.jsonl"
_KEPT = re.compile(r"weights_(\d+)\.msgpack")
CAP = 2.0  # what a loss relative to that of fresh parameters counts at most, and where a training diverged
OWN_KEY = ("outer_step", "workload", "steps", "seed")  # of an evaluation
EVALUATION = {
    "outer_step": pl.Int64,
    "weights": pl.String,
    "workload": pl.String,
    "steps": pl.Int64,
    "seed": pl.Int64,
    "status": pl.String,
    "diverged_step": pl.Int64,
    "train_loss": pl.Float64,
    "initial_loss": pl.Float64,
    "relative_loss": pl.Float64,
    "validation_loss": pl.Float64,
    "metric": pl.String,
    "minimize": pl.Boolean,
    "validation_metric": pl.Float64,
    "seconds": pl.Float64,
    "compile_seconds": pl.Float64,
    "data": pl.String,
}


@dataclasses.dataclass(frozen=True, eq=False)
class MetaTrainingRecord:
    """What a folder holds.

    Attributes:
      folder: its path.
      description: of `meta_training.json`: plan, parts, made_by, data.
      state: of `state.json`; {} where there is none.
      rows: a row per interval of outer steps, columns as in the file but for `workloads`; null where a row lacks one.
      workloads: outer_step, workload, meta_loss: the mean on it in that interval.
      changes: outer_step, name, before, after: what was changed while it ran, both as JSON.
      evaluations: columns of `EVALUATION`; of several of one outer step, workload, steps and seed the last.
      evaluators: what made them: device, versions, command of every process.
    """

    folder: Path
    description: Mapping[str, Any]
    state: Mapping[str, Any]
    rows: pl.DataFrame
    workloads: pl.DataFrame
    changes: pl.DataFrame
    evaluations: pl.DataFrame
    evaluators: tuple[Mapping[str, Any], ...]


def is_meta_training(path: Path) -> bool:
    """Whether a path is the folder of a meta-training."""
    return (Path(path) / DESCRIPTION).is_file()


def read_description(folder: Path) -> dict[str, Any]:
    """What a meta-training is.

    Raises:
      FileNotFoundError: there is none.
      ValueError: the file is damaged.
    """
    file = Path(folder) / DESCRIPTION
    reading.check_file(file, "no meta-training here; 'shortlist meta-train --out' makes such folders")
    description = _object(file)
    if not {"plan", "data", "made_by"} <= description.keys():
        raise ValueError(f"{file}: has no plan, data and made_by; not the description of a meta-training")
    return description


def read_meta_training(folder: Path) -> MetaTrainingRecord:
    """All that a folder holds but weights; a training may be writing to it.

    Raises:
      FileNotFoundError: there is no meta-training.
      ValueError: a file is damaged.
    """
    folder = Path(folder)
    description = read_description(folder)
    lines = _lines(folder / RECORD)
    rows = [line for line in lines if "changed" not in line]
    changes = [
        (line["outer_step"], name, *map(json.dumps, both))
        for line in lines
        if "changed" in line
        for name, both in line["changed"].items()
    ]
    losses = [
        (row["outer_step"], name, loss) for row in rows for name, loss in (row.get("workloads") or {}).items()
    ]
    plain = [{name: value for name, value in row.items() if name != "workloads"} for row in rows]
    evaluations, evaluators = read_evaluations(folder)
    of_losses = {"outer_step": pl.Int64, "workload": pl.String, "meta_loss": pl.Float64}
    of_changes = dict.fromkeys(("name", "before", "after"), pl.String)
    return MetaTrainingRecord(
        folder,
        description,
        read_state(folder),
        _frame(plain),
        pl.DataFrame(losses, schema=of_losses, orient="row"),
        pl.DataFrame(changes, schema={"outer_step": pl.Int64, **of_changes}, orient="row"),
        evaluations.unique(OWN_KEY, keep="last", maintain_order=True).sort("outer_step", maintain_order=True),
        evaluators,
    )


def read_state(folder: Path) -> dict[str, Any]:
    """How far a meta-training is to go, and whether the process that trains it has ended; {} where it has not begun."""
    file = Path(folder) / STATE
    return _object(file) if file.exists() else {}


def write_state(folder: Path, outer_step: int, outer_steps: int, ended: bool) -> None:
    """Says how far a meta-training is, for those who wait for its weights.

    Args:
      folder: of the meta-training.
      outer_step: made.
      outer_steps: asked for.
      ended: no process trains it any more, until another one begins.
    """
    content = {"outer_step": outer_step, "outer_steps": outer_steps, "ended": ended}
    write_atomically(Path(folder) / STATE, json.dumps(content).encode() + b"\n")


def kept_weights(folder: Path) -> dict[int, Path]:
    """Outer step -> file of the weights that were kept after it, by rising step; the newest are not among them."""
    found = {
        int(match[1]): path
        for path in reading.matching(Path(folder), "weights_*.msgpack")
        if (match := _KEPT.fullmatch(path.name))
    }
    return dict(sorted(found.items()))


def weights_name(outer_step: int) -> str:
    """The name of the file of weights that are kept.

    Example:
      >>> weights_name(200)
      'weights_200.msgpack'
    """
    return f"weights_{outer_step}.msgpack"


def read_evaluations(folder: Path) -> tuple[pl.DataFrame, tuple[Mapping[str, Any], ...]]:
    """All rows of evaluations in the order in which they were made, columns of `EVALUATION`; and what made them.

    Raises:
      ValueError: a line has other keys.
    """
    file = Path(folder) / EVALUATIONS
    rows, evaluators = [], []
    for line in _lines(file):
        if "evaluator" in line:
            evaluators.append(line["evaluator"])
        elif line.keys() == EVALUATION.keys():
            rows.append(line)
        else:
            differing = sorted(line.keys() ^ EVALUATION.keys())
            raise ValueError(f"{file}: a row has {differing[0]!r} too much or not at all")
    return pl.DataFrame(rows, schema=EVALUATION, orient="row"), tuple(evaluators)


def add_evaluations(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Adds rows, all of them or none; a kill in between leaves what was there.

    Args:
      folder: of the meta-training.
      rows: with the keys of `EVALUATION`, or `evaluator` alone.
    """
    append_line(Path(folder) / EVALUATIONS, b"\n".join(json.dumps(row).encode() for row in rows))


def mend_evaluations(folder: Path) -> None:
    """Cuts off half a line, which a machine that went down may have left; for those who are about to add."""
    file = Path(folder) / EVALUATIONS
    if not file.exists():
        return
    with file.open("r+b") as lines:
        content = lines.read()
        if content and not content.endswith(b"\n"):
            lines.truncate(content.rfind(b"\n") + 1)


def _object(file: Path) -> dict[str, Any]:
    content = reading.read_json(file)
    if not isinstance(content, dict):
        raise ValueError(f"{file}: holds no JSON object")
    return content


def _frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as numbers, null where a key is missing or its value is no number."""
    names = dict.fromkeys(name for row in rows for name in row)
    numbers = {name: pl.Series([row.get(name) for row in rows], dtype=pl.Float64) for name in names}
    whole = [
        name for name in ("outer_step", "inner_steps", "accepted", "refused", "workers") if name in names
    ]
    return pl.DataFrame(numbers).fill_nan(None).with_columns(pl.col(whole).cast(pl.Int64))


def _lines(file: Path) -> list[dict[str, Any]]:
    """Whole lines of a file of rows; [] where there is none."""
    if not file.exists():
        return []
    content = file.read_bytes()
    return list(_parsed(file, content[: content.rfind(b"\n") + 1].splitlines()))


def _parsed(file: Path, lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{file}: line {number} is no JSON ({error})") from None
        if not isinstance(row, dict) or ("outer_step" not in row and "evaluator" not in row):
            raise ValueError(f"{file}: line {number} has no outer_step")
        yield row
