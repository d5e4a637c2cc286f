"""`shortlist worker`: trains for a coordinator elsewhere that shares a folder with this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist._errors import say
from shortlist._interrupt import interruptible
from tuning.execution.stopping import Stop


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(worker)


def worker(
    folder: Annotated[
        Path, typer.Argument(metavar="PATH", help="That of 'shortlist tune --executor folder --folder PATH'.")
    ],
    workers: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Jobs at a time, each in a process with its share of the cores."
        ),
    ] = 1,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", metavar="DIR", help="Real data sets here; default: where the coordinator has them."
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when whoever asks is served, once there was something to do.")
    ] = False,
    lease: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="Of a folder that is made now: silence after which a worker is taken for gone; default: 300.",
        ),
    ] = None,
) -> None:
    """Have this machine train cohorts of studies that are tuned elsewhere, until PATH/stop is there, or Ctrl-C.

    On a Slurm cluster 'shortlist workers PATH --slurm N' has Slurm start N of these.

    Whoever may write into PATH may have code run here: use a folder of your own.

    Example: shortlist worker /shared/jobs
    """
    from tuning.execution.executors.folder_worker import serve

    stop = Stop()
    kept = "what was trained is with whoever asked for it"
    with interruptible(stop, waits_for=stop.waits_for, kept=kept):
        done = serve(folder, data_dir=data_dir, workers=workers, once=once, lease=lease, stop=stop, say=say)
    say(f"worker ended, {done} jobs done")
