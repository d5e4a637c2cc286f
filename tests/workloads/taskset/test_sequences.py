"""TaskSet's synthetic sequences: what is drawn, what is scored, and the sizes of the nets."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

import workloads
from workloads import Regularization
from workloads.taskset import fixed, synthetic_sequences

EXAMPLES = 2000
NAMES = [name for name, config in fixed.configs().items() if config["group"] in ("associative", "copy")]


@pytest.fixture(scope="module")
def associations():
    """Sequences of 4 pairs of 7 tokens."""
    draw = jax.jit(synthetic_sequences.associative(4, 7), static_argnums=1)
    return {name: np.asarray(values) for name, values in draw(jax.random.key(0), EXAMPLES).items()}


@pytest.fixture(scope="module")
def copies():
    """Sequences of 5 of 6 tokens."""
    draw = jax.jit(synthetic_sequences.copy(5, 6), static_argnums=1)
    return {name: np.asarray(values) for name, values in draw(jax.random.key(0), EXAMPLES).items()}


def test_keys_of_a_sequence_are_distinct_tokens(associations):
    keys = associations["inputs"][:, :8:2]
    assert all(len(set(row)) == 4 for row in keys.tolist())
    assert set(np.unique(keys)) == set(range(7))


def test_the_answer_is_the_value_of_the_queried_key(associations):
    for inputs, targets in zip(
        associations["inputs"].tolist(), associations["targets"].tolist(), strict=True
    ):
        *pairs, query, key = inputs
        assert query == 7 + 1
        assert dict(zip(pairs[::2], pairs[1::2], strict=True))[key] == targets[-1]
        assert targets[:-1] == [7] * 9  # EMPTY


def test_keys_values_and_queries_are_uniform(associations):
    pairs = associations["inputs"][:, :8].reshape(EXAMPLES, 4, 2)
    asked = np.argmax(pairs[:, :, 0] == associations["inputs"][:, -1:], axis=1)
    for values, choices in ((pairs[:, 0, 0], 7), (pairs[:, 2, 1], 7), (asked, 4)):
        share = np.bincount(values, minlength=choices) / EXAMPLES
        deviation = math.sqrt((1 - 1 / choices) / choices / EXAMPLES)
        assert np.abs(share - 1 / choices).max() < 5 * deviation


def test_values_may_repeat(associations):
    values = associations["inputs"][:, 1:8:2]
    distinct = np.array([len(set(row)) for row in values.tolist()]) == 4
    expected = 7 * 6 * 5 * 4 / 7**4
    assert abs(distinct.mean() - expected) < 5 * math.sqrt(expected * (1 - expected) / EXAMPLES)


def test_a_copy_is_tokens_then_a_separator_then_places_to_emit(copies):
    inputs, targets = copies["inputs"], copies["targets"]
    assert inputs.shape == targets.shape == (EXAMPLES, 11)
    assert set(np.unique(inputs[:, :5])) == set(range(6))
    np.testing.assert_array_equal(inputs[:, 5], 6)
    np.testing.assert_array_equal(inputs[:, 6:], 7)
    np.testing.assert_array_equal(targets[:, :6], 0)
    np.testing.assert_array_equal(targets[:, 6:], inputs[:, :5])


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_cell_and_one_linear_layer(name):
    config = fixed.configs()[name]
    features, units = config["num_tokens"] + 2, config["units"]
    cell = {
        "LSTM": 4 * ((features + units) * units + units),
        "GRU": 3 * ((features + units) * units + units),
        "VRNN": (features + units) * units + 2 * units,  # both of its linear layers have a bias
    }[config["core"]]
    workload = workloads.load(f"taskset/{name}")
    assert workloads.parameter_count(workload) == cell + units * features + features
    assert workload.batch_size == 128


@pytest.mark.parametrize(
    "name", ["Associative_VRNN128_BS128_Pairs10_Tokens50", "Copy_VRNN128_BS128_Length20_Tokens10"]
)
def test_only_the_answers_are_scored(name):
    workload, config = workloads.load(f"taskset/{name}"), fixed.configs()[name]
    shapes, state = jax.eval_shape(workload.init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    assert isinstance(workload.data, workloads.GeneratedData)
    batch = workload.data.draw(jax.random.key(1), 4)
    answers = np.asarray(batch["targets"])[:, -config.get("length", 1) :]
    ids = config["num_tokens"] + 2

    @jax.jit
    def evaluate(params):
        loss, _ = workload.loss(params, state, batch, jax.random.key(0), True, Regularization())
        return loss, workload.metrics(params, state, batch, jax.random.key(0))

    # Without weights the bias decides, alike at all places: log-probability of the target at the places that count.
    for bias in (np.zeros(ids), np.linspace(-1.0, 1.0, ids)):
        params["linear"]["bias"] = bias.astype(np.float32)
        loss, sums = evaluate(params)
        expected = np.log(np.exp(bias).sum()) - bias[answers]
        assert sums["examples"] == expected.size
        np.testing.assert_allclose(sums["loss"], expected.sum(), rtol=1e-5)
        np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
