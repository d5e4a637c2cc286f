"""A trial's logs, in AlgoPerf's layout and with its column names.

    <experiment_dir>/<experiment_name>/<workload>_jax/trial_<i>/
        hparams.json  meta_data_<p>.json  flags_<p>.json  eval_measurements.csv  measurements.csv

p counts how often the trial was resumed. AlgoPerf's scoring reads the evaluations, and step hint and budget from the
metadata. A row is appended as it comes; only a new column makes a file be written anew.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from submissions import environment
from submissions.api.failures import Refused
from workloads.data import reading
from workloads.data.files import naming, write_atomically

if TYPE_CHECKING:
    from submissions.api._trial_spec import TrialSpec

EVALUATIONS, MEASUREMENTS = "eval_measurements.csv", "measurements.csv"
KEPT = "evaluations.jsonl"  # the same evaluations, for checkpoints to count on

# What tools that read logs look for.
FACTS = (
    "eval_batch_size", "eval_period_time_sec", "max_allowed_runtime_sec", "num_eval_train_examples",
    "num_test_examples", "num_train_examples", "num_validation_examples", "step_hint", "target_metric_name",
    "test_target_value", "validation_target_value",
)  # fmt: skip


class TrialLogs:
    """The files of one trial."""

    def __init__(self, folder: Path, resume: bool = False) -> None:
        """Nothing is written yet.

        Args:
          folder: of the trial.
          resume: whether to go on with the files that are there.
        """
        self.folder = folder
        earlier = [
            int(m[1])
            for p in reading.matching(folder, "meta_data_*.json")
            if (m := re.search(r"_(\d+)\.json", p.name))
        ]
        self.preemption_count = max(earlier, default=-1) + 1 if resume else 0

    def begin(self, spec: TrialSpec, workload: Any) -> None:
        """Writes down what is about to be done, and on what."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if spec.hyperparameters is not None:
            self._json("hparams.json", dict(spec.hyperparameters), indent=2)
        self._json(f"meta_data_{self.preemption_count}.json", _metadata(spec, workload))
        self._json(f"flags_{self.preemption_count}.json", dict(spec.flags))

    def evaluation(self, row: Mapping[str, Any]) -> None:
        """A row of both tables."""
        _append(self.folder / EVALUATIONS, dict(sorted(row.items())))
        _append(self.folder / MEASUREMENTS, row)

    def scalars(self, metrics: Mapping[str, Any], global_step: int) -> None:
        """What a submission logs itself."""
        row = {name: _number(value) for name, value in metrics.items()}
        _append(
            self.folder / MEASUREMENTS,
            {**row, "global_step": int(global_step), "preemption_count": self.preemption_count},
        )

    def end(self, score: float, global_step: int) -> None:
        """The last row."""
        row = {"score": score, "global_step": global_step, "preemption_count": self.preemption_count}
        _append(self.folder / MEASUREMENTS, row)

    def check_data(self, workload: Any, spec: TrialSpec) -> None:
        """Accepts the data that the trial has been trained on so far.

        Raises:
          Refused: it was begun on others.
        """
        earlier = self.folder / f"meta_data_{self.preemption_count - 1}.json"
        if not earlier.is_file():
            return
        try:
            there = json.loads(earlier.read_text(encoding="utf-8")).get("shortlist.data")
        except (ValueError, AttributeError, RecursionError) as error:
            raise Refused(f"{earlier}: not a trial's metadata ({error}); restore or delete it") from error
        now = _data(workload, spec)
        if there not in (None, now):
            raise Refused(
                f"{self.folder}: trial {spec.trial} was begun on {there!r}, now {now!r}; give the data_dir that it "
                "began with, or another --experiment-name, or --overwrite"
            )

    def go_on(self, global_step: int, eval_results: Sequence[tuple[int, Mapping[str, Any]]]) -> list[str]:
        """Makes both tables hold what a trial has made so far: rows of steps that will be made again are dropped, and
        evaluations that are missing come from the checkpoint.

        Args:
          global_step: steps made.
          eval_results: of them.

        Returns:
          What had to be mended, a line each.
        """
        if not global_step:
            for name in (EVALUATIONS, MEASUREMENTS):
                (self.folder / name).unlink(missing_ok=True)
            return []
        mended = []
        made = [dict(sorted(row.items())) for _, row in eval_results]
        file = self.folder / EVALUATIONS
        if why := _differ(file, made):
            mended.append(f"{file}: {why}; its {len(made)} rows are restored from the checkpoint")
            _rewrite(file, _names(made), made)
        else:
            self._drop_after(file, global_step)
        file = self.folder / MEASUREMENTS
        if why := _differ(file, [dict(row) for _, row in eval_results]):
            own = _own_rows(file, global_step)
            also = "" if own else " (what the submission logged itself is lost)"
            mended.append(f"{file}: {why}; its evaluations are restored from the checkpoint{also}")
            # A submission's scalars carry the number of steps before theirs, evaluations that of steps made.
            rows = [
                *((int(float(row["global_step"])), 0, row) for row in own),
                *((s, -1, r) for s, r in eval_results),
            ]
            rows.sort(key=lambda found: found[:2])
            _rewrite(file, _names([row for *_, row in rows]), [row for *_, row in rows])
        else:
            self._drop_after(file, global_step)
        return mended

    def evaluations(self) -> list[dict[str, Any]]:
        """The evaluations that the table of them holds, as they were when they were made.

        Raises:
          ValueError: it is no such table.
        """
        return [
            {name: _value(text) for name, text in row.items() if text}
            for row in read_rows(self.folder / EVALUATIONS)
        ]

    def _drop_after(self, file: Path, global_step: int) -> None:
        header = _header(file)
        if header is not None:
            rows = (row for row in read_rows(file) if _is_made(row, global_step))
            # The last row of a run that had ended is written again when this one ends.
            _rewrite(file, header, [row for row in rows if not _is_end(row)])

    def metrics_logger(self) -> MetricsLogger:
        """What `workload.metrics_logger` is."""
        return MetricsLogger(self)

    def _json(self, name: str, content: Mapping[str, Any], indent: int | None = 1) -> None:
        write_atomically(self.folder / name, json.dumps(content, indent=indent).encode() + b"\n")


class MetricsLogger:
    """By which a submission logs scalars, as with AlgoPerf's."""

    def __init__(self, logs: TrialLogs) -> None:
        self._logs = logs

    def append_scalar_metrics(
        self,
        metrics: Mapping[str, Any],
        global_step: int,
        preemption_count: int | None = None,
        is_eval: bool = False,
    ) -> None:
        """A row of measurements.csv. Numbers are fetched from the device, which waits for it.

        Args:
          metrics: name -> scalar.
          global_step: of the row.
          preemption_count: known anyway.
          is_eval: evaluations are the runner's to log; a submission's rows are never theirs.
        """
        del preemption_count, is_eval
        self._logs.scalars(metrics, global_step)

    def finish(self) -> None:
        """There is nothing left to write."""


def read_rows(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none if there is no file. A half-written last line, of a kill, is dropped.

    Raises:
      ValueError: it is no such table.
    """
    if not file.is_file():
        return []
    try:
        text = file.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        rows = [row for row in csv.DictReader(io.StringIO(whole)) if None not in row.values()]
        for row in rows:
            if None in row or not math.isfinite(float(row["global_step"])):
                raise ValueError(f"a row is {list(row.values())}")
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        said = f"no column {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{file}: not a table of a trial's logs ({said}); restore it") from error
    return rows


def _differ(file: Path, made: list[dict[str, Any]]) -> str:
    """Why a table does not hold these evaluations, "" if it does."""
    if not made:
        return ""
    if not file.is_file():
        return "is missing"
    try:
        rows = read_rows(file)
    except ValueError:
        return "cannot be read"
    there = {row["global_step"]: row for row in rows if row.get("accumulated_eval_time")}
    for row in made:
        found = there.get(str(row["global_step"]))
        if found is None:
            return f"lacks the evaluation of step {row['global_step']}"
        if any(found.get(name) != _text(value) for name, value in row.items()):
            return f"has another evaluation of step {row['global_step']}"
    return ""


def _own_rows(file: Path, global_step: int) -> list[dict[str, str]]:
    """What can be read of the rows that a submission logged itself, over the steps that were made."""
    try:
        rows = read_rows(file)
    except ValueError:
        return []
    own = (row for row in rows if not row.get("accumulated_eval_time") and not _is_end(row))
    return [row for row in own if _is_made(row, global_step)]


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _text(value: Any) -> str:
    """A value as a table has it."""
    return "" if value is None else str(value)


def _value(text: str) -> float | int:
    """What a table has as a text; see `_text`."""
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _is_made(row: Mapping[str, str], steps: int) -> bool:
    """Whether a row belongs to the first steps. A submission's scalars carry the number of steps before theirs."""
    evaluated = bool(row.get("accumulated_eval_time"))
    return float(row["global_step"]) < steps + evaluated


def _is_end(row: Mapping[str, str]) -> bool:
    return {name for name, value in row.items() if value} == {"score", "global_step", "preemption_count"}


def _append(file: Path, row: Mapping[str, Any]) -> None:
    header = _header(file)
    if header is None or not set(row) <= set(header):
        earlier = read_rows(file)
        _rewrite(
            file, [*(header or []), *(name for name in row if name not in (header or []))], [*earlier, row]
        )
        return
    line = io.StringIO()
    csv.DictWriter(line, header, restval="", lineterminator="\n").writerow(row)
    with naming(file), file.open("a", encoding="utf-8", newline="") as out:
        out.write(line.getvalue())


def _header(file: Path) -> list[str] | None:
    if not file.is_file():
        return None
    with file.open(encoding="utf-8", newline="") as lines:
        return next(csv.reader(lines), None)


def _rewrite(file: Path, header: list[str], rows: Sequence[Mapping[str, Any]]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(file, out.getvalue().encode())


def _number(value: Any) -> float | int:
    return value if isinstance(value, int) else float(value)


def _fact(workload: Any, name: str) -> Any:
    """None where there is none: AlgoPerf's own logs would repeat the value of the property before it."""
    try:
        return getattr(workload, name)
    except (AttributeError, NotImplementedError):
        return None


def _metadata(spec: TrialSpec, workload: Any) -> dict[str, Any]:
    facts = {f"workload.{name}": _fact(workload, name) for name in FACTS}
    return {name: value for name, value in facts.items() if value is not None} | {
        "rng_seed": spec.seed,
        "os_platform": platform.platform(),
        "python_version": platform.python_version(),
        "python_compiler": platform.python_compiler(),
        "cpu_count": os.cpu_count(),
        "device": environment.device(),
        "device_count": jax.device_count(),
        "shortlist.processes": jax.process_count(),
        "shortlist.host": environment.host(),
        "shortlist.workload": spec.workload,
        "shortlist.data": _data(workload, spec),
        "shortlist.precision": spec.precision,
        "shortlist.micro_batches": spec.micro_batches,
        "shortlist.matmul_precision": getattr(jax.config, "jax_default_matmul_precision", None) or "default",
        "shortlist.tuning_ruleset": spec.ruleset,
        "shortlist.command": environment.command() or " ".join(sys.orig_argv),
        **{f"version.{name}": version for name, version in environment.versions().items()},
    }


def _data(workload: Any, spec: TrialSpec) -> str:
    """What a trial is trained on."""
    own = getattr(workload, "workload", None)  # of a view
    return str(own.data.provenance) if own is not None else f"AlgoPerf's own, in {spec.data_dir}"
