"""Mixed precision: a model's products in bfloat16, all that is kept and summed over examples in float32.

Parameters are rounded on their way into the model, so that their gradients come back as float32. What goes into a layer
that multiplies is rounded as well. Inputs are not rounded beforehand: some are whole numbers, such as AlgoPerf's
categories of clicks. Between products activations are bfloat16 where the model adds nothing of float32 to them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads._workload import Workload
from workloads.functions import functions_of

PRODUCTS = (nn.Dense, nn.DenseGeneral, nn.Einsum, nn.Conv, nn.ConvTranspose)


def in_bfloat16(workload: Workload) -> Workload:
    """The workload with a model that multiplies in bfloat16 while it trains.

    Raises:
      ValueError: it has no model of Flax's; all but one of AlgoPerf's have.
    """
    apply, model_fn, losses = workload.apply, workload.model_fn, workload.losses
    if apply is None or model_fn is None or losses is None:
        raise ValueError(
            f"{workload.name}: its model is none of Flax's, whose products could be told to be bfloat16; leave the "
            "precision out"
        )

    def model(params, model_state, *rest):
        with nn.intercept_methods(_rounded_inputs):
            outputs, new = model_fn(_rounded(params), model_state, *rest)
        if new is not model_state:
            new = jax.tree.map(lambda x, old: x.astype(old.dtype), new, model_state)
        return jax.tree.map(_widened, outputs), new

    def applied(params, model_state, batch, key, train, dropout_rate):
        return model(params, model_state, batch, key, train, train, None, dropout_rate)

    loss = functions_of(workload.init, applied, losses).loss
    return dataclasses.replace(workload, apply=applied, model_fn=model, loss=loss, shared=None)


def _rounded_inputs(next_function: Any, args: Any, kwargs: Any, context: Any) -> Any:
    if context.method_name == "__call__" and isinstance(context.module, PRODUCTS):
        args, kwargs = _rounded((args, kwargs))
    return next_function(*args, **kwargs)


def _rounded(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(jnp.bfloat16) if _is(x, jnp.float32) else x, tree)


def _widened(x: Any) -> Any:
    return x.astype(jnp.float32) if _is(x, jnp.bfloat16) else x


def _is(x: Any, dtype: Any) -> bool:
    return isinstance(x, jax.Array) and x.dtype == dtype
