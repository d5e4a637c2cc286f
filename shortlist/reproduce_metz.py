"""Metz et al. 2020 at a scale: a sweep over TaskSet's tasks, the paper's figures, and its list on other workloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lists
import reports
from reports.taskset import metz_report
from shortlist._lists import read_points
from tuning.execution.stopping import Stop
from tuning.protocols import METZ, TaskScale
from tuning.protocols.run import Published
from tuning.protocols.run_tasks import FOLDERS, TaskRooms, run_tasks, tasks_of

CURVES = "curves.parquet"


def reproduce_metz(
    scale: str | TaskScale,
    out: Path,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    stop: Stop | None = None,
    who: Mapping[str, Any] | None = None,
) -> Path:
    """Runs the protocol `metz2020`, or what is missing of it.

    Args:
      scale: a name of `METZ.scales`, or a scale of one's own.
      out: folder; gets `studies/`, the list `metz2020.json`, `curves.parquet`, a table of all curves of the sweep, and
        `report/`.
      seed: of all studies, and of the splits of the tasks.
      data_dir: where real data sets lie; embedded ones and stand-ins otherwise.
      progress: called as (what, done, total).
      stop: set, from any thread, to end once what has begun has ended, by KeyboardInterrupt.
      who: trains, see `tuning.studies.tune.tune`.

    Returns:
      Path of the report's index.html.

    Raises:
      ValueError: no such scale.
    """
    if isinstance(scale, str):
        if scale not in METZ.scales:
            raise ValueError(f"no scale {scale!r} (there is: {', '.join(METZ.scales)})")
        scale = METZ.scales[scale]

    def published(name: str) -> Published:
        read = read_points(name)
        return Published(read.points, read.update_rule)

    def learn(studies: Path, grid: str, size: int, name: str, file: Path) -> Published:
        import results

        found = lists.list_from_curves(
            results.read_curves(studies), size=size, optimizer_set=grid, progress=progress
        ).as_list(name)
        lists.write_list(file, found, overwrite=True)
        return Published(found.points, found.update_rule)

    def report(out: Path, scale: TaskScale) -> Path:
        curves = write_curves(out, scale)
        content = metz_report(
            curves, out / "studies" / FOLDERS["workloads"], optimizer_set=next(iter(scale.grids)), size=scale.size,
            resamplings=scale.resamplings, seed=seed, progress=progress,
        )  # fmt: skip
        return reports.write_report(content, out / "report", overwrite=True)

    rooms = TaskRooms(published, learn, report)
    return run_tasks(
        METZ, scale, out, rooms, seed=seed, data_dir=data_dir, progress=progress, stop=stop, who=who
    )  # fmt: skip


def write_curves(out: Path, scale: TaskScale) -> Path:
    """Writes the curves of the sweep as one table, with the numbers of parameters. Returns its path."""
    import results
    import workloads

    table = out / CURVES
    # Counting takes building every task, so what an earlier table says is taken from it.
    counted = results.read_curves(table).facts if table.exists() else None
    known = {} if counted is None else dict(counted.select("task", "parameters").iter_rows())
    parameters = {
        name: known.get(name.removeprefix("taskset/")) or workloads.parameter_count(workloads.load(name))
        for name in tasks_of(scale)
    }
    studies = out / "studies" / FOLDERS["tasks"]
    results.convert_curves(studies, table, parameters=parameters, overwrite=True)
    return table
