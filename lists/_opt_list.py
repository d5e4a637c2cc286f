"""Published lists as Optax optimizers: try index 0, then 1, and so on, until the training is good enough.

The one module here that knows how things are trained: it hands a point to its update rule, and brings in JAX when it
is called, not before.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING

from lists._published import published

if TYPE_CHECKING:
    import optax

ORDERS = ("opt_list", "appendix_f")  # of Metz' list; in `PUBLISHED` they are metz2020/opt_list and so on
RULES = ("nadamw_metz_code_ported", "nadamw_metz_code")


def opt_list(
    index: int, training_steps: int, order: str = "opt_list", *, rule: str = "nadamw_metz_code_ported"
) -> optax.GradientTransformation:
    """Entry `index` of the list of Metz et al. as an optimizer: NAdamW with its schedule.

    Good lists are tried in order; fewer than 10 entries often suffice. Weights decay by the entry's own numbers, so a
    model's own weight decay has to be off. Nobody published which entries lower the list's cost and which fill it up.

    | order | entries | as |
    |---|---|---|
    | opt_list | 1000 | the package of that name tries them; seeds 251, 611, 799, ... of `nadamw_grid` |
    | appendix_f | 50 | the paper prints them; seeds 743, 342, 799, ... |

    Args:
      index: place in the list, from 0.
      training_steps: length of the training, at least 1: the schedule ends there. Steps.
      order: "opt_list" or "appendix_f".
      rule: "nadamw_metz_code_ported", what the package does in JAX and PyTorch; "nadamw_metz_code", what it does in
        TensorFlow and what the list was learnt with. See `submissions.OPTIMIZERS`.

    Returns:
      An Optax gradient transformation; its `update` needs the parameters.

    Raises:
      ValueError: no such entry, order or rule, or fewer than 1 training step.

    Example:
      >>> import optax
      >>> optimizer = opt_list(0, training_steps=1000)
      >>> isinstance(optimizer, optax.GradientTransformation)
      True

    Reference: Metz et al. 2020, arXiv:2002.11887, section 4 and appendix F.
    """
    from submissions import taskset_grids

    if order not in ORDERS:
        raise ValueError(f"order is {order!r}; allowed: {', '.join(map(repr, ORDERS))}")
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; allowed: {', '.join(map(repr, RULES))}")
    if order == "opt_list":
        names = [f"nadamw_grid_seed{seed}" for seed in _opt_list_seeds()]
    else:
        names = [point.id for point in published(f"metz2020/{order}").points]
    name = names[_checked(index, len(names), f"metz2020/{order}")]
    return _optimizer(rule, taskset_grids.grid_point(name), training_steps, name)


def medapati(index: int, training_steps: int) -> optax.GradientTransformation:
    """Entry `index` of the five-point list of Medapati et al. as an optimizer: `optax.nadamw` with its schedule.

    The entries also set dropout and label smoothing, which belong to the model: they are in
    `published("medapati2025").points[index].hyperparameters` as dropout_rate and label_smoothing.

    Args:
      index: place in the list, 0 to 4.
      training_steps: length of the training, at least 1: the schedule ends there. Steps.

    Returns:
      An Optax gradient transformation; its `update` needs the parameters.

    Raises:
      ValueError: no such entry, or fewer than 1 training step.

    Reference: Medapati et al. 2025, arXiv:2503.03986, Table 10.
    """
    entries = published("medapati2025")
    point = entries.points[_checked(index, len(entries.points), entries.name)]
    return _optimizer(entries.update_rule, point.hyperparameters, training_steps, f"point {point.id}")


def _optimizer(rule, hyperparameters, training_steps: int, where: str):
    import submissions

    optimizer = submissions.optimizer(rule)
    return optimizer(optimizer.prepare(hyperparameters, training_steps, where=where), training_steps)


def _checked(index: int, entries: int, name: str) -> int:
    if not 0 <= index < entries:
        raise ValueError(f"index is {index}; {name} has entries 0 to {entries - 1}")
    return index


@functools.cache
def _opt_list_seeds() -> tuple[int, ...]:
    file = resources.files("lists").joinpath("published", "metz2020", "opt_list_seeds.json")
    return tuple(json.loads(file.read_text())["seeds"])
