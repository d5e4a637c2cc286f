"""What must be said beside the numbers of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports import statistics
from reports.comparison._found import Pair, Row


def notes(
    rows: Sequence[Row],
    pairs: Sequence[Pair],
    workloads: Sequence[str],
    dropped: Mapping[str, Sequence[str]],
    confidence: float,
    resamples: int,
) -> tuple[str, ...]:
    """Sentences: what intervals are over, and what they cannot hold here.

    Args:
      rows, pairs: of the comparison.
      workloads: that all contenders have.
      dropped: those that some have not -> who.
      confidence, resamples: of intervals and tests.
    """
    n, level = len(workloads), f"{100 * confidence:g} %"
    said = [
        f"workloads drawn: {level} intervals for workloads like these {n}, which count as drawn at random; their "
        "repeats come along",
        f"repeats drawn: {level} intervals for these {n} workloads alone, with other seeds",
    ]
    if n > 1 and confidence > statistics.reachable(n):
        said.append(
            f"{n} workloads cannot give {level}: no more than {100 * statistics.reachable(n):.3g} % can be reached "
            "over workloads"
        )
    if n > 1 and len(pairs) * (least := max(2.0 ** (1 - n), 1 / (1 + resamples))) > 1 - confidence:
        said.append(
            f"{n} workloads cannot show a difference over workloads among {len(pairs)} pairs: the least p-value is "
            f"{least:.2g}, which Holm multiplies by as much as {len(pairs)}; compare fewer (--a, --b)"
        )
    if once := [row.measured.name for row in rows if row.repeats == 1 and not row.measured.searches]:
        said.append(f"trained once per point, so that nothing over repeats can be said: {', '.join(once)}")
    if drawn := [row.measured.name for row in rows if row.measured.searches]:
        said.append(
            f"{', '.join(drawn)}: median of random searches among trained points; the noise of their training is only "
            "in the intervals over workloads"
        )
    if any("judged by the trainings" in row.measured.what or row.measured.searches for row in rows):
        said.append(
            "lists are taken as they were built: that other trainings would give other lists is in no interval"
        )
    budgets = {row.points for row in rows if not row.measured.searches}
    if len(budgets) > 1:
        said.append(
            f"the contenders have {min(budgets)} to {max(budgets)} points: --budget K compares the first K of each"
        )
    for workload, names in dropped.items():
        said.append(f"{workload} is left out: not trained there: {', '.join(names)}")
    if len(pairs) > 1:
        said.append(f"Holm: family-wise, over {len(pairs)} pairs; intervals are each for itself")
    return tuple(said)
