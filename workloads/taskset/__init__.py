"""TaskSet (Metz et al. 2020, arXiv:2002.11887): 12 families of sampled tasks and 109 fixed ones.

A family is a module with `sample(seed)`, the original's configuration of that seed, and `from_config`, the workload.
`_draws` holds the draws that families share, `quirks` the named switches between what was released and what was
meant, `_task` what all tasks have in common; `fixed.json` defines the fixed tasks.
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
    "nvp_family": 38,
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


def task(name: str, data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED) -> Workload:
    """A sampled or fixed task, with switches for what the released program did differently. Imports JAX.

    Args:
      name: without `taskset/`, such as `mlp_family_seed12` or `TwoD_Bowl10`.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default. Through `workloads.load`, and so in studies, they stand in the name:
        `taskset/mlp_family_seed12@just_train=honoured`.

    Raises:
      ValueError: unknown task, or one that cannot be built.
    """
    from workloads.taskset import fixed

    family, _, seed = name.rpartition("_seed")
    if family in FAMILIES and seed.isdecimal():
        module = importlib.import_module(f"workloads.taskset.{family}")
        return module.from_config(f"taskset/{name}", module.sample(int(seed)), data_dir, quirks)
    if name not in fixed.configs():
        raise ValueError(f"unknown TaskSet task {name!r}; 'shortlist workloads' lists them")
    return fixed.build(name, data_dir, quirks)


# Two cores multiply matrices at about 1.3e11 FLOP/s: 10,000 of such steps take an hour at the very best.
MOST_FLOPS_PER_STEP = 5e10


@functools.cache
def rejected() -> Mapping[str, str]:
    """Tasks among seeds 0 to 99 and the fixed ones that Shortlist rejects -> the reason; all others train.

    The original rejected about 145 of the same 1,200 candidates (too slow, in error, or without progress), but its
    list was not published beside its code. `benchmarks/every_task.py` made this one by trying them all:

    * `invalid: ...`: the config cannot be built; `load` raises the same.
    * `diverges: ...`: no learning rate tried keeps 20 steps of Adam finite; the task loads.
    * `too slow: ...`: more than MOST_FLOPS_PER_STEP; the task loads.
    """
    return msgspec.json.decode(
        importlib.resources.files("workloads.taskset").joinpath("rejected.json").read_bytes()
    )
