"""What TaskSet's autoencoders and flows have in common: images are learnt without their labels."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from workloads._source import Batch, ResidentData
from workloads._workload import Functions, Params, Workload
from workloads.functions import functions_of
from workloads.layers import Layers, init_layers
from workloads.taskset import _images, _nets, _task
from workloads.taskset.quirks import Quirks

Losses = Callable[[Params, Batch, jax.Array], Float[Array, " example"]]  # the key feeds what is random
# constants of `SharedProgram`, possibly traced -> functions
Bind = Callable[[Mapping[str, Any]], Functions]

# AlgoPerf has no name for a negative log likelihood of normals; its nearest one is that of the exponent.
LIKELIHOOD = "MEAN_SQUARED_ERROR"


def functions(init: Callable[[jax.Array], Params], of_params: Losses) -> Functions:
    """A workload's functions: the mean over the batch of a loss per example, which counts as the model's output."""

    def apply(params, model_state, batch, key, train, dropout_rate):
        del train, dropout_rate
        return of_params(params, batch, key), model_state

    def losses(outputs, batch, label_smoothing):
        del batch, label_smoothing
        return outputs, None

    return functions_of(lambda key: (init(key), ()), apply, losses)


def init_nets(key: jax.Array, nets: Mapping[str, Layers]) -> Params:
    """Parameters [net][layer] of several nets, drawn together."""
    layers = {f"{net}/{layer}": make for net, members in nets.items() for layer, make in members.items()}
    made = init_layers(jax.random.split(key, len(layers)), layers)
    return {net: {layer: made[f"{net}/{layer}"] for layer in members} for net, members in nets.items()}


def flat(images: jax.Array) -> Float[Array, "example pixel"]:
    """Images [example, height, width, channel], bytes or floats, as vectors in [0, 1]."""
    return _nets.pixels(images).reshape(images.shape[0], -1)


def centred(pixels: jax.Array) -> jax.Array:
    """From [0, 1] to [-1, 1]."""
    return 2.0 * pixels - 1.0


def then(data: ResidentData, last: Callable[[jax.Array, Batch], Batch]) -> ResidentData:
    """The data with one more transform, (key, batch) -> batch, behind their own.

    Noise of the data is drawn there, not in the loss: once for all trials that share a batch. Inside the loss every
    trial would draw its own, which takes longer than a small net, and would no longer share the product of the first
    layer.
    """
    first = data.transform
    if first is None:
        return dataclasses.replace(data, transform=lambda key, batch, split: last(key, batch))

    def transform(key, batch, split):
        first_key, last_key = jax.random.split(key)
        return last(last_key, first(first_key, batch, split))

    return dataclasses.replace(data, transform=transform)


@dataclasses.dataclass(frozen=True)
class Model:
    """What a task is but for its images.

    Attributes:
      cost_class: `Workload.cost_class`.
      summary: what the net is, to be followed by the data set.
      loss_type: see `Workload`.
      bind: see `SharedProgram`.
      constants: see `SharedProgram`.
      noise: a last transform of the data, see `then`.
      constraint: see `Workload`.
    """

    cost_class: str
    summary: str
    loss_type: str
    bind: Bind
    constants: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    noise: Callable[[jax.Array, Batch], Batch] | None = None
    constraint: Callable[[Params], Params] | None = None


def sampled_task(
    name: str,
    family: str,
    config: Mapping[str, Any],
    model: Model,
    data_dir: pathlib.Path | None,
    quirks: Quirks,
) -> Workload:
    """The workload of a sampled config.

    Args:
      name: of the workload.
      family: of TaskSet, such as `mlp_ae_family`.
      config: with `dataset`; without its data set, it determines the model but for the model's constants.
      model: what the task is.
      data_dir, quirks: see `from_config` of the families.
    """
    dataset, arguments, augmentation = config["dataset"]
    structure = {
        "family": family,
        "image": _images.IMAGE_SETS[dataset].shape,
        "net": {field: value for field, value in config.items() if field != "dataset"},
        "augmentation": augmentation,
        "quirks": dataclasses.asdict(quirks),
    }
    return _task_of(
        name,
        model,
        f"TaskSet {model.summary} on {dataset}{', augmented' if augmentation else ''}",
        _images.load(config["dataset"], data_dir, quirks),
        arguments["bs"],
        structure,
    )


def fixed_task(
    name: str, config: Mapping[str, Any], model: Model, data_dir: pathlib.Path | None, quirks: Quirks
) -> Workload:
    """The workload of a fixed task.

    Args:
      name: of the workload.
      config: of `fixed.json`; without its data set and batch size, it determines the model but for the model's
        constants.
      model: what the task is.
      data_dir, quirks: see `fixed.build`.
    """
    dataset = config["dataset"]
    only_data = ("dataset", "batch_size", "num_per_valid")
    structure = {
        "image": _images.IMAGE_SETS[dataset].shape,
        "net": {field: value for field, value in config.items() if field not in only_data},
        "quirks": dataclasses.asdict(quirks),
    }
    return _task_of(
        name,
        model,
        f"TaskSet fixed {model.summary} on {dataset}",
        _images.load_fixed(dataset, config["num_per_valid"], data_dir),
        config["batch_size"],
        structure,
    )


def _task_of(
    name: str, model: Model, summary: str, data: ResidentData, batch_size: int, structure: dict[str, Any]
) -> Workload:
    made = model.bind(model.constants)
    shared = dataclasses.replace(
        _task.one_program(structure, made), constants=model.constants, bind=model.bind
    )
    return _task.task(
        name,
        model.cost_class,
        summary,
        made,
        data if model.noise is None else then(data, model.noise),
        batch_size,
        model.loss_type,
        shared,
        model.constraint,
    )
