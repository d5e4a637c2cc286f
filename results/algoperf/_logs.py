"""AlgoPerf's log folders as `Results`.

Nothing in a tree stops the reader: what cannot be used is listed with its reason, and a trial that left no
evaluations is still a trial, one that missed its target.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import polars as pl

from results._results import EVAL_COLUMNS, LeftOut, Results
from results.algoperf import _checks as _log_checks
from results.algoperf._eval_csv import EvalCsv, read_eval_csvs
from results.algoperf._tree import TrialFolder, find_trials
from workloads.benchmarks import BENCHMARKS, BenchmarkWorkload, Ruleset, benchmark, minimizes
from workloads.data import reading

Progress = Callable[[str, int, int], None]
T = TypeVar("T")
R = TypeVar("R")
_SORTED = json.JSONEncoder(sort_keys=True)

PARSED_AT_ONCE = 2048  # files in memory at a time: some 25 megabytes, and enough to parse together
INSTALLED = "algoperf-installed/"  # names of a real AlgoPerf's workloads, in logs of our runner
FOLDERS = {"self_tuning": "self", "external_tuning": "external"}  # of AlgoPerf's repository -> ruleset
READ_AT_ONCE = 32  # files per task of a thread, so that handing out tasks costs less than reading
# Reading small files is waiting, on a disk or a network, so more threads than cores.
THREADS = min(16, 4 * (os.cpu_count() or 1))


class _Metadata(msgspec.Struct):
    """The part of meta_data_0.json that matters here."""

    step_hint: float | None = msgspec.field(name="workload.step_hint", default=None)
    max_runtime_seconds: float | None = msgspec.field(name="workload.max_allowed_runtime_sec", default=None)
    eval_period_seconds: float | None = msgspec.field(name="workload.eval_period_time_sec", default=None)
    metric: str | None = msgspec.field(name="workload.target_metric_name", default=None)
    validation_target: float | None = msgspec.field(name="workload.validation_target_value", default=None)
    test_target: float | None = msgspec.field(name="workload.test_target_value", default=None)
    ruleset: str | None = msgspec.field(name="shortlist.tuning_ruleset", default=None)
    own_name: str | None = msgspec.field(name="shortlist.workload", default=None)
    data: str | None = msgspec.field(name="shortlist.data", default=None)
    precision: str = msgspec.field(name="shortlist.precision", default="float32")

    @property
    def is_ours(self) -> bool:
        """Whether a workload of ours was trained, which no benchmark version knows."""
        return self.own_name is not None and not self.own_name.startswith(INSTALLED)


class _Flags(msgspec.Struct):
    """The part of flags_0.json that matters here."""

    tuning_ruleset: str | None = None


@dataclasses.dataclass(frozen=True)
class _Trial:
    folder: TrialFolder
    metadata: _Metadata
    hyperparameters: str  # JSON with sorted keys; "{}" in self-tuning
    has_point: bool  # whether there is an hparams.json, readable or not
    stated_ruleset: str | None  # by flags, metadata or a folder's name


def read_algoperf_logs(
    path: Path, benchmark_version: str | None = None, progress: Progress | None = None
) -> Results:
    """Reads a tree of AlgoPerf logs, from any of its levels.

    Budgets are each trial's own, from its metadata, times the factor of its ruleset; where it has none, the
    benchmark version's. The ruleset is what the trial's flags say (flags_0.json), or else its metadata, or a folder
    named self_tuning or external_tuning, in which AlgoPerf publishes them. Metrics, directions and targets are the
    version's, as in AlgoPerf's scoring. Trials of our own runner on workloads of ours belong to no benchmark version;
    all about them is their own, data included.

    Args:
      path: one study, one submission, a folder of submissions, or a folder of such folders.
      benchmark_version: such as "v0.5". By default it is inferred, per folder of submissions, from the step
        hints and runtimes that the trials recorded.
      progress: called with (what, done, total).

    Raises:
      FileNotFoundError: no such folder.
      PermissionError: a trial's file may not be read.
      ValueError: no trials in it, or the benchmark version cannot be told.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; give a tree of AlgoPerf logs")
    folders, left_out = find_trials(path)
    if not folders:
        layout = "<submission>/study_<k>/<workload>_<jax|pytorch>/trial_<i>"
        raise ValueError(f"{path}: no AlgoPerf trials below it; the layout is {layout}")
    versions: dict[str, str | None] = {}
    notes: list[str] = []
    trials = list(_read_json(folders, left_out, progress))
    for leaderboard in sorted({folder.leaderboard for folder in folders}):
        members = [trial for trial in trials if trial.folder.leaderboard == leaderboard]
        theirs = [trial for trial in members if not trial.metadata.is_ours]
        versions[leaderboard] = (benchmark_version or _infer(theirs, notes)) if theirs else None
    stated = [trial.stated_ruleset for trial in trials]
    names = [(trial.folder.leaderboard, trial.folder.submission) for trial in trials]
    rulesets, untold = _log_checks.told_rulesets(stated, [trial.has_point for trial in trials], names)
    notes += untold
    _check_unique(folders, rulesets, versions)
    notes += _mixed(folders, rulesets, versions)
    paths = [trial.folder.path for trial in trials]
    ruleset_of: dict[str, Ruleset] = dict(zip(paths, rulesets, strict=True))
    trials = [t for t in trials if _is_known(t, versions[t.folder.leaderboard], left_out)]
    if not trials:
        raise ValueError(f"{path}: all of its workloads are unknown, {left_out[-1].path} the last")
    table = _table(trials, versions, ruleset_of)
    evals = _read_evals(trials, table, left_out, progress)
    table = table.join(_log_checks.statuses(table, evals), on="trial_id", maintain_order="left")
    return Results(
        trials=table,
        evals=evals,
        left_out=tuple(sorted(set(left_out), key=lambda item: (item.path, item.reason))),
        source=str(path),
        kind="algoperf-logs",
        about={"benchmarks": versions, "benchmark_given": benchmark_version is not None},
        warnings=(*notes, *_log_checks.warnings(table, evals)),
    )


def _read_json(
    folders: Sequence[TrialFolder], left_out: list[LeftOut], progress: Progress | None
) -> Iterator[_Trial]:
    contents = _in_threads(_json_files, folders, "read metadata", progress)
    for folder, (metadata, hyperparameters, flags) in zip(folders, contents, strict=True):
        facts = _metadata(metadata, f"{folder.path}/meta_data_0.json", left_out)
        yield _Trial(
            folder,
            facts,
            _hyperparameters(hyperparameters, f"{folder.path}/hparams.json", left_out),
            hyperparameters is not None,
            _ruleset(flags, facts, folder, left_out),
        )


def _json_files(folder: TrialFolder) -> tuple[bytes | None, bytes | None, bytes | None]:
    metadata, hyperparameters, flags = "meta_data_0.json", "hparams.json", "flags_0.json"
    return (
        _bytes(f"{folder.path}/{metadata}"),
        _bytes(f"{folder.path}/{hyperparameters}"),
        _bytes(f"{folder.path}/{flags}"),
    )


def _ruleset(
    content: bytes | None, metadata: _Metadata, folder: TrialFolder, left_out: list[LeftOut]
) -> str | None:
    """What says the ruleset, flags first; None where nothing does."""
    path = f"{folder.path}/flags_0.json"
    flags = _Flags()
    if content is not None:
        try:
            flags = _decode(content, _Flags)
        except (ValueError, RecursionError, msgspec.MsgspecError) as error:
            left_out.append(LeftOut(path, f"not usable ({_first_line(error)})"))
    for said, where in ((flags.tuning_ruleset, path), (metadata.ruleset, f"{folder.path}/meta_data_0.json")):
        if said in _log_checks.RULESETS:
            return said
        if said is not None:
            allowed = ", ".join(_log_checks.RULESETS)
            left_out.append(LeftOut(where, f"tuning_ruleset {said[:40]!r} is not known (allowed: {allowed})"))
    # The nearest folder that is named so, as in AlgoPerf's repository of logs.
    named = (FOLDERS.get(part) for part in reversed(Path(os.path.abspath(folder.leaderboard)).parts))
    return next(filter(None, named), None)


def _bytes(path: str) -> bytes | None:
    """The content of a file; None where there is none, or none that can be read.

    Raises:
      PermissionError: it may not be read: that is no trial's fault, and its targets are not missed for it.
    """
    try:
        return reading.read_bytes(path)
    except PermissionError:
        raise
    except (OSError, ValueError):  # ValueError: a pipe, a device
        return None


def _in_threads(
    function: Callable[[T], R], items: Sequence[T], what: str, progress: Progress | None
) -> Iterator[R]:
    """function of each item, in order."""
    parts = [items[start : start + READ_AT_ONCE] for start in range(0, len(items), READ_AT_ONCE)]
    done = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for results in pool.map(lambda part: [function(item) for item in part], parts):
            yield from results
            done += len(results)
            if progress:
                progress(what, done, len(items))


def _metadata(content: bytes | None, path: str, left_out: list[LeftOut]) -> _Metadata:
    if content is None:
        return _Metadata()
    try:
        metadata = _decode(content, _Metadata)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        reason = f"not usable ({_first_line(error)}); budgets are the benchmark's"
        left_out.append(LeftOut(path, reason))
        return _Metadata()
    impossible = {
        name: value
        for name, value in msgspec.structs.asdict(metadata).items()
        if isinstance(value, float) and not (math.isfinite(value) and (value > 0 or name.endswith("target")))
    }
    for name, value in impossible.items():
        must = "a finite number" if name.endswith("target") else "positive"
        left_out.append(
            LeftOut(path, f"{name} is {value:g}, must be {must}; the benchmark's is used if it has one")
        )
    return msgspec.structs.replace(metadata, **dict.fromkeys(impossible))


def _decode(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError:
        # Python writes NaN into JSON, for the readings of an idle GPU for instance; strict parsers refuse.
        return msgspec.convert(json.loads(content), kind)


def _hyperparameters(content: bytes | None, path: str, left_out: list[LeftOut]) -> str:
    if content is None:
        return "{}"
    try:
        values: Any = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError(f"it holds {type(values).__name__}, not an object")
    except (ValueError, RecursionError) as error:
        left_out.append(LeftOut(path, f"not usable ({_first_line(error)}); the hyperparameters stay unknown"))
        return "{}"
    return _SORTED.encode(values)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _infer(trials: Sequence[_Trial], notes: list[str]) -> str:
    """The benchmark version whose step hint and runtime most trials recorded.

    Only trials that fit one version alone have a vote: Criteo's numbers, say, are the same in v0.5 and v0.6.
    """
    votes = Counter()
    alike: set[str] = set()
    for trial in trials:
        fits = [version for version in BENCHMARKS if _fits(trial, version)]
        alike.update(fits)
        if len(fits) == 1:
            votes[fits[0]] += 1
    leaderboard = trials[0].folder.leaderboard
    ranked = votes.most_common()
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        if ranked:
            found = f"as many trials recorded budgets of {ranked[0][0]} as of {ranked[1][0]}"
        elif alike:
            found = f"the recorded budgets fit {' and '.join(sorted(alike))} alike"
        else:
            found = "no trial recorded the step hint and runtime of a known version"
        allowed = ", ".join(BENCHMARKS)
        raise ValueError(f"{leaderboard}: which benchmark? {found}; say --benchmark (one of {allowed})")
    for version, count in ranked[1:]:
        share = f"{count} of {votes.total()} trials"
        notes.append(f"{leaderboard}: read as {ranked[0][0]}, but {share} recorded budgets of {version}")
    return ranked[0][0]


def _fits(trial: _Trial, version: str) -> bool:
    defined = benchmark(version).workloads.get(trial.folder.workload)
    budgets = (trial.metadata.step_hint, trial.metadata.max_runtime_seconds)
    return defined is not None and budgets == (defined.step_hint, defined.max_runtime_seconds)


def _check_unique(
    folders: Sequence[TrialFolder], rulesets: Sequence[Ruleset], versions: dict[str, str | None]
) -> None:
    seen: dict[tuple[str | None, str, Ruleset], str] = {}
    for folder, ruleset in zip(folders, rulesets, strict=True):
        key = (versions[folder.leaderboard], folder.submission, ruleset)
        other = seen.setdefault(key, folder.leaderboard)
        if other != folder.leaderboard:
            raise ValueError(
                f"two submissions of {key[0] or 'ours'} are named {folder.submission!r}, in {other} and in "
                f"{folder.leaderboard}; read one of these folders at a time"
            )


def _mixed(
    folders: Sequence[TrialFolder], rulesets: Sequence[Ruleset], versions: dict[str, str | None]
) -> list[str]:
    read = {(versions[f.leaderboard], r, f.leaderboard) for f, r in zip(folders, rulesets, strict=True)}
    counts = Counter((version, ruleset) for version, ruleset, _ in read if version)
    return [
        f"{version} {ruleset} comes from {count} folders; only one machine makes scores comparable"
        for (version, ruleset), count in sorted(counts.items())
        if count > 1
    ]


def _is_known(trial: _Trial, version: str | None, left_out: list[LeftOut]) -> bool:
    """Whether the metric to judge by is known, from the benchmark or else from the trial itself."""
    name = trial.folder.workload
    if _defined(trial, version) is not None:
        return True
    try:
        if trial.metadata.metric is None:
            raise ValueError("its metadata name no target metric")
        minimizes(trial.metadata.metric)
    except ValueError as error:
        unknown = f"is not part of AlgoPerf {version}" if version else "is no workload of AlgoPerf"
        reason = f"workload {name!r} {unknown}, and {error}"
        left_out.append(LeftOut(trial.folder.path, reason))
        return False
    return True


def _defined(trial: _Trial, version: str | None) -> BenchmarkWorkload | None:
    """What the benchmark says of the workload; None if it is not part of it."""
    return None if version is None else benchmark(version).workloads.get(trial.folder.workload)


def _table(
    trials: Sequence[_Trial], versions: dict[str, str | None], rulesets: dict[str, Ruleset]
) -> pl.DataFrame:
    rows, precisions = [], {trial.metadata.precision: trial.folder.path for trial in trials}
    if len(precisions) > 1:
        said = " and in ".join(f"{precision} ({path})" for precision, path in sorted(precisions.items()))
        raise ValueError(f"trials were computed in {said}, whose numbers are not comparable; keep them apart")
    for trial_id, trial in enumerate(trials):
        folder, own = trial.folder, trial.metadata
        version = None if own.is_ours else versions[folder.leaderboard]
        defined = _defined(trial, version)
        if defined:
            facts = (defined.metric, defined.minimize, defined.validation_target, defined.test_target)
            budgets = (defined.step_hint, defined.max_runtime_seconds, defined.eval_period_seconds)
        else:
            metric = own.metric or ""
            facts = (metric, minimizes(metric), own.validation_target, own.test_target)
            budgets = (None, None, None)
        recorded = (own.step_hint, own.max_runtime_seconds, own.eval_period_seconds)
        steps, seconds, period = (
            ours if theirs is None else theirs for theirs, ours in zip(recorded, budgets, strict=True)
        )
        ruleset = rulesets[folder.path]
        if seconds is not None:
            seconds *= _log_checks.runtime_factor(version, ruleset)
        workload = own.own_name if own.is_ours else folder.workload
        identity = (version, folder.submission, folder.study, workload, folder.trial)
        point = str(folder.trial - 1)
        rows.append(
            (
                *(trial_id, *identity, point, folder.framework, trial.hyperparameters),
                *(*facts, steps, seconds, period, own.validation_target, own.data, ruleset),
            )
        )
    schema = {
        "trial_id": pl.Int64,
        "benchmark": pl.String,
        "submission": pl.String,
        "repeat": pl.Int64,  # AlgoPerf's study
        "workload": pl.String,
        "trial": pl.Int64,
        "point": pl.String,
        "framework": pl.String,
        "hyperparameters": pl.String,
        "metric": pl.String,
        "minimize": pl.Boolean,
        "validation_target": pl.Float64,
        "test_target": pl.Float64,
        "step_hint": pl.Float64,
        "max_runtime_seconds": pl.Float64,
        "eval_period_seconds": pl.Float64,
        "recorded_validation_target": pl.Float64,
        "data": pl.String,  # AlgoPerf's logs do not say; ours do
        "ruleset": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _read_evals(
    trials: Sequence[_Trial], table: pl.DataFrame, left_out: list[LeftOut], progress: Progress | None
) -> pl.DataFrame:
    paths = [f"{trial.folder.path}/eval_measurements.csv" for trial in trials]
    metrics = table["metric"].to_list()
    contents = _in_threads(_bytes, paths, "read evaluations", progress)
    tables, files = [], []
    for trial_id, content in enumerate(contents):
        if content is None:
            path = paths[trial_id]
            reason = "cannot be read" if os.path.exists(path) else _log_checks.NO_EVALS
            left_out.append(LeftOut(path if os.path.exists(path) else os.path.dirname(path), reason))
        else:
            files.append(EvalCsv(trial_id, paths[trial_id], metrics[trial_id], content))
        if len(files) == PARSED_AT_ONCE or trial_id + 1 == len(paths):
            parsed, wrong = read_eval_csvs(files)
            tables.append(parsed)
            left_out += wrong
            files = []
    evals = pl.concat(tables)
    return evals.with_columns(pl.col(name).cast(dtype) for name, dtype in EVAL_COLUMNS.items())
