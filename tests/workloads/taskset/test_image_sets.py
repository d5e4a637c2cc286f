"""TaskSet's image data sets: read from TFDS folders, cut as the original cuts them, and their stand-ins."""

from __future__ import annotations

import numpy as np
import pytest

import workloads
from tests.workloads import tfds_folders
from workloads.taskset import _images
from workloads.taskset.quirks import Quirks

# Facts of the original: images left to train on, in the families and in the fixed tasks (None: not used there).
TRAIN_LEFT = {
    "cifar10": (40_000, 44_000),
    "cifar100": (40_000, 44_000),
    "coil100_32x32": (4800, 4800),
    "colorectal_histology_32x32": (None, 2900),
    "deep_weeds_32x32": (11_509, None),
    "fashion_mnist": (50_000, 54_000),
    "food101_32x32": (86_000, 92_000),
    "food101_64x64": (None, 92_000),
    "imagenet_resized/16x16": (1_271_167, None),
    "imagenet_resized/32x32": (1_271_167, None),
    "mnist": (50_000, 54_000),
    "sun397_32x32": (71_128, 73_128),
}
FIXED_VALIDATION = {"coil100_32x32": 800, "colorectal_histology_32x32": 700}  # 3000 in the others

# name -> TFDS data set and version, its image shape, and its splits with their numbers of examples
SMALL = {
    "cifar10": ("cifar10:3.0.2", (32, 32, 3), {"train": 100, "test": 20}),
    "cifar100": ("cifar100:3.0.2", (32, 32, 3), {"train": 100, "test": 20}),
    "coil100_32x32": ("coil100:2.0.0", (128, 128, 3), {"train": 72}),
    "colorectal_histology_32x32": ("colorectal_histology:2.0.0", (150, 150, 3), {"train": 50}),
    "deep_weeds_32x32": ("deep_weeds:1.0.0", (256, 256, 3), {"train": 53}),
    "fashion_mnist": ("fashion_mnist:3.0.1", (28, 28, 1), {"train": 60, "test": 10}),
    "food101_32x32": ("food101:2.0.0", (51, 64, 3), {"train": 76, "validation": 25}),
    "food101_64x64": ("food101:1.0.0", (51, 64, 3), {"train": 101}),
    "imagenet_resized/16x16": ("imagenet_resized/16x16:0.1.0", (16, 16, 3), {"train": 512, "validation": 8}),
    "imagenet_resized/32x32": ("imagenet_resized/32x32:0.1.0", (32, 32, 3), {"train": 512, "validation": 8}),
    "mnist": ("mnist:3.0.1", (28, 28, 1), {"train": 60, "test": 10}),
    "sun397_32x32": ("sun397/tfds:4.0.0", (40, 60, 3), {"train": 76, "validation": 10, "test": 21}),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_small(data_dir, name):
    """A small TFDS folder in which image and label of example i say i: grey value i % 251, class i % classes."""
    dataset, shape, sizes = SMALL[name]
    classes = _images.IMAGE_SETS[name].classes
    label = "angle_label" if name.startswith("coil") else "label"
    features = {"image": tfds_folders.image(*shape), label: tfds_folders.classes(classes)}
    if name.startswith("coil"):
        features["object_id"] = tfds_folders.classes(100)
    splits, start = {}, 0
    for split, size in sizes.items():
        examples = []
        for i in range(start, start + size):
            example = {"image": np.full(shape, i % 251, np.uint8), label: i % classes}
            examples.append(example | ({"object_id": 99} if name.startswith("coil") else {}))
        splits[split] = examples
        start += size
    tfds_folders.write(data_dir, dataset, features, splits, files=3)


@pytest.mark.parametrize("name", _images.IMAGE_SETS)
def test_every_set_is_read_from_its_tfds_folder_and_cut_in_order(tmp_path, name):
    write_small(tmp_path, name)
    facts = _images.IMAGE_SETS[name]
    data = _images.load_fixed(name, facts.per_validation, tmp_path)
    sizes = SMALL[name][2]
    own = list(range(sum(sizes.values())))
    if name == "sun397_32x32":
        train, outer, test = own[:76], own[76:86], own[86:]
        inner, train = train[:4], train[4:]  # 76 images of 76,128 published ones: 5000 become 4
    elif facts.test is None:
        cut = facts.per_validation * len(own) // facts.published
        inner, outer, test, train = own[:cut], own[cut : 2 * cut], own[2 * cut : 3 * cut], own[3 * cut :]
    else:
        size = sizes["train"]
        cut = facts.per_validation * size // facts.published
        inner, outer, train, test = own[:cut], own[cut : 2 * cut], own[2 * cut : size], own[size:]
    assert inner
    for split, expected in {"inner_valid": inner, "outer_valid": outer, "train": train, "test": test}.items():
        images, labels = data.splits[split]["inputs"], data.splits[split]["targets"]
        assert labels.tolist() == [i % facts.classes for i in expected]
        assert (images.dtype, images.shape) == (np.uint8, (len(expected), *facts.shape))
        assert (images == np.array([i % 251 for i in expected])[:, None, None, None]).all()
    assert data.provenance.kind == "real"
    assert data.provenance.stands_in_for is None


@pytest.mark.parametrize("name", TRAIN_LEFT)
def test_whole_sets_leave_as_many_images_to_train_on_as_the_original(name):
    facts = _images.IMAGE_SETS[name]
    labels = np.zeros(facts.published, np.uint8)
    published = {"train": (labels, labels)}
    published |= {
        split: (labels[:9], labels[:9]) for split in ("outer_valid", "test") if getattr(facts, split)
    }
    family, fixed = TRAIN_LEFT[name]
    for left, per_validation in ((family, facts.per_validation), (fixed, FIXED_VALIDATION.get(name, 3000))):
        if left is not None:
            assert len(_images.cut(published, per_validation, facts.published)["train"][1]) == left


def test_the_angle_is_the_label_of_coil_in_both_versions(tmp_path):
    features = {"image": tfds_folders.image(128, 128, 3), "label": tfds_folders.classes(72)}
    examples = [{"image": np.zeros((128, 128, 3), np.uint8), "label": i} for i in range(72)]
    tfds_folders.write(tmp_path, "coil100:1.0.0", features, {"train": examples})
    data = _images.load_fixed("coil100_32x32", 800, tmp_path)
    assert data.splits["test"]["targets"].tolist() == list(range(16, 24))  # 800 of 7200 is 8 of 72


def test_a_sampled_task_trains_on_its_real_data(tmp_path):
    write_small(tmp_path, "deep_weeds_32x32")
    config = ["deep_weeds_32x32", {"bs": 8, "just_train": True, "num_train": None}, None]
    data = _images.load(config, tmp_path)
    assert data.size("train") == 53 - 3 * 6
    honoured = _images.load(config, tmp_path, Quirks(just_train="honoured"))
    assert all(honoured.splits[split] is honoured.splits["train"] for split in honoured.splits)


def test_labels_beyond_the_classes_are_refused(tmp_path):
    features = {"image": tfds_folders.image(32, 32, 3), "label": tfds_folders.classes(11)}
    examples = [{"image": np.zeros((32, 32, 3), np.uint8), "label": 10}]
    tfds_folders.write(tmp_path, "cifar10:3.0.2", features, {"train": examples, "test": examples})
    with pytest.raises(ValueError, match=r"train has labels from 10 to 10, expected 0 to 9"):
        _images.load_fixed("cifar10", 5000, tmp_path)


@pytest.mark.parametrize(("name", "command"), [("cifar10", "cifar10"), ("sun397_32x32", "sun397/tfds")])
def test_an_absent_set_is_refused_with_the_command_that_makes_it(tmp_path, name, command):
    with pytest.raises(FileNotFoundError, match=f"tfds build {command} --data_dir") as caught:
        _images.load_fixed(name, 5000, tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_an_absent_mnist_is_refused_with_both_forms(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"four IDX files .* or make it with 'tfds build mnist"):
        _images.load_fixed("mnist", 5000, tmp_path)


def test_algoperf_reads_mnist_from_a_tfds_folder_too(tmp_path):
    write_small(tmp_path, "mnist")
    workload = workloads.load("algoperf/mnist", tmp_path)
    assert [workload.data.size(split) for split in ("train", "validation", "test")] == [50, 10, 10]
    expected = (np.arange(50, 60) - 0.1307) / 0.3081
    np.testing.assert_allclose(workload.data.splits["validation"]["inputs"][:, 0, 0, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["mnist", "coil100_32x32", "imagenet_resized/16x16"])
def test_stand_ins_have_the_shapes_and_classes_and_room_for_the_largest_batch(name):
    facts = _images.IMAGE_SETS[name]
    data = _images.load_fixed(name, 3000, None)
    assert data.provenance.stands_in_for == ("MNIST" if name == "mnist" else name)
    assert data.size("train") >= 512
    for fields in data.splits.values():
        assert fields["inputs"].shape[1:] == facts.shape
        assert fields["targets"].max() < facts.classes
    assert len(set(data.splits["train"]["targets"])) > 0.9 * facts.classes


def test_a_stand_in_is_made_once_in_a_process_and_cannot_be_changed():
    one, again = (_images.load_fixed("imagenet_resized/16x16", 5000, None) for _ in range(2))
    assert one.splits["train"]["inputs"] is again.splits["train"]["inputs"]
    with pytest.raises(ValueError, match="read-only"):
        one.splits["train"]["inputs"][0] = 0
