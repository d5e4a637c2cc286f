"""Tasks that are trained step by step, and reset where they end: what estimators are computed of. All traced.

A step is the engine's own (`tuning.engine._trials.Trials`): the trials of its program are the tasks, once for theta +
xi and, behind them, once for theta - xi, whose weights have a leading axis of trials. What the engine's `Population`
does not do is that each trial counts its own steps and begins anew inside a program. That is here, on the same trials,
which take a step number each. The reset is computed only in steps in which a task begins: under `vmap` alone it would
be computed in every one.

Batches are drawn uniformly, with replacement, at every step: no position in an epoch has to be kept, and tasks that
begin at different times need nothing of their own. Where tasks share their batches, the first layer of all of them is
one product, see `tuning.engine.population`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from submissions import Rule
from tuning.engine._training import Training
from tuning.engine._trials import Inputs, Keys, State, Trials
from tuning.engine.population import WHOLE_SPLITS
from tuning.meta_training.distribution import Task
from workloads.spelling import did_you_mean

TRAINING_LOSS, SAME_BATCH = "training", "same-batch"
# Random numbers of a step for one purpose, apart from those for another.
_BATCH, _META_BATCH, _TASK, _ASKED = range(4)
META_LOSS_STREAM = 0xFFFFFFFC


class Tasks(NamedTuple):
    """Trainings under way.

    Attributes:
      state: of the engine's trials; [task] with theta + xi, and [task] with theta - xi behind them.
      number: int32 [task], steps that the present task has taken.
      length: int32 [task], steps after which it ends.
      done: [task], whether it has ended; the next step begins another instead.
      noise: uint32 [task, 2], key of what is random in its training.
      constants: of the workload, [task, ...]; {} where all tasks have the same.
    """

    state: State
    number: jax.Array
    length: jax.Array
    done: jax.Array
    noise: jax.Array
    constants: Mapping[str, jax.Array]


class World(NamedTuple):
    """The arrays that tasks are made of; none of them compiles anything.

    Attributes:
      bounds: int32 [2], of lengths.
      scale: of losses, see `Normaliser`: float32 [2], divisor and cap.
      constants: of the workload; {} where it shares no program.
      data: split -> field -> [example, ...].
      tasks: int32 [task], numbers that set the tasks' random numbers apart.
    """

    bounds: jax.Array
    scale: jax.Array
    constants: Mapping[str, jax.Array]
    data: Mapping[str, Mapping[str, jax.Array]]
    tasks: jax.Array


class Step(NamedTuple):
    """What a step gives: losses [sign * task], and of each task whether it was trained, ended, and its steps."""

    losses: jax.Array
    mask: jax.Array
    done: jax.Array
    number: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Unroll:
    """Tasks of one structure, but for their arrays.

    Attributes:
      task: what they are.
      rule: the optimizer.
      signs: 2 where each task is trained with two perturbed weights, 1 where with the weights as they are.
      shared_batches: all tasks see the same batches.
      meta_loss: training: of each step's batch before its update; same-batch: after it; or a role of the workload's
        splits, such as validation: after it, on a batch of that split.
    """

    task: Task
    rule: Rule
    signs: int
    shared_batches: bool
    meta_loss: str = TRAINING_LOSS

    def __post_init__(self) -> None:
        splits = self.task.workload.eval_splits
        allowed = (TRAINING_LOSS, SAME_BATCH, *splits)
        if self.meta_loss not in allowed:
            raise ValueError(
                f"{self.task.workload.name}: meta-loss {self.meta_loss!r}"
                f"{did_you_mean(self.meta_loss, allowed)}; must be one of {', '.join(allowed)}"
            )

    def key(self) -> Any:
        """Everything that determines a program but what is done with the steps."""
        return (self._training.key(), self.task.sample, self.signs, self.meta_loss)

    def begin(
        self, weights: Any, world: World, key: jax.Array, length: Any = None, offset: Any = None
    ) -> Tasks:
        """Fresh tasks.

        Args:
          weights: of the optimizer, [sign * task, ...] or one set for all.
          world: of arrays.
          key: of their randomness.
          length: of all of them; None: each draws its own.
          offset: tasks begin as if up to so many steps, this one excluded, had been taken, each its own number, so that
            they do not end together; None: at 0. Optimizers count from 0 all the same.
        """
        init, noise, drawn, constants, offsets = self._new(world, key)
        length = drawn if length is None else jnp.full_like(drawn, length)
        state = self._trials(weights, world, init, noise, length, constants).start()
        number = jnp.zeros_like(length)
        if offset is not None:
            draw = lambda key: jax.random.randint(key, (), 0, jnp.maximum(offset, 1))  # noqa: E731
            number = jax.vmap(draw)(offsets).astype(jnp.int32)
        return Tasks(state, number, length, jnp.zeros(length.shape, bool), noise, constants)

    def step(
        self,
        weights: Any,
        world: World,
        tasks: Tasks,
        key: jax.Array,
        batches: tuple[Any, Any] | None = None,
        resets: bool = True,
    ) -> tuple[Tasks, Step]:
        """Trains every task for a step, or begins another in its place.

        Args:
          weights, world: see `begin`.
          tasks: under way.
          key: of the step.
          batches: for training and for the meta-loss, as the engine's trials see them; None: drawn.
          resets: tasks may end; where not, they go on for ever.
        """
        training, meta = batches or (self._batch(world, key, _BATCH, "train"), None)
        trials = self._trials(weights, world, tasks.noise, tasks.noise, tasks.length, tasks.constants)
        number = self._twice(tasks.number)
        state, losses = trials.advance(tasks.state, training, number)
        state = self._asked(trials, world, key, state, number)
        mask, number = ~tasks.done, tasks.number + 1
        noise, constants, length = tasks.noise, tasks.constants, tasks.length
        done = tasks.done
        if resets:
            state, noise, constants = jax.lax.cond(
                done.any(),
                lambda: self._reset(weights, world, tasks, key, (state, noise, constants)),
                lambda: (state, noise, constants),
            )
            number = jnp.where(tasks.done, 0, number)
            done = number >= length
            length = jnp.where(done, self._new(world, key)[2], length)
        if self.meta_loss != TRAINING_LOSS:
            if self.meta_loss == SAME_BATCH:
                meta = training
            elif meta is None:
                meta = self._batch(world, key, _META_BATCH, self.meta_loss)
            trials = self._trials(weights, world, noise, noise, length, constants)
            losses = trials.losses(state, meta, self._twice(number), META_LOSS_STREAM)
        losses = jnp.where(self._twice(mask), normalised(losses, world.scale), 0.0)
        return Tasks(state, number, length, done, noise, constants), Step(losses, mask, done, number)

    def recomputed(
        self,
        weights: Any,
        world: World,
        tasks: Tasks,
        key: jax.Array,
        batches: int,
        role: str,
        given: Any = None,
    ) -> jax.Array:
        """Mean loss [sign * task] on fresh batches of a role's split, or on those given, [batch, ...]."""
        trials = self._trials(weights, world, tasks.noise, tasks.noise, tasks.length, tasks.constants)

        def of_batch(number_and_batch):
            number, batch = number_and_batch
            if given is None:
                batch = self._batch(world, jax.random.fold_in(key, number), _META_BATCH, role)
            return normalised(trials.losses(tasks.state, batch, number, META_LOSS_STREAM), world.scale)

        return jax.lax.map(of_batch, (jnp.arange(batches), given)).mean(0)

    @property
    def axes_of(self) -> Any:
        """(weights, world) -> where the axis of trials stands in a state."""

        def axes(weights: Any, world: World) -> State:
            words = jnp.zeros((len(world.tasks), 2), jnp.uint32)
            constants = self._constants(world, jax.vmap(jax.random.wrap_key_data)(words))
            return self._trials(
                weights, world, words, words, jnp.zeros(len(world.tasks), jnp.int32), constants
            ).axes

        return axes

    @property
    def _training(self) -> Training:
        return Training(
            self.task.workload, self.rule, 1, 1, self.shared_batches, WHOLE_SPLITS, constrained=True,
            weights_per_trial=self.signs == 2, constants_per_trial=self.task.sample is not None,
        )  # fmt: skip

    def _twice(self, of_tasks: Any) -> Any:
        return of_tasks if self.signs == 1 else jax.tree.map(lambda x: jnp.concatenate([x, x]), of_tasks)

    def _trials(
        self, weights: Any, world: World, init: jax.Array, noise: jax.Array, length: jax.Array, constants: Any
    ) -> Trials:
        words = jnp.zeros(
            (1 if self.shared_batches else self.signs * len(length), 2), jnp.uint32
        )  # draws nothing
        keys = Keys(self._twice(init), self._twice(noise), words)
        bound = self._twice(constants) if self.task.sample is not None else world.constants
        return Trials(self._training, Inputs(weights, {}, self._twice(length), keys, bound, world.data))

    def _of_tasks(self, world: World, key: jax.Array, purpose: int) -> jax.Array:
        """A key for every task."""
        key = jax.random.fold_in(key, purpose)
        return jax.vmap(lambda number: jax.random.fold_in(key, number))(world.tasks)

    def _new(self, world: World, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, Any, jax.Array]:
        """What a fresh task has: words for its parameters and its noise, a length, constants, a key for an offset."""
        split = jax.vmap(lambda key: jax.random.split(key, 5))(self._of_tasks(world, key, _TASK))
        words = jax.random.key_data(split)
        low, high = world.bounds.astype(jnp.float32)
        uniform = jax.vmap(jax.random.uniform)(split[:, 2])
        length = jnp.exp(jnp.log(low) + uniform * (jnp.log(high) - jnp.log(low))).astype(jnp.int32)
        length = jnp.clip(
            length, world.bounds[0], world.bounds[1]
        )  # where both are equal, rounding takes nothing away
        return words[:, 0], words[:, 1], length, self._constants(world, split[:, 3]), split[:, 4]

    def _constants(self, world: World, keys: jax.Array) -> Any:
        if self.task.sample is None:
            return {}
        return jax.vmap(self.task.sample, (None, 0))(world.constants, keys)

    def _reset(self, weights: Any, world: World, tasks: Tasks, key: jax.Array, stepped: Any) -> Any:
        """Fresh tasks where they have ended, and the stepped ones elsewhere."""
        state, noise, constants = stepped
        init, new_noise, _, new_constants, _ = self._new(world, key)
        trials = self._trials(weights, world, init, new_noise, tasks.length, new_constants)
        chosen = select(self._twice(tasks.done), trials.start(), state, trials.axes)
        choose = lambda new, old: _where(tasks.done, new, old, 0)  # noqa: E731
        return chosen, choose(new_noise, noise), jax.tree.map(choose, new_constants, constants)

    def _batch(self, world: World, key: jax.Array, purpose: int, role: str) -> Any:
        """A batch of a role's split, [example, ...] where tasks share it, else [sign * task, example, ...]."""
        workload = self.task.workload
        split = workload.eval_splits[role]
        draw = lambda key: workload.data.fresh(world.data[split], key, split, workload.batch_size)  # noqa: E731
        if self.shared_batches:
            return draw(jax.random.fold_in(key, purpose))
        return self._twice(jax.vmap(draw)(self._of_tasks(world, key, purpose)))

    def _asked(self, trials: Trials, world: World, key: jax.Array, state: State, number: jax.Array) -> State:
        """The state after the validation losses that the optimizer asks for, each task in its own step."""
        period = self.rule.validation_period
        if period is None:
            return state
        due = (number + 1) % period == 0

        def asked() -> State:
            told = trials.asked(state, self._batch(world, key, _ASKED, "validation"), number)
            return select(due, told, state, trials.axes)

        return jax.lax.cond(due.any(), asked, lambda: state)


def normalised(losses: jax.Array, scale: jax.Array) -> jax.Array:
    """Losses as they are judged: divided, and what is no number, or above the cap, counts as the cap.

    Args:
      losses: of any shape.
      scale: [2], divisor and cap, see `tuning.meta_training.distribution.scale_of`. Where the divisor is 0, losses stay
        as they are, NaN too.
    """
    divisor, cap = scale
    scaled = losses / jnp.where(divisor == 0, 1.0, divisor)
    return jnp.where(divisor == 0, losses, jnp.minimum(jnp.where(jnp.isfinite(scaled), scaled, cap), cap))


def select(chosen: jax.Array, new: State, old: State, axes: State) -> State:
    """Of each trial the new state where it is chosen, else the old one."""
    return State(
        *jax.tree.map(lambda a, b, axis: _where(chosen, a, b, axis), tuple(new), tuple(old), tuple(axes))
    )


def first_half(state: State, axes: State) -> State:
    """The trials of theta + xi, twice."""

    def twice(x: jax.Array, axis: int) -> jax.Array:
        half = jax.lax.slice_in_dim(x, 0, x.shape[axis] // 2, axis=axis)
        return jnp.concatenate([half, half], axis)

    return State(*jax.tree.map(twice, tuple(state), tuple(axes)))


def _where(chosen: jax.Array, new: jax.Array, old: jax.Array, axis: int) -> jax.Array:
    shape = [1] * old.ndim
    shape[axis] = len(chosen)
    return jnp.where(chosen.reshape(shape), new, old)
