"""Trials on data that do not live on the device: batches reach compiled programs some dozens of steps at a time.

Small programs stand in place of the one that trains from start to end: the start, some steps, the sums of a batch. The
trials' state stays on the device between them, and the host makes the next batches while the device is busy with the
last. What a step computes is `tuning.engine._trials`, as for data that live on the device.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tuning.engine import _evaluation, _programs
from tuning.engine._training import Compile, Recorded, Training
from tuning.engine._trials import State, Trials
from workloads import StreamedData, Workload

CHUNK_STEPS = 64  # at most so many steps per call; the batches of the next call wait on the host meanwhile
CHUNK_BYTES = 256 * 2**20  # at most so much for the batches of a call


@dataclasses.dataclass(frozen=True)
class StreamedWay:
    """How trials are trained on streamed data.

    Attributes:
      training: what is trained.
      compile: makes programs, or finds those that were made.
    """

    training: Training
    compile: Compile

    def program(self, inputs: tuple[Any, ...]) -> _programs.Program:
        """The program that takes the steps, for the inputs of `Training`: the one that needs most memory."""
        return self._trials(inputs).program()

    def run(self, inputs: tuple[Any, ...]) -> Recorded:
        """Trains and evaluates all trials."""
        return self._trials(inputs).run()

    def _trials(self, inputs: tuple[Any, ...]) -> _StreamedTrials:
        hyperparameters, init_seeds, batch_seeds, constants, _ = inputs
        return _StreamedTrials(self, self._batch, hyperparameters, init_seeds, batch_seeds, constants)

    @functools.cached_property
    def _batch(self) -> Any:
        """Shapes of a training batch. Opening a stream may take seconds, so it is done once."""
        workload = self.training.workload
        data, split = streamed(workload), workload.eval_splits["train"]
        return on_device_shapes(data.first_batch(split, workload.batch_size))


@dataclasses.dataclass(frozen=True)
class _StreamedTrials:
    """The trials of one program, and the arrays that they need.

    Attributes:
      way: how they are trained.
      batch: shapes of a training batch.
      hyperparameters: name -> [trial].
      init_seeds: [trial].
      batch_seeds: [1] where trials share batches, else [trial].
      constants: of the workload.
    """

    way: StreamedWay
    batch: Any
    hyperparameters: Mapping[str, jax.Array]
    init_seeds: jax.Array
    batch_seeds: jax.Array
    constants: Mapping[str, jax.Array]

    def program(self) -> _programs.Program:
        """The program of as many steps as most calls take."""
        leading = (self._sizes()[0], *(() if self.training.shared_batches else self.batch_seeds.shape))
        batches = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*leading, *x.shape), x.dtype), self.batch)
        return self._steps(jax.eval_shape(self._start, *self._arrays), batches)

    def run(self) -> Recorded:
        """Trains and evaluates."""
        period = self.training.eval_period
        evaluations = self.training.total_steps // period
        first, sizes = 0 if self.training.evaluation.at_start else 1, self._sizes()
        chunks = _ahead(self._streams(), sizes * evaluations, self._stacked)
        state = self._compile("start", self._start, self._arrays).call(*self._arrays)
        state = jax.device_put(state, jax.local_devices()[0])  # foreign code may have put it on all
        taken, rows = 0, []
        for number in range(first, evaluations + 1):
            for _ in sizes if number else ():
                batches = next(chunks)
                state = self._steps(state, batches).call(state, *self._arrays, jnp.int32(taken), batches)
                jax.block_until_ready(state)  # else the host runs ahead, with all its batches in memory
                taken += len(jax.tree.leaves(batches)[0])
            rows.append(self._evaluated(state))
        nothing = np.full(len(self.init_seeds), np.nan, np.float32)
        names = dict.fromkeys(itertools.chain.from_iterable(rows))
        metrics = {name: np.stack([row.get(name, nothing) for row in rows], axis=1) for name in names}
        return np.arange(first, evaluations + 1, dtype=np.int32) * period, metrics, np.asarray(state[3])

    @property
    def training(self) -> Training:
        """What is trained."""
        return self.way.training

    def _compile(
        self, what: str, function: Callable[..., Any], arguments: Any, *donate: int
    ) -> _programs.Program:
        return self.way.compile((what, self.training.key()), function, arguments, donate)

    @property
    def _data(self) -> StreamedData:
        return streamed(self.training.workload)

    @property
    def _arrays(self) -> tuple[Any, ...]:
        return self.hyperparameters, self.init_seeds, self.constants

    def _sizes(self) -> list[int]:
        """Steps of the calls between two evaluations: equally many, but for the last."""
        step_bytes = len(self.batch_seeds) * sum(
            leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(self.batch)
        )
        period = self.training.eval_period
        calls = -(-period // max(1, min(CHUNK_STEPS, CHUNK_BYTES // max(1, step_bytes))))
        size = -(-period // calls)
        return [min(size, period - taken) for taken in range(0, period, size)]

    def _streams(self) -> Iterator[tuple[Any, ...]]:
        """For every step a batch of each stream; one stream where trials share batches."""
        workload = self.training.workload
        split = workload.eval_splits["train"]
        seeds = np.asarray(self.batch_seeds).tolist()
        return zip(*(self._data.stream(split, seed, workload.batch_size) for seed in seeds), strict=True)

    def _stacked(self, streams: Iterator[tuple[Any, ...]], steps: int) -> Any:
        """[step, example, ...] where trials share batches, else [step, trial, example, ...]."""
        taken = list(itertools.islice(streams, steps))
        if len(taken) < steps:
            raise ValueError(
                f"{self.training.workload.name}: the stream of training batches has come to an end; it must have none"
            )
        batches = [batch for of_step in taken for batch in of_step]
        whole = _stack(batches, self.batch, self.training.workload.name)
        if self.training.shared_batches:
            return whole
        return jax.tree.map(lambda x: x.reshape(steps, -1, *x.shape[1:]), whole)

    def _start(self, hyperparameters, init_seeds, constants) -> State:
        return Trials(self.training, hyperparameters, init_seeds, constants).start()

    def _steps(self, state: State, batches: Any) -> _programs.Program:
        def steps(state, hyperparameters, init_seeds, constants, taken, batches):
            trials = Trials(self.training, hyperparameters, init_seeds, constants)

            def step(state, number_and_batch):
                number, batch = number_and_batch
                return trials.step(state, batch, number), None

            numbers = taken + jnp.arange(len(jax.tree.leaves(batches)[0]), dtype=jnp.int32)
            return jax.lax.scan(step, state, (numbers, batches))[0]

        return self._compile("steps", steps, (state, *self._arrays, jnp.int32(0), batches), 0)

    def _evaluated(self, state: State) -> dict[str, np.ndarray]:
        """By "<role>/<metric>": [trial], NaN for trials that have diverged."""
        workload, data = self.training.workload, self._data
        params, model_state, _, diverged_step = state
        if self.training.rule.evaluated:
            recommend = self._compile("recommend", self._recommended, (state, *self._arrays))
            params = recommend.call(state, *self._arrays)
        measure = self._by_sums if data.evaluate is None else self._on_host
        fine = np.asarray(diverged_step) < 0
        found = {}
        for number, (role, split) in enumerate(workload.eval_splits.items()):
            limit = workload.eval_examples if role == "train" else data.size(split)
            values = measure(params, model_state, number, split, min(limit, data.size(split)), fine)
            found |= {f"{role}/{name}": np.where(fine, x, np.nan) for name, x in values.items()}
        return found

    def _recommended(self, state, hyperparameters, init_seeds, constants):
        return Trials(self.training, hyperparameters, init_seeds, constants).recommended(state)

    def _by_sums(self, params, model_state, number, split, examples, fine) -> dict[str, np.ndarray]:
        """Sums of the workload's metrics over the split, divided by its examples."""
        del fine

        def sums(params, model_state, hyperparameters, init_seeds, constants, key, batch):
            trials = Trials(self.training, hyperparameters, init_seeds, constants)
            metrics = jax.vmap(trials.functions.metrics, in_axes=(*trials.axes[:2], None, None))
            return metrics(params, model_state, batch, key)

        assert self._data.once is not None
        key, totals, seen = _evaluation.role_key(number), None, 0
        for batch in self._data.once(split, self._data.eval_batch_size):
            batch = _stack([batch], None, self.training.workload.name)
            batch = jax.tree.map(lambda x: x[0][: examples - seen], batch)  # noqa: B023
            seen += len(jax.tree.leaves(batch)[0])
            arguments = (params, model_state, *self._arrays, key, batch)
            more = self._compile("sums", sums, arguments).call(*arguments)
            totals = more if totals is None else jax.tree.map(jnp.add, totals, more)
            if seen >= examples:
                break
        if totals is None or seen < examples:
            raise ValueError(
                f"{self.training.workload.name}: split {split!r} gave {seen} examples; its size says {examples}"
            )
        totals = jax.device_get(totals)
        return {name: total / totals["examples"] for name, total in totals.items() if name != "examples"}

    def _on_host(self, params, model_state, number, split, examples, fine) -> dict[str, np.ndarray]:
        """What the data's own evaluation says, trial by trial; it is not asked about those that have diverged."""
        del number
        workload, evaluate = self.training.workload, self._data.evaluate
        assert evaluate is not None
        of_params, of_model = self._axes[:2]
        found = {workload.metric.name: np.full(len(fine), np.nan, np.float32)}
        for trial in np.flatnonzero(fine).tolist():
            of_trial = jax.tree.map(lambda x, axis: jnp.take(x, trial, axis), params, of_params)  # noqa: B023
            its_state = jax.tree.map(lambda x, axis: jnp.take(x, trial, axis), model_state, of_model)  # noqa: B023
            for name, value in evaluate(of_trial, its_state, split, examples).items():
                found.setdefault(name, np.full(len(fine), np.nan, np.float32))[trial] = value
        return found

    @property
    def _axes(self) -> tuple[Any, ...]:
        return Trials(self.training, *self._arrays).axes


def _ahead(streams: Iterator[Any], sizes: Sequence[int], make: Callable[[Any, int], Any]) -> Iterator[Any]:
    """make(streams, size) for every size, in their order, one ahead of what was asked for."""
    with ThreadPoolExecutor(1) as host:
        waiting = host.submit(make, streams, sizes[0])
        for size in sizes[1:]:
            ready, waiting = waiting.result(), host.submit(make, streams, size)
            yield ready
        yield waiting.result()


def streamed(workload: Workload) -> StreamedData:
    """The data of a workload that has come here."""
    assert isinstance(workload.data, StreamedData)  # others have a lane of their own
    return workload.data


def on_device_shapes(batch: Any) -> Any:
    """Shapes and types of a batch on the device, which knows no 64-bit numbers unless it is told to."""
    dtype = jax.dtypes.canonicalize_dtype
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, dtype(x.dtype)), batch)


def _stack(batches: Sequence[Any], expected: Any, name: str) -> Any:
    """Batches of equal shapes as one, with a new leading axis.

    Raises:
      ValueError: their shapes differ.
    """
    if expected is not None:
        wanted = jax.tree.map(lambda x: x.shape, expected)
        for batch in batches:
            got = jax.tree.map(lambda x: x.shape, batch)
            if got != wanted:
                raise ValueError(
                    f"{name}: a training batch has shapes {got} after one of {wanted}; a stream's batches must agree"
                )
    there = jax.default_backend() != "cpu" and len(jax.local_devices()) == 1
    if there and all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(batches[0])):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack([np.asarray(x) for x in leaves])), *batches)
