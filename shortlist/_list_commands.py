"""Commands that judge: score, build-list, leave-one-out, recommend, report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shortlist._names import OWN_WORKLOAD, workload_names
from shortlist._output import echo, echo_left_out, print_json, print_table
from shortlist._progress import progress_display

if TYPE_CHECKING:
    import polars as pl

    from reports import Score
    from results import LeftOut

SOURCES = (
    "A study or a folder of studies, a tree of AlgoPerf logs, a folder with trials.parquet and evals.parquet, or a "
    "CSV/Parquet table with the columns point, workload, fraction"
)
Source = Annotated[Path, typer.Argument(metavar="SOURCE", help=f"{SOURCES}.")]
Benchmark = Annotated[str | None, typer.Option(metavar="VERSION", help="AlgoPerf version, such as v0.5.")]
Ruleset = Annotated[
    Literal["external", "self-tuning"] | None,
    typer.Option(help="Of AlgoPerf's logs that hold both; each is scored by itself."),
]
Submission = Annotated[str | None, typer.Option(metavar="NAME", help="Whose points; 'all' pools them.")]
By = Annotated[Literal["steps", "time"], typer.Option(help="Which budget a fraction is of.")]
Size = Annotated[int, typer.Option(metavar="K", min=1, help="Points in the list.")]
Penalty = Annotated[float, typer.Option(metavar="TAU", help="What a missed target costs, in budgets.")]
Construction = Annotated[
    Literal[
        "greedy", "exact", "hedged", "bagged", "shrunk", "shrunk-exact", "cautious", "best-penalty", "nested"
    ],
    # --method is its older name.
    typer.Option("--construction", "--method", help="How lists are built; docs/lists.md compares them."),
]
Ties = Annotated[
    Literal["merit", "lowest-id"],
    typer.Option(help="Of equal points: merit takes the one that trains more, sooner; lowest-id the first."),
]
Stop = Annotated[
    bool,
    typer.Option("--stop-when-covered", help="Shorter than K where no further point lowers the cost."),
]
AllowStopped = Annotated[
    bool,
    typer.Option("--allow-stopped", help="Count trials that a strategy stopped before the target as missed."),
]
LATE, UNLEARNT = "†", "*"  # signs behind a fraction

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command()(score)
    app.command("build-list")(build_list)
    app.command("leave-one-out")(leave_one_out)
    app.command()(recommend)
    app.command()(report)


def score(
    source: Source,
    benchmark: Benchmark = None,
    ruleset: Ruleset = None,
    by: Annotated[
        Literal["time", "steps"] | None,
        typer.Option(help="Default: time for AlgoPerf's logs, steps for studies."),
    ] = None,
    json: Json = False,
) -> None:
    """AlgoPerf scores: time to target, performance profiles, final score, speedups.

    Example: shortlist score logs/external_tuning --benchmark v0.5
    """
    import polars as pl

    from reports import scores
    from results import Fractions, read_source

    with progress_display() as progress:
        results = read_source(source, progress, benchmark, ruleset)
    if isinstance(results, Fractions):
        raise ValueError(
            f"{source}: a table of fractions names no submissions to score; use build-list on it"
        )
    by_version = scores(results, by=by)
    if json:
        left_out = [item.to_json() for item in results.left_out]
        scored = [score_json(one) for one in by_version.values()]
        print_json(
            {"source": str(source), "scores": scored, "warnings": results.warnings, "left_out": left_out}
        )
        return
    for part, one in by_version.items():
        name = f"AlgoPerf {part}" if part else str(source)
        # A search of 40 points outruns a list of 5 on its budget alone, so the budget stands beside the score.
        trials = results.comparable()[one.benchmark, one.ruleset].trials
        per_workload = trials.group_by("submission", "workload").agg(pl.col("point").n_unique())
        budgets = per_workload.group_by("submission").agg(points=pl.col("point").max())
        table = one.scores
        if one.against is not None:
            said = f"speedup against {one.against} (smaller is faster)"
            compared = one.speedups.rename({"speedup": said})
            table = table.join(compared, on="submission", how="left", maintain_order="left")
        table = table.join(budgets, on="submission", how="left", maintain_order="left")
        print_table(f"{name}: scores by {one.by}", table.columns, table.iter_rows())
        unit = "seconds" if one.by == "time" else "steps"
        times = one.time_to_target.transpose(
            include_header=True, header_name="workload", column_names="submission"
        )
        print_table(f"{name}: {unit} to target, median over repeats", times.columns, times.iter_rows())
        for note in one.notes:
            echo(f"note: {note}")
    _print_said(results.warnings, results.left_out)


def build_list(
    source: Source,
    size: Size = 5,
    penalty: Penalty = 2.0,
    construction: Construction = "greedy",
    ties: Ties = "merit",
    stop_when_covered: Stop = False,
    by: By = "steps",
    benchmark: Benchmark = None,
    ruleset: Ruleset = None,
    submission: Submission = None,
    allow_stopped: AllowStopped = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the list as JSON.")] = None,
    json: Json = False,
) -> None:
    """Build an ordered list of points that trains as many workloads as possible, as soon as possible.

    Example: shortlist build-list studies/first --size 5 --out my_list.json
    """
    import lists

    with progress_display() as progress:
        built = lists.build_list(
            source, size=size, penalty=penalty, method=construction, ties=ties, stop_when_covered=stop_when_covered,
            by=by, benchmark=benchmark, submission=submission, ruleset=ruleset, allow_stopped=allow_stopped,
            progress=progress,
        )  # fmt: skip
    if out:
        lists.write_list(out, built.as_list())
    if json:
        print_json(built.to_json())
        return
    table = built.table()
    print_table(built.title, table.columns, table.iter_rows(), _late(table, built.fractions.workloads))
    _print_notes(built.notes())
    _print_said(built.warnings, built.left_out)
    if out:
        echo(f"written: {out}")
        echo(f"next: shortlist package --list {out} --out submission")


def leave_one_out(
    source: Source,
    size: Size = 5,
    penalty: Penalty = 2.0,
    construction: Construction = "greedy",
    ties: Ties = "merit",
    stop_when_covered: Stop = False,
    by: By = "steps",
    benchmark: Benchmark = None,
    ruleset: Ruleset = None,
    submission: Submission = None,
    allow_stopped: AllowStopped = False,
    json: Json = False,
) -> None:
    """Build a list without each workload in turn, and see whether it trains the one left out.

    Example: shortlist leave-one-out logs/external_tuning --benchmark v0.5 --submission baseline --size 4
    """
    import lists

    with progress_display() as progress:
        proof = lists.leave_one_workload_out(
            source, size=size, penalty=penalty, method=construction, ties=ties, stop_when_covered=stop_when_covered,
            by=by, benchmark=benchmark, submission=submission, ruleset=ruleset, allow_stopped=allow_stopped,
            progress=progress,
        )  # fmt: skip
    if json:
        print_json(proof.to_json())
        return
    table, summary = proof.table(), proof.summary()
    lengths = [name for name in table.columns if name.startswith("k=")]
    marks = _late(table, lengths)
    for row, of_workload in enumerate(proof.result.unlearnt):
        for name, unlearnt in zip(lengths, of_workload, strict=True):
            if unlearnt:
                marks[row, name] = marks.get((row, name), "") + UNLEARNT
    print_table(proof.title, table.columns, table.iter_rows(), marks)
    print_table(
        f"of {len(table)} left-out workloads, by points in the list", summary.columns, summary.iter_rows()
    )
    _print_notes(proof.notes())
    _print_said(proof.warnings, proof.left_out)


def recommend(
    workload: Annotated[
        str,
        typer.Argument(metavar=OWN_WORKLOAD, help="Nothing of it is trained.", autocompletion=workload_names),
    ],
    sources: Annotated[
        list[Path],
        typer.Option(
            "--from", metavar="STUDY", help="Trials of the same points on other workloads; several."
        ),
    ],
    size: Size = 5,
    penalty: Penalty = 2.0,
    width: Annotated[
        float, typer.Option(metavar="X", help="How far likeness reaches; inf: all workloads count alike.")
    ] = 0.5,
    ties: Ties = "merit",
    by: By = "steps",
    submission: Submission = None,
    allow_stopped: AllowStopped = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the list as JSON.")] = None,
    json: Json = False,
) -> None:
    """Order points for a workload that nothing was trained on, by what they did on workloads like it.

    Example: shortlist recommend algoperf/ogbg@mini --from studies/first --size 5 --out ogbg.json
    """
    import functools

    import lists
    import workloads

    with progress_display() as progress:
        found = lists.recommend_list(
            sources, workloads.recorded_name(workload), functools.cache(workloads.comparable_facts), size=size,
            penalty=penalty, width=width, ties=ties, by=by, submission=submission, allow_stopped=allow_stopped,
            progress=progress,
        )  # fmt: skip
    if out:
        lists.write_list(out, found.built.as_list())
    if json:
        print_json(found.to_json())
        return
    table, likeness = found.built.table(), found.likeness()
    print_table(
        found.built.title, table.columns, table.iter_rows(), _late(table, found.built.fractions.workloads)
    )
    print_table("workloads that it was learnt on", likeness.columns, likeness.iter_rows())
    _print_notes(found.built.notes())
    _print_said(found.built.warnings, found.built.left_out)
    if out:
        echo(f"written: {out}")
        echo(f"next: shortlist tune {workload} --strategy list --list {out} --study studies/recommended")


def _late(table: pl.DataFrame, columns: Iterable[str]) -> dict[tuple[int, str], str]:
    """Marks for fractions above 1."""
    return {
        (row, name): LATE
        for name in columns
        for row, value in enumerate(table[name])
        if 1.0 < value < math.inf
    }


def _print_notes(notes: Iterable[str]) -> None:
    signs = {"not learnt": UNLEARNT, "after the budget": LATE}
    for note in notes:
        sign = next((sign for start, sign in signs.items() if note.startswith(start)), "")
        echo(f"{sign or 'note:'} {note}")


def _print_said(warnings: Iterable[str], left_out: Sequence[LeftOut]) -> None:
    """What a source warns of and leaves out."""
    for warning in warnings:
        echo(f"note: {warning}")
    echo_left_out(left_out)


def score_json(one: Score) -> dict[str, object]:
    """The JSON object of one benchmark version and ruleset."""
    profiles = one.profiles
    return {
        "benchmark": one.benchmark,
        "ruleset": one.ruleset,
        "by": one.by,
        "workloads": list(one.workloads),
        "scores": one.scores.to_dicts(),
        "speedups": [row | {"against": one.against} for row in one.speedups.to_dicts()],
        "against": one.against,
        "time_to_target": one.time_to_target.to_dicts(),
        "status": one.status.to_dicts(),
        "ratios": one.ratios.to_dicts(),
        "profiles": {name: profiles[name].to_list() for name in profiles.columns},
        "notes": list(one.notes),
    }


def report(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help=f"{SOURCES}; or the folder of a meta-training.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")],
    benchmark: Benchmark = None,
    ruleset: Ruleset = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="K", min=1, help="Points in lists; default: 5, or as many as were trained anew."
        ),
    ] = None,
    penalty: Penalty = 2.0,
    confidence: Annotated[
        float | None,
        typer.Option(metavar="P", help="Of bands around tuning curves, between 0 and 1; default: 0.7."),
    ] = None,
    submission: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose points; default: several searches are compared."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="STUDY", help="Of a meta-training: studies beside its evaluations; repeat for more."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier report.")] = False,
    json: Json = False,
) -> None:
    """Write a report: one folder with index.html, tables as CSV and Markdown, figures as SVG and PNG.

    Example: shortlist report studies --out report
    """
    from reports import report_on, write_report

    with progress_display() as progress:
        content = report_on(
            source, benchmark=benchmark, ruleset=ruleset, size=size, penalty=penalty, confidence=confidence,
            submission=submission, against=against or (), progress=progress,
        )  # fmt: skip
        page = write_report(content, out, overwrite=overwrite)
    if json:
        tables = {table.name: table.data.to_dicts() for table in content.tables}
        print_json({"report": str(page), "finding": content.finding, "tables": tables})
        return
    echo(f"report: {page}")
