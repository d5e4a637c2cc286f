"""`shortlist reproduce`: a paper's protocol, whole, at a scale; or the same protocol for an optimizer of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from shortlist._executor_options import Address, Deadline, Device, ExecutorName, Folder, Workers, who_trains
from shortlist._interrupt import interruptible
from shortlist._names import OPTIMIZER_NAMES, OWN_OPTIMIZER, OWN_WORKLOAD, optimizer_names, workload_names
from shortlist._progress import progress_display
from shortlist._protocols import reports_on_papers, rooms
from shortlist._training_commands import KEPT, DataDir, Seed, use_compilation_cache
from tuning.execution.stopping import Stop
from tuning.protocols import PROTOCOLS, TASK_PROTOCOLS, Own, Scale, TaskScale
from workloads.spelling import did_you_mean

DAHL = "dahl2023"  # trains nothing, so it has no stages
SCALES_OF = {name: tuple(one.scales) for name, one in (PROTOCOLS | TASK_PROTOCOLS).items()} | {
    DAHL: ("mini",)
}
SCALES = "; ".join(f"{name}: {', '.join(scales)}" for name, scales in SCALES_OF.items())
# What a protocol can be told beside its scale and folder.
TAKES = {
    **dict.fromkeys(
        PROTOCOLS,
        ("optimizer", "space", "workload", "candidates", "repeats", "size", "without", "seed", "data_dir"),
    ),
    **dict.fromkeys(TASK_PROTOCOLS, ("workload", "candidates", "repeats", "size", "seed", "data_dir")),
    DAHL: ("logs",),
}


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command(epilog=f"Protocols and their scales: {SCALES}\n\n{OPTIMIZER_NAMES}")(reproduce)


def reproduce(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help=f"One of {', '.join(SCALES_OF)}.")],
    scale: Annotated[str, typer.Option(metavar="NAME", help="How large; see below.")] = "mini",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Studies and report, resumed if there; default: PROTOCOL-SCALE."),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar=OWN_OPTIMIZER,
            help="A list for this optimizer, see below, instead of the paper's own; baselines that are made for the "
            "paper's own are left out.",
            autocompletion=optimizer_names,
        ),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="tuning_search_space.json; default: the optimizer's own space."),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORKLOAD",
            help=f"In the place of the paper's, each as {OWN_WORKLOAD}; repeat for more.",
            autocompletion=workload_names,
        ),
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Points to choose from; default: the paper's.")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Trainings per point of lists and baselines.")
    ] = None,
    size: Annotated[int | None, typer.Option(metavar="N", min=1, help="Points in a list.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="STUDY", help="A baseline to leave out, such as vizier; repeat for more."),
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="AlgoPerf's logs, for dahl2023; repeat for more."),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    executor: ExecutorName = "threads",
    workers: Workers = None,
    folder: Folder = None,
    device: Device = None,
    address: Address = None,
    deadline: Deadline = None,
) -> None:
    """Run a paper's protocol and write its tables and figures, ours beside the published. Run again to go on.

    Example: shortlist reproduce medapati2025 --scale mini

    A proven list for an optimizer of your own: shortlist reproduce medapati2025 --optimizer my.py:make --scale mini
    """
    _check_names(protocol, scale)
    given = {
        "optimizer": optimizer, "space": space, "workload": workload, "candidates": candidates, "repeats": repeats,
        "size": size, "without": without, "logs": logs, "seed": seed or None, "data_dir": data_dir,
    }  # fmt: skip
    _check_taken(protocol, given)
    place = out or Path(f"{protocol}-{scale}")
    if protocol == DAHL:
        from shortlist.reproduce_dahl import reproduce_dahl

        with progress_display() as progress:
            typer.echo(f"report: {reproduce_dahl(scale, place, logs=logs or (), progress=progress)}")
        return
    use_compilation_cache()
    stop = Stop()
    with interruptible(stop, waits_for=stop.waits_for, kept=KEPT), progress_display() as progress:
        who = who_trains(executor, workers, deadline, progress, folder=folder, device=device, address=address)
        how = {"seed": seed, "data_dir": data_dir, "progress": progress, "stop": stop, "who": who}
        if protocol in TASK_PROTOCOLS:
            from shortlist.reproduce_metz import reproduce_metz

            of_tasks = TASK_PROTOCOLS[protocol].scales[scale]
            asked = _asked_of_tasks(of_tasks, workload, candidates, repeats, size)
            page = reproduce_metz(asked, place, **how)
        else:
            from tuning.protocols.run import run

            chosen = PROTOCOLS[protocol]
            asked = _asked(chosen.scales[scale], workload, candidates, repeats, size)
            own = None
            if optimizer is not None or space is not None:
                own = Own(optimizer or chosen.optimizer, space)
            # The paper's tables are of its workloads, of its own optimizer and of all its baselines.
            as_published = own is None and not workload and not without and asked.whole
            of_paper = reports_on_papers(progress)[protocol] if as_published else None
            page = run(chosen, asked, place, rooms(progress, of_paper), own=own, without=without or (), **how)
    typer.echo(f"report: {page}")


def _check_names(protocol: str, scale: str) -> None:
    """Raises ValueError for a protocol, or a scale of it, that there is not."""
    if protocol not in SCALES_OF:
        hint = did_you_mean(protocol, SCALES_OF)
        raise ValueError(f"unknown protocol {protocol!r}{hint} (there is: {', '.join(SCALES_OF)})")
    if scale not in SCALES_OF[protocol]:
        hint = did_you_mean(scale, SCALES_OF[protocol])
        raise ValueError(
            f"{protocol} has no scale {scale!r}{hint} (there is: {', '.join(SCALES_OF[protocol])})"
        )


def _check_taken(protocol: str, given: Mapping[str, Any]) -> None:
    """Raises ValueError for an option that is given and that the protocol does not take."""
    for name, value in given.items():
        if value and name not in TAKES[protocol]:
            taken = ", ".join(f"--{each.replace('_', '-')}" for each in TAKES[protocol])
            raise ValueError(f"{protocol} does not take --{name.replace('_', '-')} (it takes {taken})")


def _asked(
    scale: Scale, workloads: list[str] | None, candidates: int | None, repeats: int | None, size: int | None
) -> Scale:
    """The scale with what was asked for in its place."""
    given = {"candidates": candidates, "repeats": repeats, "size": size}
    changed = {name: value for name, value in given.items() if value is not None}
    if workloads:
        # Variants and Table 13 are of the paper's workloads.
        changed |= {"workloads": tuple(workloads), "variants": (), "exact": 0}
    return dataclasses.replace(scale, **changed)


def _asked_of_tasks(
    scale: TaskScale,
    workloads: list[str] | None,
    candidates: int | None,
    repeats: int | None,
    size: int | None,
) -> TaskScale:
    """The scale of a protocol over tasks with what was asked for in its place."""
    changed: dict = {}
    if candidates is not None:
        changed["grids"] = dict.fromkeys(scale.grids, candidates)
    if repeats is not None:
        changed["transfer_repeats"] = repeats
    if size is not None:
        changed["size"] = size
    if workloads:
        changed["workloads"] = tuple(workloads)
    return dataclasses.replace(scale, **changed)
