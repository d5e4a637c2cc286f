"""The options of `shortlist tune` that belong to strategies, read from their table."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from tuning import strategies


def with_strategy_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for everything that a strategy takes.

    Args:
      command: takes them as `**options`, by the names that `tuning.studies.plan.plan` knows; None: not given.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    added = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=option.type | None,  # type: ignore[operator]
            default=typer.Option(
                None,
                option.flag,
                metavar=option.metavar,
                min=option.least,
                help=f"For {', '.join(takers)}: {option.help}",
                rich_help_panel="Options of strategies",
            ),
        )
        for option, takers in strategies.options().values()
    ]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        command(**given)

    with_options.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return with_options
