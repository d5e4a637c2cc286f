"""A workload small enough to check by hand: linear regression with a known teacher."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from submissions import from_optax
from workloads import Metric, Provenance, ResidentData, Workload


def toy_workload(examples: int = 40, features: int = 5, name: str = "toy/linear") -> Workload:
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=features)

    def split(count: int) -> dict[str, np.ndarray]:
        inputs = rng.normal(size=(count, features)).astype(np.float32)
        return {
            "inputs": inputs,
            "targets": (inputs @ teacher + 0.1 * rng.normal(size=count)).astype(np.float32),
        }

    def init(key):
        return {"w": jax.random.normal(key, (features,)), "b": jnp.zeros(())}, ()

    def errors(params, batch):
        return batch["inputs"] @ params["w"] + params["b"] - batch["targets"]

    def loss(params, model_state, batch, key, train, regularization):
        keep = jax.random.bernoulli(key, 1 - regularization.dropout_rate, batch["targets"].shape)
        return jnp.mean(keep * errors(params, batch) ** 2), model_state

    def metrics(params, model_state, batch, key):
        return {"mse": jnp.sum(errors(params, batch) ** 2), "examples": jnp.float32(len(batch["targets"]))}

    return Workload(
        name=name, family="mlp", summary="linear regression", init=init, loss=loss, metrics=metrics,
        data=ResidentData(
            {"train": split(examples), "validation": split(30), "test": split(20)},
            Provenance("synthetic", "a linear teacher with noise"),
        ),
        metric=Metric("mse", minimize=True), validation_target=0.05, test_target=None,
        step_hint=24, eval_period=6, batch_size=8, loss_type="MEAN_SQUARED_ERROR",
    )  # fmt: skip


def sgd(hyperparameters, total_steps):
    return optax.sgd(optax.linear_schedule(hyperparameters["learning_rate"], 0.0, total_steps))


SGD = from_optax(sgd)
