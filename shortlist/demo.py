"""The demo: from six workloads to a proven list and a report, on two cores in minutes.

It is the smallest scale of the protocol of Medapati et al.; see `tuning.protocols`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shortlist._protocols import rooms
from tuning.execution.stopping import Stop
from tuning.protocols import MEDAPATI
from tuning.protocols.run import run

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
    who: Mapping[str, Any] | None = None,
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
      who: trains, see `tuning.studies.tune.tune`.

    Returns:
      Path of the report's index.html.

    Raises:
      ValueError: lists of more points than there are candidates.
    """

    scale = dataclasses.replace(SCALE, candidates=candidates, repeats=repeats, size=size)
    also = ("vizier",) if vizier else ()
    return run(
        MEDAPATI,
        scale,
        out,
        rooms(progress),
        seed=seed,
        also=also,
        progress=progress,
        stop=stop,
        who=who,
    )
