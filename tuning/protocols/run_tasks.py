"""Goes through the stages of a protocol over tasks at a scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import workloads as catalogue
from results.studies import StudySpec
from tuning.execution.stopping import Stop
from tuning.protocols._metz import SWEEP_RULE, Learn, Rates, Sweep, TaskProtocol, TaskScale, Transfer, adam_at
from tuning.protocols._protocol import Report
from tuning.protocols.run import Progress, Published
from tuning.studies.plan import plan
from tuning.studies.tune import tune

FOLDERS = {"tasks": "tasks", "workloads": "transfer"}  # what is trained -> its studies


class TaskRooms(NamedTuple):
    """What later rooms do in a protocol over tasks; they import this one, so it is handed in.

    Attributes:
      published: the list of a name.
      learn: (folder of the studies of tasks, set of optimizers, points in a list, name, file) -> the list, which it
        writes.
      report: (out, scale) -> what a person opens.
    """

    published: Callable[[str], Published]
    learn: Callable[[Path, str, int, str, Path], Published]
    report: Callable[[Path, TaskScale], Path]


def tasks_of(scale: TaskScale) -> tuple[str, ...]:
    """Names of the tasks of a scale: its own, or all of TaskSet's that are not rejected."""
    if scale.tasks is not None:
        return scale.tasks
    entries = (catalogue.entry(name) for name in catalogue.names() if name.startswith("taskset/"))
    return tuple(entry.name for entry in entries if entry.rejected is None)


def trials_of(protocol: TaskProtocol, scale: TaskScale) -> int:
    """How many trials the stages train."""
    tasks, here = len(tasks_of(scale)) * scale.repeats, len(scale.workloads) * scale.transfer_repeats
    total = 0
    for stage in protocol.stages:
        match stage:
            case Sweep():
                total += tasks * sum(scale.grids.values())
            case Rates(on="tasks"):
                total += tasks * len(scale.log10_rates)
            case Rates() | Transfer():
                total += here * len(scale.transfer_log10_rates)
    return total


def run_tasks(
    protocol: TaskProtocol,
    scale: TaskScale,
    out: Path,
    rooms: TaskRooms,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
    who: Mapping[str, Any] | None = None,
) -> Path:
    """Runs all stages, or what is missing of them.

    Args:
      protocol: what to do.
      scale: how large, one of the protocol's or another.
      out: folder; gets `studies/tasks/`, `studies/transfer/`, the list as a file, and what the report stage writes.
        What is there is not trained again; list and report are renewed.
      rooms: how lists are read and learnt, and the report written.
      seed: of all studies.
      data_dir: where real data sets lie; embedded ones and stand-ins otherwise.
      progress: called as (what, trials done, trials of the whole protocol).
      stop: set, from any thread, to end once what has begun has ended.
      who: trains: executor, workers and what else `tune` takes of them.

    Returns:
      What the report stage wrote; the folder of the studies where the protocol has none.

    Raises:
      ValueError: as `plan` and `tune`.
      KeyboardInterrupt: stopped before all was done.
    """
    written = studies = out / "studies"
    tasks = tasks_of(scale)
    learnt: dict[str, Published] = {}
    # Programs outlive a study where a later one trains the same workloads by the same rule: the list's. Of tasks there
    # are hundreds.
    kept: dict[str, dict] = {"tasks": {}, "workloads": {}}

    trials = len(scale.transfer_log10_rates)
    total, counted = trials_of(protocol, scale), {}

    def train(on: str, spec: StudySpec) -> None:
        populations = kept[on] if spec.optimizer == SWEEP_RULE else {}

        def told(workload: str, done: int, of: int) -> None:
            counted[spec.name, workload] = done
            if progress:
                progress("trials", sum(counted.values()), total)

        folder = studies / FOLDERS[on] / spec.name
        tune(
            folder, spec, data_dir=data_dir, progress=told, populations=populations, stop=stop, **(who or {}),
        )  # fmt: skip
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt

    of_tasks: dict[str, Any] = {
        "steps": scale.steps, "eval_period": scale.eval_period, "eval_batches": scale.eval_batches,
        "eval_at_start": True, "repeats": scale.repeats,
    }  # fmt: skip
    for stage in protocol.stages:
        match stage:
            case Sweep():
                for grid, points in scale.grids.items():
                    spec = plan(
                        name=grid, workloads=tasks, strategy="taskset-grid", grid=grid, budget=points, seed=seed,
                        **of_tasks,
                    )  # fmt: skip
                    train("tasks", spec)
            case Rates(study, on):
                points = adam_at(scale.log10_rates if on == "tasks" else scale.transfer_log10_rates)
                how: dict[str, Any] = of_tasks if on == "tasks" else {"repeats": scale.transfer_repeats}
                spec = plan(
                    name=study, workloads=tasks if on == "tasks" else scale.workloads, strategy="list", points=points,
                    list_name=f"{len(points)} learning rates", optimizer=SWEEP_RULE, seed=seed,
                    title=f"Adam, {len(points)} learning rates", cohort_size=None if on == "tasks" else trials, **how,
                )  # fmt: skip
                train(on, spec)
            case Learn(name):
                grid = next(iter(scale.grids))
                learnt[name] = rooms.learn(
                    studies / FOLDERS["tasks"], grid, max(scale.size, trials), name, out / f"{name}.json"
                )
                kept["tasks"].clear()
            case Transfer(study):
                found = learnt[stage.learnt] if stage.learnt else rooms.published(stage.published or "")
                spec = plan(
                    name=study, workloads=scale.workloads, strategy="list", points=tuple(found.points[:trials]),
                    list_name=stage.learnt or stage.published, optimizer=found.optimizer, seed=seed,
                    repeats=scale.transfer_repeats, cohort_size=trials,
                    title="list learnt on tasks" if stage.learnt else f"published list {stage.published}",
                )  # fmt: skip
                train("workloads", spec)
            case Report():
                written = rooms.report(out, scale)
    return written
