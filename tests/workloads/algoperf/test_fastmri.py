"""Hold the U-Net and the structural similarity against AlgoPerf's and scikit-image's."""

import dataclasses

import jax
import numpy as np
import optax
import pytest
from skimage.metrics import structural_similarity

import workloads
from tests.workloads.algoperf import golden, parity
from workloads.algoperf import _ssim
from workloads.algoperf.fastmri import BASE
from workloads.evaluation import measure_of

NAMES = ("fastmri", *BASE.variants)


def narrow(**changes):
    return dataclasses.replace(BASE.options, **{"side": 12, "channels": 3, "levels": 2} | changes)


def drawn(model):
    draw = np.random.default_rng(1)

    def leaf(path, shape):
        scale = 0.3 if len(shape.shape) < 2 else np.prod(shape.shape[:-1]) ** -0.5
        return (scale * draw.normal(size=shape.shape) + (path[-1].key == "scale")).astype(np.float32)

    return jax.tree_util.tree_map_with_path(leaf, jax.eval_shape(model.init, jax.random.key(0))[0])


def batch_of(side, examples=3):
    draw = np.random.default_rng(0)
    batch = {
        name: draw.normal(size=(examples, side, side)).astype(np.float32) for name in ("inputs", "targets")
    }
    numbers = {"mean": (1, 2), "std": (0.3, 0.8), "volume_max": (3, 5)}
    return batch | {name: draw.uniform(*ends, examples).astype(np.float32) for name, ends in numbers.items()}


@golden.needs_counts
@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_algoperfs_path_for_path(name):
    parity.check_parameters(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_full_scale_builds(name):
    parity.check_abstract_step(workloads.load(f"algoperf/{name}"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_evaluation_at_full_scale_fits_into_8_gigabytes(name):
    workload = workloads.load(f"algoperf/{name}")
    batch = workload.data.shapes("train", workload.data.eval_batch_size)
    params, state = jax.eval_shape(workload.init, jax.random.key(0))
    measure = measure_of(workload, workload.metrics)
    compiled = jax.jit(measure.accumulate).lower(params, state, batch, jax.random.key(0)).compile()
    assert (
        compiled.memory_analysis().temp_size_in_bytes < 8e9
    )  # AlgoPerf's batch of 256 takes 28e9 of model_size


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_at_full_scale(name):
    parity.check_training_step(workloads.load(f"algoperf/{name}"), optax.adamw(1e-3), 2)


@pytest.mark.slow
@golden.needs_golden
def test_outputs_and_gradients_are_algoperfs():
    # One unit in the last place of every parameter changes logits by 1.5e-5 and gradients by 2e-3 of a leaf's largest.
    parity.check_against_golden(
        "fastmri", logits=6e-5, training_logits=6e-5, loss=2e-6, gradient_norm=2e-5, gradient=1e-2
    )


@golden.needs_golden
def test_outputs_and_measures_are_algoperfs():
    batch = {name: values[:2] for name, values in golden.batch("fastmri", "eval").items()}
    model = BASE.model(BASE.options)

    @jax.jit
    def run(params):
        outputs, _ = model.model_fn(params, (), batch, None, False, False, None, 0.0)
        return outputs, BASE.sums(outputs, batch)

    outputs, sums = run(golden.params("fastmri"))
    # The golden file has samples of three images, of which the last is padding.
    expected = np.load(golden.FOLDER / "models" / "fastmri.npz")["eval/logits@4096"]
    places = np.arange(4096) * 3 * 320 * 320 // 4096
    within = places < outputs.size
    np.testing.assert_allclose(
        np.asarray(outputs).reshape(-1)[places[within]], expected[within], rtol=0, atol=6e-5
    )
    scalars = golden.scalars("fastmri")
    # Variances are differences in float32: that alone moves the similarity by 1e-5 of float64's.
    assert float(sums["ssim"]) == pytest.approx(scalars["metrics/ssim"], rel=5e-5)
    assert float(sums["loss"]) == pytest.approx(scalars["metrics/loss"], rel=1e-6)
    assert sums["examples"] == 2


def in_float64(params, options, images):
    """The model written anew."""

    def padded(x):
        return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def conv(kernel, x):
        rows, columns, p = x.shape[1], x.shape[2], padded(x)
        return sum(p[:, i : i + rows, j : j + columns] @ kernel[i, j] for i in range(3) for j in range(3))

    def norm(x, block, number):
        axes = (1, 2, 3) if options.layer_norm and block else (1, 2)
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        if len(axes) == 2:
            return (x - mean) / np.sqrt(var + 1e-5)
        layer = block[f"LayerNorm_{number}"]
        return (x - mean) / np.sqrt(var + 1e-6) * layer["scale"] + layer["bias"]

    def act(x):
        return np.tanh(x) if options.tanh else np.where(x > 0, x, 0.2 * x)

    def block(number, x):
        layers = params[f"ConvBlock_{number}"]
        for i in range(2):
            x = act(norm(conv(layers[f"Conv_{i}"]["kernel"], x), layers, i))
        return x

    def enlarged(number, x):
        kernel = params[f"TransposeConvBlock_{number}"]["ConvTranspose_0"]["kernel"]
        y = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[-1]))
        for i in range(2):
            for j in range(2):
                y[:, i::2, j::2] = x @ kernel[1 - i, 1 - j]  # the kernel turned by half a circle
        return act(norm(y, None, 0))

    x, passed = images[..., None], []
    for level in range(options.levels):
        x = block(level, x)
        passed.append(x)
        rows, columns = x.shape[1] // 2, x.shape[2] // 2
        x = x[:, : 2 * rows, : 2 * columns].reshape(len(x), rows, 2, columns, 2, -1).mean((2, 4))
    x = block(options.levels, x)
    for level in range(options.levels):
        beside = passed.pop()
        x = enlarged(level, x)
        x = np.pad(
            x,
            ((0, 0), (0, beside.shape[1] - x.shape[1]), (0, beside.shape[2] - x.shape[2]), (0, 0)),
            mode="reflect",
        )
        x = block(options.levels + 1 + level, np.concatenate([x, beside], axis=-1))
    return (x @ params["Conv_0"]["kernel"][0, 0] + params["Conv_0"]["bias"])[..., 0]


@pytest.mark.parametrize(
    "changes",
    [{}, {"tanh": True}, {"layer_norm": True, "side": 10}, {"channels": 6, "levels": 1}],
    ids=["base", "tanh", "layernorm, odd halves", "model_size"],
)
def test_a_narrow_model_agrees_with_float64(changes):
    options = narrow(**changes)
    model, batch = BASE.model(options), batch_of(options.side)
    params = drawn(model)
    run = jax.jit(lambda params, rate: model.model_fn(params, (), batch, None, True, True, None, rate)[0])
    outputs = run(params, 0.0)
    expected = in_float64(jax.tree.map(np.float64, params), options, batch["inputs"].astype(np.float64))
    # Ten layers deep, each normalised to deviation 1.
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)
    # As in AlgoPerf, whose dropout never acts.
    np.testing.assert_array_equal(run(params, 0.5), outputs)


def test_slices_compute_the_same_model():
    batch = batch_of(12)
    model, by_slices = (BASE.model(narrow(levels=1, slices=slices)) for slices in (False, True))
    params = drawn(model)

    def outputs_and_gradients(model):
        def loss(params):
            outputs, _ = model.model_fn(params, (), batch, None, True, True, None, 0.0)
            return BASE.losses(outputs, batch, None)[0].mean(), outputs

        return jax.jit(jax.grad(loss, has_aux=True))(params)

    expected, found = outputs_and_gradients(model), outputs_and_gradients(by_slices)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    # Gradients pass seven normalisations, each with a division.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), found, expected)


def test_leaves_begin_with_flaxs_distributions():
    params = BASE.model(narrow(channels=24, levels=1)).init(jax.random.key(0))[0]
    kernels = {
        path: np.asarray(leaf) for path, leaf in golden.flat(params).items() if path.endswith("kernel")
    }
    assert len(kernels) == 8
    for path, kernel in kernels.items():
        deviation = np.prod(kernel.shape[:-1]) ** -0.5
        draws = kernel.size
        assert abs(kernel.mean()) < 5 * deviation / np.sqrt(draws), path
        assert abs(kernel.std() / deviation - 1) < 5 / np.sqrt(2 * draws), path
        # A normal that is cut at two deviations, and then widened to what it was.
        assert np.abs(kernel).max() <= 2 * deviation / 0.8796 * 1.001, path
    assert np.all(np.asarray(params["Conv_0"]["bias"]) == 0)
    assert set(golden.flat(params)) - set(kernels) == {"Conv_0/bias"}


def test_similarity_is_scikit_images():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(4, 24, 31)).astype(np.float32)
    y = x + np.array([0.1, 0.5, 1, 3], np.float32)[:, None, None] * draw.normal(size=x.shape).astype(
        np.float32
    )
    ranges = np.array([6, 5, 4, 1], np.float32)
    found = jax.jit(_ssim.similarity)(x, y, ranges)
    expected = [
        structural_similarity(
            a.astype(np.float64), b.astype(np.float64), data_range=r, win_size=7, K1=0.01, K2=0.03
        )
        for a, b, r in zip(x, y, ranges.tolist(), strict=True)
    ]
    # A variance is the difference of two numbers of order 1, and is compared with c2 = (0.03 range)^2.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found[0] > 0.9 > 0.3 > found[3]


def test_equal_images_have_similarity_1_and_padding_is_no_nan():
    x = np.random.default_rng(0).normal(size=(2, 9, 9)).astype(np.float32)
    numbers = np.array([1.0, 0.0], np.float32)
    np.testing.assert_allclose(jax.jit(_ssim.of_normalised)(x, x, numbers, numbers, numbers), 1, atol=1e-6)


def test_measures_compare_what_was_there_before_normalisation():
    batch = batch_of(9, 2)
    draw = np.random.default_rng(3)
    outputs = batch["targets"] + 0.2 * draw.normal(size=(2, 9, 9)).astype(np.float32)
    restored = [
        images * batch["std"][:, None, None] + batch["mean"][:, None, None]
        for images in (outputs, batch["targets"])
    ]
    expected = sum(
        structural_similarity(*pair, data_range=r)
        for *pair, r in zip(*restored, batch["volume_max"].tolist(), strict=True)
    )
    sums = jax.jit(BASE.sums)(outputs, batch)
    assert float(sums["ssim"]) == pytest.approx(expected, rel=1e-4)
    assert float(sums["loss"]) == pytest.approx(
        np.abs(outputs - batch["targets"]).mean((1, 2)).sum(), rel=1e-5
    )


def test_padding_rows_change_nothing():
    options = narrow(levels=1)
    model, batch = BASE.model(options), batch_of(12, 3)
    params = drawn(model)
    padded = {
        name: np.concatenate([values, np.zeros((1, *values.shape[1:]), np.float32)])
        for name, values in batch.items()
    } | {"weights": np.array([1, 1, 1, 0], np.float32)}

    @jax.jit
    def sums_and_gradients(params, batch):
        def loss(params):
            outputs, _ = model.model_fn(params, (), batch, None, True, True, None, 0.0)
            sums = BASE.sums(outputs, batch)
            return sums["loss"] / sums["examples"], sums

        return jax.grad(loss, has_aux=True)(params)

    plain, with_padding = sums_and_gradients(params, batch), sums_and_gradients(params, padded)
    assert plain[1]["examples"] == with_padding[1]["examples"] == 3
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), plain, with_padding)
