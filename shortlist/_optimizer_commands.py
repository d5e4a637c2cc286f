"""The command that shows what trains: optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortlist._names import OWN_OPTIMIZER, optimizer_names
from shortlist._output import print_json, print_table

if TYPE_CHECKING:
    from submissions import Learned, Optimizer


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(optimizers)


def optimizers(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar=f"[{OWN_OPTIMIZER}]...", help="Show these.", autocompletion=optimizer_names),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List the optimizers with their hyperparameters, defaults and references; with names, all about each.

    A hyperparameter without a default is one that every point must give. Learned optimizers, which need trained
    weights, are listed by themselves.

    Example: shortlist optimizers nadamw_optax
    """
    import submissions

    chosen = names or [*submissions.OPTIMIZERS, *submissions.LEARNED]
    learned = [describe_learned(submissions.LEARNED[name]) for name in chosen if name in submissions.LEARNED]
    rows = [describe(submissions.optimizer(name)) for name in chosen if name not in submissions.LEARNED]
    if json:
        print_json({"optimizers": rows, "learned": learned})
    elif names:
        for row in rows:
            _show(row)
        for row in learned:
            _show_learned(row)
    else:
        table = [(row["name"], _in_a_line(row["hyperparameters"]), row["reference"]) for row in rows]
        print_table(f"{len(rows)} optimizers", ("name", "hyperparameters", "reference"), table)
        told = [(row["name"], _given(row["sizes"]), row["reference"]) for row in learned]
        print_table(
            f"{len(told)} learned ones, which need --weights FILE", ("name", "sizes", "reference"), told
        )
        typer.echo(
            "every workload also reads dropout_rate=0 and label_smoothing=0\n"
            "next: shortlist optimizers NAME, or shortlist tune WORKLOAD --optimizer NAME --study DIR"
        )


def describe(optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer as JSON data."""
    return {
        "name": optimizer.name,
        "hyperparameters": [
            {"name": one.name, "domain": one.domain.text, "default": one.default}
            for one in optimizer.hyperparameters
        ],
        "reference": optimizer.reference,
        "formula": optimizer.formula,
        "source": optimizer.source,
        "schedule": optimizer.schedule,
        "search_space": optimizer.search_space,
    }


def describe_learned(learned: Learned) -> dict[str, Any]:
    """A learned optimizer without its weights as JSON data."""
    return {
        "name": learned.name,
        "sizes": dict(learned.sizes),
        "switches": dict(learned.switches),
        "reference": learned.reference,
    }


def _show_learned(row: dict[str, Any]) -> None:
    typer.echo(f"{row['name']}: a learned optimizer, which needs trained weights: --weights FILE")
    for key in ("sizes", "switches"):
        typer.echo(f"{key}: {_given(row[key]) or 'none'}")
    typer.echo(f"hyperparameters: horizon_factor=1\nreference: {row['reference']}\n")


def _given(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _in_a_line(hyperparameters: list[dict[str, Any]]) -> str:
    return ", ".join(
        one["name"] if one["default"] is None else f"{one['name']}={one['default']:g}"
        for one in hyperparameters
    )


def _show(row: dict[str, Any]) -> None:
    space = row["search_space"] or {}
    table = [
        (
            one["name"],
            one["domain"],
            "–" if one["default"] is None else f"{one['default']:g}",
            _searched(space, one["name"]),
        )
        for one in row["hyperparameters"]
    ]
    print_table(row["name"], ("hyperparameter", "domain", "default", "searched by default"), table)
    if row["hyperparameters"] and row["search_space"] is None:
        typer.echo("searched by default: the space of Medapati et al. 2025, Table 1\n")
    for key in ("formula", "schedule", "source", "reference"):
        if row[key]:
            lines = row[key].splitlines()
            typer.echo(f"{key}: {lines[0]}" if len(lines) == 1 else "\n    ".join([f"{key}:", *lines]))
    typer.echo("")


def _searched(space: Mapping[str, Any], name: str) -> str:
    complement = f"one_minus_{name}"
    if complement in space:
        return f"1 - value: {_range(space[complement])}"
    return _range(space[name]) if name in space else "–"


def _range(dimension: Mapping[str, Any]) -> str:
    if "feasible_points" in dimension:
        return ", ".join(f"{value:g}" for value in dimension["feasible_points"])
    return f"{dimension['min']:g} to {dimension['max']:g}, {dimension['scaling']}"
