"""What the tests of the image classifiers share: tiny data, parameters without compilation, NumPy's own layers."""

from __future__ import annotations

import jax
import numpy as np

from workloads import Provenance, Regularization, ResidentData
from workloads.taskset import _images, _task

# name -> height (and width), channels, classes, as TaskSet's data sets are published
PUBLISHED = {
    "cifar10": (32, 3, 10),
    "cifar100": (32, 3, 100),
    "coil100_32x32": (32, 3, 72),
    "colorectal_histology_32x32": (32, 3, 8),
    "deep_weeds_32x32": (32, 3, 9),
    "fashion_mnist": (28, 1, 10),
    "food101_32x32": (32, 3, 101),
    "food101_64x64": (64, 3, 101),
    "imagenet_resized/16x16": (16, 3, 1000),
    "imagenet_resized/32x32": (32, 3, 1000),
    "mnist": (28, 1, 10),
    "sun397_32x32": (32, 3, 397),
}


def tiny_data(monkeypatch) -> None:
    """Replaces every image set by 512 black images, which take no memory and no time."""

    def load(name: str) -> ResidentData:
        side, channels, _ = PUBLISHED[name]
        images = np.broadcast_to(np.uint8(0), (512, side, side, channels))
        fields = {"inputs": images, "targets": np.zeros(512, np.int32)}
        return ResidentData(dict.fromkeys(_task.SPLITS, fields), Provenance("synthetic", "black images"))

    monkeypatch.setattr(_images, "load", lambda dataset, data_dir, quirks: load(dataset[0]))
    monkeypatch.setattr(_images, "load_fixed", lambda name, per_validation, data_dir: load(name))


def batch(name: str, examples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random images of a set, and labels."""
    side, channels, classes = PUBLISHED[name]
    generator = np.random.default_rng(seed)
    images = generator.integers(256, size=(examples, side, side, channels), dtype=np.uint8)
    return {"inputs": images, "targets": generator.integers(classes, size=examples).astype(np.int32)}


def parameters(workload, biases: float = 0.1):
    """Parameters of the workload's shapes, without its initialisation: kernels that keep the scale of what they are
    given, biases and scales of that deviation around 0 and 1; and its model state."""
    shapes, state = jax.eval_shape(workload.init, jax.random.key(0))
    generator = np.random.default_rng(1)

    def draw(path, leaf):
        size = 1 / np.sqrt(np.prod(leaf.shape[:-1])) if path[-1].key == "kernel" else biases
        values = size * generator.normal(size=leaf.shape) + (path[-1].key == "scale")
        return values.astype(np.float32)

    zeros = jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.full(leaf.shape, float(path[-1].key == "variance"), np.float32), state
    )
    return jax.tree_util.tree_map_with_path(draw, shapes), zeros


def quickly(function):
    """Compiled without optimisation, which takes a tenth of the time."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": "0"})


def losses(workload, params, state, batch, train=True, key=None):
    """The mean loss, or the mean that the sums of an evaluation give; and the new model state."""
    key = jax.random.key(0) if key is None else key
    if train:
        call = quickly(lambda p, s: workload.loss(p, s, batch, key, True, Regularization()))
        return call(params, state)
    sums = quickly(lambda p, s: workload.metrics(p, s, batch, key))(params, state)
    return sums["loss"] / sums["examples"], state


def constant(state, mean, variance):
    """Moving averages that are the same everywhere."""
    values = {"mean": mean, "variance": variance}
    return {
        name: {field: np.full_like(x, values[field]) for field, x in layer.items()}
        for name, layer in state.items()
    }


# NumPy's layers, in float64


def convolution(layer, x, stride: int, padding: str) -> np.ndarray:
    """3x3, window by window; TensorFlow's SAME puts the odd zero behind."""
    kernel = np.asarray(layer["kernel"], np.float64)
    if padding == "SAME":
        missing = [max((-(-size // stride) - 1) * stride + 3 - size, 0) for size in x.shape[1:3]]
        x = np.pad(x, ((0, 0), *((total // 2, total - total // 2) for total in missing), (0, 0)))
    rows, columns = (range(0, size - 2, stride) for size in x.shape[1:3])
    windows = [[x[:, i : i + 3, j : j + 3] for j in columns] for i in rows]
    y = np.array([[np.einsum("bhwc,hwco->bo", window, kernel) for window in row] for row in windows])
    return y.transpose(2, 0, 1, 3) + np.asarray(layer.get("bias", 0.0), np.float64)


def dense(layer, x) -> np.ndarray:
    return x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)


def cross_entropy(logits, labels) -> np.ndarray:
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log(probabilities[np.arange(len(labels)), labels])
