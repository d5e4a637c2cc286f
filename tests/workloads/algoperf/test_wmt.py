"""Hold the Transformer of wmt against AlgoPerf's, and against a forward pass of our own in float64."""

import dataclasses
import functools

import jax
import numpy as np
import optax
import pytest

import workloads
from submissions import api
from tests.workloads.algoperf import formulas, golden, parity
from workloads import Regularization, evaluation
from workloads.algoperf import _transformer, wmt

NAMES = (wmt.BASE.name, *wmt.BASE.variants)
SMALL = {
    "vocabulary": 23, "width": 8, "heads": 2, "head_width": 3, "layers": 2, "mlp_width": 6, "length": 12, "decoded": 9,
}  # fmt: skip


def small(name="wmt", **changes):
    return formulas.options("wmt", **{**SMALL, **wmt.BASE.variants.get(name, {}), **changes})


def padded(rows=((5, 7), (6, 3)), length=9, vocabulary=23):
    """Sentences of so many tokens, one a row."""
    rng = np.random.default_rng(0)
    batch = {}
    for side, name in enumerate(("inputs", "targets")):
        tokens = rng.integers(3, vocabulary, (len(rows), length))
        for row, lengths in enumerate(rows):
            tokens[row, lengths[side] - 1 :] = 0
            tokens[row, lengths[side] - 1] = 2
        batch[name] = tokens.astype(np.int32)
    return batch | {"weights": (batch["targets"] > 0).astype(np.int32)}


def packed():
    """The same rows, with two sentences in the first."""
    batch = padded()
    for name, lengths in (("inputs", ((3, 2), (6,))), ("targets", ((4, 3), (3,)))):
        position, segment = np.zeros_like(batch[name]), np.zeros_like(batch[name])
        for row, parts in enumerate(lengths):
            at = 0
            for number, length in enumerate(parts):
                position[row, at : at + length] = np.arange(length)
                segment[row, at : at + length] = number + 1
                batch[name][row, at + length - 1] = 2
                at += length
        batch |= {f"{name}_position": position, f"{name}_segmentation": segment}
    return batch


def in_numpy(params, batch, options):
    """Logits, from the formulas."""
    p = formulas.in_float64(params)
    first = options.normalised_first

    def attention(at, x, y, mask):
        q, k, v = (
            np.einsum("bld,dhe->bhle", z, p[f"{at}/{part}/kernel"])
            for part, z in (("query", options.temperature * x), ("key", y), ("value", y))
        )
        scores = np.einsum("bhqe,bhke->bhqk", q, k) / np.sqrt(options.head_width)
        shares = formulas.softmax(np.where(mask[:, None], scores, -1e300))
        return np.einsum("bhqe,hed->bqd", np.einsum("bhqk,bhke->bhqe", shares, v), p[f"{at}/out/kernel"])

    def norm(at, x):
        return formulas.layer_norm(x, p[f"{at}/scale"], p[f"{at}/bias"])

    def residual(at, x, function):
        return x + function(norm(at, x)) if first else norm(at, x + function(x))

    def mlp(at, x):
        def dense(i, x):
            return x @ p[f"{at}/Dense_{i}/kernel"] + p[f"{at}/Dense_{i}/bias"]

        hidden = np.tanh(dense(0, x)) if options.activation == "tanh" else np.maximum(dense(0, x), 0)
        return dense(2, hidden * dense(1, x)) if options.gated else dense(1, hidden)

    def embedded(tokens, position):
        half = options.width // 2
        rates = 10_000.0 ** (-np.arange(half) / (half - 1))
        angles = position[..., None] * rates
        return p["shared_embedding/embedding"][tokens] + np.concatenate([np.sin(angles), np.cos(angles)], -1)

    inputs, targets = batch["inputs"], batch["targets"]
    everywhere = np.broadcast_to(np.arange(inputs.shape[1]), inputs.shape)

    def allowed(of, to):
        queries, keys = batch[of], batch[to]
        mask = (queries > 0)[:, :, None] & (keys > 0)[:, None, :]
        if f"{of}_segmentation" in batch:
            mask &= batch[f"{of}_segmentation"][:, :, None] == batch[f"{to}_segmentation"][:, None, :]
        return mask

    x = embedded(inputs, batch.get("inputs_position", everywhere))
    for layer in range(options.layers):
        at = f"encoder/encoderblock_{layer}"
        mask = allowed("inputs", "inputs")
        x = residual(
            f"{at}/LayerNorm_0",
            x,
            lambda y: attention(f"{at}/MultiHeadDotProductAttention_0", y, y, mask),  # noqa: B023
        )
        x = residual(f"{at}/LayerNorm_1", x, lambda y: mlp(f"{at}/MlpBlock_0", y))  # noqa: B023
    x = norm("encoder/encoder_layernorm", x) if first else x
    shifted = np.pad(targets, ((0, 0), (1, 0)))[:, :-1]
    y = embedded(shifted, batch.get("targets_position", everywhere))
    causal = np.tril(np.ones((targets.shape[1],) * 2, bool))
    for layer in range(options.layers):
        at = f"decoder/encoderdecoderblock_{layer}"
        own, other = allowed("targets", "targets") & causal, allowed("targets", "inputs")
        own_at, other_at = (f"{at}/MultiHeadDotProductAttention_{i}" for i in range(2))
        y = residual(f"{at}/LayerNorm_0", y, lambda z: attention(own_at, z, z, own))  # noqa: B023
        y = residual(f"{at}/LayerNorm_1", y, lambda z: attention(other_at, z, x, other))  # noqa: B023
        y = residual(f"{at}/LayerNorm_2", y, lambda z: mlp(f"{at}/MlpBlock_0", z))  # noqa: B023
    y = norm("decoder/encoderdecoder_layernorm", y) if first else y
    return y @ p["shared_embedding/embedding"].T / np.sqrt(options.width)


def trained_looking(options, seed=0):
    model = wmt.BASE.model(options)
    params, _ = model.init(jax.random.key(seed))
    return model, formulas.noisy(params)


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


@pytest.mark.slow  # 3 GB, 20 s
@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    # One unit in the last place of every parameter moves logits by 4e-6.
    parity.check_against_golden("wmt", logits=2e-5, training_logits=2e-5, gradient=2e-5, gradient_norm=1e-6)


@pytest.mark.parametrize(("name", "make"), [("wmt", padded), *((name, packed) for name in NAMES)])
def test_a_narrow_model_is_that_of_the_formulas(name, make):
    options, batch = small(name), make()
    model, params = trained_looking(options)
    found = formulas.outputs(model, params, batch)
    # Padded queries attend to nothing, hence to everything alike, padding included: they are nobody's.
    real = batch["targets"] > 0
    # float32: a few units in the last place of logits of about 10, through four layers.
    np.testing.assert_allclose(found[real], in_numpy(params, batch, options)[real], rtol=2e-5, atol=2e-5)


def test_sentences_of_a_packed_row_do_not_see_each_other():
    batch = packed()
    model, params = trained_looking(small())
    alone = {name: values.copy() for name, values in batch.items()}
    for name in ("inputs", "targets"):
        alone[name][0, 5:] = 7  # what stands in the second sentence, and behind it
    found, again = formulas.outputs(model, params, batch), formulas.outputs(model, params, alone)
    np.testing.assert_array_equal(found[0, :4], again[0, :4])
    assert not np.allclose(found[0, 5:7], again[0, 5:7])


def test_initial_parameters_have_algoperfs_distributions():
    options = small(width=64, heads=4, head_width=16, mlp_width=64, vocabulary=100)
    params, state = wmt.BASE.model(options).init(jax.random.key(0))
    assert state == ()
    for path, leaf in golden.flat(params).items():
        leaf = np.asarray(leaf, np.float64)
        name = path.rpartition("/")[2]
        if name == "embedding":
            assert leaf.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * leaf.size))
        elif name == "kernel":
            # Xavier's uniform, 64 in and 64 out: at most sqrt(6 / 128), standard deviation sqrt(2 / 128).
            assert 0.99 < np.abs(leaf).max() / np.sqrt(6 / 128) <= 1.0, path
            assert leaf.std() == pytest.approx(np.sqrt(2 / 128), rel=0.05), path
        elif "Mlp" in path:
            assert 0 < leaf.std() < 2e-6, path  # normal, 1e-6
        else:
            assert (leaf == (name == "scale")).all(), path
        assert abs(leaf.mean()) < 5 / np.sqrt(leaf.size) or name == "scale", path


def test_the_dropout_rate_is_traced_and_acts_where_algoperfs_does():
    options, batch = small(), packed()
    model, params = trained_looking(options)
    compiled = formulas.outputs._cache_size()
    dropped = [
        formulas.outputs(model, params, batch, True, rate, jax.random.key(0)) for rate in (0.0, 0.1, 0.5)
    ]
    assert formulas.outputs._cache_size() == compiled + 1
    np.testing.assert_allclose(dropped[0], formulas.outputs(model, params, batch), rtol=1e-5, atol=1e-5)
    assert not np.allclose(dropped[1], dropped[2])
    # After both embeddings, and of every layer after every attention, the hidden units and the output layer.
    found = formulas.draws(
        lambda key, rate: formulas.outputs(model, params, batch, True, rate, key), jax.random.key(0), 0.1
    )
    assert found == 2 + options.layers * (3 + 4)


def test_losses_are_smoothed_and_masked_as_algoperfs():
    batch = padded()
    model, params = trained_looking(small())
    outputs = formulas.outputs(model, params, batch)
    losses, weights = wmt.BASE.losses(outputs, batch, 0.1)
    shares = optax.smooth_labels(jax.nn.one_hot(batch["targets"], 23), 0.1)
    np.testing.assert_allclose(losses, optax.softmax_cross_entropy(outputs, shares), rtol=1e-5)
    assert weights is batch["weights"]


def test_padding_rows_change_nothing():
    batch = padded()
    more = {name: np.concatenate([values, np.zeros_like(values)]) for name, values in batch.items()}
    model, params = trained_looking(small())
    source = wmt.BASE.stand_in(small())
    measure = wmt.BASE.measure(small(), model, source)
    found, again = (
        measure.compute(jax.device_get(jax.jit(measure.accumulate)(params, (), b, None)))
        for b in (batch, more)
    )
    assert found.keys() == {"loss", "accuracy", "bleu"}
    assert found == pytest.approx(again, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_full_scale_builds(name):
    workload = workloads.load(f"algoperf/{name}")
    batch = workloads.batch_shapes(workload)
    params, state = jax.eval_shape(workload.init, jax.random.key(0))

    def loss(params, batch, key):
        return workload.loss(params, state, batch, key, True, Regularization(0.1, 0.1))[0]

    assert jax.eval_shape(loss, params, batch, jax.random.key(0)).shape == ()
    options = formulas.options("wmt", **wmt.BASE.variants.get(name, {}))
    translated = jax.eval_shape(wmt.translator(options), params, batch["inputs"])
    assert translated.shape == (128, 255)


@pytest.mark.slow  # 5 GB
def test_a_step_at_full_scale():
    workload = workloads.load("algoperf/wmt_glu_tanh")
    params, state = workload.init(jax.random.key(0))
    batch = workload.data.draw(jax.random.key(1), 1)
    optimizer = optax.adamw(1e-4)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, optimizer_state, key):
        loss = lambda p: workload.loss(p, state, batch, key, True, Regularization(0.1, 0.1))[0]  # noqa: E731
        value, gradient = jax.value_and_grad(loss)(params)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state, value

    optimizer_state = optimizer.init(params)
    values = []
    for number in range(2):
        params, optimizer_state, value = step(params, optimizer_state, jax.random.key(number))
        values.append(float(value))
    assert values[1] < values[0]


def test_submissions_see_algoperfs_fields():
    model, params = trained_looking(small())
    batch = packed()
    source = workloads.ResidentData(
        {"train": batch}, workloads.Provenance("synthetic", "sentences of a test")
    )
    workload = dataclasses.replace(
        workloads.load("algoperf/wmt"), data=source, batch_size=2, eval_splits={"train": "train"}, init=model.init,
        apply=lambda params, state, batch, key, train, rate: model.model_fn(
            params, state, batch, key, train, train, None, rate
        ),
        model_fn=model.model_fn,
    )  # fmt: skip
    view = api.view(workload)
    seen = next(view._build_input_queue(jax.random.key(0), "train", "", 2))
    assert {name: values.shape for name, values in seen.items()} == {n: v.shape for n, v in batch.items()}
    mode = api.spec().ForwardPassMode.EVAL
    found, _ = view.model_fn(params, seen, None, mode, jax.random.key(0), False)
    np.testing.assert_allclose(found, formulas.outputs(model, params, seen), rtol=1e-5, atol=1e-5)
    loss = view.loss_fn(seen["targets"], found, seen["weights"])
    assert int(loss["n_valid_examples"]) == int(np.sum(batch["weights"]))


@pytest.mark.parametrize("name", ["wmt_attention_temp", "wmt_post_ln"])
def test_decoding_token_by_token_gives_the_logits_of_whole_rows(name):
    options, batch = small(name), padded()
    model, params = trained_looking(options)
    whole = formulas.outputs(model, params, batch)
    module = wmt.Transformer(options)

    @functools.partial(jax.jit, static_argnums=0)
    def call(method, *args):
        return module.apply({"params": params}, *args, method=method)

    memory, before = call(wmt.Transformer.memory, batch["inputs"]), _transformer.empty(options, 2, 9)
    last = np.zeros(2, np.int32)
    for position in range(9):
        found, before = call(wmt.Transformer.step, last, np.int32(position), before, memory, batch["inputs"])
        last = batch["targets"][:, position]
        real = last > 0
        np.testing.assert_allclose(found[real], whole[real, position], rtol=2e-5, atol=2e-5)


@pytest.mark.slow
@golden.needs_golden
def test_the_translation_of_the_golden_batch_is_algoperfs():
    wanted = np.load(golden.FOLDER / "models" / "wmt.npz")["metrics/beam_best_24"]
    options = dataclasses.replace(wmt.BASE.options, decoded=24)
    found = jax.jit(wmt.translator(options))(golden.params("wmt"), golden.batch("wmt", "eval")["inputs"][:2])
    np.testing.assert_array_equal(found, wanted)


@golden.needs_golden
@pytest.mark.slow
def test_loss_and_accuracy_are_algoperfs():
    wanted = golden.scalars("wmt")
    workload = workloads.load("algoperf/wmt")
    sums = jax.jit(workload.metrics)(golden.params("wmt"), (), golden.batch("wmt", "eval"), jax.random.key(0))
    assert float(sums["loss"]) == pytest.approx(wanted["metrics/loss"], rel=1e-6)
    assert (float(sums["accuracy"]), float(sums["examples"])) == (0.0, wanted["metrics/denominator"])


def test_evaluations_of_a_split_translate_all_of_it():
    workload = workloads.load("algoperf/wmt")
    options = small()
    model, params = trained_looking(options)
    batch = padded(rows=((5, 7), (6, 3), (4, 4)))
    provenance = workloads.Provenance("synthetic", "sentences of a test")
    source = workloads.ResidentData({"validation": batch, "train": batch}, provenance)
    workload = dataclasses.replace(
        workload, data=source, measure=wmt.BASE.measure(options, model, source), batch_size=2,
        eval_splits={"train": "train", "validation": "validation"},
    )  # fmt: skip
    found = evaluation.Evaluator(workload).metrics("validation", params, ())
    outputs = formulas.outputs(model, params, batch)
    losses, weights = wmt.BASE.losses(outputs, batch, None)
    assert found["loss"] == pytest.approx(float((losses * weights).sum() / weights.sum()), rel=1e-6)
    assert found["bleu"] >= 0


def test_a_small_scale_is_the_same_model_on_packed_rows():
    workload = workloads.load("algoperf/wmt_attention_temp@mini")
    batch = workloads.batch_shapes(workload)
    assert {"inputs_position", "targets_segmentation", "weights"} < batch.keys()
    params, _ = jax.eval_shape(workload.init, jax.random.key(0))
    full, _ = jax.eval_shape(workloads.load("algoperf/wmt").init, jax.random.key(0))
    assert golden.flat(params).keys() < golden.flat(full).keys()
    # Rows of evaluations hold one sentence, as AlgoPerf's.
    assert set(workload.data.arrays("validation")) == {"inputs", "targets", "weights"}
