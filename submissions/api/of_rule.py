"""An optimizer that sees more than gradients, as a submission for AlgoPerf's loop.

A `Rule` may read the training loss, metrics and validation losses of its own asking, which an Optax transformation in a
packaged folder cannot. Here it is fed by the functions of AlgoPerf's interface, so that the loop that judges
submissions trains it as the population engine does. Such a submission needs Shortlist, and one that asks for validation
losses breaks AlgoPerf's rules: it is for comparisons of one's own.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import submissions
from submissions.api._install import spec
from submissions.optimizers._hyperparameters import Optimizer
from submissions.optimizers._rule import Rule, Seen


class Functions(NamedTuple):
    """The functions of a submission, as AlgoPerf calls them."""

    get_batch_size: Callable[..., int]
    init_optimizer_state: Callable[..., Any]
    update_params: Callable[..., Any]
    data_selection: Callable[..., Any]
    prepare_for_eval: Callable[..., Any]


class Carried(NamedTuple):
    """The arrays of the optimizer's state.

    Attributes:
      rule: state of the rule.
      hyperparameters: name -> scalar.
      trained: what is trained, for rules whose evaluated parameters are others; else ().
      shown: the parameters that AlgoPerf holds are those that were evaluated, and `trained` is to go on with.
      observed: evaluations that the rule has seen.
    """

    rule: Any
    hyperparameters: Mapping[str, jax.Array]
    trained: Any
    shown: jax.Array
    observed: jax.Array


def functions(optimizer: str | Optimizer) -> Functions:
    """The submission of an optimizer.

    Args:
      optimizer: or its name, see `submissions.optimizer`.
    """
    chosen = submissions.optimizer(optimizer) if isinstance(optimizer, str) else optimizer
    return Functions(
        _get_batch_size,
        functools.partial(_init, chosen),
        functools.partial(_update, chosen.rule),
        _data_selection,
        functools.partial(_prepare_for_eval, chosen.rule),
    )


def _get_batch_size(workload_name: str) -> int:
    raise ValueError(f"{workload_name}: this submission takes the workload's own batch size")


def _init(optimizer, workload, model_params, model_state, hyperparameters, rng):
    del model_state
    point = {} if hyperparameters is None else hyperparameters._asdict()
    prepared = optimizer.prepare(point, workload.step_hint)
    arrays = {name: jnp.float32(value) for name, value in prepared.items()}
    rule, horizon = optimizer.rule, workload.step_hint
    made = rule.init(
        rule.weights,
        arrays,
        model_params,
        jax.random.wrap_key_data(rng),
        horizon if rule.static_horizon else jnp.int32(horizon),
    )
    trained = () if rule.evaluated is None else model_params
    return Carried(made, arrays, trained, jnp.bool_(False), jnp.int32(0)), _Programs(rule, workload)


def _update(
    rule: Rule,
    workload,
    current_param_container,
    current_params_types,
    model_state,
    hyperparameters,
    batch,
    loss_type,
    optimizer_state,
    eval_results,
    global_step,
    rng,
):
    del workload, current_params_types, hyperparameters, loss_type
    carried, programs = optimizer_state
    if programs.observed is None:
        programs.observed = int(carried.observed)
    if rule.observe is not None and len(eval_results) > programs.observed:
        _, row = eval_results[-1]
        metrics = {name: jnp.float32(value) for name, value in row.items() if _is_metric(name)}
        carried = carried._replace(
            rule=programs.observe(carried.rule, metrics), observed=jnp.int32(len(eval_results))
        )
        programs.observed = len(eval_results)
    carried, params, model_state = programs.step(
        carried, current_param_container, model_state, batch, rng, jnp.int32(global_step)
    )
    period = rule.validation_period
    if period is not None and (global_step + 1) % period == 0:
        asked = next(programs.validation((global_step + 1) // period - 1))
        carried = carried._replace(rule=programs.ask(carried.rule, params, model_state, asked, rng))
    return (carried, programs), params, model_state


def _data_selection(
    workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters, global_step, rng
):  # fmt: skip
    del workload, optimizer_state, current_param_container, model_state, hyperparameters, global_step, rng
    return next(input_queue)


def _prepare_for_eval(
    rule: Rule,
    workload,
    current_param_container,
    current_params_types,
    model_state,
    hyperparameters,
    loss_type,
    optimizer_state,
    eval_results,
    global_step,
    rng,
):
    del workload, current_params_types, hyperparameters, loss_type, eval_results, global_step, rng
    if rule.evaluated is None:
        return optimizer_state, current_param_container, model_state
    carried, programs = optimizer_state
    shown = programs.evaluated(carried.rule, current_param_container)
    carried = carried._replace(trained=current_param_container, shown=jnp.bool_(True))
    return (carried, programs), shown, model_state


def _is_metric(name: str) -> bool:
    return "/" in name and not name.endswith("/num_examples")


class _Programs:
    """The compiled functions of a trial: the part of an optimizer state that AlgoPerf does not save."""

    def __init__(self, rule: Rule, workload: Any) -> None:
        self._rule, self._workload, self._modes = rule, workload, spec().ForwardPassMode
        self._batches: Iterator[Any] | None = None
        self._asked = 0
        self.observed: int | None = None  # as `Carried.observed`, where the host need not wait for it
        self.step = jax.jit(self._step)
        self.observe = jax.jit(lambda state, metrics: rule.observe(state, metrics))  # type: ignore[misc]
        self.evaluated = jax.jit(lambda state, params: rule.evaluated(state, params))  # type: ignore[misc]
        self.ask = jax.jit(self._ask)

    def validation(self, number: int) -> Iterator[Any]:
        """The validation batches, from that number on; they begin again for ever."""
        if self._batches is None or self._asked != number:
            key = jax.random.PRNGKey(0)  # splits that are no training split come in order
            batches = self._workload._build_input_queue(
                key, "validation", None, self._workload.batch_size, repeat_final_dataset=True
            )
            self._batches = itertools.islice(batches, number, None)
        self._asked = number + 1
        return self._batches

    def _mean_loss(self, params, model_state, batch, rng, mode, hyperparameters=None):
        train = mode == self._modes.TRAIN
        rates = {} if hyperparameters is None else {"dropout_rate": hyperparameters["dropout_rate"]}
        smoothing = 0.0 if hyperparameters is None else hyperparameters["label_smoothing"]
        logits, new = self._workload.model_fn(
            params, batch, model_state, mode, rng, update_batch_norm=train, **rates
        )
        loss = self._workload.loss_fn(
            label_batch=batch["targets"],
            logits_batch=logits,
            mask_batch=batch.get("weights"),
            label_smoothing=smoothing,
        )
        return loss["summed"] / loss["n_valid_examples"], new if jax.tree.leaves(new) else model_state

    def _step(self, carried, params, model_state, batch, rng, number):
        hyperparameters = carried.hyperparameters
        if self._rule.evaluated is not None:
            params = jax.tree.map(
                lambda own, held: jnp.where(carried.shown, own, held), carried.trained, params
            )

        def loss(params):
            return self._mean_loss(params, model_state, batch, rng, self._modes.TRAIN, hyperparameters)

        (value, model_state), grads = jax.value_and_grad(loss, has_aux=True)(params)
        seen = Seen(value, number, jax.random.fold_in(jax.random.wrap_key_data(rng), np.uint32(1)))
        given = {k: v for k, v in hyperparameters.items() if k not in ("dropout_rate", "label_smoothing")}
        updates, state = self._rule.update(self._rule.weights, given, grads, carried.rule, params, seen)
        params = optax.apply_updates(params, updates)
        trained = () if self._rule.evaluated is None else params
        return carried._replace(rule=state, trained=trained, shown=jnp.bool_(False)), params, model_state

    def _ask(self, state, params, model_state, batch, rng):
        value, _ = self._mean_loss(params, model_state, batch, rng, self._modes.EVAL)
        assert self._rule.observe is not None
        return self._rule.observe(state, {"validation/loss": value})
