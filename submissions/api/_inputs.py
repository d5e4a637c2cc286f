"""What a submission's functions are handed: batches, random keys, hyperparameters."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from workloads.installed import PREFIX

# Names of variants begin with those of what they vary (AlgoPerf 0.6 and 1.0).
BASE_WORKLOADS = (
    "cifar", "criteo1tb", "fastmri", "finewebedu_lm", "imagenet_resnet", "imagenet_vit", "librispeech_conformer",
    "librispeech_deepspeech", "mnist", "ogbg", "wmt",
)  # fmt: skip
KEYS_AT_ONCE = 16  # steps whose random keys are derived by one call; more take seconds to compile


class CountingQueue:
    """The input queue, which knows how many batches were taken: a resumed trial goes on with the next."""

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches, self.taken = batches, 0

    def skip_to(self, taken: int) -> None:
        """Goes on as if so many batches had been taken; now, none have been."""
        self.taken = taken
        if hasattr(self._batches, "seek"):
            self._batches.seek(taken)  # type: ignore[attr-defined]
        else:
            collections.deque(itertools.islice(self._batches, taken), maxlen=0)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.taken += 1
        return next(self._batches)


def base_workload(name: str) -> str | None:
    """The base workload that a variant of AlgoPerf's is named after; None for a base workload and for ours."""
    plain = name.removeprefix(PREFIX)
    if plain == name:
        return None
    return next((base for base in BASE_WORKLOADS if base in plain and base != plain), None)


def namedtuple(point: Mapping[str, Any] | None) -> Any:
    """A point as AlgoPerf passes it; None, of self-tuning, stays None."""
    if point is None:
        return None
    return collections.namedtuple("Hyperparameters", point)(**point)


def step_keys(key: Any, first: int) -> Iterator[tuple[Any, Any]]:
    """(key of update_params, key of data_selection) of steps first, first + 1, ...

    Step n has split(fold_in(key, n), 4): data selection, update, preparation, evaluation. One compiled call derives
    those of many steps, each an array of its own, and does so one round ahead: nothing is fetched from the device, so
    nothing waits for it. A call per step takes three times as long, and arrays put onto the device by the host twelve.
    What there is to compile is compiled before this returns.
    """

    def steps(later: Any, first: int) -> Iterator[tuple[Any, Any]]:
        while True:
            now, first = later, first + KEYS_AT_ONCE
            later = _derive(key, np.uint32(first))
            yield from now

    return steps(_derive(key, np.uint32(first)), first)


@jax.jit
def _derive(key: Any, first: Any) -> Any:
    numbers = first + jax.numpy.arange(KEYS_AT_ONCE, dtype=jax.numpy.uint32)
    keys = jax.vmap(lambda n: jax.random.split(jax.random.fold_in(key, n), 4)[:2])(numbers)
    return tuple((keys[step, 1], keys[step, 0]) for step in range(KEYS_AT_ONCE))
