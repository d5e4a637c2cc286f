"""TaskSet's losg problems: values and gradients against NumPy, changed gradients by their statistics, data."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from workloads import Regularization
from workloads.taskset import _losg_data, _losg_functions, _losg_gradients, _nets, losg_tasks_family
from workloads.taskset.quirks import Quirks

SEED = 321
EXAMPLES = {"dim": 4, "bs": 6, "n_samples": 100}


# The programs run for milliseconds, so the time goes into compiling them.
FAST = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}


def _workload(kind, numbers, seed=SEED, quirks=None):
    return losg_tasks_family.from_config("test/losg", [kind, numbers, seed], quirks=quirks or Quirks())


def _batch(workload):
    """The first mini-batch of the data, {} where there are none."""
    split = workload.data.splits["train"] if hasattr(workload.data, "transform") else {}
    return {field: jnp.asarray(values[: workload.batch_size]) for field, values in split.items()}


def _start(workload, key=0):
    return jax.jit(lambda key: workload.init(key)[0], compiler_options=FAST)(jax.random.key(key))


def _of_params(workload, batch):
    """(parameters, key) -> loss and gradient."""
    return jax.value_and_grad(
        lambda params, key: workload.loss(params, (), batch, key, True, Regularization())[0]
    )


def _loss_and_gradient(workload, params, batch):
    return jax.jit(_of_params(workload, batch), compiler_options=FAST)(params, jax.random.key(0))


def _double(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def _system(dims):
    rng = np.random.RandomState(SEED)
    return rng.randn(dims, dims), rng.randn(dims)


# Each objective once more, in double precision: (parameters, mini-batch) -> value.
def _quadratic(p, d):
    w, y = _system(12)
    return np.linalg.norm(w @ p["x"] - y) ** 2 / 2


def _bowl(p, d):
    c, s = math.cos(math.pi / 3), math.sin(math.pi / 3)
    u, v = c * p["x"][0] - s * p["x"][1], s * p["x"][0] + c * p["x"][1]
    return (7.5 * u * u + v * v) / 2


def _norm(p, d):
    w, y = _system(5)
    return sum((abs(t) + 1e-6) ** 3.3 for t in w @ p["x"] - y) ** (1 / 3.3)


def _dependency_chain(p, d):
    x = p["x"]
    return sum(x[0] ** 2 + x[i + 1] ** 2 / (x[i] ** 2 + 1e-6) for i in range(len(x) - 1))


def _min_max_well(p, d):
    sizes = sorted(abs(p["x"]))
    return sizes[-1] ** 2 + sizes[0] ** -2 - 2 + 1e-12


def _outward_snake(p, d):
    x, total = p["x"], 0.0
    for row in d["inputs"]:
        total += row[0] / (math.sqrt(sum(x * x)) + 1e-6)
        total += sum(((x[i + 1] - math.pi * math.cos(x[i])) * row[i + 1]) ** 2 for i in range(len(x) - 1))
    return total


def _sum_of_quadratics(p, d):
    return np.sum((p["x"] - d["inputs"]) ** 2) - np.sum(d["inputs"] ** 2) + 1e-12


def _projection_quadratic(p, d):
    return np.sum((p["x"] * d["inputs"]) ** 2)


def _classifier(p, logits, labels):
    chance = 1 / (1 + np.exp(-logits[:, 0]))
    entropy = -np.mean(np.where(labels == 1, np.log(chance), np.log(1 - chance)))
    return entropy + 1e-3 * np.mean([np.sum(leaf**2) for leaf in jax.tree.leaves(p)])


def _fully_connected(p, d):
    x = d["inputs"]
    for i in range(3):
        x = x @ p[f"Dense_{i}"]["kernel"] + p[f"Dense_{i}"]["bias"]
        x = np.tanh(x) if i < 2 else x
    return _classifier(p, x, d["targets"])


def _sparse_softmax_regression(p, d):
    summed = np.array([sum(p["Embed"]["embedding"][int(i)] for i in ids) for ids in d["inputs"]])
    return _classifier(p, summed @ p["Dense"]["kernel"] + p["Dense"]["bias"], d["targets"])


NETWORK = {
    "n_features": 3,
    "n_classes": 2,
    "activation": "tanh",
    "bs": 9,
    "n_samples": 5,
    "hidden_sizes": [4, 6],
}
TABLE = {"n_features": 3, "n_classes": 2, "noise_stdev": 0.0, "bs": 7, "n_samples": 11}
OBJECTIVES = {
    "quadratic": ({"dim": 12, "noise_stdev": 0.0}, _quadratic),
    "bowl": ({"cond": 7.5, "angle": math.pi / 3, "noise_stdev": 0.0}, _bowl),
    "norm": ({"dim": 5, "norm_power": 3.3}, _norm),
    "dependency_chain": (EXAMPLES, _dependency_chain),
    "min_max_well": ({"dim": 11, "noise_stdev": 0.0}, _min_max_well),
    "outward_snake": (EXAMPLES, _outward_snake),
    "sum_of_quadratics": (EXAMPLES, _sum_of_quadratics),
    "projection_quadratic": (EXAMPLES, _projection_quadratic),
    "fully_connected": (NETWORK, _fully_connected),
    "sparse_softmax_regression": (TABLE, _sparse_softmax_regression),
    "rescale_problems": (
        {"base": ["quadratic", {"dim": 12, "noise_stdev": 0.3}], "scale": 0.25},
        lambda p, d: _quadratic({"x": p["x"] / 0.25}, d),
    ),
    "log_objective": (
        {"base": ["projection_quadratic", EXAMPLES]},
        lambda p, d: math.log(1e6 * _projection_quadratic(p, d) + 1),
    ),
}


def _finite_differences(formula, params, batch):
    """Central differences of a formula, in the parameters' structure. Their relative error is about 1e-8."""
    leaves, structure = jax.tree.flatten(params)
    slopes = [np.zeros_like(leaf) for leaf in leaves]
    for leaf, slope in zip(leaves, slopes, strict=True):
        for i in np.ndindex(leaf.shape):
            value, ends = leaf[i], []
            for step in (1e-5, -1e-5):
                leaf[i] = value + step
                ends.append(formula(jax.tree.unflatten(structure, leaves), batch))
            leaf[i] = value
            slope[i] = (ends[0] - ends[1]) / 2e-5
    return jax.tree.unflatten(structure, slopes)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_value_and_gradient_equal_the_formula_in_double_precision(kind):
    numbers, formula = OBJECTIVES[kind]
    workload = _workload(kind, numbers)
    params = _start(workload, 4)
    batch = _batch(workload)
    loss, gradient = _loss_and_gradient(workload, params, batch)
    params, batch = _double(params), _double(batch)
    np.testing.assert_allclose(loss, formula(params, batch), rtol=1e-5)
    # Both are float32 sums of at most a few dozen terms.
    for got, expected in zip(
        jax.tree.leaves(gradient), jax.tree.leaves(_finite_differences(formula, params, batch)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * max(np.abs(expected).max(), 1e-3))


TWO = {
    "StyblinskiTang": lambda x, y: (x**4 - 16 * x**2 + 5 * x + y**4 - 16 * y**2 + 5 * y) / 2 + 80,
    "ackley": lambda x, y: (
        20 * (1 - np.exp(-np.hypot(x, y) / (5 * math.sqrt(2))))
        + math.e
        - np.exp((np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y)) / 2)
    ),
    "beale": lambda x, y: sum((c - x * (1 - y**i)) ** 2 for i, c in ((1, 1.5), (2, 2.25), (3, 2.625))),
    "branin": lambda x, y: (
        (y - 0.1291845091 * x**2 + 1.5915494309 * x - 6) ** 2 + 9.6021126423 * np.cos(x) + 10
    ),
    "logsumexp": lambda x, y: np.log(np.exp(-0.1) * (2 * np.exp(x) * np.cosh(3 * y) + np.exp(-x)) + 1),
    "matyas": lambda x, y: 0.02 * (x**2 + y**2) + 0.24 * (x - y) ** 2,
    "michalewicz": lambda x, y: (
        2 - np.sin(x) * np.sin(x * x / np.pi) ** 10 - np.sin(y) * np.sin(2 * y * y / np.pi) ** 10
    ),
    "rosenbrock": lambda x, y: (x - 1) ** 2 + 100 * (x * x - y) ** 2,
}


@pytest.fixture(scope="module")
def two_variables():
    """50 places, and what every function of two variables gives there: values and both slopes."""
    x, y = np.random.default_rng(0).uniform(-2.0, 2.0, (2, 50))

    def everything(x, y):
        return {
            name: jax.vmap(jax.value_and_grad(function.value, argnums=(0, 1)))(x, y)
            for name, function in _losg_functions.FUNCTIONS.items()
        }

    return x, y, jax.jit(everything, compiler_options=FAST)(jnp.float32(x), jnp.float32(y))


@pytest.mark.parametrize("name", TWO)
def test_a_function_of_two_variables_and_its_gradient_equal_the_formula(two_variables, name):
    x, y, everything = two_variables
    (values, slopes), formula, step = everything[name], TWO[name], 1e-6
    # The terms that cancel in a value are at most about 1,000.
    np.testing.assert_allclose(values, formula(x, y), rtol=1e-5, atol=1e-4)
    numerical = (
        (formula(x + step, y) - formula(x - step, y)) / (2 * step),
        (formula(x, y + step) - formula(x, y - step)) / (2 * step),
    )
    np.testing.assert_allclose(slopes, numerical, rtol=1e-3, atol=5e-3)


@pytest.mark.parametrize(
    ("name", "at", "least"),
    [
        ("StyblinskiTang", (-2.903534, -2.903534), 80 - 2 * 39.166166),
        ("ackley", (0.0, 0.0), 0.0),
        ("beale", (3.0, 0.5), 0.0),
        ("branin", (math.pi, 2.275), 0.397887),
        ("branin", (-math.pi, 12.275), 0.397887),
        ("branin", (9.42478, 2.475), 0.397887),
        # The gradient is zero where e^(2x) 2 cosh(0) = 1, the value ln(1 + e^-.1 2 sqrt 2) there.
        ("logsumexp", (-0.5 * math.log(2), 0.0), math.log(1 + math.exp(-0.1) * 2 * math.sqrt(2))),
        ("matyas", (0.0, 0.0), 0.0),
        ("michalewicz", (2.185312, math.pi / 2), 0.193377),  # m = 5; 2 - 1.8013 for m = 10
        ("rosenbrock", (1.0, 1.0), 0.0),
    ],
)
def test_a_function_of_two_variables_is_least_where_it_is_known_to_be(name, at, least):
    function = _losg_functions.FUNCTIONS[name].value
    around = np.array(at) + 0.05 * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]])
    values = np.asarray(jax.jit(function, compiler_options=FAST)(*jnp.float32(around.T)))
    assert values[0] == pytest.approx(least, abs=2e-5)
    assert (values[1:] > values[0]).all()


def test_starts_lie_in_the_boxes_and_elsewhere_are_normal():
    def starts(key):
        return {
            name: _workload("optimization_test_problems", {"problem": name, "noise_stdev": 0.0}).init(key)[0][
                "x"
            ]
            for name in _losg_functions.FUNCTIONS
        }

    drawn = jax.jit(jax.vmap(starts), compiler_options=FAST)(jax.random.split(jax.random.key(0), 500))
    assert abs(float(drawn.pop("logsumexp").std()) - 1.0) < 5 / math.sqrt(2 * 1000)  # standard errors
    for name, places in drawn.items():
        low, high = map(np.array, _losg_functions.FUNCTIONS[name].box)
        relative = (np.asarray(places) - low) / (high - low)
        assert 0.0 <= relative.min() < 0.02  # twenty of 1,000 are expected below
        assert 0.98 < relative.max() <= 1.0


def test_rescaling_multiplies_the_start_and_leaves_the_first_loss():
    numbers = {"dim": 12, "noise_stdev": 0.0}
    plain = _workload("quadratic", numbers)
    scaled = _workload("rescale_problems", {"base": ["quadratic", numbers], "scale": 40.0})
    start, far = _start(plain), _start(scaled)
    np.testing.assert_allclose(far["x"], 40.0 * start["x"], rtol=1e-6)
    losses = [float(_loss_and_gradient(w, p, {})[0]) for w, p in ((plain, start), (scaled, far))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def _gradients(workload, params, batch, draws):
    """[draw] losses and [draw, parameter] gradients of fresh noise and masks."""
    program = jax.jit(jax.vmap(_of_params(workload, batch), in_axes=(None, 0)), compiler_options=FAST)
    return program(params, jax.random.split(jax.random.key(9), draws))


def test_noise_changes_gradients_by_its_deviation_and_values_not_at_all():
    numbers = {"dim": 12, "noise_stdev": 3.0}
    quiet, noisy = (_workload("quadratic", numbers | {"noise_stdev": s}) for s in (0.0, 3.0))
    params = _start(noisy)
    loss, gradient = _loss_and_gradient(quiet, params, {})
    losses, gradients = _gradients(noisy, params, {}, 2000)
    np.testing.assert_allclose(losses, loss, rtol=1e-6)
    noise = np.asarray(gradients["x"] - gradient["x"])
    # 24,000 draws: standard errors 3 / 155 of the mean and 3 / 219 of the deviation; 5 of them.
    assert abs(noise.mean()) < 5 * 3 / math.sqrt(noise.size)
    assert abs(noise.std() - 3.0) < 5 * 3 / math.sqrt(2 * noise.size)
    # Columns are independent: the correlation of 2,000 pairs has standard error 1 / sqrt 2000 = .022.
    assert np.abs(np.corrcoef(noise.T) - np.eye(12)).max() < 5 * 0.022
    assert float(noisy.metrics(params, (), {}, jax.random.key(0))["loss"]) == pytest.approx(
        float(loss), rel=1e-6
    )


def test_sparse_gradients_keep_the_expected_share_with_noise_on_the_survivors_only():
    base = ["quadratic", {"dim": 60, "noise_stdev": 1000.0}]  # the base's own noise has no effect
    numbers = {"base": base, "zero_probability": 0.93, "noise_stdev": 2.0}
    workload = _workload("sparse_problems", numbers)
    params = _start(workload)
    full = _workload("sparse_problems", numbers | {"zero_probability": 0.0, "noise_stdev": 0.0})
    loss, gradient = _loss_and_gradient(full, params, {})
    losses, gradients = _gradients(workload, params, {}, 1000)
    np.testing.assert_allclose(losses, loss, rtol=1e-6)
    got = np.asarray(gradients["x"])
    survivors = got != 0.0
    # 60,000 entries: the share of survivors has standard error sqrt(.07 * .93 / 60,000) = .00104.
    assert abs(survivors.mean() - 0.07) < 5 * 0.00104
    noise = (got - np.asarray(gradient["x"]))[survivors]
    # About 4,200 survivors: standard error 2 / sqrt(8400) = .022; float32 rounding of the gradient is below .001.
    assert abs(noise.std() - 2.0) < 5 * 0.022
    assert abs(noise.mean()) < 5 * 2.0 / math.sqrt(noise.size)


def test_a_sparse_gradient_without_noise_is_the_gradient_or_zero():
    numbers = {"base": ["fully_connected", NETWORK], "zero_probability": 0.5, "noise_stdev": 0.0}
    sparse = _workload("sparse_problems", numbers)
    full = _workload("sparse_problems", numbers | {"zero_probability": 0.0})
    params = _start(sparse)
    batch = _batch(sparse)
    _, expected = _loss_and_gradient(full, params, batch)
    _, got = _loss_and_gradient(sparse, params, batch)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        kept = np.asarray(a) != 0.0
        np.testing.assert_allclose(np.asarray(a)[kept], np.asarray(b)[kept], rtol=1e-5, atol=1e-7)


def test_a_zeroed_entry_stays_finite_where_its_gradient_is_not():
    change = _losg_gradients.Change(False, True, zero_probability=1.0)
    slope = jax.grad(lambda p: _losg_gradients.changed(jnp.sqrt, p, jax.random.key(0), change))(
        jnp.float32(0.0)
    )
    assert slope == 0.0  # of an infinite derivative


@pytest.mark.parametrize("kind", ["rescale_problems", "log_objective"])
def test_the_noise_of_a_wrapped_problem_has_no_effect(kind):
    numbers = {"base": ["quadratic", {"dim": 12, "noise_stdev": 10.0}], "scale": 2.0}
    workload = _workload(kind, numbers)
    params = _start(workload)
    _, gradients = _gradients(workload, params, {}, 2)
    np.testing.assert_array_equal(gradients["x"][0], gradients["x"][1])


def test_rows_of_a_table_have_noise_for_every_time_they_are_looked_up():
    workload = _workload("sparse_softmax_regression", TABLE | {"noise_stdev": 1.5})
    params = _start(workload)
    batch = _batch(workload)
    _, gradients = _gradients(workload, params, batch, 3000)
    ones = int(np.asarray(batch["inputs"]).sum())
    for row, lookups in ((0, 35 - ones), (1, ones)):
        noise = np.asarray(gradients["Embed"]["embedding"])[:, row]
        # 9,000 draws: a relative standard error of 1 / sqrt(18,000).
        assert noise.std(axis=0).mean() / (1.5 * math.sqrt(lookups)) == pytest.approx(
            1, abs=5 / math.sqrt(18_000)
        )
    kernel = np.asarray(gradients["Dense"]["kernel"])
    assert kernel.std(axis=0).mean() / 1.5 == pytest.approx(1, abs=5 / math.sqrt(2 * kernel.size))


def test_classifiers_start_at_1_2_over_the_root_of_the_first_axis_biases_too():
    workload = _workload("fully_connected", NETWORK | {"hidden_sizes": [32, 32]})
    start = jax.jit(jax.vmap(lambda key: workload.init(key)[0]), compiler_options=FAST)
    params = start(jax.random.split(jax.random.key(0), 400))
    for layer, inputs in (("Dense_0", 3), ("Dense_1", 32)):
        for tensor, length in (("kernel", inputs), ("bias", 32)):
            drawn = np.asarray(params[layer][tensor])
            expected = 1.2 / math.sqrt(length)
            assert drawn.std() / expected == pytest.approx(1, abs=5 / math.sqrt(2 * drawn.size))


def test_labels_of_the_random_net_are_the_sign_of_its_first_output():
    data = _losg_data.random_mlp(np.random.RandomState(5), 50, 4)
    rng = np.random.RandomState(5)
    x = rng.normal(size=(50, 4))
    np.testing.assert_array_equal(data["inputs"], x.astype(np.float32))
    for _ in range(6):
        x = np.maximum(x @ rng.normal(size=(x.shape[1], 20)), 0)  # scales do not change signs
    np.testing.assert_array_equal(data["targets"], x[:, 0] > 0)


def test_symmetric_data_have_mean_zero_and_an_even_number_of_examples():
    inputs = _losg_data.random_symmetric(np.random.RandomState(0), 101, 3)["inputs"]
    assert inputs.shape == (100, 3)
    np.testing.assert_array_equal(inputs[:50], -inputs[50:])


def test_parity_labels_are_flipped_for_one_example_in_four():
    data = _losg_data.noisy_parity(np.random.RandomState(0), 20_000)
    assert data["inputs"].shape == (20_000, 5)
    flipped = data["targets"] != data["inputs"].sum(axis=1) % 2
    assert abs(flipped.mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / 20_000)
    assert abs(data["inputs"].mean() - 0.5) < 5 * 0.5 / math.sqrt(100_000)


def test_a_set_smaller_than_two_batches_is_repeated_and_a_larger_one_is_not():
    for examples, batch_size, expected in ((5, 9, 20), (1, 3, 6), (18, 9, 18), (17, 9, 34), (100, 9, 100)):
        workload = _workload("fully_connected", NETWORK | {"bs": batch_size, "n_samples": examples})
        inputs = workload.data.splits["train"]["inputs"]
        assert len(inputs) == expected
        np.testing.assert_array_equal(inputs[:examples], inputs[-examples:])
        assert all(workload.data.splits[split]["inputs"] is inputs for split in workload.data.splits)


def test_evaluation_is_the_mean_over_mini_batches_of_the_training_size():
    workload = _workload("log_objective", {"base": ["projection_quadratic", EXAMPLES]})
    params = _start(workload)
    inputs = workload.data.splits["test"]["inputs"][:20]
    x = np.asarray(params["x"], np.float64)
    of = lambda rows: math.log(np.sum((x * rows) ** 2) + 1e-6) - math.log(1e-6)  # noqa: E731
    expected = np.mean([of(inputs[start : start + 6]) for start in (0, 6, 12)])
    metrics = jax.jit(workload.metrics, compiler_options=FAST)
    sums = metrics(params, (), {"inputs": jnp.asarray(inputs)}, jax.random.key(0))
    assert sums["examples"] == 18  # three mini-batches of six; two examples fill none
    assert float(sums["loss"] / sums["examples"]) == pytest.approx(expected, rel=1e-5)
    few = metrics(params, (), {"inputs": jnp.asarray(inputs[:4])}, jax.random.key(0))
    assert few["examples"] == 6
    assert float(few["loss"] / few["examples"]) == pytest.approx(of(inputs[[0, 1, 2, 3, 0, 1]]), rel=1e-5)


def test_data_and_the_base_of_sparse_problems_follow_the_seed_by_the_streams_that_the_quirk_names():
    numbers = {
        "base": ["quadratic", {"dim": 12, "noise_stdev": 0.0}],
        "zero_probability": 0.9,
        "noise_stdev": 0.0,
    }
    own = {"losg_data_seed": "config_seed"}
    w, _ = _system(12)

    def matrix(kind, quirks):
        return _workload(kind, numbers | {"scale": 1.0}, quirks=quirks).shared.constants["W"]

    for kind in ("rescale_problems", "log_objective"):
        np.testing.assert_array_equal(matrix(kind, Quirks()), w.astype(np.float32))
    np.testing.assert_array_equal(matrix("sparse_problems", Quirks(**own)), w.astype(np.float32))
    released = matrix("sparse_problems", Quirks())
    assert not np.array_equal(released, w.astype(np.float32))
    np.testing.assert_array_equal(released, matrix("sparse_problems", Quirks()))

    def inputs(quirks, seed=SEED):
        return _workload("outward_snake", EXAMPLES, seed, quirks).data.splits["train"]["inputs"]

    expected = np.random.RandomState(SEED).normal(size=(100, 4)).astype(np.float32)
    np.testing.assert_array_equal(inputs(Quirks(**own)), expected)
    np.testing.assert_array_equal(inputs(Quirks()), inputs(Quirks()))
    assert not np.array_equal(inputs(Quirks()), expected)
    assert not np.array_equal(inputs(Quirks()), inputs(Quirks(), SEED + 1))


def _parameters(kind, numbers):
    """Parameters that follow from a config."""
    kind, numbers = numbers.get("base", (kind, numbers))
    if kind in ("bowl", "optimization_test_problems"):
        return 2
    if kind == "sparse_softmax_regression":
        return 4 * numbers["n_features"] + 2
    if kind == "fully_connected":
        sizes = [numbers["n_features"], *numbers["hidden_sizes"], 2]
        return sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    return numbers["dim"] + (kind == "dependency_chain")


def test_all_tasks_of_seeds_0_to_99_build_with_as_many_parameters_as_their_config_says():
    kinds = set()
    for seed in range(100):
        kind, numbers, _ = losg_tasks_family.sample(seed)
        workload = losg_tasks_family.build(None, seed)
        params, _ = jax.eval_shape(workload.init, jax.random.key(0))
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == _parameters(kind, numbers), seed
        assert workload.batch_size == (_batch_size(kind, numbers)), seed
        assert (workload.step_hint, workload.eval_period) == (10_000, 200)
        kinds.add(kind)
    assert kinds == set(losg_tasks_family.SAMPLERS)


def _batch_size(kind, numbers):
    kind, numbers = numbers.get("base", (kind, numbers))
    return 1 if kind == "dependency_chain" else numbers.get("bs", 1)


# A seed of each kind of problem.
MEMBERS = {losg_tasks_family.sample(seed)[0]: seed for seed in reversed(range(100))}


@pytest.mark.parametrize("kind", MEMBERS)
def test_a_member_of_every_kind_takes_finite_steps(kind):
    workload = losg_tasks_family.build(None, MEMBERS[kind])
    batch = _batch(workload)

    def train(key):
        def step(params, key):
            loss, gradient = _of_params(workload, batch)(params, key)
            return jax.tree.map(lambda p, g: p - 1e-6 * jnp.sign(g), params, gradient), loss

        return jax.lax.scan(step, workload.init(key)[0], jax.random.split(key, 10))

    params, losses = jax.jit(train, compiler_options=FAST)(jax.random.key(0))
    assert np.isfinite(losses).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_every_activation_of_the_family_is_known():
    activations = {
        losg_tasks_family.sample(seed)[1]["activation"]
        for seed in range(1000)
        if losg_tasks_family.sample(seed)[0] == "fully_connected"
    }
    assert activations == set(_nets.ACTIVATIONS)
