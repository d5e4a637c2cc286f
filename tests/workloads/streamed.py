"""The MNIST stand-in as a workload whose batches the host reads."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

import workloads
from workloads import StreamedData, Workload, _registry

NAME = "streamed/mnist"


@contextlib.contextmanager
def registered(taken: list[int] | None = None) -> Iterator[Workload]:
    """The workload, under its name as long as the context.

    Args:
      taken: gets the step of every batch of a training that is read.
    """
    plain = workloads.load("algoperf/mnist")
    stored = {split: dict(fields) for split, fields in plain.data.splits.items()}

    def read(split, seed, batch_size, first_step):
        examples = len(stored[split]["targets"])
        for step in itertools.count(first_step):
            if taken is not None:
                taken.append(step)
            rows = np.random.default_rng((seed, step)).integers(examples, size=batch_size)
            yield {name: values[rows] for name, values in stored[split].items()}

    def once(split, batch_size):
        for start in range(0, len(stored[split]["targets"]), batch_size):
            yield {name: values[start : start + batch_size] for name, values in stored[split].items()}

    sizes = {split: len(fields["targets"]) for split, fields in stored.items()}
    data = StreamedData(read, sizes, plain.data.provenance, read_once=once)
    streamed = dataclasses.replace(plain, name=NAME, data=data)
    workloads.register(NAME)(lambda data_dir: streamed)
    try:
        yield streamed
    finally:
        del _registry._REGISTERED[NAME]
