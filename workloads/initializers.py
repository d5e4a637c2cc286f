"""Initial weights, drawn so that they compile fast.

XLA needs over a second to compile one call of JAX's generator on a CPU, whatever its size, so a net of eight
kernels would cost ten seconds before its first step. An `Initializer` therefore says *what* to draw and what
to make of it, and `kernels` draws for many kernels in one call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

Shape = tuple[int, ...]

DISTRIBUTIONS: dict[str, Callable[[jax.Array, Shape], jax.Array]] = {
    "normal": jax.random.normal,
    "truncated": lambda key, shape: jax.random.truncated_normal(key, -2.0, 2.0, shape),
    "uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-1.0),
}
TRUNCATED_DEVIATION = 0.87962566103423978  # of a standard normal that is cut at +-2
TOGETHER = (
    2**15
)  # kernels up to this size share a call, at the length of the longest; larger ones with their equals


class Initializer(NamedTuple):
    """How a kernel is made."""

    distribution: str  # a key of DISTRIBUTIONS
    finish: Callable[[jax.Array], jax.Array]  # independent draws of the kernel's shape -> the kernel


def variance_scaling(
    scale: float,
    fan: Literal["fan_in", "fan_avg"],
    distribution: Literal["truncated", "uniform"] = "truncated",
) -> Initializer:
    """Variance scale / fan; fan_avg is the mean of fan in and fan out (Glorot and Bengio 2010)."""

    def finish(draws):
        receptive = math.prod(draws.shape[:-2])
        fan_in, fan_out = receptive * draws.shape[-2], receptive * draws.shape[-1]
        variance = scale / (fan_in if fan == "fan_in" else (fan_in + fan_out) / 2)
        unit = TRUNCATED_DEVIATION if distribution == "truncated" else 1.0 / math.sqrt(3.0)
        return draws * (math.sqrt(variance) / unit)

    return Initializer(distribution, finish)


def normal(deviation: float) -> Initializer:
    """Normal without truncation."""
    return Initializer("normal", lambda draws: deviation * draws)


def truncated_normal(deviation: float) -> Initializer:
    """Normal of that deviation, cut at twice of it (which makes it narrower; not corrected)."""
    return Initializer("truncated", lambda draws: deviation * draws)


def uniform(bound: float) -> Initializer:
    """Uniform between -bound and bound."""
    return Initializer("uniform", lambda draws: bound * draws)


def orthogonal(gain: float = 1.0) -> Initializer:
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014).

    A convolution's kernel is taken as the matrix [window * window * channels, outputs].
    """

    def finish(draws):
        rows, columns = math.prod(draws.shape[:-1]), draws.shape[-1]
        q = _orthonormal_columns(draws.reshape(max(rows, columns), min(rows, columns)))
        return gain * (q if rows >= columns else q.T).reshape(draws.shape)

    return Initializer("normal", finish)


def _orthonormal_columns(a: jax.Array) -> jax.Array:
    """The Q of a = Q R with a positive diagonal of R, by Gram-Schmidt done twice, as accurate as Householder's.

    Not `jnp.linalg.qr`: under vmap, JAX 0.10's kernel for the CPU waits inside the thread pool for work that it gave
    to that same pool. With two cores, two of them at once wait for ever.
    """

    def column(k, q):
        v = a[:, k]
        for _ in range(2):  # the second pass removes what rounding left of the first
            v = v - q @ (q.T @ v)
        return q.at[:, k].set(v / jnp.linalg.norm(v))

    return jax.lax.fori_loop(0, a.shape[1], column, jnp.zeros_like(a))


lecun_normal = variance_scaling(1.0, "fan_in")
he_normal = variance_scaling(2.0, "fan_in")


def kernels(keys: jax.Array, makes: Sequence[tuple[Shape, Initializer]]) -> list[jax.Array]:
    """One kernel per key. A kernel depends on its own key alone, not on what is drawn beside it.

    Args:
      keys: [kernel].
      makes: shape and initializer of every kernel.
    """
    groups: dict[tuple[str, int], list[int]] = {}
    for i, (shape, initializer) in enumerate(makes):
        size = math.prod(shape)
        groups.setdefault((initializer.distribution, size if size > TOGETHER else 0), []).append(i)
    made: dict[int, jax.Array] = {}
    for (distribution, _), members in groups.items():
        longest = max(math.prod(makes[i][0]) for i in members)
        # Element i of a draw depends on the key and on i only, so a longer draw starts like a shorter one.
        draw = jax.vmap(lambda key, d=distribution, n=longest: DISTRIBUTIONS[d](key, (n,)))
        for row, i in zip(draw(keys[jnp.array(members)]), members, strict=True):
            shape, initializer = makes[i]
            made[i] = initializer.finish(row[: math.prod(shape)].reshape(shape))
    return [made[i] for i in range(len(makes))]
