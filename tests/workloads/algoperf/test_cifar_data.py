"""Hold CIFAR-10's reader against its format and AlgoPerf's pipeline."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import workloads
from submissions import api
from tests.workloads import tfds_folders
from workloads import evaluation
from workloads.algoperf import _cifar

FEATURES = {
    "id": tfds_folders.text(),
    "image": tfds_folders.image(32, 32, 3),
    "label": tfds_folders.classes(10),
}
IMAGES = np.random.default_rng(3).integers(0, 256, (200, 32, 32, 3)).astype(np.uint8)


def records(images, labels):
    return [
        {"id": f"made_{number}", "image": image, "label": np.int64([label])}
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    ]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    splits = {"train": records(IMAGES, np.arange(200) % 10), "test": records(IMAGES[:20], np.arange(20) % 10)}
    tfds_folders.write(folder, "cifar10:3.0.2", FEATURES, splits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def full(data_dir):
    return workloads.load("algoperf/cifar", data_dir)


def normalised(images):
    return (images / 255 - _cifar.MEAN) / _cifar.DEVIATION


def test_splits_are_algoperfs_shares_in_the_order_of_the_files(full):
    assert {split: full.data.size(split) for split in full.data.splits} == {
        "train": 180,
        "validation": 20,
        "test": 20,
    }
    (batch,) = full.data.once("validation", jax.random.key(0), 20, 20)
    np.testing.assert_allclose(batch["inputs"], normalised(IMAGES[180:]), atol=1e-6)  # of values up to 2.2
    assert batch["targets"].tolist() == list(np.arange(180, 200) % 10)
    assert full.data.provenance.kind == "real"
    assert full.validation_target == 0.85


def test_training_images_are_cropped_and_flipped_but_not_in_evaluations(full):
    batch = next(full.data.stream("train", jax.random.key(1), 128))
    padded = np.pad(IMAGES[:180], ((0, 0), (2, 2), (2, 2), (0, 0)))
    ways = set()
    for image, label in zip(np.asarray(batch["inputs"][:40]), np.asarray(batch["targets"][:40]), strict=True):
        pixels = np.rint((image * _cifar.DEVIATION + _cifar.MEAN) * 255).astype(np.uint8)
        found = [
            (top, left, flip)
            for top in range(5)
            for left in range(5)
            for flip in (False, True)
            for of in (padded[label::10],)
            if (of[:, top : top + 32, left : left + 32] == (pixels[:, ::-1] if flip else pixels))
            .all((1, 2, 3))
            .any()
        ]
        assert len(found) == 1
        ways.update(found)
    assert len(ways) > 18  # of 50, of which 40 draws see 28, give or take 3
    (first, *_) = full.data.once("train", jax.random.key(0), 60, evaluation.examples_of(full, "train"))
    np.testing.assert_allclose(first["inputs"], normalised(IMAGES[:60]), atol=1e-6)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="cifar10"):
        workloads.load("algoperf/cifar", tmp_path)


@pytest.mark.skipif(not api.is_installed(), reason="AlgoPerf is not installed; docs/algoperf.md says how")
def test_images_are_those_of_an_installed_algoperf_for_the_same_crop_and_flip(full, monkeypatch):
    pipeline = importlib.import_module("algoperf.workloads.cifar.cifar_jax.input_pipeline")
    tf, colours = pipeline.tf, (_cifar.MEAN.tolist(), _cifar.DEVIATION.tolist())
    (batch,) = full.data.once("test", jax.random.key(0), 20, 20)
    for own, image in zip(batch["inputs"], IMAGES, strict=False):
        wanted = pipeline.preprocess_for_eval(
            tf.constant(image),
            *colours,
        )
        np.testing.assert_allclose(own, wanted, rtol=1e-6, atol=3e-7)  # compilers fuse differently
    for number in range(40):
        taken = {}

        def crop(value, size, seed, taken=taken):
            corner = np.array(tf.random.stateless_uniform([2], seed, 0, 5, tf.int32))
            taken["corner"] = corner
            return value[corner[0] : corner[0] + size[0], corner[1] : corner[1] + size[1]]

        def flip(image, seed, taken=taken):
            taken["flip"] = bool(tf.random.stateless_uniform([], seed) < 0.5)
            return image[:, ::-1] if taken["flip"] else image

        monkeypatch.setattr(tf.image, "stateless_random_crop", crop)
        monkeypatch.setattr(tf.image, "stateless_random_flip_left_right", flip)
        wanted = pipeline.preprocess_for_train(
            tf.constant(IMAGES[number]),
            tf.constant([5, number]),
            *colours,
            32,
            4,
        )
        cut = _cifar.cropped(
            jnp.asarray(IMAGES[number : number + 1]),
            jnp.asarray(taken["corner"])[None],
            jnp.array([taken["flip"]]),
        )
        np.testing.assert_allclose(normalised(np.asarray(cut[0])), wanted, atol=1e-6)
