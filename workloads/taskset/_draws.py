"""Draws that TaskSet's families share: the order and the arithmetic decide every config, so both are exact.

One generator per config, `numpy.random.RandomState(seed + offset)`. Logarithms and exponentials are libm's
(`math`), because NumPy's vectorised ones differ in the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Rng = np.random.RandomState

# name -> weight; drawn in this order
ACTIVATIONS = {
    "cos": 1,
    "elu": 1,
    "leaky_relu1": 1,
    "leaky_relu2": 1,
    "leaky_relu4": 1,
    "relu": 6,
    "sigmoid": 1,
    "swish": 1,
    "tanh": 3,
}
INITIALIZERS = {
    "glorot_normal": 2,
    "glorot_uniform": 2,
    "he_normal": 2,
    "he_uniform": 2,
    "orthogonal": 1,
    "random_normal": 1,
    "random_uniform": 1,
    "truncated_normal": 1,
    "variance_scaling": 1,
}
SCALED_INITIALIZERS = tuple(INITIALIZERS)[4:]  # these draw a number too

# data set -> (lowest, highest) batch size, (lowest, highest) num_train or None, probability of just_train
_MNIST = ((8, 512), (1000, 55000), 0.1)
_CIFAR = ((8, 256), (1000, 50000), 0.2)
_OTHER = ((8, 256), None, 0.2)
IMAGE_DATASETS = {
    "cifar10": _CIFAR,
    "cifar100": _CIFAR,
    "coil100_32x32": _OTHER,
    "deep_weeds_32x32": _OTHER,
    "fashion_mnist": _MNIST,
    "food101_32x32": _OTHER,
    "imagenet_resized/16x16": _OTHER,
    "imagenet_resized/32x32": _OTHER,
    "mnist": _MNIST,
    "sun397_32x32": _OTHER,
}

_AMAZON = tuple(
    f"tokenized_amazon_reviews/{part}"
    for part in ("Books_v1_02", "Camera_v1_00", "Home_v1_00", "Video_v1_00")
)
_WIKIPEDIA = tuple(f"tokenized_wikipedia/20190301.{language}" for language in ("en", "hsb", "ja", "ru", "zh"))


def _language_model_datasets(tokens: str) -> tuple[str, ...]:
    return (
        f"imdb_reviews/{tokens}",
        f"lm1b/{tokens}",
        *(f"{name}_{tokens}" for name in _AMAZON + _WIKIPEDIA),
    )


# In the order of drawing, which is sorted.
BYTE_DATASETS = _language_model_datasets("bytes")
SUBWORD_DATASETS = _language_model_datasets("subwords8k")
TEXT_DATASETS = (
    "imdb_reviews/subwords8kimdb_reviews/bytes",  # two names that a missing comma fused; it stands in the configs
    *sorted(f"{name}_{tokens}" for name in _AMAZON for tokens in ("bytes", "subwords8k")),
)
GRU_KERNELS = ("wh", "wz", "wr", "uh", "uz", "ur")


def generator(seed: int, offset: int = 0) -> Rng:
    """The generator of a config.

    Raises:
      ValueError: seed + offset is not in 0 .. 2**32 - 1, all that NumPy's legacy generator takes.
    """
    highest = 2**32 - 1 - offset
    if not 0 <= seed <= highest:
        raise ValueError(f"TaskSet seed {seed} is out of range; allowed: 0 to {highest}")
    return Rng(seed + offset)


def choice(rng: Rng, values: Sequence[Any]) -> Any:
    """One of the values, uniformly. An index is drawn, so that values keep their Python type."""
    return values[int(rng.choice(len(values)))]


def weighted(rng: Rng, weights: dict[str, int]) -> str:
    """One of the names, with probability proportional to its weight."""
    total = sum(weights.values())
    return str(rng.choice(list(weights), p=[weight / total for weight in weights.values()]))


def log_int(rng: Rng, low: int, high: int) -> int:
    """exp of a uniform draw between the logarithms, rounded half to even."""
    return round(math.exp(rng.uniform(math.log(low), math.log(high))))


def linear_int(rng: Rng, low: int, high: int) -> int:
    """A uniform draw, rounded half to even."""
    return round(rng.uniform(low, high))


def log_float(rng: Rng, low: float, high: float) -> float:
    """exp of a uniform draw between the logarithms."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def boolean(rng: Rng, probability: float) -> bool:
    """True with that probability."""
    return bool(rng.uniform(0, 1) < probability)


def activation(rng: Rng) -> str:
    """Name of an activation."""
    return weighted(rng, ACTIVATIONS)


def initializer(rng: Rng) -> list:
    """[name, scale or None]."""
    name = weighted(rng, INITIALIZERS)
    return [name, log_float(rng, 0.1, 10) if name in SCALED_INITIALIZERS else None]


def augmentation(rng: Rng) -> dict[str, Any]:
    """Settings of an augmentation; all eight are drawn even where they have no effect."""
    return {
        "crop_amount": choice(rng, (0, 0, 0, 1, 2)),
        "flip_left_right": choice(rng, (False, True)),
        "flip_up_down": choice(rng, (False, True)),
        "do_color_aug": choice(rng, (False, True)),
        "brightness": log_float(rng, 0.001, 64.0 / 255.0),
        "saturation": log_float(rng, 0.01, 1.0),
        "hue": log_float(rng, 0.01, 0.5),
        "contrast": log_float(rng, 0.01, 1.0),
    }


def image_dataset(rng: Rng) -> list:
    """[name, arguments, augmentation or None]. The augmentation is drawn before the arguments."""
    name = choice(rng, tuple(IMAGE_DATASETS))
    augmented = augmentation(rng) if boolean(rng, 0.3) else None
    batch_sizes, train_sizes, just_train = IMAGE_DATASETS[name]
    arguments: dict[str, Any] = {"bs": log_int(rng, *batch_sizes)}
    if train_sizes is None:
        arguments["just_train"] = boolean(rng, just_train)
        arguments["num_train"] = None
        return [name, arguments, augmented]
    arguments["num_train"] = linear_int(rng, *train_sizes)
    if name in ("mnist", "fashion_mnist"):
        arguments["num_classes"] = 10
    arguments["just_train"] = boolean(rng, just_train)
    return [name, arguments, augmented]


def rnn_core(rng: Rng) -> list:
    """[vrnn, gru or lstm, its arguments]. Linked cores share one initializer; the draw of it is never left out."""
    core = choice(rng, ("vrnn", "gru", "lstm"))
    linked = choice(rng, (True, True, True, True, False))
    arguments: dict[str, Any] = {}
    if core == "vrnn":
        arguments |= _initializers(rng, ("hidden_to_hidden", "in_to_hidden"), linked)
        arguments["act_fn"] = activation(rng)
        arguments["core_dim"] = log_int(rng, 32, 128)
    elif core == "gru":
        arguments["core_dim"] = log_int(rng, 32, 128)
        arguments |= _initializers(rng, GRU_KERNELS, linked)
    else:
        arguments["w_gates"] = initializer(rng)
        arguments["core_dim"] = log_int(rng, 32, 128)
    return [core, arguments]


def _initializers(rng: Rng, kernels: Sequence[str], linked: bool) -> dict[str, list]:
    if linked:
        one = initializer(rng)
        return {kernel: list(one) for kernel in kernels}
    return {kernel: initializer(rng) for kernel in kernels}


def text_dataset(rng: Rng) -> list:
    """[name, arguments] of text to classify. num_train is drawn first and stands second."""
    name = choice(rng, TEXT_DATASETS)
    num_train = _text_num_train(rng)
    arguments = {
        "bs": log_int(rng, 8, 512),
        "num_train": num_train,
        "max_token": 8185,
        "just_train": boolean(rng, 0.2),
        "patch_length": log_int(rng, 8, 128),
    }
    return [name, arguments]


def char_lm_dataset(rng: Rng) -> list:
    """[name, arguments] of text in bytes."""
    return _language_model_dataset(rng, BYTE_DATASETS, longest_patch=160)


def word_lm_dataset(rng: Rng) -> list:
    """[name, arguments] of text in subwords."""
    return _language_model_dataset(rng, SUBWORD_DATASETS, longest_patch=256)


def _language_model_dataset(rng: Rng, names: Sequence[str], longest_patch: int) -> list:
    name = choice(rng, names)
    num_train = _text_num_train(rng)
    arguments = {
        "patch_length": log_int(rng, 10, longest_patch),
        "batch_size": log_int(rng, 8, 512),
        "just_train": boolean(rng, 0.2),
        "num_train": num_train,
    }
    return [name, arguments]


def _text_num_train(rng: Rng) -> int | None:
    return linear_int(rng, 1000, 50000) if boolean(rng, 0.2) else None
