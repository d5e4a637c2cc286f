"""One estimate of a gradient as one program, from the perturbations to the mean over tasks.

Weights, seeds, bounds of lengths, scales, a workload's constants and its data are inputs: another estimate compiles
nothing, nor does another workload of the same structure. Estimates of several tasks at a time are made of parts, which
run side by side.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tuning.engine import _programs
from tuning.meta_training import _unroll, estimators
from tuning.meta_training._unroll import Step, Tasks, Unroll, World
from tuning.meta_training.estimators import (
    Estimate,
    FullES,
    FullGradient,
    PersistentES,
    TruncatedES,
    TruncatedGradient,
    Window,
)

_XI, _BEGIN, _STEPS, _AGAIN = range(4)  # purposes of an estimate's key


class Carried(NamedTuple):
    """What an estimator keeps between two estimates; of one that trains whole tasks, nothing.

    Attributes:
      tasks: under way.
      accumulated: perturbations of PES, [task, ...]; () of others.
    """

    tasks: Tasks
    accumulated: Any


class Made(NamedTuple):
    """What an estimate gives: it, what is carried on, and how many training steps were taken, of either sign."""

    estimate: Estimate
    carried: Carried | None
    steps: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """The programs of one estimator on tasks of one structure.

    Attributes:
      estimator: which.
      unroll: of the tasks.
      compiled: those that were compiled for it, and not for another before.
    """

    estimator: estimators.Estimator
    unroll: Unroll
    compiled: list[_programs.Program] = dataclasses.field(default_factory=list)
    _held: dict[int, _programs.Program] = dataclasses.field(
        default_factory=dict
    )  # programs live while somebody holds them

    def begin(self, weights: Any, world: World, seed: int, offset: int) -> Carried | None:
        """What is carried before the first estimate."""
        if isinstance(self.estimator, FullES | FullGradient):
            return None
        arguments = (weights, world, np.uint32(seed), np.int32(offset))
        return self._program("begin", self._begin, arguments).call(*arguments)

    def carried_like(self, weights: Any, world: World) -> Any:
        """Shapes of what is carried of tasks of windows; nothing is compiled."""
        return jax.eval_shape(self._begin, weights, world, np.uint32(0), np.int32(0))

    def estimate(self, weights: Any, world: World, seed: int, length: int, carried: Carried | None) -> Made:
        """An estimate by the weights; what was carried is used up.

        Args:
          weights: of the optimizer.
          world: of arrays.
          seed: of the perturbations and everything that is random in the steps.
          length: of whole trainings; of no meaning for windows.
          carried: from the estimate before.
        """
        if isinstance(self.estimator, FullGradient):  # reverse mode needs to know how many steps there are
            arguments = (weights, world, np.uint32(seed))
            of_length = lambda *given: self._full_gradient(length, *given)  # noqa: E731
            return self._program(("full gradient", length), of_length, arguments).call(*arguments)
        if isinstance(self.estimator, FullES):
            arguments = (weights, world, np.uint32(seed), np.int32(length))
            return self._program("full", self._full, arguments).call(*arguments)
        arguments = (weights, world, np.uint32(seed), carried)
        return self._program("window", self._window, arguments, donate=(3,)).call(*arguments)

    def _program(
        self, what: Any, function: Callable[..., Any], arguments: Any, donate: tuple[int, ...] = ()
    ) -> Any:
        arguments = jax.tree.map(jnp.asarray, arguments)
        key = ("meta-training", what, self.estimator, self.unroll.key())
        made, compiled = _programs.program(key, function, arguments, donate, many_loops=True)
        self._held[id(made)] = made
        if compiled:
            self.compiled.append(made)
        return made

    def _begin(self, weights: Any, world: World, seed: jax.Array, offset: jax.Array) -> Carried:
        key = jax.random.fold_in(jax.random.key(seed), _BEGIN)
        count = len(world.tasks)
        if self.unroll.signs == 2:
            weights = jax.tree.map(lambda x: jnp.broadcast_to(x, (2 * count, *jnp.shape(x))), weights)
        tasks = self.unroll.begin(weights, world, key, offset=offset)
        zeros = ()
        if isinstance(self.estimator, PersistentES):
            zeros = jax.tree.map(lambda x: jnp.zeros((count, *x.shape[1:]), x.dtype), weights)
        return Carried(tasks, zeros)

    def _window(self, weights: Any, world: World, seed: jax.Array, carried: Carried) -> Made:
        key = jax.random.key(seed)
        if isinstance(self.estimator, TruncatedGradient):
            return windowed_gradient(self.unroll, self.estimator, weights, world, key, carried)
        assert isinstance(self.estimator, TruncatedES | PersistentES)
        xi = perturbations(weights, jax.random.fold_in(key, _XI), self.estimator.std, world.tasks)
        return windowed(self.unroll, self.estimator, weights, xi, world, key, carried)

    def _full(self, weights: Any, world: World, seed: jax.Array, length: jax.Array) -> Made:
        assert isinstance(self.estimator, FullES)
        key = jax.random.key(seed)
        xi = perturbations(weights, jax.random.fold_in(key, _XI), self.estimator.std, world.tasks)
        return full(self.unroll, self.estimator, weights, xi, world, key, length)

    def _full_gradient(self, length: int, weights: Any, world: World, seed: jax.Array) -> Made:
        assert isinstance(self.estimator, FullGradient)
        return full_gradient(self.unroll, self.estimator, weights, world, jax.random.key(seed), length)


def perturbations(weights: Any, key: jax.Array, std: float, tasks: jax.Array) -> Any:
    """xi ~ N(0, std^2) for every task, [task, ...]. Each task's follow from its number alone."""

    def of_task(number: jax.Array) -> Any:
        leaves, structure = jax.tree.flatten(weights)
        keys = jax.random.split(jax.random.fold_in(key, number), len(leaves))
        drawn = [
            jax.random.normal(k, jnp.shape(x), jnp.float32) * std for k, x in zip(keys, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, drawn)

    return jax.vmap(of_task)(tasks)


def perturbed(weights: Any, xi: Any) -> Any:
    """theta + xi of all tasks and, behind them, theta - xi."""
    return jax.tree.map(lambda x, e: jnp.concatenate([x + e, x - e]), weights, xi)


def windowed(
    unroll: Unroll,
    estimator: TruncatedES | PersistentES,
    weights: Any,
    xi: Any,
    world: World,
    key: jax.Array,
    carried: Carried,
    batches: Any = None,
) -> Made:
    """An estimate from the next window. Traced.

    Args:
      unroll: of the tasks.
      estimator: which.
      weights, xi: of the optimizer, and their perturbations.
      world: of arrays.
      key: of the steps.
      carried: before the window.
      batches: see `Unroll.step`, with a leading axis of steps; None: drawn.
    """
    both = perturbed(weights, xi)
    tasks, steps = _scan(unroll, both, world, key, carried.tasks, estimator.window, batches)
    count = len(world.tasks)
    window = Window(steps.losses[:, :count], steps.losses[:, count:], steps.mask, steps.done)
    taken = 2 * steps.mask.sum()
    if isinstance(estimator, PersistentES):
        estimate, accumulated = estimators.persistent(
            window, xi, carried.accumulated, estimator.std, estimator.sign, estimator.exact_resets
        )
        return Made(estimate, Carried(tasks, accumulated), taken)
    estimate = estimators.truncated(window, xi, estimator.std, estimator.sign)
    axes = unroll.axes_of(both, world)
    return Made(estimate, Carried(tasks._replace(state=_unroll.first_half(tasks.state, axes)), ()), taken)


def full(
    unroll: Unroll,
    estimator: FullES,
    weights: Any,
    xi: Any,
    world: World,
    key: jax.Array,
    length: jax.Array,
    batches: Any = None,
    again: Any = None,
) -> Made:
    """An estimate from whole trainings, whose number of steps is an input. Traced.

    Args:
      unroll, estimator, weights, xi, world, key: see `windowed`.
      length: of all tasks.
      batches: (step -> batches as of `Unroll.step`); None: drawn.
      again: the batches of last_recompute, with a leading axis; None: drawn.
    """
    both = perturbed(weights, xi)
    tasks = unroll.begin(both, world, jax.random.fold_in(key, _BEGIN), length)
    key_of_steps = jax.random.fold_in(key, _STEPS)
    total = jnp.zeros(2 * len(world.tasks))

    def step(number: jax.Array, carried: Any) -> Any:
        tasks, total, least, _ = carried
        given = None if batches is None else batches(number)
        key = jax.random.fold_in(key_of_steps, number)
        tasks, of_step = unroll.step(both, world, tasks, key, given, resets=False)
        return tasks, total + of_step.losses, jnp.minimum(least, of_step.losses), of_step.losses

    began = (tasks, total, total + jnp.inf, total)
    tasks, total, least, last = jax.lax.fori_loop(0, length, step, began)
    if estimator.loss == "last_recompute":
        key_again = jax.random.fold_in(key, _AGAIN)
        losses = unroll.recomputed(both, world, tasks, key_again, estimator.recompute_batches, "train", again)
    else:
        losses = {"avg": total / length, "min": least, "last": last}[estimator.loss]
    plus, minus = jnp.split(losses, 2)
    estimate = estimators.full_length(plus, minus, xi, estimator.std, estimator.sign, estimator.clip)
    return Made(estimate, None, length * 2 * len(world.tasks))


def windowed_gradient(
    unroll: Unroll,
    estimator: TruncatedGradient,
    weights: Any,
    world: World,
    key: jax.Array,
    carried: Carried,
    batches: Any = None,
) -> Made:
    """The gradient through the next window. Traced. Arguments as of `windowed`."""

    def loss(weights: Any) -> Any:
        tasks, steps = _scan(unroll, weights, world, key, carried.tasks, estimator.window, batches)
        of_tasks = (steps.losses * steps.mask).sum(0) / steps.mask.sum(0)
        return of_tasks.mean(), (tasks, steps)

    (mean, (tasks, steps)), gradient = jax.value_and_grad(loss, has_aux=True)(weights)
    return Made(Estimate(gradient, mean), Carried(tasks, ()), steps.mask.sum())


def full_gradient(
    unroll: Unroll,
    estimator: FullGradient,
    weights: Any,
    world: World,
    key: jax.Array,
    length: int,
    batches: Any = None,
) -> Made:
    """The gradient through whole trainings. Traced. Of each step only the state before it is kept, not what is inside.

    Arguments as of `windowed`; `length` is Python's.
    """

    def loss(weights: Any) -> Any:
        tasks = unroll.begin(weights, world, jax.random.fold_in(key, _BEGIN), length)
        _, steps = _scan(unroll, weights, world, key, tasks, length, batches, resets=False, remat=True)
        return steps.losses.mean() if estimator.loss == "avg" else steps.losses[-1].mean()

    mean, gradient = jax.value_and_grad(loss)(weights)
    return Made(Estimate(gradient, mean), None, jnp.int32(length * len(world.tasks)))


def _scan(
    unroll: Unroll,
    weights: Any,
    world: World,
    key: jax.Array,
    tasks: Tasks,
    steps: int,
    batches: Any,
    resets: bool = True,
    remat: bool = False,
) -> tuple[Tasks, Step]:
    key = jax.random.fold_in(key, _STEPS)

    def step(tasks: Tasks, number_and_batches: Any) -> tuple[Tasks, Step]:
        number, given = number_and_batches
        return unroll.step(weights, world, tasks, jax.random.fold_in(key, number), given, resets)

    numbers = jnp.arange(steps, dtype=jnp.int32)
    return jax.lax.scan(jax.checkpoint(step) if remat else step, tasks, (numbers, batches))
