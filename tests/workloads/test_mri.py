"""Masked frequencies of slices, and the head that they are made of."""

import itertools

import numpy as np
import pytest

from tests.workloads.algoperf import golden
from workloads.data import brain, mri

needs_head = pytest.mark.skipif(
    brain.version() is None, reason=f"{brain.PACKAGE} is not installed; it is in the extra [embedded]"
)


@golden.needs_golden
def test_columns_in_the_middle_and_a_quarter_in_all_are_kept_as_algoperf_does():
    arrays, _ = golden.components()
    masks = {name: arrays[name] for name in arrays.files if name.startswith("fastmri/eval_mask_W")}
    assert len(masks) == 20
    for name, packed in masks.items():
        width = int(name.rpartition("W")[2])
        expected = np.unpackbits(packed)[:width].astype(bool)
        never, always = mri.kept_columns(np.ones((1, width))), mri.kept_columns(np.zeros((1, width)))
        assert never.sum() == int(0.08 * width)
        assert always.all()
        assert expected[never[0]].all()
        # Five standard errors of so many draws.
        assert abs(expected.sum() - width / 4) < 5 * np.sqrt(width * 0.19)
        middle = np.flatnonzero(never[0])
        # A draw of AlgoPerf's columns gives its mask: what is kept besides the middle is what the draw says.
        np.testing.assert_array_equal(mri.kept_columns(np.where(expected, 0.0, 1.0)[None])[0], expected)
        assert middle[0] == (width - len(middle) + 1) // 2


def test_a_quarter_of_the_columns_is_kept_on_average():
    kept = mri.kept_columns(np.random.default_rng(0).random((2000, 40)))
    assert kept.mean() == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 80_000))


def test_all_frequencies_give_the_image_back():
    images = np.random.default_rng(0).random((3, 10, 13))
    kspace = mri.frequencies(images)
    assert np.sum(np.abs(kspace) ** 2) == pytest.approx(np.sum(images**2))
    np.testing.assert_allclose(np.abs(kspace[:, 5, 6]), images.sum((1, 2)) / np.sqrt(130))  # the mean's
    np.testing.assert_allclose(mri.magnitudes(kspace, 8), images[:, 1:9, 2:10], atol=1e-12)


def test_an_example_is_normalised_by_what_the_model_sees():
    images = np.random.default_rng(0).random((3, 20, 20)) ** 8
    kspace = mri.frequencies(images)
    kept = mri.kept_columns(np.random.default_rng(1).random((3, 20)))
    targets = mri.magnitudes(kspace, 16)
    found = mri.examples(kspace, targets, np.ones(3), kept)
    assert {name: (values.shape, values.dtype.name) for name, values in found.items()} == {
        "inputs": ((3, 16, 16), "float32"),
        "targets": ((3, 16, 16), "float32"),
        "mean": ((3,), "float32"),
        "std": ((3,), "float32"),
        "volume_max": ((3,), "float32"),
    }
    np.testing.assert_allclose(found["inputs"].mean((1, 2)), 0, atol=0.02)  # some are clipped
    assert np.abs(found["targets"]).max() <= 6
    inside = np.abs(found["targets"]) < 6
    restored = found["targets"] * found["std"][:, None, None] + found["mean"][:, None, None]
    np.testing.assert_allclose(restored[inside], targets[inside], atol=1e-5)


def test_splits_are_blocks_of_slices_with_gaps():
    of = {split: set(brain.slices_of(split)) for split in brain.BLOCKS}
    assert {split: len(numbers) for split, numbers in of.items()} == {
        "train": 90,
        "validation": 24,
        "test": 26,
    }
    for one, other in itertools.combinations(of.values(), 2):
        assert min(abs(a - b) for a in one for b in other) > 5


@needs_head
def test_windows_of_the_head_are_alike_every_time_and_differ():
    sizes = {"train": 6, "validation": 3}
    one, other = brain.windows(sizes, 25), brain.windows(sizes, 25)
    for split, size in sizes.items():
        np.testing.assert_array_equal(one[split], other[split])
        assert one[split].shape == (size, 25, 25)
        assert one[split].dtype == np.float32
        assert one[split].min() >= 0
        assert 0.3 < one[split].max() <= 1
    assert len(np.unique(one["train"].reshape(6, -1), axis=0)) == 6


def test_ellipses_stand_in_for_a_head():
    made = brain.ellipses({"train": 4, "test": 2}, 25)
    assert {split: images.shape for split, images in made.items()} == {
        "train": (4, 25, 25),
        "test": (2, 25, 25),
    }
    assert made["train"].min() >= 0
    assert 0.5 < made["train"].max() <= 1
    assert made["train"].std((1, 2)).min() > 0.1
