"""VeLO's `image_mlp`: perceptrons of 0 to 4 hidden layers of one width that classify images."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from workloads._workload import Workload
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
    """Initialiser and activation of a draw."""
    return _draws.initializer(rng) | _draws.activation(rng)


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """See `velo.normalizer`."""
    del drawn
    return _task.classes_normalizer(_images.classes_of(config))


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload."""
    hidden = [config["hidden"]] * config["layers"]
    summary = f"perceptron {'-'.join(map(str, hidden)) or 'without hidden layers'}"
    return _task.task(
        name, "image_mlp", "mlp", summary, config, drawn, functions_of_draw(config), _images.load(config, data_dir)
    )  # fmt: skip


def functions_of_draw(config: Mapping[str, Any]) -> _task.Bind:
    """The numbers of a draw -> the task's functions; the initialiser makes the last kernel too."""
    hidden = [config["hidden"]] * config["layers"]
    sizes = (_images.inputs_of(config), *hidden, _images.classes_of(config))

    def bind(numbers):
        w_init, activation = _sampled.initializer(numbers), _sampled.activation(numbers)

        def forward(params, model_state, images, key, train):
            del key, train
            return mlp(params, images.reshape(images.shape[0], -1), activation), model_state

        return _images.classifier(lambda key: (mlp_init(key, sizes, w_init), ()), forward)

    return bind
