"""Hold the perceptron on MNIST against AlgoPerf's."""

from __future__ import annotations

from tests.workloads.algoperf import golden, parity


@golden.needs_counts
def test_parameters_are_algoperfs_path_for_path():
    parity.check_parameters("mnist")


@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    # One unit in the last place of every parameter: 3.6e-7 of the logits, 6e-6 of the gradients' norm.
    parity.check_against_golden("mnist", logits=2e-6, training_logits=2e-6, gradient_norm=3e-5, gradient=1e-4)


@golden.needs_golden
def test_losses_and_sums_of_algoperfs_logits_are_its_own():
    parity.check_classification("mnist")
