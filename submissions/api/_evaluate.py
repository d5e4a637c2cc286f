"""Metrics of whole splits, by the rule of the population engine: a model has the same metrics whichever engine asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from workloads import GeneratedData, ResidentData, Workload

CHUNK = 2048  # examples per call
SEED = 0x5EED  # of what is random in an evaluation: a curve moves with the model, not with the draw


class Evaluation:
    """Evaluates one workload; every shape of a chunk compiles once."""

    def __init__(self, workload: Workload, arrays: Callable[[str], Mapping[str, jax.Array]]) -> None:
        """Nothing is computed yet.

        Args:
          workload: what.
          arrays: split -> field -> [example, ...]; {} where data are generated.
        """
        self._workload, self._arrays = workload, arrays
        self._chunks: dict[str, list[Mapping[str, jax.Array]]] = {}
        data = workload.data
        transform = data.transform if isinstance(data, ResidentData) else None

        def sums(params, model_state, batch, key, split):
            if transform is not None:
                batch = transform(key, batch, split)
            return workload.metrics(params, model_state, batch, key)

        self._sums = jax.jit(sums, static_argnames="split")

    def examples(self, role: str) -> int:
        """How many examples of a role are evaluated."""
        data = self._workload.data
        if isinstance(data, GeneratedData):
            return self._workload.eval_examples
        size = data.size(self._workload.eval_splits[role])
        return min(size, self._workload.eval_examples) if role == "train" else size

    def metrics(self, role: str, params: Any, model_state: Any) -> dict[str, float]:
        """Sums over the split, divided by their examples."""
        split = self._workload.eval_splits[role]
        key = self._key(role)
        if role not in self._chunks:
            self._chunks[role] = list(self._cut(role, key))
        parts = [self._sums(params, model_state, chunk, key, split) for chunk in self._chunks[role]]
        totals = {name: sum(float(part[name]) for part in parts) for name in parts[0]}
        return {name: total / totals["examples"] for name, total in totals.items() if name != "examples"}

    def _key(self, role: str) -> jax.Array:
        return jax.random.fold_in(jax.random.key(SEED), list(self._workload.eval_splits).index(role))

    def _cut(self, role: str, key: jax.Array) -> Iterator[Mapping[str, jax.Array]]:
        data, count = self._workload.data, self.examples(role)
        if isinstance(data, GeneratedData):
            arrays = data.draw(key, count)
        else:
            arrays = self._arrays(self._workload.eval_splits[role])
        if not arrays:
            yield {}
            return
        for first in range(0, count, CHUNK):
            yield {field: values[first : min(first + CHUNK, count)] for field, values in arrays.items()}
