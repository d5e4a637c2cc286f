"""Options of commands that train: who does it. They change no number."""

from __future__ import annotations

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
        help="threads; processes: one per core; folder: 'shortlist worker' on any machine; it changes no number.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Cohorts at a time; default: one per core on a CPU."),
]
Folder = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Where --executor folder meets its workers, see 'shortlist worker'."),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="What the workers of --executor folder train on, such as 'gpu NVIDIA H200', where it is not what is here.",
    ),
]
Deadline = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0.001,
        help="Give up the worker of a cohort that takes longer; default: 10 times the longest of its workload, 120 at "
        "least.",
    ),
]


def who_trains(
    executor: str,
    workers: int | None,
    deadline: float | None,
    display: Display,
    **options: Any,
) -> dict[str, Any]:
    """What `tune` is told of it.

    Args:
      executor, workers, deadline: see `tuning.studies.tune.tune`.
      display: shows what the workers do, where they are not threads of this process.
      options: of the executor.
    """
    watch: Callable[..., None] | None = None if executor in ("threads", "inline") else display.watch
    return {
        "executor": executor, "workers": workers, "deadline": deadline, "options": options, "watch": watch,
    }  # fmt: skip
