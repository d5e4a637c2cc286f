"""Narrow models of a base workload's table, with parameters by NumPy, and what is common to their tests."""

from __future__ import annotations

import collections
import dataclasses

import jax
import jax.extend
import numpy as np

from tests.workloads.algoperf import golden


def model(base, variant=None, **options):
    """Of a base's table, with the options of a variant of it."""
    changes = {**options, **base.variants.get(variant, {})}
    return base.model(dataclasses.replace(base.options, **changes))


def filled(model, seed=0):
    """(params, model_state) of a model: noise of the size that keeps activations at order 1."""
    rng = np.random.default_rng(seed)

    def fill(path, leaf):
        noise = rng.normal(size=leaf.shape)
        name = path[-1].key
        if name in ("scale", "var"):
            noise = 1.0 + 0.1 * np.abs(noise)
        elif name in ("bias", "mean"):
            noise = 0.1 * noise
        elif path[-2].key in ("query", "key", "value"):
            noise = noise / np.sqrt(leaf.shape[0])
        else:
            noise = noise / np.sqrt(np.prod(leaf.shape[:-1]))
        return noise.astype(np.float32)

    return jax.tree_util.tree_map_with_path(fill, jax.eval_shape(model.init, jax.random.key(0)))


def draws(function, *arguments):
    """Shapes of the random numbers that a function draws, in order."""
    found = []

    def look(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "random_bits":
                found.append(equation.outvars[0].aval.shape)
            for inner in jax.extend.core.jaxprs_in_params(equation.params):
                look(inner)

    look(jax.make_jaxpr(function)(*arguments).jaxpr)
    return found


def by_kind(tree, kind):
    """kind of the path -> all entries of its leaves, for leaves of one distribution."""
    found = collections.defaultdict(list)
    for path, leaf in golden.flat(tree).items():
        found[kind(path)].append(np.asarray(leaf, np.float64).ravel())
    return {name: np.concatenate(leaves) for name, leaves in found.items()}
