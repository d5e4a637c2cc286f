"""The demo: from six workloads to a proven list and a report, on two cores in minutes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lists
import reports
from results.studies import StudySpec
from shortlist._lists import read_points
from tuning.studies.plan import plan, plan_leave_one_out
from tuning.studies.tune import tune

WORKLOADS = (
    "algoperf/mnist",
    "taskset/mlp_family_seed15",
    "digits/conv",
    "photographs/autoencoder",
    "stdlib/char_rnn",
    "clicks/mlp",
)

# A fresh seed for what is rerun: nothing that chose a list may also judge it.
FRESH = 1


def demo(
    out: Path,
    *,
    candidates: int = 40,
    repeats: int = 3,
    size: int = 5,
    seed: int = 0,
    vizier: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Tunes the six workloads, builds leave-one-out lists, reruns them with fresh seeds, writes the report.

    Args:
      out: folder; gets `studies/` and `report/`. Running it again does what is missing and renews the report.
      candidates: quasi-random points, the first rows of the 200 of Medapati et al.
      repeats: trainings of every point of a leave-one-out list or a baseline, for medians; candidates train once.
      size: points in a list, and of every baseline.
      seed: of all studies.
      vizier: tune with Vizier too, many seconds per suggestion.
      progress: called as (what, done, total).

    Returns:
      Path of the report's index.html.
    """
    folder = out / "studies"
    populations: dict = {}

    def run(spec: StudySpec) -> None:
        def of_study(what: str, done: int, total: int) -> None:
            if progress:
                progress(f"{spec.name}: {what}", done, total)

        tune(folder / spec.name, spec, progress=of_study, populations=populations)

    # One size of cohorts for all studies, so that one program per workload and update rule serves them all.
    everywhere = {"workloads": WORKLOADS, "seed": seed, "cohort_size": size}
    search = plan(name="quasirandom", strategy="medapati-candidates", budget=candidates, **everywhere)
    run(search)
    baseline = {**everywhere, "budget": size, "repeats": repeats}
    for decay in (0.5, 1e-4):
        run(plan(name=f"lr-sweep-wd-{decay:g}", strategy="lr-sweep", weight_decay=decay, **baseline))
    for name in ("medapati2025", "metz2020/appendix_f"):
        published = read_points(name)
        run(
            plan(
                name=name.replace("/", "-"),
                strategy="list",
                points=published.points,
                list_name=name,
                optimizer=published.update_rule,
                **baseline,
            )
        )
    if vizier:
        run(plan(name="vizier", strategy="vizier", **baseline))

    proof = lists.leave_one_workload_out(folder / "quasirandom", size=size, progress=progress)
    candidate = {point.id: point for point in search.points[WORKLOADS[0]]}  # type: ignore[index]
    chosen = {
        workload: [candidate[proof.fractions.points[i]] for i in one.points]
        for workload, one in zip(proof.fractions.workloads, proof.result.lists, strict=True)
    }
    run(
        plan_leave_one_out(
            name="leave-one-out", points=chosen, candidates=search.name, optimizer=search.optimizer,
            repeats=repeats, seed=seed + FRESH, cohort_size=size,
        )
    )  # fmt: skip
    return reports.report(folder, out / "report", overwrite=True, progress=progress)
