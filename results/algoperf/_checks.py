"""What AlgoPerf trials tell by their evaluations and metadata: how they ended, and what to beware of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

import polars as pl

from results._reached import reached
from workloads.benchmarks import BENCHMARKS, Ruleset, benchmark

NO_EVALS = "no eval_measurements.csv: the trial died before its first evaluation; its targets count as missed"

# LAWA makes many gradient steps per counted step: a whole OGBG trial ends at step 55 of 80,000. In all
# published logs its workloads stay below 2.5% of the step hint, and everybody else's long trials pass 17%.
FEW_STEPS = 0.05
LONG_TRIAL = 0.3  # share of the time budget


# As AlgoPerf's flags and tables spell a ruleset -> as it is called here.
RULESETS: dict[str, Ruleset] = {"external": "external", "self": "self-tuning", "self-tuning": "self-tuning"}


def told_rulesets(
    stated: Sequence[str | None], has_point: Sequence[bool], submissions: Sequence[tuple[str, str]]
) -> tuple[list[Ruleset], list[str]]:
    """The ruleset of each trial, and a note on each submission that does not say.

    What a trial states counts, then what the other trials of its submission state alike. Where nothing is stated
    it is external tuning, whose budgets are those that trials record; without any hyperparameters, which AlgoPerf
    writes in external tuning alone, that is doubtful, and said.

    Args:
      stated: by flags, metadata, a table's column or a folder's name, one of `RULESETS`; None where nothing says.
      has_point: whether hyperparameters were recorded.
      submissions: (where it was read, name) of each trial's.
    """
    members: dict[tuple[str, str], list[int]] = {}
    for trial, submission in enumerate(submissions):
        members.setdefault(submission, []).append(trial)
    found: list[Ruleset] = ["external"] * len(stated)
    notes = []
    for (_, name), trials in members.items():
        said: set[Ruleset] = {RULESETS[text] for i in trials if (text := stated[i]) is not None}
        unstated = [i for i in trials if stated[i] is None]
        theirs: Ruleset = said.pop() if len(said) == 1 else "external"
        if unstated and not said and theirs == "external" and not any(has_point[i] for i in trials):
            notes.append(
                f"{name}: read as external tuning; no trial has hyperparameters, and nothing says which ruleset it ran "
                "under (tuning_ruleset in flags_0.json)"
            )
        for i in trials:
            found[i] = theirs if (text := stated[i]) is None else RULESETS[text]
    return found, notes


def runtime_factor(version: str | None, ruleset: Ruleset) -> float:
    """How many times the runtime of external tuning a trial may take. Outside AlgoPerf: as in its newest version."""
    return benchmark(version or BENCHMARKS[-1]).rulesets[ruleset].runtime_factor


def workload_facts(names: Iterable[tuple[str, str]]) -> pl.DataFrame:
    """What the benchmark definitions say of workloads, as a table to join.

    Args:
      names: (benchmark version, workload name), each defined.

    Returns:
      benchmark, workload, metric, minimize, validation_target, test_target, default_step_hint,
      default_max_runtime_seconds, default_eval_period_seconds.
    """
    rows = [(version, benchmark(version).workloads[name]) for version, name in names]
    schema = {
        "benchmark": pl.String,
        "workload": pl.String,
        "metric": pl.String,
        "minimize": pl.Boolean,
        "validation_target": pl.Float64,
        "test_target": pl.Float64,
        "default_step_hint": pl.Float64,
        "default_max_runtime_seconds": pl.Float64,
        "default_eval_period_seconds": pl.Float64,
    }
    table = [
        (
            *(version, w.name, w.metric, w.minimize, w.validation_target, w.test_target),
            *(w.step_hint, w.max_runtime_seconds, w.eval_period_seconds),
        )
        for version, w in rows
    ]
    return pl.DataFrame(table, schema=schema, orient="row")


def statuses(trials: pl.DataFrame, evals: pl.DataFrame) -> pl.DataFrame:
    """How each trial ended.

    diverged     its last evaluation has no finite target metric, or no finite loss
    done         it reached both targets at some evaluation, or made all its steps
    timeout      the evaluation after its last would have fallen beyond its time budget
    interrupted  it ended earlier than that, for a reason the logs do not tell; or was never evaluated

    AlgoPerf does no evaluation once the budget is spent, so a trial that used all its time shows it only by how
    close to the budget its last evaluation lies.

    Args:
      trials: trial_id, minimize, validation_target, test_target, step_hint; max_runtime_seconds (with the
        ruleset's factor), eval_period_seconds.
      evals: as `Results.evals`, with `loss_is_finite`.

    Returns:
      trial_id and status, a row per trial.
    """
    joined = evals.join(trials, on="trial_id").sort("trial_id", "eval_index")
    ends = joined.group_by("trial_id").agg(
        pl.col("validation_metric", "loss_is_finite", "global_step", "submission_seconds").last(),
        _reached("validation").any().alias("validation_reached"),
        # No test metric in the log, or no test target in the benchmark: nothing to wait for.
        (
            _reached("test").any()
            | pl.col("test_metric").is_null().all()
            | pl.col("test_target").is_null().all()
        )
        .fill_null(True)
        .alias("test_reached"),
    )
    in_time = pl.col("submission_seconds") + pl.col("eval_period_seconds") < pl.col("max_runtime_seconds")
    return trials.join(ends, on="trial_id", how="left").select(
        "trial_id",
        status=pl.when(pl.col("global_step").is_null())
        .then(pl.lit("interrupted"))
        .when(~pl.col("validation_metric").is_finite().fill_null(False) | ~pl.col("loss_is_finite"))
        .then(pl.lit("diverged"))
        .when(pl.col("validation_reached") & pl.col("test_reached"))
        .then(pl.lit("done"))
        .when(pl.col("global_step") >= pl.col("step_hint"))
        .then(pl.lit("done"))
        .when(in_time.fill_null(True))
        .then(pl.lit("interrupted"))
        .otherwise(pl.lit("timeout")),
    )


def _reached(split: str) -> pl.Expr:
    return reached(f"{split}_metric", f"{split}_target", "minimize").fill_null(False)


def hyperparameter_warnings(trials: pl.DataFrame) -> list[str]:
    """Trials of one number whose recorded hyperparameters are not those of the others with that number.

    In external tuning trial k is point k - 1 of the submission's list on every workload. AlgoPerf's runner
    uses an hparams.json that it finds instead of the point it drew, so a file left over from another trial
    goes unnoticed: the results then belong to other hyperparameters than their number says. A search that
    draws points in a new order for each study also shows up here, and there a trial's number means nothing
    at all.
    """
    warnings = []
    known = trials.filter(pl.col("hyperparameters") != "{}")
    keys = ["benchmark", "submission", "trial"]
    for (version, submission, trial), rows in known.group_by(keys, maintain_order=True):
        counts = Counter(rows["hyperparameters"].to_list())
        if len(counts) == 1:
            continue
        # The commonest first; among equals the text decides, so that row order does not.
        (usual, most), *others = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        who = f"{version} {submission}: trial {trial}"
        if most <= len(rows) / 2:
            warnings.append(
                f"{who} ran {len(counts)} different sets of hyperparameters, none of them in most of its "
                f"{len(rows)} trials: trial numbers do not name points here"
            )
            continue
        odd = rows.filter(pl.col("hyperparameters") != usual)
        where = ", ".join(sorted(odd["workload"].unique()))
        names = _differing(usual, [text for text, _ in others])
        warnings.append(
            f"{who} recorded other hyperparameters on {where} "
            f"({len(odd)} of {len(rows)} trials; {names} differ): a stale hparams.json, so results there may "
            "belong to another point"
        )
    return warnings


def _differing(usual: str, others: list[str]) -> str:
    first = json.loads(usual)
    names = {key for text in others for key, value in _items(first, json.loads(text)) if value}
    shown = sorted(names)
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")


def _items(one: dict, other: dict) -> list[tuple[str, bool]]:
    missing = object()
    return [(key, one.get(key, missing) != other.get(key, missing)) for key in one.keys() | other.keys()]


def step_warnings(trials: pl.DataFrame, evals: pl.DataFrame) -> list[str]:
    """Submissions whose global_step cannot be gradient steps.

    Args:
      trials: trial_id, benchmark, submission, workload, step_hint, max_runtime_seconds.
      evals: as `Results.evals`.
    """
    last = evals.group_by("trial_id").agg(pl.col("global_step", "submission_seconds").max())
    share = pl.col("global_step").max() / pl.col("step_hint").first()
    keys = ["benchmark", "submission", "workload"]
    few = (
        trials.join(last, on="trial_id")
        .filter(pl.col("submission_seconds") > LONG_TRIAL * pl.col("max_runtime_seconds"))
        .group_by(keys)
        .agg(share=share)
        .filter(pl.col("share") < FEW_STEPS)
        .sort(keys)
        .group_by("benchmark", "submission", maintain_order=True)
        .agg("workload", pl.col("share").max())
    )
    return [
        f"{version} {submission}: trials of over {LONG_TRIAL:.0%} of the time budget made at most {share:.1%} "
        f"of the step hint on {', '.join(workloads)}: its steps are not gradient steps, so compare it by time"
        for version, submission, workloads, share in few.iter_rows()
    ]


def target_warnings(trials: pl.DataFrame) -> list[str]:
    """Workloads whose trials recorded another validation target than scoring uses.

    Args:
      trials: benchmark, workload, validation_target, recorded_validation_target (null if not recorded).
    """
    recorded, used = pl.col("recorded_validation_target"), pl.col("validation_target")
    different = trials.filter((recorded - used).abs() > 1e-9 * used.abs())
    columns = ["benchmark", "workload", "recorded_validation_target", "validation_target"]
    return [
        f"{version} {workload}: its trials recorded the validation target {theirs:g}; scoring uses {ours:g}"
        for version, workload, theirs, ours in different.select(columns).unique().sort(columns).iter_rows()
    ]


def warnings(trials: pl.DataFrame, evals: pl.DataFrame) -> list[str]:
    """All of the above, in an order that does not depend on the rows'."""
    ordered = trials.sort("benchmark", "submission", "trial", "repeat", "workload")
    return hyperparameter_warnings(ordered) + step_warnings(ordered, evals) + target_warnings(ordered)
