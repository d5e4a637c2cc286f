"""SOAP: Adam in the slowly turning eigenbasis of Shampoo's statistics.

A gradient G with rows and columns has the statistics L = mean of G G^T and R = mean of G^T G. Adam's second moment is
kept of G seen in their eigenvectors, G' = QL^T G QR, and its direction is turned back.

How the eigenvectors are found: as in the paper, by one power iteration each time, Q <- the orthogonal factor of L Q.
The factor comes from Gram and Schmidt's recursion, done twice, which is products of matrices and vectors and nothing
else: LAPACK's QR and eigendecompositions of many matrices at once may wait for each other for ever on few cores.
What differs from the paper for that reason: Q starts as the identity, not as the eigenvectors of the first statistic,
and no first update is left out, so SOAP begins as Adam and its bases need a few iterations to be there. A ridge of 1e-5
of the statistic's norm keeps directions in place that no gradient has had; it changes no eigenvector.

| tensor | direction |
|---|---|
| a matrix, or more axes: all but the last are its rows | SOAP |
| one side longer than 256 | that side is not turned, as in the paper's one-sided variant |
| vectors, scalars, both sides longer | Adam |

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; lr the scheduled rate.

Reference: Vyas et al. 2024, arXiv:2409.11321, Algorithm 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.optimizers._declaration import (
    COSINE,
    EPSILON,
    NO_DECAY,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    WEIGHT_DECAYS,
    log,
)
from submissions.optimizers._hyperparameters import BELOW_ONE, Hyperparameter, Optimizer
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers.schedules import warmup_then_cosine_of

LONGEST_SIDE = 256
UPDATES_PER_BASIS = 10  # the paper's frequency; the first basis is made after the first update
RIDGE = 1e-5


class Side(NamedTuple):
    """Rows or columns of a tensor; both [side, side]."""

    statistic: jax.Array
    basis: jax.Array  # its eigenvectors, more or less, in columns


class SoapState(NamedTuple):
    """What SOAP carries from one update to the next."""

    count: jax.Array  # updates done
    m: Any  # running mean of the gradient; a tree like params
    v: Any  # running mean of the square of the turned gradient; a tree like params
    sides: tuple[tuple[Side | None, ...], ...]  # of each leaf: rows and columns, None where left alone


def soap(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """SOAP as described above, with linear warm-up, cosine decay to zero and decoupled weight decay.

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * (QL^T g QR)^2
        u = (QL^T m QR) / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)
        L = b2 * L + (1 - b2) * g g^T, R = b2 * R + (1 - b2) * g^T g
        QL = orthogonal factor of L QL, QR of R QR, every 10 updates
        x = x - lr * (QL u QR^T + weight_decay * x), with QL and QR from before

    Args:
      hp: learning_rate, beta1, beta2 (of v and of the statistics), epsilon, weight_decay, warmup_steps.
      horizon: end of the schedule. Steps.
    """
    return optax.chain(
        scale_by_soap(hp["beta1"], hp["beta2"], hp["epsilon"]),
        optax.add_decayed_weights(hp["weight_decay"]),
        optax.scale_by_learning_rate(warmup_then_cosine_of(hp, horizon)),
    )


def scale_by_soap(b1: Any, b2: Any, epsilon: Any) -> optax.GradientTransformationExtraArgs:
    """SOAP's direction. Its update takes the number of the step, if somebody knows it better than the state does."""

    def init(params) -> Any:
        m, v = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        sides = tuple(first_sides(leaf) for leaf in jax.tree.leaves(params))
        return SoapState(jnp.zeros((), jnp.int32), m, v, sides)

    def update(updates, state: Any, params=None, *, step=None, **others):
        del params, others
        # All trials of a population share the step: where it is known, those that need no basis do not make one.
        due = (state.count if step is None else step) % UPDATES_PER_BASIS == 0
        t = state.count + 1
        leaves, structure = jax.tree.flatten(updates)
        old = zip(jax.tree.leaves(state.m), jax.tree.leaves(state.v), state.sides, strict=True)
        new = []
        # Turning there and back should lose nothing; TF32, the default of some devices, would.
        with jax.default_matmul_precision("highest"):
            for g, (m, v, sides) in zip(leaves, old, strict=True):
                m = b1 * m + (1 - b1) * g
                v = b2 * v + (1 - b2) * turned(g, sides) ** 2
                direction = turned(m, sides) / (1 - b1**t) / (jnp.sqrt(v / (1 - b2**t)) + epsilon)
                new.append((turned_back(direction, sides), m, v, advanced(sides, g, b2, due)))
        directions, m, v, sides = zip(*new, strict=True)
        directions, m, v = (jax.tree.unflatten(structure, each) for each in (directions, m, v))
        return directions, SoapState(t, m, v, sides)

    return optax.GradientTransformationExtraArgs(init, update)


def as_matrix(x: jax.Array) -> jax.Array:
    """A tensor as a matrix: all axes but the last, and the last; a vector or scalar as one row."""
    return x.reshape(-1, x.shape[-1]) if x.ndim > 1 else x.reshape(1, -1)


def first_sides(x: jax.Array) -> tuple[Side | None, ...]:
    """Of a tensor before its first gradient; none of vectors and scalars."""
    if x.ndim < 2:
        return ()

    def side(length):
        if length > LONGEST_SIDE:
            return None
        return Side(jnp.zeros((length, length), x.dtype), jnp.eye(length, dtype=x.dtype))

    return tuple(side(length) for length in as_matrix(x).shape)


def turned(x: jax.Array, sides: tuple[Side | None, ...]) -> jax.Array:
    """A tensor as its bases see it, QL^T x QR."""
    if not sides:
        return x
    rows, columns = sides
    matrix = as_matrix(x) if rows is None else rows.basis.T @ as_matrix(x)
    return (matrix if columns is None else matrix @ columns.basis).reshape(x.shape)


def turned_back(x: jax.Array, sides: tuple[Side | None, ...]) -> jax.Array:
    """The inverse of `turned`, QL x QR^T."""
    if not sides:
        return x
    rows, columns = sides
    matrix = as_matrix(x) if rows is None else rows.basis @ as_matrix(x)
    return (matrix if columns is None else matrix @ columns.basis.T).reshape(x.shape)


def advanced(
    sides: tuple[Side | None, ...], g: jax.Array, b2: Any, due: jax.Array
) -> tuple[Side | None, ...]:
    """One gradient later; with other bases where they are due."""
    matrix = as_matrix(g)
    squares = (lambda: matrix @ matrix.T, lambda: matrix.T @ matrix)

    def of_side(side, square):
        if side is None:
            return None
        statistic = b2 * side.statistic + (1 - b2) * square()
        return Side(statistic, jax.lax.cond(due, next_basis, lambda _, basis: basis, statistic, side.basis))

    return tuple(of_side(side, square) for side, square in zip(sides, squares, strict=False))


def next_basis(statistic: jax.Array, basis: jax.Array) -> jax.Array:
    """One power iteration."""
    # Of a statistic that is still zero only the ridge is left, and the basis stays.
    tiny = jnp.finfo(statistic.dtype).tiny
    normed = statistic / jnp.maximum(jnp.sqrt(jnp.sum(statistic**2)), tiny)
    return orthogonal_factor(normed @ basis + RIDGE * basis)


def orthogonal_factor(matrix: jax.Array) -> jax.Array:
    """Q of the QR decomposition with a positive diagonal, column by column."""

    def column(k, q):
        x = matrix[:, k]
        x = x / jnp.sqrt(jnp.sum(x**2))
        for _ in range(2):  # once leaves roundoff over that a small rest would show
            x = x - q @ (q.T @ x)  # the columns of q from k on are zero
            x = x / jnp.sqrt(jnp.sum(x**2))
        return q.at[:, k].set(x)

    return jax.lax.fori_loop(0, len(matrix), column, jnp.zeros_like(matrix))


ROWS = (
    Optimizer(
        "soap",
        soap,
        # Defaults: the paper's, no decay.
        (
            RATE,
            Hyperparameter("beta1", BELOW_ONE, 0.95),
            Hyperparameter("beta2", BELOW_ONE, 0.95),
            EPSILON,
            NO_DECAY,
            WARMUP,
        ),
        "Vyas et al. 2024, arXiv:2409.11321",
        source="This is SOAP (Vyas et al., arXiv:2409.11321). A convolution's kernel is a matrix of all axes but the "
        "last, and the last. QL and QR start as identities and follow the eigenvectors of L and R by one power "
        "iteration every 10 updates, with the orthogonal factor by Gram and Schmidt. Sides longer than 256 are not "
        "turned, vectors are trained by Adam.",
        schedule=COSINE,
        # Rate and decay: Medapati et al., Table 1, in whose middle the paper's 3e-3 lies; betas around the paper's .95:
        # ours.
        search_space={
            "learning_rate": log(1e-4, 1e-2),
            **WARMUPS,
            "one_minus_beta1": log(1e-2, 0.2),
            "one_minus_beta2": log(1e-3, 0.2),
            **WEIGHT_DECAYS,
            **REGULARIZATIONS,
        },
    ),
)
