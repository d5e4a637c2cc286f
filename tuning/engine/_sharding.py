"""Trials spread over the devices of this process: an equal part of them on every device, and no communication.

The number of trials must be a multiple of the number of devices. With one device, functions are as they are.
Where a trial has several devices (`Training.devices_per_trial`), an equal part of the trials is on every group of so
many, which share the examples of every batch: `tuning.engine._batch_axis`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from tuning.engine import _batch_axis
from tuning.engine._training import Training
from tuning.engine._trials import Inputs, Keys, State, Trials

_TRIAL, _SAME = P("trial"), P()


def whole(training: Training, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that trains from start to end, see `tuning.engine._whole`."""
    return _mapped(training, function, (_inputs(training),), (_SAME, _TRIAL, _TRIAL))


def stepwise(
    training: Training, what: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Callable[..., Any]:
    """One of the programs of `tuning.engine._stepwise`, by name."""
    if len(jax.local_devices()) == 1:
        return function
    axes = axes_of(training, arguments[0])
    state = State(*jax.tree.map(_spec, tuple(axes)))
    of_batch = _SAME if training.shared_batches else _TRIAL
    specs: dict[str, tuple[tuple[Any, ...], Any]] = {
        "start": ((), state),
        "unroll": ((state, _SAME, _SAME if training.shared_batches else P(None, "trial")), state),
        "evaluate": ((state, _SAME), _TRIAL),
        "recommend": ((state,), state.params),
        "observe": ((state, _TRIAL), state),
        "ask": ((state, of_batch, _SAME), state),
        "totals": ((state.params, state.model_state), P(None, "trial")),
        "accumulate": ((state.params, state.model_state, _SAME, _SAME), _TRIAL),
    }
    given, returned = specs[what]
    return _mapped(training, function, (_inputs(training), *given), returned)


def _inputs(training: Training) -> Inputs:
    keys = Keys(_TRIAL, _TRIAL, _SAME if training.shared_batches else _TRIAL)  # type: ignore[arg-type]
    weights = _TRIAL if training.weights_per_trial else _SAME
    return Inputs(weights, _TRIAL, _TRIAL, keys, _SAME, _SAME)  # type: ignore[arg-type]


def axes_of(training: Training, inputs: Inputs) -> State:
    """Where the axis of trials stands in their state. Nothing is computed."""
    found: list[State] = []

    def look(inputs):
        found.append(Trials(training, inputs).axes)
        return inputs.horizon

    jax.eval_shape(look, inputs)
    return found[0]


def _spec(axis: int) -> P:
    return P(*[None] * axis, "trial")


def _mapped(
    training: Training, function: Callable[..., Any], in_specs: Any, out_specs: Any
) -> Callable[..., Any]:
    devices, each = np.array(jax.local_devices()), training.devices_per_trial
    if len(devices) == 1:
        return function

    def alike(*arguments):
        return _batch_axis.alike(function(*arguments))

    return jax.shard_map(
        function if each == 1 else alike,
        mesh=Mesh(devices, ("trial",))
        if each == 1
        else Mesh(devices.reshape(-1, each), ("trial", _batch_axis.NAME)),
        in_specs=in_specs,
        out_specs=out_specs,
        axis_names={"trial"},  # XLA sees to the other
        check_vma=False,  # the loops carry trials and counters alike
    )
