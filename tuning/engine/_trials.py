"""The trials of one program as functions of their state: how they start, take a step, and what is evaluated.

Everything here is traced. Per step there is one pass for the gradients and one for the update of all trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax

from submissions import Seen
from tuning.engine._layout import trial_axes
from workloads import Batch, Functions, Regularization, Workload
from workloads.products import for_populations

if TYPE_CHECKING:
    from tuning.engine._training import Training

REGULARIZATION = Regularization._fields
OF_RULES = 2  # folded into a trial's key for the random numbers of its update rule

State = tuple[Any, Any, Any, jax.Array]  # params, model state, optimizer state, diverged step


class Trials:
    """The trials of one program, traced: how they start, take a step, and what is evaluated of them.

    A state is (params, model state, optimizer state, diverged step); the axis of trials stands where `axes` says.

    Attributes:
      functions: of the workload, its constants bound.
      axes: of the trials in params, model state and optimizer state.
    """

    def __init__(
        self,
        training: Training,
        hyperparameters: Mapping[str, jax.Array],
        init_seeds: jax.Array,
        constants: Mapping[str, jax.Array],
    ) -> None:
        self._training = training
        self.functions = functions_of(training.workload, constants)
        self._optimizer = {k: v for k, v in hyperparameters.items() if k not in REGULARIZATION}
        self._count = init_seeds.shape[0]
        self._regularization = Regularization(
            *(hyperparameters.get(name, jnp.zeros(self._count)) for name in REGULARIZATION)
        )
        keys = jax.vmap(jax.random.key)(init_seeds)
        self._init_keys, self._dropout_keys = jax.vmap(lambda k: tuple(jax.random.split(k)))(keys)
        # No child of `split` above: what initialises and drops out stays as it is.
        self._rule_keys = jax.vmap(lambda k: jax.random.fold_in(k, OF_RULES))(keys)
        first = {name: values[0] for name, values in self._optimizer.items()}
        self.axes = trial_axes(
            jax.eval_shape(self._start, first, self._init_keys[0], self._rule_keys[0]),
            training.shared_batches,
        )

    def start(self) -> State:
        """Freshly initialised trials."""
        started = jax.vmap(self._start, out_axes=self.axes)(self._optimizer, self._init_keys, self._rule_keys)
        return (*started, jnp.full(self._count, -1, jnp.int32))

    def step(self, state: State, batch: Batch, number: jax.Array) -> State:
        """One update of all trials.

        Args:
          state: of the trials.
          batch: [example, ...] where trials share it, else [trial, example, ...].
          number: of the step, from 0.
        """
        params, model_state, opt_state, diverged_step = state
        of_params, of_model, of_optimizer = self.axes
        # Gradients are mapped apart from the update, so that they come in the layout of the parameters.
        gradients = jax.vmap(
            self._gradient,
            in_axes=(of_params, of_model, None if self._training.shared_batches else 0, 0, 0, None),
            out_axes=((0, of_model), of_params),
        )
        update_all = jax.vmap(
            self._update,
            (0, of_params, of_params, of_optimizer, Seen(loss=0, step=None, key=0)),
            (of_params, of_optimizer),
        )
        (loss, model_state), grads = gradients(
            params, model_state, batch, self._dropout_keys, self._regularization, number
        )
        keys = jax.vmap(jax.random.fold_in, (0, None))(self._rule_keys, number)
        seen = Seen(loss, number, keys)
        params, opt_state = update_all(self._optimizer, grads, params, opt_state, seen)
        # A trial that has diverged goes on, on numbers that nobody reads: trials do not touch each other, and
        # holding it still would cost all of them a selection per parameter and step.
        now = (diverged_step < 0) & ~jnp.isfinite(loss)
        return (params, model_state, opt_state, jnp.where(now, number, diverged_step))

    def recommended(self, state: State) -> Any:
        """The parameters that are evaluated."""
        params, _, opt_state, _ = state
        evaluated = self._training.rule.evaluated
        if evaluated is None:
            return params
        of_params, _, of_optimizer = self.axes
        return jax.vmap(evaluated, (of_optimizer, of_params), of_params)(opt_state, params)

    def _start(self, hyperparameters, key, rule_key):
        params, model_state = self.functions.init(key)
        rule, steps = self._training.rule, self._training.total_steps
        horizon = steps if rule.static_horizon else jnp.int32(steps)
        return params, model_state, rule.init(rule.weights, hyperparameters, params, rule_key, horizon)

    def _gradient(self, params, model_state, batch, key, regularization, number):
        key = jax.random.fold_in(key, number)
        with for_populations():
            return jax.value_and_grad(self.functions.loss, has_aux=True)(
                params, model_state, batch, key, True, regularization
            )

    def _update(self, hyperparameters, grads, params, opt_state, seen):
        training = self._training
        rule = training.rule
        updates, opt_state = rule.update(rule.weights, hyperparameters, grads, opt_state, params, seen)
        params = optax.apply_updates(params, updates)
        if training.constrained and training.workload.constraint:
            params = training.workload.constraint(params)
        return params, opt_state


def functions_of(workload: Workload, constants: Mapping[str, jax.Array]) -> Functions:
    """The functions of a workload, with its constants bound where it shares a program."""
    if workload.shared is not None:
        return workload.shared.bind(constants)
    return Functions(workload.init, workload.loss, workload.metrics)
