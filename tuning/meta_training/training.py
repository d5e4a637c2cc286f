"""Training the weights of a learned optimizer, in one process: estimates, their mean, the next weights.

An outer step asks some estimators for a gradient each. Every estimator has tasks of one workload, and is cut into parts
that run side by side where there are more cores than estimators. Everything random follows from the seed and from
numbers of steps, estimators and tasks, so that a training that is killed goes on with the same numbers.

| file of the folder | holds |
|---|---|
| `meta_training.json` | the plan, and what made the weights: versions, data, device, command |
| `weights.msgpack` | the newest weights, in the layout that every command reads |
| `record.jsonl` | a row for every interval of outer steps, see `Row` |
| `checkpoint_N.npz` | weights, Adam's state, tasks under way, after N outer steps |
"""

from __future__ import annotations

import collections
import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from submissions import Rule, environment
from submissions.api import checkpoints
from submissions.api.row_file import Mark, RowFile
from submissions.learned import weight_files
from tuning.engine import _spread
from tuning.engine.population import trial_seed
from tuning.meta_training import learner, schedules
from tuning.meta_training._estimate import Carried, Made, Programs
from tuning.meta_training._unroll import Unroll, World
from tuning.meta_training.distribution import Task, scale_of
from tuning.meta_training.learner import Learning
from tuning.meta_training.plan import Plan
from tuning.meta_training.schedules import DESCRIPTION
from workloads import copies
from workloads.data.files import write_atomically

FORMAT = 1
WEIGHTS, RECORD = "weights.msgpack", "record.jsonl"
PROGRAMS = 64  # structures whose programs are kept


@dataclasses.dataclass(frozen=True)
class Row:
    """What is recorded of an interval of outer steps.

    Attributes:
      outer_step: after it.
      meta_loss: mean over the interval and its estimators.
      gradient_norm: mean over the interval, of gradients before the clip.
      seconds: that the interval took, compilation included.
      compile_seconds: of these.
      inner_steps: training steps of tasks taken since the beginning, both signs counted.
      inner_steps_per_second: in this interval.
      workloads: name -> mean meta-loss on it in this interval.
    """

    outer_step: int
    meta_loss: float
    gradient_norm: float
    seconds: float
    compile_seconds: float
    inner_steps: int
    inner_steps_per_second: float
    workloads: Mapping[str, float]


@dataclasses.dataclass
class _Slot:
    """One estimator: when its task was drawn, the task, and what each of its parts carries on."""

    drawn_at: int
    task: Task
    copies: Any  # of its arrays on the device, which others share while somebody holds them
    programs: Programs
    worlds: list[World]
    carried: list[Carried | None]


class MetaTraining:
    """A meta-training in a folder, from its last checkpoint on.

    Attributes:
      plan: what it is.
      folder: of its files; None: nothing is kept.
      outer_step: steps made.
      learning: the weights, and the state of what trains them.
      inner_steps: training steps of tasks so far.
    """

    def __init__(
        self, plan: Plan, folder: Path | None = None, weights: Any = None, initial: str | None = None
    ) -> None:
        """Begins, or goes on where the folder has a checkpoint.

        Args:
          plan: what is trained.
          folder: for files; made where it is missing.
          weights: to begin with; None: the optimizer's own before any training.
          initial: which these are, for the description.

        Raises:
          ValueError: the folder holds another meta-training.
        """
        self.plan, self.folder = plan, folder
        if weights is None:
            key = jax.random.key(trial_seed(plan.seed, "weights"))
            weights = plan.learned.initial(key, **{**plan.learned.sizes, **plan.sizes})
        weights = jax.tree.map(lambda x: np.asarray(x, np.float32), weights)
        self._rule = _rule(plan, weights)
        asked = json.loads(json.dumps({**plan.describe(), "initial": initial}))
        self.parts = (None if folder is None else _parts_of(folder, asked)) or _parts(plan)
        self.learning = plan.learner.begin(weights)
        self.outer_step, self.inner_steps = 0, 0
        self._scales: dict[str, np.ndarray] = {}
        self._programs: collections.OrderedDict[Any, Programs] = collections.OrderedDict()
        self._rows = RowFile(folder / RECORD) if folder is not None else None
        self._data: dict[str, str] = {}
        self._slots: list[_Slot] = []
        file = None if folder is None else checkpoints.last(folder)
        if file is not None:
            self._restore(file)
        else:
            self._slots = [self._slot(number, 0) for number in range(plan.estimators)]
            if folder is not None:  # now that there is nothing to refuse
                _describe(folder, asked, self.parts)

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
    ) -> list[Row]:
        """Trains until so many outer steps have been made in all; the rows of those made now.

        Args:
          outer_steps: in all, those of earlier runs included.
          record_every: outer steps of a row; also, the weights are kept no more often.
          checkpoint_seconds: at least so long between two checkpoints. There is one at the end, too.
          progress: told (what, done, total) after every outer step.
          stopped: asked after every row whether to stop; what was made is kept.
          seconds: stop after so long, likewise.
        """
        rows, began, kept_at = [], time.monotonic(), time.monotonic()
        with ThreadPoolExecutor(_spread.places()) as pool:
            while self.outer_step < outer_steps:
                until = min(outer_steps, (self.outer_step // record_every + 1) * record_every)
                rows.append(self._interval(pool, until, outer_steps, progress))
                if self._rows is not None:
                    self._rows.add(dataclasses.asdict(rows[-1]))
                over = stopped() or (seconds is not None and time.monotonic() - began >= seconds)
                if over or self.outer_step >= outer_steps or time.monotonic() - kept_at >= checkpoint_seconds:
                    self.keep()
                    kept_at = time.monotonic()
                if over:
                    break
        return rows

    def step(self, pool: ThreadPoolExecutor | None = None) -> tuple[dict[str, list[float]], jax.Array, int]:
        """One outer step: workload -> meta-losses, the norm of the gradient, training steps of tasks."""
        plan, count = self.plan, self.plan.estimators
        per_step = plan.per_step or count
        asked = [(self.outer_step * per_step + i) % count for i in range(per_step)]
        # Equal lengths of all parts of an estimate; estimators differ, as in learned_optimization.
        jobs = [(number, part) for number in asked for part in range(self.parts)]
        bounds = plan.lengths.bounds(self.outer_step)
        estimate = lambda job: self._estimate(job[0], job[1], bounds)  # noqa: E731
        made = list(pool.map(estimate, jobs) if pool else map(estimate, jobs))
        gradients, losses, taken = [], {}, 0
        for i, number in enumerate(asked):
            of_parts = made[i * self.parts : (i + 1) * self.parts]
            gradients += [one.estimate.gradient for one in of_parts]
            name = self._slots[number].task.workload.name
            losses.setdefault(name, []).extend(float(one.estimate.loss) for one in of_parts)
            taken += sum(int(one.steps) for one in of_parts)
        self.learning, norm = plan.learner.update(self.learning, gradients)
        self.outer_step += 1
        self.inner_steps += taken
        if plan.resample_every is not None:
            for number in range(count):
                if _uniform(plan.seed, "resample", self.outer_step, number) < 1 / plan.resample_every:
                    self._slots[number] = self._slot(number, self.outer_step)
        return losses, norm, taken

    def keep(self) -> None:
        """Writes a checkpoint and the weights; a kill at any moment leaves those before or these."""
        if self.folder is None or self._rows is None:
            return
        kept = {
            "outer_step": self.outer_step,
            "inner_steps": self.inner_steps,
            "drawn_at": [slot.drawn_at for slot in self._slots],
            "rows": self._rows.mark._asdict(),
        }
        arrays = (self.learning, [slot.carried for slot in self._slots])
        checkpoints.save(self.folder, self.outer_step, arrays, kept, keep_others=False)
        around = {"gen_id": "shortlist", "step": self.outer_step}
        weight_files.write(self.folder / WEIGHTS, self.weights, around)
        self._keep_data(self.folder)

    @property
    def compile_seconds(self) -> float:
        """What compiling has taken so far."""
        return sum(one.compile_seconds for programs in self._programs.values() for one in programs.compiled)

    def _interval(self, pool: ThreadPoolExecutor, until: int, total: int, progress: Any) -> Row:
        began, compiled = time.perf_counter(), self.compile_seconds
        losses: dict[str, list[float]] = {}
        norms, taken = [], 0
        while self.outer_step < until:
            of_step, norm, steps = self.step(pool)
            taken += steps
            norms.append(float(norm))
            for name, values in of_step.items():
                losses.setdefault(name, []).extend(values)
            if progress is not None:
                progress(f"meta-training {self.plan.optimizer}", self.outer_step, total)
        seconds = time.perf_counter() - began
        everything = [loss for values in losses.values() for loss in values]
        return Row(
            self.outer_step,
            learner.recorded_loss(everything),
            float(np.mean(norms)),
            seconds,
            max(0.0, self.compile_seconds - compiled),
            self.inner_steps,
            taken / seconds,
            {name: learner.recorded_loss(values) for name, values in losses.items()},
        )

    def _estimate(self, number: int, part: int, bounds: tuple[int, int]) -> Made:
        plan, slot = self.plan, self._slots[number]
        world = slot.worlds[part]._replace(bounds=jnp.asarray(bounds, jnp.int32))
        length = 0
        if plan.whole:
            rng = np.random.default_rng(trial_seed(plan.seed, "length", self.outer_step, number))
            length = schedules.drawn(bounds, rng, plan.estimator.multiple)  # type: ignore[union-attr]
        seed = trial_seed(plan.seed, "estimate", self.outer_step, number)
        made = slot.programs.estimate(self.learning.weights, world, seed, length, slot.carried[part])
        made = jax.block_until_ready(made)
        slot.carried[part] = made.carried
        return made

    def _slot(self, number: int, drawn_at: int) -> _Slot:
        """An estimator whose task is drawn at an outer step."""
        plan = self.plan
        task = plan.distribution.draw(
            jax.random.key(trial_seed(plan.seed, "task", number, drawn_at)), drawn_at
        )
        self._data[task.workload.name] = str(task.workload.data.provenance)
        programs = self._programs_of(task)
        held, worlds = self._worlds(task, plan.lengths.bounds(drawn_at))
        seed = trial_seed(plan.seed, "begin", number, drawn_at)
        carried = [programs.begin(self.learning.weights, world, seed, plan.offset) for world in worlds]
        return _Slot(drawn_at, task, held, programs, worlds, carried)

    def _programs_of(self, task: Task) -> Programs:
        signs = 1 if "gradient" in self.plan.describe()["estimator"]["kind"] else 2
        unroll = Unroll(task, self._rule, signs, self.plan.shared_batches, self.plan.meta_loss)
        key = unroll.key()
        if key in self._programs:
            self._programs.move_to_end(key)
            return self._programs[key]
        self._programs[key] = Programs(self.plan.estimator, unroll)
        while len(self._programs) > PROGRAMS:
            self._programs.popitem(last=False)
        return self._programs[key]

    def _worlds(self, task: Task, bounds: tuple[int, int]) -> tuple[Any, list[World]]:
        """Copies on the device, and the arrays of every part of an estimator."""
        workload = task.workload
        splits = dict.fromkeys(workload.eval_splits.values())
        held = (
            copies.of_fields(workload.shared.constants if workload.shared else {}),
            {split: copies.of_fields(workload.data.arrays(split)) for split in splits},
        )
        constants, data = jax.tree.map(lambda copy: copy.device, held)
        scale = jnp.asarray(self._scale(task) if self.plan.scaled else (0.0, 0.0), jnp.float32)
        numbers = np.arange(self.plan.tasks, dtype=np.int32).reshape(self.parts, -1)
        low_high = jnp.asarray(bounds, jnp.int32)
        return held, [World(low_high, scale, constants, data, jnp.asarray(part)) for part in numbers]

    def _scale(self, task: Task) -> np.ndarray:
        name = task.workload.name
        if name not in self._scales:
            self._scales[name] = scale_of(task)
        return self._scales[name]

    def _restore(self, file: Path) -> None:
        assert self._rows is not None
        # What each estimator carries has the structure that it begins with.
        drawn_at = checkpoints.kept(file)["drawn_at"]
        self._slots = [self._slot(number, at) for number, at in enumerate(drawn_at)]
        like = (self.learning, [slot.carried for slot in self._slots])
        (learning, carried), kept = checkpoints.restore(file, like)
        self.learning = Learning(*learning)
        for slot, of_slot in zip(self._slots, carried, strict=True):
            slot.carried = of_slot
        self.outer_step, self.inner_steps = kept["outer_step"], kept["inner_steps"]
        self._rows.read(Mark.of(kept["rows"]))

    def _keep_data(self, folder: Path) -> None:
        """Adds to the description which data the workloads trained so far have."""
        content = json.loads((folder / DESCRIPTION).read_text())
        if not self._data.keys() <= content["data"].keys():
            _write(folder / DESCRIPTION, {**content, "data": content["data"] | self._data})


def _parts_of(folder: Path, asked: Mapping[str, Any]) -> int | None:
    """The number of parts with which the meta-training in a folder began; None where there is none.

    Raises:
      ValueError: there is one of another plan.
    """
    file = folder / DESCRIPTION
    if not file.exists():
        return None
    there = json.loads(file.read_text())
    if there.get("format") != FORMAT:
        raise ValueError(f"{file}: format {there.get('format')}, not {FORMAT}")
    for name, value in asked.items():
        if there["plan"].get(name) != value:
            raise ValueError(
                f"{folder}: holds a meta-training with {name} {json.dumps(there['plan'].get(name))}, not "
                f"{json.dumps(value)}; choose another folder, or the same plan to go on"
            )
    return there["parts"]


def _describe(folder: Path, asked: Mapping[str, Any], parts: int) -> None:
    """Writes what a meta-training is, and what makes it; what is there stays."""
    if (folder / DESCRIPTION).exists():
        return
    made_by = {
        "versions": environment.versions(),
        "source": environment.source(),
        "device": environment.device(),
        "command": environment.command(),
    }
    content = {"format": FORMAT, "plan": asked, "parts": parts, "made_by": made_by, "data": {}}
    _write(folder / DESCRIPTION, content)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_atomically(file, json.dumps(content, indent=1).encode() + b"\n")


_RULES: dict[
    Any, Rule
] = {}  # one object for one optimizer, so that its programs are compiled once in a process


def _rule(plan: Plan, weights: Any) -> Rule:
    """The rule for weights of these shapes. Programs are given the weights themselves."""
    leaves, structure = jax.tree.flatten(weights)
    switches = {**plan.learned.switches, **plan.switches}
    key = (
        plan.optimizer,
        json.dumps(switches, sort_keys=True),
        structure,
        tuple(np.shape(x) for x in leaves),
    )
    if key not in _RULES:
        _RULES[key] = plan.learned.make(weights, **switches)
    return _RULES[key]


def _parts(plan: Plan) -> int:
    """Into how many programs an estimate is cut so that every core has one."""
    places = _spread.places() // (plan.per_step or plan.estimators)
    return next(n for n in range(max(1, places), 0, -1) if plan.tasks % n == 0)


def _uniform(*parts: object) -> float:
    return trial_seed(*parts) / 2**32
