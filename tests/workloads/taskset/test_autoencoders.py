"""TaskSet's autoencoders, plain and variational, sampled and fixed, against independent calculations."""

from __future__ import annotations

import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from benchmarks._first_steps import first_steps
from tests.workloads.taskset import published
from tests.workloads.taskset.programs import quick
from workloads import Provenance, Regularization, ResidentData
from workloads.taskset import (
    _conv_autoencoders,
    _nets,
    _unsupervised,
    _variational,
    fixed,
    mlp_ae_family,
    mlp_vae_family,
)
from workloads.taskset.quirks import Quirks

FAMILIES = {"mlp_ae_family": mlp_ae_family, "mlp_vae_family": mlp_vae_family}
GROUPS = ("image_conv_ae", "image_conv_vae", "mlp_ae", "mlp_vae")
FIXED = [name for group in GROUPS for name in fixed.groups()[group]]
AS_NAMED = Quirks(misnamed_tasks="as_named")
PIXELS = {"mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1), "imagenet_resized/16x16": (16, 16, 3)}
COLOUR = (32, 32, 3)  # of all others

key = jax.random.key(0)


# Configs


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("family", FAMILIES)
def test_configs_equal_the_golden_ones(shared, family, seed):
    published.assert_same(FAMILIES[family].sample(seed), published.golden_config(shared, family, seed))


# The published file of mlp_vae_family has one character more: a last digit that is not libm's.
@pytest.mark.parametrize(("family", "length"), [("mlp_ae_family", 377_574), ("mlp_vae_family", 334_980)])
def test_a_thousand_configs_fill_a_file_of_the_published_length(family, length):
    assert published.characters(family, FAMILIES[family].sample) == length


# Parameters


def count(workload) -> int:
    params, _ = jax.eval_shape(workload.init, key)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def perceptron(*sizes: int) -> int:
    """Weights and biases of a perceptron."""
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def seen(dataset: list) -> int:
    """Pixels of an image of a sampled config, cropped where it says so."""
    height, width, channels = PIXELS.get(dataset[0], COLOUR)
    crop = dataset[2]["crop_amount"] if dataset[2] else 0
    return (height - crop) * (width - crop) * channels


@pytest.mark.parametrize("seed", range(8))
def test_sampled_autoencoders_have_the_parameters_of_their_config(seed):
    config = mlp_ae_family.sample(seed)
    pixels = seen(config["dataset"])
    assert count(mlp_ae_family.build(None, seed)) == perceptron(pixels, *config["hidden_units"], pixels)
    config = mlp_vae_family.sample(seed)
    pixels, latents = seen(config["dataset"]), config["enc_hidden_units"][-1]
    assert count(mlp_vae_family.build(None, seed)) == (
        perceptron(pixels, *config["enc_hidden_units"][:-1], 2 * latents)
        + perceptron(latents, *config["dec_hidden_units"], 2 * pixels)
    )


def units_of(name: str) -> list[int]:
    """The numbers of the layers in a fixed task's name, such as 32x64x8x64x32."""
    return [int(number) for number in re.findall(r"_(\d+(?:x\d+){2,})_", name)[-1].split("x")]


def fixed_count(name: str, image: tuple[int, int, int]) -> int:
    """Parameters of what a fixed task's name says."""
    units, pixels, variational = units_of(name), math.prod(image), "VAE" in name
    outputs = 2 if variational else 1
    if "FixedMLPAE" in name:
        return perceptron(pixels, *units, pixels)
    # The code is the narrowest layer, or the one in the middle.
    at = units.index(8) if 8 in units else len(units) // 2
    encoder, latents, decoder = units[:at], units[at], units[at + 1 :]
    if "Conv" not in name:
        return perceptron(pixels, *encoder, 2 * latents) + perceptron(latents, *decoder, 2 * pixels)
    convolutions = sum((9 * a + 1) * b for a, b in itertools.pairwise((image[2], *encoder)))
    transposed = sum((9 * a + 1) * b for a, b in itertools.pairwise((32, *decoder)))
    area = (image[0] // 2 ** len(encoder)) * (image[1] // 2 ** len(encoder))
    dense = perceptron(area * encoder[-1], outputs * latents) + perceptron(latents, area * 32)
    return convolutions + dense + transposed + (decoder[-1] + 1) * outputs * image[2]


def test_there_are_22_fixed_autoencoders():
    assert len(FIXED) == 22


@pytest.mark.parametrize("name", FIXED)
def test_fixed_autoencoders_have_the_parameters_of_their_name(name):
    image = PIXELS["mnist"] if "_mnist_" in name else COLOUR
    workload = fixed.build(name, quirks=AS_NAMED)
    assert workload.name == f"taskset/{name}"
    assert workload.batch_size == int(name.rsplit("_bs", 1)[1])
    assert count(workload) == fixed_count(name, image)


def test_misnamed_tasks_do_what_the_code_does_or_what_the_name_says():
    name = "FixedImageConvVAE_mnist_32x64x32x64x32_bs128"
    coded, named = (fixed.build(name, quirks=quirks) for quirks in (Quirks(), AS_NAMED))
    assert coded.data.splits["train"]["inputs"].shape[1:] == COLOUR
    assert named.data.splits["train"]["inputs"].shape[1:] == PIXELS["mnist"]

    name = "Imagenet32x30_FC_VAE_128x64x32x64x128_relu_bs256"
    coded, named = (fixed.build(name, quirks=quirks) for quirks in (Quirks(), AS_NAMED))
    assert coded.data.provenance.stands_in_for == "food101_32x32"
    assert named.data.provenance.stands_in_for == "imagenet_resized/32x32"

    name = "FixedImageConvAE_mnist_32x64x32x64x32_bs512"
    coded, named = (fixed.build(name, quirks=quirks) for quirks in (Quirks(), AS_NAMED))
    # The last transposed convolution has 64 units as coded and 32 as named, all with biases; the 1x1 one follows.
    assert count(coded) - count(named) == 32 * (9 * 64 + 1) + 32
    assert coded.shared.key != named.shared.key


# Losses: small nets, float64


SMALL = (2, 3, 2)  # an image of 12 pixels
BATCH = np.random.default_rng(0).random((4, *SMALL)).astype(np.float32)
NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, BATCH.shape).astype(np.float32)


def normal(shape, scale=1.0):
    """Not from JAX's generator, each call of which takes a second to compile."""
    return np.random.default_rng(2).normal(0.0, scale, shape).astype(np.float32)


def random_params(made):
    """Parameters of the shapes of a model's, biases included, with some variance."""
    shapes, _ = jax.eval_shape(made.init, key)
    return jax.tree.map(lambda leaf: jnp.asarray(normal(leaf.shape, 1.0 / math.sqrt(leaf.shape[0]))), shapes)


def forward(params, x, activation=np.tanh):
    """A perceptron in float64."""
    for i in range(len(params)):
        layer = {name: np.asarray(value, np.float64) for name, value in params[f"Dense_{i}"].items()}
        x = x @ layer["kernel"] + layer["bias"]
        x = activation(x) if i < len(params) - 1 else x
    return x


def loss_and_mean(made, params, batch):
    """The training loss, and the evaluation's sum over examples."""

    def both(params, batch):
        loss, _ = made.loss(params, (), batch, key, True, Regularization())
        return loss, made.metrics(params, (), batch, key)

    loss, sums = quick(both, params, batch)
    assert sums["examples"] == len(batch["inputs"])
    return float(loss), float(sums["loss"] / sums["examples"])


@pytest.mark.parametrize("output_type", ["tanh", "sigmoid", "linear", "linear_center"])
@pytest.mark.parametrize("loss_type", ["l1", "l2"])
@pytest.mark.parametrize("reduction_type", ["reduce_mean", "reduce_sum"])
def test_reconstruction_losses_equal_numpy(output_type, loss_type, reduction_type):
    model = mlp_ae_family.autoencoder(
        12, (5, 4), "tanh", _nets.SONNET, output_type, loss_type, reduction_type
    )
    made = model.bind({})
    params = random_params(made)
    x = BATCH.reshape(4, 12).astype(np.float64)
    x = 2 * x - 1 if output_type in ("tanh", "linear_center") else x
    output = {"tanh": np.tanh, "sigmoid": lambda y: 1 / (1 + np.exp(-y))}.get(output_type, lambda y: y)
    error = output(forward(params, x)) - x
    error = error**2 if loss_type == "l2" else np.abs(error)
    expected = error.mean() if reduction_type == "reduce_mean" else error.sum() / 4
    # Sums of 48 terms of order 1 in float32: 48 eps = 6e-6 relative.
    assert loss_and_mean(made, params, {"inputs": jnp.asarray(BATCH)}) == pytest.approx(
        (expected,) * 2, rel=1e-5
    )


def test_bytes_and_floats_of_the_same_image_have_the_same_loss():
    made = mlp_ae_family.autoencoder(12, (5,), "relu", _nets.SONNET, "sigmoid", "l2", "reduce_mean").bind({})
    params = random_params(made)
    raw = np.rint(255 * BATCH).astype(np.uint8)
    floats = loss_and_mean(made, params, {"inputs": jnp.asarray(raw, jnp.float32) / 255})
    assert loss_and_mean(made, params, {"inputs": jnp.asarray(raw)}) == pytest.approx(floats, rel=1e-6)


@pytest.mark.parametrize(("mean", "log_deviation"), [(0.0, 0.0), (0.7, -1.2), (-2.0, 0.6)])
def test_divergence_is_the_integral_that_defines_it(mean, log_deviation):
    q, p = stats.norm(mean, math.exp(log_deviation)), stats.norm()
    # Six deviations leave 2e-9 of the mass.
    low, high = mean - 8 * math.exp(log_deviation), mean + 8 * math.exp(log_deviation)
    expected, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), low, high)
    got = _variational.divergence(jnp.float32(mean), jnp.float32(log_deviation))
    assert float(got) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_likelihood_is_a_normal_density_of_the_jittered_pixel_times_the_width_of_a_bin():
    x, noise = BATCH.reshape(-1), NOISE.reshape(-1)
    mean, log_deviation = normal(x.shape), normal(x.shape, 0.5)
    expected = stats.norm.logpdf(x + noise / 255.0, mean, np.exp(log_deviation)) + math.log(1 / 255)
    np.testing.assert_allclose(
        _variational.log_likelihood(x, noise, mean, log_deviation), expected, rtol=2e-5
    )


@pytest.mark.parametrize("centred", [False, True])
def test_variational_losses_equal_numpy(centred):
    def prepare(images):
        flat = _unsupervised.flat(images)
        return _unsupervised.centred(flat) if centred else flat

    model = mlp_vae_family.autoencoder(12, (6,), 3, (5,), "tanh", _nets.SONNET, prepare)
    made = model.bind({})
    params = random_params(made)
    x = BATCH.reshape(4, 12).astype(np.float64)
    x = 2 * x - 1 if centred else x
    mean, log_deviation = np.split(forward(params["encoder"], x), 2, axis=-1)
    z = mean + np.exp(log_deviation) * np.asarray(jax.random.normal(key, (4, 3)), np.float64)
    out_mean, out_deviation = np.split(np.clip(forward(params["decoder"], z), -10, 10), 2, axis=-1)
    likelihood = stats.norm.logpdf(x + NOISE.reshape(4, 12) / 255, out_mean, np.exp(out_deviation)) - np.log(
        255
    )
    divergence = (0.5 * (mean**2 + np.exp(2 * log_deviation) - 1) - log_deviation).sum(-1)
    expected = -(likelihood.sum(-1) - divergence).mean()
    batch = {"inputs": jnp.asarray(BATCH), "noise": jnp.asarray(NOISE)}
    assert loss_and_mean(made, params, batch) == pytest.approx((expected,) * 2, rel=2e-5)


def test_the_decoder_is_clipped_at_10():
    made = mlp_vae_family.autoencoder(12, (), 3, (), "relu", _nets.SONNET, _unsupervised.flat).bind({})
    zeros = jax.tree.map(jnp.zeros_like, random_params(made))
    zeros["decoder"]["Dense_0"]["bias"] = jnp.full(24, 1000.0)
    loss, _ = loss_and_mean(made, zeros, {"inputs": jnp.zeros((4, *SMALL)), "noise": jnp.zeros((4, *SMALL))})
    # Mean and ln deviation are 10: 12 pixels of (10 e^-10)^2 / 2 + 10 + ln(2 pi) / 2 + ln 255.
    expected = 12 * (0.5 * (10 * math.exp(-10)) ** 2 + 10 + 0.5 * math.log(2 * math.pi) + math.log(255))
    assert loss == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "centred"),
    [
        ("FixedMLPVAE_mnist_128x8x128x128_bs128", True),
        ("FixedImageConvVAE_mnist_32x32x32x32x32_bs128", True),
        ("mlp_vae_family_seed5", False),
    ],
)
def test_the_loss_of_zero_parameters_is_that_of_a_standard_normal(name, centred):
    workload = mlp_vae_family.build(None, 5) if "family" in name else fixed.build(name)
    shapes, _ = jax.eval_shape(workload.init, key)
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    raw = workload.data.splits["test"]["inputs"][:3]
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, raw.shape)
    x = raw / 255.0
    x = 2 * x - 1 if centred else x
    # Encoder and decoder give N(0, 1): no divergence, and no dependence on the sample.
    expected = -stats.norm.logpdf(x + noise / 255).sum() / 3 + math.log(255) * x[0].size
    batch = {"inputs": jnp.asarray(raw), "noise": jnp.asarray(noise, jnp.float32)}
    loss, _ = loss_and_mean(workload, params, batch)
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "name", ["FixedMLPAE_mnist_32x32x32_bs128", "FixedImageConvAE_mnist_32x64x8x64x32_bs128"]
)
def test_zero_parameters_reconstruct_grey(name):
    workload = fixed.build(name)
    shapes, _ = jax.eval_shape(workload.init, key)
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    raw = workload.data.splits["test"]["inputs"][:3]
    loss, _ = loss_and_mean(workload, params, {"inputs": jnp.asarray(raw)})
    assert loss == pytest.approx(((raw / 255.0 - 0.5) ** 2).mean(), rel=1e-5)


def test_pixels_are_jittered_by_up_to_half_a_bin_behind_other_transforms():
    images = np.zeros((40, 10, 10, 3), np.uint8)
    data = ResidentData(
        {"train": {"inputs": images}},
        Provenance("synthetic", "zeros"),
        lambda key, batch, split: {"inputs": batch["inputs"][:, 1:]},
    )
    noisy = _unsupervised.then(data, _variational.add_noise)
    got = quick(lambda batch: noisy.transform(key, batch, "train"), {"inputs": images})
    noise = np.asarray(got["noise"])
    assert noise.shape == got["inputs"].shape == (40, 9, 10, 3)
    assert np.abs(noise).max() <= 0.5
    # Moments of U(-1/2, 1/2) within 5 standard errors: deviation sqrt(1/12), that of its square sqrt(1/180).
    assert abs(noise.mean()) < 5 * math.sqrt(1 / 12 / noise.size)
    assert abs((noise**2).mean() - 1 / 12) < 5 * math.sqrt(1 / 180 / noise.size)


def test_variational_tasks_jitter_every_pixel_anew():
    workload = fixed.build("FixedMLPVAE_mnist_128x8x128x128_bs128")
    batch = {field: values[:2] for field, values in workload.data.splits["train"].items()}
    one, other = quick(
        lambda keys: [workload.data.transform(k, batch, "train")["noise"] for k in keys],
        jax.random.split(key),
    )
    assert len(np.unique(np.stack([one, other]))) > 0.99 * 2 * 2 * 784


# Convolutions


@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [((7, 7, 3), 3, 2), ((4, 5, 2), 3, 2), ((3, 4, 2), 5, 2), ((4, 3, 1), 3, 1)],
)
def test_transposed_convolution_equals_lax_and_is_a_transpose(shape, window, stride):
    kernel = normal((window, window, shape[2], 4))
    x, y = normal((2, *shape)), normal((2, stride * shape[0], stride * shape[1], 4))
    swapped = np.swapaxes(kernel, 2, 3)
    settings = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "precision": "highest"}

    def both(x, y):
        ours = _conv_autoencoders.conv_transpose({"kernel": kernel, "bias": jnp.arange(4.0)}, x, stride)
        # TensorFlow's: the kernel mirrored, as the gradient of a convolution has it.
        lax = jax.lax.conv_transpose(x, swapped, (stride, stride), "SAME", transpose_kernel=True, **settings)
        return ours, lax, jax.lax.conv_general_dilated(y, swapped, (stride, stride), "SAME", **settings)

    got, expected, convolved = map(np.asarray, quick(both, x, y))
    # At most 75 products per output of order 1.
    np.testing.assert_allclose(got, expected + np.arange(4.0), atol=1e-4)
    # <conv(y), x> = <y, conv_transpose(x)>, sums of at most 480 terms of order 10.
    assert np.vdot(convolved, x) == pytest.approx(np.vdot(y, got - np.arange(4.0)), rel=1e-4, abs=1e-2)


def test_a_convolutional_autoencoder_equals_one_of_lax_convolutions():
    workload = fixed.build("FixedImageConvAE_mnist_32x64x8x64x32_bs128")
    params = random_params(workload)
    x = jnp.asarray(workload.data.splits["test"]["inputs"][:2], jnp.float32) / 255
    numbers = ("NHWC", "HWIO", "NHWC")

    def expected(encoder, decoder):
        y = x
        for i in range(2):
            layer = encoder[f"Conv_{i}"]
            y = jax.lax.conv_general_dilated(y, layer["kernel"], (2, 2), "SAME", dimension_numbers=numbers)
            y = jax.nn.relu(y + layer["bias"])
        for layer in (encoder["Dense_0"], decoder["Dense_0"]):
            y = y.reshape(2, -1) @ layer["kernel"] + layer["bias"]
        y = y.reshape(2, 7, 7, 32)
        for i in range(2):
            layer = decoder[f"ConvTranspose_{i}"]
            y = jax.lax.conv_transpose(
                y, jnp.swapaxes(layer["kernel"], 2, 3), (2, 2), "SAME", transpose_kernel=True
            )
            y = jax.nn.relu(y + layer["bias"])
        y = y @ decoder["Conv_0"]["kernel"][0, 0] + decoder["Conv_0"]["bias"]
        return jnp.mean((jax.nn.sigmoid(y) - x) ** 2)

    loss, _ = loss_and_mean(workload, params, {"inputs": x})
    assert loss == pytest.approx(float(quick(expected, params["encoder"], params["decoder"])), rel=1e-4)


def test_maps_that_doubling_cannot_reach_are_refused():
    with pytest.raises(ValueError, match="4, which does not divide images of 30x32"):
        _conv_autoencoders.decoder_layers(8, (30, 32, 3), (16, 16), _nets.SONNET)


# Whole tasks


def test_tasks_that_differ_in_their_data_only_share_a_program():
    names = (
        "FixedMLPVAE_food10132x32_128x64x32x64x128_bs64",
        "Imagenet32x30_FC_VAE_128x64x32x64x128_relu_bs256",
    )
    one, other = (fixed.build(name).shared for name in names)
    assert one.key == other.key
    assert one.key != fixed.build("FixedMLPVAE_mnist_128x64x32x64x128_bs64").shared.key
    config = mlp_ae_family.sample(0)
    other_config = config | {"dataset": ["fashion_mnist", *config["dataset"][1:]]}
    keys = {mlp_ae_family.from_config("a/b", c).shared.key for c in (config, other_config)}
    assert len(keys) == 1
    assert mlp_ae_family.from_config("a/b", config | {"loss_type": "l1"}).shared.key not in keys


def test_the_first_steps_lower_the_loss():
    tried = first_steps(fixed.build("FixedMLPVAE_mnist_128x64x32x64x128_bs64"), steps=20)
    assert tried.learning_rate is not None
    assert tried.losses[-1] < tried.losses[0]
