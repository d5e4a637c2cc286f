"""Names on the command line: what stands in the help of options that take one, and what a shell completes."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from submissions import LEARNED, OPTIMIZERS
from tuning.strategies import STRATEGIES

OWN_WORKLOAD = "NAME|FILE.py:NAME"
OWN_OPTIMIZER = "NAME|FILE.py:FUNCTION"
# Below the options, whose columns are too narrow for the longest of them in a terminal of 80.
OPTIMIZER_NAMES = (
    f"Optimizers: {', '.join(OPTIMIZERS)}. Learned ones, with --weights: {', '.join(LEARNED)}. 'shortlist optimizers' "
    "tells more."
)
STRATEGY_NAMES = f"Strategies: {', '.join(STRATEGIES)}."
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Trained weights: with a learned optimizer, or alone, as the file says whose they are.",
    ),
]
Switches = Annotated[
    list[str] | None,
    typer.Option(
        "--switch",
        metavar="NAME=VALUE",
        help="Of a learned optimizer, as 'shortlist optimizers NAME' lists them; repeat for more.",
    ),
]


def weighted(
    optimizer: str | None, weights: Path | None, switches: Sequence[str] | None = None
) -> str | None:
    """The optimizer's name with its weights and switches, where some are given."""
    if weights is None and not switches:
        return optimizer
    from submissions.learned import is_learned_form, parts, weight_files

    if weights is None:
        if optimizer is None or not is_learned_form(optimizer):
            raise ValueError(
                "--switch is of learned optimizers; give --weights FILE, or NAME@FILE as --optimizer"
            )
        weights = parts(optimizer).file
        optimizer = optimizer.partition("@")[0]
    return weight_files.named(weights, optimizer, switches or ())


def workload_names(incomplete: str) -> list[str]:
    """Workloads whose names begin so; files of one's own where none does."""
    import workloads

    return _beginning(incomplete, workloads.names()) or _files(incomplete)


def optimizer_names(incomplete: str) -> list[str]:
    """Optimizers, likewise."""
    return _beginning(incomplete, [*OPTIMIZERS, *LEARNED]) or _files(incomplete)


def learned_names(incomplete: str) -> list[str]:
    """Learned optimizers whose names begin so."""
    return _beginning(incomplete, LEARNED)


def strategy_names(incomplete: str) -> list[str]:
    """Strategies whose names begin so."""
    return _beginning(incomplete, STRATEGIES)


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str) -> list[str]:
    start = glob.escape(incomplete)
    return sorted(glob.glob(f"{start}*/") + glob.glob(f"{start}*.py"))
