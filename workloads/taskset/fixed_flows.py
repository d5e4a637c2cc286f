"""TaskSet's fixed normalising flows on images.

Kernels are TensorFlow's defaults: Glorot's, uniform for the dense layers of Real NVP and normal for masked ones.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping
from typing import Any

from workloads._workload import Workload
from workloads.taskset import _images, _nets, _unsupervised, maf_family, nvp_family
from workloads.taskset.quirks import RELEASED, Quirks

# What the name says where the released code does something else: quirk `misnamed_tasks`.
AS_NAMED: dict[str, dict[str, Any]] = {"FixedNVP_mnist_9layer_thin_bs16": {"batch_size": 16}}


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """The workload of a fixed flow.

    Args:
      name: of the workload, `taskset/<name of the task>`.
      config: its entry in `fixed.json`.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default.
    """
    if quirks.misnamed_tasks == "as_named":
        config = {**config, **AS_NAMED.get(name.removeprefix("taskset/"), {})}
    pixels = math.prod(_images.IMAGE_SETS[config["dataset"]].shape)
    net = (pixels, config["hidden_layers"], config["num_bijectors"], config["activation"])
    if config["group"] == "nvp":
        model = nvp_family.flow(*net, _nets.initializer("glorot_uniform", None))
    else:
        model = maf_family.flow(name, *net, _nets.initializer("glorot_normal", None), quirks)
    return _unsupervised.fixed_task(name, config, model, data_dir, quirks)
