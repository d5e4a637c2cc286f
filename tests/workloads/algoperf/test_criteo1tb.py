"""Hold the small DLRM against AlgoPerf's."""

import pytest

from tests.workloads.algoperf import golden, parity
from workloads.algoperf._names import BASES

NAMES = ("criteo1tb", *BASES["criteo1tb"].variants)


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


# One unit in the last place of every parameter changes logits by 1e-6 and gradients by 2e-6 of a leaf's largest.
TOLERANCES = {"logits": 5e-6, "training_logits": 5e-6, "loss": 2e-6, "gradient_norm": 2e-6, "gradient": 1e-5}


@golden.needs_golden
def test_outputs_and_gradients_with_the_small_table_are_algoperfs():
    parity.check_against_golden("criteo1tb_test", **TOLERANCES)


@pytest.mark.slow
@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    parity.check_against_golden("criteo1tb", **TOLERANCES)
