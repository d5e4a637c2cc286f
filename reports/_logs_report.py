"""The report on AlgoPerf logs: who scores what, and what each submission's points are worth as a list."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

import lists
from reports import _tables as tables
from reports._contenders import Contender
from reports._drawing import NARROW
from reports._figures import figure_performance_profile
from reports._hits import By, fractions, hits
from reports._list_sections import fraction_columns, left_out_table, workload_columns
from reports._log_checks import step_warnings
from reports._report import Block, Column, Note, Picture, Prose, Report, Section, Table, file_stem
from reports._results import Results
from reports._scoring import Score, score
from reports._words import count, number

Progress = Callable[[str, int, int], None]
DEFAULT_SIZE = 5  # AlgoPerf's number of points
UNITS: dict[By, str] = {"steps": "step", "time": "time"}


@dataclasses.dataclass(frozen=True)
class _FixedList:
    """One submission's fixed points, seen as candidates for a list."""

    submission: str
    fractions: lists.Fractions
    whole: lists.ChosenList
    left: lists.LeaveOneOut | None

    @property
    def size(self) -> int:
        """Points in the left-out lists: one fewer than there are, or nothing would be left to choose."""
        return self.left.held_out.shape[1] if self.left else len(self.whole.points)

    def trained(self) -> int:
        """Workloads that some point trains."""
        return sum(map(math.isfinite, self.fractions.values.min(axis=0)))


def logs_report(
    results: Results,
    *,
    list_size: int | None = None,
    penalty: float = lists.PENALTY,
    title: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report on AlgoPerf logs, one part per benchmark version.

    Args:
      results: from a tree of logs or from the Parquet tables.
      list_size: points in the leave-one-out lists; None takes one fewer than a submission has, at most 5.
      penalty: tau of the cost C_tau, at least 1.
      title: of the page.
      progress: called as progress(what, done, total).

    Returns:
      The report; `write_report` makes a folder of it.

    Raises:
      ValueError: no trials, or a size or penalty out of range.
    """
    if results.trials.is_empty():
        raise ValueError(f"{results.source}: no trials, so there is nothing to report")
    if list_size is not None and list_size < 1:
        raise ValueError(f"list_size is {list_size}; a list needs at least 1 point")
    sections: list[Section] = []
    scored: dict[str | None, Score] = {}
    found: dict[str | None, dict[By, list[_FixedList]]] = {}
    for done, version in enumerate(results.benchmarks):
        if progress:
            progress("benchmarks", done, len(results.benchmarks))
        part = results.of_benchmark(version)
        scored[version] = score(part)
        found[version] = _fixed_lists(part, scored[version], list_size, penalty)
    if progress:
        progress("benchmarks", len(results.benchmarks), len(results.benchmarks))
    main = max(scored, key=lambda version: len(scored[version].submissions))
    opening = _profile(scored[main])
    for version, result in scored.items():
        sections.append(_score_section(result, with_picture=version != main))
        if any(found[version].values()):
            sections.append(_list_section(results.of_benchmark(version), result, found[version], penalty))
    sections.append(_what_was_read(results))
    several = len(results.benchmarks) > 1
    detail = [
        *(_finding(result, several) for version, result in scored.items() if version != main),
        _list_sentence(scored[main], found[main]),
        "Real measurements, read from logs; nothing here was trained anew or simulated.",
    ]
    return Report(
        title=title
        or f"Shortlist report · AlgoPerf {' and '.join(str(v or 'logs') for v in results.benchmarks)}",
        finding=_finding(scored[main], several),
        detail=tuple(filter(None, detail)),
        facts=_headline(results),
        opening=opening,
        sections=tuple(sections),
    )


def _stem(version: str | None) -> str:
    return file_stem(version or "logs")


def _ranked(result: Score) -> list[str]:
    return result.scores["submission"].to_list()


def _finding(result: Score, several: bool) -> str:
    top = result.scores.row(0, named=True)
    n = len(result.workloads)
    lead = f"{result.benchmark}: " if several and result.benchmark else ""
    if len(result.submissions) == 1:
        return f"{lead}{top['submission']} trains {top['workloads_trained']} of {n} workloads."
    return (
        f"{lead}{top['submission']} leads {len(result.submissions)} submissions with a score of "
        f"{top['score']:.4f}, training {top['workloads_trained']} of {n} workloads."
    )


def _list_sentence(result: Score, found: dict[By, list[_FixedList]]) -> str | None:
    for by in ("steps", "time"):
        named = {one.submission: one for one in found[by] if one.left is not None}
        if not named:
            continue
        name = next((n for n in (result.against, *_ranked(result)) if n in named), None)
        if name is None:
            continue
        one = named[name]
        assert one.left is not None
        n = len(one.fractions.workloads)
        version = f" ({result.benchmark})" if result.benchmark else ""
        return (
            f"Seen as a list, the {len(one.fractions.points)} points of {name}{version} train "
            f"{one.trained()} of {n} workloads; lists of {one.size} of them, built without the workload "
            f"they are judged on, train {one.left.trained[-1]}."
        )
    return None


def _headline(results: Results) -> tuple[tuple[str, str], ...]:
    trials = results.trials
    hours = (
        results.evals.group_by("trial_id").agg(pl.col("submission_seconds").max())["submission_seconds"].sum()
        / 3600
    )
    found = [
        (f"{trials.height:,}", f"trials of {count(len(results.submissions), 'submission')}"),
        (f"{results.evals.height:,}", "evaluations read"),
        (f"{trials['workload'].n_unique()}", "workloads, variants included"),
    ]
    return (*found, (f"{hours:,.0f} h", "of training, as measured")) if hours else tuple(found)


# Scores


def _profile(result: Score) -> Picture:
    df = result.profiles.unpivot(index="tau", variable_name="submission", value_name="rho")
    order = {name: place for place, name in enumerate(_ranked(result))}
    df = df.sort(pl.col("submission").replace_strict(order), "tau", maintain_order=True)
    top = _ranked(result)[0]
    label = f" on {result.benchmark}" if result.benchmark else ""
    unit = "Time" if result.by == "time" else "Steps"
    return Picture(
        f"performance_profile_{_stem(result.benchmark)}",
        figure_performance_profile(df),
        f"Performance profiles{label}: the share of workloads that a submission trains within so many times "
        f"the best submission's {unit.lower()}. Higher and further left is better; the score is the area "
        "below the curve.",
        f"Performance profiles of {count(len(order), 'submission')}{label}; {top} has the largest area.",
        narrow=figure_performance_profile(df, width=NARROW),
    )


def _score_section(result: Score, *, with_picture: bool) -> Section:
    stem = _stem(result.benchmark)
    table = result.scores.join(result.speedups, on="submission", how="left", maintain_order="left")
    columns = {
        "score": Column(note="AlgoPerf's grid", show="score", best="max"),
        "exact_score": Column(title="score", note="exact integral", show="score"),
        "workloads_trained": Column(title="trained", note=f"of {len(result.workloads)}", best="max"),
        "speedup": Column(
            title="time ratio", note=f"to {result.against}, smaller is faster", show="fraction", best="min"
        ),
    }
    if result.against is None:
        table = table.drop("speedup")
    measure = "seconds of training" if result.by == "time" else "steps"
    blocks: list[Block] = [_profile(result)] if with_picture else []
    blocks += [
        Table(
            f"scores_{stem}",
            table,
            "Scores: area under the performance profile up to 4 times the best time. Time ratio: geometric "
            "mean over workloads, a miss counts the budget and a second; – where a workload was not run.",
            columns,
            lead_rows=(0,) if table.height > 1 else (),
        )
    ]
    base, others = _time_tables(result)
    blocks.append(
        Table(
            f"time_to_target_{stem}",
            base,
            f"Time to target, {measure}: in each study the trial that hits first, then the median over "
            "studies. – means not run.",
            {name: Column(show="seconds", best="min") for name in result.workloads},
        )
    )
    if others.width > 1:
        blocks.append(
            Table(
                f"time_to_target_held_out_{stem}",
                others,
                "The same on held-out variants. A base workload counts in the score only if its variant was "
                "trained too.",
                {name: Column(show="seconds", best="min") for name in others.columns[1:]},
            )
        )
    if len(result.submissions) == 1:
        blocks.append(
            Note("A score compares submissions: that of a lone one is just the share of workloads it trains.")
        )
    blocks += [Note(f"{text[:1].upper()}{text[1:]}.") for text in result.notes]
    return Section(f"{_prefix(result)}scores", tuple(blocks))


def _prefix(result: Score) -> str:
    return f"{result.benchmark} " if result.benchmark else "The "


def _time_tables(result: Score) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Base workloads and the others, submissions by score."""
    order = {name: place for place, name in enumerate(_ranked(result))}
    table = result.time_to_target.sort(pl.col("submission").replace_strict(order))
    others = [
        c for c in table.columns[1:] if c not in result.workloads and table[c].null_count() < table.height
    ]
    base = [c for c in table.columns[1:] if c in result.workloads]
    return table.select("submission", *base), table.select("submission", *others)


# Fixed lists


def _fixed_lists(
    results: Results, result: Score, list_size: int | None, penalty: float
) -> dict[By, list[_FixedList]]:
    """Submissions with several points, by steps where their steps are gradient steps, and by time."""
    judged = hits(results)
    found: dict[By, list[_FixedList]] = {"steps": [], "time": []}
    for name in _ranked(result):
        own = results.of_submissions([name])
        rows = judged.filter((pl.col("submission") == name) & pl.col("workload").is_in(result.workloads))
        if rows["point"].n_unique() < 2:
            continue
        strange = bool(step_warnings(own.trials, own.evals))
        for by, unit in UNITS.items():
            if rows[f"{unit}_fraction"].null_count() or (by == "steps" and strange):
                continue
            values = fractions(rows, by=by, submission=name)
            points = len(values.points)
            size = min(list_size or DEFAULT_SIZE, points - 1)
            left = lists.leave_one_out(values.values, size, penalty) if len(values.workloads) > 1 else None
            found[by].append(
                _FixedList(name, values, lists.greedy(values.values, min(points, 10), penalty), left)
            )
    return found


def _list_section(
    results: Results, result: Score, found: dict[By, list[_FixedList]], penalty: float
) -> Section:
    stem = _stem(result.benchmark)
    blocks: list[Block] = [
        Prose(
            "In external tuning a submission brings a fixed list of points, and trial k trains point k - 1 "
            "on every workload. So each submission is a set of candidates: which of its points are worth "
            "having, in which order, and would a list built without a workload have trained it? A point "
            "counts by its median over studies, a crashed or missing trial as a miss; where different "
            "trials hit in different studies, this trains fewer workloads than the score counts."
        )
    ]
    for by in ("steps", "time"):
        if not found[by]:
            continue
        blocks.append(_greedy_table(f"greedy_{by}_{stem}", found[by], by, penalty))
        if any(one.left for one in found[by]):
            blocks.append(_left_out_table(f"leave_one_out_{by}_{stem}", found[by], result, by, penalty))
    absent = sorted({one.submission for one in found["time"]} - {one.submission for one in found["steps"]})
    if absent and found["steps"]:
        blocks.append(
            Note(
                f"{', '.join(absent)}: not compared by steps, because "
                f"{'their' if len(absent) > 1 else 'its'} step counter does not count gradient steps, or no "
                "step budget is known. Time compares all."
            )
        )
    best = found["steps"] or found["time"]
    by = "steps" if found["steps"] else "time"
    blocks.append(_points_table(f"points_{by}_{stem}", best, result, by))
    done = results.trials.filter(pl.col("status") == "done").height
    blocks += [
        Note(
            "The same runs build and judge these lists, and points are hand-picked finalists, not a sample "
            "of a search space: random-search curves and their bands would mean nothing here."
        ),
        Note(
            f"Runs end once they reach both targets, as many of the {done:,} finished ones did. Best "
            "metrics are therefore right-censored, what lies beyond the target is unseen, and with stricter "
            "targets counts of hits would be lower bounds. An evaluation comes every so many seconds, so "
            "each hit is rounded up to the next one."
        ),
    ]
    return Section(f"{_prefix(result)}submissions as lists", tuple(blocks))


def _greedy_table(name: str, found: Sequence[_FixedList], by: By, penalty: float) -> Table:
    longest = max(len(one.whole.points) for one in found)
    schema = {"submission": pl.String, "order": pl.String, "trained": pl.Int64} | {
        f"cost_{k}": pl.Float64 for k in range(1, longest + 1)
    }
    rows = [
        (
            *(one.submission, ", ".join(one.fractions.points[p] for p in one.whole.points), one.trained()),
            *(one.whole.costs[k] if k < len(one.whole.costs) else None for k in range(longest)),
        )
        for one in found
    ]
    return Table(
        name,
        pl.DataFrame(rows, schema=schema, orient="row"),
        f"Greedy lists by {UNITS[by]} fraction: the order in which a submission's points (numbered from 0) "
        f"are worth trying, and the cost of the first 1, 2, ... of them; a miss counts {number(penalty)}.",
        {
            "order": Column(title="points in order", show="code"),
            "trained": Column(note=f"of {len(found[0].fractions.workloads)}", best="max"),
            **{f"cost_{k}": Column(title=str(k), note="cost" if k == 1 else None, show="fraction", best="min")
               for k in range(1, longest + 1)},
        },
    )  # fmt: skip


def _left_out_table(name: str, found: Sequence[_FixedList], result: Score, by: By, penalty: float) -> Table:
    contenders = []
    for one in found:
        if one.left is not None:
            held_out = one.left.held_out[:, -1].tolist()
            reached = dict(zip(one.fractions.workloads, held_out, strict=True))
            sizes = f"{one.size} of {len(one.fractions.points)}"
            contenders.append(Contender(one.submission, reached, {}, sizes))
    table = tables.fraction_table(contenders, result.workloads, penalty)
    caption = (
        f"Leave one out, by {UNITS[by]} fraction: each workload is judged by the list built on the others."
    )
    if table["trials"].n_unique() == 1:
        caption += f" Lists hold {table['trials'][0]} points."
        table = table.drop("trials")
    columns = fraction_columns(result.workloads, penalty) | {
        "contender": Column(title="submission"),
        "trials": Column(title="points", show="text"),
    }
    return Table(name, table, caption, columns)


def _points_table(name: str, found: Sequence[_FixedList], result: Score, by: By) -> Table:
    rows = []
    for one in found:
        columns = {w: i for i, w in enumerate(one.fractions.workloads)}
        for point, values in zip(one.fractions.points, one.fractions.values.tolist(), strict=True):
            reached = [values[columns[w]] if w in columns else None for w in result.workloads]
            rows.append(
                (
                    f"{one.submission}/{point}",
                    *reached,
                    sum(v is not None and math.isfinite(v) for v in reached),
                )
            )
    schema = {"point": pl.String, **dict.fromkeys(result.workloads, pl.Float64), "trained": pl.Int64}
    return Table(
        name,
        pl.DataFrame(rows, schema=schema, orient="row"),
        f"Every point of these submissions: {UNITS[by]} fraction to target, median over studies. Darker is "
        "sooner.",
        workload_columns(result.workloads, show="fraction", shade=True),
    )


# What was read


def _what_was_read(results: Results) -> Section:
    trials = results.trials
    status = tables.status_table(trials.with_columns(submission=_with_version(trials)))
    shape = (
        trials.with_columns(submission=_with_version(trials))
        .group_by("submission", maintain_order=True)
        .agg(
            pl.col("framework").drop_nulls().unique().sort().str.join(", "),
            *(pl.col(c).n_unique().cast(pl.Int64).alias(f"{c}s") for c in ("study", "workload", "point")),
        )
        .rename({"studys": "studies"})
    )
    said = sorted(set(trials["data"].drop_nulls()))
    blocks: list[Block] = [
        Prose(
            f"Read from {Path(results.source).name or results.source}"
            + (f" ({'; '.join(said)})" if said else "")
            + ". Targets and rules are those of each benchmark version, budgets those that each run recorded."
        ),
        Table(
            "submissions",
            shape.join(status, on="submission", maintain_order="left"),
            "What was read, and how trials ended. Done: both targets reached or all steps made. "
            "Interrupted: ended early without saying why, or never evaluated.",
        ),
    ]
    blocks += [Note(text) for text in results.warnings]
    if results.left_out:
        reasons = Counter(item.reason for item in results.left_out)
        blocks.append(
            Prose("Left out: " + "; ".join(f"{n:,} × {reason}" for reason, n in reasons.most_common(6)) + ".")
        )
        blocks.append(left_out_table(results))
    return Section("What was read", tuple(blocks))


def _with_version(trials: pl.DataFrame) -> pl.Expr:
    several = trials["benchmark"].n_unique() > 1
    return pl.concat_str("benchmark", "submission", separator=" ") if several else pl.col("submission")
