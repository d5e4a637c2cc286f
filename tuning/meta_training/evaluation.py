"""What the weights of a meta-training are worth: fixed workloads trained with them, beside the training or after it.

A chief, as VeLO's paper calls it (arXiv:2211.09760, appendix E), looks into the folder of a meta-training, and trains
workloads from seeds that never change with every weights that it finds there. It writes rows behind those that are
there, and makes none again: it may be killed at any moment, and started beside a training or after it.

Weights are inputs of the programs: for one structure of workloads and one number of steps a program is compiled once,
whatever number of weights is judged.
"""

from __future__ import annotations

import dataclasses
import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import workloads
from results import meta_trainings
from submissions import Rule, environment
from submissions.learned import LEARNED, scaled, weight_files
from tuning.engine.mappings import crowded
from tuning.engine.population import Curves, Evaluation, Population, trial_seed
from workloads import Workload

Progress = Callable[[str, int, int], None]
AT_START = Evaluation(at_start=True)  # what losses count relative to


@dataclasses.dataclass(frozen=True)
class Found:
    """Weights in the folder.

    Attributes:
      outer_step: after which they were written.
      sha256: of the file, which tells them from others of that outer step.
      weights: their tree.
    """

    outer_step: int
    sha256: str
    weights: Any


def wait_for(folder: Path, look_seconds: float = 2.0, told: Callable[[], object] = lambda: None) -> None:
    """Returns when there is a meta-training in the folder; `told` is called once where that takes waiting."""
    if not meta_trainings.is_meta_training(folder):
        told()
    while not meta_trainings.is_meta_training(folder):
        time.sleep(look_seconds)


class Chief:
    """Evaluates the weights of a meta-training.

    Attributes:
      folder: of the meta-training.
      steps: horizons, in rising order.
      seeds: trainings of every workload and horizon.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        steps: Sequence[int],
        seeds: int = 5,
        data_dir: str | Path | None = None,
    ) -> None:
        """Loads the workloads; trains nothing yet.

        Args:
          folder: of the meta-training, see `results.meta_trainings`.
          names: of workloads, as `workloads.load` takes them.
          steps: numbers of them after which trainings end, and which the optimizer is told as its horizon.
          seeds: trainings of each.
          data_dir: real data; None: embedded ones.

        Raises:
          FileNotFoundError: there is no meta-training.
          ValueError: a workload or a number of steps is named twice or cannot be, or was evaluated on other data.
        """
        if not names:
            raise ValueError("no workloads to train; name some with --workload")
        if seeds < 1 or not steps or min(steps) < 1:
            raise ValueError(f"{seeds} seeds of {list(steps)} steps; both must be at least 1")
        self.folder, self.steps, self.seeds = Path(folder), tuple(sorted(set(steps))), seeds
        plan = meta_trainings.read_description(self.folder)["plan"]
        self._learned = LEARNED[plan["optimizer"]]
        self._switches = {**self._learned.switches, **plan["switches"]}
        self._workloads = [
            workloads.load(name, None if data_dir is None else str(data_dir)) for name in names
        ]
        loaded = [workload.name for workload in self._workloads]
        if twice := [name for name in loaded if loaded.count(name) > 1]:
            raise ValueError(f"workload {twice[0]!r} is named twice")
        self._check_data()
        self._rule: Rule | None = None
        self._populations: dict[tuple[str, int], Population] = {}
        self._gone = 0  # programs of engines that were let go
        self._read: dict[Path, tuple[object, Found]] = {}
        self._said_who = False

    @property
    def compilations(self) -> int:
        """Programs compiled so far."""
        return self._gone + sum(population.compilations for population in self._populations.values())

    def run(
        self,
        watch: bool = False,
        look_seconds: float = 2.0,
        progress: Progress | None = None,
        told: Callable[[int, int], object] = lambda outer_step, rows: None,
    ) -> int:
        """Evaluates all weights that are there, the newest first; the number of trainings made.

        Args:
          watch: then waits for others, until the training has said that it ended.
          look_seconds: between two looks at the folder.
          progress: told (what, trainings done, in all) of one set of weights.
          told: of every set of weights that has been evaluated: outer step, trainings.
        """
        meta_trainings.mend_evaluations(self.folder)
        made = 0
        while True:
            # Asked before the weights are looked for, so that the last ones are not overlooked.
            over = not watch or meta_trainings.read_state(self.folder).get("ended", False)
            newest = next(self._missing(), None)
            if newest is not None:
                found, groups = newest
                rows = self._evaluate(found, groups, progress)
                made += rows
                told(found.outer_step, rows)
            elif over:
                return made
            else:
                time.sleep(look_seconds)

    def _missing(self) -> Any:
        """Weights that are not evaluated yet, the newest first, with the seeds missing of workloads and horizons."""
        rows, _ = meta_trainings.read_evaluations(self.folder)
        done = set(rows.select("weights", "outer_step", "workload", "steps", "seed").iter_rows())
        for found in self._found():
            groups = []
            for steps in self.steps:
                for workload in self._workloads:
                    key = found.sha256, found.outer_step, workload.name, steps
                    missing = [seed for seed in range(self.seeds) if (*key, seed) not in done]
                    if missing:
                        groups.append((workload, steps, missing))
            if groups:
                yield found, groups

    def _found(self) -> list[Found]:
        """Weights in the folder, the newest first; of one outer step those of the newest file."""
        by_step: dict[int, Found] = {}
        newest = self.folder / meta_trainings.WEIGHTS
        files = [*meta_trainings.kept_weights(self.folder).values(), *([newest] if newest.exists() else [])]
        for file in files:
            found = self._read_once(file)
            by_step[found.outer_step] = found
        return [by_step[step] for step in sorted(by_step, reverse=True)]

    def _read_once(self, file: Path) -> Found:
        there = file.stat()
        version = (there.st_mtime_ns, there.st_size, there.st_ino)
        if file not in self._read or self._read[file][0] != version:
            read = weight_files.read(file)
            if "step" not in read.around:
                raise ValueError(f"{file}: does not say after which outer step it was written")
            weights = weight_files.for_optimizer(self._learned, read, str(file))
            self._read[file] = version, Found(int(read.around["step"]), read.sha256, weights)
        return self._read[file][1]

    def _evaluate(
        self, found: Found, groups: list[tuple[Workload, int, list[int]]], progress: Progress | None
    ) -> int:
        total, done = sum(len(seeds) for *_, seeds in groups), 0
        what = f"weights of outer step {found.outer_step}"
        for workload, steps, seeds in groups:
            if progress is not None:
                progress(what, done, total)
            self._add(self._rows(found, workload, steps, seeds))
            done += len(seeds)
        if progress is not None:
            progress(what, done, total)
        return done

    def _add(self, rows: list[dict[str, Any]]) -> None:
        """Adds rows; before the first of this process, what makes them."""
        if not self._said_who:
            evaluator = {
                "device": environment.device(),
                "versions": environment.versions(),
                "source": environment.source(),
                "command": environment.command(),
            }
            rows = [{"evaluator": evaluator}, *rows]
        meta_trainings.add_evaluations(self.folder, rows)
        self._said_who = True

    def _rows(self, found: Found, workload: Workload, steps: int, seeds: list[int]) -> list[dict[str, Any]]:
        population = self._population(workload, steps, found.weights)
        compiled, began = population.compile_seconds, time.perf_counter()
        of = lambda purpose: np.asarray(  # noqa: E731
            [trial_seed("meta-evaluation", workload.name, seed, purpose) for seed in seeds], np.uint32
        )
        curves = population.run({}, of("init"), of("batches"), weights=found.weights)
        compile_seconds = population.compile_seconds - compiled
        seconds = time.perf_counter() - began - compile_seconds
        return [
            {
                "outer_step": found.outer_step,
                "weights": found.sha256,
                "workload": workload.name,
                "steps": steps,
                "seed": seed,
                **_outcome(curves, workload, trial),
                "seconds": round(seconds, 4),
                "compile_seconds": round(compile_seconds, 4),
                "data": str(workload.data.provenance),
            }
            for trial, seed in enumerate(seeds)
        ]

    def _population(self, workload: Workload, steps: int, weights: Any) -> Population:
        """The engine of a workload and a horizon; its program is that of all workloads of one structure."""
        if self._rule is None:  # its shapes are those of any weights of this training
            self._rule = scaled(self._learned.make(weights, **self._switches))
        key = (workload.name, steps)
        if key not in self._populations:
            while self._populations and crowded():
                self._gone += self._populations.pop(next(iter(self._populations))).compilations
                gc.collect()  # an engine and its programs refer to each other
            # Batches of their own: the numbers of a seed do not depend on which others are trained beside it.
            self._populations[key] = Population(
                workload, self._rule, steps, steps, shared_batches=False, evaluation=AT_START
            )
        return self._populations[key]

    def _check_data(self) -> None:
        """Accepts workloads that have the data on which they were evaluated before."""
        rows, _ = meta_trainings.read_evaluations(self.folder)
        there = dict(rows.select("workload", "data").iter_rows())
        for workload in self._workloads:
            data = str(workload.data.provenance)
            if there.get(workload.name, data) != data:
                raise ValueError(
                    f"{self.folder}: {workload.name} was evaluated on {there[workload.name]!r}, this is {data!r}; "
                    "give the same --data-dir"
                )


def _outcome(curves: Curves, workload: Workload, trial: int) -> dict[str, Any]:
    """What became of a training: numbers, null where they are none or the workload has none of the kind."""

    def number(name: str, evaluation: int) -> float | None:
        if name not in curves.metrics:
            return None
        value = float(curves.metrics[name][trial, evaluation])
        return value if np.isfinite(value) else None

    initial, loss = number("train/loss", 0), number("train/loss", -1)
    diverged_step = int(curves.diverged_step[trial])
    diverged = diverged_step >= 0 or ("train/loss" in curves.metrics and loss is None)
    return {
        "status": "diverged" if diverged else "done",
        "diverged_step": diverged_step if diverged_step >= 0 else None,
        "train_loss": loss,
        "initial_loss": initial,
        # As meta-losses count: relative to those of fresh parameters, whatever their sign.
        "relative_loss": loss / abs(initial) if loss is not None and initial else None,
        "validation_loss": number("validation/loss", -1),
        "metric": workload.metric.name,
        "minimize": workload.metric.minimize,
        "validation_metric": number(f"validation/{workload.metric.name}", -1),
    }
