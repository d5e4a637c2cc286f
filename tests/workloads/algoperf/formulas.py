"""Narrow models of a base workload, and a second way to compute them: NumPy, float64, from the formulas."""

from __future__ import annotations

import dataclasses
import functools
import importlib

import jax
import numpy as np

from tests.workloads.algoperf import golden


def base(name):
    """The table of a base workload."""
    return importlib.import_module(f"workloads.algoperf.{name}").BASE


def options(name, **changes):
    """Options of a base workload, some of them changed."""
    return dataclasses.replace(base(name).options, **changes)


def noisy(params, seed=0, sd=0.2):
    """Parameters moved a little, so that biases and scales are none of those that hide mistakes."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: (x + sd * rng.standard_normal(x.shape)).astype(np.float32), jax.device_get(params)
    )


@functools.partial(jax.jit, static_argnums=(0, 3))
def outputs(model, params, batch, train=False, rate=0.0, key=None):
    """Of a model without state."""
    return model.model_fn(params, (), batch, key, train, train, None, rate)[0]


def in_float64(params):
    """The same as NumPy arrays of twice the precision, by path."""
    return {path: np.asarray(leaf, np.float64) for path, leaf in golden.flat(params).items()}


def softmax(x):
    """Over the last axis."""
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def layer_norm(x, scale, bias):
    """Over the last axis."""
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * scale + bias


def draws(function, *args):
    """How many times a program draws random bits."""

    def count(jaxpr):
        found = 0
        for equation in jaxpr.eqns:
            found += equation.primitive.name == "random_bits"
            for value in equation.params.values():
                inner = getattr(value, "jaxpr", value if hasattr(value, "eqns") else None)
                if inner is not None:
                    found += count(inner)
        return found

    return count(jax.make_jaxpr(function)(*args).jaxpr)
