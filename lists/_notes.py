"""What has to be said beside a list, in one wording for tables, JSON, pages and packages."""

from __future__ import annotations

from collections.abc import Sequence

from lists._greedy import ChosenList
from lists._ties import MERIT, TIES

OF_CURVES = {MERIT: "the lower mean over all tasks, then the first"}  # elsewhere the rule is that of `TIES`


def adds_of(chosen: ChosenList) -> int:
    """How many points of a list that was built, not put together by hand, lower its cost."""
    if chosen.adds is None:
        raise ValueError("this list was put together by hand: which of its points add is not known")
    return chosen.adds


def padding_note(
    asked: int | None, held: int, adds: int | None, ties: str | None = None, *, of_curves: bool = False
) -> str | None:
    """Says how many points of a list add and what became of the others; None where all add, or it is not known.

    Args:
      asked: points asked for; None where it is not known.
      held: points in the list.
      adds: how many of the first ones lower the cost of those before them; None where it is not known.
      ties: the rule that chose the others; None leaves it out.
      of_curves: the list is one by normalised losses, whose rule is another.

    Example:
      >>> padding_note(5, 3, 3)
      'asked 5 points, 3 add: the list stops there'
      >>> padding_note(None, 5, 1)
      '1 of 5 points adds: points 2 to 5 lower the cost no further on the workloads that built the list'
    """
    if adds is None or (adds == held and (asked is None or asked == held)):
        return None
    verb = "adds" if adds == 1 else "add"
    many = f"{adds} of {held} points {verb}" if asked is None else f"asked {asked} points, {adds} {verb}"
    if adds >= held:
        return f"{many}: the list stops there"
    rest = f"point {held} lowers" if held == adds + 1 else f"points {adds + 1} to {held} lower"
    said = f"{many}: {rest} the cost no further on the workloads that built the list"
    if ties is None:
        return said
    rule = OF_CURVES.get(ties, TIES[ties]) if of_curves else TIES[ties]
    return f"{said}; chosen by the tie rule {ties} ({rule})"


def late_note(workloads: Sequence[str], penalty: float) -> str:
    """Says which targets are reached only after the whole budget.

    Example:
      >>> late_note(["wmt"], 2.0)
      'after the budget (a fraction above 1): wmt; counts as trained, and costs its fraction, at most 2'
    """
    return (
        f"after the budget (a fraction above 1): {', '.join(workloads)}; counts as trained, and costs its fraction, "
        f"at most {penalty:g}"
    )


def repeats_note(repeats: int) -> str:
    """Says what lowest and highest are.

    Example:
      >>> repeats_note(3)
      'fractions are medians over 3 repeats; lowest and highest are those of single repeats'
    """
    return f"fractions are medians over {repeats} repeats; lowest and highest are those of single repeats"


def curve_repeats_note(repeats: int) -> str:
    """Says what costs of lists from curves are means of, and what their range is.

    Example:
      >>> curve_repeats_note(5)
      'costs are means over 5 repeats; lowest and highest are of single repeats, each with its own best points'
    """
    return (
        f"costs are means over {repeats} repeats; lowest and highest are of single repeats, each with its own best "
        "points"
    )
