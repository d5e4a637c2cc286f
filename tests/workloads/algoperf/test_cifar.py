"""Hold CIFAR's residual network against AlgoPerf's."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

import workloads
from tests.workloads.algoperf import golden, narrow, parity
from workloads.algoperf import cifar

BASE = cifar.BASE
NARROW = {"stages": (1, 1), "filters": 4, "images": (8, 8, 3), "classes": 5}
IMAGES = np.random.default_rng(1).normal(size=(3, 8, 8, 3)).astype(np.float32)


@golden.needs_counts
def test_parameters_are_algoperfs_path_for_path():
    parity.check_parameters("cifar")


@golden.needs_golden
def test_outputs_statistics_and_gradients_are_algoperfs():
    parity.check_against_golden("cifar")


@golden.needs_golden
def test_losses_and_sums_of_algoperfs_logits_are_its_own():
    parity.check_classification("cifar")


def test_slices_give_the_same():
    whole, sliced = (narrow.model(BASE, **NARROW, slices=slices) for slices in (False, True))
    params, state = narrow.filled(whole)
    one, other = (
        jax.jit(lambda p, m=m: m.model_fn(p, state, {"inputs": IMAGES}, None, True, True, None, 0.0))(params)
        for m in (whole, sliced)
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        # Sums of some ten terms of order 1; 48 pixels make the statistics of the last layers.
        np.testing.assert_allclose(a, b, atol=5e-5)


def test_rows_of_weight_0_change_nothing():
    parity.check_padding(narrow.model(BASE, **NARROW), BASE, IMAGES, 5)


@pytest.mark.slow
def test_it_takes_a_training_step_at_full_scale():
    parity.check_training_step(workloads.load("algoperf/cifar"), optax.adamw(1e-3))
