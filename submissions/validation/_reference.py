"""The reference that a step's time is compared with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jax
import optax

from submissions import api
from submissions.api import _jax_sharding_utils as sharding
from submissions.validation._watched import SEED


def plain_adam(workload: Any, batch_size: int, steps: int) -> list[float]:
    """Seconds of each step of plain Adam from Optax, compiled once: what a step costs at least, nearly."""
    spec = api.spec()
    adam = optax.adam(1e-3)

    def loss(params, model_state, batch, key):
        logits, new = workload.model_fn(
            params, batch, model_state, spec.ForwardPassMode.TRAIN, key, update_batch_norm=True
        )
        result = workload.loss_fn(batch["targets"], logits, batch.get("weights"))
        return result["summed"] / result["n_valid_examples"], new

    def step(params, state, model_state, batch, key):
        gradient, model_state = jax.grad(loss, has_aux=True)(params, model_state, batch, key)
        updates, state = adam.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, model_state

    everywhere = sharding.get_replicate_sharding()
    compiled = jax.jit(step, donate_argnums=(0, 1, 2), out_shardings=everywhere)
    key = jax.random.PRNGKey(SEED)
    queue: Iterator[Any] = workload._build_input_queue(key, "train", None, batch_size)
    params, model_state = workload.init_model_fn(key)
    # Where the step leaves them, so that the second step finds what the first one was compiled for.
    params, model_state, state = jax.device_put((params, model_state, adam.init(params)), everywhere)
    seconds = []
    for number in range(steps):
        step_key = jax.random.fold_in(key, number)
        start = time.perf_counter()
        batch = next(queue)
        params, state, model_state = compiled(params, state, model_state, batch, step_key)
        jax.block_until_ready(params)
        seconds.append(time.perf_counter() - start)
    return seconds
