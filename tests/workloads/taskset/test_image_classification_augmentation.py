"""TaskSet's augmentation against NumPy and colorsys, on which splits it works, and what the nets then see."""

from __future__ import annotations

import colorsys
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.workloads.taskset import classifiers
from workloads.taskset import _augment, _images, mlp_family
from workloads.taskset.quirks import RELEASED, Quirks

KEY = jax.random.key(0)
SETTINGS = {
    "crop_amount": 2,
    "flip_left_right": True,
    "flip_up_down": True,
    "do_color_aug": True,
    "brightness": 0.1,
    "saturation": 0.2,
    "hue": 0.1,
    "contrast": 0.2,
}
OFF = {"crop_amount": 0, "flip_left_right": False, "flip_up_down": False, "do_color_aug": False}


def augmented(images, **changes: Any) -> np.ndarray:
    settings = SETTINGS | OFF | changes
    return np.asarray(classifiers.quickly(lambda key, x: _augment.augment(key, x, settings))(KEY, images))


def random_images(examples=64, channels=3, low=0.0, high=1.0):
    images = np.random.default_rng(5).uniform(low, high, size=(examples, 6, 5, channels))
    return images.astype(np.float32)


@pytest.mark.parametrize(("flip", "axis"), [("flip_left_right", 2), ("flip_up_down", 1)])
def test_flips_give_the_image_or_its_mirror_each_about_half_the_time(flip, axis):
    images = random_images()
    flipped = augmented(images, **{flip: True})
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == np.flip(images, axis)).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 12 < same.sum() < 52  # of 64, 5 standard deviations of 4


def test_crops_are_windows_of_the_image_at_all_offsets_alike():
    images = random_images(400)
    cropped = augmented(images, crop_amount=1)
    assert cropped.shape == (400, 5, 4, 3)
    counts = dict.fromkeys([(0, 0), (0, 1), (1, 0), (1, 1)], 0)
    for whole, part in zip(images, cropped, strict=True):
        found = [(i, j) for i, j in counts if np.array_equal(whole[i : i + 5, j : j + 4], part)]
        assert len(found) == 1
        counts[found[0]] += 1
    assert all(
        abs(count - 100) < 44 for count in counts.values()
    )  # 5 standard deviations, sqrt(400 * 3 / 16)


def test_colours_stay_alone_with_one_channel():
    grey = random_images(channels=1)
    np.testing.assert_array_equal(augmented(grey, do_color_aug=True), grey)


def hsv(images):
    return np.apply_along_axis(lambda pixel: colorsys.rgb_to_hsv(*pixel), -1, images.astype(np.float64))


def rgb(images):
    return np.apply_along_axis(lambda pixel: colorsys.hsv_to_rgb(*pixel), -1, images)


def test_colours_change_in_tensorflows_order_by_its_formulas():
    images = random_images(8, low=0.2, high=0.8)
    draws = np.asarray(jax.random.uniform(KEY, (8, _augment.DRAWS)), np.float64)
    signed = (2 * draws[:, 4:] - 1)[:, :, None, None]
    expected = images + SETTINGS["brightness"] * signed[:, 0, :, :, None]
    expected = hsv(expected)
    expected[..., 1] = np.clip(expected[..., 1] * (1 + SETTINGS["saturation"] * signed[:, 1]), 0, 1)
    expected[..., 0] = (expected[..., 0] + SETTINGS["hue"] * signed[:, 2]) % 1.0
    expected = rgb(expected)
    mean = expected.mean(axis=(1, 2), keepdims=True)
    expected = (expected - mean) * (1 + SETTINGS["contrast"] * signed[:, 3, :, :, None]) + mean
    np.testing.assert_allclose(augmented(images, do_color_aug=True), expected, atol=1e-5)


def test_each_colour_change_covers_its_range():
    images = random_images(400, low=0.4, high=0.6)
    none = {"do_color_aug": True, "brightness": 0.0, "saturation": 0.0, "hue": 0.0, "contrast": 0.0}
    brightness = (augmented(images, **none | {"brightness": 0.1}) - images).mean(axis=(1, 2, 3))
    contrasted = augmented(images, **none | {"contrast": 0.2})
    contrast = contrasted.std(axis=(1, 2)).mean(axis=1) / images.std(axis=(1, 2)).mean(axis=1) - 1
    for change, size in ((brightness, 0.1), (contrast, 0.2)):
        # Uniform on +-size: a mean of 400 deviates by size / sqrt(1200), 5 of them; the largest comes near the bound.
        assert abs(change.mean()) < 5 * size / 1200**0.5
        assert 0.97 * size < np.abs(change).max() < 1.001 * size


def test_bright_pixels_may_exceed_one_as_in_tensorflow():
    white = np.ones((32, 6, 5, 3), np.float32)
    changed = augmented(white, do_color_aug=True, contrast=0.0)
    assert 1.05 < changed.max() < 1.1001
    np.testing.assert_allclose(changed, np.broadcast_to(changed[:, :1, :1, :1], changed.shape), atol=1e-6)


def test_hue_saturation_value_goes_there_and_back():
    colours = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)
    colours[0, 0] = 0.3  # grey has no hue
    got = np.stack(_augment._to_hsv(jnp.asarray(colours)), axis=-1)
    np.testing.assert_allclose(got, hsv(colours), atol=1e-5)
    np.testing.assert_allclose(_augment._to_rgb(*np.moveaxis(got, -1, 0)), colours, atol=1e-5)


# The transform of the data


@pytest.fixture(scope="module")
def task():
    arguments = {"bs": 16, "num_train": None, "just_train": False}
    config = mlp_family.sample(8) | {"dataset": ["imagenet_resized/16x16", arguments, SETTINGS]}

    def with_quirks(quirks=RELEASED):
        return mlp_family.from_config("test/augmented", config, quirks=quirks)

    return with_quirks


@pytest.fixture(scope="module")
def bytes_batch():
    images = np.random.default_rng(0).integers(256, size=(8, 16, 16, 3), dtype=np.uint8)
    return {"inputs": jnp.asarray(images), "targets": jnp.zeros(8, jnp.int32)}


def seen(workload, batch, split, seeds=(0,)):
    """What the net sees with the key of each seed."""
    transform = classifiers.quickly(lambda key: workload.data.transform(key, batch, split)["inputs"])
    return [np.asarray(transform(jax.random.key(seed))) for seed in seeds]


def test_evaluation_sees_augmented_images_as_released_and_the_centre_on_request(task, bytes_batch):
    plain = task(Quirks(augment_splits="train_only"))
    centre = np.asarray(bytes_batch["inputs"])[:, 1:15, 1:15] / 255.0
    (images,) = seen(task(), bytes_batch, "test")
    assert images.shape == centre.shape
    assert not np.allclose(images, centre)
    np.testing.assert_allclose(seen(plain, bytes_batch, "test")[0], centre, rtol=1e-6)
    # The same draws, whatever the split: only the switch decides.
    np.testing.assert_array_equal(seen(plain, bytes_batch, "train")[0], images)


def test_augmentation_follows_the_key(task, bytes_batch):
    first, again, other = seen(task(), bytes_batch, "train", seeds=(0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_crop_shrinks_the_first_layer(task):
    params, _ = jax.eval_shape(task().init, KEY)
    assert params["Dense_0"]["kernel"].shape[0] == 14 * 14 * 3


def test_a_data_set_without_augmentation_has_no_transform():
    data = _images.load(["mnist", {"bs": 8, "num_train": None, "just_train": False}, None], None)
    assert data.transform is None


def test_just_train_is_ignored_as_released_and_honoured_on_request():
    dataset = ["imagenet_resized/16x16", {"bs": 16, "num_train": None, "just_train": True}, None]
    ignored = _images.load(dataset, None)
    assert ignored.size("outer_valid") != ignored.size("train")
    honoured = _images.load(dataset, None, dataclasses.replace(RELEASED, just_train="honoured"))
    assert all(honoured.size(split) == ignored.size("train") for split in honoured.splits)


def test_num_train_cuts_the_training_split_and_saturates():
    for asked, got in ((600, 600), (55_000, _images.SYNTHETIC_TRAIN)):
        data = _images.load(["fashion_mnist", {"bs": 8, "num_train": asked, "just_train": False}, None], None)
        assert data.size("train") == got
        assert data.size("test") == _images.HELD_OUT
