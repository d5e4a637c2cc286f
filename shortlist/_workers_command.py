"""`shortlist workers`: several `shortlist worker` at once, as jobs of Slurm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist._errors import say


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(workers)


def workers(
    folder: Annotated[
        Path, typer.Argument(metavar="PATH", help="That of 'shortlist tune --executor folder --folder PATH'.")
    ],
    slurm: Annotated[int, typer.Option(metavar="N", min=1, help="Workers, a job of Slurm each.")],
    time: Annotated[
        str, typer.Option(metavar="H:MM", help="That each may take; then it is queued again.")
    ] = "4:00",
    gpus: Annotated[int, typer.Option(metavar="N", min=0, help="Of each worker.")] = 0,
    cores: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of each worker.")] = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Of each worker, such as 32GB.")] = None,
    partition: Annotated[str | None, typer.Option(metavar="NAME", help="Of the cluster.")] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Another option of sbatch; may be repeated."),
    ] = None,
    stay: Annotated[
        bool,
        typer.Option("--stay", help="Wait for more when nothing is left to do, until PATH/stop is there."),
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Real data sets there; default: as the coordinator has them."),
    ] = None,
) -> None:
    """Have Slurm start 'shortlist worker PATH' N times. Those that are preempted or run out of time begin again.

    It only asks for them, and ends. On a machine without Slurm run 'shortlist worker PATH' itself.

    Their logs are in PATH-slurm. Needs pip install 'shortlist[slurm]'.

    Example: shortlist workers /shared/jobs --slurm 8 --gpus 1 --time 4:00
    """
    from tuning.execution.executors import slurm as on_slurm

    options: dict[str, str] = {}
    for one in sbatch or ():
        key, _, value = one.partition("=")
        if not (key and value):
            raise typer.BadParameter(f"{one!r} must be KEY=VALUE", param_hint="--sbatch")
        options[key] = value
    arguments = [] if stay else ["--once"]
    if data_dir is not None:
        arguments += ["--data-dir", str(data_dir.resolve())]
    started = on_slurm.start(
        folder, slurm, minutes=_minutes(time), gpus=gpus, cores=cores, memory=memory, partition=partition,
        options=options, arguments=arguments,
    )  # fmt: skip
    said = f"asked for {len(started)} workers of {folder}, jobs {started[0]} to {started[-1]}"
    say(f"{said}; logs: {on_slurm.logs(folder)}")


def _minutes(time: str) -> int:
    """Of H:MM.

    Example:
      >>> _minutes("4:30")
      270
    """
    hours, _, minutes = time.partition(":")
    if not (hours.isdigit() and minutes.isdigit() and int(hours) * 60 + int(minutes)):
        raise typer.BadParameter(f"{time!r} must be hours and minutes, such as 4:00", param_hint="--time")
    return int(hours) * 60 + int(minutes)
