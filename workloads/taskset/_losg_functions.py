"""Test functions of two variables, with the boxes in which they start.

Formulas: S. Surjanovic and D. Bingham, Virtual Library of Simulation Experiments; constants as TaskSet has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


def styblinski_tang(x: jax.Array, y: jax.Array) -> jax.Array:
    """Sum over both of (t^4 - 16 t^2 + 5 t) / 2, + 80; least 1.66767 where both are -2.903534."""
    t = jnp.stack([x, y])
    return 0.5 * jnp.sum(t**4 - 16.0 * t**2 + 5.0 * t, axis=0) + 80.0


def ackley(x: jax.Array, y: jax.Array) -> jax.Array:
    """-20 exp(-.2 sqrt((x^2 + y^2) / 2)) - exp((cos 2 pi x + cos 2 pi y) / 2) + e + 20; least 0 at the origin."""
    waves = jnp.exp(0.5 * (jnp.cos(2.0 * math.pi * x) + jnp.cos(2.0 * math.pi * y)))
    return -20.0 * jnp.exp(-0.2 * jnp.sqrt(0.5 * (x**2 + y**2))) - waves + math.e + 20.0


def beale(x: jax.Array, y: jax.Array) -> jax.Array:
    """(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2; least 0 at (3, .5)."""
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def branin(x: jax.Array, y: jax.Array) -> jax.Array:
    """(y - 5.1 / (4 pi^2) x^2 + 5 / pi x - 6)^2 + 10 (1 - 1 / (8 pi)) cos x + 10; least .397887 at three points."""
    valley = y - 5.1 / (4.0 * math.pi**2) * x**2 + 5.0 / math.pi * x - 6.0
    return valley**2 + 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * jnp.cos(x) + 10.0


def logsumexp(x: jax.Array, y: jax.Array) -> jax.Array:
    """ln(exp(x + 3 y - .1) + exp(x - 3 y - .1) + exp(-x - .1) + 1).

    Written out, so that it overflows beyond exponents of 88 as the original does: a trial that gets there has diverged.
    """
    return jnp.log(jnp.exp(x + 3.0 * y - 0.1) + jnp.exp(x - 3.0 * y - 0.1) + jnp.exp(-x - 0.1) + 1.0)


def matyas(x: jax.Array, y: jax.Array) -> jax.Array:
    """.26 (x^2 + y^2) - .48 x y; least 0 at the origin."""
    return 0.26 * (x**2 + y**2) - 0.48 * x * y


def michalewicz(x: jax.Array, y: jax.Array) -> jax.Array:
    """2 - sin x sin(x^2 / pi)^(2 m) - sin y sin(2 y^2 / pi)^(2 m), with m = 5 where it is usually 10, and an offset.

    Least .193377 at (2.18531, pi / 2).
    """
    ridges = jnp.sin(x) * jnp.sin(x**2 / math.pi) ** 10 + jnp.sin(y) * jnp.sin(2.0 * y**2 / math.pi) ** 10
    return 2.0 - ridges


def rosenbrock(x: jax.Array, y: jax.Array) -> jax.Array:
    """(1 - x)^2 + 100 (y - x^2)^2; least 0 at (1, 1)."""
    return (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2


class TwoVariables(NamedTuple):
    """A function of two variables and the corners of the box in which it starts; without one, from N(0, 1)."""

    value: Callable[[jax.Array, jax.Array], jax.Array]
    box: tuple[tuple[float, float], tuple[float, float]] | None


def _square(low: float, high: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return (low, low), (high, high)


# names as in TaskSet's configs
FUNCTIONS = {
    "StyblinskiTang": TwoVariables(styblinski_tang, _square(-5.0, 5.0)),
    "ackley": TwoVariables(ackley, _square(-32.768, 32.768)),
    "beale": TwoVariables(beale, _square(-4.5, 4.5)),
    "branin": TwoVariables(branin, ((-5.0, 0.0), (10.0, 15.0))),
    "logsumexp": TwoVariables(logsumexp, None),
    "matyas": TwoVariables(matyas, _square(-10.0, 10.0)),
    "michalewicz": TwoVariables(michalewicz, _square(0.0, math.pi)),
    "rosenbrock": TwoVariables(rosenbrock, _square(-5.0, 10.0)),
}
