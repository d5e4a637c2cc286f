"""TaskSet's 109 fixed tasks, by their original names; what each of them is stands in `fixed.json`.

The paper counts 107; the code registers 109, and released curves exist for the same 109 names.
"""

from __future__ import annotations

import functools
import importlib
import importlib.resources
import pathlib
from collections.abc import Mapping
from typing import Any

import msgspec

from workloads._workload import Workload
from workloads.taskset.quirks import RELEASED, Quirks

# group of fixed.json -> module with `from_config(name, config, data_dir, quirks) -> Workload`
GROUPS = {
    "associative": "synthetic_sequences",
    "copy": "synthetic_sequences",
    "image_conv": "fixed_image_conv",
    "image_conv_ae": "fixed_image_autoencoders",
    "image_conv_vae": "fixed_image_autoencoders",
    "language_model": "fixed_language_models",
    "maf": "fixed_flows",
    "mlp": "fixed_mlp",
    "mlp_ae": "fixed_image_autoencoders",
    "mlp_vae": "fixed_image_autoencoders",
    "nvp": "fixed_flows",
    "text_rnn_classification": "fixed_text_classification",
    "two_d": "two_d",
}


@functools.cache
def configs() -> Mapping[str, Mapping[str, Any]]:
    """Name -> what the task is: its group, and the fields of that group.

    Example:
      >>> configs()["TwoD_Bowl10"]["condition_number"]
      10.0
    """
    return msgspec.json.decode(
        importlib.resources.files("workloads.taskset").joinpath("fixed.json").read_bytes()
    )


def groups() -> dict[str, list[str]]:
    """Group -> names of its tasks, in the order of the table."""
    members: dict[str, list[str]] = {}
    for name, config in configs().items():
        members.setdefault(config["group"], []).append(name)
    return members


def build(name: str, data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED) -> Workload:
    """The workload `taskset/<name>` of a fixed task.

    Args:
      name: a key of `configs()`.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default.
    """
    config = configs()[name]
    module = importlib.import_module(f"workloads.taskset.{GROUPS[config['group']]}")
    return module.from_config(f"taskset/{name}", config, data_dir, quirks)
