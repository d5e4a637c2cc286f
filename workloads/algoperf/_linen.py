"""From a Flax module to a `Model`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn

from workloads.algoperf._base import Model

Switches = Callable[[bool, bool, bool | None], Mapping[str, Any]]


def training(train: bool, update_batch_norm: bool, use_running_average_bn: bool | None) -> Mapping[str, Any]:
    """For modules that only tell training from evaluation."""
    del update_batch_norm, use_running_average_bn
    return {"train": train}


def model(
    module: nn.Module,
    example: Callable[[], tuple[Any, ...]],
    inputs: Callable[[Mapping[str, Any]], tuple[Any, ...]] = lambda batch: (batch["inputs"],),
    switches: Switches = training,
) -> Model:
    """A model whose parameters and state are the module's.

    Args:
      module: called with (*inputs, dropout_rate=..., **switches).
      example: () -> inputs of a batch from which shapes are taken; nothing is computed of them.
      inputs: batch -> what the module is called with.
      switches: (train, update_batch_norm, use_running_average_bn) -> the module's own arguments. Statistics are
        updated where it has `update` among them and that is True.
    """
    still = dict(switches(False, False, None))
    still.pop("update", None)

    def init(key):
        def made(key):
            return module.init({"params": key}, *example(), dropout_rate=0.0, **still)

        variables = jax.jit(made)(key)
        return variables["params"], variables.get("batch_stats", ())

    def model_fn(
        params,
        model_state,
        batch,
        key,
        train,
        update_batch_norm,
        use_running_average_bn,
        dropout_rate,
    ):
        said = dict(switches(train, update_batch_norm, use_running_average_bn))
        update = said.pop("update", False)
        kept = bool(jax.tree.leaves(model_state))
        found = module.apply(
            {"params": params, **({"batch_stats": model_state} if kept else {})},
            *inputs(batch),
            dropout_rate=dropout_rate,
            rngs={} if key is None else {"dropout": key},
            # The batch's statistics may normalise without being kept.
            mutable=["batch_stats"] if kept else False,
            **said,
        )
        if not kept:
            return found, model_state
        outputs, new = found
        return outputs, new["batch_stats"] if update else model_state

    return Model(init, model_fn)
