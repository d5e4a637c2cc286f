"""AdEMAMix against a NumPy float64 program of the paper's equations."""

import numpy as np
import optax

import submissions
from tests.submissions import training
from tests.submissions.training import cosine_rate, each_leaf, mean

# As for Optax's Adams, see `test_optax`: 60 updates of a hundred operations, amplified by 1 / (1 - beta2) = 1000.
TOLERANCE = 6e-10


def ademamix(hp, t, g, x, memory):
    warmup = hp["mix_warmup_fraction"] * training.STEPS
    alpha, b3 = hp["alpha"], hp["beta3"]
    if t < warmup:
        # beta3 by half-lives: that of beta(t) lies on the line between those of beta1 and beta3.
        half_lives = [np.log(0.5) / np.log(b) for b in (hp["beta1"], hp["beta3"])]
        b3 = 0.5 ** (1 / (half_lives[0] + t / warmup * (half_lives[1] - half_lives[0])))
        alpha = alpha * t / warmup
    m = mean(memory, "m", hp["beta1"], g) / (1 - hp["beta1"] ** t)
    n = mean(memory, "n", b3, g)
    v = mean(memory, "v", hp["beta2"], g * g) / (1 - hp["beta2"] ** t)
    direction = (m + alpha * n) / (np.sqrt(v) + hp["epsilon"])
    return x - cosine_rate(hp, t) * (direction + hp["weight_decay"] * x)


POINTS = [
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "warmup_fraction": 0.2, "beta1": 0.7, "beta2": 0.95, "beta3": 0.99, "alpha": 8.0}
    | {"mix_warmup_fraction": 0.5, "epsilon": 1e-3, "weight_decay": 0.1},
    {"learning_rate": 0.1, "mix_warmup_fraction": 0.0, "beta3": 0.999},
]


def test_trajectories_match_numpy():
    training.check("ademamix", each_leaf(ademamix), POINTS, TOLERANCE)


def test_without_its_warmups_it_is_optaxs():
    row = submissions.optimizer("ademamix")
    point = {"learning_rate": 0.1, "warmup_fraction": 0.0, "mix_warmup_fraction": 0.0, "weight_decay": 0.1}
    ours = row(row.prepare(point, 10**9), 10**9)
    theirs = optax.contrib.ademamix(0.1, alpha=5.0, weight_decay=0.1)
    x = {"x": np.float32([1.0, -2.0])}
    states = [ours.init(x), theirs.init(x)]
    for t in range(5):
        g = {"x": np.sin(t + np.arange(2, dtype=np.float32))}
        (got, states[0]), (expected, states[1]) = (
            o.update(g, s, x) for o, s in zip((ours, theirs), states, strict=True)
        )
        np.testing.assert_allclose(
            got["x"], expected["x"], rtol=1e-4
        )  # 1 - .9999 is good to 6e-4 in float32, of a tenth
