"""VeLO's `image_mlp_ae`: perceptrons that reconstruct images."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads._workload import Workload
from workloads.functions import functions_of
from workloads.layers import mlp, mlp_init
from workloads.velo import _draws, _images, _sampled, _task


def sample(rng: np.random.Generator) -> dict[str, Any]:
    """What a seed computes."""
    return {
        "hidden": _draws.log_int(rng, 8, 128),
        "layers": _draws.choice(rng, (0, 1, 2, 3, 4)),
        **_draws.images(rng, (4, 32), 512),
    }


def draw(rng: np.random.Generator) -> dict[str, float]:
    """Initialiser, activation, and how the loss is made."""
    return (
        _draws.initializer(rng)
        | _draws.activation(rng)
        | _draws.flags(rng, "log_loss", "center_data", "constrain_output")
    )


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """clip(ln loss, -12, 1) / 2 + 10; see `velo.normalizer`."""
    del config

    def normalized(loss):
        logarithm = loss if drawn["log_loss"] else jnp.log(loss + 1e-8)
        return _task.finite(logarithm, 1.0).clip(-12, 1) * 0.5 + 10

    return normalized


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload. The squared error is averaged over the rows of an image, and its logarithm taken of that where
    the draw says so; then over columns, channels and examples."""
    hidden, shape = [config["hidden"]] * config["layers"], _images.shape_of(config)
    sizes = (_images.inputs_of(config), *hidden, _images.inputs_of(config))

    def bind(numbers):
        w_init, activation = _sampled.initializer(numbers), _sampled.activation(numbers)

        def apply(params, model_state, batch, key, train, dropout_rate):
            del key, train, dropout_rate
            x = _images.flat(batch["inputs"])
            x = jnp.where(numbers["center_data"], 2.0 * (x - 0.5), x)
            made = mlp(params, x, activation)
            bounded = jnp.where(numbers["center_data"], jnp.tanh(made), jax.nn.sigmoid(made))
            made = jnp.where(numbers["constrain_output"], bounded, made)
            error = jnp.mean(jnp.square(made - x).reshape(-1, *shape), axis=1)
            return jnp.where(numbers["log_loss"], jnp.log(error + 1e-8), error), model_state

        def losses(outputs, batch, label_smoothing):
            del batch, label_smoothing
            return jnp.mean(outputs, axis=(1, 2)), None

        return functions_of(lambda key: (mlp_init(key, sizes, w_init), ()), apply, losses)

    summary = f"autoencoder {'-'.join(map(str, hidden)) or 'without hidden layers'}"
    data = _images.load(config, data_dir)
    return _task.task(name, "image_mlp_ae", "mlp", summary, config, drawn, bind, data, "MEAN_SQUARED_ERROR")
