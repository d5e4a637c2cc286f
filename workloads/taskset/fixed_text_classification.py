"""TaskSet's twelve fixed text classifiers: recurrent nets on slices of IMDB reviews."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from workloads._workload import Workload
from workloads.taskset import _recurrent, _task, _text, _text_classifier
from workloads.taskset.quirks import RELEASED, Quirks


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of group `text_rnn_classification`.

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
        cell=_recurrent.fixed(config["core"], config["units"], config["rnn_activation"]),
        outputs=_text.text_set(config["dataset"]).classes,
        trainable_init=True,
    )
    patch_length = config["patch_length"]
    return _task.task(
        name,
        "rnn",
        f"TaskSet text classifier, {config['core']} {config['units']} ({config['aggregate']}) "
        f"on slices of {patch_length} of {config['dataset']}",
        _text_classifier.functions(net, config["aggregate"]),
        _text.load(config["dataset"], patch_length, config["num_per_valid"], None, data_dir, labels=True),
        config["batch_size"],
        "SOFTMAX_CROSS_ENTROPY",
    )
