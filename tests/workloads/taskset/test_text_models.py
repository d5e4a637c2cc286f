"""TaskSet's language models and text classifiers: losses, padding, sizes, quirks, and first steps."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import workloads
from workloads import Regularization
from workloads.taskset import (
    _language_model,
    _recurrent,
    _text,
    _text_classifier,
    char_rnn_language_model_family,
    fixed,
    rnn_text_classification_family,
    word_rnn_language_model_family,
)
from workloads.taskset.quirks import Quirks

KEY = jax.random.key(0)
LANGUAGE_MODELS = [name for name, c in fixed.configs().items() if c["group"] == "language_model"]
CLASSIFIERS = [name for name, c in fixed.configs().items() if c["group"] == "text_rnn_classification"]


def zeros(init):
    """Parameters that are all zero; every logit is then its bias."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), jax.eval_shape(init, KEY))


def evaluate(functions, params, batch):
    """Loss of a batch, and its sums."""

    def both(params, batch):
        loss, _ = functions.loss(params, (), batch, KEY, True, Regularization())
        return loss, functions.metrics(params, (), batch, KEY)

    return jax.jit(both)(params, {name: jnp.asarray(values) for name, values in batch.items()})


def bias_loss(bias, targets):
    """Cross-entropy in float64 of logits that are the bias everywhere."""
    return np.log(np.exp(bias).sum()) - bias[targets]


# The last id of a vocabulary of 9 stands for all that follow; zeros are padding.
TEXT = np.array([[3, 8, 30, 1, 5, 2], [4, 7, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize(("masked", "counted"), [(False, 15), (True, 6)])
def test_padding_is_predicted_unless_it_is_masked(masked, counted):
    net = _recurrent.RecurrentNet(9, 4, _recurrent.vrnn(5), 9, trainable_init=False)
    bias, params = np.linspace(-1, 1, 9), zeros(net.init)
    params["linear"]["bias"] = bias.astype(np.float32)
    targets = np.minimum(TEXT, 8)[:, 1:]
    expected = bias_loss(bias, targets)[targets > 0] if masked else bias_loss(bias, targets).ravel()
    assert expected.size == counted
    loss, sums = evaluate(_language_model.functions(net, masked), params, {"text": TEXT})
    assert sums["examples"] == counted
    np.testing.assert_allclose(sums["loss"], expected.sum(), rtol=1e-6)
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-6)


def test_a_batch_of_nothing_but_padding_has_a_finite_masked_loss():
    net = _recurrent.RecurrentNet(9, 4, _recurrent.vrnn(5), 9, trainable_init=False)
    empty = {"text": np.zeros((2, 6), np.int32)}
    loss, _ = evaluate(_language_model.functions(net, masked=True), zeros(net.init), empty)
    assert loss == 0


def test_many_logits_are_made_in_pieces_with_the_same_loss_and_gradient(monkeypatch):
    net = _recurrent.RecurrentNet(9, 4, _recurrent.gru(5), 9, trainable_init=True)
    loss = _language_model.functions(net, masked=False).loss
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(0, 0.5, leaf.shape), jnp.float32), jax.eval_shape(net.init, KEY)
    )
    batch = {"text": jnp.asarray(rng.integers(9, size=(3, 8)))}

    def value_and_gradient():
        function = jax.value_and_grad(lambda p: loss(p, (), batch, KEY, True, Regularization())[0])
        return jax.jit(function)(params)

    whole = value_and_gradient()
    monkeypatch.setattr(
        _language_model, "LOGITS_AT_ONCE", 5 * 9
    )  # 21 rows in pieces of 5: the last is not full
    pieces = value_and_gradient()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), whole, pieces)


@pytest.mark.parametrize("aggregate", _text_classifier.AGGREGATES)
def test_a_classifier_reads_the_last_the_mean_or_the_largest_state(aggregate):
    # W = 1, U = 0 and no bias: the state is the relu of the embedding, here of one unit.
    net = _recurrent.RecurrentNet(4, 1, _recurrent.vrnn(1, jax.nn.relu), 2, trainable_init=False)
    params = zeros(net.init)
    params["cell"]["hidden"]["input_kernel"] = np.ones((1, 1), np.float32)
    params["embedding"] = np.array([[0.5], [1.0], [4.0], [2.0]], np.float32)
    params["linear"]["kernel"] = np.array([[1.0, -1.0]], np.float32)
    text, labels = np.array([[1, 2, 9, 0], [2, 0, 0, 3]]), np.array([0, 1])  # 9 counts as 3
    states = np.array([[1.0, 4.0, 2.0, 0.5], [4.0, 0.5, 0.5, 2.0]])
    state = {"last": states[:, -1], "avg": states.mean(1), "max": states.max(1)}[aggregate]
    expected = np.log(1 + np.exp(np.where(labels == 0, -2, 2) * state))
    functions = _text_classifier.functions(net, aggregate)
    loss, sums = evaluate(functions, params, {"text": text, "targets": labels})
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-6)
    np.testing.assert_allclose(sums["loss"], expected.sum(), rtol=1e-6)
    assert sums["examples"] == 2
    assert sums["accuracy"] == 1


def cell_count(core, inputs):
    """Parameters of a sampled core, and the length of its state."""
    units = core[1]["core_dim"]
    one = (inputs + units) * units + units
    return {"vrnn": one + units, "gru": 3 * one, "lstm": 4 * one}[core[0]], units * (1 + (core[0] == "lstm"))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "family", [char_rnn_language_model_family, word_rnn_language_model_family, rnn_text_classification_family]
)
def test_parameters_of_sampled_tasks_follow_from_the_config(family, seed):
    config = family.sample(seed)
    classifier = family is rnn_text_classification_family
    tokens = min(8185, config["vocab_size"]) if classifier else config["vocab_size"]
    outputs = 2 if classifier else tokens
    cell, state = cell_count(config["core"], config["embed_dim"])
    expected = tokens * config["embed_dim"] + cell + (config["core"][1]["core_dim"] + 1) * outputs
    expected += state if config["trainable_init"] else 0
    workload = family.build(None, seed)
    assert workloads.parameter_count(workload) == expected
    arguments = config["dataset"][1]
    assert workload.batch_size == arguments["bs" if classifier else "batch_size"]


@pytest.mark.parametrize("name", LANGUAGE_MODELS + CLASSIFIERS)
def test_parameters_of_fixed_tasks_follow_from_their_names(name):
    config = fixed.configs()[name]
    units, inputs = config["units"], config["embed_dim"]
    gates = {"GRU": 3, "LSTM": 4, "VRNN": 1, "IRNN": 1}[config["core"]]
    cell = gates * ((inputs + units) * units + units) + (units if gates == 1 else 0)
    outputs = config["vocab_size"] if name in LANGUAGE_MODELS else 2
    state = units * (2 if config["core"] == "LSTM" else 1)  # the initial states are trained
    expected = config["vocab_size"] * inputs + cell + state + (units + 1) * outputs
    workload = workloads.load(f"taskset/{name}")
    assert workloads.parameter_count(workload) == expected
    assert (workload.batch_size, workload.cost_class) == (config["batch_size"], "rnn")


def test_fixed_language_models_mask_and_sampled_ones_as_the_quirk_says():
    config = char_rnn_language_model_family.sample(0)
    batch = {"text": np.array([[5, 6, 0, 0]])}
    for workload, counted in (
        (workloads.load(f"taskset/{LANGUAGE_MODELS[0]}"), 1),
        (char_rnn_language_model_family.from_config("x", config), 3),
        (char_rnn_language_model_family.from_config("x", config, quirks=Quirks(lm_padding="masked")), 1),
    ):
        params, _ = zeros(workload.init)
        _, sums = evaluate(workload, params, batch)
        assert sums["examples"] == counted
        np.testing.assert_allclose(sums["loss"], counted * math.log(256), rtol=1e-6)


def test_a_classifier_loads_imdb_whatever_the_name_unless_asked():
    config = rnn_text_classification_family.sample(0)
    assert config["dataset"][0] == "tokenized_amazon_reviews/Camera_v1_00_bytes"
    released = rnn_text_classification_family.from_config("x", config)
    assert released.data.provenance.stands_in_for == _text.IMDB
    named = rnn_text_classification_family.from_config("x", config, quirks=Quirks(text_dataset="by_name"))
    assert named.data.provenance.stands_in_for == "tokenized_amazon_reviews/Camera_v1_00_bytes"
    for workload, classes in ((released, 2), (named, 5)):
        assert set(workload.data.splits["train"]["targets"].tolist()) == set(range(classes))
        params, _ = jax.eval_shape(workload.init, KEY)
        assert params["linear"]["bias"].shape == (classes,)


def test_the_fused_name_is_read_as_its_first_half():
    config = rnn_text_classification_family.sample(3)
    assert config["dataset"][0] == _text.FUSED
    named = rnn_text_classification_family.from_config("x", config, quirks=Quirks(text_dataset="by_name"))
    assert named.data.provenance.stands_in_for == _text.IMDB


def test_language_models_honour_just_train_and_classifiers_on_request():
    def just_train(workload):
        splits = workload.data.splits
        return all(split["text"] is splits["train"]["text"] for split in splits.values())

    config = word_rnn_language_model_family.sample(0)
    name, arguments = config["dataset"]
    for asked in (False, True):
        dataset = [name, {**arguments, "just_train": asked}]
        workload = word_rnn_language_model_family.from_config("x", {**config, "dataset": dataset})
        assert just_train(workload) == asked
    config = rnn_text_classification_family.sample(3)
    assert config["dataset"][1]["just_train"]
    assert not just_train(rnn_text_classification_family.from_config("x", config))
    assert just_train(
        rnn_text_classification_family.from_config("x", config, quirks=Quirks(just_train="honoured"))
    )


def test_tasks_that_differ_in_data_only_share_a_program():
    config = char_rnn_language_model_family.sample(0)
    arguments = config["dataset"][1]
    for changes, same in (
        ({}, True),
        ({"num_train": 1000}, True),
        ({"just_train": True}, True),
        ({"patch_length": arguments["patch_length"] + 1}, False),
    ):
        dataset = ["lm1b/bytes", {**arguments, **changes}]
        one = char_rnn_language_model_family.from_config("x", {**config, "dataset": dataset})
        other = char_rnn_language_model_family.from_config("x", config)
        assert one.shared is not None
        assert other.shared is not None
        assert (one.shared.key == other.shared.key) == same


@pytest.mark.parametrize(
    "name",
    [
        "char_rnn_language_model_family_seed1",
        "word_rnn_language_model_family_seed2",
        "rnn_text_classification_family_seed1",
        "FixedTextRNNClassification_imdb_patch32_IRNN64_relu_avg_bs128",
        "FixedLM_lm1b_patch128_GRU64_embed64_avg_bs128",
    ],
)
def test_a_few_steps_of_adam_are_finite_and_lower_the_loss_of_their_batch(name):
    workload = workloads.load(f"taskset/{name}")
    optimizer = optax.adam(3e-3)
    rows = np.arange(8)
    batch = {field: jnp.asarray(values[rows]) for field, values in workload.data.splits["train"].items()}

    @jax.jit
    def losses(key, batch):
        params, state = workload.init(key)
        batch = workload.data.transform(key, batch, "train")

        def step(carry, _):
            params, opt_state = carry
            (loss, _), gradient = jax.value_and_grad(workload.loss, has_aux=True)(
                params, state, batch, key, True, Regularization()
            )
            updates, opt_state = optimizer.update(gradient, opt_state)
            return (optax.apply_updates(params, updates), opt_state), loss

        return jax.lax.scan(step, (params, optimizer.init(params)), length=6)[1]

    values = np.asarray(losses(KEY, batch))
    assert np.isfinite(values).all()
    assert values[-1] < values[0]
