"""Our own studies as `Results`: the same two tables that AlgoPerf's logs give."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl

from results import studies
from results._results import LeftOut, Results


def read_studies(path: Path) -> Results:
    """Reads one study, or every study in a folder.

    A study's name becomes `submission`. Times are null where the trials of a population share one clock; records of
    `shortlist run` have them. Studies of one name on different workloads are one submission.

    Raises:
      FileNotFoundError: no study there.
      ValueError: two studies share a name, or a file is damaged.
    """
    folders = studies.find_studies(path)
    if not folders:
        raise FileNotFoundError(
            f"{path}: no study here (no study.json); 'shortlist tune --study {path}' makes one"
        )
    trials, evals, left_out, about, warnings = [], [], [], {}, []
    precisions: dict[str, Path] = {}  # and a folder of each
    next_id = 0
    for folder in folders:
        spec = studies.read_spec(folder)
        rows, unsealed = studies.read_checked(folder)
        left_out += unchecked(folder, rows, unsealed)
        facts = _about(folder, spec, rows)
        earlier = about.get(spec.name)
        if earlier is not None and not _continues(earlier, facts):
            raise ValueError(
                f"{folder}: a second study named {spec.name!r} below {path}; point at one of them"
            )
        about[spec.name] = facts if earlier is None else _joined(earlier, facts)
        expected = (
            sum(len(p) for p in spec.points.values()) * spec.repeats if spec.points is not None else None
        )
        if expected is not None and len(rows) < expected:
            resumes = "run --resume" if facts["loop"] == "submission" else "tune"
            missing = f"{expected - len(rows)} of {expected} trials are not run yet"
            left_out.append(LeftOut(str(folder), f"{missing}; 'shortlist {resumes}' resumes the study"))
        if not len(rows):
            continue
        if "metric" not in rows.columns or rows["metric"].has_nulls():
            raise ValueError(
                f"{folder}: some trials do not say their metric; delete their files, or restore them"
            )
        if facts["trainings"]:
            warnings.append(_stopped(spec, rows, facts["trainings"]))  # type: ignore[arg-type]
        rows = rows.with_columns(trial_id=pl.int_range(next_id, next_id + len(rows), dtype=pl.Int64))
        next_id += len(rows)
        for precision in rows["precision"].unique().sort():
            precisions.setdefault(precision, folder)
        trials.append(_trials(rows, spec.name))
        evals += [_evals(part) for _, part in rows.group_by("metric", maintain_order=True)]
    if not trials:
        raise ValueError(f"{path}: no finished trials; 'shortlist tune --study {path}' trains them")
    if len(precisions) > 1:
        said = " and in ".join(f"{precision} ({where.name})" for precision, where in precisions.items())
        raise ValueError(
            f"{path}: holds trials computed in {said}, whose numbers are not comparable; keep them in folders apart"
        )
    all_trials = pl.concat(trials)
    data = dict(all_trials.select("workload", "data").unique(maintain_order=True).iter_rows())
    return Results(
        trials=all_trials,
        evals=pl.concat(evals).sort("trial_id", "eval_index"),
        left_out=tuple(left_out),
        source=str(path),
        kind="study",
        about={"studies": about, "data": data},
        warnings=tuple(warnings),
    )


def unchecked(folder: Path, rows: pl.DataFrame, unsealed: int) -> tuple[LeftOut, ...]:
    """That files of a study were read without a checksum, if some were; see `studies.read_checked`."""
    if not unsealed:
        return ()
    files = len(rows.unique(["workload", "cohort"]))
    reason = f"{unsealed} of {files} files have no checksum, as an earlier version wrote them; read unchecked"
    return (LeftOut(str(folder), reason),)


def _trials(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    # Schedules of the population engine end with its steps; AlgoPerf's budget is the hint.
    of_submission = pl.col("loop") == "submission"
    return rows.select(
        "trial_id",
        benchmark=pl.lit(None, pl.String),
        submission=pl.lit(name),
        repeat=pl.col("repeat").cast(pl.Int64),
        workload="workload",
        # Slices of a run leave gaps.
        trial=pl.when(of_submission)
        .then(pl.col("cohort").cast(pl.Int64) + 1)
        .otherwise(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("workload", "repeat")),
        point="point",
        framework=pl.lit("jax"),
        hyperparameters="hyperparameters",
        metric="metric",
        minimize="minimize",
        validation_target="validation_target",
        test_target="test_target",
        step_hint=pl.when(of_submission).then("step_hint").otherwise("steps").cast(pl.Float64),
        max_runtime_seconds="max_runtime_seconds",
        status="status",
        data="data",
    )


def _evals(rows: pl.DataFrame) -> pl.DataFrame:
    metric = rows["metric"][0]
    # Trials of a population share one clock, so that no evaluation has a time; and not every workload has a test split.
    none = pl.col("global_step").list.eval(pl.when(pl.lit(False)).then(pl.element().cast(pl.Float64)))
    named = {f"{role}_metric": f"{role}/{metric}" for role in ("validation", "test", "train")}
    curves = {
        name: pl.coalesce(column, none) if column in rows.columns else none for name, column in named.items()
    }
    seconds = pl.coalesce("submission_seconds", none)
    return (
        rows.filter(pl.col("global_step").list.len() > 0)
        .select("trial_id", "global_step", seconds.alias("submission_seconds"), **curves)
        .explode("global_step", "submission_seconds", *curves)
        .with_columns(
            eval_index=pl.int_range(pl.len(), dtype=pl.Int64).over("trial_id"),
            global_step=pl.col("global_step").cast(pl.Int64),
        )
        .select("trial_id", "eval_index", "global_step", "submission_seconds", *curves)
    )


def _continues(earlier: dict[str, object], facts: dict[str, object]) -> bool:
    """Whether two studies of one name are one submission: records of a run on different workloads."""
    same = all(earlier[key] == facts[key] for key in ("role", "optimizer", "strategy"))
    return same and facts["loop"] == "submission" and not earlier["workloads"] & facts["workloads"]  # type: ignore[operator]


def _joined(earlier: dict[str, object], facts: dict[str, object]) -> dict[str, object]:
    """What is said of both; None where they differ."""
    joined = {key: value if facts[key] == value else None for key, value in earlier.items()}
    commands = dict.fromkeys(str(one["commands"]) for one in (earlier, facts) if one["commands"])
    return joined | {
        "budget": max(earlier["budget"] or 0, facts["budget"] or 0) or None,  # type: ignore[operator, call-overload]
        "versions": earlier["versions"] or facts["versions"],
        "commands": "\n".join(commands) or None,
        "seconds": earlier["seconds"] + facts["seconds"],  # type: ignore[operator]
        "workloads": earlier["workloads"] | facts["workloads"],  # type: ignore[operator]
        "suggestion_cpu_seconds": earlier["suggestion_cpu_seconds"] + facts["suggestion_cpu_seconds"],  # type: ignore[operator]
        "trainings": None,  # of records of a run, whose trials nobody compares
    }


def _about(folder: Path, spec: studies.StudySpec, rows: pl.DataFrame) -> dict[str, object]:
    cohorts = rows.unique(["workload", "cohort"]) if len(rows) else rows
    return {
        "role": spec.role,
        "title": spec.title,
        "strategy": spec.strategy.get("name", ""),
        "draws": spec.draws,
        "budget": max((len(p) for p in spec.points.values()), default=0) if spec.points is not None else None,
        "seed": spec.seed,
        "repeats": spec.repeats,
        "optimizer": spec.optimizer,
        "device": rows["device"][0] if len(rows) else None,
        "versions": _versions(folder, rows["versions"][0]) if len(rows) else {},
        "commands": "\n".join(rows["command"].drop_nulls().unique(maintain_order=True))
        if len(rows)
        else None,
        "seconds": float(cohorts["cohort_seconds"].sum()) if len(rows) else 0.0,
        "folder": folder.name,
        "loop": rows["loop"][0] if len(rows) else None,
        "workloads": set(spec.workloads),
        # Only strategies that wait for results are asked as a study runs.
        "suggestion_cpu_seconds": [
            one for run in studies.read_runs(folder) for one in run.suggestion_cpu_seconds
        ]
        if spec.points is None
        else [],
        "trainings": _trainings(rows),
    }


def _trainings(rows: pl.DataFrame) -> dict[str, float] | None:
    """Workload -> full trainings' worth of steps that each repeat took on it; None where all made all."""
    last = pl.col("global_step").list.last()
    if not len(rows) or rows.filter(last < last.max().over("workload"), loop="population").is_empty():
        return None
    part = last / pl.col("steps")
    each = rows.group_by("workload", maintain_order=True).agg(part.sum() / pl.col("repeat").n_unique())
    return dict(each.iter_rows())


def _stopped(spec: studies.StudySpec, rows: pl.DataFrame, trainings: dict[str, float]) -> str:
    """What is to be known of a study whose trials were compared while they trained."""
    worth = [f"{value:.2f}" for value in (min(trainings.values()), max(trainings.values()))]
    stopped = rows.filter(status="stopped").height
    each = "" if len(trainings) == 1 else " on each workload"
    return (
        f"{spec.name}: {stopped} of {len(rows)} trials were stopped by {spec.strategy.get('name', 'their strategy')}, "
        f"so that all of them took {' to '.join(dict.fromkeys(worth))} full trainings' worth of steps{each}; what "
        "stopped trials would have reached is unseen, and counts as missed"
    )


def _versions(folder: Path, text: str | None) -> dict[str, str]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, str])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"{folder}: versions of a trial: {error}") from None
