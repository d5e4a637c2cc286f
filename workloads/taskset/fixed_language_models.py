"""TaskSet's five fixed language models: the next byte of lm1b, padding masked."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from workloads._workload import Workload
from workloads.taskset import _language_model, _recurrent, _task, _text
from workloads.taskset.quirks import RELEASED, Quirks


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of group `language_model`.

    The original has 256 ids for 257 bytes with padding and clips none: byte 255 would be out of range. It does not
    occur in UTF-8; here it counts as byte 254.

    Args:
      name: of the workload.
      config: of `fixed.json`.
      data_dir: see `workloads.load`.
      quirks: none of them concerns these tasks.
    """
    del quirks
    net = _recurrent.RecurrentNet(
        tokens=config["vocab_size"],
        embed_dim=config["embed_dim"],
        cell=_recurrent.fixed(config["core"], config["units"]),
        outputs=config["vocab_size"],
        trainable_init=True,
    )
    patch_length = config["patch_length"]
    return _task.task(
        name,
        "rnn",
        f"TaskSet language model, {config['core']} {config['units']}, "
        f"on slices of {patch_length} of {config['dataset']}",
        _language_model.functions(net, masked=True),
        _text.load(config["dataset"], patch_length, config["num_per_valid"], None, data_dir),
        config["batch_size"],
        "SOFTMAX_CROSS_ENTROPY",
    )
