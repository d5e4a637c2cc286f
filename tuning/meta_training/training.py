"""Training the weights of a learned optimizer: estimates, their mean, the next weights.

An outer step asks some estimators for a gradient each. Every estimator has tasks of one workload, and is cut into parts
that run side by side where there are more cores than estimators. Estimates are made in this process, or by the workers
of an executor. Everything random follows from the seed and from numbers of steps, estimators and tasks, so that a
training that is killed goes on with the same numbers; unless it is asynchronous, see `asynchronous`.

| file of the folder | holds |
|---|---|
| `meta_training.json` | the plan, and what made the weights: versions, data, device, command |
| `weights.msgpack` | the newest weights, in the layout that every command reads |
| `weights_N.msgpack` | those after N outer steps, where asked for |
| `state.json` | how far it is to go, and whether it has ended |
| `record.jsonl` | a row for every interval of outer steps, and for every change of settings, see `record` |
| `settings.json` | yours: what is changed while it runs, see `settings` |
| `checkpoint_N.npz` | weights, Adam's state, tasks under way, after N outer steps |
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from results import meta_trainings
from results.meta_trainings import DESCRIPTION, RECORD, WEIGHTS
from submissions.api import checkpoints
from submissions.api.row_file import Mark, RowFile
from submissions.learned import weight_files
from tuning.engine import _spread
from tuning.engine.population import trial_seed
from tuning.execution.jobs import EstimateJob, Result
from tuning.meta_training import record
from tuning.meta_training._description import Description
from tuning.meta_training._in_line import Estimated, InLine
from tuning.meta_training._slots import Drawn
from tuning.meta_training.asynchronous import Gathering, Turns
from tuning.meta_training.learner import Learning
from tuning.meta_training.plan import Plan
from tuning.meta_training.record import Row, Tally
from tuning.meta_training.settings import Settings, Watched
from tuning.meta_training.workers import Elsewhere, Workers

__all__ = ["DESCRIPTION", "RECORD", "WEIGHTS", "MetaTraining", "Row"]


class _Estimators(Protocol):
    """The estimators of a training, wherever they are; see `InLine`."""

    @property
    def workers(self) -> int: ...
    def data(self) -> dict[str, str]: ...
    def draw(self, number: int, drawn: Drawn, weights: Any) -> None: ...
    def resume(
        self, number: int, drawn: Drawn, weights: Any, carried: Sequence[Sequence[np.ndarray]], fresh: Any
    ) -> None: ...
    def kept(self, number: int) -> tuple[list[list[Any]], Any]: ...
    def estimates(
        self, asked: Sequence[tuple[int, int]], outer_step: int, weights: Any, pool: ThreadPoolExecutor | None
    ) -> list[Estimated]: ...


@dataclasses.dataclass
class _Asked:
    """What `MetaTraining.run` was asked for, and has come to."""

    outer_steps: int
    record_every: int
    checkpoint_seconds: float
    progress: Callable[[str, int, int], None] | None
    stopped: Callable[[], bool]
    seconds: float | None
    keep_weights_every: int | None
    rows: list[Row] = dataclasses.field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        self.began = self.kept_at = time.monotonic()


class MetaTraining:
    """A meta-training in a folder, from its last checkpoint on.

    Attributes:
      plan: what it is.
      folder: of its files; None: nothing is kept.
      parts: that every estimate is cut into.
      outer_step: steps made.
      learning: the weights, and the state of what trains them.
      inner_steps: training steps of tasks so far.
      settings: what is in force of what may be changed.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path | None = None,
        weights: Any = None,
        initial: str | None = None,
        workers: Workers | None = None,
        parts: int | None = None,
        say: Callable[[str], object] = lambda said: None,
    ) -> None:
        """Begins, or goes on where the folder has a checkpoint.

        Args:
          plan: what is trained.
          folder: for files; made where it is missing.
          weights: to begin with; None: the optimizer's own before any training.
          initial: which these are, for the description.
          workers: who makes estimates, started; None: this process.
          parts: that every estimate is cut into; None: those that the folder has, or one per core.
          say: told in a line what is wrong with settings, or with the number of workers.

        Raises:
          ValueError: the folder holds another meta-training, or workers cannot know the plan.
        """
        self.plan, self.folder, self._say = plan, folder, say
        if weights is None:
            key = jax.random.key(trial_seed(plan.seed, "weights"))
            weights = plan.learned.initial(key, **{**plan.learned.sizes, **plan.sizes})
        weights = jax.tree.map(lambda x: np.asarray(x, np.float32), weights)
        self._asynchronous = workers is not None and workers.asynchronous
        description = None if folder is None else Description.of(folder, plan, initial)
        self.parts = _parts(plan, parts, None if description is None else description.parts)
        self._began_with = weights
        self.learning = plan.learner.begin(weights)
        self.outer_step, self.inner_steps, self._turns = 0, 0, 0
        self._workers, self._tally = workers, Tally()
        self._all_accepted, self._all_refused = 0, 0
        self._base = Settings.of(plan, 0 if workers is None else workers.staleness)
        self._watched = None if folder is None else Watched(folder)
        self._rows = None if folder is None else RowFile(folder / RECORD)
        self._drawn: list[Drawn] = []
        self._estimators: _Estimators
        if workers is None:
            self._estimators = InLine(plan, self.parts, weights)
        elif folder is None:
            raise ValueError("a meta-training with workers needs a folder, for what goes wrong with them")
        else:
            self._estimators = Elsewhere(workers, plan, self.parts, folder)
        file = None if folder is None else checkpoints.last(folder)
        before, was_asynchronous = (Settings.of(plan), False) if file is None else self._restore(file)
        self.settings = self._base if file is None else before
        self._look()
        changed = self.settings.changes(before)
        if file is None:
            for number in range(plan.estimators):
                self._draw(number, 0)
        if description is not None:  # now that there is nothing to refuse
            self._description = description
            description.write(self.parts)
        if was_asynchronous != self._asynchronous:
            changed["asynchronous"] = [was_asynchronous, self._asynchronous]
        self._record_change(changed)
        self._tell_of_idle_workers()

    @property
    def weights(self) -> Any:
        """The newest, on the host."""
        return jax.tree.map(np.asarray, self.learning.weights)

    def run(
        self,
        outer_steps: int,
        record_every: int = 10,
        checkpoint_seconds: float = 60.0,
        progress: Callable[[str, int, int], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
        seconds: float | None = None,
        keep_weights_every: int | None = None,
    ) -> list[Row]:
        """Trains until so many outer steps have been made in all; the rows of those made now.

        Args:
          outer_steps: in all, those of earlier runs included.
          record_every: outer steps of a row; also, the weights are kept no more often.
          checkpoint_seconds: at least so long between two checkpoints. There is one at the end, too.
          progress: told (what, done, total) after every outer step.
          stopped: asked after every row whether to stop; what was made is kept.
          seconds: stop after so long, likewise.
          keep_weights_every: outer steps after which the weights are kept for good, from those at the beginning on;
            None: the newest alone.
        """
        asked = _Asked(
            outer_steps, record_every, checkpoint_seconds, progress, stopped, seconds, keep_weights_every
        )
        self._tally = Tally()
        self._record_change(self._look() or {})
        with self._said(asked):
            if self._asynchronous:
                self._run_asynchronously(asked)
                return asked.rows
            with ThreadPoolExecutor(_spread.places()) as pool:
                while not self._is_over(asked):
                    self.step(pool)
                    self._after(asked)
        return asked.rows

    def step(self, pool: ThreadPoolExecutor | None = None) -> tuple[dict[str, list[float]], jax.Array, int]:
        """One outer step: workload -> meta-losses, the norm of the gradient, training steps of tasks."""
        count, batch = self.plan.estimators, self.settings.batch
        asked = [(self.outer_step * batch + i) % count for i in range(batch)]
        # Equal lengths of all parts of an estimate; estimators differ, as in learned_optimization.
        jobs = [(number, part) for number in asked for part in range(self.parts)]
        made = self._estimators.estimates(jobs, self.outer_step, self.learning.weights, pool)
        losses: dict[str, list[float]] = {}
        for one in made:
            self._count(one)
            losses.setdefault(one.workload, []).append(one.loss)
        norm = self._update([one.gradient for one in made], [0] * len(made))
        return losses, norm, sum(one.steps for one in made)

    def keep(self) -> None:
        """Writes a checkpoint and the weights; a kill at any moment leaves those before or these."""
        if self.folder is None or self._rows is None:
            return
        kept = {
            "outer_step": self.outer_step,
            "inner_steps": self.inner_steps,
            "turns": self._turns,
            "drawn_at": [drawn.at for drawn in self._drawn],
            "shares": [drawn.shares for drawn in self._drawn],
            "settings": dataclasses.asdict(self.settings),
            "asynchronous": self._asynchronous,
            "rows": self._rows.mark._asdict(),
        }
        of_all = [self._estimators.kept(number) for number in range(len(self._drawn))]
        fresh = {str(number): weights for number, (_, weights) in enumerate(of_all) if weights is not None}
        arrays = (self.learning, [carried for carried, _ in of_all], fresh)
        checkpoints.save(self.folder, self.outer_step, arrays, kept, keep_others=False)
        self._write_weights(WEIGHTS)
        self._description.add_data(self._estimators.data())

    @contextlib.contextmanager
    def _said(self, asked: _Asked) -> Iterator[None]:
        """Has the folder say that the training is under way, and at last, however it ends, that it is no more."""
        if self.folder is None:
            yield
            return
        self._keep_weights(asked)
        meta_trainings.write_state(self.folder, self.outer_step, asked.outer_steps, ended=False)
        try:
            yield
        finally:
            meta_trainings.write_state(self.folder, self.outer_step, asked.outer_steps, ended=True)

    def _keep_weights(self, asked: _Asked) -> None:
        """Keeps the weights for good, where they are to be kept after this outer step."""
        every = asked.keep_weights_every
        if every is not None and self.outer_step % every == 0:
            self._write_weights(meta_trainings.weights_name(self.outer_step))

    def _write_weights(self, name: str) -> None:
        if self.folder is not None:
            around = {"gen_id": "shortlist", "step": self.outer_step}
            weight_files.write(self.folder / name, self.weights, around)

    def _distance(self) -> float:
        """Of the weights from those that the training began with."""
        moved = jax.tree.map(np.subtract, self.weights, self._began_with)
        return float(np.linalg.norm([np.linalg.norm(leaf) for leaf in jax.tree.leaves(moved)]))

    def _run_asynchronously(self, asked: _Asked) -> None:
        assert self._workers is not None
        assert isinstance(self._estimators, Elsewhere)
        estimators, gathering = self._estimators, Gathering(self.settings.staleness)

        def job(number: int, part: int) -> EstimateJob:
            self._turns += 1
            return estimators.job(number, part, self.outer_step, self.learning.weights, self._turns)

        def come(job: EstimateJob, result: Result) -> None:
            if self._is_over(asked):  # it belongs to a step that nobody makes now
                return
            one = estimators.taken(job, result, self.learning.weights)
            self._count(one)
            gathering.staleness = self.settings.staleness
            refused = gathering.refused
            gathering.put(job.outer_step, one.gradient, self.outer_step)
            while (batch := gathering.batch(self.settings.batch, self.outer_step)) is not None:
                ages = [self.outer_step - step for step, _ in batch]
                self._tally.refused += gathering.refused - refused
                refused = gathering.refused
                self._update([gradient for _, gradient in batch], ages)
                self._after(asked)
                if self._is_over(asked):
                    return
            self._tally.refused += gathering.refused - refused

        def is_late(job: EstimateJob) -> bool:
            return self.outer_step - job.outer_step > self.settings.staleness

        units = [(number, part) for number in range(self.plan.estimators) for part in range(self.parts)]
        over = lambda: self._is_over(asked)  # noqa: E731
        turns = Turns(units, not self.plan.whole, job, come, over, is_late)
        self._workers.complete(turns, turns)

    def _is_over(self, asked: _Asked) -> bool:
        return asked.ended or self.outer_step >= asked.outer_steps

    def _count(self, one: Estimated) -> None:
        self._tally.estimate(one.workload, one.loss, one.steps, one.compile_seconds)
        self.inner_steps += one.steps

    def _update(self, gradients: list[Any], ages: list[int]) -> jax.Array:
        """Makes the next weights, and draws other tasks where their time has come."""
        learner = self.settings.learner(self.plan)
        self.learning, norm = learner.update(self.learning, gradients)
        self._tally.norms.append(norm)
        self._tally.ages += ages
        self.outer_step += 1
        if self.plan.resample_every is not None:
            for number in range(self.plan.estimators):
                if (
                    _uniform(self.plan.seed, "resample", self.outer_step, number)
                    < 1 / self.plan.resample_every
                ):
                    self._draw(number, self.outer_step)
        return norm

    def _after(self, asked: _Asked) -> None:
        """What is done after an outer step: it is shown, recorded and kept, and settings are read."""
        self._keep_weights(asked)
        if asked.progress is not None:
            asked.progress(f"meta-training {self.plan.optimizer}", self.outer_step, asked.outer_steps)
        if self._workers is not None:
            self._workers.seen.said = f"{self._all_accepted + len(self._tally.ages)} gradients accepted" + (
                f", {self._all_refused + self._tally.refused} refused" if self._asynchronous else ""
            )
        if self.outer_step % asked.record_every == 0 or self.outer_step >= asked.outer_steps:
            self._end_interval(asked)
        if not self._is_over(asked):
            self._record_change(self._look() or {})

    def _end_interval(self, asked: _Asked) -> None:
        row = self._tally.row(self.outer_step, self.inner_steps, self._estimators.workers, self._distance())
        self._all_accepted += row.accepted
        self._all_refused += row.refused
        self._tally = Tally()
        asked.rows.append(row)
        if self._rows is not None:
            self._rows.add(dataclasses.asdict(row))
        now = time.monotonic()
        asked.ended = asked.stopped() or (asked.seconds is not None and now - asked.began >= asked.seconds)
        if self._is_over(asked) or now - asked.kept_at >= asked.checkpoint_seconds:
            self.keep()
            asked.kept_at = time.monotonic()

    def _look(self) -> dict[str, list[Any]] | None:
        """Takes what `settings.json` says, where it has changed; what changes by it."""
        try:
            now = self._watched and self._watched.read(self._base, self.plan, self._asynchronous)
        except (ValueError, OSError) as error:
            self._say(f"{error}; the settings stay as they are")
            return None
        if now is None:
            return None
        before, self.settings = self.settings, now
        return now.changes(before)

    def _record_change(self, changed: dict[str, list[Any]]) -> None:
        if changed and self._rows is not None:
            self._rows.add(record.change(self.outer_step, changed))

    def _draw(self, number: int, at: int) -> None:
        """Gives an estimator a task that is drawn at an outer step."""
        drawn = Drawn(at, self.settings.shares(self.plan))
        self._drawn[number : number + 1] = [drawn]
        self._estimators.draw(number, drawn, self.learning.weights)

    def _restore(self, file: Path) -> tuple[Settings, bool]:
        """Goes on from a checkpoint; the settings that were in force, and whether it was asynchronous."""
        assert self._rows is not None
        found, kept = checkpoints.leaves(file)
        of_learning = [array for name, array in found if name.startswith("[0]")]
        expected = checkpoints.numbers(self.learning)
        if [x.shape for x in of_learning] != [x.shape for x in expected]:
            raise ValueError(f"{file}: has weights of other shapes than this plan's")
        self.learning = Learning(*checkpoints.of_numbers(of_learning, self.learning))
        _, structure = jax.tree.flatten(self.weights)
        shares = kept.get("shares") or [None] * len(kept["drawn_at"])
        for number, at in enumerate(kept["drawn_at"]):
            by = shares[number]
            drawn = Drawn(at, None if by is None else tuple(by))
            carried = [
                [array for name, array in found if name.startswith(f"[1][{number}][{part}]")]
                for part in range(self.parts)
            ]
            fresh = [array for name, array in found if name.startswith(f"[2]['{number}']")]
            begin_with = jax.tree.unflatten(structure, fresh) if fresh else None
            self._drawn.append(drawn)
            self._estimators.resume(number, drawn, self.learning.weights, carried, begin_with)
        self.outer_step, self.inner_steps = kept["outer_step"], kept["inner_steps"]
        self._turns = kept.get("turns", 0)
        self._rows.read(Mark.of(kept["rows"]))
        before = Settings(**kept["settings"]) if "settings" in kept else self._base
        # An asynchronous one averages more gradients than there are estimators, if it is told to.
        if not self._asynchronous:
            before = dataclasses.replace(before, batch=min(before.batch, self.plan.estimators))
        return before, kept.get("asynchronous", False)

    def _tell_of_idle_workers(self) -> None:
        """Says so where some workers would have nothing to do."""
        units = self.plan.estimators if self._asynchronous else min(self.settings.batch, self.plan.estimators)
        at_a_time = units * self.parts
        if self._workers is None or (self._asynchronous and self.plan.whole):
            return
        if self._workers.workers > at_a_time:
            self._say(
                f"{self._workers.workers} workers, but {at_a_time} estimates at a time ({units} estimators, cut into "
                f"{self.parts}); more --estimators, or a new folder with more --parts, keep all busy"
            )


def _parts(plan: Plan, asked: int | None, there: int | None) -> int:
    """Into how many programs an estimate is cut: as in the folder, as asked for, or so that every core has one.

    Raises:
      ValueError: other parts are asked for than are there, or tasks cannot be cut into so many.
    """
    if asked is not None and there is not None and asked != there:
        raise ValueError(
            f"parts is {asked}, but the folder's training has {there}; leave it out, or choose another"
        )
    if asked is not None and (asked < 1 or plan.tasks % asked):
        raise ValueError(f"parts is {asked}; must divide the {plan.tasks} tasks of an estimator")
    if there or asked:
        return there or asked or 1
    places = _spread.places() // (plan.per_step or plan.estimators)
    return next(n for n in range(max(1, places), 0, -1) if plan.tasks % n == 0)


def _uniform(*parts: object) -> float:
    return trial_seed(*parts) / 2**32
