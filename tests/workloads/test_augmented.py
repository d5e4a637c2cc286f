"""Augmented workloads: their gradients against what the formulas say, on a small loss."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import workloads
from tests.tuning.toy import toy_workload
from workloads import Functions, Regularization, SharedProgram, augmented
from workloads._measure import ForeignMeasure, Measure
from workloads._registry import builder

PLAIN = "taskset/mlp_family_seed15"
NONE = Regularization()


@pytest.fixture(scope="module")
def plain():
    """A linear regression that says how it may be bound, as tasks do."""
    toy = toy_workload()
    functions = Functions(toy.init, toy.loss, toy.metrics)
    return dataclasses.replace(toy, name=PLAIN, shared=SharedProgram("toy", {}, lambda constants: functions))


@pytest.fixture(scope="module")
def at(plain):
    """Parameters, model state, batch, key."""
    params, model_state = plain.init(jax.random.key(1))
    batch = next(plain.data.stream("train", jax.random.key(2), plain.batch_size))
    return params, model_state, batch, jax.random.key(3)


def made(plain, switch):
    return augmented.build(f"{PLAIN}+{switch}", lambda name: plain)


def grads(workload, params, model_state, batch, key):
    def loss(params):
        return workload.loss(params, model_state, batch, key, True, NONE)

    (value, _), found = jax.value_and_grad(loss, has_aux=True)(params)
    return value, found


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def close(one, other, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), one, other)


@pytest.mark.parametrize("level", augmented.LEVELS)
def test_reparametrised_parameters_have_the_same_loss_and_scaled_gradients(plain, at, level):
    params, *rest = at
    params = jax.tree.map(lambda p: p + 0.5, params)  # a bias that is not 0 says its scale
    shifted = dataclasses.replace(plain, init=lambda key: (params, ()), shared=None)
    workload = made(shifted, f"reparametrised={level}:0.01:100:5")
    scaled, _ = workload.init(jax.random.key(1))
    scale = jax.tree.map(lambda p, q: p / q, params, scaled)
    value, found = grads(workload, scaled, *rest)
    expected, true = grads(plain, params, *rest)
    assert value == pytest.approx(float(expected), rel=1e-5)
    close(found, jax.tree.map(lambda s, g: s * g, scale, true), rtol=1e-4, atol=1e-6)
    distinct = {round(float(s), 3) for s in flat(scale)}
    assert len(distinct) == {"global": 1, "tensor": 2, "element": 6}[level]
    close(workload.metrics(scaled, *rest), plain.metrics(params, *rest), rtol=1e-4)


def test_an_estimated_gradient_has_the_true_one_as_its_mean_and_the_same_loss(plain, at):
    params, model_state, batch, _ = at
    workload = made(plain, "es_gradient=0.01:16")
    keys = jax.random.split(jax.random.key(5), 300)
    values, found = jax.jit(jax.vmap(lambda key: grads(workload, params, model_state, batch, key)))(keys)
    expected, true = grads(plain, *at)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    # Of n parameters one estimate of 16 pairs is off by sqrt((n + 1) / 16) of the length, the mean of 300 by a 17th.
    length = np.linalg.norm(flat(true))
    each = np.concatenate([np.reshape(x, (300, -1)) for x in jax.tree.leaves(found)], axis=1)
    assert np.linalg.norm(each.mean(axis=0) - flat(true)) < 0.12 * length
    off = np.sqrt(np.mean(np.sum((each - flat(true)) ** 2, axis=1))) / length
    assert off == pytest.approx(np.sqrt(7 / 16), rel=0.2)


def test_a_normalised_gradient_has_length_one(plain, at):
    _, found = grads(made(plain, "normalized_gradient"), *at)
    _, true = grads(plain, *at)
    length = np.sqrt(sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(true)))
    close(found, jax.tree.map(lambda g: g / length, true), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("switch", ["random_directions=3", "random_directions=3:sign"])
def test_random_directions_span_what_is_left_of_the_gradient(plain, at, switch):
    _, found = grads(made(plain, switch), *at)
    _, true = grads(plain, *at)
    along = flat(found) @ flat(true)
    assert along > 0  # every direction is taken downhill
    if "sign" in switch:  # vectors of length 1, each downhill
        assert 1 < np.linalg.norm(flat(found)) < 3
    else:
        assert np.linalg.norm(flat(found)) < 3 * np.linalg.norm(flat(true))
    other = grads(made(plain, switch), at[0], at[1], at[2], jax.random.key(9))[1]
    assert not np.allclose(flat(found), flat(other))


@pytest.mark.parametrize(("delay", "age"), [(1, 1), (2, 1), (4, 3)])
def test_a_delayed_gradient_is_that_of_older_parameters(plain, at, delay, age):
    _, _, batch, key = at
    workload = made(plain, f"delayed={delay}")
    params, model_state = workload.init(jax.random.key(1))
    step = jax.jit(
        lambda params, model_state: jax.value_and_grad(
            lambda p: workload.loss(p, model_state, batch, key, True, NONE), has_aux=True
        )(params)
    )
    past = []
    for _ in range(6):
        past.append(params)
        (value, model_state), found = step(params, model_state)
        old = past[max(0, len(past) - 1 - age)]
        expected, true = grads(plain, old, (), batch, key)
        assert value == pytest.approx(float(expected), rel=1e-5)
        close(found, true, rtol=1e-4, atol=1e-6)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, found)


@pytest.mark.parametrize(
    "switch", ["reparametrised=element:0.1:10", "delayed=4", "normalized_gradient", "bfloat16"]
)
def test_a_measure_sees_the_workloads_own_parameters(plain, at, switch):
    params, model_state, batch, key = at

    def accumulate(params, model_state, batch, key):
        assert model_state == ()
        return {"mse": jnp.sum((batch["inputs"] @ params["w"] + params["b"] - batch["targets"]) ** 2)}

    measured = dataclasses.replace(plain, shared=None, measure=Measure(accumulate))
    workload = made(measured, switch)
    theirs, state = workload.init(jax.random.key(1))
    assert isinstance(workload.measure, Measure)
    found = workload.measure.accumulate(theirs, state, batch, key)["mse"]
    expected = accumulate(params, model_state, batch, key)["mse"]
    assert float(found) == pytest.approx(float(expected), rel=0.02 if switch == "bfloat16" else 1e-4)


def test_what_knows_its_own_parameters_alone_is_refused(plain):
    foreign = dataclasses.replace(plain, measure=ForeignMeasure(lambda *_: {}))
    with pytest.raises(ValueError, match="measured by what knows its parameters and model state alone"):
        made(foreign, "delayed=3")
    bound = dataclasses.replace(plain, constraint=lambda params: params)
    with pytest.raises(ValueError, match="has a constraint, of its own parameters"):
        made(bound, "reparametrised=global:0.1:10")


def test_reduced_batches_and_types(plain, at):
    assert made(plain, "reduced_batch=0.25").batch_size == max(1, int(plain.batch_size * 0.25))
    assert made(plain, "reduced_batch=0.0001").batch_size == 1
    assert made(plain, "batch_size=32").batch_size == 32
    workload = made(plain, "bfloat16")
    params, model_state = workload.init(jax.random.key(1))
    assert {x.dtype.name for x in jax.tree.leaves(params)} == {"bfloat16"}
    value, found = grads(workload, params, model_state, *at[2:])
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(float(grads(plain, *at)[0]), rel=0.02)
    assert {x.dtype.name for x in jax.tree.leaves(found)} == {"bfloat16"}


def test_augmentations_of_different_seeds_share_a_program_and_several_may_be_stacked(plain):
    one, other = (made(plain, f"reparametrised=tensor:0.1:10:{seed}+delayed=4") for seed in (1, 2))
    assert one.shared
    assert other.shared
    assert one.shared.key == other.shared.key != plain.shared.key
    assert one.name == f"{PLAIN}+reparametrised=tensor:0.1:10:1+delayed=4"
    twice = made(plain, "reparametrised=global:2:2+reparametrised=global:3:3")
    params, _ = twice.init(jax.random.key(1))
    close(jax.tree.map(lambda p: 6.0 * p, params), plain.init(jax.random.key(1))[0], rtol=1e-5)
    assert twice.shared
    bound = twice.shared.bind(twice.shared.constants).init(jax.random.key(1))[0]
    close(bound, params, rtol=1e-5)


def test_a_name_with_augmentations_loads_as_any_other():
    workload = workloads.load(f"{PLAIN}+bfloat16+reduced_batch=0.5")
    assert workload.name == f"{PLAIN}+bfloat16+reduced_batch=0.5"


@pytest.mark.parametrize(
    ("switch", "message"),
    [
        ("delaed=3", r"no augmentation 'delaed'; did you mean 'delayed'\? \(there is: reparametrised"),
        ("delayed=0", "'delayed=0' is not understood: a delay of 0; must be 1 or more"),
        ("reparametrised=all:1:2", "level is 'all'; must be one of global, tensor, element"),
        ("reduced_batch=2", "must be above 0 and at most 1"),
        ("es_gradient=0.1", "not understood"),
    ],
)
def test_what_is_no_augmentation(switch, message):
    with pytest.raises(ValueError, match=message):
        builder(f"{PLAIN}+{switch}")(None)
