"""The two losg problems that classify: a perceptron, and a regression on a table of rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from workloads._workload import Params
from workloads.initializers import Initializer, kernels
from workloads.layers import dense, mlp
from workloads.taskset import _losg_data, _nets
from workloads.taskset._losg_problem import Config, Problem, Streams

WEIGHT_DECAY = 1e-3
CLASSES = 2  # of which the loss sees the first logit only

_CLASSIFIER_START = Initializer("normal", lambda draws: 1.2 / math.sqrt(draws.shape[0]) * draws)


def _classifier_loss(logits: jax.Array, params: Params, targets: jax.Array) -> jax.Array:
    """Mean sigmoid cross-entropy of the first logit, + 1e-3 times the mean over tensors of their sums of squares."""
    first, squares = logits[:, 0], [jnp.sum(leaf**2) for leaf in jax.tree.leaves(params)]
    return jnp.mean(jax.nn.softplus(first) - targets * first) + WEIGHT_DECAY * sum(squares) / len(squares)


def _classifier_init(shapes: Mapping[str, Mapping[str, tuple[int, ...]]]) -> Callable[..., Params]:
    """Every tensor, biases too, from N(0, 1.44 / length of its first axis)."""
    names = [(layer, tensor) for layer, tensors in shapes.items() for tensor in tensors]

    def init(constants, key):
        del constants
        makes = [(shapes[layer][tensor], _CLASSIFIER_START) for layer, tensor in names]
        params: dict[str, dict[str, jax.Array]] = {layer: {} for layer in shapes}
        for (layer, tensor), made in zip(
            names, kernels(jax.random.split(key, len(names)), makes), strict=True
        ):
            params[layer][tensor] = made
        return params

    return init


def fully_connected(config: Config, streams: Streams) -> Problem:
    """A perceptron that learns the labels of a random one."""
    sizes = (config["n_features"], *config["hidden_sizes"], CLASSES)
    activation = _nets.ACTIVATIONS[config["activation"]]
    shapes = {
        f"Dense_{i}": {"kernel": pair, "bias": pair[1:]} for i, pair in enumerate(itertools.pairwise(sizes))
    }

    def objective(constants, params, batch):
        del constants
        return _classifier_loss(mlp(params, batch["inputs"], activation), params, batch["targets"])

    return Problem(
        ["fully_connected", sizes, config["activation"], config["bs"]],
        {},
        _classifier_init(shapes),
        objective,
        _losg_data.random_mlp(streams.data, config["n_samples"], config["n_features"]),
        config["bs"],
        loss_type="SIGMOID_CROSS_ENTROPY",
    )


def sparse_softmax_regression(config: Config, streams: Streams) -> Problem:
    """Rows of a table, summed over the five ids of an example, then a linear layer.

    The table's gradient is a list of rows in the original, one per id of the batch, and each gets noise of its own:
    a row that is looked up n times has noise of sqrt(n) times the deviation.
    """
    features = config["n_features"]
    shapes = {
        "Embed": {"embedding": (CLASSES, features)},
        "Dense": {"kernel": (features, CLASSES), "bias": (CLASSES,)},
    }

    def occurrences(batch):  # [example, id]: a product with the table costs less than looking up rows
        ones = jnp.sum(batch["inputs"], axis=1)
        return jnp.stack([_losg_data.IDS - ones, ones], axis=1).astype(jnp.float32)

    def objective(constants, params, batch):
        del constants
        summed = occurrences(batch) @ params["Embed"]["embedding"]
        return _classifier_loss(dense(params["Dense"], summed), params, batch["targets"])

    def deviation(params, batch):
        lookups = jnp.sqrt(jnp.sum(occurrences(batch), axis=0))
        ones = jax.tree.map(jnp.ones_like, params)
        return ones | {"Embed": {"embedding": lookups[:, None] * ones["Embed"]["embedding"]}}

    return Problem(
        ["sparse_softmax_regression", features, config["bs"]],
        {},
        _classifier_init(shapes),
        objective,
        _losg_data.noisy_parity(streams.data, config["n_samples"]),
        config["bs"],
        deviation,
        "SIGMOID_CROSS_ENTROPY",
    )
