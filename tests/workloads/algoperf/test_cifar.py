"""Hold CIFAR's residual network against AlgoPerf's."""

from tests.workloads.algoperf import golden, parity


@golden.needs_counts
def test_parameters_are_algoperfs_path_for_path():
    parity.check_parameters("cifar")


@golden.needs_golden
def test_outputs_statistics_and_gradients_are_algoperfs():
    parity.check_against_golden("cifar")


@golden.needs_golden
def test_losses_and_sums_of_algoperfs_logits_are_its_own():
    parity.check_classification("cifar")
