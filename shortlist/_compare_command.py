"""The command that says which of several contenders is better, and how surely: compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from shortlist._output import echo, echo_left_out, print_json, print_table
from shortlist._progress import progress_display


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(compare)


def compare(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Studies, trees of AlgoPerf logs, their tables, or tables of fractions; see 'shortlist score --help'.",
        ),
    ],
    a: Annotated[
        str | None, typer.Option("--a", metavar="NAME", help="Compare this one with the others.")
    ] = None,
    b: Annotated[str | None, typer.Option("--b", metavar="NAME", help="And only with this one.")] = None,
    budget: Annotated[
        int | None,
        typer.Option(metavar="K", min=1, help="Only the first K points of each count; lists have K."),
    ] = None,
    by: Annotated[
        Literal["steps", "time"] | None,
        typer.Option(help="Which budget a fraction is of. Default: time for AlgoPerf's logs, else steps."),
    ] = None,
    penalty: Annotated[
        float, typer.Option(metavar="TAU", help="What a missed target costs, in budgets.")
    ] = 2.0,
    confidence: Annotated[float, typer.Option(metavar="P", help="Of intervals, between 0 and 1.")] = 0.95,
    resamples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of workloads or repeats, for intervals and tests.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Of the resamples.")] = 0,
    power: Annotated[
        bool,
        typer.Option("--power", help="Also how many workloads and repeats the first pair takes, at 1 - P."),
    ] = False,
    benchmark: Annotated[
        str | None, typer.Option(metavar="VERSION", help="AlgoPerf version, such as v0.5.")
    ] = None,
    ruleset: Annotated[
        Literal["external", "self-tuning"] | None,
        typer.Option(help="Of AlgoPerf's logs that hold both."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say which contender is better and how surely: costs, differences and tests, with intervals.

    Contenders are the lists and baselines of studies, and the submissions of AlgoPerf's logs.

    Example: shortlist compare logs/external_tuning --benchmark v0.5 --a shampoo_submission
    """
    import reports

    with progress_display() as progress:
        found = reports.compare(
            sources, a=a, b=b, by=by, budget=budget, penalty=penalty, confidence=confidence, resamples=resamples,
            seed=seed, benchmark=benchmark, ruleset=ruleset, power=power, progress=progress,
        )  # fmt: skip
    if json:
        print_json(found.to_json())
        return
    for title, table in found.tables():
        print_table(title, table.columns, table.iter_rows())
    for said in found.power_in_words():
        echo(said)
    for note in (*found.notes, *found.warnings):
        echo(f"note: {note}")
    echo_left_out(found.left_out)
