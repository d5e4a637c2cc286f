"""The demo: from six workloads to a proven list and a report, on two cores in minutes.

It is the smallest scale of the protocol of Medapati et al.; see `tuning.protocols`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import lists
import reports
from shortlist._lists import read_points
from tuning.execution.stopping import Stop
from tuning.protocols import MEDAPATI
from tuning.protocols.run import Published, Rooms, run

SCALE = MEDAPATI.scales["demo"]


def demo(
    out: Path,
    *,
    candidates: int = SCALE.candidates,
    repeats: int = SCALE.repeats,
    size: int = SCALE.size,
    seed: int = 0,
    vizier: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    stop: Stop | None = None,
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
      stop: set, from any thread, to end once what has begun has ended, by KeyboardInterrupt.

    Returns:
      Path of the report's index.html.

    Raises:
      ValueError: lists of more points than there are candidates.
    """

    def published(name: str) -> Published:
        read = read_points(name)
        return Published(read.points, read.update_rule)

    def choose(study: Path, size: int) -> dict[str, list[str]]:
        proof = lists.leave_one_workload_out(study, size=size, progress=progress)
        return {
            workload: [proof.fractions.points[i] for i in one.points]
            for workload, one in zip(proof.fractions.workloads, proof.result.lists, strict=True)
        }

    def report(studies: Path, to: Path) -> Path:
        return reports.report(studies, to, overwrite=True, progress=progress)

    scale = dataclasses.replace(SCALE, candidates=candidates, repeats=repeats, size=size)
    also = ("vizier",) if vizier else ()
    return run(
        MEDAPATI,
        scale,
        out,
        Rooms(published, choose, report),
        seed=seed,
        also=also,
        progress=progress,
        stop=stop,
    )
