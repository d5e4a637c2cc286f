"""TaskSet's normalising flows, sampled and fixed, against independent calculations."""

from __future__ import annotations

import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks._first_steps import first_steps
from tests.workloads.taskset import published
from tests.workloads.taskset.programs import quick
from workloads import Regularization
from workloads.taskset import _flows, _masks, _nets, fixed, maf_family, nvp_family
from workloads.taskset.quirks import Quirks

FAMILIES = {"maf_family": maf_family, "nvp_family": nvp_family}
FIXED = [name for group in ("maf", "nvp") for name in fixed.groups()[group]]
AS_NAMED = Quirks(misnamed_tasks="as_named")
MADE = Quirks(maf_masks="made")
ALWAYS = Quirks(maf_kernel_constraint="always")
WIDE, NARROW = (13, 7), (3, 4)  # hidden units for 6 pixels: more, and fewer

key = jax.random.key(0)


# Configs and parameters


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("family", FAMILIES)
def test_configs_equal_the_golden_ones(shared, family, seed):
    published.assert_same(FAMILIES[family].sample(seed), published.golden_config(shared, family, seed))


# The published files have 300,804 and 302,613 characters: last digits of two floats are not libm's.
@pytest.mark.parametrize(("family", "length"), [("maf_family", 300_803), ("nvp_family", 302_614)])
def test_a_thousand_configs_fill_a_file_of_the_published_length(family, length):
    assert published.characters(family, FAMILIES[family].sample) == length


def count(workload) -> int:
    params, _ = jax.eval_shape(workload.init, key)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def flow_parameters(kind: str, pixels: int, hidden: list[int], bijectors: int) -> int:
    """Weights and biases of the perceptrons of all bijectors."""
    kept = pixels // 2
    ends = (pixels, 2 * pixels) if kind == "maf" else (kept, 2 * (pixels - kept))
    sizes = (ends[0], *hidden, ends[1])
    return bijectors * sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", FAMILIES)
def test_sampled_flows_have_the_parameters_of_their_config(family, seed):
    config = FAMILIES[family].sample(seed)
    name, _, augmentation = config["dataset"]
    height, width, channels = {
        "mnist": (28, 28, 1),
        "fashion_mnist": (28, 28, 1),
        "imagenet_resized/16x16": (16, 16, 3),
    }.get(name, (32, 32, 3))
    crop = augmentation["crop_amount"] if augmentation else 0
    pixels = (height - crop) * (width - crop) * channels
    expected = flow_parameters(family[:3], pixels, config["hidden_units"], config["num_bijectors"])
    assert count(FAMILIES[family].build(None, seed)) == expected


def test_there_are_8_fixed_flows():
    assert len(FIXED) == 8


@pytest.mark.parametrize("name", FIXED)
def test_fixed_flows_have_the_parameters_of_their_name(name):
    group, dataset, layers, *thin, batch_size = name.removeprefix("Fixed").split("_")
    width = 128 if thin else 1024 if dataset == "cifar10" else 2048
    pixels = 32 * 32 * 3 if dataset == "cifar10" else 28 * 28
    workload = fixed.build(name, quirks=AS_NAMED)
    assert workload.name == f"taskset/{name}"
    assert workload.batch_size == int(batch_size.removeprefix("bs"))
    assert count(workload) == flow_parameters(group.lower(), pixels, [width, width], int(layers[0]))


def test_the_thin_flow_of_9_layers_has_the_batch_of_its_code_or_of_its_name():
    name = "FixedNVP_mnist_9layer_thin_bs16"
    assert fixed.build(name).batch_size == 64
    assert fixed.build(name, quirks=AS_NAMED).batch_size == 16


# Masks


def blocks(pixels: int, inputs: int, outputs: int, strict: bool) -> np.ndarray:
    """TensorFlow Probability's mask: the inputs of block k reach the outputs from block k (or k + 1, if strict) on."""
    mask = np.zeros((inputs, outputs))
    width, height = inputs // pixels, outputs // pixels
    for k in range(pixels):
        mask[k * width : (k + 1) * width, (k + strict) * height :] = 1
    return mask


@pytest.mark.parametrize("hidden", [(), (5,), (11,), (3,), (12, 17), (13, 3), (3, 12)])
def test_block_masks_are_those_of_slices(hidden):
    sizes = (5, *hidden, 10)
    expected = [blocks(5, *pair, i == 0) for i, pair in enumerate(itertools.pairwise(sizes))]
    for rank, mask in zip(_masks.block_ranks(5, hidden), expected, strict=True):
        np.testing.assert_array_equal(rank.mask(), mask)


def test_block_masks_degenerate_below_the_number_of_pixels():
    first, *later = (np.asarray(rank.mask()) for rank in _masks.block_ranks(784, (128, 128)))
    assert first.all()
    assert len(later) == 2
    assert not any(mask.any() for mask in later)


def dependencies(ranks) -> np.ndarray:
    """Number of paths from every input to every output through the masks."""
    paths = np.eye(len(ranks[0].sources))
    for rank in ranks:
        paths = paths @ np.asarray(rank.mask(), np.float64)
    return paths


@pytest.mark.parametrize(("ranks", "hidden"), [(_masks.block_ranks, WIDE), (_masks.made_ranks, NARROW)])
def test_masks_let_an_output_depend_on_earlier_pixels_only(ranks, hidden):
    paths = dependencies(ranks(6, hidden))
    outputs = np.repeat(np.arange(6), 2)  # shift and log_scale of a pixel stand side by side
    assert not paths[np.arange(6)[:, None] >= outputs].any()
    assert paths[0, outputs > 0].all()  # everything after the first pixel depends on it


def test_made_masks_use_all_earlier_pixels_where_there_are_units_enough():
    paths = dependencies(_masks.made_ranks(6, (10, 10)))
    np.testing.assert_array_equal(paths > 0, np.arange(6)[:, None] < np.repeat(np.arange(6), 2))


# Bijectors


def normal(shape, scale=1.0):
    """Not from JAX's generator, each call of which takes a second to compile."""
    return np.random.default_rng(1).normal(0.0, scale, shape).astype(np.float32)


def random_params(init):
    """Parameters of these shapes, biases included, large enough to matter."""
    return jax.tree.map(lambda leaf: jnp.asarray(normal(leaf.shape, 0.4)), jax.eval_shape(init, key)[0])


def models():
    """Small flows of 7 pixels with three bijectors, and masks where they have them."""
    nvp = nvp_family.flow(7, (5,), 3, "tanh", _nets.SONNET)
    maf = maf_family.flow("some/name", 7, (15, 8), 3, "tanh", _nets.SONNET, Quirks())
    return {"nvp": nvp, "maf": maf}


def forward(params, x):
    """A perceptron with tanh in float64."""
    for i in range(len(params)):
        layer = {name: np.asarray(value, np.float64) for name, value in params[f"Dense_{i}"].items()}
        x = x @ layer["kernel"] + layer["bias"]
        x = np.tanh(x) if i < len(params) - 1 else x
    return x


def nvp_forward(params, x):
    """y and ln |det dy/dx|: the first 3 of 7 pass, the others are scaled and shifted."""
    shift, log_scale = np.split(forward(params, x[:, :3]), 2, axis=-1)
    return np.concatenate([x[:, :3], x[:, 3:] * np.exp(log_scale) + shift], axis=-1), log_scale.sum(-1)


def maf_forward(params, x):
    """One pixel after another, each from those before it."""
    y, total = np.zeros_like(x), np.zeros(len(x))
    for d in range(x.shape[1]):
        outputs = forward(params, y)
        log_scale = np.clip(outputs[:, 2 * d + 1], -5, 3)
        y[:, d] = x[:, d] * np.exp(log_scale) + outputs[:, 2 * d]
        total += log_scale
    return y, total


@pytest.mark.parametrize("kind", ["nvp", "maf"])
def test_densities_are_those_of_samples_pushed_forward(kind):
    model = models()[kind]
    made = model.bind(model.constants)
    params = random_params(made.init)
    if kind == "maf":
        params = model.constraint(params)
        orders = [model.constants[f"order_{i}"] for i in range(2)]
    else:
        orders = [np.random.RandomState(i).permutation(7) for i in range(2)]
    u = np.random.default_rng(4).normal(size=(5, 7))
    y, log_density = u, -0.5 * (u**2).sum(-1) - 3.5 * math.log(2 * math.pi)
    for i in range(3):
        y, log_determinant = {"nvp": nvp_forward, "maf": maf_forward}[kind](params[f"bijector_{i}"], y)
        log_density = log_density - log_determinant
        y = y[:, orders[i]] if i < 2 else y

    def both(params, batch):
        loss, _ = made.loss(params, (), batch, key, True, Regularization())
        return loss, made.metrics(params, (), batch, key)

    loss, sums = quick(both, params, {"inputs": y.astype(np.float32)})
    assert sums["examples"] == 5
    # float32 on both ways through exp: far below a per mille.
    assert float(sums["loss"]) == pytest.approx(-log_density.sum(), rel=1e-4)
    assert float(loss) == pytest.approx(-log_density.mean(), rel=1e-4)


@pytest.mark.parametrize("kind", ["nvp", "maf"])
def test_log_determinants_are_those_of_the_jacobian(kind):
    def net(params, x):
        return jnp.tanh(x @ params["kernel"]) @ params["out"] + 0.1

    if kind == "nvp":
        inverse = _flows.coupling(net, 3)
        params = {"kernel": normal((3, 5)), "out": normal((5, 6), 0.5)}
    else:
        inverse = _flows.autoregressive(net)
        first, second = (np.asarray(rank.mask()) for rank in _masks.made_ranks(6, (9,)))
        params = {"kernel": normal((6, 9)) * first, "out": normal((9, 12), 0.5) * second}

    def with_jacobian(params, y):
        return inverse(params, y)[1][0], jax.jacfwd(lambda y: inverse(params, y[None])[0][0])(y[0])

    log_determinant, jacobian = quick(with_jacobian, params, normal((1, 6)))
    _, expected = np.linalg.slogdet(np.asarray(jacobian, np.float64))
    assert float(log_determinant) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    if kind == "maf":
        np.testing.assert_array_equal(jacobian, np.tril(jacobian))  # autoregressive
        assert np.abs(np.tril(jacobian, -1)).max() > 1e-3


@pytest.mark.parametrize("kind", ["nvp", "maf"])
def test_densities_integrate_to_one(kind):
    if kind == "nvp":
        model = nvp_family.flow(2, (4,), 3, "tanh", _nets.SONNET)
    else:
        model = maf_family.flow("some/name", 2, (4,), 3, "tanh", _nets.SONNET, MADE)
    made = model.bind(model.constants)
    params = random_params(made.init)
    params = model.constraint(params) if model.constraint else params
    side = np.linspace(-14.0, 14.0, 561)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2).astype(np.float32)

    def density(y):
        return jnp.exp(-made.metrics(params, (), {"inputs": y[None]}, key)["loss"])

    total = float(quick(lambda grid: jnp.sum(jax.vmap(density)(grid)), grid)) * 0.05**2
    # The sum of a smooth density over a grid far finer than its width converges faster than any power of the grid.
    assert total == pytest.approx(1.0, abs=2e-3)


def test_log_scales_are_clipped_and_their_gradients_are_not():
    inverse = _flows.autoregressive(lambda params, y: jnp.broadcast_to(params, (*y.shape, 2)))

    def log_determinant(log_scale):
        outputs = jnp.stack([jnp.zeros(4), jnp.full(4, log_scale)], axis=-1)
        return inverse(outputs, jnp.ones((1, 4)))[1][0]

    for log_scale, clipped in [(-7.0, -5.0), (-1.0, -1.0), (6.0, 3.0)]:
        value, gradient = jax.value_and_grad(log_determinant)(log_scale)
        assert float(value) == pytest.approx(-4 * clipped)
        assert float(gradient) == pytest.approx(-4.0)


def test_reordering_has_the_gradient_of_indexing():
    order = np.random.RandomState(0).permutation(9)
    x, weights = jnp.asarray(normal((2, 9))), normal((2, 9), 2.0)
    ours, gradient = jax.value_and_grad(
        lambda x: jnp.vdot(weights, _flows.reorder(x, order, np.argsort(order)) ** 2)
    )(x)
    expected, expected_gradient = jax.value_and_grad(lambda x: jnp.vdot(weights, x[:, order] ** 2))(x)
    assert ours == expected
    np.testing.assert_array_equal(gradient, expected_gradient)


# Whole tasks


def loss_of(functions, params, images):
    def total(params, images):
        return functions.metrics(params, (), {"inputs": images}, key)["loss"]

    return float(quick(total, params, images)) / len(images)


def test_a_degenerate_masked_flow_starts_as_a_standard_normal():
    workload = fixed.build("FixedMAF_mnist_3layer_thin_bs64")
    params, _ = quick(workload.init, key)
    assert np.asarray(params["bijector_2"]["Dense_0"]["kernel"]).all()
    assert not np.asarray(params["bijector_2"]["Dense_1"]["kernel"]).any()
    images = workload.data.splits["test"]["inputs"][:4]
    expected = 0.5 * ((images / 255.0) ** 2).sum() / 4 + 392 * math.log(2 * math.pi)
    assert loss_of(workload, params, jnp.asarray(images)) == pytest.approx(expected, rel=1e-5)


def small_maf(quirks, name="taskset/maf_family_seed0"):
    """On images of 16x16 with 20 hidden units: degenerate unless the masks are made."""
    config = maf_family.sample(0) | {
        "dataset": ["imagenet_resized/16x16", {"bs": 8, "just_train": False, "num_train": None}, None],
        "hidden_units": [20],
    }
    return maf_family.from_config(name, config, quirks=quirks)


def test_masked_kernels_start_at_zero_and_the_constraint_keeps_them_there():
    workload = small_maf(MADE)
    params, _ = quick(workload.init, key)
    kernel = np.asarray(params["bijector_1"]["Dense_1"]["kernel"])
    masked = ~np.asarray(_masks.made_ranks(768, (20,))[1].mask())
    assert 0.1 < masked.mean() < 0.9
    np.testing.assert_array_equal(kernel == 0, masked)
    moved = workload.constraint(jax.tree.map(lambda leaf: leaf + 1.0, params))
    np.testing.assert_array_equal(
        moved["bijector_1"]["Dense_1"]["kernel"], np.where(masked, 0.0, kernel + 1.0)
    )
    np.testing.assert_array_equal(moved["bijector_1"]["Dense_1"]["bias"], np.ones(2 * 768))


@pytest.mark.parametrize(("quirks", "leaks"), [(Quirks(), True), (ALWAYS, False)])
def test_masked_weights_matter_only_where_the_optimizer_must_keep_the_constraint(quirks, leaks):
    workload = small_maf(quirks)
    assert (workload.constraint is not None) == leaks
    params, _ = quick(workload.init, key)
    images = jnp.asarray(workload.data.splits["test"]["inputs"][:2])
    before = loss_of(workload, params, images)
    # Behind the first layer every weight is masked.
    params["bijector_0"]["Dense_1"]["kernel"] += 0.01
    assert (loss_of(workload, params, images) != before) == leaks


def test_released_and_made_masks_are_different_programs():
    keys = {small_maf(quirks).shared.key for quirks in (Quirks(), MADE, ALWAYS)}
    assert len(keys) == 3


def test_permutations_follow_from_the_name_and_are_not_part_of_the_program():
    one, again = small_maf(Quirks()), small_maf(Quirks())
    other = small_maf(Quirks(), "taskset/another")
    order = one.shared.constants["order_0"]
    assert sorted(order) == list(range(768))
    np.testing.assert_array_equal(order, again.shared.constants["order_0"])
    assert (order != other.shared.constants["order_0"]).mean() > 0.9
    assert one.shared.key == other.shared.key
    assert json.loads(one.shared.key)["family"] == "maf_family"
    params = random_params(one.init)
    images = jnp.asarray(one.data.splits["test"]["inputs"][:2])
    bound = loss_of(one.shared.bind(other.shared.constants), params, images)
    assert bound == loss_of(other, params, images) != loss_of(one, params, images)


def test_images_get_noise_of_a_hundredth():
    workload = fixed.build("FixedNVP_mnist_3layer_thin_bs64")
    batch = {field: values[:50] for field, values in workload.data.splits["train"].items()}
    got = quick(lambda key: workload.data.transform(key, batch, "train"), key)
    noise = np.asarray(got["inputs"]) - batch["inputs"] / 255.0
    # A deviation from n draws has the relative standard error sqrt(1 / 2n).
    assert noise.std() == pytest.approx(0.01, rel=5 * math.sqrt(1 / (2 * noise.size)))
    assert abs(noise.mean()) < 5 * 0.01 / math.sqrt(noise.size)


def test_the_first_steps_lower_the_loss():
    tried = first_steps(small_maf(Quirks()), steps=10)
    assert tried.learning_rate is not None
    assert tried.losses[-1] < tried.losses[0]
