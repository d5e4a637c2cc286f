"""Loaded workloads, shared by the tests of several rooms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import workloads


class Loaded(dict):
    """name -> workload, loaded when first asked for."""

    def __missing__(self, name):
        self[name] = workloads.load(name)
        return self[name]


@pytest.fixture(scope="session")
def loaded():
    """name -> workload, each loaded once."""
    return Loaded()


@pytest.fixture(scope="session")
def leading():
    """(workload, split, examples) -> a batch of the first examples of a split, as the model sees them."""

    def cut(workload, split, examples, start=0):
        key, data = jax.random.key(start), workload.data
        if isinstance(data, workloads.GeneratedData):
            return data.draw(key, examples)
        batch = {
            name: jnp.asarray(values[start : start + examples]) for name, values in data.splits[split].items()
        }
        return batch if data.transform is None else data.transform(key, batch, split)

    return cut
