"""Tensors of one shape as one array, so that they share a batched product.

A model's tensors are few shapes, many times. A function of one tensor is mapped over each stack of them; what it keeps
from one update to the next stays stacked, and only parameters, gradients and updates are put together and taken apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from submissions.optimizers._late import jax, jnp


@dataclasses.dataclass(frozen=True)
class Shapes:
    """Which leaves of a tree have one shape and precision. Made by `of`; takes other trees of the same structure.

    Attributes:
      structure: of the tree.
      shapes: of its leaves, in their order.
      groups: leaves of one shape by their number, in order of first appearance; scalars count as vectors of one.
    """

    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[int, ...], ...]

    def stacked(self, tree: Any) -> tuple[jax.Array, ...]:
        """One array [stack, *S] per group; S of scalars is (1,)."""
        leaves = jax.tree.leaves(tree)
        return tuple(
            jnp.stack([jnp.reshape(leaves[i], self.shapes[i] or (1,)) for i in group])
            for group in self.groups
        )

    def unstacked(self, stacks: Sequence[jax.Array]) -> Any:
        """The tree of arrays [stack, *S]."""
        leaves: list[Any] = [None] * len(self.shapes)
        for group, stack in zip(self.groups, stacks, strict=True):
            for i, x in zip(group, stack, strict=True):
                leaves[i] = jnp.reshape(x, self.shapes[i])
        return jax.tree.unflatten(self.structure, leaves)

    def parted(self, rows: jax.Array) -> tuple[jax.Array, ...]:
        """[tensor, ...], in the order of leaves, as one array [stack, ...] per group."""
        return tuple(rows[jnp.asarray(group)] for group in self.groups)

    def joined(self, stacks: Sequence[jax.Array]) -> jax.Array:
        """The inverse of `parted`: one row for each tensor, in the order of leaves."""
        place = {i: number for number, i in enumerate(i for group in self.groups for i in group)}
        return jnp.concatenate(list(stacks))[jnp.asarray([place[i] for i in range(len(self.shapes))])]

    def map(self, function: Callable[..., Any], *stacks: Sequence[Any]) -> list[Any]:
        """function(of one tensor, ...) mapped over every group; each argument has one tree [stack, ...] per group."""
        return [jax.vmap(function)(*arguments) for arguments in zip(*stacks, strict=True)]


def of(tree: Any) -> Shapes:
    """The shapes of a tree of arrays; known while tracing."""
    leaves, structure = jax.tree.flatten(tree)
    groups: dict[Any, list[int]] = {}
    for i, leaf in enumerate(leaves):
        groups.setdefault((leaf.shape or (1,), jnp.dtype(leaf.dtype)), []).append(i)
    shapes = tuple(tuple(leaf.shape) for leaf in leaves)
    return Shapes(structure, shapes, tuple(map(tuple, groups.values())))
