"""Data sets: shapes, ranges, disjoint parts, and the reader of IDX files."""

from __future__ import annotations

import gzip
import itertools
import struct

import numpy as np
import pytest

import workloads
from workloads.algoperf import mnist as algoperf_mnist
from workloads.data import class_images, clicks, digits, idx, photographs, stdlib_text


def test_digits_are_all_used_once():
    splits = digits.digits({"test": 360, "validation": 360})
    assert [len(labels) for _, labels in splits.values()] == [360, 360, 1077]
    images = np.concatenate([images for images, _ in splits.values()])
    assert images.shape == (digits.EXAMPLES, 8, 8, 1)
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert set(np.concatenate([labels for _, labels in splits.values()])) == set(range(10))


def test_enlarged_digits_have_the_format_of_mnist():
    images, labels = digits.digits_as_mnist({"test": 100})["test"]
    assert images.shape == (100, 28, 28, 1)
    assert images.dtype == np.uint8
    assert not images[:, :4].any()  # the frame
    assert images.max() == 255
    small, same = digits.digits({"test": 100})["test"]
    np.testing.assert_array_equal(labels, same)
    # Enlarging keeps the ink: mean over 20x20 against mean over 8x8.
    np.testing.assert_allclose(images[:, 4:24, 4:24].mean() / 255.0, small.mean(), rtol=0.02)


def test_patches_of_two_splits_share_no_pixel():
    regions = [photographs.REGIONS[split] for split in ("train", "validation", "test")]
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(regions))
    patches = photographs.photograph_patches(12, {"train": 200, "validation": 50, "test": 50})
    assert {split: x.shape for split, x in patches.items()} == {
        "train": (200, 144),
        "validation": (50, 144),
        "test": (50, 144),
    }
    np.testing.assert_allclose(patches["train"].mean(axis=1), 0.0, atol=1e-5)
    np.testing.assert_allclose(patches["train"].std(), 1.0, rtol=1e-5)


def test_text_windows_are_consecutive_characters_of_the_sources():
    windows, provenance = stdlib_text.stdlib_windows(40, {"train": 50, "validation": 20, "test": 20})
    assert len(stdlib_text.VOCABULARY) == 70
    sources = [
        "".join(c for c in stdlib_text.source_text(module).lower() if c in stdlib_text.VOCABULARY)
        for module in stdlib_text.MODULES
    ]
    for split, (start, stop) in stdlib_text.PARTS.items():
        parts = [source[round(start * len(source)) : round(stop * len(source))] for source in sources]
        for window in windows[split]:
            text = "".join(stdlib_text.VOCABULARY[i] for i in window)
            assert any(text in part for part in parts)
    assert provenance.kind == "embedded"
    assert "Python 3." in provenance.source


def test_clicks_follow_the_probabilities_of_the_teacher():
    rows = clicks.synthetic_clicks({"train": 20_000, "test": 500}, seed=1)
    train = rows["train"]
    assert train.dense.shape == (20_000, clicks.DENSE)
    assert train.categories.max() < clicks.VOCABULARY
    # The difference of clicks and probabilities has variance p (1 - p) <= 1/4: 5 standard errors.
    assert abs((train.clicked - train.probability).mean()) < 5 * 0.5 / np.sqrt(20_000)
    assert 0.2 < train.clicked.mean() < 0.35


def test_clicks_can_be_predicted_better_than_by_their_rate():
    test = clicks.synthetic_clicks({"test": 20_000})["test"]
    p = test.probability.astype(np.float64)
    rate = test.clicked.mean()
    teacher = -np.mean(np.where(test.clicked == 1, np.log(p), np.log1p(-p)))
    constant = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert teacher < 0.8 * constant


def test_class_images_are_determined_by_the_name():
    one, same, other = (
        class_images.class_images(name, (8, 8, 3), 4, {"train": 40, "test": 10}) for name in ("a", "a", "b")
    )
    np.testing.assert_array_equal(one["train"][0], same["train"][0])
    assert not np.array_equal(one["train"][0], other["train"][0])
    assert one["train"][0].shape == (40, 8, 8, 3)
    assert set(one["train"][1]) == set(range(4))


def test_class_images_can_be_learnt():
    splits = class_images.class_images("learnable", (16, 16, 1), 5, {"train": 1000, "test": 500})
    (images, labels), (held_out, answers) = splits["train"], splits["test"]
    means = np.stack([images[labels == c].mean(axis=0).ravel() for c in range(5)])
    centred = held_out.reshape(500, -1) - means.mean(axis=0)
    guesses = np.argmax(centred @ (means - means.mean(axis=0)).T, axis=1)
    # The nearest mean, a poor classifier: far above the 20 % of chance, far below certainty.
    assert 0.5 < (guesses == answers).mean() < 0.97


def _write_idx(path, array, compress=False):
    magic = {1: 2049, 3: 2051}[array.ndim]
    content = struct.pack(f">{1 + array.ndim}i", magic, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if compress else content)


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def small_mnist(tmp_path, request):
    """A folder with 600 + 100 random images in MNIST's files, and those images."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    content = {}
    for prefix, size in (("train", 600), ("t10k", 100)):
        images, labels = generator.integers(256, size=(size, 28, 28)), generator.integers(10, size=size)
        suffix = ".gz" if request.param else ""
        _write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images, request.param)
        _write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", labels, request.param)
        content[prefix] = images, labels
    return tmp_path, content


def test_mnist_files_are_read_with_algoperf_splits_budget_and_targets(small_mnist):
    data_dir, content = small_mnist
    workload = workloads.load("algoperf/mnist", data_dir)
    images, labels = content["train"]
    np.testing.assert_array_equal(workload.data.splits["validation"]["targets"], labels[500:])
    expected = (images[:500, :, :, None] - 0.1307) / 0.3081
    np.testing.assert_allclose(workload.data.splits["train"]["inputs"], expected, rtol=1e-6)
    assert workload.data.size("test") == 100
    assert workload.data.provenance.kind == "real"
    assert workload.data.provenance.stands_in_for is None
    assert (workload.validation_target, workload.step_hint, workload.batch_size) == (0.97, 7813, 16)


def test_taskset_cuts_its_validations_off_the_head_of_the_same_files(small_mnist):
    data_dir, content = small_mnist
    workload = workloads.load("taskset/mlp_family_seed15", data_dir)
    _, labels = content["train"]
    np.testing.assert_array_equal(workload.data.splits["inner_valid"]["targets"], labels[:50])
    np.testing.assert_array_equal(workload.data.splits["outer_valid"]["targets"], labels[50:100])
    np.testing.assert_array_equal(workload.data.splits["train"]["targets"], labels[100:])
    assert (workload.step_hint, workload.eval_period) == (10_000, 200)


def test_a_data_dir_without_mnist_is_refused_rather_than_replaced(tmp_path):
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        workloads.load("algoperf/mnist", tmp_path)


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "t10k-images-idx3-ubyte"
    _write_idx(path, np.zeros((3, 28, 28)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"says \(3, 28, 28\) but holds 2351 bytes"):
        idx.read_idx(path, idx.IMAGES)


def test_labels_in_place_of_images_are_refused(tmp_path):
    path = tmp_path / "t10k-images-idx3-ubyte"
    _write_idx(path, np.zeros(2000))
    with pytest.raises(ValueError, match="starts with 2049, not with 2051"):
        idx.read_idx(path, idx.IMAGES)


def test_half_a_gzip_file_is_refused(tmp_path):
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    _write_idx(path, np.random.default_rng(0).integers(256, size=(3, 28, 28)), compress=True)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        idx.read_idx(path, idx.IMAGES)


def test_splits_of_unequal_length_are_refused(tmp_path):
    _write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((3, 28, 28)))
    _write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2))
    with pytest.raises(ValueError, match="3 images but 2 labels"):
        idx.read_split(tmp_path, "train")


def test_algoperf_normalises_raw_bytes_without_dividing_by_255():
    np.testing.assert_allclose(
        algoperf_mnist.normalize(np.array([0, 255], np.uint8)), [-0.42421, 827.229], rtol=1e-4
    )
