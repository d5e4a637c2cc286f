"""Hold the language model against AlgoPerf's, and against a forward pass of our own in float64."""

import dataclasses
import functools

import jax
import numpy as np
import optax
import pytest

import workloads
from tests.workloads.algoperf import formulas, golden, parity
from workloads import Regularization, evaluation
from workloads.algoperf import finewebedu_lm

BASE = finewebedu_lm.BASE
SMALL = {"vocabulary": 19, "length": 10, "width": 8, "layers": 2, "heads": 2, "head_width": 4, "mlp_width": 6}


def small(**changes):
    return formulas.options("finewebedu_lm", **{**SMALL, **changes})


def tokens(rows=3, length=10, vocabulary=19):
    text = np.random.default_rng(0).integers(0, vocabulary, (rows, length + 1)).astype(np.int32)
    return {"inputs": text[:, :-1], "targets": text[:, 1:]}


def in_numpy(params, inputs, options):
    """Logits, from the formulas."""
    p = formulas.in_float64(params)

    def norm(at, x):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * p[f"{at}/scale"]

    def rotated(x):  # [row, head, position, unit], as complex numbers
        rates = 500_000.0 ** (-2 * np.arange(x.shape[-1] // 2) / x.shape[-1])
        turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * np.arange(x.shape[2])[:, None] * rates)
        return np.stack([turned.real, turned.imag], -1).reshape(x.shape)

    def unit(x):
        return x / (np.sqrt((x**2).sum(-1, keepdims=True)) + 1e-6)

    def attention(at, x):
        q, k, v = (
            np.einsum("bld,dhe->bhle", x, p[f"{at}/{part}/kernel"]) for part in ("query", "key", "value")
        )
        scores = np.einsum("bhqe,bhke->bhqk", unit(rotated(q)), unit(rotated(k))) * p[f"{at}/attn_scale"]
        hidden = np.triu(np.ones(scores.shape[-2:], bool), 1)
        y = np.einsum("bhqk,bhke->bqhe", formulas.softmax(np.where(hidden, -np.inf, scores)), v)
        return y.reshape(*x.shape[:2], -1) @ p[f"{at}/attn_out_proj/kernel"]

    def mlp(at, x):
        value, gate = np.split(x @ p[f"{at}/Dense_0/kernel"], 2, axis=-1)
        return value / (1 + np.exp(-gate)) @ p[f"{at}/Dense_1/kernel"]

    x = p["embed/embedding"][inputs]
    for layer in range(options.layers):
        at = f"blocks_{layer}"
        x = x + attention(f"{at}/CausalAttn_0", norm(f"{at}/RMSNorm_0", x))
        x = x + mlp(f"{at}/Mlp_0", norm(f"{at}/RMSNorm_1", x))
    return norm("out_ln", x) @ p["embed/embedding"].T


@golden.needs_counts
def test_parameters_are_algoperfs_path_for_path():
    parity.check_parameters("finewebedu_lm")


@pytest.mark.slow  # 4 GB
@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    # One unit in the last place of every parameter moves logits by 6e-6, and norms of leaves by 2e-5.
    parity.check_against_golden(
        "finewebedu_lm", logits=2e-5, training_logits=2e-5, gradient=5e-5, gradient_norm=1e-6
    )


@pytest.mark.slow
@golden.needs_golden
def test_loss_and_perplexity_are_algoperfs():
    wanted, workload = golden.scalars("finewebedu_lm"), workloads.load("algoperf/finewebedu_lm")
    batch = golden.batch("finewebedu_lm", "eval")
    totals = jax.jit(workload.measure.accumulate)(
        golden.params("finewebedu_lm"), (), batch, jax.random.key(0)
    )
    assert float(totals["loss"]) == pytest.approx(wanted["metrics/loss"], rel=1e-6)
    assert float(totals["examples"]) == wanted["metrics/denominator"]
    # The exponential of a mean of 11 makes its relative error 11 times as large.
    assert float(workload.measure.compute(totals)["ppl"]) == pytest.approx(wanted["metrics/ppl"], rel=1e-5)


def test_a_narrow_model_is_that_of_the_formulas():
    options, batch = small(), tokens()
    model = BASE.model(options)
    params = formulas.noisy(model.init(jax.random.key(0))[0])
    # float32: some units in the last place of logits of about 3.
    np.testing.assert_allclose(
        formulas.outputs(model, params, batch),
        in_numpy(params, batch["inputs"], options),
        rtol=2e-5,
        atol=2e-5,
    )


def test_initial_parameters_have_algoperfs_distributions():
    options = small(vocabulary=200, width=64, head_width=32, mlp_width=64, length=1024)
    params, state = BASE.model(options).init(jax.random.key(0))
    assert state == ()
    for path, leaf in golden.flat(params).items():
        leaf = np.asarray(leaf, np.float64)
        if path.endswith("attn_scale"):
            assert float(leaf) == pytest.approx(19.9986, abs=1e-4)
        elif path.endswith("/scale"):
            assert (leaf == 1).all()
        else:
            # Normal, with 1 / sqrt(2 * layers) of it where the output is added; extremes of 8,000 draws.
            sd = 0.02 / (2.0 if path.endswith(("attn_out_proj/kernel", "Dense_1/kernel")) else 1.0)
            assert leaf.std() == pytest.approx(sd, rel=0.05), path
            assert abs(leaf.mean()) < 5 * sd / np.sqrt(leaf.size), path
            assert 3 * sd < np.abs(leaf).max() < 6 * sd, path


def test_nothing_is_dropped():
    model = BASE.model(small())
    params, _ = model.init(jax.random.key(0))
    batch = tokens()
    trained = formulas.outputs(model, params, batch, True, 0.5, jax.random.key(0))
    np.testing.assert_allclose(trained, formulas.outputs(model, params, batch), rtol=1e-5, atol=1e-6)


def test_losses_are_smoothed_as_algoperfs():
    model, batch = BASE.model(small()), tokens()
    outputs = formulas.outputs(model, model.init(jax.random.key(0))[0], batch)
    shares = optax.smooth_labels(jax.nn.one_hot(batch["targets"], 19), 0.1)
    losses, weights = BASE.losses(outputs, batch | {"weights": None}, 0.1)
    np.testing.assert_allclose(losses, optax.softmax_cross_entropy(outputs, shares), rtol=1e-5)
    assert weights is None


def test_padding_rows_change_nothing():
    options, batch = small(), tokens()
    model = BASE.model(options)
    params, _ = model.init(jax.random.key(0))
    measure = BASE.measure(options, model, BASE.stand_in(options))
    more = {name: np.concatenate([values, np.full_like(values, -1)]) for name, values in batch.items()}
    more["weights"] = np.where(more["inputs"] == -1, 0.0, 1.0).astype(np.float32)
    found, again = (measure.compute(jax.jit(measure.accumulate)(params, (), b, None)) for b in (batch, more))
    assert found.keys() == {"loss", "accuracy", "ppl"}
    for name, value in found.items():
        assert float(value) == pytest.approx(float(again[name]), rel=1e-6)
    assert float(found["ppl"]) == pytest.approx(float(np.exp(found["loss"])), rel=1e-6)


def test_the_full_scale_builds():
    workload = workloads.load("algoperf/finewebedu_lm")
    batch = workloads.batch_shapes(workload)
    assert {name: field.shape for name, field in batch.items()} == {
        "inputs": (64, 1024),
        "targets": (64, 1024),
    }
    assert set(workload.eval_splits) == {"train", "validation"}
    params, state = jax.eval_shape(workload.init, jax.random.key(0))

    def loss(params, batch, key):
        return workload.loss(params, state, batch, key, True, Regularization(0.0, 0.1))[0]

    assert jax.eval_shape(loss, params, batch, jax.random.key(0)).shape == ()


@pytest.mark.slow  # 6 GB
def test_a_step_at_full_scale():
    workload = workloads.load("algoperf/finewebedu_lm")
    params, state = workload.init(jax.random.key(0))
    batch = {name: values[:, :128] for name, values in workload.data.draw(jax.random.key(1), 1).items()}
    optimizer = optax.adamw(1e-4)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, optimizer_state):
        loss = lambda p: workload.loss(p, state, batch, None, True, Regularization(0.0, 0.1))[0]  # noqa: E731
        value, gradient = jax.value_and_grad(loss)(params)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state, value

    optimizer_state, values = optimizer.init(params), []
    for _ in range(2):
        params, optimizer_state, value = step(params, optimizer_state)
        values.append(float(value))
    assert values[1] < values[0]


def test_evaluations_report_the_perplexity_of_all_tokens_together():
    options, batch = small(), tokens()
    model = BASE.model(options)
    source = workloads.ResidentData(
        {"train": batch, "validation": batch}, workloads.Provenance("synthetic", "tokens of a test")
    )
    workload = dataclasses.replace(
        workloads.load("algoperf/finewebedu_lm"),
        data=source,
        measure=BASE.measure(options, model, source),
        batch_size=2,
    )
    params, _ = model.init(jax.random.key(0))
    found = evaluation.Evaluator(workload).metrics("validation", params, ())
    losses, _ = BASE.losses(formulas.outputs(model, params, batch), batch, None)
    assert found["ppl"] == pytest.approx(float(np.exp(losses.mean())), rel=1e-5)


def test_a_small_scale_is_the_same_model_on_characters():
    workload = workloads.load("algoperf/finewebedu_lm@mini")
    batch = workload.data.arrays("train")
    np.testing.assert_array_equal(batch["inputs"][:, 1:], batch["targets"][:, :-1])
    assert batch["inputs"].dtype == np.int32
    params, _ = jax.eval_shape(workload.init, jax.random.key(0))
    full, _ = jax.eval_shape(workloads.load("algoperf/finewebedu_lm").init, jax.random.key(0))
    assert golden.flat(params).keys() < golden.flat(full).keys()
    assert set(workload.eval_splits) == {"train", "validation", "test"}
