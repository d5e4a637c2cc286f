"""TaskSet's `rnn_text_classification_family`: recurrent nets that classify slices of reviews."""

from __future__ import annotations

import pathlib
from typing import Any

from workloads._workload import Workload
from workloads.taskset import _draws, _nets, _recurrent, _task, _text, _text_classifier
from workloads.taskset.quirks import RELEASED, Quirks

PER_VALIDATION = 3000  # texts of each validation split of real data


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(1)["core"][0], sample(1)["loss_compute"]
      ('lstm', 'avg')
    """
    rng = _draws.generator(seed)
    return {
        "embed_dim": _draws.log_int(rng, 8, 128),
        "w_init": _draws.initializer(rng),
        "dataset": _draws.text_dataset(rng),
        "vocab_size": _draws.log_int(rng, 100, 10000),
        "core": _draws.rnn_core(rng),
        "trainable_init": _draws.choice(rng, (True, False)),
        "loss_compute": _draws.choice(rng, ("last", "avg", "max")),
    }


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/rnn_text_classification_family_seed<k>` as released."""
    return from_config(f"taskset/rnn_text_classification_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: dict[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family, with switches for what the released code did differently.

    Args:
      name: of the workload.
      config: as `sample` returns it.
      data_dir: see `workloads.load`.
      quirks: text_dataset, just_train, truncated_normal.
    """
    named, arguments = config["dataset"]
    dataset = _text.IMDB if quirks.text_dataset == "imdb_always" or named == _text.FUSED else named
    classes = _text.text_set(dataset).classes
    net = _recurrent.RecurrentNet(
        tokens=min(arguments["max_token"], config["vocab_size"]),
        embed_dim=config["embed_dim"],
        cell=_recurrent.sampled(config["core"], quirks),
        outputs=classes,
        trainable_init=config["trainable_init"],
        output_init=_nets.initializer(*config["w_init"], quirks=quirks),
    )
    made = _text_classifier.functions(net, config["loss_compute"])
    structure = {key: value for key, value in config.items() if key != "dataset"} | {
        "family": "rnn_text_classification",
        "classes": classes,
        "max_token": arguments["max_token"],
        "patch_length": arguments["patch_length"],
        "quirks": [quirks.truncated_normal],
    }
    core, core_arguments = config["core"]
    return _task.task(
        name,
        "rnn",
        f"TaskSet text classifier with a {core} of {core_arguments['core_dim']} units ({config['loss_compute']}) "
        f"on slices of {arguments['patch_length']} of {dataset}",
        made,
        _text.load(
            dataset,
            arguments["patch_length"],
            PER_VALIDATION,
            arguments["num_train"],
            data_dir,
            labels=True,
            just_train=quirks.just_train == "honoured" and arguments["just_train"],
        ),
        arguments["bs"],
        "SOFTMAX_CROSS_ENTROPY",
        _task.one_program(structure, made),
    )
