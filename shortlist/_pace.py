"""What a training will cost, told before it starts: --pace of run and tune."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

Pace = Annotated[
    bool | None,
    typer.Option(
        "--pace/--no-pace",
        help="Measure a few steps first, and say what part of the step hint the wall-clock budget covers; default: "
        "for AlgoPerf's workloads at full scale on real data.",
        show_default=False,
    ),
]


def tell_pace(workloads: Sequence[str], data_dir: Path | None, wanted: bool | None) -> None:
    """Says on standard error how fast a step of each workload is, and how far its budget reaches.

    Args:
      workloads: names, as given.
      data_dir: of real data.
      wanted: None: where a training takes hours under a clock; there a failed measurement is told, and all goes on.

    Raises:
      ValueError: it was asked for, and cannot be measured.
    """
    from tuning.execution import pace

    for name in workloads:
        if wanted or (wanted is None and pace.is_wanted(name, data_dir)):
            try:
                typer.echo(f"shortlist: {pace.measured_apart(name, data_dir)}", err=True)
            except ValueError as error:
                if wanted:
                    raise
                if isinstance(error, pace.NoWorkload):
                    continue  # the command itself refuses it
                typer.echo(f"shortlist: {error}; going on without", err=True)
