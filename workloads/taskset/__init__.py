"""TaskSet (Metz et al. 2020, arXiv:2002.11887): 12 families of sampled tasks and 109 fixed ones.

A family is a module with `sample(seed)`, the original's configuration of that seed, and `from_config`, the workload.
`_draws` holds the draws that families share, `_quirks` the named switches between what was released and what was
meant, `_task` what all tasks have in common; `fixed.json` defines the fixed tasks.
"""

from __future__ import annotations

import functools
import importlib
import importlib.resources
from collections.abc import Mapping
from typing import Any

import msgspec

# family -> seed of the member that stands for it in lists: an ordinary and cheap one
FAMILIES = {
    "mlp_family": 15,
    "mlp_ae_family": 17,
    "mlp_vae_family": 10,
    "conv_fc_family": 17,
    "conv_pooling_family": 17,
    "char_rnn_language_model_family": 11,
    "word_rnn_language_model_family": 11,
    "rnn_text_classification_family": 5,
    "maf_family": 16,
    "nvp_family": 17,
    "quadratic_family": 7,
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


# Two cores multiply matrices at about 1.3e11 FLOP/s: 10,000 of such steps take an hour at the very best.
MOST_FLOPS_PER_STEP = 5e10


@functools.cache
def rejected() -> Mapping[str, str]:
    """Tasks among seeds 0 to 99 and the fixed ones that Shortlist rejects -> the reason; all others train.

    The original rejected about 145 of the same 1,200 candidates (too slow, in error, or without progress), but its
    list was not published beside its code. `benchmarks/every_task.py` made this one:

    * `invalid: ...`: the config cannot be built; `load` raises the same.
    * `diverges: ...`: no learning rate tried keeps 20 steps of Adam finite; the task loads.
    * `too slow: ...`: more than MOST_FLOPS_PER_STEP; the task loads.
    """
    return msgspec.json.decode(
        importlib.resources.files("workloads.taskset").joinpath("rejected.json").read_bytes()
    )
