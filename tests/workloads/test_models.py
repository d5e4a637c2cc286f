"""What every workload promises, whatever it trains.

Everything is checked of our own workloads and of one perceptron of TaskSet's; of a member of each of its other
families, what costs no compilation. Their models are tested in `taskset/`, and that they train in `test_every_task`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import workloads
from workloads import GeneratedData, Regularization

NAMES = (
    "algoperf/mnist",
    "taskset/mlp_family_seed15",
    "digits/conv",
    "photographs/autoencoder",
    "stdlib/char_rnn",
    "clicks/mlp",
)
FAMILIES = tuple(name for name in workloads.representatives() if name not in NAMES)
NO_DROPOUT = ("taskset/mlp_family_seed15", "photographs/autoencoder")
NO_SMOOTHING = (*NO_DROPOUT, "clicks/mlp")
KEYS = jax.random.split(jax.random.key(0), 3)


def _regularization(dropout_rate, label_smoothing):
    """Strengths of one type, so that they share one program."""
    return Regularization(jnp.float32(dropout_rate), jnp.float32(label_smoothing))


def _equal(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


class Compiled:
    """A workload's functions, compiled once for all tests of this module, and parameters to try them on."""

    def __init__(self, workload):
        self.init = jax.jit(workload.init)
        self.loss = jax.jit(workload.loss, static_argnums=4)
        self.metrics = jax.jit(workload.metrics)
        self.start = self.init(KEYS[2])
        self.population = jax.jit(jax.vmap(workload.init))(KEYS)


@pytest.fixture(scope="module")
def compiled(loaded):
    return {name: Compiled(loaded[name]) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_key_determines_the_initial_parameters(compiled, name):
    init = compiled[name].init
    assert _equal(init(jax.random.key(0)), init(jax.random.key(0)))
    assert not _equal(init(jax.random.key(0)), init(jax.random.key(1)))


@pytest.mark.parametrize("name", NAMES)
def test_init_vmaps_over_keys(compiled, name):
    stacked, _ = compiled[name].population
    single, _ = compiled[name].start
    for many, one in zip(jax.tree.leaves(stacked), jax.tree.leaves(single), strict=True):
        np.testing.assert_allclose(many[2], one, rtol=1e-5, atol=1e-6)  # QR of orthogonal kernels rounds


@pytest.mark.parametrize("name", NAMES)
def test_metric_sums_add_up_over_batches(loaded, compiled, leading, name):
    workload = loaded[name]
    split = workload.eval_splits["validation"]
    sums = [
        compiled[name].metrics(*compiled[name].start, leading(workload, split, n, start), jax.random.key(0))
        for n, start in ((32, 0), (16, 0), (16, 16))
    ]
    assert workload.metric.name in sums[0]
    for key, value in sums[0].items():
        np.testing.assert_allclose(sums[1][key] + sums[2][key], value, rtol=1e-5)
    per_example = workload.data.splits[split]["targets"].shape[1] if name == "stdlib/char_rnn" else 1
    assert sums[0]["examples"] == 32 * per_example


@pytest.mark.parametrize("name", NAMES)
def test_the_evaluated_loss_is_the_loss_without_regularization(loaded, compiled, leading, name):
    batch = leading(loaded[name], "train", 16)
    sums = compiled[name].metrics(*compiled[name].start, batch, jax.random.key(0))
    strong = _regularization(0.5, 0.5)
    loss, _ = compiled[name].loss(*compiled[name].start, batch, jax.random.key(0), False, strong)
    np.testing.assert_allclose(loss, sums["loss"] / sums["examples"], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_zero_dropout_is_no_dropout(loaded, compiled, leading, name):
    batch = leading(loaded[name], "train", 16)
    none = _regularization(0.0, 0.0)
    trained, _ = compiled[name].loss(*compiled[name].start, batch, jax.random.key(0), True, none)
    evaluated, _ = compiled[name].loss(*compiled[name].start, batch, jax.random.key(1), False, none)
    np.testing.assert_allclose(trained, evaluated, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_and_smoothing_act_exactly_where_they_are_documented(loaded, compiled, leading, name):
    batch = leading(loaded[name], "train", 16)
    plain, dropped, smoothed = (
        float(compiled[name].loss(*compiled[name].start, batch, jax.random.key(0), True, regularization)[0])
        for regularization in (
            _regularization(0.0, 0.0),
            _regularization(0.5, 0.0),
            _regularization(0.0, 0.5),
        )
    )
    assert (dropped == plain) == (name in NO_DROPOUT)
    assert (abs(smoothed - plain) < 1e-6) == (name in NO_SMOOTHING)


@pytest.mark.parametrize("name", NAMES)
def test_a_population_shares_a_batch_and_new_hyperparameters_compile_nothing(loaded, compiled, leading, name):
    workload = loaded[name]
    batch = leading(workload, "train", 16)
    params, state = compiled[name].population
    traces = 0

    @jax.jit
    def losses(params, state, key, dropout_rate, label_smoothing):
        nonlocal traces
        traces += 1
        regularization = Regularization(dropout_rate, label_smoothing)
        each = jax.vmap(lambda p, s, k, r: workload.loss(p, s, batch, k, True, r)[0])
        return each(params, state, key, regularization)

    rates, smoothing = jnp.array([0.0, 0.1, 0.2]), jnp.array([0.2, 0.0, 0.1])
    together = losses(params, state, KEYS, rates, smoothing)
    losses(params, state, KEYS, rates + 0.1, smoothing / 2)
    assert traces == 1
    for i in range(3):
        own = jax.tree.map(lambda x, i=i: x[i], params)
        regularization = _regularization(rates[i], smoothing[i])
        alone, _ = compiled[name].loss(own, (), batch, KEYS[i], True, regularization)
        np.testing.assert_allclose(together[i], alone, rtol=1e-4)  # float32, another order of summation


@pytest.mark.parametrize("name", NAMES)
def test_a_few_dozen_steps_lower_the_loss(loaded, compiled, name):
    workload = loaded[name]
    train = {field: jnp.asarray(values) for field, values in workload.data.splits["train"].items()}
    optimizer = optax.adam(1e-3 if name == "algoperf/mnist" else 3e-3)  # saturated sigmoids want less
    params, state = compiled[name].start

    def step(carry, key):
        params, opt_state = carry
        key_batch, key_loss = jax.random.split(key)
        chosen = jax.random.randint(key_batch, (workload.batch_size,), 0, workload.data.size("train"))
        batch = {field: values[chosen] for field, values in train.items()}
        loss_of = jax.value_and_grad(workload.loss, has_aux=True)
        (loss, _), gradient = loss_of(params, state, batch, key_loss, True, Regularization())
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    keys = jax.random.split(jax.random.key(0), 80)
    _, losses = jax.jit(lambda carry: jax.lax.scan(step, carry, keys))((params, optimizer.init(params)))
    # A drop by a tenth is far outside the noise between batches (standard error below 5 % for all six).
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5])


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_finite_disjoint_and_the_same_at_every_load(loaded, name):
    workload, again = loaded[name], workloads.load(name)
    seen = set()
    for split, fields in workload.data.splits.items():
        for field, values in fields.items():
            assert np.isfinite(values).all()
            np.testing.assert_array_equal(values, again.data.splits[split][field])
        if name == "stdlib/char_rnn":
            continue  # a language repeats itself; disjoint parts of the text are tested with the data
        inputs = fields["dense"] if name == "clicks/mlp" else fields["inputs"]
        extra = fields.get("categories", np.zeros((len(inputs), 0)))
        rows = {i.tobytes() + e.tobytes() for i, e in zip(inputs, extra, strict=True)}
        assert not rows & seen
        seen |= rows


@pytest.mark.parametrize("name", FAMILIES)
def test_a_population_of_a_family_has_the_shapes_that_the_engine_expects(loaded, leading, name):
    # Shapes only: nothing is compiled.
    workload = loaded[name]
    batch = jax.eval_shape(lambda: leading(workload, "train", 8))
    params, state = jax.eval_shape(jax.vmap(workload.init), KEYS)
    assert all(leaf.shape[0] == 3 and leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))

    def step(params, state, batch, keys):
        loss = jax.value_and_grad(workload.loss, has_aux=True)
        each = jax.vmap(lambda p, s, k: loss(p, s, batch, k, True, Regularization()))
        return each(params, state, keys)

    (loss, new_state), gradient = jax.eval_shape(step, params, state, batch, KEYS)
    assert (loss.shape, loss.dtype) == ((3,), jnp.float32)
    assert jax.tree.map(_described, new_state) == jax.tree.map(_described, state)
    assert jax.tree.map(_described, gradient) == jax.tree.map(_described, params)
    sums = jax.eval_shape(jax.vmap(workload.metrics, in_axes=(0, 0, None, 0)), params, state, batch, KEYS)
    assert {"loss", "examples"} <= set(sums)
    assert {leaf.shape for leaf in sums.values()} == {(3,)}


def _described(leaf):
    return leaf.shape, str(leaf.dtype)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_member_of_a_family_says_where_its_data_are_from(loaded, name):
    workload = loaded[name]
    assert set(workload.eval_splits) == {"train", "inner_validation", "validation", "test"}
    provenance = workload.data.provenance
    assert provenance.kind in ("embedded", "synthetic")
    # What is made by definition stands in for nothing, and has the whole budget.
    generated = isinstance(workload.data, GeneratedData) or provenance.stands_in_for is None
    assert workload.step_hint == (10_000 if generated else 400)
    assert workload.step_hint % workload.eval_period == 0
