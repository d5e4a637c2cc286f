"""TaskSet's `word_rnn_language_model_family`: recurrent nets that predict the next subword."""

from __future__ import annotations

import pathlib
from typing import Any

from workloads._workload import Workload
from workloads.taskset import _draws, _language_model
from workloads.taskset.quirks import RELEASED, Quirks

PER_VALIDATION = 10_000  # texts of each validation split of real data


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(0)["core"][0], sample(0)["dataset"][0]
      ('gru', 'tokenized_wikipedia/20190301.ja_subwords8k')
    """
    rng = _draws.generator(seed)
    return {
        "embed_dim": _draws.log_int(rng, 8, 128),
        "w_init": _draws.initializer(rng),
        "vocab_size": _draws.log_int(rng, 1000, 30000),
        "core": _draws.rnn_core(rng),
        "trainable_init": _draws.choice(rng, (True, False)),
        "dataset": _draws.word_lm_dataset(rng),
    }


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/word_rnn_language_model_family_seed<k>` as released."""
    return from_config(f"taskset/word_rnn_language_model_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: dict[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family; see `_language_model.sampled`."""
    return _language_model.sampled(name, config, PER_VALIDATION, data_dir, quirks)
