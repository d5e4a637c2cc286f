"""ImageNet's records in any order, and what a stream of them is a function of. Needs no TensorFlow."""

import os
import sys

import numpy as np
import pytest

from tests.workloads import imagenet_folder, tfds_folders
from workloads.algoperf import imagenet_resnet
from workloads.data import imagenet, imagenet_images, record_index, tfds_folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return imagenet_folder.write(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "shortlist" / "records"


def test_records_are_those_of_the_files_in_any_order(data_dir):
    splits = imagenet.find(data_dir, 1000)
    assert {split: len(examples) for split, examples in splits.items()} == {
        "train": 83,
        "validation": 37,
        "test": 21,
    }
    for split, start in (("train", 0), ("validation", 200), ("test", 300)):
        examples = splits[split]
        order = np.random.default_rng(0).permutation(len(examples)).tolist()
        contents, labels = examples.read(order)
        assert labels == [7 * (start + number) % 1000 for number in order]
        assert contents == [imagenet_folder.picture(start + number) for number in order]


def test_places_are_looked_for_once_and_again_when_a_file_has_changed(data_dir, cache, monkeypatch):
    folder = imagenet.find(data_dir, 1000)["train"].folder
    first = record_index.index(folder, "train")
    assert len(list(cache.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(record_index.tfrecord, "offsets", None)  # not asked again
        np.testing.assert_array_equal(record_index.index(folder, "train").bounds, first.bounds)
    path = first.files[0]
    times = path.stat()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    record_index.index(folder, "train")
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_named(data_dir, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = imagenet.find(data_dir, 1000)["train"].folder
    with pytest.raises(OSError, match=r"no place for offsets of records.*set XDG_CACHE_HOME"):
        record_index.index(folder, "train")


def test_an_epoch_has_every_record_once_and_begins_anywhere():
    numbers = imagenet.shuffled(83, 5, 0, 3 * 83)
    for epoch in range(3):
        assert sorted(numbers[83 * epoch : 83 * (epoch + 1)]) == list(range(83))
    assert list(numbers[:83]) != list(numbers[83:166])
    np.testing.assert_array_equal(imagenet.shuffled(83, 5, 70, 40), numbers[70:110])
    assert list(imagenet.shuffled(83, 6, 0, 83)) != list(numbers[:83])


def test_what_is_missing_or_damaged_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="imagenet2012"):
        imagenet.find(tmp_path, 1000)
    tfds_folders.write(
        tmp_path, imagenet.TRAINED, imagenet_folder.FEATURES,
        {"train": imagenet_folder.examples(9), "validation": imagenet_folder.examples(3)},
    )  # fmt: skip
    with pytest.raises(FileNotFoundError, match="imagenet_v2/matched-frequency"):
        imagenet.find(tmp_path, 1000)
    tfds_folders.write(
        tmp_path, imagenet.TESTED, imagenet_folder.FEATURES, {"test": imagenet_folder.examples(3)}
    )
    train = imagenet.find(tmp_path, 1000)["train"]
    path, _ = train.records.place(4)
    begin, _ = train.records.bounds[4].tolist()
    content = bytearray(path.read_bytes())
    content[begin + 40] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"tfrecord.*corrupt record at byte {begin}: .*payload is wrong"):
        train.read([3, 4])
    assert train.read([3, 5])[1] == [21, 35]
    path.write_bytes(content[:begin])
    with pytest.raises(ValueError, match=r"ends inside its header"):
        train.read([4])
    with pytest.raises(ValueError, match=r"ends after 4 records, but 9 were expected"):
        _ = imagenet.find(tmp_path, 1000)["train"].records
    path.unlink()
    with pytest.raises(FileNotFoundError, match="tfrecord-00000-of-00001"):
        imagenet.find(tmp_path, 1000)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        (
            {"image": tfds_folders.encode(np.zeros((4, 4, 3), np.uint8), "png")},
            "record 0: .*PNG.* is no JPEG.*prepare",
        ),
        ({"label": np.int64([1000])}, "record 0: label is 1000; there are 1000 classes"),
        ({"label": np.int64([])}, "record 0: label is 0 values"),
    ],
)
def test_what_is_no_jpeg_or_no_class_is_refused(tmp_path, changed, match):
    odd = [{**imagenet_folder.examples(1)[0], **changed}]
    imagenet_folder.write(tmp_path, train=1, validation=1, test=odd)
    with pytest.raises(ValueError, match=match):
        imagenet.find(tmp_path, 1000)["test"].read([0])


def test_evaluations_take_the_order_of_tfds(data_dir):
    examples = imagenet.find(data_dir, 1000)["train"]
    sizes = [size for _, size in examples.folder.splits["train"]]
    assert sizes == [28, 28, 27]
    assert list(examples.in_order()[:40]) == [*range(16), *range(28, 44), *range(56, 64)]
    np.testing.assert_array_equal(examples.in_order(), tfds_folder.interleaved(sizes))


def test_without_tensorflow_it_is_asked_for(data_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    imagenet_images.tensorflow.cache_clear()
    table = imagenet_resnet.BASE
    assert table.read is not None
    with pytest.raises(ValueError, match=r"not installed .*pip install 'shortlist\[images\]'"):
        table.read(table.options, data_dir)
