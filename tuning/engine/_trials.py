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
      constants: of the workload; with a leading axis [trial] where `Training.constants_per_trial`.
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
      functions: of the workload, its constants bound; of no use where every trial has its own.
      axes: of the trials in a `State`.
      batch_keys: typed keys, [1] where trials share batches, else [trial].
    """

    def __init__(self, training: Training, inputs: Inputs) -> None:
        self._training, self._inputs = training, inputs
        self.functions = functions_of(training.workload, inputs.constants)
        # Functions are bound under vmap where every trial has constants of its own.
        self._of_constants = 0 if training.constants_per_trial else None
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
        of_one = (_first(inputs.constants, self._of_constants), _first(inputs.weights, of_weights))
        first = _first((self._optimizer, self._init_keys, self._noise_keys, inputs.horizon), 0)
        made = jax.eval_shape(self._start, *of_one, *first)
        params, model_state, optimizer = trial_axes(made, training.shared_batches)
        self.axes = State(params, model_state, optimizer, 0)  # type: ignore[arg-type]

    def start(self) -> State:
        """Freshly initialised trials."""
        started = jax.vmap(self._start, (self._of_constants, *self._mapped, 0, 0, 0), out_axes=self.axes[:3])(
            self._inputs.constants,
            self._inputs.weights,
            self._optimizer,
            self._init_keys,
            self._noise_keys,
            self._inputs.horizon,
        )
        return State(*started, jnp.full(self._count, -1, jnp.int32))

    def step(
        self, state: State, batch: Batch, number: jax.Array, ask: Callable[[jax.Array], Batch] | None = None
    ) -> State:
        """One update of all trials.

        Args:
          state, batch, number: see `advance`.
          ask: number -> a validation batch, laid out as `batch`, for optimizers that ask for validation losses; None
            where somebody else gives them to `asked`.
        """
        state, _ = self.advance(state, batch, number)
        period = self._training.rule.validation_period
        if period is None or ask is None:
            return state
        return jax.lax.cond(
            (number + 1) % period == 0, lambda: self.asked(state, ask(number), number), lambda: state
        )

    def advance(self, state: State, batch: Batch, number: jax.Array) -> tuple[State, jax.Array]:
        """One update of all trials, and their losses before it, [trial].

        Args:
          state: of the trials.
          batch: [example, ...] where trials share it, else [trial, example, ...].
          number: of the step, from 0; [trial] where trials have begun at different times.
        """
        axes, of_number = self.axes, 0 if jnp.ndim(number) else None
        batch = _batch_axis.spread(self._training, batch)
        # Gradients are mapped apart from the update, so that they come in the layout of the parameters.
        gradients = jax.vmap(
            self._gradient,
            in_axes=(self._of_constants, axes.params, axes.model_state, self._of_batch, 0, 0, of_number),
            out_axes=((0, axes.model_state), axes.params),
        )
        update_all = jax.vmap(
            self._update,
            (*self._mapped, axes.params, axes.params, axes.optimizer, 0, 0, of_number),
            (axes.params, axes.optimizer),
        )
        (loss, model_state), grads = gradients(
            self._inputs.constants, state.params, state.model_state, batch, self._noise_keys, self._regularization,
            number,
        )  # fmt: skip
        params, optimizer = update_all(
            self._inputs.weights, self._optimizer, grads, state.params, state.optimizer, loss, self._noise_keys, number
        )  # fmt: skip
        # A trial that has diverged goes on, on numbers that nobody reads: trials do not touch each other, and
        # holding it still would cost all of them a selection per parameter and step.
        now = (state.diverged_step < 0) & ~jnp.isfinite(loss)
        return State(params, model_state, optimizer, jnp.where(now, number, state.diverged_step)), loss

    def asked(self, state: State, batch: Batch, number: jax.Array) -> State:
        """The state after the optimizer has been told its validation loss on a batch."""
        return self.observed(state, {"validation/loss": self.losses(state, batch, number, VALIDATION_STREAM)})

    def losses(self, state: State, batch: Batch, number: jax.Array, stream: int) -> jax.Array:
        """The losses on a batch of the parameters as they are, [trial], without dropout or label smoothing.

        Args:
          state, batch, number: see `advance`.
          stream: sets the random numbers of the model apart from those for other purposes.
        """
        axes = self.axes

        def loss(constants, params, model_state, batch, key, number):
            key = jax.random.fold_in(jax.random.fold_in(key, stream), number)
            functions = functions_of(self._training.workload, constants)
            return functions.loss(params, model_state, batch, key, False, Regularization())[0]

        mapped = (
            self._of_constants,
            axes.params,
            axes.model_state,
            self._of_batch,
            0,
            0 if jnp.ndim(number) else None,
        )
        return jax.vmap(loss, mapped)(
            self._inputs.constants, state.params, state.model_state, batch, self._noise_keys, number
        )

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

    def _start(self, constants, weights, hyperparameters, init_key, noise_key, horizon):
        params, model_state = functions_of(self._training.workload, constants).init(init_key)
        key = jax.random.fold_in(noise_key, OPTIMIZER_STREAM)
        horizon = horizon if self._training.horizon is None else self._training.horizon
        return params, model_state, self._training.rule.init(weights, hyperparameters, params, key, horizon)

    def _gradient(self, constants, params, model_state, batch, key, regularization, number):
        key = jax.random.fold_in(key, number)
        functions = functions_of(self._training.workload, constants)
        with for_populations():
            return jax.value_and_grad(functions.loss, has_aux=True)(
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


def _first(tree: Any, axis: int | None) -> Any:
    """Of the first trial; where the axis is None, all trials have the same."""
    return tree if axis is None else jax.tree.map(lambda x: x[0], tree)


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
