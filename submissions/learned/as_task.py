"""Learned optimizers as what a task trains: functions of their weights alone, that may be differentiated.

`workloads.velo.lopt` knows this module by its name, as workloads know nothing of the optimizers that train them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from submissions.learned._table import LEARNED
from submissions.optimizers._rule import Seen


class Trained(NamedTuple):
    """A learned optimizer without its weights.

    Attributes:
      initial: key -> weights before any training.
      begin: (weights, params, key, horizon) -> state.
      step: (weights, grads, state, params, loss, number, key) -> (updates, state).
    """

    initial: Callable[[Any], Any]
    begin: Callable[[Any, Any, Any, int], Any]
    step: Callable[..., tuple[Any, Any]]


def trained(name: str, sizes: Mapping[str, Any], switches: Mapping[str, Any]) -> Trained:
    """The optimizer of a name in `LEARNED`.

    Args:
      name: of the optimizer.
      sizes: of its weights, where not the released ones.
      switches: likewise.
    """
    row = LEARNED[name]

    def begin(weights, params, key, horizon):
        return row.make(weights, **switches).init(weights, {}, params, key, horizon)

    def step(weights, grads, state, params, loss, number, key):
        rule = row.make(weights, **switches)
        return rule.update(weights, {}, grads, state, params, Seen(loss, number, key))

    return Trained(lambda key: row.initial(key, **sizes), begin, step)
