"""Training in micro-batches and in mixed precision: what stays the same, what differs, and what is refused."""

from __future__ import annotations

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

import workloads
from submissions import api
from workloads import Regularization
from workloads.arithmetic import Arithmetic, computed

# Sums of float32 in another order, and what a unit near saturation makes of them: against float64, both ways are off by
# 3e-5 to 5e-5 of the largest entry of MNIST's first layer.
ROUNDING = 2e-4
VIT, RESNET, WMT, OGBG, CRITEO, SPEECH, LM = (
    f"algoperf/{name}@mini"
    for name in (
        "imagenet_vit", "imagenet_resnet", "wmt", "ogbg", "criteo1tb", "librispeech_conformer", "finewebedu_lm",
    )
)  # fmt: skip


def drawn(workload, seed=0):
    """A model, none of whose layers is at 0 where gradients would be, and a batch."""
    key = jax.random.key(seed)
    params, model_state = workload.init(key)
    params = jax.tree.map(lambda x: x + 0.05 * jax.random.normal(key, x.shape), params)
    stream = workload.data.stream(workload.eval_splits["train"], key, workload.batch_size)
    return params, model_state, next(stream), key


def assert_same(found, expected):
    # Of the largest entry of all: some gradients are 0, such as of what is added to all keys of an attention.
    scale = max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(expected))

    def same(a, b):
        np.testing.assert_allclose(a, b, rtol=ROUNDING, atol=ROUNDING * scale)

    jax.tree.map(same, found, expected)


def gradients(workload, params, model_state, batch, key):
    def loss(params):
        return workload.loss(params, model_state, batch, key, True, Regularization(label_smoothing=0.1))

    return jax.jit(jax.value_and_grad(loss, has_aux=True))(params)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in (VIT, WMT)]


@pytest.mark.parametrize("name", ["algoperf/mnist", *SLOW])
def test_micro_batches_give_the_gradients_of_the_whole_batch(name):
    whole = workloads.load(name)
    given = drawn(whole)
    expected, found = (gradients(w, *given) for w in (whole, computed(whole, Arithmetic(micro_batches=4))))
    assert_same(found, expected)


def test_submissions_see_the_gradients_of_the_whole_batch_in_its_own_order():
    api.install()
    from algoperf import spec

    view = api.algoperf_workload("algoperf/mnist")
    key = jax.random.PRNGKey(0)
    params, _ = view.init_model_fn(key)
    batch = next(view._build_input_queue(key, "train", None, view.batch_size))
    weights = jnp.arange(view.batch_size) % 3.0  # parts weigh differently

    def made(view):
        def loss(params):
            logits, _ = view.model_fn(
                params, batch, None, spec.ForwardPassMode.TRAIN, key, True, dropout_rate=0.0
            )
            found = view.loss_fn(batch["targets"], logits, weights)
            return found["summed"] / found["n_valid_examples"], logits

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(params)

    parts = view.by(Arithmetic(micro_batches=4))
    assert set(parts._build_input_queue(key, "train", None, 8).__next__()) == set(batch)
    assert_same(made(parts), made(view))


@pytest.mark.slow
def test_micro_batches_normalise_by_their_own_statistics_and_keep_the_mean_of_them():
    whole = workloads.load(RESNET)
    params, model_state, batch, key = drawn(whole)
    (_, kept), _ = gradients(computed(whole, Arithmetic(micro_batches=4)), params, model_state, batch, key)
    parts = [
        gradients(whole, params, model_state, jax.tree.map(lambda x: x[i::4], batch), key)[0][1]  # noqa: B023
        for i in range(4)
    ]
    expected = jax.tree.map(lambda *x: np.mean(x, 0), *parts)
    assert_same(kept, expected)
    (_, of_batch), _ = gradients(whole, params, model_state, batch, key)
    differing = jax.tree.map(lambda a, b: float(np.max(np.abs(a - b))), kept, of_batch)
    assert max(jax.tree.leaves(differing)) > 1e-3


@pytest.mark.parametrize(
    ("name", "arithmetic", "why"),
    [
        pytest.param(OGBG, Arithmetic(micro_batches=2), "laid end to end", marks=pytest.mark.slow),
        ("taskset/quadratic_family_seed0", Arithmetic(micro_batches=2), "no mean over examples"),
        ("digits/conv", Arithmetic("bfloat16"), "none of Flax's"),
    ],
)
def test_what_cannot_be_computed_so_is_refused_in_a_line(name, arithmetic, why):
    with pytest.raises(ValueError, match=why) as found:
        computed(workloads.load(name), arithmetic)
    assert "\n" not in str(found.value)


def test_micro_batches_that_do_not_fit_the_batch_are_refused():
    Arithmetic(micro_batches=4).check_batch("x", 32, 8)
    with pytest.raises(
        ValueError, match="32 examples cannot be cut into 8 equal micro-batches over 8 devices"
    ):
        Arithmetic(micro_batches=8).check_batch("x", 32, 8)
    with pytest.raises(ValueError, match="precision is 'bfloat61'"):
        Arithmetic("bfloat61")


def products(jaxpr):
    """Types of what is multiplied in a program and in those inside it."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield tuple(str(variable.aval.dtype) for variable in equation.invars)
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from products(inner)


@pytest.mark.slow
@pytest.mark.parametrize("name", [VIT, RESNET, WMT, OGBG, CRITEO, SPEECH, LM])
def test_in_bfloat16_products_are_and_what_is_kept_is_not(name):
    mixed = computed(workloads.load(name), Arithmetic("bfloat16"))
    params, model_state = jax.eval_shape(mixed.init, jax.random.key(0))
    batch = workloads.batch_shapes(mixed)

    def step(params, model_state, batch, key):
        def loss(params):
            return mixed.loss(params, model_state, batch, key, True, Regularization(0.1, 0.1))

        return jax.value_and_grad(loss, has_aux=True)(params)

    given = params, model_state, batch, jax.random.key(0)
    (loss, kept), grads = jax.eval_shape(step, *given)
    assert loss.dtype == jnp.float32
    types = lambda tree: jax.tree.map(lambda x: x.dtype, tree)  # noqa: E731
    assert (types(grads), types(kept)) == (types(params), types(model_state))
    found = list(products(jax.make_jaxpr(step)(*given).jaxpr))
    narrow = [one for one in found if set(one) == {"bfloat16"}]
    assert len(narrow) > 0.8 * len(found), (len(narrow), found)


@pytest.mark.slow
def test_bfloat16_trains_to_about_the_same_gradient_and_evaluates_as_before():
    plain = workloads.load(VIT)
    mixed = computed(plain, Arithmetic("bfloat16"))
    given = drawn(plain)
    (loss, _), grads = gradients(mixed, *given)
    (expected, _), exact = gradients(plain, *given)
    assert abs(loss - expected) < 2**-8 * expected  # the spacing of bfloat16
    assert loss != expected
    flat = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]) for tree in (grads, exact)]
    assert np.dot(*flat) > 0.99 * np.linalg.norm(flat[0]) * np.linalg.norm(flat[1])
    assert mixed.metrics is plain.metrics
