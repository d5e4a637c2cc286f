"""AlgoPerf's scoring: time to target, performance profiles, final score, speedups.

    t[s, w]  = median over repeats of the time at which the first trial of submission s hit the target of w
    r[s, w]  = t[s, w] / min over s of t[s, w]
    rho_s(x) = share of the base workloads with r[s, w] <= x
    score_s  = integral of rho_s over [1, 4], divided by 3

Reference: Dahl et al. 2023, arXiv:2306.07179, section 4; mlcommons/submissions_algorithms, folder scoring,
whose published scores come out to 4 decimals. Where that scorer lets the order of folders decide (ties in
the evaluation index), the smaller time decides here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float

from results import By, Results, choose_ruleset, hits
from workloads.benchmarks import Benchmark, benchmark

TrialRule = Literal["eval_index", "time"]

# Outside AlgoPerf the grid and the cut-off are AlgoPerf's as well; all its versions share them.
DEFAULT_VERSION = "v0.5"


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """How submissions compare, on one benchmark version.

    Attributes:
      benchmark: version, None outside AlgoPerf.
      ruleset: "external" or "self-tuning", None outside AlgoPerf.
      by: "time" (seconds of training) or "steps".
      trial_rule: which trial of a repeat counts.
      submissions: rows of the tables, sorted.
      workloads: base workloads, sorted; their number divides every profile.
      time_to_target: submission, then a column per workload (base, then held-out): the median over repeats
        before any filter, seconds or steps; inf where missed, null where not run.
      ratios: submission, then a column per base workload: r after the held-out rule and the cut-off; inf
        where it does not count.
      profiles: tau, then a column per submission: rho, a share in [0, 1].
      scores: submission, score (on AlgoPerf's grid of taus), exact_score (exact integral), workloads_trained
        (base workloads with a finite time before the filters); best first, ties by name.
      speedups: submission, speedup: geometric mean of t / t of `against`, smaller is faster, null where a
        workload was not run; empty without `against`.
      against: submission that the speedups compare with, or None.
      notes: one line each about what limits the score, and about rules that could not be applied as published.
    """

    benchmark: str | None
    ruleset: str | None
    by: By
    trial_rule: TrialRule
    submissions: tuple[str, ...]
    workloads: tuple[str, ...]
    time_to_target: pl.DataFrame
    ratios: pl.DataFrame
    profiles: pl.DataFrame
    scores: pl.DataFrame
    speedups: pl.DataFrame
    against: str | None
    notes: tuple[str, ...]

    @property
    def status(self) -> pl.DataFrame:
        """What became of each target: the columns of `time_to_target`, as "reached", "missed" or "not run".

        A target that was reached may still not count: its ratio is then inf, by the cut-off or the held-out rule.
        """

        def said(time: float | None) -> str:
            return "not run" if time is None else "missed" if np.isinf(time) else "reached"

        table = self.time_to_target
        columns = {name: list(map(said, table[name])) for name in table.columns if name != "submission"}
        return pl.DataFrame({"submission": table["submission"]} | columns)

    @property
    def ranked(self) -> list[str]:
        """Submissions, best score first."""
        return self.scores["submission"].to_list()


def score(
    results: Results,
    benchmark: str | None = None,
    by: By | None = None,
    trial_rule: TrialRule = "eval_index",
    against: str | None = None,
    held_out: bool | None = None,
    ruleset: str | None = None,
) -> Score:
    """Scores the submissions in `results` against each other.

    A score depends on who is compared: a lone submission gets the share of workloads that it trains.

    Args:
      results: trials and evaluations.
      benchmark: version to score; needed only if `results` holds several.
      by: "time" or "steps"; by default time for AlgoPerf logs and steps for our own studies.
      trial_rule: "eval_index" takes, of the trials of a repeat that hit, the one with the smallest
        evaluation index and among equals the earliest, as AlgoPerf's program does; "time" takes the
        earliest, as its documents say.
      against: submission that speedups compare with; by default "baseline" where there is one.
      held_out: whether a base workload counts only if its held-out variant was trained too. By default as the
        benchmark has it, but not if no submission ran any held-out workload (then a note says so).
      ruleset: "external" or "self-tuning"; needed only if `results` holds both.

    Raises:
      ValueError: several benchmarks or rulesets and none chosen, no trial on a base workload, nothing to measure by, an
        unknown submission in `against`.
    """
    chosen = choose_ruleset(_one_benchmark(results, benchmark), ruleset)
    version = chosen.benchmarks[0]
    by = by or ("steps" if version is None else "time")
    rules = _rules(version)
    base = rules.base if version else tuple(chosen.trials["workload"].unique().sort())
    table, present = _times(chosen, by, trial_rule)
    submissions = chosen.submissions
    for name in (*submissions, *base):
        if name in ("submission", "tau"):  # columns of the tables below
            raise ValueError(
                f"{results.source}: a submission or workload cannot be called {name!r}; rename it"
            )
    if not set(base) & present:
        shown = ", ".join(sorted(present)) or "none"
        where = f"on a base workload of {version}" if version else "at all"
        raise ValueError(f"{results.source}: no evaluated trial {where}; evaluated: {shown}")

    notes = []
    if len(submissions) == 1:
        notes.append(
            "a score compares submissions: that of a lone one is just the share of workloads it trains, at whatever "
            "speed"
        )
    ran_held_out = bool(set(rules.held_out) & present) if version else False
    if held_out is None:
        held_out = version is not None and rules.held_out_rule and ran_held_out
        if version and rules.held_out_rule and not ran_held_out:
            notes.append("held-out rule not applied: no held-out workload was run")
    if version and (unrun := sorted(set(base) - present)):
        notes.append(f"not run by anybody, so missed by all: {', '.join(unrun)}")
    targetless = chosen.trials.filter(pl.col("validation_target").is_null(), pl.col("workload").is_in(base))
    if len(targetless):
        names = ", ".join(targetless["workload"].unique().sort())
        notes.append(f"without a validation target, so missed by all: {names}")
    others = rules.held_out if version else ()
    times = _matrix(table, submissions, (*base, *others))
    variant_of = {rules.workloads[name].base: name for name in others} if held_out else {}
    counted = _filtered(times, (*base, *others), variant_of, rules.max_ratio)[:, : len(base)]
    ratios = _ratios(counted)

    taus = np.array(rules.taus)
    rho = (ratios[:, :, None] <= taus).mean(axis=1)  # [submission, tau]
    span = taus[-1] - taus[0]
    exact = np.where(ratios <= taus[-1], taus[-1] - ratios, 0.0).mean(axis=1) / span
    if against is None and "baseline" in submissions:
        against = "baseline"
    return Score(
        benchmark=version,
        ruleset=chosen.rulesets[0],
        by=by,
        trial_rule=trial_rule,
        submissions=submissions,
        workloads=base,
        time_to_target=_table(submissions, (*base, *others), times),
        ratios=_table(submissions, base, ratios),
        profiles=pl.DataFrame({"tau": taus} | dict(zip(submissions, rho, strict=True))),
        scores=pl.DataFrame(
            {
                "submission": submissions,
                "score": np.trapezoid(rho, taus, axis=1) / span,
                "exact_score": exact,
                "workloads_trained": np.isfinite(times[:, : len(base)]).sum(axis=1),
            }
        ).sort("score", "submission", descending=[True, False]),
        speedups=_speedups(chosen, times[:, : len(base)], base, by, against),
        against=against,
        notes=tuple(notes),
    )


def scores(
    results: Results,
    by: By | None = None,
    trial_rule: TrialRule = "eval_index",
    against: str | None = None,
    held_out: bool | None = None,
) -> dict[str | None, Score]:
    """`score` for every benchmark version in `results`, by version; the other arguments as there.

    Two rulesets of one version are scored apart, under such keys as "v0.5 self-tuning".
    """
    parts = results.comparable()
    return {
        part_name(version, ruleset, parts): score(part, None, by, trial_rule, against, held_out)
        for (version, ruleset), part in parts.items()
    }


def part_name(
    version: str | None, ruleset: str | None, parts: Iterable[tuple[str | None, str | None]]
) -> str | None:
    """What to call the trials of one benchmark version and ruleset: the version, with the ruleset if it has two.

    Example:
      >>> part_name("v0.6", "external", [("v0.5", "external"), ("v0.6", "external"), ("v0.6", "self-tuning")])
      'v0.6 external'
    """
    alone = sum(other == version for other, _ in parts) == 1
    return version if alone else " ".join(filter(None, (version, ruleset or "no ruleset")))


def _one_benchmark(results: Results, version: str | None) -> Results:
    if version is not None:
        return results.of_benchmark(version)
    if len(results.benchmarks) == 1:
        return results
    if not results.benchmarks:
        raise ValueError(f"{results.source}: no trials to score")
    found = ", ".join(map(str, results.benchmarks))
    raise ValueError(
        f"{results.source}: results of several benchmarks ({found}); choose one, or use scores()"
    )


def _rules(version: str | None) -> Benchmark:
    return benchmark(version or DEFAULT_VERSION)


def _times(results: Results, by: By, trial_rule: TrialRule) -> tuple[pl.DataFrame, set[str]]:
    """Median over repeats per submission and workload; and the workloads that anybody was evaluated on."""
    if trial_rule not in ("eval_index", "time"):
        raise ValueError(f"trial_rule is {trial_rule!r}; must be 'eval_index' or 'time'")
    if by not in ("steps", "time"):
        raise ValueError(f"by is {by!r}; must be 'steps' or 'time'")
    value = "hit_seconds" if by == "time" else "hit_step"
    # A repeat counts for a workload if any of its trials was evaluated there; one without is left out, not
    # missed.
    found = hits(results).join(results.evals, on="trial_id", how="semi")
    hit = found.filter(pl.col("hit_index").is_not_null())
    if hit[value].null_count():
        raise ValueError(f"{results.source}: no training times recorded; score by steps instead")
    order = ["hit_index", value] if trial_rule == "eval_index" else [value]
    repeat = ["submission", "workload", "repeat"]
    first = hit.sort(*repeat, *order).group_by(repeat, maintain_order=True).first()
    times = (
        found.select(repeat)
        .unique()
        .join(first.select(*repeat, time=pl.col(value).cast(pl.Float64)), on=repeat, how="left")
        .with_columns(pl.col("time").fill_null(float("inf")))
        .sort(repeat)
        .group_by("submission", "workload", maintain_order=True)
        .agg("time")
    )
    # numpy's median: the mean of the middle two is inf if either is, where interpolation would give NaN.
    medians = [float(np.median(values)) for values in times["time"].to_list()]
    return times.with_columns(pl.Series("time", medians, pl.Float64)), set(found["workload"])


def _matrix(
    table: pl.DataFrame, submissions: tuple[str, ...], workloads: tuple[str, ...]
) -> Float[np.ndarray, "submission workload"]:
    """NaN where a submission was never evaluated on a workload."""
    times = np.full((len(submissions), len(workloads)), np.nan)
    for submission, workload, time in table.iter_rows():
        if workload in workloads:
            times[submissions.index(submission), workloads.index(workload)] = time
    return times


def _filtered(
    times: Float[np.ndarray, "submission workload"],
    workloads: tuple[str, ...],
    variant_of: dict[str, str],
    max_ratio: float,
) -> Float[np.ndarray, "submission workload"]:
    """The held-out rule both ways around the cut-off; the order matters and is AlgoPerf's."""
    times = times.copy()
    pairs = [(workloads.index(base), workloads.index(variant)) for base, variant in variant_of.items()]
    for base, variant in pairs:
        times[~np.isfinite(times[:, base]), variant] = np.inf
    times[times > max_ratio * _column_minimum(times)] = np.inf
    for base, variant in pairs:
        times[~np.isfinite(times[:, variant]), base] = np.inf
    return times


def _column_minimum(times: Float[np.ndarray, "submission workload"]) -> Float[np.ndarray, " workload"]:
    """Over the submissions that ran the workload; inf if none did."""
    return np.where(np.isnan(times), np.inf, times).min(axis=0)


def _ratios(times: Float[np.ndarray, "submission workload"]) -> Float[np.ndarray, "submission workload"]:
    """Time over the best time; inf where missed or not run, and where nobody trained."""
    trained = np.isfinite(times)
    best = _column_minimum(times)
    ratios = np.divide(times, best, out=np.full_like(times, np.inf), where=trained & (best > 0))
    # Nothing is a multiple of no time: who took none is best, and the others are beyond any multiple.
    return np.where(trained & (best == 0) & (times == 0), 1.0, ratios)


def _table(submissions: tuple[str, ...], workloads: tuple[str, ...], values: np.ndarray) -> pl.DataFrame:
    columns = {name: pl.Series(values[:, w]).fill_nan(None) for w, name in enumerate(workloads)}
    return pl.DataFrame({"submission": list(submissions)} | columns)


def _speedups(
    results: Results,
    times: Float[np.ndarray, "submission workload"],
    base: tuple[str, ...],
    by: By,
    against: str | None,
) -> pl.DataFrame:
    """Missed targets count as one second (or step) more than the budget, as in AlgoPerf's program."""
    schema = {"submission": pl.String, "speedup": pl.Float64}
    if against is None:
        return pl.DataFrame(schema=schema)
    if against not in results.submissions:
        shown = ", ".join(results.submissions)
        raise ValueError(f"no submission {against!r} to compare with; present: {shown}")
    capped = np.where(np.isinf(times), _caps(results, base, by) + 1, times)
    ratio = capped / capped[results.submissions.index(against)]
    speedups = pl.Series(np.exp(np.log(ratio).mean(axis=1))).fill_nan(None)
    rows = pl.DataFrame({"submission": list(results.submissions), "speedup": speedups}, schema=schema)
    return rows.filter(pl.col("submission") != against).sort("speedup", "submission", nulls_last=True)


def _caps(results: Results, base: tuple[str, ...], by: By) -> Float[np.ndarray, " workload"]:
    """Budgets by workload: the benchmark's, and outside AlgoPerf the largest that any trial had."""
    version = results.benchmarks[0]
    if version is None:
        column = "step_hint" if by == "steps" else "max_runtime_seconds"
        largest = results.trials.group_by("workload").agg(pl.col(column).max())
        found = dict(largest.iter_rows())
        return np.array([found.get(name) or np.nan for name in base], dtype=float)
    defined = benchmark(version)
    if by == "steps":
        return np.array([defined.workloads[name].step_hint for name in base], dtype=float)
    factor = defined.rulesets[results.rulesets[0] or "external"].runtime_factor
    return factor * np.array([defined.workloads[name].speedup_cap_seconds for name in base])
