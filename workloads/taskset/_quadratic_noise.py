"""The random matrix N that a noisy quadratic adds to its A for every batch: |(A + N) x|^2 and its gradient.

N costs far more to draw, and more again to orthogonalise where its spectrum is given, than the product it is drawn
for. But a step asks only two things of it: n = N x for the value, with r = A x + n, and N^T r for the gradient
2 (A^T r + N^T r). Where their joint law is known, both are drawn directly, from a few vectors of random numbers:

* normal entries, always: N x is normal, and given it N is still normal in all directions but x;
* a given spectrum above `EXPLICIT` dimensions: N = Q diag(s) Q^T, of which a product with Q or Q^T reveals
  one direction and its image; the image is uniform among all directions that are orthogonal to the known ones.

Nothing but value and gradient follows that law; second derivatives do not.

Otherwise N is drawn in full: for uniform entries, and for a given spectrum up to `EXPLICIT` dimensions, where Q is the
original's, the sign-fixed QR of a matrix of U(-1, 1). The implicit Q is Haar's, which is what that QR tends to as the
dimensions grow; in few dimensions the two differ, since only normal entries have no preferred direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from workloads.initializers import orthogonal

EXPLICIT = 32  # dimensions up to which Q is made as in the original

Numbers = Mapping[str, Any]  # of the distribution of N
Vector = Float[Array, " d"]


def noisy_square(
    kind: str, numbers: Numbers, matrix: Float[Array, "d d"], x: Vector, key: jax.Array
) -> jax.Array:
    """|(A + N) x|^2, with the gradient for x that it has for this N.

    Args:
      kind: `normal`, `uniform`, or `spectrum`.
      numbers: mean and std of the entries; min and max of the entries; or the spectrum [d].
      matrix: A.
      x: the point.
      key: of N.
    """
    if kind == "uniform" or (kind == "spectrum" and len(x) <= EXPLICIT):
        noise = _uniform(numbers, len(x), key) if kind == "uniform" else _conjugated(numbers, len(x), key)
        product = (matrix + noise) @ x
        return product @ product
    here = jax.lax.stop_gradient(x)
    product = matrix @ x
    act = _normal_action if kind == "normal" else _haar_action
    noise, back = act(numbers, here, jax.lax.stop_gradient(product), key)
    product = product + noise
    # N x is a constant for automatic differentiation; the last term, which is zero, has its part of the gradient.
    return product @ product + 2.0 * back @ (x - here)


def _uniform(numbers: Numbers, dims: int, key: jax.Array) -> Float[Array, "d d"]:
    """Independent entries in U(min, max), to 16 bits, which halves the work of the generator."""
    draws = jax.random.bits(key, (dims, dims), jnp.uint16).astype(jnp.float32)
    return numbers["min"] + (numbers["max"] - numbers["min"]) * (draws + 0.5) * 2.0**-16


def _conjugated(numbers: Numbers, dims: int, key: jax.Array) -> Float[Array, "d d"]:
    """Q diag(spectrum) Q^T with Q of the QR of a matrix of U(-1, 1), the diagonal of R positive."""
    q = orthogonal().finish(jax.random.uniform(key, (dims, dims), minval=-1.0))
    return (q * numbers["spectrum"]) @ q.T


def _normal_action(numbers: Numbers, x: Vector, product: Vector, key: jax.Array) -> tuple[Vector, Vector]:
    """(N x, N^T r) with r = product + N x, for N = mean + std G with standard normal entries of G.

    G x = |x| g. Given this, the rest of G is a standard normal matrix that maps x to zero, independent of r, so
    G^T r = (g . r) x / |x| + |r| times the part of h that is orthogonal to x; g and h are standard normal.
    """
    mean, std = numbers["mean"], numbers["std"]
    g, h = jax.random.normal(key, (2, len(x)))
    length, direction = _polar(x)
    noise = mean * jnp.sum(x) + std * length * g
    r = product + noise
    sideways = h - (h @ direction) * direction
    return noise, mean * jnp.sum(r) + std * ((g @ r) * direction + jnp.linalg.norm(r) * sideways)


def _haar_action(numbers: Numbers, x: Vector, product: Vector, key: jax.Array) -> tuple[Vector, Vector]:
    """(N x, N r) with r = product + N x, for N = Q diag(spectrum) Q^T with Q of Haar's measure."""
    spectrum = numbers["spectrum"]
    draws = jax.random.normal(key, (4, len(x)))
    inputs = images = jnp.zeros((0, len(x)))
    turned, images, inputs = _reveal(images, inputs, x, draws[0])  # Q^T x
    noise, inputs, images = _reveal(inputs, images, spectrum * turned, draws[1])
    turned, images, inputs = _reveal(images, inputs, product + noise, draws[2])  # Q^T r
    back, inputs, images = _reveal(inputs, images, spectrum * turned, draws[3])
    return noise, back


def _reveal(
    inputs: Float[Array, "known d"], images: Float[Array, "known d"], vector: Vector, draws: Vector
) -> tuple[Vector, Float[Array, "more d"], Float[Array, "more d"]]:
    """Q vector for a Haar matrix Q of which only `Q inputs = images` is known so far, and what is known then.

    The part of the vector outside the known inputs goes to a direction that is uniform outside their images. With
    inputs and images exchanged this is the product with Q^T.

    Args:
      inputs, images: rows, orthonormal.
      vector: what is multiplied.
      draws: standard normal, independent of all before.
    """
    known = inputs @ vector
    length, _ = _polar(vector - known @ inputs)
    _, direction = _polar(_outside(inputs, vector))
    _, image = _polar(_outside(images, draws))
    product = known @ images + length * image
    return product, jnp.vstack([inputs, direction]), jnp.vstack([images, image])


def _outside(rows: Float[Array, "known d"], vector: Vector) -> Vector:
    """The part orthogonal to orthonormal rows; the second pass removes what rounding left of the first."""
    for _ in range(2):
        vector = vector - (rows @ vector) @ rows
    return vector


def _polar(vector: Vector) -> tuple[jax.Array, Vector]:
    """Length and direction; the zero vector has direction zero."""
    length = jnp.linalg.norm(vector)
    return length, vector / jnp.where(length > 0.0, length, 1.0)
