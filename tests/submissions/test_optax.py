"""Optax's optimizers with traced hyperparameters, step by step against NumPy float64 programs of their equations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import submissions
from submissions.optimizers import sgd as sgd_file
from tests.submissions import training
from tests.submissions.training import cosine_rate, each_leaf, mean

# 60 updates of up to a hundred operations on numbers of order 1 in float64, amplified by the first corrections'
# 1 / (1 - beta2) = 1000: 60 * 100 * 1e-16 * 1e3.
TOLERANCE = 6e-10


def adamw(hp, t, g, x, memory):
    m = mean(memory, "m", hp["beta1"], g) / (1 - hp["beta1"] ** t)
    v = mean(memory, "v", hp["beta2"], g * g) / (1 - hp["beta2"] ** t)
    return x - cosine_rate(hp, t) * (m / (np.sqrt(v) + hp["epsilon"]) + hp["weight_decay"] * x)


def sgd(hp, t, g, x, memory):
    g = g + hp["weight_decay"] * x
    memory["m"] = hp["beta1"] * memory.get("m", 0.0) + g
    direction = hp["beta1"] * memory["m"] + g if hp["use_nesterov"] else memory["m"]
    return x - cosine_rate(hp, t) * direction


def rmsprop(hp, t, g, x, memory):
    v = mean(memory, "v", hp["beta2"], g * g)
    memory["m"] = hp["beta1"] * memory.get("m", 0.0) + cosine_rate(hp, t) * g / np.sqrt(v + hp["epsilon"])
    return x - memory["m"]


def adagrad(hp, t, g, x, memory):
    memory["sum"] = memory.get("sum", hp["initial_accumulator_value"]) + g * g
    return x - cosine_rate(hp, t) * g / np.sqrt(memory["sum"] + hp["epsilon"])


def adafactor(hp, t, g, x, memory):
    b2, squares = 1 - t ** -hp["decay_rate"], g * g + 1e-30
    if x.ndim == 2 and min(x.shape) >= 128:
        rows = mean(memory, "rows", b2, squares.mean(1, keepdims=True))
        columns = mean(memory, "columns", b2, squares.mean(0, keepdims=True))
        second = rows * columns / rows.mean()
    else:
        second = mean(memory, "v", b2, squares)
    u = g / np.sqrt(second)
    u = u / max(1.0, np.sqrt((u * u).mean()) / hp["clipping_threshold"]) * cosine_rate(hp, t)
    if hp["multiply_by_parameter_scale"]:
        u = u * max(1e-3, np.sqrt((x * x).mean()))
    return x - mean(memory, "m", hp["beta1"], u) - cosine_rate(hp, t) * hp["weight_decay"] * x


def lion(hp, t, g, x, memory):
    direction = np.sign(hp["beta1"] * memory.get("m", 0.0) + (1 - hp["beta1"]) * g)
    mean(memory, "m", hp["beta2"], g)
    return x - cosine_rate(hp, t) * (direction + hp["weight_decay"] * x)


def muon(hp, t, g, x, memory):
    def ahead(b):
        m = mean(memory, "m", b, g)
        return b * m / (1 - b ** (t + 1)) + (1 - b) * g / (1 - b**t)

    if x.ndim < 2:
        v = mean(memory, "v", hp["adam_beta2"], g * g) / (1 - hp["adam_beta2"] ** t)
        direction = ahead(hp["adam_beta1"]) / (np.sqrt(v) + hp["epsilon"])
    else:
        matrix = ahead(hp["beta1"]).reshape(-1, x.shape[-1])
        y = matrix / (np.sqrt((matrix**2).sum()) + hp["epsilon"])
        for _ in range(5):
            square = y @ y.T
            y = 3.4445 * y + (-4.7750 * square + 2.0315 * square @ square) @ y
        direction = hp["consistent_rms"] * np.sqrt(max(matrix.shape)) * y.reshape(x.shape)
    return x - cosine_rate(hp, t) * (direction + hp["weight_decay"] * x)


def schedule_free(hp, t, g, y, memory):
    """The three sequences z, x, y as the paper has them; the path is that of y."""
    z, x = memory.get("z", y), memory.get("x", y)
    warmup = int(hp["warmup_fraction"] * training.STEPS)

    def rate(step):
        return hp["learning_rate"] * (step / warmup if step < warmup else 1.0)

    v = mean(memory, "v", hp["beta2"], g * g) / (1 - hp["beta2"] ** t)
    # The weights read the schedule one step further on than the update does, as Optax has it.
    memory["largest"] = max(memory.get("largest", 0.0), rate(t))
    weight = memory["largest"] ** hp["weight_lr_power"]
    memory["weights"] = memory.get("weights", 0.0) + weight
    z = z - rate(t - 1) * (g / (np.sqrt(v) + hp["epsilon"]) + hp["weight_decay"] * y)
    x = x + weight / memory["weights"] * (z - x)
    memory["z"], memory["x"] = z, x
    return (1 - hp["beta1"]) * z + hp["beta1"] * x


def prodigy(hp, t, g, x, memory):
    """Algorithm 4 of the paper, with bias correction, and s without the learning rate ("safeguard")."""
    b1, b2 = hp["beta1"], hp["beta2"]
    start, d = memory.setdefault("start", x), memory.get("d", hp["estim_lr0"])
    rate = d * cosine_rate(hp, t) * np.sqrt(1 - b2**t) / (1 - b1**t)
    inner = sum((g[key] * (start[key] - x[key])).sum() for key in x)
    memory["r"] = np.sqrt(b2) * memory.get("r", 0.0) + rate * d * inner
    length, moments = 0.0, {}
    for key in x:
        leaf = memory.setdefault(key, {})
        leaf["s"] = np.sqrt(b2) * leaf.get("s", 0.0) + d * d * g[key]
        length += np.abs(leaf["s"]).sum()
        moments[key] = mean(leaf, "m", b1, d * g[key]), mean(leaf, "v", b2, (d * g[key]) ** 2)
    memory["d"] = max(d, hp["estim_lr_coef"] * memory["r"] / length)
    return {
        key: x[key] - rate * (m / (np.sqrt(v) + memory["d"] * hp["epsilon"]) + hp["weight_decay"] * x[key])
        for key, (m, v) in moments.items()
    }


def radam(hp, t, g, x, memory):
    b2, most = hp["beta2"], 2 / (1 - hp["beta2"]) - 1
    m = mean(memory, "m", hp["beta1"], g) / (1 - hp["beta1"] ** t)
    v = mean(memory, "v", b2, g * g) / (1 - b2**t)
    r = most - 2 * t * b2**t / (1 - b2**t)
    if r < 5:
        return x - hp["learning_rate"] * m
    rectified = np.sqrt((r - 4) * (r - 2) * most / ((most - 4) * (most - 2) * r))
    return x - hp["learning_rate"] * rectified * m / (np.sqrt(v) + hp["epsilon"])


RATE, WARM = {"learning_rate": 0.1}, {"warmup_fraction": 0.2}
# name -> its equations, and three points that set everything.
CASES = {
    "adamw_optax": (
        each_leaf(adamw),
        [
            RATE,
            RATE | WARM | {"beta1": 0.7, "beta2": 0.95, "epsilon": 1e-3, "weight_decay": 0.1},
            RATE | {"warmup_fraction": 0.0, "beta1": 0.0},
        ],
    ),
    "sgd_optax": (
        each_leaf(sgd),
        [
            RATE,
            RATE | WARM | {"beta1": 0.7, "use_nesterov": 1, "weight_decay": 0.1},
            RATE | {"warmup_fraction": 0.0, "beta1": 0.0},
        ],
    ),
    "rmsprop_optax": (
        each_leaf(rmsprop),
        [RATE, RATE | WARM | {"beta1": 0.8, "beta2": 0.97, "epsilon": 1e-3}, RATE | {"epsilon": 10.0}],
    ),
    "adagrad_optax": (
        each_leaf(adagrad),
        [
            RATE,
            RATE | WARM | {"epsilon": 0.1, "initial_accumulator_value": 3.0},
            RATE | {"initial_accumulator_value": 0.0},
        ],
    ),
    "adafactor_optax": (
        each_leaf(adafactor),
        [
            RATE,
            RATE | WARM | {"multiply_by_parameter_scale": 0, "weight_decay": 0.1, "beta1": 0.8},
            RATE | {"decay_rate": 0.6, "clipping_threshold": 0.3},
        ],
    ),
    "lion_optax": (
        each_leaf(lion),
        [RATE, RATE | WARM | {"beta1": 0.7, "beta2": 0.8, "weight_decay": 0.3}, RATE | {"beta1": 0.0}],
    ),
    "muon_optax": (
        each_leaf(muon),
        [
            RATE,
            RATE | WARM | {"beta1": 0.8, "adam_beta1": 0.7, "adam_beta2": 0.9, "weight_decay": 0.2},
            RATE | {"consistent_rms": 1.0, "epsilon": 1e-3},
        ],
    ),
    "schedule_free_adamw_optax": (
        each_leaf(schedule_free),
        [
            RATE,
            RATE | WARM | {"beta1": 0.7, "beta2": 0.95, "epsilon": 1e-3, "weight_decay": 0.1},
            RATE | {"warmup_fraction": 0.0, "weight_lr_power": 0.0},
        ],
    ),
    "radam_optax": (
        each_leaf(radam),
        [RATE, RATE | {"beta1": 0.7, "beta2": 0.9, "epsilon": 1e-3}, RATE | {"beta1": 0.0, "beta2": 0.95}],
    ),
    "prodigy_optax": (
        prodigy,
        [
            {"warmup_fraction": 0.0},
            WARM | {"estim_lr0": 1e-3, "estim_lr_coef": 0.7, "weight_decay": 0.1, "learning_rate": 0.8},
            {"beta1": 0.7, "beta2": 0.9, "epsilon": 1e-3, "estim_lr0": 1e-2},
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_trajectories_match_numpy(name):
    rule, points = CASES[name]
    training.check(name, rule, points, TOLERANCE)


def test_every_rule_of_optax_is_checked():
    of_optax = {name for name in submissions.OPTIMIZERS if name.endswith("_optax")}
    assert set(CASES) == of_optax - {"nadamw_optax"}  # which has a file of its own


def test_schedule_free_is_evaluated_at_the_mean_and_not_where_gradients_are_taken():
    point = RATE | WARM
    trained, seen = training.run("schedule_free_adamw_optax", [point] * 3)
    means = []

    def rule(hp, t, g, y, memory):
        y = schedule_free(hp, t, g, y, memory)
        means.append(memory["x"])
        return y

    training.reference("schedule_free_adamw_optax", each_leaf(rule), point)
    of_bias = means[:: len(training.SHAPES)]
    np.testing.assert_allclose(seen["bias"][0][1:], of_bias, rtol=0, atol=TOLERANCE)
    assert np.abs(seen["bias"][0] - trained["bias"][0]).max() > 0.1


@pytest.mark.parametrize("use_nesterov", [False, True])
def test_the_traced_nesterov_switch_is_optaxs(use_nesterov):
    ours, theirs = sgd_file.trace(0.8, jnp.asarray(use_nesterov)), optax.trace(0.8, nesterov=use_nesterov)
    x = jnp.zeros(3)
    states = [ours.init(x), theirs.init(x)]
    for t in range(4):
        g = jnp.sin(t + jnp.arange(3.0))
        (got, states[0]), (expected, states[1]) = (
            o.update(g, s) for o, s in zip((ours, theirs), states, strict=True)
        )
        np.testing.assert_array_equal(got, expected)


def test_prodigy_waits_for_the_first_gradient_where_optax_divides_zero_by_zero():
    optimizer = submissions.optimizer("prodigy_optax")
    ours = optimizer(optimizer.prepare({}, 100), 100)
    plain = optax.contrib.prodigy(1.0, safeguard_warmup=True)
    x = {"a": jnp.ones(2), "b": jnp.ones(1)}
    nothing = {"a": jnp.zeros(2), "b": jnp.zeros(1)}
    something = {**nothing, "b": jnp.ones(1)}

    @jax.jit
    def two_updates():
        first, state = ours.update(nothing, ours.init(x), x)
        then, _ = ours.update(something, state, x)
        return ours.init(x), state, first, then, plain.update(nothing, plain.init(x), x)[0]

    before, after, first, then, of_optax = two_updates()
    jax.tree.map(np.testing.assert_array_equal, after, before)
    jax.tree.map(np.testing.assert_array_equal, first, nothing)
    assert all(jnp.isfinite(u).all() for u in jax.tree.leaves(then))
    assert not jnp.isfinite(of_optax["a"]).any()


def test_muon_reads_a_convolutions_kernel_as_a_matrix_of_all_axes_but_the_last():
    # An orthogonalised 6x4 kernel has four singular values near 1; a kernel left to Adam would have entries near 1.
    optimizer = submissions.optimizer("muon_optax")
    point = {"learning_rate": 1.0, "warmup_fraction": 0.0, "consistent_rms": 1.0}
    transformation = optimizer(optimizer.prepare(point, 100), 100)
    x = {"kernel": jnp.zeros((2, 1, 3, 4))}
    gradient = {"kernel": jax.random.normal(jax.random.key(0), (2, 1, 3, 4))}
    updates = jax.jit(lambda: transformation.update(gradient, transformation.init(x), x)[0])()
    singular = np.linalg.svd(np.asarray(updates["kernel"]).reshape(6, 4) / np.sqrt(6), compute_uv=False)
    # Five steps of this quintic leave singular values of generic matrices in [0.65, 1.25] (Jordan 2024).
    assert singular.min() > 0.65
    assert singular.max() < 1.25
