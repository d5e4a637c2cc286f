"""TaskSet's mlp_family: configs exactly, initialisers by distribution, quirks in both positions."""

from __future__ import annotations

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from workloads import Regularization
from workloads._initializers import kernels
from workloads.taskset import _augment, _draws, _images, _nets, mlp_family
from workloads.taskset._quirks import RELEASED, Quirks


def _same(got, expected, where=""):
    """Exact but for floats, which agree to a relative 1e-12; keys in the same order."""
    assert type(got) is type(expected), where
    if isinstance(expected, dict):
        assert list(got) == list(expected), where
        for key in expected:
            _same(got[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(got) == len(expected), where
        for i, (a, b) in enumerate(zip(got, expected, strict=True)):
            _same(a, b, f"{where}[{i}]")
    elif isinstance(expected, float):
        assert math.isclose(got, expected, rel_tol=1e-12), where
    else:
        assert got == expected, where


@pytest.mark.parametrize("seed", range(20))
def test_configs_equal_the_golden_ones(shared, seed):
    golden = json.loads((shared / "facts" / "taskset_golden.json").read_text())
    name = f"mlp_family_seed{seed}"
    _same(mlp_family.sample(seed), golden["mlp_family"][name], name)


def test_a_thousand_configs_fill_a_file_of_the_published_length():
    # Published form: one line per config, sorted by name as a string; 310,627 characters for seeds 0..999.
    lines = {
        f"mlp_family_seed{seed}": json.dumps([mlp_family.sample(seed), "mlp_family"]) for seed in range(1000)
    }
    text = "{\n" + ",\n".join(f'"{name}":{lines[name]}' for name in sorted(lines)) + "\n}"
    assert len(text) == 310_627


FAN_IN, FAN_OUT, SCALE = 100, 300, 0.4
MEAN_FAN = (FAN_IN + FAN_OUT) / 2


def _draw(initializers):
    """A kernel [FAN_IN, FAN_OUT] of each."""
    keys = jax.random.split(jax.random.key(0), len(initializers))
    return map(np.asarray, kernels(keys, [((FAN_IN, FAN_OUT), initializer) for initializer in initializers]))


@pytest.fixture(scope="module")
def weights():
    """name -> kernel, for every initialiser at SCALE."""
    names = list(_draws.INITIALIZERS)
    return dict(zip(names, _draw([_nets.initializer(name, SCALE) for name in names]), strict=True))


def test_names_of_draws_are_the_names_of_functions(weights):
    assert set(_draws.ACTIVATIONS) == set(_nets.ACTIVATIONS)
    assert set(_draws.INITIALIZERS) == set(weights)
    assert set(_draws.IMAGE_DATASETS) == set(_images.IMAGE_SETS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cos", [math.cos(-1.5), 1.0, math.cos(2.0)]),
        ("elu", [math.expm1(-1.5), 0.0, 2.0]),
        ("leaky_relu1", [-0.15, 0.0, 2.0]),
        ("leaky_relu2", [-0.3, 0.0, 2.0]),
        ("leaky_relu4", [-0.6, 0.0, 2.0]),
        ("relu", [0.0, 0.0, 2.0]),
        ("sigmoid", [1 / (1 + math.exp(1.5)), 0.5, 1 / (1 + math.exp(-2.0))]),
        ("swish", [-1.5 / (1 + math.exp(1.5)), 0.0, 2.0 / (1 + math.exp(-2.0))]),
        ("tanh", [math.tanh(-1.5), 0.0, math.tanh(2.0)]),
    ],
)
def test_activations_have_their_values(name, expected):
    np.testing.assert_allclose(_nets.ACTIVATIONS[name](jnp.array([-1.5, 0.0, 2.0])), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "deviation", "bound"),  # bound: the largest possible size, inf for an untruncated normal
    [
        # Normals are cut at 2 deviations of the uncut normal, which is wider by 1 / .8796.
        ("glorot_normal", math.sqrt(1 / MEAN_FAN), 2 / 0.87962566 * math.sqrt(1 / MEAN_FAN)),
        ("glorot_uniform", math.sqrt(1 / MEAN_FAN), math.sqrt(3 / MEAN_FAN)),
        ("he_normal", math.sqrt(2 / FAN_IN), 2 / 0.87962566 * math.sqrt(2 / FAN_IN)),
        ("he_uniform", math.sqrt(2 / FAN_IN), math.sqrt(6 / FAN_IN)),
        ("random_normal", SCALE, math.inf),
        ("random_uniform", SCALE / math.sqrt(3), SCALE),
        ("truncated_normal", SCALE, math.inf),
        ("variance_scaling", math.sqrt(SCALE / FAN_IN), 2 / 0.87962566 * math.sqrt(SCALE / FAN_IN)),
    ],
)
def test_initialisers_have_their_deviation_and_range(weights, name, deviation, bound):
    drawn = weights[name]
    # Relative standard error of a deviation from 30,000 draws is at most sqrt(1 / 6e4) = .004; 5 of them.
    assert abs(drawn.std() / deviation - 1) < 0.02
    assert abs(drawn.mean()) < 5 * deviation / math.sqrt(drawn.size)
    largest = np.abs(drawn).max()
    if bound is math.inf:
        assert largest > 3.5 * deviation  # 14 of 30,000 are expected there
    else:
        assert 0.99 * bound < largest <= bound * (1 + 1e-6)


def test_orthogonal_has_its_gain(weights):
    rows = weights["orthogonal"]
    np.testing.assert_allclose(rows @ rows.T, SCALE**2 * np.eye(FAN_IN), atol=1e-5)


def test_truncated_normal_is_cut_only_when_asked(weights):
    (cut,) = _draw([_nets.initializer("truncated_normal", SCALE, Quirks(truncated_normal="truncated"))])
    assert np.abs(cut).max() <= 2 * SCALE < np.abs(weights["truncated_normal"]).max()


def _config(seed=8, **changes):
    return mlp_family.sample(seed) | changes


AUGMENTATION = {
    "crop_amount": 2,
    "flip_left_right": True,
    "flip_up_down": True,
    "do_color_aug": True,
    "brightness": 0.1,
    "saturation": 0.2,
    "hue": 0.1,
    "contrast": 0.2,
}


def _augmented(quirks=RELEASED, just_train=False):
    arguments = {"bs": 16, "num_train": None, "just_train": just_train}
    config = _config(dataset=["deep_weeds_32x32", arguments, AUGMENTATION])
    return mlp_family.from_config("test/augmented", config, quirks=quirks)


def test_the_forward_pass_equals_a_numpy_perceptron():
    config = _config(center_data=True, activation="tanh", layer_sizes=[5, 4])
    workload = mlp_family.from_config("test/mlp", config)
    params, state = workload.init(jax.random.key(0))
    images = workload.data.splits["outer_valid"]["inputs"][:7]
    labels = workload.data.splits["outer_valid"]["targets"][:7]
    x = 2 * (images.reshape(7, -1) / 255.0) - 1
    for i in range(3):
        x = x @ np.asarray(params[f"Dense_{i}"]["kernel"], np.float64) + np.asarray(
            params[f"Dense_{i}"]["bias"]
        )
        x = np.tanh(x) if i < 2 else x
    expected = np.log(np.exp(x).sum(axis=1)) - x[np.arange(7), labels]
    sums = workload.metrics(params, state, {"inputs": jnp.asarray(images), "targets": jnp.asarray(labels)})
    np.testing.assert_allclose(sums["loss"], expected.sum(), rtol=1e-4)


def test_biases_start_at_zero_and_centring_is_as_configured():
    workload = mlp_family.from_config("test/mlp", _config(center_data=False, w_init=["random_uniform", 1.0]))
    params, state = workload.init(jax.random.key(0))
    assert not any(np.any(layer["bias"]) for layer in params.values())
    black = {"inputs": jnp.zeros((3, 32, 32, 3), jnp.uint8), "targets": jnp.zeros(3, jnp.int32)}
    loss, _ = workload.loss(params, state, black, jax.random.key(0), True, Regularization())
    np.testing.assert_allclose(loss, math.log(10), rtol=1e-6)  # zeros in, zeros out: all classes alike


@pytest.mark.parametrize("name", _images.IMAGE_SETS)
def test_stand_ins_have_the_shape_classes_and_four_splits_of_the_real_set(name):
    facts = _images.IMAGE_SETS[name]
    data = _images.load([name, {"bs": 8, "num_train": None, "just_train": True}, None], None)
    assert set(data.splits) == set(_images.SPLITS)
    assert data.provenance.kind != "real"
    labels = np.concatenate([split["targets"] for split in data.splits.values()])
    assert labels.min() >= 0
    assert labels.max() < facts.classes
    # Four or more images per class: a class is absent with probability below exp(-4) = 2 %.
    assert len(np.unique(labels)) > 0.95 * facts.classes
    assert all(split["inputs"].shape[1:] == facts.shape for split in data.splits.values())
    assert data.size("train") >= 512  # the largest batch of the family


def test_num_train_cuts_the_training_split_and_saturates():
    for asked, got in ((600, 600), (55_000, _images.SYNTHETIC_TRAIN)):
        data = _images.load(["fashion_mnist", {"bs": 8, "num_train": asked, "just_train": False}, None], None)
        assert data.size("train") == got
        assert data.size("test") == _images.HELD_OUT


def test_validation_is_taskset_outer_valid():
    assert _augmented().eval_splits["validation"] == "outer_valid"


def test_just_train_is_ignored_as_released_and_honoured_on_request():
    ignored = _augmented(just_train=True)
    assert ignored.data.size("outer_valid") != ignored.data.size("train")
    honoured = _augmented(dataclasses.replace(RELEASED, just_train="honoured"), just_train=True)
    assert honoured.data.size("outer_valid") == honoured.data.size("train")


def test_crop_shrinks_the_first_layer():
    params, _ = _augmented().init(jax.random.key(0))
    assert params["Dense_0"]["kernel"].shape[0] == 30 * 30 * 3


@pytest.fixture(scope="module")
def augmented():
    """An augmented task, its functions compiled, and parameters."""
    workload = _augmented()
    functions = jax.jit(workload.metrics), jax.jit(workload.loss, static_argnums=4)
    return workload, *functions, workload.init(jax.random.key(0))


def test_evaluation_is_augmented_as_released_and_plain_on_request(augmented, leading):
    workload, metrics, _, start = augmented
    plain = _augmented(dataclasses.replace(RELEASED, augment_splits="train_only"))
    batch = leading(workload, "test", 8)
    one, again = (float(metrics(*start, batch)["loss"]) for _ in range(2))
    assert one == again
    assert one != float(plain.metrics(*start, batch)["loss"])
    images = jnp.arange(2 * 32 * 32 * 3.0).reshape(2, 32, 32, 3)
    np.testing.assert_array_equal(_augment.centre_crop(images, AUGMENTATION), images[:, 1:31, 1:31])


def test_an_example_is_evaluated_alike_wherever_it_stands_in_a_batch(augmented, leading):
    workload, metrics, _, start = augmented
    batch = leading(workload, "test", 8)
    backwards = {field: values[::-1] for field, values in batch.items()}
    np.testing.assert_allclose(metrics(*start, batch)["loss"], metrics(*start, backwards)["loss"], rtol=1e-5)


def test_training_augmentation_follows_the_key(augmented, leading):
    workload, _, loss, start = augmented
    batch = leading(workload, "train", 8)
    losses = [float(loss(*start, batch, jax.random.key(k), True, Regularization())[0]) for k in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def _settings(**changes):
    off = {"crop_amount": 0, "flip_left_right": False, "flip_up_down": False, "do_color_aug": False}
    return AUGMENTATION | off | changes


def _draws_and_images(examples=64, channels=3):
    generator = np.random.default_rng(5)
    images = generator.random((examples, 6, 5, channels), dtype=np.float32)
    return jnp.asarray(generator.random((examples, _images.DRAWS), dtype=np.float32)), jnp.asarray(images)


def test_flips_give_the_image_or_its_mirror_each_about_half_the_time():
    draws, images = _draws_and_images()
    flipped = np.asarray(_augment.augment(draws, images, _settings(flip_left_right=True)))
    same = (flipped == np.asarray(images)).all(axis=(1, 2, 3))
    mirrored = (flipped == np.asarray(images)[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 12 < same.sum() < 52  # of 64, 5 standard deviations of 4


def test_crops_are_windows_of_the_image_at_all_offsets():
    draws, images = _draws_and_images(200)
    cropped = np.asarray(_augment.augment(draws, images, _settings(crop_amount=1)))
    assert cropped.shape == (200, 5, 4, 3)
    offsets = set()
    for whole, part in zip(np.asarray(images), cropped, strict=True):
        found = [(i, j) for i in (0, 1) for j in (0, 1) if np.array_equal(whole[i : i + 5, j : j + 4], part)]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) == 4


def test_colours_stay_alone_with_one_channel_and_change_with_three():
    draws, grey = _draws_and_images(channels=1)
    np.testing.assert_array_equal(_augment.augment(draws, grey, _settings(do_color_aug=True)), grey)
    draws, colour = _draws_and_images()
    changed = _augment.augment(draws, colour, _settings(do_color_aug=True))
    assert not np.allclose(changed, colour)
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0


def test_hue_saturation_value_goes_there_and_back():
    import colorsys

    rgb = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)
    rgb[0, 0] = 0.3  # grey has no hue
    hsv = np.stack(_augment._to_hsv(jnp.asarray(rgb)), axis=-1)
    expected = np.apply_along_axis(lambda pixel: colorsys.rgb_to_hsv(*pixel), 2, rgb)
    np.testing.assert_allclose(hsv, expected, atol=1e-5)
    np.testing.assert_allclose(_augment._to_rgb(*np.moveaxis(hsv, -1, 0)), rgb, atol=1e-5)
