"""Convolutions by slices against XLA's."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from workloads.algoperf import _slices
from workloads.products import for_populations

# pixels, channels, then arguments of the layer
LAYERS = {
    "same": ((9, 8), 3, {"features": 5, "kernel_size": (3, 3)}),
    "same, stride 2": ((9, 8), 3, {"features": 5, "kernel_size": (3, 3), "strides": (2, 2)}),
    "stem": ((9, 8), 2, {"features": 4, "kernel_size": (5, 5), "strides": (2, 2), "padding": [(2, 2)] * 2}),
    "one by one, stride 2": ((9, 8), 3, {"features": 5, "kernel_size": (1, 1), "strides": (2, 2)}),
    "patches": ((8, 4), 3, {"features": 5, "kernel_size": (4, 2), "strides": (4, 2), "padding": "VALID"}),
    "patches with a rest": (
        (9, 4),
        3,
        {"features": 5, "kernel_size": (4, 2), "strides": (4, 2), "padding": "VALID"},
    ),
    "sequence": ((7,), 3, {"features": 5, "kernel_size": (3,)}),
    "depthwise": ((7,), 4, {"features": 4, "kernel_size": (5,), "feature_group_count": 4}),
    "depthwise, two outputs": (
        (7, 6),
        3,
        {"features": 6, "kernel_size": (3, 2), "strides": (2, 1), "feature_group_count": 3},
    ),
}


@pytest.mark.parametrize(
    ("layer", "trials"),
    [(layer, False) for layer in LAYERS] + [("same, stride 2", True), ("depthwise", True)],
)
def test_a_layer_by_slices_is_xlas_with_its_gradients(layer, trials):
    pixels, channels, arguments = LAYERS[layer]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, *pixels, channels)).astype(np.float32))
    xla = nn.Conv(**arguments, precision="highest")
    ours = nn.Conv(**arguments, conv_general_dilated=_slices.conv_general_dilated)
    shapes = jax.eval_shape(xla.init, jax.random.key(0), x)
    assert jax.eval_shape(ours.init, jax.random.key(0), x) == shapes
    axes = (3,) if trials else ()
    params = jax.tree.map(lambda p: rng.normal(size=(*axes, *p.shape)).astype(np.float32), shapes)

    def outputs_and_gradients(module, params, x):
        def loss(params, x):
            y = module.apply(params, x)
            return jnp.sum(jnp.sin(y)), y

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)

    def run(module):
        each = functools.partial(outputs_and_gradients, module)
        return jax.jit(jax.vmap(each, (0, None)) if trials else each)(params, x)

    expected = run(xla)
    with for_populations():
        got = run(ours)
    # Sums of at most 50 products and, in gradients, of 100 entries, all of order 1.
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_dilation": 2}, "no dilation"),
        ({"feature_group_count": 2}, "1 group of channels or as many as channels, 4; got 2"),
        ({"precision": "highest"}, "default precision"),
    ],
)
def test_what_slices_cannot_do_is_refused(arguments, message):
    module = nn.Conv(4, (3,), conv_general_dilated=_slices.conv_general_dilated, **arguments)
    with pytest.raises(NotImplementedError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 6, 4)))
