"""Normalising flows on images: the density of a standard normal that went through invertible maps.

An image is y = b_n(p_(n-1)(... p_1(b_1(u)))) with u ~ N(0, I), bijectors b and permutations p between them. Hence

  ln p(y) = ln N(u; 0, I) + sum_i ln |det d b_i^-1|,

which runs through the inverses, the last bijector first. A permutation's forward direction takes element order[k] to
place k. The loss is the mean over the batch of -ln p(image + N(0, 0.01^2)), in nats and not per pixel; 0.01 is a
standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from workloads._source import Batch
from workloads._workload import Functions, Params
from workloads.taskset import _draws, _nets, _unsupervised

Pixels = Float[Array, "example pixel"]
Inverse = Callable[[Params, Pixels], tuple[Pixels, Float[Array, " example"]]]
Net = Callable[[Params, Pixels], jax.Array]

NOISE = 0.01  # standard deviation of what is added to the images, so that densities stay bounded
LOG_SCALES = (-5.0, 3.0)  # of the autoregressive bijector


def draw(rng: _draws.Rng) -> dict[str, Any]:
    """The config of both sampled families, keys in the original order."""
    config: dict[str, Any] = {
        "activation": _draws.activation(rng),
        "w_init": _draws.initializer(rng),
        "dataset": _draws.image_dataset(rng),
    }
    layers = _draws.choice(rng, (1, 2))
    return config | {
        "hidden_units": [_draws.log_int(rng, 16, 128) for _ in range(layers)],
        "num_bijectors": _draws.choice(rng, (1, 2, 3, 4)),
    }


def add_noise(key: jax.Array, batch: Batch) -> Mapping[str, jax.Array]:
    """The batch with `inputs` as floats, N(0, NOISE^2) added."""
    images = _nets.pixels(batch["inputs"])
    return {**batch, "inputs": images + NOISE * jax.random.normal(key, images.shape)}


def coupling(net: Net, masked: int) -> Inverse:
    """The inverse of a coupling layer (Dinh et al. 2017, arXiv:1605.08803).

    y0 = x0, y1 = x1 exp(log_scale) + shift, with shift and log_scale computed from the first `masked` elements.

    Args:
      net: (params, [example, masked]) -> shift and log_scale, the halves of the last axis.
      masked: elements that are left as they are.
    """

    def inverse(params, y):
        shift, log_scale = jnp.split(net(params, y[:, :masked]), 2, axis=-1)
        x1 = (y[:, masked:] - shift) * jnp.exp(-log_scale)
        return jnp.concatenate([y[:, :masked], x1], axis=-1), -jnp.sum(log_scale, axis=-1)

    return inverse


def autoregressive(net: Net) -> Inverse:
    """The inverse of a masked autoregressive layer, in one pass (Papamakarios et al. 2017, arXiv:1705.07057).

    y_d = x_d exp(log_scale_d) + shift_d, with shift and log_scale of d computed from y_1 .. y_(d-1). log_scale is
    clipped to LOG_SCALES, its gradient is not.

    Args:
      net: (params, [example, pixel]) -> shift and log_scale of every pixel, side by side.
    """

    def inverse(params, y):
        outputs = net(params, y).reshape(*y.shape, 2)
        shift, log_scale = outputs[..., 0], outputs[..., 1]
        log_scale = log_scale + jax.lax.stop_gradient(jnp.clip(log_scale, *LOG_SCALES) - log_scale)
        return (y - shift) * jnp.exp(-log_scale), -jnp.sum(log_scale, axis=-1)

    return inverse


@jax.custom_vjp
def reorder(x: Pixels, order: Int[Array, " pixel"], back: Int[Array, " pixel"]) -> Pixels:
    """x[:, order]. The gradient is reordered by `back`, the inverse of order: without, it would be scattered."""
    del back
    return x.at[:, order].get(mode="promise_in_bounds", unique_indices=True)


def _reorder_forward(x, order, back):
    return reorder(x, order, back), (order, back)


def _reorder_backward(orders, gradient):
    order, back = orders
    return reorder(gradient, back, order), None, None


reorder.defvjp(_reorder_forward, _reorder_backward)


def log_density(
    inverse: Inverse,
    params: Sequence[Params],
    orders: Sequence[jax.Array],
    backs: Sequence[jax.Array],
    y: Pixels,
) -> Float[Array, " example"]:
    """ln p(y), in nats.

    Args:
      inverse: of every bijector, (params of one, y) -> (x, ln |det dx/dy|).
      params: of every bijector, the one nearest to the base distribution first.
      orders: the permutations between them.
      backs: the inverses of the permutations.
      y: data.
    """
    total = jnp.zeros(y.shape[0])
    for i in reversed(range(len(params))):
        y, log_determinant = inverse(params[i], y)
        total = total + log_determinant
        if i > 0:
            y = reorder(y, backs[i - 1], orders[i - 1])
    return total - 0.5 * jnp.sum(jnp.square(y), axis=-1) - 0.5 * y.shape[-1] * math.log(2.0 * math.pi)


def permutations(orders: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Permutations as constants for `functions`: order_i and its inverse back_i."""
    constants = {f"order_{i}": order.astype(np.int32) for i, order in enumerate(orders)}
    return constants | {f"back_{i}": np.argsort(order).astype(np.int32) for i, order in enumerate(orders)}


def functions(
    init: Callable[[jax.Array], Params], inverse: Inverse, bijectors: int, constants: Mapping[str, Any]
) -> Functions:
    """Functions of a flow.

    Args:
      init: key -> parameters bijector_0, bijector_1, ...
      inverse: of every bijector.
      bijectors: how many.
      constants: of `permutations`, possibly traced.
    """
    orders, backs = ([constants[f"{kind}_{i}"] for i in range(bijectors - 1)] for kind in ("order", "back"))

    def losses(params, batch, key):
        del key
        nets = [params[f"bijector_{i}"] for i in range(bijectors)]
        return -log_density(inverse, nets, orders, backs, _unsupervised.flat(batch["inputs"]))

    return _unsupervised.functions(init, losses)
