"""TaskSet (Metz et al. 2020, arXiv:2002.11887): 12 families of sampled tasks and 109 fixed ones.

A family is a module with `sample(seed)`, the original's configuration of that seed, and `from_config`, the workload.
`_draws` holds the draws that families share, `_quirks` the named switches between what was released and what was
meant, `_task` what all tasks have in common; `fixed.json` defines the fixed tasks.
"""

from __future__ import annotations

import importlib
from typing import Any

# family -> seed of the member that stands for it in lists: an ordinary and cheap one
FAMILIES = {
    "mlp_family": 15,
    "mlp_ae_family": 0,
    "mlp_vae_family": 0,
    "conv_fc_family": 0,
    "conv_pooling_family": 0,
    "char_rnn_language_model_family": 0,
    "word_rnn_language_model_family": 0,
    "rnn_text_classification_family": 0,
    "maf_family": 0,
    "nvp_family": 0,
    "quadratic_family": 0,
    "losg_tasks_family": 0,
}


def sample(family: str, seed: int) -> Any:
    """The configuration of a family's seed, exactly the original's: keys in their order, plain JSON values.

    Args:
      family: a key of `FAMILIES`.
      seed: 0 or more.

    Raises:
      ValueError: unknown family, or a seed beyond NumPy's legacy generator.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown TaskSet family {family!r}; allowed: {', '.join(FAMILIES)}")
    return importlib.import_module(f"workloads.taskset.{family}").sample(seed)
