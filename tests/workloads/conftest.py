"""Loaded workloads, shared by the tests of this room."""

from __future__ import annotations

import jax.numpy as jnp
import pytest

import workloads


@pytest.fixture(scope="session")
def loaded():
    """name -> workload, each loaded once."""
    return {name: workloads.load(name) for name in workloads.names()}


@pytest.fixture(scope="session")
def leading():
    """(workload, split, examples) -> a batch of the first examples of a split."""

    def cut(workload, split, examples, start=0):
        fields = workload.data.splits[split]
        return {name: jnp.asarray(values[start : start + examples]) for name, values in fields.items()}

    return cut
