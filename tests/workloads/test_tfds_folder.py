"""TFDS folders: one that TFDS itself wrote, and small ones of our own that are wrong in one place."""

from __future__ import annotations

import json
import pathlib
import shutil
import struct

import cv2
import numpy as np
import pytest

from tests.workloads import tfds_folders
from tests.workloads.tfds_golden import make
from workloads.data import pictures, resized, tfds_folder, tfrecord

GOLDEN = pathlib.Path(make.__file__).parent
FILE = "golden-train.tfrecord-00001-of-00002"


@pytest.fixture
def copy(tmp_path):
    """The golden data folder, to spoil, and the folder of its version."""
    shutil.copytree(GOLDEN / "golden", tmp_path / "golden")
    return tmp_path, tmp_path / "golden" / "small" / "1.0.0"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "shortlist" / "images"


@pytest.mark.parametrize(("split", "numbers"), [("train", range(10)), ("test", range(10, 13))])
def test_a_folder_written_by_tfds_is_read_as_it_was_written(split, numbers):
    read = tfds_folder.read_split(GOLDEN, "golden/small", split)
    order = read["nested/index"]
    assert sorted(order) == list(numbers)
    for position, i in enumerate(order):
        written = make.example(int(i))
        for name in ("png", "grey", "ids", "pair", "label", "flag"):
            np.testing.assert_array_equal(read[name][position], written[name])
        assert read["text"][position] == written["text"].encode()
        # One colour: JPEG keeps it but for the rounding of two changes of colour space.
        np.testing.assert_allclose(read["jpeg"][position].astype(int), written["jpeg"], atol=2)
    assert (read["png"].dtype, read["png"].shape[1:]) == (np.uint8, (4, 5, 3))
    assert (read["flag"].dtype, read["pair"].dtype) == (np.bool_, np.float32)
    assert isinstance(read["grey"], list)  # of two sizes
    assert isinstance(read["ids"], list)


def test_parts_of_splits_are_cut_by_position_across_files():
    index = tfds_folder.read_split(GOLDEN, "golden/small", "train", ["nested/index"])["nested/index"]
    test = tfds_folder.read_split(GOLDEN, "golden/small", "test", ["nested/index"])["nested/index"]
    for split, expected in (
        ("train[:3]", index[:3]),
        ("train[3:7]", index[3:7]),
        ("train[7:]", index[7:]),
        ("train[-2:]", index[-2:]),
        ("train[8:]+test[:1]", [*index[8:], test[0]]),
    ):
        part = tfds_folder.read_split(GOLDEN, "golden/small", split, ["nested/index"])
        np.testing.assert_array_equal(part["nested/index"], expected)
        assert tfds_folder.find(GOLDEN, "golden/small").size(split) == len(expected)


@pytest.mark.parametrize("dataset", ["golden", "golden/small", "golden/small:1.0.0"])
def test_config_and_version_may_be_left_out(dataset):
    assert tfds_folder.find(GOLDEN, dataset).path == GOLDEN / "golden" / "small" / "1.0.0"


def test_the_newest_version_is_taken(copy):
    data_dir, folder = copy
    for version in ("0.9.0", "1.10.0", "1.2.0"):
        shutil.copytree(folder, folder.with_name(version))
    assert tfds_folder.find(data_dir, "golden/small").path.name == "1.10.0"
    assert tfds_folder.find(data_dir, "golden/small:1.2.0").path.name == "1.2.0"


def test_the_older_form_of_features_json_is_read_alike(copy):
    data_dir, folder = copy
    now = tfds_folder.find(data_dir, "golden").features
    old = {
        "png": ("image_feature.Image", {"shape": [4, 5, 3], "dtype": "uint8", "encoding_format": "png"}),
        "grey": (
            "image_feature.Image",
            {"shape": [None, None, 1], "dtype": "uint8", "encoding_format": "png"},
        ),
        "jpeg": ("image_feature.Image", {"shape": [16, 16, 3], "dtype": "uint8", "encoding_format": "jpeg"}),
        "label": ("class_label_feature.ClassLabel", {"num_classes": 3}),
        "text": ("text_feature.Text", {}),
        "ids": ("sequence_feature.Sequence", {"feature": {}, "length": None}),
        "pair": ("feature.Tensor", {"shape": [2], "dtype": "float32", "encoding": "none"}),
        "flag": ("feature.Tensor", {"shape": [], "dtype": "bool", "encoding": "none"}),
    }
    content = {
        name: {"type": f"{tfds_folders.PREFIX}.{kind}", "content": c} for name, (kind, c) in old.items()
    }
    (folder / "features.json").write_text(
        json.dumps({"type": f"{tfds_folders.PREFIX}.features_dict.FeaturesDict", "content": content})
    )
    then = tfds_folder.find(data_dir, "golden").features
    assert then == {name: feature for name, feature in now.items() if name in old}


def test_a_folder_of_ours_is_read_as_it_was_written(tmp_path):
    examples = [{"ids": np.arange(i), "text": f"{i}", "label": i % 2} for i in range(1, 8)]
    features = {"ids": tfds_folders.integers(), "text": tfds_folders.text(), "label": tfds_folders.classes(2)}
    tfds_folders.write(tmp_path, "reviews/subwords8k:1.0.0", features, {"train": examples}, files=3)
    read = tfds_folder.read_split(tmp_path, "reviews/subwords8k", "train")
    assert [ids.tolist() for ids in read["ids"]] == [list(range(i)) for i in range(1, 8)]
    assert read["text"] == [b"1", b"2", b"3", b"4", b"5", b"6", b"7"]
    assert read["label"].tolist() == [1, 0, 1, 0, 1, 0, 1]


def test_an_encoded_text_comes_as_token_ids(tmp_path):
    features = {"text": tfds_folders.text()}
    tfds_folders.write(tmp_path, "old:1.0.0", features, {"train": [{"text": np.array([5, 6, 7])}]})
    (ids,) = tfds_folder.read_split(tmp_path, "old", "train")["text"]
    assert ids.tolist() == [5, 6, 7]


def test_negative_and_large_integers_survive():
    values = {"x": np.array([-1, 0, 2**62, -(2**63)])}
    np.testing.assert_array_equal(
        tfrecord.parse_example(tfrecord.serialize_example(values))["x"], values["x"]
    )


def test_the_checksum_of_a_record_is_that_of_the_format():
    # CRC-32C of 32 zero bytes is 0x8a9136aa (RFC 3720, B.4); masked: turned right by 15 bits, plus 0xa282ead8.
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
    assert tfrecord.frame(bytes(32))[-4:] == struct.pack("<I", masked)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda content: content[:-1], r"byte 38\d\d: \d+ bytes should follow, but only \d+ do"),
        (lambda content: content[:5], "byte 0: the file ends inside its header"),
        (lambda content: b"\x01" + content[1:], "byte 0: the checksum of its length is wrong"),
        (lambda content: content[:40] + b"x" + content[41:], "byte 0: the checksum of its payload is wrong"),
        (lambda content: b"", "ends after 0 records, but 5 were expected"),
        (lambda content: content + content, "has more than the 5 records that were expected"),
    ],
)
def test_a_corrupt_file_is_refused_with_its_name_and_place(copy, spoil, what):
    data_dir, folder = copy
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(spoil(content))
    with pytest.raises(ValueError, match=what) as caught:
        tfds_folder.read_split(data_dir, "golden", "train")
    assert str(folder / FILE) in str(caught.value)
    assert len(tfds_folder.read_split(data_dir, "golden", "train[:5]")["label"]) == 5  # the other file


def test_a_record_that_is_no_example_is_refused(copy):
    data_dir, folder = copy
    (folder / FILE).write_bytes(tfrecord.frame(b"\xff\xff") * 5)
    with pytest.raises(ValueError, match=rf"{FILE}: record 0: not a tf.train.Example"):
        tfds_folder.read_split(data_dir, "golden", "train")


def test_a_picture_that_is_none_is_refused(tmp_path):
    features = {"image": tfds_folders.image(None, None, 3)}
    folder = tfds_folders.write(tmp_path, "a:1.0.0", features, {"train": []})
    (folder / "a-train.tfrecord-00000-of-00001").write_bytes(
        tfrecord.frame(tfrecord.serialize_example({"image": [b"GIF"]}))
    )
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["1"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(ValueError, match=r"record 0: not a PNG or JPEG image \(3 bytes"):
        tfds_folder.read_split(tmp_path, "a", "train")


@pytest.mark.parametrize("lengths", [["0"], []])
def test_a_split_that_is_said_to_be_empty_and_is_not_is_refused(tmp_path, lengths):
    features = {"text": tfds_folders.text()}
    folder = tfds_folders.write(tmp_path, "a:1.0.0", features, {"train": [{"text": "x"}]})
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = lengths
    (folder / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(
        ValueError, match=r"say that a-train\.tfrecord-00000-of-00001 has no records, but something"
    ):
        tfds_folder.find(tmp_path, "a")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["x", np.array([5])], "record 1: text 'text' is numbers, in the records before it a text"),
        ([np.array([5]), "x"], "record 1: text 'text' is a text, in the records before it numbers"),
        ([np.array([-1])], r"record 0: text 'text' is \[-1\]; token ids are whole numbers, 0 or more"),
    ],
)
def test_a_text_is_all_bytes_or_all_token_ids(tmp_path, texts, message):
    features = {"text": tfds_folders.text()}
    tfds_folders.write(tmp_path, "a:1.0.0", features, {"train": [{"text": text} for text in texts]})
    with pytest.raises(ValueError, match=message):
        tfds_folder.read_split(tmp_path, "a", "train")


@pytest.mark.parametrize(
    ("place", "key", "value", "message"),
    [
        (
            "image",
            "dtype",
            "uint16",
            "feature 'image': its pictures are of type 'uint16'; only those of 8 bits",
        ),
        (
            "classLabel",
            "numClasses",
            "ten",
            "feature 'label': numClasses is 'ten'; must be a number of classes",
        ),
        ("classLabel", "numClasses", 2**70, "feature 'label': numClasses is 1180591620717411303424"),
    ],
)
def test_features_that_are_not_understood_are_refused(tmp_path, place, key, value, message):
    features = {"image": tfds_folders.image(8, 8, 3), "label": tfds_folders.classes(2)}
    folder = tfds_folders.write(tmp_path, "a:1.0.0", features, {"train": []})
    described = json.loads((folder / "features.json").read_text())
    named = described["featuresDict"]["features"]["image" if place == "image" else "label"]
    named[place][key] = value
    (folder / "features.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=message):
        tfds_folder.find(tmp_path, "a")
    described["featuresDict"]["features"] = {}
    (folder / "features.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match="names no features"):
        tfds_folder.find(tmp_path, "a")


def test_what_is_absent_is_named_with_what_there_is(copy):
    data_dir, folder = copy
    with pytest.raises(FileNotFoundError, match=r"tfds build silver --data_dir") as caught:
        tfds_folder.find(data_dir, "silver")
    assert str(data_dir / "silver") in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"golden/small:2.0.0 in .*; it has version 1.0.0"):
        tfds_folder.find(data_dir, "golden/small:2.0.0")
    with pytest.raises(ValueError, match="no split 'validation'; it has train, test"):
        tfds_folder.read_split(data_dir, "golden", "validation")
    with pytest.raises(ValueError, match=r"no split 'train\[:50%\]'"):
        tfds_folder.read_split(data_dir, "golden", "train[:50%]")
    with pytest.raises(ValueError, match="no feature 'image'; it has flag, grey"):
        tfds_folder.read_split(data_dir, "golden", "train", ["image"])
    (folder / "features.json").unlink()
    with pytest.raises(ValueError, match=r"features.json is missing; prepare the data set again"):
        tfds_folder.find(data_dir, "golden")


def test_a_feature_that_a_record_lacks_is_named(tmp_path):
    features = {"label": tfds_folders.classes(2), "text": tfds_folders.text()}
    tfds_folders.write(tmp_path, "a:1.0.0", features, {"train": [{"label": 1}]})
    with pytest.raises(ValueError, match="record 0: feature 'text' is missing"):
        tfds_folder.read_split(tmp_path, "a", "train")


def test_other_file_formats_are_refused_with_the_command_that_converts(copy):
    data_dir, folder = copy
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "array_record"}))
    with pytest.raises(ValueError, match=r"are array_record; .*tfds convert_format"):
        tfds_folder.find(data_dir, "golden")


def cubic(size: int, out: int) -> np.ndarray:
    """[out, size]: the weights of `pictures.resize` along one axis, in float64."""
    a = -0.75
    matrix = np.zeros((out, size))
    for x in range(out):
        u = (x + 0.5) * size / out - 0.5
        for i in range(int(np.floor(u)) - 1, int(np.floor(u)) + 3):
            t = abs(u - i)
            near = (a + 2) * t**3 - (a + 3) * t**2 + 1
            far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
            matrix[x, np.clip(i, 0, size - 1)] += near if t <= 1 else far
    return matrix


@pytest.mark.parametrize("shape", [(50, 37, 3), (20, 70, 1), (16, 16, 3)])
def test_resizing_is_bicubic_without_keeping_the_aspect_ratio(shape):
    image = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    exact = np.einsum("xi,yj,ijc->xyc", cubic(shape[0], 32), cubic(shape[1], 32), image.astype(np.float64))
    # OpenCV's weights have 11 bits: two passes of four weights leave less than half a step, rounding another half.
    np.testing.assert_allclose(pictures.resize(image, 32, 32), np.clip(exact, 0, 255), atol=1.0)


def test_channels_come_in_the_order_red_green_blue():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    np.testing.assert_array_equal(pictures.decode(tfds_folders.encode(red, "png"), 3), red)
    # JPEG changes the colour space and back, each rounded.
    np.testing.assert_allclose(pictures.decode(tfds_folders.encode(red, "jpeg"), 3).astype(int), red, atol=3)
    grey = pictures.decode(tfds_folders.encode(red[..., :1], "png"), 3)
    assert grey.shape == (8, 8, 3)
    _, alpha = cv2.imencode(".png", np.dstack([red[..., ::-1], np.full((8, 8), 9, np.uint8)]))
    np.testing.assert_array_equal(pictures.decode(alpha.tobytes(), 4)[0, 0], [255, 0, 0, 9])


def write_pictures(data_dir, count=5, files=2, value=0):
    features = {"image": tfds_folders.image(None, None, 3, encoding="jpeg"), "label": tfds_folders.classes(9)}
    examples = [
        {"image": np.full((20 + i, 30, 3), value + 20 * i, np.uint8), "label": i} for i in range(count)
    ]
    tfds_folders.write(data_dir, "weeds:1.0.0", features, {"train": examples}, files)


def test_resized_images_are_made_once_and_then_read_from_the_cache(tmp_path, cache, monkeypatch):
    write_pictures(tmp_path)
    images, labels = resized.resized_images(tmp_path, "weeds", "train", "label", (8, 8, 3))
    assert (images.shape, images.dtype, labels.tolist()) == ((5, 8, 8, 3), np.uint8, [0, 1, 2, 3, 4])
    assert images[:, 3, 3, 0].tolist() == [0, 20, 40, 60, 80]  # one colour each
    assert isinstance(images, np.memmap)
    monkeypatch.setattr(pictures, "decode", None)  # decoding again would fail
    again, _ = resized.resized_images(tmp_path, "weeds", "train", "label", (8, 8, 3))
    np.testing.assert_array_equal(again, images)
    assert len(list(cache.iterdir())) == 1


def test_the_cache_follows_the_files_and_what_is_asked(tmp_path, cache):
    write_pictures(tmp_path)
    arguments = (tmp_path, "weeds", "train", "label")
    assert resized.resized_images(*arguments, (8, 8, 3))[0].shape == (5, 8, 8, 3)
    assert resized.resized_images(*arguments, (4, 8, 3))[0].shape == (5, 4, 8, 3)
    shutil.rmtree(tmp_path / "weeds")
    write_pictures(tmp_path, value=7)
    assert resized.resized_images(*arguments, (8, 8, 3))[0][0, 0, 0, 0] == 7
    assert len(list(cache.iterdir())) == 3


def test_a_corrupt_set_leaves_nothing_in_the_cache(tmp_path, cache):
    write_pictures(tmp_path)
    file = tmp_path / "weeds" / "1.0.0" / "weeds-train.tfrecord-00001-of-00002"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="corrupt record"):
        resized.resized_images(tmp_path, "weeds", "train", "label", (8, 8, 3))
    assert list(cache.iterdir()) == []


def test_records_are_interleaved_as_tfds_reads_them():
    # Found by running TFDS 4.9.10 on files of 21 and 20 records.
    expected = [*range(16), *range(21, 37), *range(16, 21), *range(37, 41)]
    assert tfds_folder.interleaved([21, 20]).tolist() == expected
    assert tfds_folder.interleaved([3]).tolist() == [0, 1, 2]
    # Two open at a time, two records a turn: the third file takes the place of the first that ends.
    assert tfds_folder.interleaved([3, 4, 2], cycle=2, block=2).tolist() == [0, 1, 3, 4, 2, 5, 6, 7, 8]


def test_a_translation_is_a_text_a_language(tmp_path):
    pairs = [{"de": "ä b", "en": "a"}, {"de": "", "en": "c"}]
    features = tfds_folders.translation("de", "en")
    tfds_folders.write(tmp_path, "small/de-en:1.0.0", features, {"train": pairs}, supervised=("de", "en"))
    read = tfds_folder.read_split(tmp_path, "small/de-en:1.0.0", "train")
    assert read == {"de": ["ä b".encode(), b""], "en": [b"a", b"c"]}
    described = tmp_path / "small" / "de-en" / "1.0.0" / "features.json"
    described.write_text(described.read_text().replace('["de", "en"]', '"de"'))
    with pytest.raises(ValueError, match="its languages are 'de'"):
        tfds_folder.find(tmp_path, "small/de-en:1.0.0")
