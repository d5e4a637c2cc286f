"""The population engine: many trials of one workload in as few programs as serve them best.

Hyperparameters, seeds, batches and a workload's own constants are arrays, so a new point never compiles anything, nor
does another task of the same structure; only another number of trials per program does. A trial that diverges is
recorded, and costs the others nothing.

How trials are spread follows from the machine (`tuning.engine._spread`): over all devices where there are several; on a
CPU over programs side by side, one per core, because small models leave a second core idle; and in turns where they do
not fit into memory together. None of it changes a number by more than the order of sums.

A training on data that live on the device is one program from start to end (`tuning.engine._whole`). Streamed data,
measures that the host computes and checkpoints make three of it (`tuning.engine._stepwise`): start, unroll, evaluate.
Parts on streamed data run in turns: the host that makes batches is their bottleneck.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from submissions import Rule
from tuning.engine import _evaluation, _memory, _programs, _spread
from tuning.engine._competition import Competed, GoesOn, compete
from tuning.engine._feeds import reads_on_host
from tuning.engine._stepwise import Stepwise
from tuning.engine._training import Evaluation, Training
from tuning.engine._trials import Inputs, Keys, keys_of_seeds
from tuning.engine._whole import Whole
from workloads import Workload, copies

__all__ = ["Competed", "Curves", "Evaluation", "Keys", "Population", "keys_of_seeds", "stack", "trial_seed"]

WHOLE_SPLITS = Evaluation()


def trial_seed(*parts: object) -> int:
    """A 32-bit seed from what a random stream belongs to, such as (study seed, workload, point, repeat, "init").

    Hashing makes the numbers of a trial independent of which other trials run, and in which order.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


@dataclasses.dataclass(frozen=True)
class Curves:
    """What a population recorded.

    Attributes:
      global_step: [evaluation], steps taken at each evaluation.
      metrics: "<role>/<metric>" -> [trial, evaluation]; NaN from the evaluation at which a trial had diverged.
      diverged_step: [trial], the step whose loss was not finite; -1 for trials that stayed finite.
    """

    global_step: np.ndarray
    metrics: Mapping[str, np.ndarray]
    diverged_step: np.ndarray


@dataclasses.dataclass(frozen=True)
class Population:
    """A compiled training of one workload by one optimizer, for any points and seeds.

    Attributes:
      workload: what is trained; its data move to the device once.
      rule: (hyperparameters, total steps) -> gradient transformation; must accept traced hyperparameters.
      total_steps: where schedules end; training stops at the last evaluation that fits.
      eval_period: steps between evaluations.
      shared_batches: all trials of a run see the same batches (one large product of the first layer); otherwise
        every trial has an order of its own.
      evaluation: on what, and whether before the first step.
      constrained: apply the workload's constraint, if it has one, after every update.
      width: at most so many trials form one program; by default what serves the workload's cost class best.
      side_by_side: programs run at a time, each on a thread of its own; by default as the machine has places for.
      devices_per_trial: devices of this process that share the examples of a trial's batches; the others train other
        trials. It changes the order of sums.
      memory: bytes that the programs of a run may take together; by default a part of the device's.
    """

    workload: Workload
    rule: Rule
    total_steps: int
    eval_period: int
    shared_batches: bool = True
    evaluation: Evaluation = WHOLE_SPLITS
    constrained: bool = True
    width: int | None = None
    side_by_side: int | None = None
    memory: int | None = None
    devices_per_trial: int = 1
    _programs: dict[Hashable, _programs.Program] = dataclasses.field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _compiled: list[_programs.Program] = dataclasses.field(
        init=False, repr=False, compare=False, default_factory=list
    )
    _copies: Any = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.eval_period <= self.total_steps:
            raise ValueError(
                f"{self.workload.name}: eval_period {self.eval_period} must lie in 1..{self.total_steps} (total_steps)"
            )
        if not self._in_program and self.evaluation.batches is not None:
            raise ValueError(
                f"{self.workload.name}: its data are streamed or judged by the host, and evaluated on whole splits; "
                f"leave out the {self.evaluation.batches} random batches"
            )
        self._check_devices()
        shared, splits = self.workload.shared, dict.fromkeys(self.workload.eval_splits.values())
        arrays = (
            copies.of_fields(shared.constants if shared else {}),
            {split: copies.of_fields(self.workload.data.arrays(split)) for split in splits},
        )
        object.__setattr__(self, "_copies", arrays)

    @property
    def programs(self) -> tuple[_programs.Program, ...]:
        """The programs that have run so far, in order of first use."""
        return tuple(self._programs.values())

    @property
    def compilations(self) -> int:
        """How many programs this population compiled: one per number of trials and set of hyperparameter names.

        Where another population of the process has compiled a program already, none.
        """
        return len(self._compiled)

    @property
    def compile_seconds(self) -> float:
        """What these compilations took."""
        return sum(program.compile_seconds for program in self._compiled)

    def run(
        self,
        hyperparameters: Mapping[str, np.ndarray],
        init_seeds: np.ndarray,
        batch_seeds: np.ndarray,
        **how: Any,
    ) -> Curves:
        """Trains all trials from start to end, their randomness from seeds.

        Args:
          hyperparameters: see `train`.
          init_seeds: [trial] uint32, for initialisation, noise and the optimizer.
          batch_seeds: uint32, for the order of examples: [1] with shared batches, else [trial].
          how: horizon, weights and checkpoint, see `train`.
        """
        expected = (1,) if self.shared_batches else (len(init_seeds),)
        if batch_seeds.shape != expected:
            raise ValueError(f"batch_seeds has shape {batch_seeds.shape}; expected {expected}")
        keys = jax.device_get(keys_of_seeds(jnp.uint32(init_seeds), jnp.uint32(batch_seeds)))
        return self.train(hyperparameters, keys, **how)

    def train(
        self,
        hyperparameters: Mapping[str, np.ndarray],
        keys: Keys,
        *,
        horizon: int | np.ndarray | None = None,
        weights: Any = None,
        checkpoint: Path | None = None,
    ) -> Curves:
        """Trains all trials from start to end.

        Args:
          hyperparameters: name -> [trial]; the optimizer's, and those of `Regularization`.
          keys: where the randomness of each trial begins.
          horizon: steps after which schedules end, for all trials or [trial]; None: `total_steps`. Another one compiles
            nothing, unless the rule decides on it in Python.
          weights: of the optimizer; None: its own. Where leaves have one axis more than its own, the first is [trial].
          checkpoint: folder for the state after every evaluation; a run that finds it there goes on from it, with the
            same numbers bit for bit. Training is then several programs instead of one.

        Returns:
          Curves on the host, as float32.
        """
        trials = len(keys.init)
        training, inputs = self._given(hyperparameters, keys, horizon, weights)
        way = self._way(training)
        spread = self._fitted_spread(way, inputs, trials)
        parts = spread.parts(trials)

        def run(numbered: tuple[int, np.ndarray]) -> Any:
            number, rows = numbered
            there = None if checkpoint is None else checkpoint / f"part_{number}_of_{len(parts)}"
            return self._way(training, there).run(inputs(rows))

        if checkpoint is None:
            run = lambda numbered: way.run(inputs(numbered[1]))  # noqa: E731
        with ThreadPoolExecutor(spread.side_by_side) as pool:
            made = list(pool.map(run, enumerate(parts)))
        return Curves(
            global_step=made[0][0],
            metrics=_joined([metrics for _, metrics, _ in made], [len(rows) for rows in parts], trials),
            diverged_step=np.concatenate([diverged for *_, diverged in made])[:trials],
        )

    def compete(
        self,
        hyperparameters: Mapping[str, np.ndarray],
        keys: Keys,
        goes_on: GoesOn,
        widths: Sequence[int],
        *,
        horizon: int | np.ndarray | None = None,
        weights: Any = None,
    ) -> Competed:
        """Trains all trials together until their end, or until they are told to stop; see `tuning.engine._competition`.

        Args:
          hyperparameters, keys, horizon, weights: see `train`. Schedules end at the horizon, whoever gets there.
          goes_on: (steps [evaluation], metrics [trial, evaluation], running [trial]) -> who goes on [trial]; asked
            after every evaluation but the last.
          widths: numbers of trials that the population is narrowed to as trials stop.
        """
        trials = len(keys.init)
        training, inputs = self._given(hyperparameters, keys, horizon, weights)
        way = Stepwise(training, self._compile)
        return compete(way, inputs, self._fitted_spread(way, inputs, trials), trials, goes_on, widths)

    def _given(
        self,
        hyperparameters: Mapping[str, np.ndarray],
        keys: Keys,
        horizon: int | np.ndarray | None,
        weights: Any,
    ) -> tuple[Training, Callable[[np.ndarray], Inputs]]:
        """What is trained, and rows -> the arrays of these trials."""
        horizons = np.broadcast_to(np.int32(self.total_steps if horizon is None else horizon), len(keys.init))
        weights = self.rule.weights if weights is None else weights
        training = self._training(horizons, weights)
        arrays = {name: np.asarray(values, np.float32) for name, values in hyperparameters.items()}

        def inputs(rows: np.ndarray) -> Inputs:
            batches = keys.batches if self.shared_batches else keys.batches[rows]
            constants, data = jax.tree.map(lambda copy: copy.device, self._copies)
            return Inputs(
                jax.tree.map(lambda x: jnp.asarray(x[rows] if training.weights_per_trial else x), weights),
                {name: jnp.asarray(values[rows]) for name, values in arrays.items()},
                jnp.asarray(horizons[rows]),
                Keys(*(jnp.asarray(words) for words in (keys.init[rows], keys.noise[rows], batches))),
                constants,
                data,
            )

        return training, inputs

    def _fitted_spread(
        self, way: Whole | Stepwise, inputs: Callable[[np.ndarray], Inputs], trials: int
    ) -> _spread.Spread:
        """How so many trials are spread over programs that fit into memory."""
        spread = _spread.spread(self.workload.cost_class, self.width, self.side_by_side)
        spread = dataclasses.replace(spread, devices=spread.devices // self.devices_per_trial)
        if reads_on_host(self.workload):
            spread = dataclasses.replace(spread, side_by_side=1)
        parts = spread.parts(trials)
        program = way.program(inputs(parts[0]))
        while len(parts[0]) > 1 and (fits := self._fitting(program, len(parts[0]), spread)) < len(parts[0]):
            spread = dataclasses.replace(spread, width=fits)
            parts = spread.parts(trials)
            program = way.program(inputs(parts[0]))
        return spread

    def _training(self, horizons: np.ndarray, weights: Any) -> Training:
        static = None
        if self.rule.static_horizon:
            if len(set(horizons.tolist())) > 1:
                raise ValueError(
                    f"{self.workload.name}: this optimizer decides in Python on its horizon, so all trials of a run "
                    f"need the same one, not {sorted(set(horizons.tolist()))}"
                )
            static = int(horizons[0])
        own = [np.ndim(leaf) for leaf in jax.tree.leaves(self.rule.weights)]
        given = [np.ndim(leaf) for leaf in jax.tree.leaves(weights)]
        per_trial = bool(own) and given == [axes + 1 for axes in own]
        if given != own and not per_trial:
            raise ValueError(
                f"{self.workload.name}: weights have leaves of {given} axes; the optimizer's own have {own}, each one "
                "more with a leading axis of trials"
            )
        return Training(
            self.workload, self.rule, self.total_steps, self.eval_period, self.shared_batches, self.evaluation,
            self.constrained, static, per_trial, devices_per_trial=self.devices_per_trial,
        )  # fmt: skip

    def _way(self, training: Training, checkpoint: Path | None = None) -> Whole | Stepwise:
        whole = self._in_program and checkpoint is None
        return Whole(training, self._compile) if whole else Stepwise(training, self._compile, checkpoint)

    @property
    def call_by_call(self) -> bool:
        """Whether trainings are several programs anyway, so that checkpoints between them cost little."""
        return not self._in_program

    @property
    def _in_program(self) -> bool:
        return not reads_on_host(self.workload) and _evaluation.in_program(self.workload)

    def _compile(self, *what: Any) -> _programs.Program:
        """`_programs.program`, remembered."""
        learned = bool(jax.tree.leaves(self.rule.weights))
        program, compiled = _programs.program(*what, many_loops=learned)
        self._programs[id(program)] = program  # programs live as long as somebody holds them
        if compiled:
            self._compiled.append(program)
        return program

    def _check_devices(self) -> None:
        """Accepts a number of devices per trial.

        Raises:
          ValueError: they are not there, or a batch cannot be cut over them.
        """
        each, there, size = self.devices_per_trial, len(jax.local_devices()), self.workload.batch_size
        if each < 1 or there % each:
            raise ValueError(
                f"{self.workload.name}: devices_per_trial is {each}; this process has {there} devices, and "
                "that must be a multiple of it"
            )
        if each > 1:
            split = self.workload.eval_splits["train"]
            shapes = self.workload.data.shapes(split, size)
            uneven = [
                leaf.shape for leaf in jax.tree.leaves(shapes) if not leaf.shape or leaf.shape[0] % each
            ]
            if uneven or not jax.tree.leaves(shapes):
                raise ValueError(
                    f"{self.workload.name}: a batch of {size} examples cannot be cut over {each} devices"
                    + (f": it has an array of shape {uneven[0]}" if uneven else ": it has no arrays")
                )

    def _fitting(self, program: _programs.Program, width: int, spread: _spread.Spread) -> int:
        """How many trials per program fit into memory, given what a program of `width` takes."""
        limit = self.memory or _memory.available()
        return _memory.fitting(program.call, width, limit // spread.side_by_side)


def _joined(parts: Sequence[Mapping[str, np.ndarray]], sizes: Sequence[int], trials: int) -> dict[str, Any]:
    """Metrics of all parts, one behind the other. A part whose trials have all diverged may lack some: NaN."""
    evaluations = next(iter(parts[0].values())).shape[1]
    nothing = [np.full((size, evaluations), np.nan, np.float32) for size in sizes]
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: np.concatenate([part.get(name, none) for part, none in zip(parts, nothing, strict=True)])[
            :trials
        ]
        for name in names
    }


def stack(points: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Turns points with equal names into arrays [trial], in the order given.

    Raises:
      ValueError: the points do not have the same hyperparameters.
    """
    names = set(points[0])
    for i, point in enumerate(points):
        if set(point) != names:
            raise ValueError(
                f"points 0 and {i} have different hyperparameters: {sorted(names ^ set(point))} are not in both"
            )
    return {name: np.array([point[name] for point in points], np.float64) for name in sorted(names)}
