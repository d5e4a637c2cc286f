"""Options of commands that train: who does it. They change no number."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from shortlist._progress import Display

ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="threads; processes: one per core; folder: 'shortlist worker' on any machine; ray: all accelerators of a "
        "machine, or a cluster. It changes no number.",
    ),
]
InLineOrExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="inline: here, one after the other; processes: one per core; folder: 'shortlist worker' on any machine; "
        "ray: all accelerators of a machine, or a cluster. It changes no number but times.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Cohorts, trials of 'run', or estimates of 'meta-train', at a time; default: one per core on a CPU.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Where --executor folder meets its workers, see 'shortlist worker'."),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="What the workers of --executor folder or ray train on, such as 'gpu NVIDIA H200', where it is not what "
        "is here.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Of the cluster that --executor ray joins, such as auto or 10.0.0.1:6379; default: a Ray of its own, "
        "which only this machine can reach.",
    ),
]
Deadline = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0.001,
        help="Give up the worker of a cohort, a trial of 'run', or an estimate of 'meta-train', that takes longer; "
        "default: of cohorts 10 times the longest of their workload, 120 at least.",
    ),
]


def who_trains(
    executor: str,
    workers: int | None,
    deadline: float | None,
    display: Display,
    **options: Any,
) -> dict[str, Any]:
    """What `tune` and `run` are told of it.

    Args:
      executor, workers, deadline: see `tuning.studies.tune.tune`.
      display: shows what the workers do, where they are not threads of this process.
      options: of the executor.
    """
    if executor == "ray":
        # Workers of this machine need all of an accelerator, of which JAX would take most here.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    watch: Callable[..., None] | None = None if executor in ("threads", "inline") else display.watch
    return {
        "executor": executor, "workers": workers, "deadline": deadline, "options": options, "watch": watch,
    }  # fmt: skip
