"""Hold AlgoPerf's vision transformer and its variants against AlgoPerf's, and narrow ones against NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import workloads
from tests.workloads.algoperf import golden, narrow, numpy_images, parity
from workloads.algoperf import _vit, imagenet_vit

BASE = imagenet_vit.BASE
NAMES = (BASE.name, *BASE.variants)
NARROW = {"width": 16, "depth": 2, "heads": 2, "hidden": 24, "patch": 4, "images": (12, 8, 3), "classes": 5}
TOKENS = 6
IMAGES = np.random.default_rng(1).normal(size=(3, 12, 8, 3)).astype(np.float32)


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


@pytest.mark.slow
@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    # One unit in the last place of every parameter moves logits by 1.5e-6, a leaf's norm by 6e-5. Measured: 1.5e-6 of
    # the logits, 5e-6 of a leaf's largest gradient.
    parity.check_against_golden(BASE.name, logits=6e-6, training_logits=6e-6, gradient=1e-4)


@golden.needs_golden
def test_losses_and_sums_of_algoperfs_logits_are_its_own():
    parity.check_classification(BASE.name)
    # Targets mixed as by the input pipeline, .7 of an example's own and .3 of the one before.
    batch, arrays = golden.batch(BASE.name, "eval"), golden.arrays(BASE.name)
    own = np.eye(1000, dtype=np.float32)[batch["targets"]]
    mixed = batch | {"targets": jnp.asarray(0.7 * own + 0.3 * np.roll(own, 1, axis=0))}
    for smoothing in (0.0, 0.1):
        losses, weights = BASE.losses(jnp.asarray(arrays["eval/logits"]), mixed, smoothing)
        expected = arrays[f"eval/loss_mixed_targets_ls{smoothing:g}/per_example"]
        np.testing.assert_allclose(losses * weights, expected, rtol=1e-6)  # a few roundings


@golden.needs_golden
def test_positions_are_algoperfs():
    arrays, _ = golden.components()
    expected = arrays["positions/vit_14x14x384@4096"]
    found = _vit.positions(14, 14, 384).ravel()
    rows = np.arange(len(expected)) * found.size // len(expected)
    # AlgoPerf's angles, up to 13, are rounded to float32: half a unit in the last place is 5e-7.
    np.testing.assert_allclose(found[rows], expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_narrow_ones_are_numpys(name):
    model = narrow.model(BASE, name, **NARROW)
    params, _ = narrow.filled(model)
    batch = {"inputs": IMAGES}
    found, state = jax.jit(lambda p: model.model_fn(p, (), batch, None, False, False, None, 0.0))(params)
    assert state == ()
    wide = jax.tree.map(lambda leaf: leaf.astype(np.float64), params)
    expected = numpy_images.vit(wide, IMAGES.astype(np.float64), _vit.positions(3, 2, 16), "post_ln" in name)
    np.testing.assert_allclose(found, expected, atol=2e-5)  # sums of some hundred terms of order 1


def test_patches_by_slices_give_the_same():
    whole, sliced = (narrow.model(BASE, **NARROW, slices=slices) for slices in (False, True))
    params, _ = narrow.filled(whole)
    batch = {"inputs": IMAGES}
    one, other = (
        jax.jit(lambda p, m=m: m.model_fn(p, (), batch, None, False, False, None, 0.0)[0])(params)
        for m in (whole, sliced)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_rate_of_dropout_is_traced_and_0_is_evaluation():
    model = narrow.model(BASE, **NARROW)
    params, _ = narrow.filled(model)
    batch, key = {"inputs": IMAGES}, jax.random.key(0)
    train = jax.jit(lambda p, rate: model.model_fn(p, (), batch, key, True, True, None, rate)[0])
    still = jax.jit(lambda p: model.model_fn(p, (), batch, None, False, False, None, 0.5)[0])(params)
    assert np.abs(train(params, 0.5) - still).max() > 0.01
    np.testing.assert_allclose(train(params, 0.0), still, atol=1e-6)
    assert train._cache_size() == 1


@pytest.mark.parametrize("name", NAMES)
def test_what_is_dropped_are_embeddings_attentions_and_both_layers_of_perceptrons(name):
    model = narrow.model(BASE, name, **NARROW)
    params, _ = narrow.filled(model)
    batch, key = {"inputs": IMAGES}, jax.random.key(0)

    def train(params, rate):
        return model.model_fn(params, (), batch, key, True, True, None, rate)[0]

    block = [(3, TOKENS, 16), (3, TOKENS, 24), (3, TOKENS, 16)]
    assert narrow.draws(train, params, 0.1) == [(3, TOKENS, 16), *block, *block]


def test_initial_distributions():
    model = narrow.model(
        BASE, "imagenet_vit_map", **NARROW | {"width": 64, "heads": 4, "hidden": 96, "depth": 1}
    )
    params, _ = model.init(jax.random.key(0))

    def kind(path):
        *parents, leaf = path.split("/")
        if leaf == "kernel" and parents[-1] in ("query", "key", "value", "out"):
            return "attention"
        if "MlpBlock" in path:
            return f"mlp {leaf}"
        return leaf if leaf != "kernel" else parents[-1]

    found = narrow.by_kind(params, kind)
    for name, fans in {"attention": 64 + 64, "mlp kernel": 64 + 96, "probe": 1 + 64}.items():
        parity.check_uniform(found[name], np.sqrt(6 / fans))
    parity.check_truncated_normal(found["conv_patch_extract"], 1 / np.sqrt(4 * 4 * 3))
    parity.check_truncated_normal(found["pre_logits"], 1 / np.sqrt(64))
    parity.check_normal(found["mlp bias"], 1e-6)
    assert not found["head"].any()
    assert not found["bias"].any()
    assert (found["scale"] == 1).all()


def test_rows_of_weight_0_change_nothing():
    parity.check_padding(narrow.model(BASE, **NARROW), BASE, IMAGES, 5)


@pytest.mark.parametrize("name", NAMES)
def test_it_builds_at_full_scale(name):
    workload = workloads.load(f"algoperf/{name}")
    assert workload.batch_size == 1024
    assert workload.output_layer == "head"
    assert workload.step_hint == 167_999
    parity.check_abstract_step(workload)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_takes_a_training_step_at_full_scale(name):
    parity.check_training_step(workloads.load(f"algoperf/{name}"), optax.adamw(1e-3))
