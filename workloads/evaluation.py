"""How a whole split is evaluated, whoever trains: in chunks, with what is random drawn alike every time.

The population engine and AlgoPerf's interface both evaluate here, so that a model has the same metrics whichever asks.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from workloads import copies, processes
from workloads._measure import ForeignMeasure, Measure, Totals, add
from workloads._source import Batch
from workloads._workload import Workload
from workloads.parts import WHOLE, Part

SEED = 0x5EED  # of what is random in an evaluation of whole splits, the same for every trial and study

Accumulate = Callable[[Batch, jax.Array], Totals]  # (batch, key) -> totals


def examples_of(workload: Workload, role: str) -> int:
    """How many examples of a role are evaluated: all, but of training examples and of generated ones."""
    size = workload.data.size(workload.eval_splits[role])
    if size is None:
        return workload.eval_examples
    return min(size, workload.eval_examples) if role == "train" else size


def role_key(workload: Workload, role: str) -> jax.Array:
    """Feeds what is random when a whole split is evaluated for a role.

    The same at every evaluation: a curve moves with the model, not with the draw.
    """
    return jax.random.fold_in(jax.random.key(SEED), list(workload.eval_splits).index(role))


def over_split(
    workload: Workload,
    role: str,
    accumulate: Accumulate,
    arrays: Mapping[str, jax.Array],
    part: Part = WHOLE,
) -> tuple[Totals, ...]:
    """Totals of the chunks of a split: of the whole ones, and of the rest, each with a leading axis [chunk]. Traced.

    Args:
      workload: with data on the device.
      role: whose split.
      accumulate: of a chunk.
      arrays: of the split.
      part: which chunks, see `Part.has_turn`.
    """
    source, split, key = workload.data, workload.eval_splits[role], role_key(workload, role)
    count = examples_of(workload, role)
    stored = source.whole(arrays, key, count)

    def of_chunk(chunk):
        return accumulate(source.seen(chunk, key, split), key)

    def alone(chunk):
        return jax.tree.map(lambda x: x[None], of_chunk(chunk))

    if not stored:
        return (alone({}),) if part.has_turn(0) else ()
    size = source.eval_batch_size
    whole, rest = divmod(count, size)
    parts = []
    own = np.arange(part.index, whole, part.count)
    if len(own):
        chunks = lambda v: v[: whole * size].reshape(whole, size, *v.shape[1:])  # noqa: E731
        cut = chunks if part == WHOLE else lambda v: chunks(v)[own]
        parts.append(jax.lax.map(of_chunk, jax.tree.map(cut, dict(stored))))
    if rest and part.has_turn(whole):
        parts.append(alone(jax.tree.map(lambda v: v[whole * size :], dict(stored))))
    return tuple(parts)


def merged(measure: Measure, parts: Sequence[Totals]) -> Totals:
    """The totals of all chunks as one; traced where the measure may be."""
    if measure.merge is add:
        return functools.reduce(add, [jax.tree.map(lambda x: x.sum(0), part) for part in parts])
    chunks = [
        jax.tree.map(lambda x: x[i], part)  # noqa: B023
        for part in parts
        for i in range(len(jax.tree.leaves(part)[0]))
    ]
    return functools.reduce(measure.merge, chunks)


def over_stream(
    workload: Workload, role: str, accumulate: Accumulate, merge: Callable[[Totals, Totals], Totals]
) -> Totals:
    """Totals of a split that the host reads, merged as they come.

    Args:
      workload: with streamed data.
      role: whose split.
      accumulate: of a batch; compiled by whoever asks.
      merge: of two totals.

    Raises:
      ValueError: the split has fewer examples than its size says, or cannot be read once.
    """
    source, key, totals = workload.data, role_key(workload, role), None
    batches = source.once(
        workload.eval_splits[role], key, source.eval_batch_size, examples_of(workload, role)
    )
    try:
        for batch in batches:
            more = accumulate(batch, key)
            totals = more if totals is None else merge(totals, more)
    except ValueError as error:
        raise ValueError(f"{workload.name}: {error}") from None
    return totals


def measure_of(workload: Workload, metrics: Callable[..., Any]) -> Measure | ForeignMeasure:
    """The workload's measure; where it has none of its own, sums over examples of `metrics`, its constants bound."""
    return workload.measure or Measure(metrics)


class Evaluator:
    """Evaluates one model of a workload after the other, on the host; every shape of a chunk compiles once."""

    def __init__(self, workload: Workload) -> None:
        """Nothing is computed yet."""
        self._workload = workload
        self._measure = measure_of(workload, workload.metrics)
        self._copies: dict[str, Mapping[str, copies.Copy]] = {}
        if isinstance(self._measure, Measure):
            self._accumulate = jax.jit(self._measure.accumulate)
            self._totals = jax.jit(self._over_split, static_argnames=("role", "part"))
            self._shapes: dict[str, tuple[Totals, ...]] = {}  # of what `over_split` gives, by role

    def metrics(self, role: str, params: Any, model_state: Any) -> dict[str, float]:
        """Metric -> value on the split of a role."""
        if jax.process_count() > 1:
            return self._of_all(role, processes.here(params), processes.here(model_state))
        workload, measure = self._workload, self._measure
        if isinstance(measure, ForeignMeasure):
            found = measure.evaluate(
                params, model_state, workload.eval_splits[role], examples_of(workload, role)
            )
        elif workload.data.on_device:
            parts = jax.device_get(self._totals(params, model_state, self._arrays(role), role=role))
            found = measure.compute(merged(measure, parts))
        else:
            accumulate = functools.partial(self._accumulate, params, model_state)
            found = measure.compute(jax.device_get(over_stream(workload, role, accumulate, measure.merge)))
        return {name: float(np.asarray(value)) for name, value in found.items()}

    def _arrays(self, role: str) -> dict[str, jax.Array]:
        split = self._workload.eval_splits[role]
        if split not in self._copies:
            self._copies[split] = copies.of_fields(self._workload.data.arrays(split))
        return {field: copy.device for field, copy in self._copies[split].items()}

    def _over_split(self, params, model_state, arrays, role, part=WHOLE):
        accumulate = functools.partial(self._measure.accumulate, params, model_state)  # type: ignore[union-attr]
        return over_split(self._workload, role, accumulate, arrays, part)

    def _of_all(self, role: str, params: Any, model_state: Any) -> dict[str, float]:
        """As `metrics`, by all processes: each evaluates the batches of its part, and then has the totals of all of
        them, which it merges as one process merges its own. So numbers are those of one, bit for bit.
        """
        workload, measure = self._workload, self._measure
        if isinstance(measure, ForeignMeasure):
            raise ValueError(f"{workload.name}: foreign code evaluates it, which knows of one process only")
        if workload.data.on_device:
            found = measure.compute(merged(measure, self._parts_of_all(role, params, model_state)))
        else:
            accumulate = functools.partial(self._accumulate, params, model_state)
            found = measure.compute(functools.reduce(measure.merge, self._streamed_by_all(role, accumulate)))
        return {name: float(np.asarray(value)) for name, value in found.items()}

    def _parts_of_all(self, role: str, params: Any, model_state: Any) -> list[Totals]:
        """What `over_split` gives of a whole split."""
        part, arguments = processes.part(), (params, model_state, self._arrays(role))
        if role not in self._shapes:
            self._shapes[role] = jax.eval_shape(functools.partial(self._over_split, role=role), *arguments)
        shapes = self._shapes[role]
        chunks = [len(jax.tree.leaves(shape)[0]) for shape in shapes]
        own = jax.device_get(self._totals(*arguments, role=role, part=part))
        rows = [
            [leaf[i] for leaf in leaves]
            for leaves in map(jax.tree.leaves, own)
            for i in range(len(leaves[0]))
        ]
        numbers = range(part.index, sum(chunks), part.count)
        every = iter(processes.arrays_of_all(dict(zip(numbers, rows, strict=True))).values())
        structure = jax.tree.structure(shapes[0])
        return [
            structure.unflatten(
                [np.stack(leaves) for leaves in zip(*itertools.islice(every, n), strict=True)]
            )
            for n in chunks
        ]

    def _streamed_by_all(self, role: str, accumulate: Accumulate) -> list[Totals]:
        """Totals of the batches of a split that the hosts read, in their order."""
        workload, part, key = self._workload, processes.part(), role_key(self._workload, role)
        size, examples = workload.data.eval_batch_size, examples_of(workload, role)
        once = functools.partial(workload.data.once, workload.eval_splits[role], key, size, examples)
        try:
            own = [jax.device_get(accumulate(batch, key)) for batch in once(part)]
            # A process may have none, where there are more processes than batches.
            like = own[0] if own else jax.eval_shape(accumulate, next(iter(once())), key)
        except ValueError as error:
            raise ValueError(f"{workload.name}: {error}") from None
        rows = {part.index + i * part.count: jax.tree.leaves(totals) for i, totals in enumerate(own)}
        every = processes.arrays_of_all(rows).values()
        return [jax.tree.structure(like).unflatten(row) for row in every]
