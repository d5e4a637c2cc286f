"""Operations of a step against closed forms: 2 per multiplication with its addition, twice more on the way back."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import pytest

import workloads
from workloads import _flops


def counted(function, *arguments) -> int:
    return _flops.count(jax.make_jaxpr(function)(*arguments).jaxpr)


def perceptron(batch, sizes):
    """Forward and the kernels' gradients in every layer, the input's gradient in all but the first."""
    products = [2 * batch * inputs * outputs for inputs, outputs in itertools.pairwise(sizes)]
    return 3 * sum(products) - products[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("algoperf/mnist", perceptron(32, (784, 128, 10))),
        ("taskset/mlp_family_seed15", perceptron(158, (784, 18, 10))),
        ("photographs/autoencoder", perceptron(64, (144, 96, 48, 16, 48, 96, 144))),
        # The first layer's inputs are embeddings, which are trained: no gradient is left out; look-ups cost nothing.
        ("clicks/mlp", 3 * 2 * 64 * (54 * 64 + 64 * 32 + 32 * 1)),
        # Two products of the state per gate and step, done again on the way back; the logits once for all steps.
        (
            "stdlib/char_rnn",
            lambda w: w.batch_size * steps(w) * 2 * (4 * 3 * 32 * 32 + 3 * 32 * 70),
        ),
    ],
)
def test_a_step_costs_what_its_closed_form_says(loaded, name, expected):
    workload = loaded[name]
    assert workloads.flops_per_step(workload) == (expected(workload) if callable(expected) else expected)


def steps(workload):
    return workload.data.splits["train"]["inputs"].shape[1]


def test_convolutions_cost_the_same_as_slices_and_as_xla_writes_them():
    # digits/conv: 3x3x8 on 8x8, 3x3x16 with stride 2, dense 32 and 10.
    first, second = 8 * 8 * 9 * 1 * 8, 4 * 4 * 9 * 8 * 16
    dense = 256 * 32 + 32 * 10
    expected = 2 * 32 * (2 * first + 3 * second + 3 * dense)
    assert workloads.flops_per_step(workloads.load("digits/conv")) == expected

    images, kernel = jnp.zeros((32, 8, 8, 8)), jnp.zeros((3, 3, 8, 16))

    def convolve(kernel, images):
        dimensions = ("NHWC", "HWIO", "NHWC")
        out = jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=dimensions)
        return jnp.sum(out)

    once = 2 * 32 * 8 * 8 * 9 * 8 * 16
    assert counted(convolve, kernel, images) == once


def test_loops_conditionals_and_rematerialisation_count_as_they_run():
    a = jnp.zeros((4, 4))
    once = 2 * 4 * 4 * 4

    def body(x, _):
        return x @ a, None

    assert counted(lambda x: jax.lax.scan(body, x, None, length=7)[0], a) == 7 * once
    assert counted(lambda x: jax.lax.fori_loop(0, 5, lambda i, x: x @ a, x), a) == 5 * once
    assert counted(lambda p, x: jax.lax.cond(p, lambda x: x @ a @ a, lambda x: x, x), True, a) == 2 * once
    # Forward, the argument's gradient, and the first product once more.
    plain = jax.grad(lambda x: jnp.sum(jnp.tanh(x @ a) @ a))
    again = jax.grad(lambda x: jnp.sum(jax.checkpoint(lambda x: jnp.tanh(x @ a) @ a)(x)))
    assert counted(again, a) - counted(plain, a) == once
    assert counted(jax.jit(lambda x: x @ a), a) == once
    assert counted(lambda x: jnp.tanh(x) + 1.0, a) == 0


def test_batched_products_count_every_one():
    assert counted(
        lambda x, y: jnp.einsum("bij,bjk->bik", x, y), jnp.zeros((5, 2, 3)), jnp.zeros((5, 3, 4))
    ) == (5 * 2 * 2 * 3 * 4)


def test_a_loop_of_unknown_length_is_refused():
    a = jnp.eye(3)
    with pytest.raises(ValueError, match="54 operations stand in a while loop"):
        counted(lambda x: jax.lax.while_loop(lambda x: jnp.sum(x) < 9.0, lambda x: x @ a, x), a)


def test_augmented_batches_are_counted_at_the_size_that_the_model_sees(loaded):
    # Seed 19 crops: fewer inputs reach the first layer than the 16x16x3 of its images.
    workload = loaded["taskset/mlp_family_seed19"]
    config = workloads.entry("taskset/mlp_family_seed19").config
    crop = config["dataset"][2]["crop_amount"]
    sizes = ((16 - crop) ** 2 * 3, *config["layer_sizes"], 1000)
    assert workloads.flops_per_step(workload) == perceptron(workload.batch_size, sizes)


def test_objectives_without_products_cost_nothing(loaded):
    assert workloads.flops_per_step(loaded["taskset/TwoD_Rosenbrock"]) == 0
