"""MARS-AdamW against a NumPy float64 program of the paper's equations."""

import numpy as np
import pytest

from tests.submissions import training
from tests.submissions.training import cosine_rate, mean

# As for Optax's Adams, see `test_optax`, and a gradient's change amplified by gamma b1 / (1 - b1), at most 9 here.
TOLERANCE = 6e-9


def mars(hp, t, g, x, memory):
    b1, b2 = hp["beta1"], hp["beta2"]
    last = memory.get("last", g)
    memory["last"] = g
    c = {key: g[key] + hp["gamma"] * b1 / (1 - b1) * (g[key] - last[key]) for key in g}
    norm = np.sqrt(sum((leaf**2).sum() for leaf in c.values()))
    memory.setdefault("norms", []).append(norm)
    moved = {}
    for key, leaf in c.items():
        clipped = leaf / norm if norm > 1 else leaf
        own = memory.setdefault(key, {})
        m = mean(own, "m", b1, clipped) / (1 - b1**t)
        v = mean(own, "v", b2, clipped**2) / (1 - b2**t)
        direction = m / (np.sqrt(v) + hp["epsilon"])
        moved[key] = x[key] - cosine_rate(hp, t) * (direction + hp["weight_decay"] * x[key])
    return moved


POINTS = [
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "warmup_fraction": 0.2, "beta1": 0.9, "beta2": 0.95, "gamma": 1.0}
    | {"epsilon": 1e-3, "weight_decay": 0.1},
    {"learning_rate": 0.1, "beta1": 0.0, "epsilon": 0.1},
]


def test_trajectories_match_numpy():
    training.check("mars_adamw", mars, POINTS, TOLERANCE)


def test_small_corrected_gradients_are_not_clipped():
    # Waves of a hundredth around the target: |c| stays below 1, where the trajectories above are always above it.
    norms = {}
    for scale in (1.0, 0.01):
        memory = {}
        hp = {"beta1": 0.9, "beta2": 0.99, "gamma": 0.025, "epsilon": 1e-8, "weight_decay": 0.0}
        hp |= {"learning_rate": 0.1, "warmup_fraction": 0.0}
        g = {
            key: scale * value
            for key, value in training.gradient(1, training.start_of("mars_adamw"), 1.0).items()
        }
        mars(hp, 1, g, training.start_of("mars_adamw"), memory)
        norms[scale] = memory["norms"][0]
    assert norms[0.01] < 1 < norms[1.0]
    assert norms[1.0] == pytest.approx(100 * norms[0.01])
