"""Streams of sources on the device compile once for all that draw alike."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import jax
import numpy as np
import pytest

from workloads import GeneratedData, Provenance, ResidentData, _streams

KEYS = jax.random.key(1), jax.random.key(2)


def resident():
    examples = {"x": np.arange(10.0, dtype=np.float32)}
    return ResidentData({"train": examples}, Provenance("synthetic", "counted"))


def generated():
    return GeneratedData(
        lambda key, n: {"x": jax.random.normal(key, (n,))}, Provenance("synthetic", "drawn"), ("train",)
    )


def augmented():
    noisy = lambda key, batch, split: {"x": batch["x"] + jax.random.normal(key, batch["x"].shape)}  # noqa: E731
    return dataclasses.replace(resident(), transform=noisy)


@pytest.mark.parametrize("make", [resident, augmented, generated])
def test_large_batches_are_made_alone_and_are_the_same(make, monkeypatch):
    many = make().stream("train", KEYS[0], 4)
    batches = [next(many)["x"] for _ in range(many.chunk + 3)]
    monkeypatch.setattr(_streams, "CHUNK_BYTES", 0)
    alone = make().stream("train", KEYS[0], 4)
    np.testing.assert_array_equal([next(alone)["x"] for _ in batches], batches)
    alone.seek(5)
    np.testing.assert_array_equal(next(alone)["x"], batches[5])


@pytest.mark.parametrize("make", [resident, generated])
def test_a_second_stream_traces_nothing_and_draws_with_its_own_key(make):
    traces = 0

    def counted(batch):
        nonlocal traces
        traces += 1
        return batch

    source = make()
    first, _ = (next(source.stream("train", key, 4, finish=counted))["x"] for key in KEYS)
    seen = traces
    again = next(source.stream("train", KEYS[0], 4, finish=counted))["x"]
    later = next(source.stream("train", KEYS[1], 4, first_step=3, finish=counted))["x"]
    assert traces == seen
    np.testing.assert_array_equal(first, again)
    # What another source, which shares no program, draws with the same key.
    np.testing.assert_array_equal(later, next(make().stream("train", KEYS[1], 4, first_step=3))["x"])


def test_what_a_stream_compiled_goes_with_its_source():
    source = resident()
    next(source.stream("train", KEYS[0], 4))
    gone = weakref.ref(source)
    del source
    gc.collect()
    assert gone() is None
