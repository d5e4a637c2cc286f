"""How much work a step of a task is, from its sizes alone, so that thousands of seeds can be looked at."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from workloads.taskset import _images as taskset_images


class Work(NamedTuple):
    """Of one step.

    Attributes:
      flops: of matrix products and convolutions, forward and back.
      parameters: how many are updated.
      turns: of loops that wait for their own results, forward and back; 0 without any.
      operations: layers, roughly: what has a cost however small it is.
      convolved: FLOPs among `flops` that are of convolutions, which a CPU is slower at.
    """

    flops: float
    parameters: float
    turns: int
    operations: int
    convolved: float = 0.0


def of_config(family: str, config: Mapping[str, Any]) -> Work:
    """Of a seed's config: within a tenth of `flops_per_step`, mostly equal to it."""
    return _WORK[family](config)


def _dense(sizes: tuple[int, ...], rows: float) -> tuple[float, float]:
    """FLOPs and parameters of dense layers; the gradient of the inputs is not asked for."""
    products = [before * after for before, after in itertools.pairwise(sizes)]
    flops = rows * (6 * sum(products) - 2 * products[0])
    return flops, sum(products) + sum(sizes[1:])


def _channels(config: Mapping[str, Any]) -> int:
    return taskset_images.IMAGE_SETS[config["dataset"]].shape[-1]


def _classes(config: Mapping[str, Any]) -> int:
    return taskset_images.IMAGE_SETS[config["dataset"]].classes


def _pixels(config: Mapping[str, Any]) -> int:
    return config["image_size"] ** 2 * _channels(config)


def _image_mlp(config):
    hidden = [config["hidden"]] * config["layers"]
    return Work(
        *_dense((_pixels(config), *hidden, _classes(config)), config["batch_size"]), 0, 1 + len(hidden)
    )


def _image_mlp_ae(config):
    hidden = [config["hidden"]] * config["layers"]
    return Work(
        *_dense((_pixels(config), *hidden, _pixels(config)), config["batch_size"]), 0, 1 + len(hidden)
    )


def _image_mlp_vae(config):
    rows, latents = config["batch_size"], config["latents"]
    encoder = _dense((_pixels(config), *config["encoder"], 2 * latents), rows)
    decoder = _dense((latents, *config["decoder"], 2 * _pixels(config)), rows)
    layers = len(config["encoder"]) + len(config["decoder"]) + 2
    return Work(encoder[0] + decoder[0], encoder[1] + decoder[1], 0, layers)


def _image_conv(config):
    size, before = config["image_size"], _channels(config)
    flops = parameters = 0.0
    for number, stride in enumerate(config["strides"]):
        size = math.ceil(size / stride)
        kernel = 9 * before * config["channels"]
        flops += (4 if number == 0 else 6) * config["batch_size"] * size**2 * kernel
        parameters += kernel + config["channels"]
        before = config["channels"]
    last = before * _classes(config)
    layers = 1 + len(config["strides"])
    return Work(flops + 6 * config["batch_size"] * last, parameters + last, 0, layers, flops)


def _image_resnet(config):
    size, before = math.ceil(config["image_size"] / 2), config["first_channels"]
    kernel = config["first_window"] ** 2 * _channels(config) * before
    flops, parameters, layers = 4.0 * size**2 * kernel, float(kernel), 1
    if config["max_pool"]:
        size = math.ceil(size / 2)
    for group, (blocks, channels) in enumerate(zip(config["blocks"], config["channels"], strict=True)):
        inner = channels // 4
        for number in range(blocks):
            after = math.ceil(size / 2) if group > 0 and number == 0 else size
            first = before * inner
            others = 9 * inner * inner + inner * channels + (before * channels if number == 0 else 0)
            flops += 6.0 * (size**2 * first + after**2 * others)
            parameters += first + others
            before, size, layers = channels, after, layers + 3
    last = before * _classes(config)
    rows = config["batch_size"]
    return Work(rows * (flops + 6 * last), parameters + last, 0, layers + 1, rows * flops)


def _attention(rows: float, length: int, width: int, inner: int, hidden: int) -> tuple[float, float]:
    """FLOPs and parameters of a transformer's layer."""
    dense = 4 * width * inner + 2 * width * hidden
    return 6.0 * rows * length * (dense + 2 * length * inner), float(dense)


def _vit(config):
    places = (config["image_size"] // config["patch"]) ** 2
    width, rows, layers = config["width"], config["batch_size"], config["layers"]
    flops, parameters = _attention(rows, places + 1, width, width, config["hidden"])
    patches = config["patch"] ** 2 * _channels(config) * width
    last = width * _classes(config)
    flops = layers * flops + 4.0 * rows * places * patches + 6.0 * rows * last
    return Work(flops, layers * parameters + patches + last + places * width, 0, 2 + 2 * layers)


def _lm_rnn(config):
    units, embedding, tokens = config["units"], config["embedding"], config["vocabulary"]
    rows, length = config["batch_size"], config["length"]
    gates, last = 4 * units * (embedding + units), units * tokens
    # Inputs of all places, or of all tokens where these are fewer, are one product; the state's is made again back.
    inputs = 6.0 * min(rows * length, tokens) * 4 * units * embedding
    states = 8.0 * rows * length * 4 * units * units
    return Work(
        inputs + states + 6.0 * rows * length * last, gates + last + tokens * embedding, 2 * length, 3
    )  # fmt: skip


def _lm_transformer(config):
    width, tokens, layers = config["width"], config["vocabulary"], config["layers"]
    rows, length = config["batch_size"], config["length"]
    flops, parameters = _attention(rows, length, width, 32 * config["heads"], 4 * width)
    last = width * tokens
    return Work(
        layers * flops + 6.0 * rows * length * last, layers * parameters + 2 * last, 0, 2 + 2 * layers
    )


def _lopt(config):
    hidden = [config["hidden"]] * config["layers"]
    sizes = (_pixels(config), *hidden, _classes(config))
    rows, steps, trainings = config["inner_batch_size"], config["steps"], config["batch_size"]
    products = [before * after for before, after in itertools.pairwise(sizes)]
    weights = sum(products) + sum(sizes[1:])
    # A step forward, again on the way back, and its gradient: of the first product the images have none.
    flops = trainings * steps * rows * (24 * sum(products) - 12 * products[0])
    parameters, network = {"learnable_adam": 4.0, "learnable_sgdm": 2.0}.get(config["optimizer"], 1.0), 0
    if "optimizer_hidden" in config:
        # Of time, which is that of all, there are 11 more.
        inputs = 8 if config["optimizer"] == "mlp_lopt" else 28
        widths = (inputs, *[config["optimizer_hidden"]] * config["optimizer_layers"], 2)
        network = sum(before * after for before, after in itertools.pairwise(widths))
        parameters = network + 11 * widths[1] + sum(widths[1:])
        # Its derivative, which is written out apart, goes forward once more.
        flops += 10.0 * trainings * steps * weights * network
    # Every step waits for the one before, forward and back, and each has all the layers' operations.
    return Work(flops, parameters, 2 * steps, steps * (6 * len(sizes) + 20))


_WORK = {
    "image_mlp": _image_mlp,
    "image_conv": _image_conv,
    "image_mlp_ae": _image_mlp_ae,
    "image_mlp_vae": _image_mlp_vae,
    "image_resnet": _image_resnet,
    "vit": _vit,
    "lm_rnn": _lm_rnn,
    "lm_transformer": _lm_transformer,
    "lopt": _lopt,
}
