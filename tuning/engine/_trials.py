"""The trials of one program as functions of their state: how they start, take a step, and what is evaluated.

Everything here is traced. Per step there is one pass for the gradients and one for the update of all trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from submissions import Seen
from tuning.engine import _batch_axis
from tuning.engine._layout import trial_axes
from tuning.engine._training import Training
from workloads import Batch, Functions, Regularization, Workload
from workloads.products import for_populations

REGULARIZATION = Regularization._fields
# Set random numbers for one purpose apart from those for another; steps count from 0 and never get here.
OPTIMIZER_STREAM, VALIDATION_STREAM = 0xFFFFFFFD, 0xFFFFFFFE


class Keys(NamedTuple):
    """Where the randomness of trials begins: words of random keys, uint32 [..., 2].

    Attributes:
      init: [trial], of the initial parameters.
      noise: [trial], of dropout, of what else is random in a model, and of the optimizer.
      batches: [1] where trials share batches, else [trial]: of the order of examples, and of what is random in them.
    """

    init: jax.Array
    noise: jax.Array
    batches: jax.Array


class Inputs(NamedTuple):
    """The arrays of a population: everything that may differ between two runs of one program.

    Attributes:
      weights: of the optimizer; a tree, with a leading axis [trial] where `Training.weights_per_trial`.
      hyperparameters: name -> [trial]; the optimizer's, and those of `Regularization`.
      horizon: int32 [trial], steps after which schedules end.
      keys: where randomness begins.
      constants: of the workload.
      data: split -> field -> [example, ...]; no fields where nothing is stored.
    """

    weights: Any
    hyperparameters: Mapping[str, jax.Array]
    horizon: jax.Array
    keys: Keys
    constants: Mapping[str, jax.Array]
    data: Mapping[str, Mapping[str, jax.Array]]


class State(NamedTuple):
    """What trials carry from step to step. The axis of trials stands where `Trials.axes` says.

    Attributes:
      params: of the model.
      model_state: of the model, such as moving averages; () where there is none.
      optimizer: state of the optimizer.
      diverged_step: int32 [trial], the first step whose loss was not finite, -1 while there is none.
    """

    params: Any
    model_state: Any
    optimizer: Any
    diverged_step: jax.Array


class Trials:
    """The trials of one program, traced: how they start, take a step, and what is evaluated of them.

    Attributes:
      functions: of the workload, its constants bound.
      axes: of the trials in a `State`.
      batch_keys: typed keys, [1] where trials share batches, else [trial].
    """

    def __init__(self, training: Training, inputs: Inputs) -> None:
        self._training, self._inputs = training, inputs
        self.functions = functions_of(training.workload, inputs.constants)
        typed = jax.random.wrap_key_data
        self._init_keys, self._noise_keys = typed(inputs.keys.init), typed(inputs.keys.noise)
        self.batch_keys = typed(inputs.keys.batches)
        self._count = self._init_keys.shape[0]
        self._optimizer = {k: v for k, v in inputs.hyperparameters.items() if k not in REGULARIZATION}
        self._regularization = Regularization(
            *(inputs.hyperparameters.get(name, jnp.zeros(self._count)) for name in REGULARIZATION)
        )
        of_weights = 0 if training.weights_per_trial else None
        self._mapped = (of_weights, 0)  # axes of weights and hyperparameters
        first = jax.tree.map(
            lambda x: x[0], (self._optimizer, self._init_keys, self._noise_keys, inputs.horizon)
        )
        weights = jax.tree.map(lambda x: x[0], inputs.weights) if of_weights == 0 else inputs.weights
        made = jax.eval_shape(self._start, weights, *first)
        params, model_state, optimizer = trial_axes(made, training.shared_batches)
        self.axes = State(params, model_state, optimizer, 0)  # type: ignore[arg-type]

    def start(self) -> State:
        """Freshly initialised trials."""
        started = jax.vmap(self._start, (*self._mapped, 0, 0, 0), out_axes=self.axes[:3])(
            self._inputs.weights, self._optimizer, self._init_keys, self._noise_keys, self._inputs.horizon
        )
        return State(*started, jnp.full(self._count, -1, jnp.int32))

    def step(
        self, state: State, batch: Batch, number: jax.Array, ask: Callable[[jax.Array], Batch] | None = None
    ) -> State:
        """One update of all trials.

        Args:
          state: of the trials.
          batch: [example, ...] where trials share it, else [trial, example, ...].
          number: of the step, from 0.
          ask: number -> a validation batch, laid out as `batch`, for optimizers that ask for validation losses; None
            where somebody else gives them to `asked`.
        """
        axes, batch = self.axes, _batch_axis.spread(self._training, batch)
        # Gradients are mapped apart from the update, so that they come in the layout of the parameters.
        gradients = jax.vmap(
            self._gradient,
            in_axes=(axes.params, axes.model_state, self._of_batch, 0, 0, None),
            out_axes=((0, axes.model_state), axes.params),
        )
        update_all = jax.vmap(
            self._update,
            (*self._mapped, axes.params, axes.params, axes.optimizer, 0, 0, None),
            (axes.params, axes.optimizer),
        )
        (loss, model_state), grads = gradients(
            state.params, state.model_state, batch, self._noise_keys, self._regularization, number
        )
        params, optimizer = update_all(
            self._inputs.weights, self._optimizer, grads, state.params, state.optimizer, loss, self._noise_keys, number
        )  # fmt: skip
        # A trial that has diverged goes on, on numbers that nobody reads: trials do not touch each other, and
        # holding it still would cost all of them a selection per parameter and step.
        now = (state.diverged_step < 0) & ~jnp.isfinite(loss)
        state = State(params, model_state, optimizer, jnp.where(now, number, state.diverged_step))
        period = self._training.rule.validation_period
        if period is None or ask is None:
            return state
        return jax.lax.cond(
            (number + 1) % period == 0, lambda: self.asked(state, ask(number), number), lambda: state
        )

    def asked(self, state: State, batch: Batch, number: jax.Array) -> State:
        """The state after the optimizer has been told its validation loss on a batch."""
        axes = self.axes

        def loss(params, model_state, batch, key):
            key = jax.random.fold_in(jax.random.fold_in(key, VALIDATION_STREAM), number)
            return self.functions.loss(params, model_state, batch, key, False, Regularization())[0]

        losses = jax.vmap(loss, (axes.params, axes.model_state, self._of_batch, 0))(
            state.params, state.model_state, batch, self._noise_keys
        )
        return self.observed(state, {"validation/loss": losses})

    def observed(self, state: State, metrics: Mapping[str, jax.Array]) -> State:
        """The state after the optimizer has seen metrics, name -> [trial]."""
        observe = self._training.rule.observe
        if observe is None:
            return state
        optimizer = jax.vmap(observe, (self.axes.optimizer, 0), self.axes.optimizer)(
            state.optimizer, dict(metrics)
        )
        return state._replace(optimizer=optimizer)

    def recommended(self, state: State) -> Any:
        """The parameters that are evaluated."""
        evaluated = self._training.rule.evaluated
        if evaluated is None:
            return state.params
        axes = self.axes
        return jax.vmap(evaluated, (axes.optimizer, axes.params), axes.params)(state.optimizer, state.params)

    @property
    def _of_batch(self) -> int | None:
        return None if self._training.shared_batches else 0

    def _start(self, weights, hyperparameters, init_key, noise_key, horizon):
        params, model_state = self.functions.init(init_key)
        key = jax.random.fold_in(noise_key, OPTIMIZER_STREAM)
        horizon = horizon if self._training.horizon is None else self._training.horizon
        return params, model_state, self._training.rule.init(weights, hyperparameters, params, key, horizon)

    def _gradient(self, params, model_state, batch, key, regularization, number):
        key = jax.random.fold_in(key, number)
        with for_populations():
            return jax.value_and_grad(self.functions.loss, has_aux=True)(
                params, model_state, batch, key, True, regularization
            )

    def _update(self, weights, hyperparameters, grads, params, state, loss, key, number):
        training = self._training
        key = jax.random.fold_in(jax.random.fold_in(key, OPTIMIZER_STREAM), number)
        updates, state = training.rule.update(
            weights, hyperparameters, grads, state, params, Seen(loss, number, key)
        )
        params = optax.apply_updates(params, updates)
        if training.constrained and training.workload.constraint:
            params = training.workload.constraint(params)
        return params, state


def functions_of(workload: Workload, constants: Mapping[str, jax.Array]) -> Functions:
    """The functions of a workload, with its constants bound where it shares a program."""
    if workload.shared is not None:
        return workload.shared.bind(constants)
    return Functions(workload.init, workload.loss, workload.metrics)


@jax.jit
def keys_of_seeds(init_seeds: jax.Array, batch_seeds: jax.Array) -> Keys:
    """Keys from seeds, uint32 [trial] and [1 or trial]: of the first come initialisation and noise, split in two."""
    init, noise = jax.vmap(lambda seed: tuple(jax.random.split(jax.random.key(seed))))(init_seeds)
    data = jax.random.key_data
    return Keys(data(init), data(noise), data(jax.vmap(jax.random.key)(batch_seeds)))
