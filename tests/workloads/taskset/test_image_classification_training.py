"""A member of each family of image classifiers learns from its first steps."""

from __future__ import annotations

import numpy as np
import pytest

import workloads
from benchmarks._first_steps import first_steps


@pytest.mark.parametrize(
    "name",
    [
        "taskset/mlp_family_seed15",
        "taskset/conv_fc_family_seed2",  # one VALID convolution, two hidden layers
        "taskset/conv_pooling_family_seed2",  # the same convolution, augmented images, squared mean
    ],
)
def test_a_member_of_each_family_learns_in_thirty_steps(name):
    tried = first_steps(workloads.load(name), steps=30)
    assert np.isfinite(tried.losses).all()
    assert tried.losses[-10:].mean() < tried.losses[:10].mean()
