"""How a workload is judged on a split: something is accumulated over its examples, and metrics computed from it.

Importable without JAX.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

Totals = Any  # a pytree of arrays


def add(totals: Totals, more: Totals) -> Totals:
    """Sums of both, leaf by leaf."""
    import jax

    return jax.tree.map(lambda x, y: x + y, totals, more)


def means(totals: Mapping[str, Any]) -> dict[str, Any]:
    """Sums divided by the sum "examples"."""
    return {name: total / totals["examples"] for name, total in totals.items() if name != "examples"}


@dataclasses.dataclass(frozen=True)
class Measure:
    """Accumulates over the batches of a split inside programs, and computes metrics at its end.

    The default is sums over examples, which a program can add and divide itself. A BLEU score, a word error rate or a
    mean average precision gives `merge` and `compute` of its own and says that they belong to the host.

    Attributes:
      accumulate: (params, model_state, batch, key) -> totals of the batch, arrays. Traced, for one trial.
      merge: (totals, totals) -> totals of both.
      compute: totals -> metric -> value.
      in_program: merge and compute may be traced too, over any leading axes. Otherwise the host is handed the totals
        of every batch, as NumPy arrays, trial by trial.
    """

    accumulate: Callable[[Any, Any, Any, Any], Totals]
    merge: Callable[[Totals, Totals], Totals] = add
    compute: Callable[[Totals], Mapping[str, Any]] = means
    in_program: bool = True


@dataclasses.dataclass(frozen=True)
class ForeignMeasure:
    """A measure that foreign code takes as a whole, on its own reading of the data: an installed AlgoPerf's.

    Attributes:
      evaluate: (params, model_state, split, examples) -> metric -> value over so many examples of the split.
    """

    evaluate: Callable[[Any, Any, str, int], Mapping[str, float]]
