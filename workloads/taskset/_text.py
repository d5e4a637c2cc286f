"""TaskSet's text: token ids with 0 as padding, four splits, and a random slice of every text that is visited.

bytes: id = byte + 1, 257 ids. subwords8k: what TFDS made, about 8,192 ids.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from workloads._source import Batch, Provenance, ResidentData
from workloads.data import tfds_folder
from workloads.taskset import _text_stand_ins
from workloads.taskset._draws import BYTE_DATASETS, SUBWORD_DATASETS

FUSED = "imdb_reviews/subwords8kimdb_reviews/bytes"  # a name of two data sets; we read it as the first
IMDB = "imdb_reviews/subwords8k"

BYTE_IDS = 257  # with padding

# Real texts beyond these are left out, so that every split fits into memory as one array. TaskSet sees all of them, but
# 10,000 steps visit few: its largest sets are lm1b, Wikipedia and Amazon's reviews.
MOST_TRAIN, MOST_HELD_OUT = 100_000, 10_000  # texts per split
MOST_TOKENS = 2**28  # of a split with padding, half a gibibyte; longer texts lose their ends


@dataclasses.dataclass(frozen=True)
class TextSet:
    """Facts of a data set.

    Attributes:
      subword_ids: how many ids its subwords have with padding, None for bytes.
      mean_length: tokens of an average text, roughly; for the stand-ins (our estimate).
      classes: of its labels.
    """

    subword_ids: int | None
    mean_length: int
    classes: int


def text_set(name: str) -> TextSet:
    """The facts of a data set.

    Raises:
      ValueError: no text data set of TaskSet has that name.
    """
    if name not in BYTE_DATASETS + SUBWORD_DATASETS:
        known = ", ".join(BYTE_DATASETS + SUBWORD_DATASETS)
        raise ValueError(f"unknown text data set {name!r}; allowed: {known}")
    corpus = name.partition("/")[0]
    in_bytes = {
        "imdb_reviews": 1300,
        "lm1b": 140,
        "tokenized_amazon_reviews": 500,
        "tokenized_wikipedia": 300,
    }
    if name.endswith("bytes"):
        ids, length = None, in_bytes[corpus]
    else:
        ids, length = (8185 if name == IMDB else 8192), in_bytes[corpus] // 4
    return TextSet(ids, length, 5 if corpus == "tokenized_amazon_reviews" else 2)


def load(
    name: str,
    patch_length: int,
    per_validation: int,
    num_train: int | None,
    data_dir: pathlib.Path | None,
    labels: bool = False,
    just_train: bool = False,
) -> ResidentData:
    """The four splits of a data set: `text` [example, token], `length`, and `targets` if there are labels.

    The model sees slices, see `random_slices`. Arrays are read only.

    Args:
      name: such as `lm1b/bytes`.
      patch_length: of the slices.
      per_validation: texts of each of the two validation splits, the head of the real training split; at most two
        fifths of it each, which is what the word models leave of IMDB.
      num_train: at most so many training texts; None for all.
      data_dir: a TFDS folder with the real data, or None for stand-ins.
      labels: keep the labels.
      just_train: all four splits are the train split.

    Raises:
      FileNotFoundError: the set is not in data_dir.
      ValueError: unknown data set, or its files are not what they should be.
    """
    splits, provenance = _splits(name, per_validation, data_dir, labels)
    if num_train is not None:
        splits = {**splits, "train": {name: values[:num_train] for name, values in splits["train"].items()}}
    if just_train:
        splits = dict.fromkeys(splits, splits["train"])
    return ResidentData(splits, provenance, random_slices(patch_length))


def random_slices(patch_length: int) -> Callable[[jax.Array, Batch, str], Batch]:
    """A transform that leaves patch_length tokens of every text, from a random place; short texts end in zeros.

    The place is uniform over 0 .. length - patch_length - 1: as in the original, the very last slice never comes up.
    """

    def transform(key: jax.Array, batch: Batch, split: str) -> dict[str, jax.Array]:
        del split
        text, length = batch["text"], batch["length"]
        missing = max(patch_length - text.shape[1], 0)
        text = jnp.pad(text, ((0, 0), (0, missing)))
        places = jnp.maximum(length - patch_length, 0)
        start = jnp.floor(jax.random.uniform(key, length.shape) * places).astype(jnp.int32)
        columns = start[:, None] + jnp.arange(patch_length)
        sliced = jnp.take_along_axis(text, columns, axis=1).astype(jnp.int32)
        return {name: value for name, value in batch.items() if name != "length"} | {"text": sliced}

    return transform


@functools.lru_cache(maxsize=4)  # hundreds of tasks use a few sets, and a real one may take a gibibyte
def _splits(
    name: str, per_validation: int, data_dir: pathlib.Path | None, labels: bool
) -> tuple[dict[str, dict[str, np.ndarray]], Provenance]:
    facts = text_set(name)
    if data_dir is None:
        classes = facts.classes if labels else 1
        texts, provenance = _text_stand_ins.stand_in(name, facts.subword_ids, facts.mean_length, classes)
    else:
        texts, provenance = _published(name, facts, per_validation, data_dir, labels)
    splits = {}
    for split, (ids, targets) in texts.items():
        splits[split] = _padded(ids) | ({"targets": targets} if labels else {})
        for values in splits[split].values():
            values.flags.writeable = False
    return splits, provenance


def _padded(texts: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    longest = max(map(len, texts), default=0)
    width = max(min(longest, MOST_TOKENS // max(len(texts), 1)), 1)
    padded = np.zeros((len(texts), width), np.uint16)
    for row, text in zip(padded, texts, strict=True):
        row[: len(text)] = text[:width]
    return {"text": padded, "length": np.array([min(len(text), width) for text in texts], np.int32)}


def _published(
    name: str, facts: TextSet, per_validation: int, data_dir: pathlib.Path, labels: bool
) -> tuple[dict[str, tuple[list[np.ndarray], np.ndarray]], Provenance]:
    dataset, in_bytes = name, facts.subword_ids is None
    plain = name.replace("/bytes", "/plain_text")  # the same texts, of IMDB and lm1b
    if (
        plain != name
        and not tfds_folder.is_prepared(data_dir, name)
        and tfds_folder.is_prepared(data_dir, plain)
    ):
        dataset = plain
    folder = tfds_folder.find(data_dir, dataset)
    first = min(per_validation, folder.size("train") * 2 // 5)
    parts = {
        "inner_valid": f"train[:{first}]",
        "outer_valid": f"train[{first}:{2 * first}]",
        "train": f"train[{2 * first}:{2 * first + MOST_TRAIN}]",
        "test": f"test[:{MOST_HELD_OUT}]",
    }
    splits = {}
    for split, part in parts.items():
        columns = tfds_folder.read_split(data_dir, dataset, part, ("text", "label") if labels else ("text",))
        texts = [_ids(text, in_bytes, folder.path) for text in columns["text"]]
        targets = np.asarray(columns["label"] if labels else np.zeros(len(texts), np.int64))
        if targets.size and not 0 <= targets.min() <= targets.max() < facts.classes:
            raise ValueError(
                f"{folder.path}: {split} has labels from {targets.min()} to {targets.max()}, "
                f"expected 0 to {facts.classes - 1}"
            )
        splits[split] = texts, targets.astype(np.int32)
    sizes = ", ".join(f"{len(texts):,} {split}" for split, (texts, _) in splits.items())
    return splits, Provenance("real", f"{name}, texts: {sizes}")


def _ids(text: bytes | np.ndarray, in_bytes: bool, path: pathlib.Path) -> np.ndarray:
    if isinstance(text, bytes):
        if not in_bytes:
            raise ValueError(f"{path}: texts are bytes where ids of subwords were expected")
        return _text_stand_ins.byte_ids(text)
    highest = BYTE_IDS if in_bytes else 2**16
    if text.size and not 0 < text.min() <= text.max() < highest:
        raise ValueError(f"{path}: a text has ids {text.min()} to {text.max()}; expected 1 to {highest - 1}")
    return text
