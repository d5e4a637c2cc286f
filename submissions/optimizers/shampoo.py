"""Shampoo with Adam's step length, its matrix roots spread over the updates and made of products alone.

A gradient G with rows and columns has the statistics L <- b2 L + (1 - b2) G G^T and R <- b2 R + (1 - b2) G^T G,
and its momentum m is turned into L^(-1/4) m R^(-1/4), then scaled to the norm of Adam's update for this tensor
(grafting). As only the direction counts, both are divided by their Frobenius norm, and a ridge is added.

How the roots are found. An eigendecomposition per matrix and update costs more than the model, and a population
cannot skip one now and then: under `vmap` both branches run. So A^(-1/p) comes from the coupled Newton iteration

    T = ((p + 1) I - M) / p;  X <- X T;  M <- T^p M,  from M = c A, X = c^(1/p) I, c = (p + 1) / (2 (1 + ridge)),

where M goes to I and X to A^(-1/p), two iterations an update. After 12 updates the root is done; it serves the next
12, while the one after it is made from fresher statistics. Anil et al. use roots that are late in the same way. For
A's eigenvalues in [ridge, 1 + ridge] the smallest eigenvalue of M grows more than 2.2-fold an iteration, so 24 of them
suffice for a ridge of 1e-6: at most 17 to reach 1, the rest to converge quadratically. In float32 the root is then
good to about 1 %, at a ridge of 1e-4 to 0.01 %.

| tensor | direction |
|---|---|
| a matrix, or more axes: all but the last are its rows | Shampoo, by Adam for the first 12 updates |
| one side longer than 256 | that side is left alone, the other gets the exponent -1/2 |
| vectors, scalars, both sides longer | Adam |

Reference: Gupta et al. 2018, arXiv:1802.09568; Anil et al. 2020, arXiv:2002.09018, with grafting and the iteration;
Guo & Higham 2006, SIAM J. Matrix Anal. Appl. 28(3). The schedule of the roots, the table and Frobenius norms are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.optimizers._declaration import (
    BETA1,
    BETA2,
    COSINE,
    EPSILON,
    NO_DECAY,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    log,
    one_of,
)
from submissions.optimizers._hyperparameters import RIDGE, Hyperparameter, Optimizer
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers._moments import add_to_moments, no_moments
from submissions.optimizers.schedules import warmup_then_cosine_of

LONGEST_SIDE = 256
UPDATES_PER_ROOT = 12
ITERATIONS_PER_UPDATE = 2


def shampoo_grafted(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """Shampoo as described above, with linear warm-up, cosine decay to zero and decoupled weight decay.

        L = b2 * L + (1 - b2) * G G^T, R = b2 * R + (1 - b2) * G^T G
        u = L^(-1/4) m R^(-1/4), scaled to the norm of Adam's update
        x = x - lr * (u + weight_decay * x)

    Args:
      hp: learning_rate, beta1, beta2 (of the statistics and of Adam), epsilon (Adam's), matrix_epsilon (the ridge),
        weight_decay, warmup_steps.
      horizon: end of the schedule. Steps.
    """
    return optax.chain(
        scale_by_shampoo(hp["beta1"], hp["beta2"], hp["epsilon"], hp["matrix_epsilon"]),
        optax.add_decayed_weights(hp["weight_decay"]),
        optax.scale_by_learning_rate(warmup_then_cosine_of(hp, horizon)),
    )


class Side(NamedTuple):
    """Rows or columns of a tensor; all [side, side]."""

    statistic: jax.Array
    root: jax.Array  # in use
    estimate: jax.Array  # X of the root in the making
    residual: jax.Array  # M, which goes to I


class ShampooState(NamedTuple):
    moments: optax.ScaleByAdamState
    sides: tuple[tuple[Side | None, ...], ...]  # of each leaf: rows and columns, None where left alone


def scale_by_shampoo(b1: Any, b2: Any, eps: Any, ridge: Any) -> optax.GradientTransformation:
    def init(params) -> Any:
        leaves = jax.tree.leaves(params)
        return ShampooState(no_moments(params), tuple(first_sides(leaf) for leaf in leaves))

    def update(updates, state, params=None):
        del params
        count = state.moments.count
        moments = add_to_moments(updates, state.moments, b1, b2)
        correct1, correct2 = 1 - b1**moments.count, 1 - b2**moments.count
        leaves, structure = jax.tree.flatten(updates)
        directions, all_sides = [], []
        for g, m, v, sides in zip(
            leaves, jax.tree.leaves(moments.mu), jax.tree.leaves(moments.nu), state.sides, strict=True
        ):
            adam = m / correct1 / (jnp.sqrt(v / correct2) + eps)
            order = 2 * sum(side is not None for side in sides)
            rows = as_matrix(g)
            squares = (lambda rows=rows: rows @ rows.T, lambda rows=rows: rows.T @ rows)
            # The roots diverge in TF32, the default of some devices.
            with jax.default_matmul_precision("highest"):
                sides = tuple(
                    side and advanced(side, square(), count, b2, ridge, order)
                    for side, square in zip(sides, squares, strict=False)
                )
                turned = preconditioned(as_matrix(m), sides).reshape(m.shape) if order else m
            all_sides.append(sides)
            turned = grafted(turned, adam) if order else adam
            directions.append(jnp.where(count < UPDATES_PER_ROOT, adam, turned))
        return jax.tree.unflatten(structure, directions), ShampooState(moments, tuple(all_sides))

    return optax.GradientTransformation(init, update)


def as_matrix(x: jax.Array) -> jax.Array:
    """A tensor as a matrix: all axes but the last, and the last; a vector or scalar as one row."""
    return x.reshape(-1, x.shape[-1]) if x.ndim > 1 else x.reshape(1, -1)


def first_sides(x: jax.Array) -> tuple[Side | None, ...]:
    if x.ndim < 2:
        return ()
    lengths = math.prod(x.shape[:-1]), x.shape[-1]
    return tuple(first_side(length, x.dtype) if length <= LONGEST_SIDE else None for length in lengths)


def first_side(length: int, dtype: Any) -> Side:
    identity = jnp.eye(length, dtype=dtype)
    return Side(jnp.zeros_like(identity), identity, identity, identity)


def advanced(side: Side, square: jax.Array, count: jax.Array, b2: Any, ridge: Any, order: int) -> Side:
    """One update later: the statistic holds one gradient more, and the next root is two iterations further."""
    statistic = b2 * side.statistic + (1 - b2) * square
    identity = jnp.eye(len(square), dtype=square.dtype)
    # Of a statistic that is still zero only the ridge is left, and the root is the identity up to scale.
    normed = statistic / jnp.maximum(jnp.linalg.norm(statistic), jnp.finfo(square.dtype).tiny)
    scale = (order + 1) / (2 * (1 + ridge))
    restart = count % UPDATES_PER_ROOT == 0
    root = jnp.where(restart, side.estimate, side.root)
    estimate = jnp.where(restart, scale ** (1 / order) * identity, side.estimate)
    residual = jnp.where(restart, scale * (normed + ridge * identity), side.residual)
    for _ in range(ITERATIONS_PER_UPDATE):
        factor = ((order + 1) * identity - residual) / order
        estimate = estimate @ factor
        residual = jnp.linalg.matrix_power(factor, order) @ residual
    return Side(statistic, root, estimate, residual)


def preconditioned(matrix: jax.Array, sides: tuple[Side | None, ...]) -> jax.Array:
    left, right = sides
    if left is not None:
        matrix = left.root @ matrix
    return matrix if right is None else matrix @ right.root


def grafted(direction: jax.Array, adam: jax.Array) -> jax.Array:
    """The direction with the norm of Adam's update."""
    norm = jnp.maximum(jnp.linalg.norm(direction), jnp.finfo(direction.dtype).tiny)
    return direction * (jnp.linalg.norm(adam) / norm)


ROWS = (
    Optimizer(
        "shampoo_grafted",
        shampoo_grafted,
        (RATE, BETA1, BETA2, EPSILON, Hyperparameter("matrix_epsilon", RIDGE, 1e-6), NO_DECAY, WARMUP),
        "Gupta et al. 2018, arXiv:1802.09568, with Adam's step length as in Anil et al. 2020, arXiv:2002.09018",
        source="This is Shampoo (Gupta et al., arXiv:1802.09568) with Adam's step length (Anil et al., "
        "arXiv:2002.09018); m and v are running means of g and g^2 with beta1 and beta2. Sides longer than 256 are "
        "left alone, vectors are trained by Adam. The roots are of L and R over their Frobenius norms plus "
        "matrix_epsilon; they come from a coupled Newton iteration of matrix products, two steps an update, and are 12 "
        "to 24 updates late.",
        schedule=COSINE,
        # AlgoPerf's Distributed Shampoo baseline for rate, beta1, beta2 and weight decay; ridge of Anil et al. upwards:
        # ours.
        search_space={
            "learning_rate": log(1e-4, 1e-2),
            **WARMUPS,
            "one_minus_beta1": log(1e-2, 0.15),
            "beta2": one_of(0.999),
            "matrix_epsilon": log(1e-6, 1e-2),
            "weight_decay": log(5e-3, 1.0),
            **REGULARIZATIONS,
        },
    ),
)
