"""Hold the U-Net against AlgoPerf's."""

import pytest

from tests.workloads.algoperf import golden, parity
from workloads.algoperf._names import BASES

NAMES = ("fastmri", *BASES["fastmri"].variants)


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


@pytest.mark.slow
@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    # One unit in the last place of every parameter changes logits by 1.5e-5 and gradients by 2e-3 of a leaf's largest.
    parity.check_against_golden(
        "fastmri", logits=6e-5, training_logits=6e-5, loss=2e-6, gradient_norm=2e-5, gradient=1e-2
    )
