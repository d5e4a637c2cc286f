"""MLPLOpt, AdafacMLPLOpt, STAR and NNAdam: against the originals' numbers, and against slow versions of our own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from submissions import Seen
from submissions.learned import adafac_mlp_lopt, mlp_lopt, nn_adam, star
from submissions.learned.features import factored_axes
from tests.submissions.learned import small_in_numpy
from tests.tuning.toy import toy_workload
from tuning.engine.population import Population

ROWS = {module.ROWS[0].name: module.ROWS[0] for module in (mlp_lopt, adafac_mlp_lopt, star, nn_adam)}
SHAPES = {"a_scalar": (), "b_vector": (5,), "c_torch": (3, 3, 2, 2), "d_torch": (3, 3, 2, 2)}
FULL_STAR = {
    "nominal_stepsize": 0.01,
    "weight_decay": 0.01,
    "nominal_controller": True,
    "regularization_controller": True,
    "exp_mult": (0.1, 0.1, 0.1),
}
STAR2 = {
    **FULL_STAR,
    "aggregate_magnitude": True,
    "aggregate_nom_magnitude": True,
    "normalize_blackbox": True,
    "nominal_grad_estimator": "Adam",
}


def drawn(tree_of_shapes, random, scale, offset=0.0):
    return {
        name: drawn(shape, random, scale, offset)
        if isinstance(shape, dict)
        else (offset + random.standard_normal(shape) * scale).astype(np.float32)
        for name, shape in tree_of_shapes.items()
    }


def stepped(rule, weights, gradients, start, update=None, horizon=10):
    """(parameters, state) after each update."""
    update = update or jax.jit(rule.update)
    weights, gradients, p = jax.tree.map(jnp.asarray, (weights, gradients, start))
    state = rule.init(weights, {}, p, jax.random.key(0), jnp.int32(horizon))
    path = []
    for t, g in enumerate(gradients):
        updates, state = update(weights, {}, g, state, p, Seen(jnp.float32(1), jnp.int32(t), None))
        p = jax.tree.map(jnp.add, p, updates)
        path.append((p, state))
    return path


# ---------------------------------------------------------------- the originals' numbers


@pytest.fixture
def golden(shared):
    def read(name):
        with np.load(shared / "data/learned_optimizer_golden" / f"{name}.npz", allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    return read


def check_golden(file, tag, rule, weights):
    names = [key.removeprefix("p0/") for key in file if key.startswith("p0/")]
    start = {name: jnp.asarray(file[f"p0/{name}"]) for name in names}
    gradients = [{name: file[f"g{t}/{name}"] for name in names} for t in range(1, 7)]
    path = stepped(rule, weights, gradients, start)
    for t, (p, _) in enumerate(path, 1):
        for name in names:
            moved, expected = p[name] - start[name], file[f"{tag}{t}/p/{name}"] - file[f"p0/{name}"]
            # 3e-7: what the page of the golden files says float32 costs there.
            np.testing.assert_allclose(moved, expected, rtol=0, atol=3e-7, err_msg=f"{name} after {t}")
    return path


def adafac_weights(seed, outputs):
    random = np.random.default_rng(seed)
    one = drawn({"adafactor_decays": (3,), "momentum_decays": (3,)}, random, 0.05)
    sizes = {"b0": (4,), "b1": (4,), "b2": (outputs,), "w0": (39, 4), "w1": (4, 4), "w2": (4, outputs)}
    return {**one, "nn": {"~": drawn(sizes, random, 0.5)}, **drawn({"rms_decays": (1,)}, random, 0.05)}


def test_mlp_lopt_is_the_original(golden):
    layers = {0: (19, 32), 1: (32, 32), 2: (32, 2)}
    shapes = {f"mlp/~/linear_{i}": {"b": shape[1:], "w": shape} for i, shape in layers.items()}
    weights = drawn(shapes, np.random.default_rng(1), 0.25)
    check_golden(golden("mlp_lopt"), "", mlp_lopt.mlp_lopt(weights), weights)


def test_adafac_mlp_lopt_is_the_original_accumulators_too(golden):
    file, weights = golden("adafac_mlp_lopt"), adafac_weights(2, 2)
    _, state = check_golden(file, "", adafac_mlp_lopt.adafac_mlp_lopt(weights), weights)[-1]
    names = [key.removeprefix("p0/") for key in file if key.startswith("p0/")]
    for name, of_tensor in zip(names, state.tensors, strict=True):  # five shapes, so five stacks of one
        m, rms, (row, col) = jax.tree.map(lambda x: np.moveaxis(x[0], 0, -1), of_tensor)
        kept = {"m": m, "rms": rms, "v_diag" if col is None else "v_row": row} | (
            {} if col is None else {"v_col": col}
        )
        for key, value in kept.items():
            expected = file[f"6/{key}/{name}"]
            # 1 - decay is .001 at the least, known to half of 2^-23; from there it grows over 6 updates.
            np.testing.assert_allclose(
                value.reshape(expected.shape), expected, rtol=2e-4, atol=1e-9, err_msg=key
            )


@pytest.mark.parametrize(
    ("tag", "switches"), [pytest.param("default/", {}, marks=pytest.mark.slow), ("star/", FULL_STAR)]
)
def test_star_is_the_original(golden, tag, switches):
    weights = adafac_weights(4, 4)
    check_golden(golden("mlp_nom_lopt"), tag, star.star(weights, **switches), weights)


def nn_adam_weights(seed, units, start):
    random = np.random.default_rng(seed)
    first = {"lstm_init_state": drawn({"hidden": (1, units), "cell": (1, units)}, random, 0.25)}
    for name in ("beta1", "beta2", "epsilon", "lr"):
        first |= drawn({f"per_layer_{name}": ()}, random, 0.02, start[name])
    rest = {
        "rnn_params": {"rnn/linear": {"b": (4 * units,), "w": (19 + units, 4 * units)}},
        "rnn_to_controls_params": {"rnn_to_controls": {"b": (4,), "w": (units, 4)}},
    }
    return first | drawn(rest, random, 0.25)


# As the original has them in float32, where 1 - .999 is not .001.
NN_ADAM_START = {
    "beta1": 0.1 * np.log(1 - np.float32(0.9)),
    "beta2": 0.1 * np.log(1 - np.float32(0.999)),
    "epsilon": 0.1 * np.log(1e-8),
    "lr": 0.1 * np.log(0.01),
}


def test_nn_adam_is_the_original(golden):
    file, weights = golden("nn_adam"), nn_adam_weights(3, 32, NN_ADAM_START)
    for name in ("lr", "beta1", "beta2", "epsilon"):
        np.testing.assert_allclose(
            np.asarray(weights[f"per_layer_{name}"]), file[f"theta/per_layer_{name}"], rtol=1e-6
        )
    path = check_golden(file, "", nn_adam.nn_adam(weights), weights)
    for t, (_, state) in enumerate(path, 1):
        np.testing.assert_allclose(state.lstm.hidden, file[f"{t}/lstm_hidden"], rtol=0, atol=1e-5)
        np.testing.assert_allclose(state.lstm.cell, file[f"{t}/lstm_cell"], rtol=0, atol=1e-5)
        for i, name in enumerate(nn_adam.START):
            expected = [file[key] for key in file if key.startswith(f"{t}/{name}/")]
            np.testing.assert_allclose(state.logs[:, i], expected, rtol=0, atol=1e-5)


# ---------------------------------------------------------------- our own numbers, also of what the files lack


VARIANTS = [
    pytest.param(name, sizes, switches, marks=() if fast else pytest.mark.slow)
    for fast, name, sizes, switches in (
        (True, "mlp_lopt", {"hidden_size": 9, "hidden_layers": 3}, {"exp_mult": 0.5}),  # products of matrices
        (False, "mlp_lopt", {"hidden_size": 4}, {"step_mult": 0.02}),  # layers written out
        (True, "adafac_mlp_lopt", {}, {}),
        (
            False,
            "adafac_mlp_lopt",
            {"hidden_size": 9},
            {"clip_momentum_decays": True, "unfactored_epsilon": 0.0},
        ),
        (False, "adafac_mlp_lopt", {"hidden_layers": 1}, {"split_weights": True, "exp_mult": 0.1}),
        (False, "star", {}, {}),
        (False, "star", {}, FULL_STAR),
        (True, "star", {}, STAR2),
        (
            False,
            "star",
            {},
            {**FULL_STAR, "nominal_grad_estimator": "AggMo", "aggregate_reg_magnitude": True},
        ),
        (False, "star", {}, {**FULL_STAR, "nominal_grad_estimator": "SGDM", "selfnormalize_blackbox": True}),
        (
            False,
            "star",
            {},
            {"nominal_grad_estimator": "SGD", "nominal_stepsize": 0.1, "exp_mult": (1e-3, 0.5, 1e-3)},
        ),
        (False, "nn_adam", {"lstm_hidden_size": 8}, {}),
        (True, "nn_adam", {"lstm_hidden_size": 8}, {"decay_strength": 0.1}),
        (False, "nn_adam", {"lstm_hidden_size": 8}, {"output_scale": 0.5, "hyperparameters_act_late": False}),
    )
]


def structure(row, sizes):
    """Weights without numbers, which cost no compilation."""
    return jax.eval_shape(lambda key: row.initial(key, **sizes), jax.random.key(0))


def of_structure(row, sizes, seed=0, scale=0.4):
    """Random weights of some size: large enough that every part of the optimizer matters."""
    shapes = structure(row, sizes)
    random = np.random.default_rng(seed)

    def moved(path, x):
        name = path[0].key
        start = NN_ADAM_START[name.removeprefix("per_layer_")] if "per_layer" in name else 0.0
        near = 0.03 if "per_layer" in name or "decays" in name else scale
        made = np.asarray(start + random.standard_normal(x.shape) * near, np.float32)
        if name in ("momentum_decays", "adafactor_decays"):
            made[0] = 0.25  # a decay of -.2, which is clipped or not
        return made

    return jax.tree_util.tree_map_with_path(moved, shapes)


def problem(steps, seed=0):
    """Start and gradients whose sizes differ by four orders between tensors, and by steps."""
    random = np.random.default_rng(seed)
    start = {name: random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    sizes = {name: 10.0 ** random.uniform(-3, 1) for name in SHAPES}
    sizes["d_torch"] = 1e4  # NNAdam's gradients are clipped
    gradients = [
        {
            name: (sizes[name] * random.standard_normal(shape) * (t + 1)).astype(np.float32)
            for name, shape in SHAPES.items()
        }
        for t in range(steps)
    ]
    return start, gradients


@pytest.mark.parametrize(("name", "sizes", "switches"), VARIANTS)
def test_every_variant_is_a_slow_version_of_it_in_numpy(name, sizes, switches):
    row = ROWS[name]
    weights = jax.tree.map(lambda x: np.asarray(x, np.float64), of_structure(row, sizes))
    start, gradients = jax.tree.map(lambda x: np.asarray(x, np.float64), problem(4))
    with jax.enable_x64(True):
        rule = row.make(weights, **switches)
        update = jax.jit(rule.update)
        path = [p for p, _ in stepped(rule, weights, gradients, start, update)]
        others = jax.tree.map(lambda x: 2 * x, weights)
        stepped(rule, others, gradients[:1], start, update, horizon=1000)
    assert update._cache_size() == 1  # type: ignore[attr-defined]  # other weights and horizons compile nothing
    p, memory = start, {key: {} for key in start}
    for t, (g, ours) in enumerate(zip(gradients, path, strict=True)):
        before = p
        p = {
            key: getattr(small_in_numpy, name)(weights, t, g[key], p[key], memory[key], **switches)
            for key in p
        }
        for key in p:
            moved, expected = np.asarray(ours[key]) - before[key], p[key] - before[key]
            np.testing.assert_allclose(
                moved, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=f"{key} after {t + 1}"
            )


def test_of_equal_axes_the_later_one_is_the_larger():
    assert factored_axes((64, 64, 3, 3)) == (0, 1)
    assert factored_axes((3, 3, 64, 64)) == (2, 3)
    assert factored_axes((5, 3)) == (1, 0)
    assert factored_axes((7,)) is None


@pytest.mark.slow
def test_star_without_nominal_step_and_decay_is_adafac_mlp_lopt():
    weights, (start, gradients) = of_structure(ROWS["star"], {}), problem(3)
    layers = weights["nn"]["~"]
    less = weights | {"nn": {"~": layers | {"w2": layers["w2"][:, :2], "b2": layers["b2"][:2]}}}
    one = stepped(star.star(weights), weights, gradients, start)[-1][0]
    other = stepped(adafac_mlp_lopt.adafac_mlp_lopt(less), less, gradients, start)[-1][0]
    for key in start:
        np.testing.assert_allclose(one[key], other[key], rtol=0, atol=1e-6)


# ---------------------------------------------------------------- on the engine


def test_weights_of_many_trials_train_as_each_alone_and_compile_nothing_new():
    row = ROWS["mlp_lopt"]
    trees = [of_structure(row, {"hidden_size": 9}, seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
    rule = row.make(trees[0], step_mult=0.01)
    population = Population(toy_workload(), rule, total_steps=6, eval_period=3, width=3, side_by_side=1)
    seeds = np.arange(3)
    together = population.run({}, seeds, seeds[:1], weights=stacked).metrics
    compiled = population.compilations
    turned = jax.tree.map(lambda x: x[::-1], stacked)
    other = population.run(
        {}, seeds, seeds[:1], weights=turned, horizon=np.array([3, 50, 600], np.int32)
    ).metrics
    assert population.compilations == compiled
    for i, tree in enumerate(trees):
        alone = population.run({}, seeds[i : i + 1], seeds[:1], weights=tree).metrics
        for metric, values in alone.items():
            # float32, in another order of sums.
            np.testing.assert_allclose(together[metric][i], values[0], rtol=1e-5, atol=1e-6)
    assert any(not np.array_equal(other[metric][0], together[metric][0]) for metric in together)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp_lopt", "adafac_mlp_lopt"])
def test_gradients_through_a_training_are_finite_and_not_all_zero(name):
    row, (start, _) = ROWS[name], problem(1)
    weights = of_structure(row, {})
    rule = row.make(weights)

    def loss(p):
        return sum(jnp.sum(jnp.square(x)) for x in p.values())

    def end(weights):
        p, state = start, rule.init(weights, {}, start, jax.random.key(0), jnp.int32(2))
        for t in range(2):
            seen = Seen(loss(p), jnp.int32(t), None)
            updates, state = rule.update(weights, {}, jax.grad(loss)(p), state, p, seen)
            p = jax.tree.map(jnp.add, p, updates)
        return loss(p)

    gradient = jax.tree.leaves(jax.jit(jax.grad(end))(weights))
    assert all(np.isfinite(leaf).all() for leaf in gradient)
    assert any(np.any(leaf) for leaf in gradient)


def test_bfloat16_parameters_keep_their_precision_and_their_accumulators_too():
    row, (start, gradients) = ROWS["star"], problem(2)
    half = lambda tree: jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, jnp.bfloat16), tree)  # noqa: E731
    weights = of_structure(row, {})
    rule = row.make(weights)

    def two_updates(p, g):
        state = rule.init(weights, {}, p, None, 2)
        for _ in range(2):
            updates, state = rule.update(weights, {}, g, state, p, Seen(1.0, 0, None))
            p = optax.apply_updates(p, updates)
        return p, state

    p, state = jax.eval_shape(two_updates, half(start), half(gradients[0]))
    assert {leaf.dtype for leaf in jax.tree.leaves(p)} == {jnp.dtype(jnp.bfloat16)}
    for of_tensor in state.tensors:
        assert (of_tensor.m.dtype, of_tensor.rms.dtype) == (p["b_vector"].dtype, p["b_vector"].dtype)
        assert of_tensor.factored.row.dtype == jnp.float32


# ---------------------------------------------------------------- wrong weights


def without(tree, *path):
    head, *rest = path
    return {k: without(v, *rest) if k == head and rest else v for k, v in tree.items() if rest or k != head}


def replaced(tree, value, *path):
    head, *rest = path
    return {k: (replaced(v, value, *rest) if rest else value) if k == head else v for k, v in tree.items()}


SPOILT = [
    (
        "mlp_lopt",
        lambda w: without(w, "mlp/~/linear_2"),
        r"mlp_lopt: weight mlp/~/linear_1/w is of shape \(32, 32\)",
    ),
    ("mlp_lopt", lambda w: without(w, "mlp/~/linear_0", "b"), "its weights lack mlp/~/linear_0/b"),
    ("mlp_lopt", lambda w: {**w, "mlp/~/linear": w}, "weights have mlp/~/linear/mlp/~/linear_0/"),
    ("mlp_lopt", lambda w: [1, 2], "its weights lack"),
    (
        "adafac_mlp_lopt",
        lambda w: replaced(w, np.ones((28, 4)), "nn", "~", "w0"),
        r"nn/~/w0 is of shape \(28, 4\), must be \(39, ",
    ),
    (
        "adafac_mlp_lopt",
        lambda w: replaced(w, np.ones(2), "momentum_decays"),
        r"momentum_decays is of shape \(2,\), must be \(3,\)",
    ),
    (
        "star",
        lambda w: replaced(w, np.ones((4, 2)), "nn", "~", "w2"),
        r"star: weight nn/~/w2 is of shape \(4, 2\), must be \(4, 4\)",
    ),
    ("star", lambda w: replaced(w, 3.0, "nn", "~", "b1"), "nn/~/b1 is no array"),
    (
        "nn_adam",
        lambda w: replaced(w, np.ones((50, 128)), "rnn_params", "rnn/linear", "w"),
        r"must be \(51, 128\)",
    ),
    ("nn_adam", lambda w: {**w, "per_layer_lrs": w["per_layer_lr"]}, r"did you mean 'per_layer_lr'\?"),
]


@pytest.mark.parametrize(("name", "spoilt", "message"), SPOILT)
def test_wrong_weights_are_told_in_one_line(name, spoilt, message):
    row = ROWS[name]
    with pytest.raises(ValueError, match=message) as told:
        row.make(spoilt(structure(row, {})))
    assert "\n" not in str(told.value)


def test_switches_of_star_that_cannot_be_are_refused():
    weights = structure(ROWS["star"], {})
    with pytest.raises(ValueError, match=r"nominal_grad_estimator 'adam' \(allowed: AdamAggMo, Adam"):
        star.star(weights, nominal_grad_estimator="adam")
    with pytest.raises(ValueError, match="exp_mult has 2 numbers"):
        star.star(weights, exp_mult=(1, 1))


@pytest.mark.parametrize(
    ("name", "count"), [("mlp_lopt", 1762), ("adafac_mlp_lopt", 197), ("star", 207), ("nn_adam", 6856)]
)
def test_rows_say_their_switches_sizes_and_how_many_numbers_there_are(name, count):
    row = ROWS[name]
    weights = structure(row, row.sizes)
    assert sum(np.size(leaf) for leaf in jax.tree.leaves(weights)) == count
    row.make(weights, **row.switches)
