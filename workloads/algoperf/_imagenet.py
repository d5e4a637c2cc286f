"""Streams of ImageNet for AlgoPerf's models: records read in any order, pictures prepared on all cores.

Example n of a training, counted over all epochs, is a function of n and the seed: which record it is, its crop, flip
and augmentation; and how a batch is mixed, of the seed and the batch's number. So a stream begins anywhere.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from workloads._source import Provenance, StreamedBatch, StreamedData
from workloads.data import imagenet, imagenet_augment, imagenet_images
from workloads.data.imagenet_images import tensorflow

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

    def endless(split: str, seed: int, batch_size: int, first_step: int) -> Iterator[StreamedBatch]:
        training = split == "train"
        prepare = _prepared(side, seed if training else None, augment)
        finish = _mixing(seed, first_step, classes) if training and augment else None
        examples, first = splits[split], first_step * batch_size

        def numbers(begin: int, count: int) -> np.ndarray:
            return imagenet.shuffled(len(examples), seed, first + begin, count)

        return _batches(examples, numbers, None, first, batch_size, prepare, finish)

    def once(split: str, batch_size: int) -> Iterator[StreamedBatch]:
        examples = splits[split]
        order = examples.in_order()

        def numbers(begin: int, count: int) -> np.ndarray:
            return order[begin : begin + count]

        return _batches(examples, numbers, len(order), 0, batch_size, _prepared(side, None, False), None)

    sizes = {split: len(examples) for split, examples in splits.items()}
    source = (
        f"ImageNet (TFDS {imagenet.TRAINED}), {sizes['train']:,} pictures to train and {sizes['validation']:,} to "
        f"validate on; tested on {sizes['test']:,} of ImageNet-v2"
    )
    return StreamedData(endless, sizes, Provenance("real", source), once, eval_batch_size)


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


def _mixing(seed: int, first_step: int, classes: int) -> Callable[..., Any]:
    """(place of a batch in the stream, batch) -> the batch, mixed."""
    tf = tensorflow()

    def mix(place, batch):
        of_its_own = tf.random.experimental.stateless_fold_in(
            tf.constant([seed, 1], tf.int64), first_step + place
        )
        inputs, targets = imagenet_images.mixed(batch["inputs"], batch["targets"], of_its_own, classes)
        return {"inputs": inputs, "targets": targets}

    return mix


def _batches(
    examples: imagenet.Examples,
    numbers: Callable[[int, int], np.ndarray],
    count: int | None,
    first: int,
    batch_size: int,
    prepare: Callable[..., Any],
    finish: Callable[..., Any] | None,
) -> Iterator[StreamedBatch]:
    """Batches of a stream of examples, prepared in parallel and handed out in order.

    Args:
      examples: of the split.
      numbers: (place in the stream, how many) -> numbers of those records; fewer at the end.
      count: examples of the stream; None: without end.
      first: number of the example at place 0.
      batch_size: the last batch may be smaller.
      prepare, finish: of an example and of a batch.

    Raises:
      FileNotFoundError, ValueError: a record or a picture is damaged; the message names it.
    """
    tf = tensorflow()
    failed: list[Exception] = []

    def load(chunk):
        try:
            records = numbers(int(chunk) * CHUNK, CHUNK)
            contents, labels = examples.read(records.tolist())
        except Exception as error:
            failed.append(error)  # TensorFlow would say it in a page of its own
            raise
        places = first + int(chunk) * CHUNK + np.arange(len(records))
        return places, np.array(contents, object), np.array(labels, np.int32)

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
    given = 0
    iterator = batches.prefetch(AHEAD).as_numpy_iterator()
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            if failed:
                raise failed[0] from None
            raise _unusable(examples, numbers(given, batch_size), first + given, prepare, error) from None
        given += len(batch["targets"])
        yield batch


def _unusable(
    examples: imagenet.Examples,
    records: np.ndarray,
    first: int,
    prepare: Callable[..., Any],
    error: Exception,
) -> ValueError:
    """Which of a batch's pictures TensorFlow could not prepare."""
    tf = tensorflow()
    for place, number in enumerate(records.tolist()):
        ((content,), (label,)) = examples.read([number])
        try:
            prepare(tf.constant(first + place, tf.int64), tf.constant(content), label)
        except tf.errors.OpError as found:
            return ValueError(f"{examples.named(number)}: its picture cannot be used: {_said(found)}")
    return ValueError(f"{examples.folder.path}: {_said(error)}")


def _said(error: Any) -> str:
    """TensorFlow's words without its graph's."""
    return re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", error.message.splitlines()[0]).strip()
