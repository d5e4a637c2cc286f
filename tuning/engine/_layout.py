"""Where the axis of trials stands in the arrays of a population."""

from __future__ import annotations

from typing import Any

import jax


def trial_axes(tree: Any, shared_batches: bool) -> Any:
    """The axis of trials for every leaf of one trial's parameters or optimizer state, for `vmap`.

    It leads, except in tall matrices [inputs, outputs] where trials share their batches: there it stands before the
    outputs, [inputs, trial, outputs]. A layer that reads the batch is then one product of matrices,
    (batch x inputs) (inputs x trials * outputs), forward and backward, without rearranging a weight; see
    `workloads.products`. Such layers have many inputs and few outputs; in deeper ones the trials' activations differ,
    there is one product per trial, and the leading axis is better.

    Args:
      tree: shapes of one trial.
      shared_batches: whether all trials see the same batch.
    """
    return jax.tree.map(lambda leaf: int(shared_batches and _is_tall(leaf.shape)), tree)


def _is_tall(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] >= 2 * shape[1]
