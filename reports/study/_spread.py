"""How reports on studies show that a number is the median of several: in words, in the main figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import polars as pl

from reports import _tables as tables
from reports._contenders import OVER_SEARCHES, Contender, Spread
from reports._words import capital
from reports.figures import figure_step_fractions
from reports.figures.drawing import NARROW
from reports.page import Picture, draw_picture

ONE_RUN = "Every point was trained once, in one study: ranks rest on one run each, and another seed may change them."
ONE_STUDY = (
    "Spreads are over repeats, of the same points in one study; what another study with other points would give is "
    "not in them."
)


def overlap(one: Spread, other: Spread) -> bool:
    """Whether two ranges have a value in common."""
    return one[0] <= other[1] and other[0] <= one[1]


def spread_in_words(contenders: Iterable[Contender], where: str = "Small, below a value") -> str:
    """What stands beside medians; that there is none where every point was trained once."""
    kinds = [c.spread_of for c in contenders]
    repeats, searches = any(k and k != OVER_SEARCHES for k in kinds), OVER_SEARCHES in kinds
    said = ["least to greatest of its repeats"] * repeats
    said += ["quartiles over such searches for the median of random search"] * searches
    shown = f"{where}: {', '.join(said)}." if said else ""
    once = "" if repeats else "Every point was trained once, so that ranks rest on one run each."
    return " ".join(filter(None, (once, shown)))


def fractions_picture(
    drawn: Sequence[Contender], workloads: Sequence[str], caption: str, name: str = "step_fractions"
) -> Picture:
    """The main figure: who trains what, and how soon; the first contender leads."""
    lead, data = drawn[0], fractions_table(drawn, workloads)
    order = data["workload"].unique(maintain_order=True)
    said = ", ".join(f"{w} {_in_words(lead.fractions.get(w))}" for w in order)
    caption = f" {spread_in_words(drawn, where='Lines')}{caption}"
    return draw_picture(
        name,
        figure_step_fractions,
        data,
        "Share of the step budget after which each first reaches the workload's target; further left is sooner, hollow "
        f"marks never got there.{caption}",
        f"Step fraction to target by workload. {capital(lead.label)}: {said}.",
        narrow=NARROW,
    )


def fractions_table(drawn: Sequence[Contender], workloads: Sequence[str]) -> pl.DataFrame:
    """The table of the main figure, workloads by how soon the first contender trains them."""
    if not drawn:
        return tables.contender_rows((), ())
    order = sorted(workloads, key=lambda w: drawn[0].fractions.get(w, math.inf))
    return tables.contender_rows(drawn, order)


def _in_words(fraction: float | None) -> str:
    if fraction is None:
        return "not run"
    return f"{fraction:.2f}" if math.isfinite(fraction) else "missed"
