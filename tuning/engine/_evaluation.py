"""How a population is evaluated while it trains: on whole splits, or on fresh random minibatches as in TaskSet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tuning.engine._training import Training
from tuning.engine._trials import State, Trials
from workloads import ForeignMeasure, Measure, Workload
from workloads.evaluation import measure_of, merged, over_split

EVAL_STREAM = 0xFFFFFFFF  # sets the draws of evaluations apart from those of the steps, which count from 0

Data = Mapping[str, Mapping[str, jax.Array]]  # split -> field -> [example, ...]; {} per split where generated


def in_program(workload: Workload) -> bool:
    """Whether a program can evaluate the workload from start to end, without the host."""
    measure = workload.measure
    return measure is None or (isinstance(measure, Measure) and measure.in_program)


def metrics(
    training: Training, trials: Trials, state: State, data: Data, number: jax.Array
) -> dict[str, jax.Array]:
    """ "<role>/<metric>" -> [trial], NaN for trials that have diverged. Traced, on data on the device.

    Args:
      training: gives the workload, and on what is evaluated.
      trials, state: what is evaluated.
      data: resident splits.
      number: of the evaluation.
    """
    params = trials.recommended(state)
    if training.evaluation.batches is None:
        found = {}
        for role, parts in totals(training, trials, params, state.model_state, data).items():
            measure = _measure(training, trials)
            found |= {f"{role}/{name}": x for name, x in measure.compute(merged(measure, parts)).items()}
    else:
        found = _on_batches(training, trials, params, state.model_state, data, number)
    return {name: jnp.where(state.diverged_step < 0, x, jnp.nan) for name, x in found.items()}


def totals(
    training: Training, trials: Trials, params: Any, model_state: Any, data: Data
) -> dict[str, tuple[Any, ...]]:
    """Role -> what was accumulated over the chunks of its split, leaves [chunk, trial, ...]. Traced."""
    workload = training.workload
    accumulate = accumulated(training, trials)
    return {
        role: over_split(
            workload, role, lambda batch, key: accumulate(params, model_state, batch, key), data[split]
        )
        for role, split in workload.eval_splits.items()
    }


def accumulated(training: Training, trials: Trials) -> Any:
    """(params, model state, batch, key) -> totals of all trials, [trial, ...]; all of them see the batch. Traced."""
    return jax.vmap(
        _measure(training, trials).accumulate, (trials.axes.params, trials.axes.model_state, None, None)
    )


def on_host(measure: Measure, metric: str, parts: tuple[Any, ...], fine: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics from what programs accumulated, where merging and computing are the host's.

    Args:
      measure: says how.
      metric: the workload's, which is there even if all trials have diverged; others are known by being computed.
      parts: leaves [chunk, trial, ...], as NumPy arrays.
      fine: [trial], those that have not diverged; the others are not looked at.
    """
    found = {metric: np.full(len(fine), np.nan, np.float32)}
    for trial in np.flatnonzero(fine).tolist():
        of_trial = [jax.tree.map(lambda x: x[:, trial], part) for part in parts]  # noqa: B023
        for name, value in measure.compute(merged(measure, of_trial)).items():
            found.setdefault(name, np.full(len(fine), np.nan, np.float32))[trial] = value
    return found


def _measure(training: Training, trials: Trials) -> Measure:
    measure = measure_of(training.workload, trials.functions.metrics)
    assert not isinstance(measure, ForeignMeasure)  # asked for by the host alone
    return measure


def _on_batches(
    training: Training, trials: Trials, params: Any, model_state: Any, data: Data, number: jax.Array
) -> dict[str, jax.Array]:
    """Means over fresh minibatches of each one's metrics.

    All roles go through one loop whose body holds the model once: the model is most of what there is to compile.
    """
    workload, shared, batches = training.workload, training.shared_batches, training.evaluation.batches
    assert batches is not None
    roles, measure = workload.eval_splits, _measure(training, trials)
    keys = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, EVAL_STREAM), number))(
        trials.batch_keys
    )
    keys = jax.vmap(lambda key: jax.random.split(key, len(roles) * batches))(
        keys
    ).T  # [role * batch, 1 or trial]
    role_of = jnp.repeat(jnp.arange(len(roles)), batches)
    axes = (trials.axes.params, trials.axes.model_state, *(None if shared else 0,) * 2)
    accumulate = jax.vmap(measure.accumulate, axes)
    draws = [
        lambda key, split=split: workload.data.fresh(data[split], key, split, workload.batch_size)
        for split in roles.values()
    ]

    def of_batch(role_and_keys):
        role, keys = role_and_keys
        draw = lambda key: jax.lax.switch(role, draws, key)  # noqa: E731
        draw_keys, keys = jax.vmap(lambda key: tuple(jax.random.split(key)))(keys)
        if shared:
            return measure.compute(accumulate(params, model_state, draw(draw_keys[0]), keys[0]))
        return measure.compute(accumulate(params, model_state, jax.vmap(draw)(draw_keys), keys))

    means = jax.lax.map(of_batch, (role_of, keys))
    return {
        f"{role}/{name}": values.reshape(len(roles), batches, -1)[i].mean(0)
        for i, role in enumerate(roles)
        for name, values in means.items()
    }
