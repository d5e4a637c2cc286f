"""TaskSet's `mlp_family`: perceptrons of 1 to 6 hidden layers that classify images.

Configs are exact for every seed. Models, losses and initialisers follow the released code; curves agree only
statistically with the released ones, and only on the real data. TaskSet judges by the loss, so the metric is
the loss of `outer_valid`. Its tasks know neither dropout nor label smoothing; both are ignored.

On stand-ins the budget is a scale: 400 steps for TaskSet's 10,000, evaluated every 10 for its every 200.
"""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp

from workloads import _layers, _losses
from workloads._workload import Metric, Regularization, Workload
from workloads.taskset import _augment, _draws, _images, _nets
from workloads.taskset._quirks import RELEASED, Quirks

OFFSET = 99123491  # of this family's generator


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(8)["layer_sizes"], sample(8)["activation"]
      ([33], 'relu')
    """
    rng = _draws.generator(seed, OFFSET)
    layers = _draws.choice(rng, (1, 2, 3, 4, 5, 6))
    return {
        "layer_sizes": [_draws.log_int(rng, 16, 128) for _ in range(layers)],
        "activation": _draws.activation(rng),
        "w_init": _draws.initializer(rng),
        "dataset": _draws.image_dataset(rng),
        "center_data": _draws.choice(rng, (True, False)),
    }


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/mlp_family_seed<k>` as released."""
    return from_config(f"taskset/mlp_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: dict[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family, with switches for what the released code did differently.

    Args:
      name: of the workload.
      config: as `sample` returns it.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default.
    """
    dataset, arguments, augmentation = config["dataset"]
    facts = _images.IMAGE_SETS[dataset]
    crop = augmentation["crop_amount"] if augmentation else 0
    height, width, channels = facts.shape
    sizes = ((height - crop) * (width - crop) * channels, *config["layer_sizes"], facts.classes)
    activation = _nets.ACTIVATIONS[config["activation"]]
    w_name, w_scale = config["w_init"]
    w_init = _nets.initializer(w_name, w_scale, quirks)
    last = len(sizes) - 2

    def pixels(batch, key):  # key: of a training step, None when evaluating
        images = batch["inputs"].astype(jnp.float32) / 255.0
        if augmentation is None:
            return images
        if key is not None:
            draws = jax.random.uniform(key, (images.shape[0], _images.DRAWS))
            return _augment.augment(draws, images, augmentation)
        if quirks.augment_splits == "train_only":
            return _augment.centre_crop(images, augmentation)
        return _augment.augment(batch["draws"], images, augmentation)

    def logits(params, batch, key):
        images = pixels(batch, key)
        x = images.reshape(images.shape[0], -1)
        x = 2.0 * x - 1.0 if config["center_data"] else x
        for i in range(last):
            x = activation(_layers.dense(params[f"Dense_{i}"], x))
        return _layers.dense(params[f"Dense_{last}"], x)

    def init(key):
        return _layers.mlp_init(key, sizes, w_init), ()

    def loss(params, model_state, batch, key, train, regularization: Regularization):
        del regularization
        z = logits(params, batch, key if train else None)
        return jnp.mean(_losses.cross_entropy(z, batch["targets"])), model_state

    def metrics(params, model_state, batch):
        del model_state
        return _losses.classification_sums(logits(params, batch, None), batch["targets"])

    data = _images.load(config["dataset"], data_dir, quirks)
    real = data.provenance.kind == "real"
    return Workload(
        name=name,
        family="mlp",
        summary=_summary(config),
        init=init,
        loss=loss,
        metrics=metrics,
        data=data,
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=10_000 if real else 400,
        eval_period=200 if real else 10,
        batch_size=arguments["bs"],
        loss_type="SOFTMAX_CROSS_ENTROPY",
        eval_splits=_images.EVAL_SPLITS,
        # TaskSet evaluates 50 batches of the training size.
        eval_examples=50 * arguments["bs"] if real else 256,
    )


def _summary(config: dict[str, Any]) -> str:
    layers = "-".join(map(str, config["layer_sizes"]))
    augmented = ", augmented" if config["dataset"][2] else ""
    return f"TaskSet perceptron {layers} with {config['activation']} on {config['dataset'][0]}{augmented}"
