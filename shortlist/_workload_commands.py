"""The command that shows what can be trained."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from shortlist._names import OWN_WORKLOAD, workload_names
from shortlist._output import print_json, print_table
from shortlist._progress import progress_display


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command()(workloads)


def workloads(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar=f"[{OWN_WORKLOAD}]...", help="Show these.", autocompletion=workload_names),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Sampled family or group of fixed tasks, such as mlp_family."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Data set, such as mnist or imagenet_resized.")
    ] = None,
    sampled: Annotated[bool, typer.Option("--sampled", help="Tasks that TaskSet samples.")] = False,
    fixed: Annotated[bool, typer.Option("--fixed", help="TaskSet's 109 fixed tasks.")] = False,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="A:B", help="Seeds A to B - 1 of the sampled families; default 0:100."),
    ] = None,
    max_parameters: Annotated[float | None, typer.Option(metavar="X", help="At most so many.")] = None,
    max_flops: Annotated[
        float | None,
        typer.Option(metavar="X", help="Operations per step, of matrix products and convolutions."),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Real data sets of the workloads shown by name."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List what can be trained, by family; with filters, the workloads that pass them all; with names, all about each.

    Filters by cost build every candidate: minutes for all of TaskSet.

    Example: shortlist workloads --family mlp_family --max-parameters 1e5
    """
    import workloads as room

    filters = (family, data, seeds, max_parameters, max_flops, sampled or None, fixed or None)
    filtered = any(one is not None for one in filters)
    if names and filtered:
        raise ValueError("give names or filters, not both")
    if names:
        _show([room.describe(name, data_dir) for name in names], json)
    elif filtered:
        wanted = {"sampled": sampled or seeds is not None, "fixed": fixed}
        kinds: tuple[room.Kind, ...] = tuple(kind for kind in room.KINDS if wanted.get(kind))
        with progress_display() as progress:
            rows = room.select(
                family=family, data=data, kinds=kinds or room.KINDS, seeds=_seeds(seeds),
                max_parameters=max_parameters, max_flops=max_flops, progress=progress,
            )  # fmt: skip
        _list(rows, json)
    else:
        _summarise(room.families(), room.names(), json)


def _seeds(text: str | None) -> range | None:
    """Seeds of `A:B`, or of one number.

    Example:
      >>> _seeds("3:6"), _seeds("8")
      (range(3, 6), range(8, 9))
    """
    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not first.isdecimal() or (colon and not last.isdecimal()):
        raise ValueError(f"--seeds {text!r} is not a range; write 0:100 for the seeds 0 to 99, or one number")
    seeds = range(int(first), int(last) if colon else int(first) + 1)
    if not seeds:
        raise ValueError(f"--seeds {text!r} is empty; A:B means the seeds A to B - 1")
    return seeds


def _summarise(families: dict[str, dict[str, Any]], names: tuple[str, ...], json: bool) -> None:
    if json:
        print_json({"families": families, "workloads": names})
        return
    rows = [
        (
            family,
            row["kind"],
            f"{row['members']}{' and any seed' * (row['kind'] == 'sampled')}",
            row["example"],
        )
        for family, row in families.items()
    ]
    print_table(f"{len(names):,} workloads", ("family", "kind", "members", "one of them"), rows)
    typer.echo("next: shortlist workloads --family mlp_family, or shortlist workloads clicks/mlp")


def _list(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        print_json({"workloads": rows})
        return
    # What some have and others have not, such as AlgoPerf's targets, is a column where any has it.
    said = {key for row in rows for key, value in row.items() if value is not None}
    known = dict.fromkeys(key for row in rows for key in row)
    columns = ["name", *(key for key in known if key in said and key not in ("name", "kind"))]
    print_table(f"{len(rows):,} workloads", columns, [[row.get(key) for key in columns] for row in rows])


def _show(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        print_json({"workloads": rows})
        return
    for row in rows:
        pairs = [(key, _shown(value)) for key, value in row.items() if key != "name" and value is not None]
        print_table(row["name"], ("fact", "value"), pairs)


def _shown(value: Any) -> str:
    if isinstance(value, dict) and all(not isinstance(inner, (dict, list)) for inner in value.values()):
        return ", ".join(f"{key}: {inner}" for key, inner in value.items()) or "none"
    if isinstance(value, (dict, list)):
        return json_module.dumps(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
