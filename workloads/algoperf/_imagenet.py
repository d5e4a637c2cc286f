"""Streams of ImageNet for AlgoPerf's models: records read in any order, pictures prepared on all cores.

Example n of a training, counted over all epochs, is a function of n and the seed: which record it is, its crop, flip
and augmentation; and how a batch is mixed, of the seed and the batch's number. So a stream begins anywhere.
"""

from __future__ import annotations

import itertools
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from workloads._source import Provenance, StreamedBatch, StreamedData
from workloads.data import imagenet, imagenet_augment, imagenet_images
from workloads.data.imagenet_images import tensorflow
from workloads.parts import WHOLE, Part

CHUNK = 32  # records that one call reads
READERS = 8  # calls at a time, which wait for the disk
AHEAD = 2  # batches that are ready before they are asked for


def read(
    data_dir: pathlib.Path, side: int, classes: int, eval_batch_size: int, augment: bool
) -> StreamedData:
    """ImageNet's splits, and ImageNet-v2 as the test split.

    Evaluations, also those of the leading training examples, see the middle of every picture in TFDS's order.
    AlgoPerf evaluates other training examples every time.

    Args:
      data_dir: see `imagenet.find`.
      side: of the images.
      classes: how many there are.
      eval_batch_size: of evaluations.
      augment: training images go through RandAugment and are mixed, so that targets are shares of the classes.

    Raises:
      FileNotFoundError, ValueError: see `imagenet.find`; or TensorFlow is not installed.
    """
    tensorflow()
    splits = imagenet.find(data_dir, classes)

    def endless(
        split: str, seed: int, batch_size: int, first_step: int, part: Part = WHOLE
    ) -> Iterator[StreamedBatch]:
        training = split == "train"
        prepare = _prepared(side, seed if training else None, augment)
        examples, rows, finish = splits[split], np.arange(batch_size)[part.rows(batch_size)], None
        if training and augment:
            before = (
                part != WHOLE
            )  # the first of a part is mixed with the one before it, which is read as well
            finish = _mixing(seed, first_step, classes, before)
            rows = np.append((rows[0] - 1) % batch_size, rows) if before else rows

        def chosen(begin: int, count: int) -> tuple[np.ndarray, np.ndarray]:
            step, row = np.divmod(np.arange(begin, begin + count), len(rows))
            places = (first_step + step) * batch_size + rows[row]
            return places, imagenet.shuffled_at(len(examples), seed, places)

        return _batches(examples, chosen, None, len(rows), prepare, finish)

    def once(split: str, batch_size: int, part: Part = WHOLE) -> Iterator[StreamedBatch]:
        examples = splits[split]
        order = np.array(part.dealt(examples.in_order().tolist(), batch_size), np.int64)

        def chosen(begin: int, count: int) -> tuple[np.ndarray, np.ndarray]:
            records = order[begin : begin + count]
            return begin + np.arange(len(records)), records

        return _batches(examples, chosen, len(order), batch_size, _prepared(side, None, False), None)

    sizes = {split: len(examples) for split, examples in splits.items()}
    source = (
        f"ImageNet (TFDS {imagenet.TRAINED}), {sizes['train']:,} pictures to train and {sizes['validation']:,} to "
        f"validate on; tested on {sizes['test']:,} of ImageNet-v2"
    )
    return StreamedData(endless, sizes, Provenance("real", source), once, eval_batch_size, reads_parts=True)


def _prepared(side: int, seed: int | None, augment: bool) -> Callable[..., Any]:
    """(number of an example, JPEG file, label) -> fields; without a seed, as evaluations see it."""
    tf = tensorflow()

    def of_example(number, content, label):
        if seed is None:
            return {"inputs": imagenet_images.evaluated(content, side), "targets": label}
        of_its_own = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0], tf.int64), number)
        image = imagenet_images.trained(
            content, of_its_own, side, imagenet_augment.augmented if augment else None
        )
        return {"inputs": image, "targets": label}

    return of_example


def _mixing(seed: int, first_step: int, classes: int, before: bool) -> Callable[..., Any]:
    """(place of a batch in the stream, batch) -> the batch, mixed; without its first row, if that is the one before."""
    tf = tensorflow()

    def mix(place, batch):
        of_its_own = tf.random.experimental.stateless_fold_in(
            tf.constant([seed, 1], tf.int64), first_step + place
        )
        inputs, targets = imagenet_images.mixed(batch["inputs"], batch["targets"], of_its_own, classes)
        return (
            {"inputs": inputs[1:], "targets": targets[1:]}
            if before
            else {"inputs": inputs, "targets": targets}
        )

    return mix


def _batches(
    examples: imagenet.Examples,
    chosen: Callable[[int, int], tuple[np.ndarray, np.ndarray]],
    count: int | None,
    batch_size: int,
    prepare: Callable[..., Any],
    finish: Callable[..., Any] | None,
) -> Iterator[StreamedBatch]:
    """Batches of a stream of examples, prepared in parallel and handed out in order.

    Args:
      examples: of the split.
      chosen: (place in the stream, how many) -> numbers of those examples, which decide what is random in them, and of
        their records; fewer at the end.
      count: examples of the stream; None: without end.
      batch_size: examples that a batch is made of; of the last there may be fewer.
      prepare, finish: of an example and of a batch.

    Raises:
      FileNotFoundError, ValueError: a record or a picture is damaged; the message names it.
    """
    tf = tensorflow()
    failed: list[Exception] = []

    def load(chunk):
        try:
            numbers, records = chosen(int(chunk) * CHUNK, CHUNK)
            contents, labels = examples.read(records.tolist())
        except Exception as error:
            failed.append(error)  # TensorFlow would say it in a page of its own
            raise
        return numbers, np.array(contents, object), np.array(labels, np.int32)

    def loaded(chunk):
        fields = tf.numpy_function(load, [chunk], (tf.int64, tf.string, tf.int32), stateful=False)
        return tuple(tf.ensure_shape(field, [None]) for field in fields)

    chunks = tf.data.Dataset.counter() if count is None else tf.data.Dataset.range(-(-count // CHUNK))
    batches = (
        chunks.map(loaded, num_parallel_calls=READERS)
        .unbatch()
        .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
    )
    if finish is not None:
        batches = batches.enumerate().map(finish, num_parallel_calls=AHEAD)
    iterator = batches.prefetch(AHEAD).as_numpy_iterator()
    for step in itertools.count():
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            if failed:
                raise failed[0] from None
            raise _unusable(examples, *chosen(step * batch_size, batch_size), prepare, error) from None
        yield batch


def _unusable(
    examples: imagenet.Examples,
    numbers: np.ndarray,
    records: np.ndarray,
    prepare: Callable[..., Any],
    error: Exception,
) -> ValueError:
    """Which of a batch's pictures TensorFlow could not prepare."""
    tf = tensorflow()
    for number, record in zip(numbers.tolist(), records.tolist(), strict=True):
        ((content,), (label,)) = examples.read([record])
        try:
            prepare(tf.constant(number, tf.int64), tf.constant(content), label)
        except tf.errors.OpError as found:
            return ValueError(f"{examples.named(record)}: its picture cannot be used: {_said(found)}")
    return ValueError(f"{examples.folder.path}: {_said(error)}")


def _said(error: Any) -> str:
    """TensorFlow's words without its graph's."""
    return re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", error.message.splitlines()[0]).strip()
