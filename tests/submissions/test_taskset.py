"""TaskSet's rules, step by step against NumPy float64 programs written from their equations."""

import numpy as np
import pytest

import submissions
from submissions.optimizers.taskset_adam import adam8p as adam8p_of_taskset
from submissions.taskset_grids import GRIDS, grid_point
from tests.submissions import training
from tests.submissions.training import each_leaf, mean

# 60 updates of a few dozen operations on numbers of order 1 in float64, amplified by up to 1 / (1 - beta2) = 1e4 in
# the first corrections: 60 * 30 * 1e-16 * 1e4.
TOLERANCE = 2e-9


def adam_tensorflow(hp, t, g, x, memory):
    b1, b2 = hp.get("beta1", 0.9), hp.get("beta2", 0.999)
    m, v = mean(memory, "m", b1, g), mean(memory, "v", b2, g * g)
    rate = hp["learning_rate"] * np.sqrt(1 - b2**t) / (1 - b1**t)
    return x - rate * m / (np.sqrt(v) + hp.get("epsilon", 1e-8))


def adam8p(inside=False, horizon=10_000):
    def rule(hp, t, g, x, memory):
        g = g + hp.get("l1", 0.0) * np.sign(x) + 2 * hp.get("l2", 0.0) * x
        mh = mean(memory, "m", hp["beta1"], g) / (1 - hp["beta1"] ** t)
        vh = mean(memory, "v", hp["beta2"], g * g) / (1 - hp["beta2"] ** t)
        s = 10_000 / horizon * (t - 1)
        rate = hp["learning_rate"] * max(1 - hp["linear_decay"] * s, 0.0)
        rate = rate * np.exp(-hp["exponential_decay"] * s)
        return x - rate * mh / (
            np.sqrt(vh + hp["epsilon"]) if inside else np.sqrt(vh + 1e-10) + hp["epsilon"]
        )

    return rule


def adagrad(hp, t, g, x, memory):
    memory["sum"] = memory.get("sum", hp["initial_accumulator_value"]) + g * g
    return x - hp["learning_rate"] * g / np.sqrt(memory["sum"])


ADAM = {"learning_rate": 0.1, "beta1": 0.8, "beta2": 0.97, "epsilon": 1e-3}
# The decays of 60 steps, or of 10,000 where these stand for them: visible, and past the end of the linear one.
DECAYS = {"linear_decay": 2e-4, "exponential_decay": 3e-4}
SEEN = {"linear_decay": 0.02, "exponential_decay": 0.01}
PENALTIES = {"l1": 0.3, "l2": 0.1}

# name -> its equations, and three points: ordinary, with every hyperparameter at work, and one of TaskSet's own.
CASES = {
    "adam1p": (
        adam_tensorflow,
        [{"learning_rate": 0.1}, {"learning_rate": 1e-3}, grid_point("adam1p_wide_grid", 8)],
    ),
    "adam4p": (adam_tensorflow, [ADAM, ADAM | {"epsilon": 10.0}, grid_point("adam4p_wide_grid", 2)]),
    "adam6p": (
        adam8p(horizon=training.STEPS),
        [ADAM, ADAM | DECAYS, grid_point("adam6p_wide_grid", 0)],
    ),
    "adam6p_paper": (
        adam8p(inside=True, horizon=training.STEPS),
        [ADAM, ADAM | DECAYS, grid_point("adam6p_wide_grid", 0)],
    ),
    "adam8p": (
        adam8p(),
        [ADAM | PENALTIES, ADAM | PENALTIES | SEEN, grid_point("adam8p_wide_grid", 0)],
    ),
    "adam8p_stretched": (
        adam8p(horizon=training.STEPS),
        [ADAM | PENALTIES, ADAM | PENALTIES | DECAYS, grid_point("adam8p_wide_grid", 0)],
    ),
    "adam8p_paper": (
        adam8p(inside=True, horizon=training.STEPS),
        [ADAM | PENALTIES, ADAM | PENALTIES | DECAYS, grid_point("adam8p_wide_grid", 0)],
    ),
    "adagrad_tf": (
        adagrad,
        [
            {"learning_rate": 0.5},
            {"learning_rate": 0.1, "initial_accumulator_value": 1e-8},
            grid_point("adagrad_wide_grid", 4),
        ],
    ),
    "zero": (lambda hp, t, g, x, memory: np.zeros_like(x), [{}, {}, {}]),
}


@pytest.mark.parametrize("name", CASES)
def test_trajectories_match_numpy(name):
    rule, points = CASES[name]
    training.check(name, each_leaf(rule), points, TOLERANCE)


def test_every_rule_of_taskset_is_checked():
    of_taskset = {grid.optimizer for grid in GRIDS.values()} - {"nadamw_metz_code"}  # in a file of its own
    variants = {"adam6p_paper", "adam8p_paper", "adam8p_stretched"}
    assert set(CASES) == of_taskset | variants


def test_the_linear_decay_ends_training():
    # 1 - 0.02 s reaches 0 at s = 50: nothing moves from update 51 on.
    trained, _ = training.run("adam8p", CASES["adam8p"][1])
    path = trained["kernel"][1]
    assert np.array_equal(path[50], path[60])
    assert not np.array_equal(path[49], path[50])


def test_the_released_adam8p_does_not_read_the_number_of_steps():
    # Decays of 2e-4 and 3e-4 act on 10,000 steps: hardly on 60, unless these stand for 10,000.
    decayed, constant = ADAM | PENALTIES | DECAYS, ADAM | PENALTIES
    difference = {}
    for name in ("adam8p", "adam8p_stretched"):
        trained, _ = training.run(name, [decayed, constant, constant])
        difference[name] = np.abs(trained["kernel"][0, -1] - trained["kernel"][1, -1]).max()
    assert difference["adam8p"] < 0.01 < 0.05 < difference["adam8p_stretched"]


@pytest.mark.parametrize("switch", ["adam8p_steps", "adam8p_epsilon"])
def test_an_unknown_switch_value_is_refused_with_the_allowed_ones(switch):
    with pytest.raises(ValueError, match=f"{switch} is 'papr'; allowed: "):
        adam8p_of_taskset(ADAM | PENALTIES | DECAYS, 10, **{switch: "papr"})


def test_only_taskset_own_adams_leave_constraints_alone():
    free = {name for name, row in submissions.OPTIMIZERS.items() if not row.applies_constraints}
    assert free == {"adam6p", "adam6p_paper", "adam8p", "adam8p_paper", "adam8p_stretched"}
