"""What all of TaskSet's classifiers of images have in common: from a net's logits to a workload."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax

from workloads import classification
from workloads._workload import Functions, ModelState, Params, Workload
from workloads.functions import Init
from workloads.losses import cross_entropy
from workloads.taskset import _images, _nets, _task
from workloads.taskset.quirks import Quirks

# (params, model_state, images [example, height, width, channel] in [0, 1], key, train) -> (logits, model_state)
Forward = Callable[[Params, ModelState, jax.Array, jax.Array, bool], tuple[jax.Array, ModelState]]


def functions(
    init: Init, forward: Forward, of_logits: classification.PerExample = cross_entropy
) -> Functions:
    """A workload's functions: the mean loss over the batch, and sums that count right answers too."""

    def apply(params, model_state, batch, key, train, dropout_rate):
        del dropout_rate
        return forward(params, model_state, _nets.pixels(batch["inputs"]), key, train)

    return classification.unsmoothed(init, apply, of_logits)


def image_shape(dataset: list) -> tuple[int, int, int]:
    """Height, width and channels of what the net of a sampled config sees: a crop shrinks the images."""
    name, _, augmentation = dataset
    height, width, channels = _images.IMAGE_SETS[name].shape
    crop = augmentation["crop_amount"] if augmentation else 0
    return height - crop, width - crop, channels


def sampled_task(
    name: str,
    family: str,
    cost_class: str,
    config: Mapping[str, Any],
    net: tuple[Init, Callable[[Params, jax.Array], jax.Array]],
    summary: str,
    data_dir: pathlib.Path | None,
    quirks: Quirks,
) -> Workload:
    """The workload of a sampled config.

    Args:
      name: of the workload.
      family: of TaskSet, such as `mlp_family`.
      cost_class: `Workload.cost_class`.
      config: with `dataset` and `center_data`; without its data set, it determines the net.
      net: init, and (params, images, centred where the config says so) -> logits.
      summary: what the net is, to be followed by the data set.
      data_dir, quirks: see `from_config` of the families.
    """
    init, logits = net
    dataset, arguments, augmentation = config["dataset"]

    def forward(params, model_state, images, key, train):
        del key, train
        return logits(params, 2.0 * images - 1.0 if config["center_data"] else images), model_state

    made = functions(init, forward)
    structure = {
        "family": family,
        "image": _images.IMAGE_SETS[dataset].shape,
        "classes": _images.IMAGE_SETS[dataset].classes,
        "net": {field: value for field, value in config.items() if field != "dataset"},
        "augmentation": augmentation,
        "quirks": dataclasses.asdict(quirks),
    }
    return _task.task(
        name,
        cost_class,
        f"TaskSet {summary} on {dataset}{', augmented' if augmentation else ''}",
        made,
        _images.load(config["dataset"], data_dir, quirks),
        arguments["bs"],
        "SOFTMAX_CROSS_ENTROPY",
        _task.one_program(structure, made),
    )


def fixed_task(
    name: str,
    cost_class: str,
    config: Mapping[str, Any],
    made: Functions,
    loss_type: str,
    summary: str,
    data_dir: pathlib.Path | None,
    quirks: Quirks,
) -> Workload:
    """The workload of a fixed task.

    Args:
      name: of the workload.
      cost_class: `Workload.cost_class`.
      config: of `fixed.json`; without its data set, it determines the functions.
      made: its functions.
      loss_type: see `Workload`.
      summary: what the net is, to be followed by the data set.
      data_dir, quirks: see `fixed.build`.
    """
    dataset = config["dataset"]
    only_data = ("dataset", "num_per_valid")
    structure = {
        "image": _images.IMAGE_SETS[dataset].shape,
        "classes": _images.IMAGE_SETS[dataset].classes,
        "net": {field: value for field, value in config.items() if field not in only_data},
        "quirks": dataclasses.asdict(quirks),
    }
    return _task.task(
        name,
        cost_class,
        f"TaskSet fixed {summary} on {dataset}",
        made,
        _images.load_fixed(dataset, config["num_per_valid"], data_dir),
        config["batch_size"],
        loss_type,
        _task.one_program(structure, made),
    )
