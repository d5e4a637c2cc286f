"""Writes small data sets as TFDS lays them out; `tfds_golden/` holds one that TFDS itself wrote."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from workloads.data import tfrecord

PREFIX = "tensorflow_datasets.core.features"


def image(*shape: int | None, encoding: str = "png") -> dict[str, Any]:
    """The entry of an image in features.json."""
    dimensions = [str(-1 if size is None else size) for size in shape]
    described = {"dtype": "uint8", "encodingFormat": encoding, "shape": {"dimensions": dimensions}}
    return {"pythonClassName": f"{PREFIX}.image_feature.Image", "image": described}


def classes(number: int) -> dict[str, Any]:
    """The entry of a label."""
    name = f"{PREFIX}.class_label_feature.ClassLabel"
    return {"pythonClassName": name, "classLabel": {"numClasses": str(number)}}


def text() -> dict[str, Any]:
    """The entry of a text."""
    return {"pythonClassName": f"{PREFIX}.text_feature.Text", "text": {}}


def numbers(dtype: str, *shape: int | None) -> dict[str, Any]:
    """The entry of an array, of which one size may differ between examples."""
    dimensions = [str(-1 if size is None else size) for size in shape]
    described = {"dtype": dtype, "encoding": "none", "shape": {"dimensions": dimensions}}
    return {"pythonClassName": f"{PREFIX}.tensor_feature.Tensor", "tensor": described}


def integers() -> dict[str, Any]:
    """The entry of any number of integers."""
    inner = {
        "pythonClassName": f"{PREFIX}.tensor_feature.Tensor",
        "tensor": {"dtype": "int64", "encoding": "none", "shape": {}},
    }
    return {
        "pythonClassName": f"{PREFIX}.sequence_feature.Sequence",
        "sequence": {"feature": inner, "length": "-1"},
    }


def translation(source: str, target: str) -> dict[str, Any]:
    """A features.json of pairs of texts, as a whole."""
    name = f"{PREFIX}.translation_feature.Translation"
    return {"pythonClassName": name, "translation": {"languages": sorted((source, target))}}


def write(
    data_dir: pathlib.Path,
    dataset: str,
    features: Mapping[str, Mapping[str, Any]],
    splits: Mapping[str, Sequence[Mapping[str, Any]]],
    files: int = 1,
    supervised: Sequence[str] = (),
) -> pathlib.Path:
    """A prepared data set.

    Args:
      data_dir: the folder of all data sets.
      dataset: `name[/config]:version`.
      features: name -> entry of features.json, as the functions above make them; or a whole one, as `translation`.
      splits: name -> examples; an image is an array or a file's bytes, a text bytes or str.
      files: of each split, of nearly equal length.
      supervised: names of the features that are TFDS's supervised keys.

    Returns:
      The folder of the version.
    """
    path, version = dataset.split(":")
    name = path.split("/")[0]
    folder = data_dir / path / version
    folder.mkdir(parents=True)
    described = []
    for split, examples in splits.items():
        parts = np.array_split(np.arange(len(examples)), files)
        for i, part in enumerate(parts):
            records = [tfrecord.frame(_serialized(examples[j], features)) for j in part]
            (folder / f"{name}-{split}.tfrecord-{i:05d}-of-{files:05d}").write_bytes(b"".join(records))
        described.append(
            {
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": split,
                "shardLengths": [str(len(part)) for part in parts],
            }
        )
    info: dict[str, Any] = {"fileFormat": "tfrecord", "name": name, "version": version, "splits": described}
    if "/" in path:
        info["configName"] = path.split("/")[1]
    if supervised:
        info["supervisedKeys"] = {"tuple": {"items": [{"featureKey": key} for key in supervised]}}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    content = {
        "pythonClassName": f"{PREFIX}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    content = features if "pythonClassName" in features else content
    (folder / "features.json").write_text(json.dumps(content))
    return folder


def _serialized(example: Mapping[str, Any], features: Mapping[str, Mapping[str, Any]]) -> bytes:
    values: dict[str, Any] = {}
    for name, value in example.items():
        if "image" in features.get(name, {}) and not isinstance(value, bytes):
            values[name] = [encode(value, features[name]["image"]["encodingFormat"])]
        elif isinstance(value, (bytes, str)):
            values[name] = [value.encode() if isinstance(value, str) else value]
        else:
            values[name] = np.ravel(value)
    return tfrecord.serialize_example(values)


def encode(pixels: np.ndarray, encoding: str) -> bytes:
    """A PNG or JPEG file of an image whose channels are red, green, blue."""
    order = [2, 1, 0] if pixels.shape[-1] == 3 else [0]
    done, content = cv2.imencode(f".{encoding}", pixels[..., order])
    assert done
    return content.tobytes()
