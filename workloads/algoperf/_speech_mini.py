"""The speech models for two cores: the same modules, narrow, on strings of spoken codes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads._source import ResidentData
from workloads.algoperf._log_mel import Bands, Masking
from workloads.algoperf._speech import Speech
from workloads.data import spoken_codes

ALPHABET = spoken_codes.DIGITS + spoken_codes.LETTERS
PLACES = (2, 4)
SAMPLES = 9_600  # 1.2 seconds
SIZES = {"train": 1024, "validation": 128, "test": 128}

OPTIONS: Mapping[str, Any] = {
    "vocabulary": 1 + len(ALPHABET),
    "spelling": ALPHABET,
    # Half the samples of LibriSpeech, and frames that are twelve milliseconds and a half apart.
    "bands": Bands(
        spoken_codes.RATE, window=200, step=120, bins=24, lowest=125.0, highest=3_800.0, normaliser=None
    ),
    "masking": Masking(times=1, frequencies=1, longest=0.1, widest=4),
    "dim": 32,
    "channels": 8,
    # Running averages that follow within the few steps there are.
    "momentum": 0.9,
    "slices": True,
}


@functools.cache
def _spoken():
    return spoken_codes.spoken(ALPHABET, PLACES, SAMPLES, SIZES)


def data(options: Speech) -> ResidentData:
    """Strings of codes as `batch` makes them seen."""
    del options
    splits, provenance = _spoken()
    return ResidentData({name: split._asdict() for name, split in splits.items()}, provenance, batch)


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
