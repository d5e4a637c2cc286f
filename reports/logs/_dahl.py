"""The report of the protocol dahl2023: AlgoPerf's scores and profiles from its logs, and targets by its procedure.

Reference: Dahl et al. 2023, arXiv:2306.07179.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from reports._words import count
from reports.logs._published import published_scores, scores_beside
from reports.logs._report import score_section
from reports.logs._scoring import Score, score
from reports.logs._spread import by_repeat
from reports.page import Block, Column, Note, Prose, Report, Section, Table, file_stem
from results import Results
from workloads.benchmarks import benchmark

VERSION_OF_TARGETS = "v0.5"  # the version that the paper describes


def dahl_report(
    logs: Sequence[Results],
    targets: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """AlgoPerf's scores and performance profiles from its logs, published beside ours, and targets.

    Args:
      logs: of AlgoPerf, one or several versions and rulesets, none twice.
      targets: workload -> all that a targets file says of its target; None shows none.
      progress: called as (what, done, total).

    Raises:
      ValueError: neither logs nor targets, results that are no logs of AlgoPerf's, or a version and ruleset twice.
    """
    if not logs and not targets:
        raise ValueError("neither logs nor targets, so there is nothing to report")
    parts: dict[str, Results] = {}
    for results in logs:
        for (version, ruleset), part in results.comparable().items():
            if version is None:
                raise ValueError(
                    f"{results.source}: holds no logs of an AlgoPerf version; this report is on those"
                )
            name = " ".join(filter(None, (version, ruleset)))
            if name in parts:
                raise ValueError(f"{results.source} and {parts[name].source}: both hold {name}; give it once")
            parts[name] = part
    sections: list[Section] = []
    said: list[str] = []
    agree = of = 0
    facts: list[tuple[str, str]] = []
    for done, (name, part) in enumerate(parts.items()):
        if progress:
            progress("benchmarks", done, len(parts))
        result = dataclasses.replace(score(part), benchmark=name)
        section = score_section(result, by_repeat(part, result), with_picture=True)
        beside = _beside(name, result)
        if beside is not None:
            sentence, blocks, found = beside
            said.append(sentence)
            agree, of = agree + found[0], of + found[1]
            section = dataclasses.replace(section, blocks=(*section.blocks[:1], *blocks, *section.blocks[1:]))
        sections.append(section)
        facts.append((f"{len(result.submissions)}", f"submissions of {name}"))
    if progress and parts:
        progress("benchmarks", len(parts), len(parts))
    if targets:
        sections.append(_targets_section(targets))
        facts.append((f"{len(targets)}", "targets by its procedure"))
    return Report(
        title="dahl2023 · AlgoPerf's scores, profiles and targets",
        finding=f"{agree} of {count(of, 'published score')} of AlgoPerf come out of its logs."
        if of
        else f"{count(len(parts), 'leaderboard')} scored; nothing was published of them."
        if parts
        else f"{count(len(targets or {}), 'target')} set by the paper's procedure.",
        detail=(*said, *(("Scores are of real logs; nothing was trained anew for them.",) if parts else ())),
        facts=tuple(facts),
        opening=None,
        sections=tuple(sections),
    )


def _beside(name: str, result: Score) -> tuple[str, list[Block], tuple[int, int]] | None:
    """Published scores of a leaderboard and ours, None where nothing was published.

    Returns:
      A sentence, what is shown, and how many scores agree of how many.
    """
    published = published_scores().get(name)
    if published is None:
        return None
    table = scores_beside(result, published)
    known = table.filter(pl.col("published").is_not_null())
    agree, of = int(known["agrees"].sum()), known.height
    sentence = f"{name}: {agree} of {count(of, 'published score')} come out to {published.decimals} decimals."
    speedups = table.filter(pl.col("published_speedup").is_not_null())
    columns = {
        "published": Column(show="score"),
        "ours": Column(show="score"),
        "published_speedup": Column(title="time ratio", note="published", show="score"),
        "our_speedup": Column(title="time ratio", note="ours", show="score"),
        "speedup_agrees": Column(title="agrees"),
    }
    shown = table
    if speedups.is_empty():
        shown = table.drop("published_speedup", "our_speedup", "speedup_agrees")
    else:
        sentence += f" {int(speedups['speedup_agrees'].sum())} of {speedups.height} time ratios do, too."
    caption = f"Scores, published and ours, by {published.source}."
    if not speedups.is_empty():
        caption += f" Time ratios to the baseline by {published.speedups_source}."
    blocks: list[Block] = [Table(f"published_{file_stem(name)}", shown, caption, columns)]
    missing = known.filter(pl.col("ours").is_null())["submission"].to_list()
    if missing:
        blocks.append(
            Note(
                f"Without trials in these logs: {', '.join(missing)}. A score depends on who is compared, so those "
                "of the others differ too."
            )
        )
    unpublished = table.filter(pl.col("published").is_null())["submission"].to_list()
    if unpublished:
        blocks.append(Note(f"No published score at hand: {', '.join(unpublished)}."))
    return sentence, blocks, (agree, of)


def _targets_section(targets: Mapping[str, Mapping[str, Any]]) -> Section:
    published = benchmark(VERSION_OF_TARGETS).workloads
    rows = []
    for name, said in targets.items():
        base = name.removeprefix("algoperf/").partition("@")[0]
        theirs = published.get(base)
        reached = said.get("best_reached") or [None]
        rows.append(
            (
                name,
                said["metric"],
                None if theirs is None else theirs.validation_target,
                said["validation_target"],
                said.get("test_target"),
                reached[0],
                reached[-1],
                said.get("best_reference") or said.get("optimizer"),
                said.get("best_point"),
                said.get("seeds"),
                said.get("part_of_budget"),
                said.get("procedure"),
            )
        )
    schema = {
        "workload": pl.String, "metric": pl.String, "published": pl.Float64, "target": pl.Float64,
        "test_target": pl.Float64, "least": pl.Float64, "greatest": pl.Float64, "set_by": pl.String,
        "point": pl.String, "seeds": pl.Int64, "part_of_budget": pl.Float64, "procedure": pl.String,
    }  # fmt: skip
    table = pl.DataFrame(rows, schema=schema, orient="row")
    number = Column(show="number")
    columns = {
        "published": Column(note="full size", show="number"),
        "target": Column(note="ours", show="number", spread=("least", "greatest")),
        "test_target": Column(title="test target", show="number"),
        "least": number, "greatest": number,
        "set_by": Column(title="set by"),
        "part_of_budget": Column(title="part of budget", show="number"),
        "procedure": Column(show="code"),
    }  # fmt: skip
    blocks: list[Block] = [
        Prose(
            "The paper's procedure: a reference set of points of four optimizers is trained, the best point of each is "
            "trained again from several seeds, and the target is the best median that these reach within a part of the "
            "step budget. Small: least and greatest of the seeds. 'shortlist set-targets' sets them."
        ),
        Table(
            "targets",
            table,
            f"Validation targets. Published: of AlgoPerf {VERSION_OF_TARGETS}'s workload of that name, on its own data "
            "at full size; another model on other data, so the two columns are not to be compared.",
            columns,
        ),
    ]
    if table["procedure"].n_unique() > 1 or "reference-median" in table["procedure"]:
        blocks.append(
            Note(
                "Targets that say reference-median retrained the best point of all references alone, an earlier form."
            )
        )
    return Section("Targets by the paper's procedure", tuple(blocks))
