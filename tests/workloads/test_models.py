"""What every workload promises, whatever it trains."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import workloads
from workloads import Regularization

NAMES = workloads.names()
NO_DROPOUT = ("taskset/mlp_family_seed15", "photographs/autoencoder")
NO_SMOOTHING = (*NO_DROPOUT, "clicks/mlp")


def _equal(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


@functools.cache
def _initial(init):
    return init(jax.random.key(3))


@pytest.mark.parametrize("name", NAMES)
def test_a_key_determines_the_initial_parameters(loaded, name):
    init = loaded[name].init
    assert _equal(init(jax.random.key(0)), init(jax.random.key(0)))
    assert not _equal(init(jax.random.key(0)), init(jax.random.key(1)))


@pytest.mark.parametrize("name", NAMES)
def test_init_vmaps_over_keys(loaded, name):
    keys = jax.random.split(jax.random.key(0), 3)
    stacked, _ = jax.vmap(loaded[name].init)(keys)
    single, _ = loaded[name].init(keys[2])
    for many, one in zip(jax.tree.leaves(stacked), jax.tree.leaves(single), strict=True):
        np.testing.assert_allclose(many[2], one, rtol=1e-5, atol=1e-6)  # QR of orthogonal kernels rounds


@pytest.mark.parametrize("name", NAMES)
def test_metric_sums_add_up_over_batches(loaded, leading, name):
    workload = loaded[name]
    params, state = _initial(workload.init)
    split = workload.eval_splits["validation"]
    metrics = jax.jit(workload.metrics)
    whole = metrics(params, state, leading(workload, split, 64))
    parts = [metrics(params, state, leading(workload, split, n, start)) for n, start in ((24, 0), (40, 24))]
    assert workload.metric.name in whole
    for key, value in whole.items():
        np.testing.assert_allclose(parts[0][key] + parts[1][key], value, rtol=1e-5)
    per_example = workload.data.splits[split]["targets"].shape[1] if name == "stdlib/char_rnn" else 1
    assert whole["examples"] == 64 * per_example


@pytest.mark.parametrize("name", NAMES)
def test_the_evaluated_loss_is_the_loss_without_regularization(loaded, leading, name):
    workload = loaded[name]
    params, state = _initial(workload.init)
    batch = leading(workload, "train", 32)
    sums = workload.metrics(params, state, batch)
    strong = Regularization(dropout_rate=0.5, label_smoothing=0.5)
    loss, _ = workload.loss(params, state, batch, jax.random.key(0), False, strong)
    np.testing.assert_allclose(loss, sums["loss"] / sums["examples"], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_zero_dropout_is_no_dropout(loaded, leading, name):
    workload = loaded[name]
    params, state = _initial(workload.init)
    batch = leading(workload, "train", 16)
    loss = functools.partial(workload.loss, params, state, batch)
    trained, _ = loss(jax.random.key(0), True, Regularization(0.0, 0.0))
    evaluated, _ = loss(jax.random.key(1), False, Regularization(0.0, 0.0))
    np.testing.assert_allclose(trained, evaluated, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_and_smoothing_act_exactly_where_they_are_documented(loaded, leading, name):
    workload = loaded[name]
    params, state = _initial(workload.init)
    batch = leading(workload, "train", 16)
    plain, dropped, smoothed = (
        float(workload.loss(params, state, batch, jax.random.key(0), True, regularization)[0])
        for regularization in (Regularization(0.0, 0.0), Regularization(0.5, 0.0), Regularization(0.0, 0.5))
    )
    assert (dropped == plain) == (name in NO_DROPOUT)
    assert (abs(smoothed - plain) < 1e-6) == (name in NO_SMOOTHING)


@pytest.mark.parametrize("name", NAMES)
def test_a_population_shares_a_batch_and_new_hyperparameters_compile_nothing(loaded, leading, name):
    workload = loaded[name]
    batch = leading(workload, "train", 8)
    keys = jax.random.split(jax.random.key(0), 3)
    params, state = jax.vmap(workload.init)(keys)
    traces = 0

    @jax.jit
    def losses(params, state, key, dropout_rate, label_smoothing):
        nonlocal traces
        traces += 1
        each = lambda p, s, k, d, l: workload.loss(p, s, batch, k, True, Regularization(d, l))[0]  # noqa: E741
        return jax.vmap(each)(params, state, key, dropout_rate, label_smoothing)

    rates, smoothing = jnp.array([0.0, 0.1, 0.2]), jnp.array([0.2, 0.0, 0.1])
    together = losses(params, state, keys, rates, smoothing)
    losses(params, state, keys, rates + 0.1, smoothing / 2)
    assert traces == 1
    for i in range(3):
        alone, _ = workload.loss(
            jax.tree.map(lambda x, i=i: x[i], params),
            (),
            batch,
            keys[i],
            True,
            Regularization(rates[i], smoothing[i]),
        )
        np.testing.assert_allclose(together[i], alone, rtol=1e-4)  # float32, another order of summation


@pytest.mark.parametrize("name", NAMES)
def test_a_few_dozen_steps_lower_the_loss(loaded, name):
    workload = loaded[name]
    train = {field: jnp.asarray(values) for field, values in workload.data.splits["train"].items()}
    optimizer = optax.adam(3e-3)
    params, state = _initial(workload.init)

    def step(carry, key):
        params, opt_state = carry
        key_batch, key_loss = jax.random.split(key)
        chosen = jax.random.randint(key_batch, (workload.batch_size,), 0, workload.data.size("train"))
        batch = {field: values[chosen] for field, values in train.items()}
        objective = lambda p: workload.loss(p, state, batch, key_loss, True, Regularization())[0]
        loss, gradient = jax.value_and_grad(objective)(params)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    keys = jax.random.split(jax.random.key(0), 60)
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
