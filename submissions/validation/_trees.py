"""Trees of arrays as validation compares them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def arrays(tree: Any) -> list[Any]:
    """The leaves that are arrays."""
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, (jax.Array, np.ndarray))]


def alive(tree: Any) -> list[Any]:
    """The arrays that have not been donated."""
    return [leaf for leaf in arrays(tree) if not (isinstance(leaf, jax.Array) and leaf.is_deleted())]


def on_host(tree: Any) -> list[np.ndarray]:
    """Copies of the numeric leaves: what they were taken from may be donated."""
    return [np.array(leaf) for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype") and _is_plain(leaf)]


def equal(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Whether all values are equal."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _is_plain(leaf: Any) -> bool:
    return not jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def described_as(tree: Any) -> tuple[Any, tuple[str, ...]]:
    """Structure, and shape and type of each leaf: what decides whether JAX compiles again."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(_leaf(leaf) for leaf in leaves)


def _leaf(leaf: Any) -> str:
    if isinstance(leaf, jax.Array):
        return f"{leaf.dtype}{list(leaf.shape)}{' (weak)' if leaf.weak_type else ''}"
    if isinstance(leaf, (np.ndarray, np.generic)):
        return f"{leaf.dtype}{list(leaf.shape)}"
    return type(leaf).__name__


def difference(before: tuple[Any, tuple[str, ...]], after: tuple[Any, tuple[str, ...]]) -> str:
    """The first difference between two descriptions, for people."""
    if before[0] != after[0]:
        old, new = str(before[0]), str(after[0])
        same = next(
            (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
        )
        start = max(same - 40, len("PyTreeDef("))  # some of what is equal shows where the rest is
        return f"the structure {_excerpt(old, start)} became {_excerpt(new, start)}"
    changed = [(old, new) for old, new in zip(before[1], after[1], strict=True) if old != new]
    return f"{changed[0][0]} became {changed[0][1]}, in {len(changed)} of {len(after[1])} leaves"


def _excerpt(text: str, start: int) -> str:
    lead = "..." if start > len("PyTreeDef(") else ""
    return f"{lead}{text[start : start + 90]}{'...' if len(text) > start + 90 else ''}"
