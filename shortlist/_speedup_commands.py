"""Commands on speed-ups over tuned baselines: speedup baseline, speedup score."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from shortlist._output import echo, echo_left_out, print_json, print_table

Decay = Annotated[
    float,
    typer.Option(metavar="X", help="Of the moving average over a baseline's evaluations; 0: none."),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        help="Of the baselines' trainings only this study's or submission's; repeat for more.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]

MOST_SHOWN = 15  # pairs in a terminal

commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="VeLOdrome's score: the steps that tuned Adam needs for the training loss reached, over the steps taken.",
)


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module, as `shortlist speedup ...`."""
    for command in (baseline, score):
        commands.command()(command)
    app.add_typer(commands, name="speedup")


def baseline(
    trainings: Annotated[
        list[Path],
        typer.Argument(
            metavar="BASELINE...",
            help="Studies of 'tune --strategy rate-grid' or others, curves, or files of curves; see 'score --help'.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Ends in .parquet.")],
    points: Annotated[int, typer.Option(metavar="N", min=2, help="Of each curve.")] = 512,
    only: Only = None,
    decay: Decay = 0.95,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Keep the curves of tuned baselines in one small file.

    Example: shortlist speedup baseline baselines/adam --out adam.parquet
    """
    from results import baselines

    found = baselines.read_baselines(trainings, decay=decay, points=points, only=only or ())
    baselines.write_baselines(out, found, overwrite)
    if json:
        workloads = [
            {
                "workload": name,
                "last_step": curve.last_step,
                "made_of": found.made_of.get(name),
                "data": found.data.get(name),
                "note": found.notes.get(name),
            }
            for name, curve in sorted(found.curves.items())
        ]
        left_out = [item.to_json() for item in found.left_out]
        print_json({"file": str(out), "workloads": workloads, "left_out": left_out})
        return
    rows = [
        (name, curve.last_step, f"{curve.losses[0]:.4g}", f"{curve.losses[-1]:.4g}", found.made_of.get(name))
        for name, curve in sorted(found.curves.items())
    ]
    print_table(
        f"{len(rows)} baseline curves", ("workload", "steps", "first loss", "last loss", "made of"), rows
    )
    for note in dict.fromkeys(found.notes.values()):
        echo(f"note: {note}")
    echo_left_out(found.left_out)
    echo(f"written: {out}")
    echo(f"next: shortlist speedup score STUDY... --baseline {shlex.quote(str(out))}")


def score(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Studies, tables of curves, or packed results and logs, of which only what is judged by its loss.",
        ),
    ],
    against: Annotated[
        list[Path],
        typer.Option(
            "--baseline",
            metavar="BASELINE",
            help="A file of 'speedup baseline', VeLOdrome's released .json or .pkl, or studies; repeat for more, of "
            "which the best at every step counts.",
        ),
    ],
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Score the loss after N steps; default: at the end."),
    ] = None,
    budget: Annotated[
        list[int] | None,
        typer.Option(
            metavar="K",
            min=1,
            help="Only the first K points of each, of drawn ones random search of K; repeat for more. Default: all.",
        ),
    ] = None,
    only: Only = None,
    a: Annotated[
        str | None, typer.Option("--a", metavar="NAME", help="Compare this contender with the others.")
    ] = None,
    decay: Decay = 0.95,
    penalty: Annotated[
        float,
        typer.Option(
            metavar="TAU", min=1, help="What 1 / score counts at most where contenders are compared."
        ),
    ] = 10.0,
    confidence: Annotated[float, typer.Option(metavar="P", help="Of intervals, between 0 and 1.")] = 0.95,
    resamples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of workloads or repeats, for intervals and tests.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Of the resamples.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write a report there.")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Score studies against tuned baselines, and say which is better and how surely.

    Example: shortlist speedup score studies/mine studies/list --baseline adam.parquet --budget 1 --budget 5
    """
    from reports import speedup
    from reports.page import write_report

    found = speedup.speedups(
        sources, against, steps=steps, budgets=budget or (), only=only or (), a=a, decay=decay, penalty=penalty,
        confidence=confidence, resamples=resamples, seed=seed,
    )  # fmt: skip
    page = write_report(speedup.speedup_report(found), out, overwrite=overwrite) if out else None
    if json:
        print_json(found.to_json() | {"report": None if page is None else str(page)})
        return
    table = found.scores.table.drop("limit", "loss")
    print_table("scores: steps that the baseline needs, over those taken", table.columns, table.iter_rows())
    shown = found.summary().select(
        "contender", "workloads", "mean", "5 %", "25 %", "50 %", "75 %", "95 %", "faster", "at_limit", "none"
    )
    print_table("over workloads", shown.columns, shown.iter_rows())
    if found.comparison is not None:
        parts = list(zip(_titles(penalty, confidence), found.comparison.tables(), strict=True))
        pairs = len(found.comparison.pairs)
        for title, (_, part) in parts if pairs <= MOST_SHOWN else parts[:1]:
            print_table(title, part.columns, part.iter_rows())
        if pairs > MOST_SHOWN:
            echo(
                f"{pairs} pairs are in the report (--out) and in --json; --a NAME shows those of one contender"
            )
        for note in found.comparison.notes:
            echo(f"note: {note}")
    for note in found.notes:
        echo(f"note: {note}")
    echo_left_out(found.scores.left_out)
    if page is not None:
        echo(f"report: {page}")


def _titles(penalty: float, confidence: float) -> tuple[str, ...]:
    return (
        f"geometric means of 1 / score, each at most {penalty:g}, with {100 * confidence:g} % intervals",
        "their ratios: below 1 where A is faster",
        "how often a run of A is ahead of a run of B",
    )
