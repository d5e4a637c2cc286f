"""The report on AlgoPerf logs: who scores what, and what each submission's points are worth as a list."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl

import lists
from reports import _tables as tables
from reports._list_sections import left_out_table
from reports._tables import spread_columns
from reports._words import count
from reports.figures import figure_performance_profile
from reports.figures.drawing import NARROW
from reports.logs._fixed_lists import FixedList, fixed_lists, list_section, list_sentence
from reports.logs._scoring import Score, part_name, score
from reports.logs._spread import RepeatScores, by_repeat
from reports.page import Block, Column, Note, Picture, Prose, Report, Section, Table, draw_picture, file_stem
from results import By, Results

Progress = Callable[[str, int, int], None]


def logs_report(
    results: Results,
    *,
    list_size: int | None = None,
    penalty: float = lists.PENALTY,
    submission: str | None = None,
    title: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report on AlgoPerf logs, one part per benchmark version and ruleset.

    Args:
      results: from a tree of logs or from the Parquet tables.
      list_size: points in the leave-one-out lists; None takes one fewer than a submission has, at most 5.
      penalty: tau of the cost C_tau, at least 1.
      submission: whose points are seen as a list; None takes all that have several. Scores compare all in any case.
      title: of the page.
      progress: called as progress(what, done, total).

    Returns:
      The report; `write_report` makes a folder of it.

    Raises:
      ValueError: no trials, a size or penalty out of range, or no such submission.
    """
    if results.trials.is_empty():
        raise ValueError(f"{results.source}: no trials, so there is nothing to report")
    if list_size is not None and list_size < 1:
        raise ValueError(f"list_size is {list_size}; a list needs at least 1 point")
    if submission is not None and submission not in results.submissions:
        there = ", ".join(results.submissions)
        raise ValueError(f"{results.source}: no submission {submission!r}; it holds {there}")
    sections: list[Section] = []
    parts = {part_name(*key, results.comparable()): part for key, part in results.comparable().items()}
    scored: dict[str | None, Score] = {}
    found: dict[str | None, dict[By, list[FixedList]]] = {}
    spreads: dict[str | None, RepeatScores] = {}
    for done, (name, part) in enumerate(parts.items()):
        if progress:
            progress("benchmarks", done, len(parts))
        # From here on a part goes by its name.
        scored[name] = dataclasses.replace(score(part), benchmark=name)
        spreads[name] = by_repeat(part, scored[name])
        found[name] = fixed_lists(part, scored[name], list_size, penalty, submission)
    if progress:
        progress("benchmarks", len(parts), len(parts))
    main = max(scored, key=lambda name: len(scored[name].submissions))
    opening = _profile(scored[main])
    for name, result in scored.items():
        sections.append(score_section(result, spreads[name], with_picture=name != main))
        if any(found[name].values()):
            sections.append(list_section(parts[name], result, found[name], penalty))
    sections.append(_what_was_read(results, _settings(list_size, penalty, submission)))
    several = len(parts) > 1
    detail = [
        *(_finding(result, several) for name, result in scored.items() if name != main),
        list_sentence(scored[main], found[main]),
        "Real measurements, read from logs; nothing here was trained anew or simulated.",
    ]
    return Report(
        title=title or f"Shortlist report · AlgoPerf {' and '.join(str(name or 'logs') for name in parts)}",
        finding=_finding(scored[main], several),
        detail=tuple(filter(None, detail)),
        facts=_headline(results),
        opening=opening,
        sections=tuple(sections),
        caveats=tuple(filter(None, [spreads[main].note])),
    )


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


def performance_profiles(result: Score) -> pl.DataFrame:
    """Performance profiles, best score first: what `figure_performance_profile` draws.

    Returns:
      Columns submission, tau (ratio to the fastest), rho (share of the base workloads, 0 to 1).
    """
    table = result.profiles.unpivot(index="tau", variable_name="submission", value_name="rho")
    order = {name: place for place, name in enumerate(result.ranked)}
    by_score = table.sort(pl.col("submission").replace_strict(order), "tau", maintain_order=True)
    return by_score.select("submission", "tau", "rho")


def _profile(result: Score) -> Picture:
    top, submissions = result.ranked[0], len(result.submissions)
    label = f" on {result.benchmark}" if result.benchmark else ""
    unit = "Time" if result.by == "time" else "Steps"
    return draw_picture(
        f"performance_profile_{file_stem(result.benchmark or 'logs')}",
        figure_performance_profile,
        performance_profiles(result),
        f"Performance profiles{label}: the share of workloads that a submission trains within so many times "
        f"the best submission's {unit.lower()}. Higher and further left is better; the score is the area "
        "below the curve.",
        f"Performance profiles of {count(submissions, 'submission')}{label}; {top} has the largest area.",
        narrow=NARROW,
    )


def score_section(result: Score, spread: RepeatScores, *, with_picture: bool) -> Section:
    """Scores and times of one benchmark version, with its profiles first if they are wanted."""
    stem = file_stem(result.benchmark or "logs")
    ratio = f"speedup_against_{result.against}"
    compared = result.speedups.rename({"speedup": ratio})
    table = result.scores.join(compared, on="submission", how="left", maintain_order="left")
    columns = {
        "score": Column(note="AlgoPerf's grid", show="score", best="max", spread=spread_columns("score")),
        "exact_score": Column(
            title="score", note="exact integral", show="score", spread=spread_columns("exact_score")
        ),
        "workloads_trained": Column(title="trained", note=f"of {len(result.workloads)}", best="max"),
        ratio: Column(
            title="time ratio", note=f"to {result.against}, smaller is faster", show="fraction", best="min"
        ),
    }
    if result.against is None:
        table = result.scores
    measure = "seconds of training" if result.by == "time" else "steps"
    blocks: list[Block] = [_profile(result)] if with_picture else []
    blocks += [
        Table(
            f"scores_{stem}",
            spread.with_scores(table),
            "Scores: area under the performance profile up to 4 times the best time"
            + (", small: least to greatest of each study scored alone" if len(spread.alone) > 1 else "")
            + ". Time ratio: geometric mean over workloads, a miss counts the budget and a second; – where a "
            "workload was not run.",
            columns,
            lead_rows=(0,) if table.height > 1 else (),
        )
    ]
    base, others = _time_tables(result)
    blocks.append(
        Table(
            f"time_to_target_{stem}",
            spread.with_times(base),
            f"Time to target, {measure}: in each repeat the trial that hits first, then the median over "
            f"repeats{', small: least to greatest' if len(spread.alone) > 1 else ''}. – means not run.",
            {name: _time_column(name) for name in result.workloads},
        )
    )
    if others.width > 1:
        blocks.append(
            Table(
                f"time_to_target_held_out_{stem}",
                spread.with_times(others),
                "The same on held-out variants. A base workload counts in the score only if its variant was "
                "trained too.",
                {name: _time_column(name) for name in others.columns[1:]},
            )
        )
    blocks += [Note(spread.note)] if spread.note else []
    blocks += [Note(f"{text[:1].upper()}{text[1:]}.") for text in result.notes]
    return Section(f"{result.benchmark or 'The'} scores", tuple(blocks))


def _time_column(workload: str) -> Column:
    return Column(show="seconds", best="min", spread=spread_columns(workload))


def _time_tables(result: Score) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Base workloads and the others, submissions by score."""
    order = {name: place for place, name in enumerate(result.ranked)}
    table = result.time_to_target.sort(pl.col("submission").replace_strict(order))
    others = [
        c for c in table.columns[1:] if c not in result.workloads and table[c].null_count() < table.height
    ]
    base = [c for c in table.columns[1:] if c in result.workloads]
    return table.select("submission", *base), table.select("submission", *others)


# What was read


def _settings(list_size: int | None, penalty: float, submission: str | None) -> str:
    """What the report was asked for, in words."""
    size = (
        "one point less than a submission has, at most 5" if list_size is None else count(list_size, "point")
    )
    whose = "every submission" if submission is None else submission
    return f"lists of {size} (--size), penalty {penalty:g} (--penalty), points of {whose} (--submission)"


def _what_was_read(results: Results, settings: str) -> Section:
    trials = results.trials
    status = tables.status_table(trials.with_columns(submission=_with_version(trials)))
    shape = (
        trials.with_columns(submission=_with_version(trials))
        .group_by("submission", maintain_order=True)
        .agg(
            pl.col("framework").drop_nulls().unique().sort().str.join(", "),
            *(pl.col(c).n_unique().cast(pl.Int64).alias(f"{c}s") for c in ("repeat", "workload", "point")),
        )
    )
    said = sorted(set(trials["data"].drop_nulls()))
    blocks: list[Block] = [
        Prose(
            f"Read from {Path(results.source).name or results.source}"
            + (f" ({'; '.join(said)})" if said else "")
            + ". Targets and rules are those of each benchmark version, budgets those that each trial recorded."
        ),
        Prose(f"This report: {settings}."),
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
    several = [name for name in ("benchmark", "ruleset") if trials[name].n_unique() > 1]
    return pl.concat_str(*several, "submission", separator=" ", ignore_nulls=True)
