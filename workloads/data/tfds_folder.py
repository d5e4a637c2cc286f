"""Reader of the folders that TensorFlow Datasets prepares, without TensorFlow.

`tfds build NAME --data_dir DIR` makes `DIR/NAME[/CONFIG]/VERSION/` with `dataset_info.json` (splits, and how many
records each of their files has), `features.json` (what a record holds) and TFRecord files such as
`mnist-train.tfrecord-00000-of-00001`. Both forms of `features.json` are understood: the one of today, and
the older one that names a `type` and its `content`. Needs the extra `shortlist[tfds]`.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from workloads.data import pictures, reading, tfrecord

VERSION = re.compile(r"\d+\.\d+\.\d+")
# What the reader of the records has to know of TFDS's feature classes; all others come as arrays, as stored.
SMALLEST_RECORD = 16  # bytes in a file of one without content
IMAGES, TEXTS, RAGGED = ("Image", "LabeledImage"), ("Text",), ("Sequence",)


@dataclasses.dataclass(frozen=True)
class Feature:
    """What a record holds under one name.

    Attributes:
      kind: `image`: a compressed picture; `text`: one byte string, or the token ids of an encoded text; `array`:
        numbers of a fixed shape; `ragged`: numbers, any amount of them.
      shape: of an array, or [height, width, channels] of an image; None where it differs.
      dtype: of an array's numbers, as NumPy names it.
      classes: of a label, which is -1 where there is none; None: not a label, or not said.
    """

    kind: Literal["image", "text", "array", "ragged"]
    shape: tuple[int | None, ...] = ()
    dtype: str = "int64"
    classes: int | None = None


@dataclasses.dataclass(frozen=True)
class Folder:
    """A prepared data set.

    Attributes:
      path: the folder of the version.
      splits: split name -> its files in order, each with its number of records.
      features: name -> what a record holds; names of nested features are joined by `/`.
    """

    path: pathlib.Path
    splits: Mapping[str, Sequence[tuple[pathlib.Path, int]]]
    features: Mapping[str, Feature]

    def size(self, split: str) -> int:
        """Records of a split, `train` or parts such as `train[100:]+validation`."""
        return sum(stop - start for _, start, stop in self.parts(split))

    def check_sizes(self, split: str) -> None:
        """Accepts files that are long enough for the records that they are said to have.

        Raises:
          FileNotFoundError: a file is not there.
          ValueError: a file is too short.
        """
        for file, _, stop in self.parts(split):
            size = reading.check_file(file, "no such file; prepare the data set again").st_size
            if stop * SMALLEST_RECORD > size:
                raise ValueError(
                    f"{file}: ends after {size} bytes, but {stop} records were expected; make it again"
                )

    def parts(self, split: str) -> list[tuple[pathlib.Path, int, int]]:
        """Files of a split, in order, each with the first record to take and the one to end before.

        Args:
          split: names joined by `+`, each with an optional slice by position, as TFDS writes them:
            `train[:5000]`, `train[5000:]`, `train[-100:]`. Percentages are not understood.

        Raises:
          ValueError: there is no such split.
        """
        parts = []
        for part in split.split("+"):
            match = re.fullmatch(r"\s*([^\[\]]+?)\s*(?:\[(-?\d*):(-?\d*)\])?\s*", part)
            if match is None or match[1] not in self.splits:
                raise ValueError(
                    f"{self.path}: no split {part!r}; it has {', '.join(self.splits)}, "
                    "and a part of one is written like 'train[100:200]'"
                )
            files = self.splits[match[1]]
            wanted = slice(*(int(bound) if bound else None for bound in match.groups()[1:]))
            start, stop, _ = wanted.indices(sum(size for _, size in files))
            for file, size in files:
                if max(start, 0) < min(stop, size):
                    parts.append((file, max(start, 0), min(stop, size)))
                start, stop = start - size, stop - size
        return parts


def find(data_dir: pathlib.Path, dataset: str) -> Folder:
    """A data set in a TFDS data folder.

    Args:
      data_dir: TFDS's own `--data_dir`.
      dataset: `name[/config][:version]`. Without a config: the one that TFDS marked as the default, or the only
        one; without a version: the newest.

    Raises:
      FileNotFoundError: it is not there; the message names the places and the command that makes it.
      ValueError: it was prepared in a form that is not understood.
    """
    name, _, version = dataset.partition(":")
    root = data_dir / name
    if "/" not in name and not _versions(root):
        root = _config(root)
    found = _versions(root)
    if not found or (version and version not in found):
        there = f"; it has version {', '.join(found)}" if found else ""
        raise FileNotFoundError(
            f"no TFDS data set {dataset} in {root}{there}; "
            f"make it with 'tfds build {dataset} --data_dir {data_dir}', or leave data_dir out to use embedded data"
        )
    return _read_folder(root / (version or found[-1]))


def is_prepared(data_dir: pathlib.Path, dataset: str) -> bool:
    """Whether the folder has that data set, in any config and version."""
    files = reading.walk_files(data_dir / dataset.partition(":")[0])
    return any(path.name == "dataset_info.json" for path in files)


def read_split(
    data_dir: pathlib.Path, dataset: str, split: str, features: Sequence[str] | None = None
) -> dict[str, list | np.ndarray]:
    """A whole split in memory, by feature; for more than that see `iterate` and `data.resized`.

    Args:
      data_dir, dataset: see `find`.
      split: see `Folder.parts`.
      features: the ones to read; None: all.

    Returns:
      For every feature one entry per example, in the order of the files: numbers of a fixed shape as an array
      [example, *shape]; numbers of varying length as a list of arrays; texts as a list of bytes (or of arrays of
      token ids, where TFDS encoded them); images as uint8 [example, height, width, channel] where they are of one
      size, else as a list of such arrays.

    Raises:
      FileNotFoundError, ValueError: see `find`, `Folder.parts` and `iterate`.
    """
    folder = find(data_dir, dataset)
    names = tuple(folder.features) if features is None else tuple(features)
    columns: dict[str, list] = {name: [] for name in names}
    for example in iterate(folder, split, names):
        for name, column in columns.items():
            column.append(example[name])
    return {name: _stacked(column, folder.features[name]) for name, column in columns.items()}


def iterate(folder: Folder, split: str, features: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The examples of a split, one at a time, in the order of the files.

    Args:
      folder: as `find` returns it.
      split: see `Folder.parts`.
      features: the ones to read.

    Raises:
      ValueError: a feature is not there, or a file is corrupt; the message names the file.
    """
    unknown = [name for name in features if name not in folder.features]
    if unknown:
        raise ValueError(f"{folder.path}: no feature {unknown[0]!r}; it has {', '.join(folder.features)}")
    encoded: dict[str, bool] = {}
    sizes = {file: size for files in folder.splits.values() for file, size in files}
    for file, start, stop in folder.parts(split):
        whole = stop == sizes[file]
        for number, payload in enumerate(tfrecord.records(file, start, stop, whole=whole), start=start):
            try:
                values = tfrecord.parse_example(payload, features)
                _check_texts(values, folder, encoded)
                yield {name: _value(values.get(name), folder.features[name], name) for name in features}
            except ValueError as error:
                raise ValueError(f"{file}: record {number}: {error}") from None


def _check_texts(values: Mapping[str, tfrecord.Value], folder: Folder, encoded: dict[str, bool]) -> None:
    """Accepts texts that are all bytes, or all token ids; `encoded` keeps what those before were."""
    for name, value in values.items():
        if folder.features[name].kind != "text":
            continue
        ids = not isinstance(value, list)
        if encoded.setdefault(name, ids) != ids:
            kinds = ("a text", "numbers")
            raise ValueError(f"text {name!r} is {kinds[ids]}, in the records before it {kinds[not ids]}")
        if ids and not (np.issubdtype(value.dtype, np.integer) and value.min(initial=0) >= 0):
            raise ValueError(f"text {name!r} is {value.tolist()[:5]}; token ids are whole numbers, 0 or more")


def interleaved(sizes: Sequence[int], cycle: int = 16, block: int = 16) -> np.ndarray:
    """The order in which TFDS reads records that it does not shuffle, as their places in files laid end to end.

    It has so many files open at a time, and takes a block of records of each in turn. A file that ends makes room for
    the next one when its turn comes again.

    Args:
      sizes: records of every file.
      cycle: files open at a time.
      block: records of a turn.
    """
    order: list[int] = []
    starts = np.cumsum([0, *sizes])
    files = iter(range(len(sizes)))
    places: list[list[int] | None] = [None] * cycle  # [next record, end] of the open files
    turn, left = 0, len(sizes)
    while left:
        if places[turn] is None:
            number = next(files, None)
            if number is not None:
                places[turn] = [int(starts[number]), int(starts[number + 1])]
        place = places[turn]
        if place is not None:
            end = min(place[0] + block, place[1])
            order.extend(range(place[0], end))
            # Its end is only noticed when one more record is asked for.
            if end - place[0] < block:
                places[turn], left = None, left - 1
            else:
                place[0] = end
        turn = (turn + 1) % cycle
    return np.array(order, np.int64)


def _versions(folder: pathlib.Path) -> list[str]:
    """Versions below a folder, the newest last."""
    if not folder.is_dir():
        return []
    found = [child.name for child in folder.iterdir() if VERSION.fullmatch(child.name) and child.is_dir()]
    return sorted(found, key=lambda version: [int(number) for number in version.split(".")])


def _config(root: pathlib.Path) -> pathlib.Path:
    """The folder of a data set's default config; the data set's own folder where that is not known."""
    marked = root / ".config" / "metadata.json"
    if reading.lies(marked):
        name = _json(marked).get("default_config_name")
        if not isinstance(name, str) or not re.fullmatch(r"[\w.+-]+", name):
            raise ValueError(f"{marked}: default_config_name is {name!r}; must be the name of a folder")
        return root / name
    configs = [child for child in root.iterdir() if _versions(child)] if root.is_dir() else []
    return configs[0] if len(configs) == 1 else root


def _read_folder(path: pathlib.Path) -> Folder:
    info, features = (_json(path / name) for name in ("dataset_info.json", "features.json"))
    file_format = info.get("fileFormat", "tfrecord")
    if file_format != "tfrecord":
        raise ValueError(
            f"{path}: its files are {file_format}; make them again as TFRecord: "
            f"tfds convert_format --dataset_version_dir={path} --out_file_format=tfrecord --out_dir=..."
        )
    try:
        described = msgspec.convert(info, _Info)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path / 'dataset_info.json'}: {error}; prepare the data set again") from None
    splits: dict[str, list[tuple[pathlib.Path, int]]] = {}
    for split in described.splits:
        sizes = [int(size) for size in split.shard_lengths]
        if split.name in splits:
            raise ValueError(f"{path / 'dataset_info.json'}: has the split {split.name!r} twice")
        splits[split.name] = [
            (path / _file_name(split, _shard(described.name, split.name, i, len(sizes)), path), size)
            for i, size in enumerate(sizes)
        ]
        _check_empty(path, described.name, split.name, splits[split.name])
    flat = dict(_flat(features, "", path / "features.json"))
    if not flat:
        raise ValueError(f"{path / 'features.json'}: names no features; prepare the data set again")
    return Folder(path, splits, flat)


def _check_empty(
    path: pathlib.Path, dataset: str, split: str, files: Sequence[tuple[pathlib.Path, int]]
) -> None:
    """Refuses files with something in them where no records are said to be."""
    there = [file for file, size in files if not size and file.is_file() and file.stat().st_size]
    if not files:
        began = f"{dataset}-{split}.tfrecord"
        there = [file for file in reading.matching(path, "*") if file.name.startswith(began)]
    if there:
        raise ValueError(
            f"{path / 'dataset_info.json'}: split {split!r}: its shardLengths say that {there[0].name} has no records, "
            "but something is in it; prepare the data set again"
        )


_Count = (
    Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,15}$")] | Annotated[int, msgspec.Meta(ge=0, lt=10**15)]
)


class _Split(msgspec.Struct, rename="camel"):
    """Of a `dataset_info.json`; it says more of a split."""

    name: str
    shard_lengths: list[_Count]
    filepath_template: str = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


class _Info(msgspec.Struct):
    name: str
    splits: list[_Split] = []


def _file_name(split: _Split, fields: Mapping[str, str], path: pathlib.Path) -> str:
    """The name of a file by TFDS's template; never that of a file elsewhere."""
    template = split.filepath_template
    # Not str.format, whose templates reach into objects and ask for any amount of memory.
    name = re.sub(r"\{(\w+)\}", lambda field: fields.get(field[1], field[0]), template)
    if re.search(r"[{}/\0]", name) or name in ("", ".", ".."):
        raise ValueError(
            f"{path / 'dataset_info.json'}: split {split.name!r}: filepathTemplate {template!r} is none of TFDS's "
            f"(fields: {', '.join(fields)})"
        )
    return name


def _json(path: pathlib.Path) -> dict[str, Any]:
    try:
        data = reading.read_json(path)
    except FileNotFoundError:
        raise ValueError(
            f"{path} is missing; prepare the data set again with tensorflow-datasets 4 or newer"
        ) from None
    except ValueError as error:
        raise ValueError(f"{error}; prepare the data set again") from None
    return _object(data, str(path))


def _object(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(
            f"{where}: is {type(data).__name__} where an object should be; prepare the data set again"
        )
    return data


def _shard(dataset: str, split: str, number: int, of: int) -> dict[str, str]:
    """The fields of TFDS's templates for file names."""
    names = {"DATASET": dataset, "SPLIT": split, "FILEFORMAT": "tfrecord"}
    index, count = f"{number:05d}", f"{of:05d}"
    return {**names, "SHARD_INDEX": index, "NUM_SHARDS": count, "SHARD_X_OF_Y": f"{index}-of-{count}"}


def _flat(feature: Any, name: str, path: pathlib.Path) -> Iterator[tuple[str, Feature]]:
    """The leaves of a `features.json`."""
    where = f"{path}: feature {name!r}" if name else str(path)
    feature = _object(feature, where)
    named = feature.get("pythonClassName") or feature.get("type")
    if not isinstance(named, str):
        raise ValueError(f"{where}: has no pythonClassName; prepare the data set again")
    kind = named.rpartition(".")[-1]
    content = feature.get("content", {})  # of the older form
    if kind == "FeaturesDict":
        inner = content
        if "featuresDict" in feature:
            inner = _object(feature["featuresDict"], where).get("features")
        for child, value in _object(inner, where).items():
            yield from _flat(value, f"{name}/{child}" if name else child, path)
    elif kind == "Translation":
        languages = _object(feature.get("translation", content), where).get("languages")
        if not languages or not isinstance(languages, list) or not all(isinstance(x, str) for x in languages):
            raise ValueError(f"{where}: its languages are {languages!r}; must be names of some")
        for language in languages:
            yield f"{name}/{language}" if name else language, Feature("text")
    elif kind in IMAGES:
        described = _object(feature.get("image", content), where)
        if (dtype := described.get("dtype", "uint8")) != "uint8":
            raise ValueError(
                f"{where}: its pictures are of type {dtype!r}; only those of 8 bits are understood"
            )
        yield name, Feature("image", _shape(described, where), "uint8")
    elif kind in TEXTS:
        yield name, Feature("text")
    elif kind in RAGGED:
        yield name, Feature("ragged")
    elif kind == "ClassLabel":
        described = feature.get("classLabel", content)
        number = (
            described.get("numClasses", described.get("num_classes")) if isinstance(described, dict) else None
        )
        if number is not None and (isinstance(number, bool) or not re.fullmatch(r"[0-9]{1,9}", str(number))):
            raise ValueError(f"{where}: numClasses is {number!r}; must be a number of classes")
        yield name, Feature("array", classes=None if number is None else int(str(number)))
    else:
        described = _object(feature.get("tensor", content), where)
        yield name, Feature("array", _shape(described, where), str(described.get("dtype", "int64")))


def _shape(described: Any, where: str) -> tuple[int | None, ...]:
    shape = _object(described, where).get("shape", ())
    sizes = shape.get("dimensions", ()) if isinstance(shape, Mapping) else shape
    if not isinstance(sizes, list | tuple) or not all(
        size is None or re.fullmatch(r"-?[0-9]{1,15}", str(size)) for size in sizes
    ):
        raise ValueError(f"{where}: its shape is {sizes!r}; must be whole numbers")
    return tuple(None if size is None or int(size) < 0 else int(size) for size in sizes)


def _value(values: tfrecord.Value | None, feature: Feature, name: str) -> Any:
    """One example's value of a feature, see `read_split`."""
    if feature.kind == "ragged":
        return np.zeros(0, np.int64) if values is None else values
    if values is None:
        raise ValueError(f"feature {name!r} is missing")
    if isinstance(values, list):
        if feature.kind == "array" or len(values) != 1:
            raise ValueError(f"feature {name!r} is {len(values)} byte strings, which is not understood here")
        channels = feature.shape[-1] if feature.shape else None
        return pictures.decode(values[0], channels) if feature.kind == "image" else values[0]
    if feature.kind == "image":
        raise ValueError(f"image {name!r} is stored as numbers; only PNG and JPEG are understood")
    if feature.kind == "text":
        return values
    numbers = _numbers(values, feature.dtype, name)
    if feature.classes is not None and not (
        numbers.min(initial=0) >= -1 and numbers.max(initial=0) < feature.classes
    ):
        raise ValueError(f"label {name!r} is {numbers.tolist()}; there are {feature.classes} classes")
    shape = [size for size in feature.shape if size is not None]
    return numbers.reshape(shape) if len(shape) == len(feature.shape) else numbers


def _numbers(values: np.ndarray, dtype: str, name: str) -> np.ndarray:
    """Numbers in the type that they are said to have, where it holds them."""
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = np.dtype(object)
    if wanted.kind not in "biuf":
        raise ValueError(f"feature {name!r} has the type {dtype!r}, which is not understood here")
    with np.errstate(invalid="ignore", over="ignore"):
        numbers = values.astype(wanted)
        same = numbers.astype(values.dtype) == values
    if wanted.kind != "f" and not same.all():
        raise ValueError(f"feature {name!r} is {values[~same][0]}, which is no {dtype}")
    return numbers


def _stacked(column: list, feature: Feature) -> list | np.ndarray:
    fixed = feature.kind == "array" and None not in feature.shape
    one_size = feature.kind == "image" and len({image.shape for image in column}) == 1
    return np.stack(column) if column and (fixed or one_size) else column
