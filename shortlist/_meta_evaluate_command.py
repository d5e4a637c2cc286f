"""The command that judges weights of a meta-training, beside it or after it: meta-evaluate."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from shortlist._interrupt import interruptible
from shortlist._names import OWN_WORKLOAD, workload_names
from shortlist._output import print_json
from shortlist._progress import progress_display
from shortlist._training_commands import DataDir, Json
from tuning.execution.stopping import Stop


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(meta_evaluate)


def meta_evaluate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a meta-training, under way or ended.")],
    workload: Annotated[
        list[str],
        typer.Option(
            metavar=OWN_WORKLOAD,
            help="What to train with its weights; repeat for more.",
            autocompletion=workload_names,
        ),
    ],
    steps: Annotated[
        str, typer.Option(metavar="N[,N...]", help="Horizons: train for so many steps each.")
    ] = "1000",
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Trainings of each.")] = 5,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Wait for new weights, until the meta-training has said that it ended."),
    ] = False,
    look_seconds: Annotated[
        float, typer.Option(metavar="X", min=0.01, help="Of --watch: between two looks at the folder.")
    ] = 2.0,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Train fixed workloads with all weights of a meta-training that have not been judged yet, the newest first.

    Example: shortlist meta-evaluate meta --workload digits/conv --steps 200,1000 --watch
    """
    from results import meta_trainings
    from submissions import environment
    from tuning.meta_training.evaluation import Chief, wait_for

    horizons = _whole_numbers(steps, "--steps")
    environment.use_compilation_cache()
    kept = f"what is evaluated stands in {folder / meta_trainings.EVALUATIONS}, run the same command to go on"
    judged: list[int] = []
    with (
        interruptible(Stop(), waits_for=lambda: "", kept=kept),
        progress_display() as progress,
    ):
        if watch:
            said = f"{folder}: waiting for a meta-training to begin there"
            wait_for(folder, look_seconds, told=lambda: typer.echo(said, err=True))
        chief = Chief(folder, workload, horizons, seeds, data_dir)
        made = chief.run(watch, look_seconds, progress, told=lambda outer_step, _: judged.append(outer_step))
    if json:
        print_json(
            {
                "folder": str(folder),
                "evaluations": str(folder / meta_trainings.EVALUATIONS),
                "trainings": made,
                "outer_steps": sorted(judged),
                "compilations": chief.compilations,
            }
        )
        return
    if not made:
        typer.echo(f"{folder}: nothing to evaluate, all weights that are there have been", err=True)
        return
    between = f"{min(judged)} to {max(judged)}" if len(set(judged)) > 1 else f"{judged[0]}"
    typer.echo(f"{folder}: {made:,} trainings with {len(judged):,} sets of weights, of outer steps {between}")
    typer.echo(f"next: shortlist report {shlex.quote(str(folder))} --out {shlex.quote(f'{folder}-report')}")


def _whole_numbers(text: str, option: str) -> list[int]:
    """Numbers with commas between them.

    Raises:
      ValueError: something else.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} {text!r}: give whole numbers with commas between them") from None
