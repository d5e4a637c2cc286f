"""Dahl et al. 2023, as far as it can be had: scores and profiles of AlgoPerf's logs, and targets by its procedure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import reports
import results
from reports.logs import dahl_report
from workloads import read_targets
from workloads.data import reading


def reproduce_dahl(
    scale: str | None,
    out: Path,
    *,
    logs: Sequence[Path] = (),
    targets: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Writes the report of the protocol `dahl2023`. Nothing is trained.

    Args:
      scale: of the workloads whose targets are shown, such as "mini"; None shows none.
      out: folder; gets `report/`.
      logs: AlgoPerf's logs, as `results.read_source` reads them.
      targets: a targets file, as `shortlist set-targets` makes it; None: the one of this package.
      progress: called as (what, done, total).

    Returns:
      Path of the report's index.html.

    Raises:
      FileNotFoundError, ValueError: logs or targets cannot be read, or there is nothing to show.
    """
    read = []
    for path in logs:
        found = results.read_source(path, progress)
        if isinstance(found, results.Fractions):
            raise ValueError(f"{path}: a table of fractions, not AlgoPerf's logs")
        read.append(found)
    of_scale = None
    if scale is not None:
        path = targets or Path(str(resources.files("workloads") / "targets.json"))
        read_targets(path)  # says what is wrong with it
        every = reading.read_json(path)["targets"]
        of_scale = {name: said for name, said in every.items() if name.endswith(f"@{scale}")}
        if not of_scale:
            there = sorted({name.partition("@")[2] for name in every if "@" in name})
            raise ValueError(
                f"{path}: no targets at scale {scale!r} (there are: {', '.join(there) or 'none'})"
            )
    content = dahl_report(read, of_scale, progress=progress)
    return reports.write_report(content, out / "report", overwrite=True)
