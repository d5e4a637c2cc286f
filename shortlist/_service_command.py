"""The command that serves suggestions: vizier-service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from shortlist._output import echo


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command("vizier-service")(vizier_service)


def vizier_service(
    folder: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Of the database; made when missing, gone on with if it is there."),
    ],
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=65535,
            help="On this machine alone; default: the one it had before, or a free one.",
        ),
    ] = None,
) -> None:
    """Serve Vizier's suggestions to several workers until Ctrl-C. Prints its address; see --service of tune.

    Example: shortlist vizier-service --folder service
    """
    from tuning.strategies import vizier_service as service

    started, variables = service.command(folder, port)
    echo(f"database: {folder / service.DATABASE}; address, for --service of shortlist tune, once it answers:")
    # This process becomes the service, with an environment of its own from its first instruction on.
    os.execve(started[0], started, variables)
