"""VeLOdrome's Adam against its equations in NumPy float64, and its schedules by hand."""

import numpy as np
import pytest

from submissions.optimizers.schedules import rampup_then_root_times_power
from tests.submissions import training
from tests.submissions.training import each_leaf, mean


def rate(hp, n):
    """Of the update that has n before it."""
    w = hp["rampup_steps"]
    shape = min(max(n, 1) / w, np.sqrt(w / max(n, 1))) if w else 1.0
    return hp["learning_rate"] * shape * (1 - hp["decay_per_step"]) ** n


def adam(hp, t, g, x, memory):
    m = mean(memory, "m", hp["beta1"], g) / (1 - hp["beta1"] ** t)
    v = mean(memory, "v", hp["beta2"], g * g) / (1 - hp["beta2"] ** t)
    return x - rate(hp, t - 1) * m / (np.sqrt(v + hp["epsilon_root"]) + hp["epsilon"])


def test_trajectories_match_numpy():
    points = [
        {"learning_rate": 0.1},
        {"learning_rate": 0.3, "rampup_steps": 10, "epsilon_root": 1e-3, "epsilon": 1e-4},
        {"learning_rate": 0.1, "decay_per_step": 0.02, "beta1": 0.7, "beta2": 0.95},
    ]
    # As tests/submissions/test_optax.py derives it.
    training.check("adam_velodrome", each_leaf(adam), points, 6e-10)


@pytest.mark.parametrize(("n", "expected"), [(0, 1e-6), (1, 1e-6), (500, 5e-4), (1000, 1e-3), (4000, 5e-4)])
def test_the_ramp_rises_to_its_peak_and_falls_as_the_root(n, expected):
    # lr 1e-3, w 1000: n / 1000 up to the peak, then sqrt(1000 / 4000) = 1/2; the first update has the second's rate.
    assert float(rampup_then_root_times_power(1e-3, 1000, 0.0)(n)) == pytest.approx(expected, rel=1e-6)


def test_the_power_takes_the_rate_down_by_a_thousand_in_a_hundred_thousand_steps():
    # (1 - 7e-5)^100000 = exp(-7.0002) = 9.1e-4
    assert float(rampup_then_root_times_power(1.0, 0, 7e-5)(100_000)) == pytest.approx(9.1166e-4, rel=1e-3)
