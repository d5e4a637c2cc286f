"""`shortlist reproduce`: a paper's protocol, whole, at a scale; or the same protocol for an optimizer of one's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from shortlist._interrupt import interruptible
from shortlist._names import OPTIMIZER_NAMES, OWN_OPTIMIZER, OWN_WORKLOAD, optimizer_names, workload_names
from shortlist._progress import progress_display
from shortlist._protocols import reports_on_papers, rooms
from shortlist._training_commands import KEPT, DataDir, Seed, use_compilation_cache
from tuning.execution.stopping import Stop
from tuning.protocols import PROTOCOLS, Own, Scale
from workloads.spelling import did_you_mean

SCALES = "; ".join(f"{name}: {', '.join(protocol.scales)}" for name, protocol in PROTOCOLS.items())


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command(epilog=f"Protocols and their scales: {SCALES}\n\n{OPTIMIZER_NAMES}")(reproduce)


def reproduce(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help=f"One of {', '.join(PROTOCOLS)}.")],
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
    seed: Seed = 0,
    data_dir: DataDir = None,
) -> None:
    """Run a paper's protocol and write its tables and figures, ours beside the published. Run again to go on.

    Example: shortlist reproduce medapati2025 --scale mini

    A proven list for an optimizer of your own: shortlist reproduce medapati2025 --optimizer my.py:make --scale mini
    """
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"unknown protocol {protocol!r}{did_you_mean(protocol, PROTOCOLS)} (there is: {', '.join(PROTOCOLS)})"
        )
    chosen = PROTOCOLS[protocol]
    if scale not in chosen.scales:
        hint = did_you_mean(scale, chosen.scales)
        raise ValueError(f"{protocol} has no scale {scale!r}{hint} (there is: {', '.join(chosen.scales)})")
    asked = _asked(chosen.scales[scale], workload, candidates, repeats, size)
    own = None
    if optimizer is not None or space is not None:
        own = Own(optimizer or chosen.optimizer, space)
    from tuning.protocols.run import run

    use_compilation_cache()
    stop = Stop()
    folder = out or Path(f"{protocol}-{scale}")
    # The paper's tables are of its workloads and of its own optimizer.
    as_published = own is None and not workload and asked.whole
    with interruptible(stop, waits_for=stop.waits_for, kept=KEPT), progress_display() as progress:
        of_paper = reports_on_papers(progress)[protocol] if as_published else None
        page = run(
            chosen, asked, folder, rooms(progress, of_paper), own=own, seed=seed, data_dir=data_dir,
            progress=progress, stop=stop,
        )  # fmt: skip
    typer.echo(f"report: {page}")


def _asked(
    scale: Scale, workloads: list[str] | None, candidates: int | None, repeats: int | None, size: int | None
) -> Scale:
    """The scale with what was asked for in its place."""
    given = {"candidates": candidates, "repeats": repeats, "size": size}
    changed = {name: value for name, value in given.items() if value is not None}
    if workloads:
        changed |= {"workloads": tuple(workloads), "variants": ()}  # variants are of the paper's workloads
    return dataclasses.replace(scale, **changed)
