"""`shortlist pack`: all trials of a source as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist._list_commands import Source
from shortlist._progress import progress_display


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(pack)


def pack(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Must end in .parquet.")],
) -> None:
    """Pack all trials of a source into one Parquet file, which every command reads as it reads the source.

    Example: shortlist pack studies --out studies.parquet
    """
    from results import Results, read_source, write_packed

    with progress_display() as progress:
        found = read_source(source, progress)
    if not isinstance(found, Results):
        raise ValueError(f"{source}: a table of fractions is one file already")
    write_packed(found, out)
    size = out.stat().st_size / 1e6
    typer.echo(f"{out}: {len(found.trials):,} trials, {len(found.evals):,} evaluations, {size:.1f} MB")
