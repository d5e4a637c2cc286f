"""Commands on learning curves as TaskSet publishes them: curves convert, curves list, curves report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from shortlist._output import echo, echo_left_out, print_json, print_table
from shortlist._progress import progress_display

Curves = Annotated[
    Path,
    typer.Argument(
        metavar="CURVES",
        help="A study or a folder of studies, a table of curves (.parquet), a folder with "
        "<task>/<set>_<steps>_replica<n>.npz as TaskSet released them, or one .npz.",
    ),
]
Facts = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Output of 'shortlist workloads --json': numbers of parameters."),
]
Set = Annotated[
    str | None,
    typer.Option("--set", metavar="NAME", help="Set of optimizers; default: the one on the most tasks."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Learning curves of many points on many tasks: convert them, learn a list from them, report on them.",
)


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module, as `shortlist curves ...`."""
    for command in (convert, list_, report):
        commands.command(command.__name__.rstrip("_"))(command)
    app.add_typer(commands, name="curves")


def convert(
    source: Curves,
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="A file ending in .parquet, or a folder for .npz files.")
    ],
    facts: Facts = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    json: Json = False,
) -> None:
    """Turn a study into a table of curves or into TaskSet's released files, and those into each other.

    Example: shortlist curves convert studies/sweep --out curves.parquet
    """
    import results

    done = results.convert_curves(source, out, facts=facts, overwrite=overwrite)
    if json:
        print_json(done.to_json())
        return
    for path in done.files[:3]:
        echo(f"written: {path}")
    if len(done.files) > 3:
        echo(f"written: {len(done.files) - 3} more files below {out}")
    echo(f"{done.curves:,} curves of {done.tasks} tasks, {done.bytes:,} bytes")
    echo_left_out(done.left_out)
    if done.first_step:
        echo(
            f"note: curves begin at step {done.first_step}; lists and reports of curves need the loss at step 0, which "
            "'shortlist tune --eval-at-start' records"
        )
    elif done.tasks > 1:  # of one task there is nothing to learn for another
        echo(f"next: shortlist curves report {out} --out {out.with_suffix('')}-report")


def list_(
    source: Curves,
    size: Annotated[int, typer.Option(metavar="K", min=1, help="Points in the list.")] = 10,
    method: Annotated[
        Literal["greedy", "exact"],
        typer.Option(help="greedy is ordered; exact is the best set, on <= 16 tasks."),
    ] = "greedy",
    cost: Annotated[
        str, typer.Option(metavar="NAME", help="mean, mean_initial, minimum, final or final_95.")
    ] = "mean",
    ties: Annotated[
        Literal["merit", "lowest-id"],
        typer.Option(help="Of equal points: merit takes the lower mean loss; lowest-id the first."),
    ] = "merit",
    stop_when_covered: Annotated[
        bool,
        typer.Option("--stop-when-covered", help="Shorter than K where no further point lowers the cost."),
    ] = False,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the list as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a list that is there.")] = False,
    json: Json = False,
) -> None:
    """Learn a list from curves: the points that together have the lowest normalised loss on all tasks.

    Example: shortlist curves list curves.parquet --size 5 --out mine.json
    """
    import lists
    import results

    with progress_display() as progress:
        built = lists.list_from_curves(
            results.read_curves(source),
            size=size,
            method=method,
            cost=cost,
            ties=ties,
            stop_when_covered=stop_when_covered,
            optimizer_set=set_,
            progress=progress,
        )
    if out:
        lists.write_list(out, built.as_list(out.stem), overwrite=overwrite)
    if json:
        print_json(built.to_json())
        return
    table = built.table()
    title = (
        f"{method} list of {len(built.points)} out of {len(built.costs.points)} points on "
        f"{len(built.costs.tasks)} tasks"
    )
    print_table(title, table.columns, table.iter_rows())
    for note in built.notes():
        typer.echo(f"note: {note}")
    echo_left_out(built.left_out)
    if out:
        echo(f"written: {out}")
        echo(f"next: shortlist tune WORKLOAD... --strategy list --list {out} --study DIR")


def report(
    source: Curves,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the report.")],
    size: Annotated[int, typer.Option(metavar="K", min=1, help="Points in the list.")] = 10,
    resamplings: Annotated[
        int, typer.Option(metavar="N", min=1, help="Random halves of the tasks behind every median.")
    ] = 50,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Determines every number.")] = 0,
    set_: Set = None,
    facts: Facts = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier report.")] = False,
    json: Json = False,
) -> None:
    """Write a report on curves: TaskSet's figures as far as the curves allow, and why not the others.

    Example: shortlist curves report curves.parquet --out report
    """
    import reports
    import results

    parameters = results.read_parameters(facts) if facts else None
    with progress_display() as progress:
        content = reports.curves_report(
            results.read_curves(source, parameters), optimizer_set=set_, size=size, resamplings=resamplings,
            seed=seed, progress=progress,
        )  # fmt: skip
    page = reports.write_report(content, out, overwrite=overwrite)
    if json:
        tables = {table.name: table.data.to_dicts() for table in content.tables}
        print_json({"report": str(page), "finding": content.finding, "tables": tables})
        return
    echo(content.finding)
    echo(f"report: {page}")
