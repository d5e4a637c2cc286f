"""Hold the small DLRM against AlgoPerf's."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import workloads
from tests.workloads.algoperf import golden, parity
from workloads.algoperf.criteo1tb import BASE

NAMES = ("criteo1tb", *BASE.variants)
NARROW = {"rows": 50, "width": 4, "numbers": 3, "fields": 5, "bottom": (7, 4), "top": (8, 6)}
RESIDUAL = {"residual": True, "bottom": (6, 6, 6), "top": (5, 5)}


def narrow(**changes):
    return dataclasses.replace(BASE.options, **NARROW | changes)


def drawn(model):
    """Parameters near those of a trained model: no bias of zeros or scale of ones hides an error."""
    draw = np.random.default_rng(1)

    def leaf(path, shape):
        scale = 0.3 if len(shape.shape) < 2 else shape.shape[0] ** -0.5
        values = scale * draw.normal(size=shape.shape) + (path[-1].key == "scale")
        return values.astype(np.float32)

    return jax.tree_util.tree_map_with_path(leaf, jax.eval_shape(model.init, jax.random.key(0))[0])


def evaluated(model, params, batch):
    """Logits in evaluation, where a dropout rate does nothing."""
    return model.model_fn(params, (), batch, None, False, False, None, 0.5)[0]


def batch_of(options, examples=16):
    rng = np.random.default_rng(0)
    numbers = rng.exponential(size=(examples, options.numbers))
    categories = rng.integers(0, 10_000, (examples, options.fields))
    return {
        "inputs": np.concatenate([numbers, categories], axis=1).astype(np.float32),
        "targets": rng.integers(0, 2, examples).astype(np.float32),
    }


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


# One unit in the last place of every parameter changes logits by 1e-6 and gradients by 2e-6 of a leaf's largest.
TOLERANCES = {"logits": 5e-6, "training_logits": 5e-6, "loss": 2e-6, "gradient_norm": 2e-6, "gradient": 1e-5}


@golden.needs_golden
def test_outputs_and_gradients_with_the_small_table_are_algoperfs():
    parity.check_against_golden("criteo1tb_test", **TOLERANCES)


@pytest.mark.slow
@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    parity.check_against_golden("criteo1tb", **TOLERANCES)


def in_float64(params, options, inputs):
    """The model written anew, one row after the other."""
    dense = {
        name: (leaf["kernel"], leaf["bias"]) for name, leaf in params.items() if name.startswith("Dense")
    }
    layers = iter([dense[f"Dense_{i}"] for i in range(len(dense))])
    norms = iter(range(100))

    def normed(x):
        if not options.layer_norm:
            return x
        norm = params[f"LayerNorm_{next(norms)}"]
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(var + 1e-6) * norm["scale"] + norm["bias"]

    def perceptron(x, hidden):
        for layer in range(hidden):
            kernel, bias = next(layers)
            y = normed(np.maximum(x @ kernel + bias, 0))
            x = x + y if options.residual and layer else y
        return x

    x = perceptron(inputs[:, : options.numbers], len(options.bottom))
    vectors = normed(params["embedding_table"][inputs[:, options.numbers :].astype(int) % options.rows])
    if options.residual:
        joint = vectors.reshape(len(x), -1)
    else:
        stacked = np.concatenate([x[:, None], vectors], axis=1)
        pairs = [(i, j) for i in range(stacked.shape[1]) for j in range(i, stacked.shape[1])]
        joint = np.array([[row[i] @ row[j] for i, j in pairs] for row in stacked])
    x = perceptron(np.concatenate([x, joint], axis=1), len(options.top))
    kernel, bias = next(layers)
    return x @ kernel + bias


@pytest.mark.parametrize("changes", [{}, {"layer_norm": True}, RESIDUAL], ids=["base", "layernorm", "resnet"])
def test_a_narrow_model_agrees_with_float64(changes):
    options = narrow(**changes)
    model, batch = BASE.model(options), batch_of(options)
    params = drawn(model)
    logits = jax.jit(evaluated, static_argnums=0)(model, params, batch)
    expected = in_float64(jax.tree.map(np.float64, params), options, batch["inputs"].astype(np.float64))
    assert logits.shape == (16, 1)
    # Products of some twenty terms, four layers deep.
    np.testing.assert_allclose(logits, expected, rtol=2e-5, atol=2e-5)


def test_leaves_begin_with_algoperfs_distributions():
    options = narrow(rows=400, width=60, numbers=40, fields=3, bottom=(300, 60), top=(200, 100))
    params = BASE.model(options).init(jax.random.key(3))[0]
    joint = 60 + 4 * 5 // 2  # the numbers' vector, and products of pairs
    bottom, top = [(40, 300), (300, 60)], [(joint, 200), (200, 100), (100, 1)]
    for number, (inputs, width) in enumerate(bottom + top):
        layer = params[f"Dense_{number}"]
        kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
        deviation = np.sqrt(2 / (inputs + width))
        # Five standard errors of a mean and of a standard deviation.
        assert abs(kernel.mean()) < 5 * deviation / np.sqrt(kernel.size)
        assert abs(kernel.std() / deviation - 1) < 5 / np.sqrt(2 * kernel.size)
        if number < len(bottom):  # uniform, where the top is normal
            assert 0.99 < np.abs(kernel).max() / (np.sqrt(3) * deviation) <= 1
        elif kernel.size > 1000:
            assert np.abs(kernel).max() > 3 * deviation
        if width > 1:
            assert abs(bias.std() * np.sqrt(width) - 1) < 5 / np.sqrt(2 * width)
            assert abs(bias.mean()) < 5 / width
    for bound, made in (
        (0.05, params["embedding_table"]),
        (
            1.0,
            BASE.model(dataclasses.replace(options, table_bound=1.0)).init(jax.random.key(3))[0][
                "embedding_table"
            ],
        ),
    ):
        table = np.asarray(made) / bound
        assert table.min() >= 0
        assert 0.999 < table.max() <= 1
        assert abs(table.mean() - 0.5) < 5 / np.sqrt(12 * table.size)
        assert abs(table.std() - 12**-0.5) < 0.01


@pytest.mark.parametrize("changes", [{}, {"layer_norm": True}, RESIDUAL], ids=["base", "layernorm", "resnet"])
def test_a_traced_dropout_rate_acts_and_compiles_once(changes):
    options = narrow(**changes)
    model, batch = BASE.model(options), batch_of(options)
    params = drawn(model)
    compilations = []

    @jax.jit
    def logits(rate, key):
        compilations.append(rate)
        return model.model_fn(params, (), batch, key, True, True, None, rate)[0]

    expected = jax.jit(evaluated, static_argnums=0)(model, params, batch)
    np.testing.assert_allclose(logits(0.0, jax.random.key(1)), expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(logits(0.5, jax.random.key(1)), expected, atol=1e-3)
    assert len(compilations) == 1


@pytest.mark.parametrize("changes", [{}, RESIDUAL], ids=["base", "resnet"])
def test_units_are_dropped_of_the_last_hidden_layer_alone(changes):
    """With kernels of 0 and biases of 1 a hidden layer gives ones; the logit is their mean."""
    options = narrow(**changes | {"top": (64, 64)})
    model, batch = BASE.model(options), batch_of(options, 8)
    params = jax.tree_util.tree_map_with_path(
        lambda path, p: jnp.full(p.shape, 1.0 if path[-1].key == "bias" else 0.0),
        jax.eval_shape(model.init, jax.random.key(0))[0],
    )
    last = f"Dense_{len(options.bottom) + 2}"
    params[last] = {"kernel": jnp.full((64, 1), 1 / 64), "bias": jnp.zeros(1)}
    run = jax.jit(lambda params, key: model.model_fn(params, (), batch, key, True, True, None, 0.75)[0])
    logits = run(params, jax.random.key(0))
    kept = (logits[:, 0] - (1.0 if options.residual else 0.0)) * 64 / 4  # a kept unit is 1 / (1 - 0.75)
    np.testing.assert_allclose(kept, np.round(kept), atol=1e-4)
    assert len(set(np.round(np.asarray(kept)).tolist())) > 1  # every example has its own draw
    assert 6 < kept.mean() < 26  # 16 of 64 are kept, with a standard error of 1.2


def test_a_traced_dropout_rate_is_what_was_mended():
    assert "criteo1tb_resnet" in BASE.mended


@pytest.mark.parametrize("name", NAMES)
def test_the_full_scale_builds(name):
    parity.check_abstract_step(workloads.load(f"algoperf/{name}"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_at_full_scale(name):
    parity.check_training_step(workloads.load(f"algoperf/{name}"), optax.adamw(1e-3), 4)


def test_loss_is_scikit_learns_and_knows_no_smoothing():
    from sklearn.metrics import log_loss

    logits = np.random.default_rng(0).normal(size=(20, 1)).astype(np.float32) * 3
    targets = np.arange(20) % 2
    losses = jax.jit(lambda logits, targets: BASE.losses(logits, {"targets": targets}, 0.1)[0])
    found = losses(logits, targets)
    probability = 1 / (1 + np.exp(-logits[:, 0].astype(np.float64)))
    assert float(np.mean(found)) == pytest.approx(log_loss(targets, probability), rel=1e-6)
    # Far from 0 there is no overflow, and AlgoPerf's targets of shape [example, 1] are the same.
    far = np.array([[200.0], [-200.0]] * 10, np.float32)
    np.testing.assert_allclose(losses(far, np.zeros(20, int))[:2], [200.0, 0.0])
    np.testing.assert_array_equal(losses(logits, targets[:, None].astype(np.float32)), found)


def test_measure_adds_batches_in_float64_on_the_host_and_in_float32_in_a_program():
    measure = BASE.measure(narrow(), BASE.model(narrow()), BASE.stand_in(narrow()))
    million = {"loss": jnp.float32(2**24), "examples": jnp.float32(2**24)}
    one = {"loss": jnp.float32(1), "examples": jnp.float32(1)}
    total = measure.merge(measure.merge(million, one), one)
    assert total["examples"] == 2**24 + 2  # float32 would have lost the ones
    assert measure.compute(total) == {"loss": 1.0}
    assert jax.jit(measure.merge)(million, one)["loss"].dtype == jnp.float32


def test_padding_rows_change_nothing():
    options = narrow()
    model, batch = BASE.model(options), batch_of(options, 6)
    params = drawn(model)
    padded = {
        "inputs": np.concatenate([batch["inputs"], np.full((2, 8), 3e6, np.float32)]),
        "targets": np.concatenate([batch["targets"], np.ones(2, np.float32)]),
        "weights": np.array([1] * 6 + [0] * 2, np.float32),
    }
    measure = BASE.measure(options, model, BASE.stand_in(options))

    @jax.jit
    def totals_and_gradients(params, batch):
        def loss(params):
            totals = measure.accumulate(params, (), batch, None)
            return totals["loss"] / totals["examples"], totals

        return jax.grad(loss, has_aux=True)(params)

    plain, with_padding = totals_and_gradients(params, batch), totals_and_gradients(params, padded)
    assert plain[1]["examples"] == with_padding[1]["examples"] == 6
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), plain, with_padding)


@golden.needs_golden
def test_measure_gives_algoperfs_sum():
    workload = workloads.load("algoperf/criteo1tb_test")
    assert workload.measure is not None
    found = jax.jit(workload.measure.accumulate)(
        golden.params("criteo1tb_test"), (), golden.batch("criteo1tb_test", "eval"), None
    )
    assert float(found["loss"]) == pytest.approx(golden.scalars("criteo1tb_test")["metrics/loss"], rel=1e-6)
    assert found["examples"] == 6
