"""The speech models at smaller scales: the same modules, narrower, on strings of spoken digits and letters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from workloads._source import ResidentData
from workloads.algoperf._log_mel import Bands, Masking
from workloads.data import spoken_codes


class Strings(NamedTuple):
    """Which strings are spoken, see `spoken_codes.spoken`."""

    alphabet: str
    places: tuple[int, int]
    samples: int
    train: int
    held_out: int  # of validation, and of test


MINI = Strings(spoken_codes.DIGITS, (1, 3), 8_000, train=1024, held_out=96)
SMALL = Strings(spoken_codes.DIGITS + spoken_codes.LETTERS, (3, 8), 20_000, train=4096, held_out=512)

SPOKEN = (-7.0, 3.2)  # mean and deviation of the log-mel energies of such strings
# Frames are further apart than AlgoPerf's, so that as many are left for a code as are for a token there.
MINI_OPTIONS: Mapping[str, Any] = {
    "vocabulary": 1 + len(MINI.alphabet),
    "spelling": MINI.alphabet,
    "bands": Bands(spoken_codes.RATE, 240, 200, 24, 125.0, 3_800.0, SPOKEN),
    "masking": Masking(times=2, frequencies=1, longest=0.1, widest=4),
    "dim": 48,
    "channels": 8,
    "momentum": 0.9,  # running averages follow within the few steps there are
    "slices": True,
}
MORE_MASKING = Masking(times=3, frequencies=2, longest=0.1, widest=4)  # of AlgoPerf's variant that masks more
SMALL_OPTIONS: Mapping[str, Any] = {
    "vocabulary": 1 + len(SMALL.alphabet),
    "spelling": SMALL.alphabet,
    "bands": Bands(spoken_codes.RATE, 200, 80, 40, 125.0, 3_800.0, SPOKEN),
    "masking": Masking(times=4, frequencies=2, longest=0.05, widest=8),
    "channels": 32,
    "momentum": 0.98,
}


def data(strings: Strings) -> Callable[[Any], ResidentData]:
    """options -> strings of codes, as `batch` makes them seen."""

    def of_options(options: Any) -> ResidentData:
        del options
        splits, provenance = _spoken(strings)
        return ResidentData({name: split._asdict() for name, split in splits.items()}, provenance, batch)

    return of_options


@functools.cache
def _spoken(strings: Strings) -> Any:
    sizes = {"train": strings.train, "validation": strings.held_out, "test": strings.held_out}
    return spoken_codes.spoken(strings.alphabet, strings.places, strings.samples, sizes)


def batch(key: jax.Array, stored: Mapping[str, jax.Array], split: str) -> Mapping[str, Any]:
    """AlgoPerf's fields of what `spoken_codes.Spoken` holds."""
    del key, split

    def behind(lengths: jax.Array, size: int) -> jax.Array:
        return (jnp.arange(size) >= lengths[:, None]).astype(jnp.float32)

    audio, codes = stored["audio"].astype(jnp.float32), stored["codes"].astype(jnp.float32)
    return {
        "inputs": (audio, behind(stored["samples"], audio.shape[1])),
        "targets": (codes, behind(stored["places"], codes.shape[1])),
    }
