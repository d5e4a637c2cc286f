"""fastMRI's knees themselves, in AlgoPerf's batches."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from workloads._source import Provenance, StreamedBatch, StreamedData
from workloads.data import ahead, fastmri, mri, stateless, tfds_folder
from workloads.data.epochs import epoch_steps
from workloads.parts import WHOLE, Part

EVAL_BATCH_SIZE = 64  # AlgoPerf's is 256, over all devices; metrics do not depend on it
CYCLE = 32  # volumes that AlgoPerf's evaluations have open at a time
BLOCK = 64  # slices that they take of each, one after the other

# (number, volume, slice of it)
Place = tuple[int, fastmri.Volume, int]


def read(data_dir: pathlib.Path, side: int, eval_batch_size: int = EVAL_BATCH_SIZE) -> StreamedData:
    """The data set, of which nothing is kept in memory but what is read ahead.

    Every epoch of training is a permutation of all slices that the seed and its number decide; its incomplete last
    batch is left out. AlgoPerf shuffles within windows of 16 batches, by TensorFlow. A slice keeps its columns of
    frequencies for good: those that TensorFlow draws from the seed and the slice's number. In evaluations all slices
    of a width have the same ones, which are AlgoPerf's.

    Args:
      data_dir: with the folders of volumes.
      side: of the images.
      eval_batch_size: of evaluations.

    Raises:
      FileNotFoundError, ValueError: see `fastmri.volumes`.
    """
    volumes = fastmri.volumes(data_dir, side)
    places = {split: _places(of_split) for split, of_split in volumes.items()}

    def endless(
        split: str, seed: int, batch_size: int, first_step: int, part: Part = WHOLE
    ) -> Iterator[StreamedBatch]:
        per_epoch = epoch_steps(split, len(places[split]), batch_size)
        chosen = _epochs(places[split], seed, batch_size, per_epoch, first_step, part)
        return _batches(chosen, batch_size // part.count, seed)

    def once(split: str, batch_size: int, part: Part = WHOLE) -> Iterator[StreamedBatch]:
        of_split = places[split]
        if split == "train":  # evaluations see a part of it: of all volumes, and the same every time
            shuffled = np.random.default_rng((0, 0)).permutation(len(of_split)).tolist()
            return _batches((of_split[i] for i in part.dealt(shuffled, batch_size)), batch_size, 0)
        order = tfds_folder.interleaved([volume.slices for volume in volumes[split]], CYCLE, BLOCK)
        return _batches((of_split[i] for i in part.dealt(order.tolist(), batch_size)), batch_size, None)

    sizes = {split: len(of_split) for split, of_split in places.items()}
    source = (
        f"fastMRI's single-coil knees, {sizes['train']:,} slices to train on, a quarter of the columns kept"
    )
    return StreamedData(endless, sizes, Provenance("real", source), once, eval_batch_size, reads_parts=True)


def _places(volumes: Sequence[fastmri.Volume]) -> list[Place]:
    every = ((volume, number) for volume in volumes for number in range(volume.slices))
    return [(number, *place) for number, place in enumerate(every)]


def _epochs(
    places: Sequence[Place], seed: int, batch_size: int, per_epoch: int, first_step: int, part: Part
) -> Iterator[Place]:
    epoch, step = divmod(first_step, per_epoch)
    for number in itertools.count(epoch):
        order = np.random.default_rng((seed, number)).permutation(len(places))
        whole = order[: per_epoch * batch_size].reshape(per_epoch, batch_size)
        yield from (places[i] for i in whole[step:, part.rows(batch_size)].reshape(-1).tolist())
        step = 0


def _batches(places: Iterable[Place], batch_size: int, seed: int | None) -> Iterator[StreamedBatch]:
    """Batches of slices in that order; the last may be smaller.

    Args:
      places: of the slices.
      batch_size: slices of a batch.
      seed: of the columns that are kept; None: those of AlgoPerf's evaluations.
    """

    def made(place: Place) -> StreamedBatch:
        number, volume, within = place
        return example(fastmri.read(volume, within), (0, 0) if seed is None else (seed, number))

    examples = ahead.mapped(made, places, 2 * batch_size)
    return ahead.prefetched(_stacked(examples, batch_size), 2)


def example(measured: fastmri.Slice, seed: tuple[int, int]) -> StreamedBatch:
    """A batch of one slice, of whose frequencies the columns that TensorFlow draws from the seed are kept."""
    kept = mri.kept_columns(stateless.uniform(seed, measured.frequencies.shape[1])[None])
    largest = np.array([measured.largest], np.float32)
    return mri.examples(measured.frequencies[None], measured.image[None], largest, kept)


def _stacked(examples: Iterator[StreamedBatch], size: int) -> Iterator[StreamedBatch]:
    while some := list(itertools.islice(examples, size)):
        yield {name: np.concatenate([each[name] for each in some]) for name in some[0]}
