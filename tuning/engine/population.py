"""The population engine: many trials of one workload in as few programs as serve them best.

Hyperparameters, seeds, batches and a workload's own constants are arrays, so a new point never compiles anything, nor
does another task of the same structure; only another number of trials per program does. A trial that diverges is
recorded, and costs the others nothing.

How trials are spread follows from the machine (`tuning.engine._lanes`): over all devices where there are several; on a
CPU over programs side by side, one per core, because small models leave a second core idle; and in turns where they do
not fit into memory together. None of it changes a number by more than the order of sums.

Data that live on the device make one program of a whole training. Streamed data are fed to smaller ones
(`tuning.engine._streaming`), on one device and in turns: the host that makes batches is their bottleneck.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from submissions import Rule
from tuning.engine import _lanes, _memory, _programs, _resident
from tuning.engine._evaluation import Evaluation
from tuning.engine._streaming import StreamedWay
from tuning.engine._training import ResidentWay, Training
from workloads import StreamedData, Workload

__all__ = ["Curves", "Evaluation", "Population", "stack", "trial_seed"]

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
      rule: what an optimizer's `rule` is, or `submissions.from_optax` makes of an Optax transformation.
      total_steps: where schedules end; training stops at the last evaluation that fits.
      eval_period: steps between evaluations.
      shared_batches: all trials of a run see the same batches (one large product of the first layer); otherwise
        every trial has an order of its own.
      evaluation: on what, and whether before the first step.
      constrained: apply the workload's constraint, if it has one, after every update.
      width: at most so many trials form one program; by default what serves the workload's family best.
      side_by_side: programs run at a time, each on a thread of its own; by default as many as serve the family best.
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
        if isinstance(self.workload.data, StreamedData) and self.evaluation.batches is not None:
            raise ValueError(
                f"{self.workload.name}: its data are streamed and evaluated on whole splits; leave out the "
                f"{self.evaluation.batches} random batches"
            )
        copies = (_resident.constants(self.workload), _resident.splits(self.workload))
        object.__setattr__(self, "_copies", copies)

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
        self, hyperparameters: Mapping[str, np.ndarray], init_seeds: np.ndarray, batch_seeds: np.ndarray
    ) -> Curves:
        """Trains all trials from start to end.

        Args:
          hyperparameters: name -> [trial]; the optimizer's, and those of `Regularization`.
          init_seeds: [trial] uint32, for initialisation and dropout.
          batch_seeds: uint32, for the order of examples: [1] with shared batches, else [trial].

        Returns:
          Curves on the host, as float32.
        """
        trials = len(init_seeds)
        expected = (1,) if self.shared_batches else (trials,)
        if batch_seeds.shape != expected:
            raise ValueError(f"batch_seeds has shape {batch_seeds.shape}; expected {expected}")
        arrays = {name: np.asarray(values, np.float32) for name, values in hyperparameters.items()}

        def inputs(rows: np.ndarray) -> tuple[Any, ...]:
            seeds = batch_seeds if self.shared_batches else batch_seeds[rows]
            chosen = {name: jnp.asarray(values[rows]) for name, values in arrays.items()}
            resident = jax.tree.map(lambda copy: copy.device, self._copies)
            return chosen, jnp.uint32(init_seeds[rows]), jnp.uint32(seeds), *resident

        lane = _lanes.lane(self.workload.family, self.width, self.side_by_side)
        if isinstance(self.workload.data, StreamedData):
            lane = dataclasses.replace(lane, side_by_side=1, devices=1)
        way = self._way()
        parts = lane.parts(trials)
        program = way.program(inputs(parts[0]))
        while len(parts[0]) > 1 and (fits := self._fitting(program, len(parts[0]), lane)) < len(parts[0]):
            lane = dataclasses.replace(lane, width=fits)
            parts = lane.parts(trials)
            program = way.program(inputs(parts[0]))
        with ThreadPoolExecutor(lane.side_by_side) as pool:
            made = list(pool.map(lambda rows: way.run(inputs(rows)), parts))
        return Curves(
            global_step=made[0][0],
            metrics={
                name: np.concatenate([metrics[name] for _, metrics, _ in made])[:trials]
                for name in made[0][1]
            },
            diverged_step=np.concatenate([diverged for *_, diverged in made])[:trials],
        )

    def _way(self) -> ResidentWay | StreamedWay:
        training = Training(
            self.workload, self.rule, self.total_steps, self.eval_period, self.shared_batches, self.evaluation,
            self.constrained,
        )  # fmt: skip
        if isinstance(self.workload.data, StreamedData):
            return StreamedWay(training, self._compile)
        return ResidentWay(training, self._compile)

    def _compile(self, *what: Any) -> _programs.Program:
        """`_programs.program`, remembered."""
        program, compiled = _programs.program(*what)
        self._programs[id(program)] = program  # programs live as long as somebody holds them
        if compiled:
            self._compiled.append(program)
        return program

    def _fitting(self, program: _programs.Program, width: int, lane: _lanes.Lane) -> int:
        """How many trials per program fit into memory, given what a program of `width` takes."""
        limit = self.memory or _memory.available()
        return _memory.fitting(program.call, width, limit // lane.side_by_side)


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
