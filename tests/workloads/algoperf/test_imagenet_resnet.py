"""Hold AlgoPerf's residual network and its variants against AlgoPerf's, and narrow ones against NumPy."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import optax
import pytest

import workloads
from tests.workloads.algoperf import golden, narrow, numpy_images, parity
from workloads.algoperf import imagenet_resnet

BASE = imagenet_resnet.BASE
NAMES = (BASE.name, *BASE.variants)
NARROW = {"stages": (1, 2), "filters": 4, "images": (21, 16, 3), "classes": 5}
IMAGES = np.random.default_rng(1).normal(size=(3, 21, 16, 3)).astype(np.float32)
ACTIVATIONS = {"imagenet_resnet_silu": numpy_images.silu, "imagenet_resnet_gelu": numpy_images.gelu}


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


@pytest.mark.slow
@golden.needs_golden
def test_outputs_statistics_and_gradients_are_algoperfs():
    # One unit in the last place of every parameter moves the logits by 1.9e-6, in training by 8.3e-5, and a leaf's
    # largest gradient by 5 %, the gradients' norm by 3.5e-5: three images make the statistics. Measured: 2.4e-6,
    # 1.9e-4, 5 %, 7.6e-5.
    tolerances = {"logits": 8e-6, "training_logits": 4e-4, "gradient_norm": 2e-4, "gradient": 0.15}
    parity.check_against_golden(BASE.name, state=4e-5, **tolerances)


@golden.needs_golden
def test_losses_and_sums_of_algoperfs_logits_are_its_own():
    parity.check_classification(BASE.name)


@pytest.mark.parametrize(("name", "slices"), [*((name, False) for name in NAMES[:-1]), (BASE.name, True)])
def test_narrow_ones_are_numpys(name, slices):
    model = narrow.model(BASE, name, **NARROW, slices=slices)
    params, state = narrow.filled(model)
    batch = {"inputs": IMAGES}
    wide = jax.tree.map(lambda leaf: leaf.astype(np.float64), (params, state))

    @jax.jit
    def both(params, state):
        return tuple(
            model.model_fn(params, state, batch, None, train, train, None, 0.0) for train in (False, True)
        )

    for train, (logits, new_state) in enumerate(both(params, state)):
        norms = numpy_images.Norms(wide[1], batch=bool(train))
        act = ACTIVATIONS.get(name, numpy_images.relu)
        expected = numpy_images.bottleneck_resnet(wide[0], norms, IMAGES.astype(np.float64), (1, 2), act)
        # Sums of some hundred terms of order 1; the statistics of few pixels magnify what is rounded before.
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        for path, leaf in golden.flat(new_state).items():
            old = golden.flat(state)[path]
            np.testing.assert_allclose(leaf, norms.new.get(path, old), atol=1e-5, err_msg=path)
        assert bool(norms.new) == bool(train)


def test_the_switch_of_updates_decides_and_the_mode_is_ignored():
    model = narrow.model(BASE, **NARROW | {"stages": (1,)})
    params, state = narrow.filled(model)
    batch = {"inputs": IMAGES}
    ways = list(itertools.product((False, True), (False, True), (None, False, True)))

    @jax.jit
    def all_ways(params, state):
        return [model.model_fn(params, state, batch, None, *way, 0.0) for way in ways]

    found = dict(zip(ways, all_ways(params, state), strict=True))
    by_running, by_batch = found[False, False, True][0], found[False, False, False][0]
    assert np.abs(by_running - by_batch).max() > 0.01
    for (_, update, running), (logits, new_state) in found.items():
        runs = not update if running is None else running
        np.testing.assert_allclose(logits, by_running if runs else by_batch, atol=1e-5)
        pairs = zip(jax.tree.leaves(new_state), jax.tree.leaves(state), strict=True)
        # Where running statistics normalise, nothing is known that could update them.
        assert any(np.any(new != old) for new, old in pairs) == (update and not runs)


def test_no_unit_is_dropped_whatever_the_rate():
    model = narrow.model(BASE, **NARROW)
    params, state = narrow.filled(model)
    batch, key = {"inputs": IMAGES}, jax.random.key(0)
    train = lambda params, rate: model.model_fn(params, state, batch, key, True, True, None, rate)[0]  # noqa: E731
    assert narrow.draws(train, params, 0.5) == []


@pytest.mark.parametrize(("name", "last"), [("imagenet_resnet", 0.0), ("imagenet_resnet_large_bn_init", 8.0)])
def test_initial_distributions(name, last):
    model = narrow.model(BASE, name, **NARROW | {"filters": 16, "classes": 40})
    params, state = model.init(jax.random.key(0))
    assert not any(leaf.any() for path, leaf in golden.flat(state).items() if path.endswith("mean"))
    assert all((leaf == 1).all() for path, leaf in golden.flat(state).items() if path.endswith("var"))
    standard = []
    for path, leaf in golden.flat(params).items():
        if path.endswith("scale"):
            assert (leaf == (last if "BatchNorm_2" in path else 1.0)).all(), path
        elif path.endswith("bias"):
            assert not leaf.any(), path
        elif "Conv" in path:
            standard.append(np.asarray(leaf, np.float64).ravel() * np.sqrt(np.prod(leaf.shape[:-1])))
        else:
            parity.check_normal(np.asarray(leaf, np.float64).ravel(), 0.01)
    parity.check_truncated_normal(np.concatenate(standard), 1.0)


def test_rows_of_weight_0_change_nothing():
    parity.check_padding(narrow.model(BASE, **NARROW), BASE, IMAGES, 5)


@pytest.mark.parametrize("name", NAMES)
def test_it_builds_at_full_scale(name):
    workload = workloads.load(f"algoperf/{name}")
    assert workload.batch_size == (512 if name in ACTIVATIONS else 1024)
    assert workload.output_layer == "Dense_0"
    assert workload.step_hint == 195_999
    parity.check_abstract_step(workload)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_takes_a_training_step_at_full_scale(name):
    parity.check_training_step(workloads.load(f"algoperf/{name}"), optax.adamw(1e-3))
