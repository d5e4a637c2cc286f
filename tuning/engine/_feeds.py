"""What a program of some steps is fed with: rows of data that live on the device, or batches that the host reads.

This is the one place that asks which of the two a source is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tuning.engine import _draws
from tuning.engine._programs import Compile
from tuning.engine._training import Training
from tuning.engine._trials import Inputs, State, Trials
from workloads import Workload

CHUNK_STEPS = 64  # at most so many steps per call; the batches of the next call wait on the host meanwhile
CHUNK_BYTES = 256 * 2**20  # at most so much for the batches of a call


class Rows:
    """Data on the device: a program draws its batches itself, given the rows of every step."""

    def __init__(self, training: Training, compile: Compile) -> None:
        self._training, self._compile = training, compile

    def sizes(self, period: int) -> list[int]:
        """Steps of the calls that make up a period."""
        return [period]

    def shapes(self, steps: int, inputs: Inputs) -> Any:
        """What one call of so many steps is fed, as shapes."""
        return jax.eval_shape(lambda words: self._order(words, steps), inputs.keys.batches)

    def chunks(self, inputs: Inputs, first: int, sizes: Sequence[int]) -> Iterator[Any]:
        """What the calls are fed, from step `first` on."""
        total = first + sum(sizes)
        words = inputs.keys.batches
        key = ("order", self._training.key(), total)
        order = self._compile(key, lambda words: self._order(words, total), (words,)).call(words)
        for size in sizes:
            yield order[first : first + size]
            first += size

    def step(self, trials: Trials, inputs: Inputs, state: State, fed: Any, number: jax.Array) -> State:
        """One update of all trials, on what a step is fed."""
        return _draws.step(self._training, trials, state, inputs.data, fed, number)

    def asked(self, inputs: Inputs, number: int) -> Any:
        """Nothing: validation batches are drawn inside the program."""

    def _order(self, words: jax.Array, steps: int) -> jax.Array:
        return _draws.order(self._training, jax.random.wrap_key_data(words), steps)


class Batches:
    """Streamed data: the host reads the batches of the next call while the device is busy with the last."""

    def __init__(self, training: Training) -> None:
        self._training = training
        workload = training.workload
        # Opening a stream may take seconds, so it is done once.
        self._batch = workload.data.shapes(workload.eval_splits["train"], workload.batch_size)
        self._validation: tuple[Any, int] | None = None

    def sizes(self, period: int) -> list[int]:
        """Steps of the calls that make up a period: equally many, but for the last."""
        step_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(self._batch))
        calls = -(-period // max(1, min(CHUNK_STEPS, CHUNK_BYTES // max(1, step_bytes))))
        size = -(-period // calls)
        return [min(size, period - taken) for taken in range(0, period, size)]

    def shapes(self, steps: int, inputs: Inputs) -> Any:
        """What one call of so many steps is fed, as shapes."""
        leading = (steps, *(() if self._training.shared_batches else (len(inputs.keys.batches),)))
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*leading, *x.shape), x.dtype), self._batch)

    def chunks(self, inputs: Inputs, first: int, sizes: Sequence[int]) -> Iterator[Any]:
        """What the calls are fed, from step `first` on; one ahead of what was asked for."""
        return _ahead(self._streams("train", inputs, first), sizes, self._stacked)

    def step(self, trials: Trials, inputs: Inputs, state: State, fed: Any, number: jax.Array) -> State:
        """One update of all trials, on what a step is fed."""
        del inputs
        return trials.step(state, fed, number)

    def asked(self, inputs: Inputs, number: int) -> Any:
        """The validation batch of that number, for optimizers that ask for validation losses."""
        if self._validation is None or self._validation[1] != number:
            self._validation = (self._streams("validation", inputs, number), number)
        streams, _ = self._validation
        self._validation = (streams, number + 1)
        return jax.tree.map(lambda x: x[0], self._stacked(streams, 1))

    def _streams(self, role: str, inputs: Inputs, first: int) -> Iterator[tuple[Any, ...]]:
        """For every step a batch of each stream; one stream where trials share batches."""
        workload = self._training.workload
        keys = jax.random.wrap_key_data(jnp.asarray(inputs.keys.batches))
        split = workload.eval_splits[role]
        return zip(
            *(workload.data.stream(split, key, workload.batch_size, first) for key in keys), strict=True
        )

    def _stacked(self, streams: Iterator[tuple[Any, ...]], steps: int) -> Any:
        """[step, example, ...] where trials share batches, else [step, trial, example, ...]."""
        taken = list(itertools.islice(streams, steps))
        if len(taken) < steps:
            raise ValueError(
                f"{self._training.workload.name}: the stream of training batches has come to an end; it must have none"
            )
        whole = self._stack([batch for of_step in taken for batch in of_step])
        if self._training.shared_batches:
            return whole
        return jax.tree.map(lambda x: x.reshape(steps, -1, *x.shape[1:]), whole)

    def _stack(self, batches: Sequence[Any]) -> Any:
        """Batches of equal shapes as one, with a new leading axis.

        Raises:
          ValueError: their shapes differ.
        """
        wanted = jax.tree.map(lambda x: x.shape, self._batch)
        for batch in batches:
            got = jax.tree.map(lambda x: x.shape, dict(batch))
            if got != wanted:
                raise ValueError(
                    f"{self._training.workload.name}: a training batch has shapes {got} after one of {wanted}; a "
                    "stream's batches must agree"
                )
        batches = [dict(batch) for batch in batches]
        there = jax.default_backend() != "cpu" and len(jax.local_devices()) == 1
        if there and all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(batches[0])):
            return jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
        return jax.tree.map(lambda *leaves: jnp.asarray(np.stack([np.asarray(x) for x in leaves])), *batches)


def reads_on_host(workload: Workload) -> bool:
    """Whether the host reads the batches, and programs cannot draw them."""
    return not workload.data.on_device


def feed_of(training: Training, compile: Compile) -> Rows | Batches:
    """How programs of some steps of a training are fed."""
    return Batches(training) if reads_on_host(training.workload) else Rows(training, compile)


def _ahead(streams: Iterator[Any], sizes: Sequence[int], make: Callable[[Any, int], Any]) -> Iterator[Any]:
    """make(streams, size) for every size, in their order, one ahead of what was asked for."""
    with ThreadPoolExecutor(1) as host:
        waiting = host.submit(make, streams, sizes[0])
        for size in sizes[1:]:
            ready, waiting = waiting.result(), host.submit(make, streams, size)
            yield ready
        yield waiting.result()
