"""AlgoPerf's own models on rule-made parameters: our workloads on the same ones, and what differs.

The golden files and the fact sheet of parameters are shared material; tests that need them skip without.
"""

from __future__ import annotations

import functools
import importlib
import json
import pathlib
import sys

import jax
import numpy as np
import pytest

import workloads
from workloads.algoperf._graphs import GraphsTuple

SHARED = pathlib.Path(__file__).parents[4] / "shared"
FOLDER = SHARED / "data" / "algoperf_golden"
COUNTS = SHARED / "facts" / "algoperf_param_counts.json"

needs_golden = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no {FOLDER}")
needs_counts = pytest.mark.skipif(not COUNTS.is_file(), reason=f"no {COUNTS}")


@functools.cache
def _modules():
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("golden_rule"), importlib.import_module("golden_check")
    finally:
        sys.path.remove(str(FOLDER))


@functools.cache
def index():
    """What AlgoPerf's workloads gave."""
    return _modules()[1].load_index()


@functools.cache
def counts():
    """The fact sheet of parameters."""
    return json.loads(COUNTS.read_text())


def nested(flat):
    """{"a/b": leaf} as {"a": {"b": leaf}}."""
    tree: dict = {}
    for path, leaf in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree


def flat(tree):
    """{"a": {"b": leaf}} as {"a/b": leaf}."""
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in paths}


def paths_and_shapes(tree):
    """[path, shape] of every leaf, sorted, as the fact sheet has them."""
    return sorted((path, list(leaf.shape)) for path, leaf in flat(tree).items())


def params(name):
    """Parameters by the rule."""
    return nested(_modules()[1].golden_params(index(), name))


def state(name):
    """Model state by the rule; () where the model keeps none."""
    tree = nested(_modules()[1].golden_state(index(), name))
    return tree.get("batch_stats", ())


def batch(name, mode):
    """The batch of `eval` or `train`."""
    rule = _modules()[0]
    made = rule.make_batch(rule.family_of(name))[mode]
    if rule.family_of(name) == "ogbg":
        made["inputs"] = GraphsTuple(**made["inputs"], globals={})
    return made


def scalars(name):
    """Golden scalars: losses, metrics, and the noise that one unit in the last place of the parameters makes."""
    return index()["workloads"][name]["scalars"]


def arrays(name):
    """Golden arrays: outputs, losses, gradients."""
    return np.load(FOLDER / "models" / f"{name}.npz")


def components():
    """(arrays, values) of the parts that belong to no model."""
    folder = FOLDER / "models"
    return np.load(folder / "components.npz"), json.loads((folder / "components.json").read_text())


def outputs_and_gradients(name, dropout_rate=0.0, workload=None):
    """Everything that the golden file of a workload has names for, by our workload on its parameters and batches.

    Args:
      name: of AlgoPerf's workload.
      dropout_rate: in training.
      workload: None: ours of that name. Another, where the golden files were made with something switched off.
    """
    workload = workload or workloads.load(f"algoperf/{name}")
    assert workload.apply is not None
    assert workload.losses is not None
    apply = workload.apply
    own_params, own_state = params(name), state(name)
    found = {}

    def forward(params, batch, train):
        return apply(params, own_state, batch, jax.random.key(0), train, dropout_rate)

    for mode in ("eval", "train"):
        of_mode = batch(name, mode)
        train = mode == "train"
        outputs, new_state = jax.jit(forward, static_argnums=2)(own_params, of_mode, train)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        found[f"{mode}/logits"] = logits
        if train and jax.tree.leaves(own_state):
            found |= {f"train/new_state/batch_stats/{k}": v for k, v in flat(new_state).items()}
        for smoothing in (0.0, 0.1):
            losses, weights = workload.losses(outputs, of_mode, smoothing)
            weighted = losses if weights is None else losses * weights
            found[f"{mode}/loss_ls{smoothing:g}/per_example"] = weighted
            found[f"{mode}/loss_ls{smoothing:g}/summed"] = float(weighted.sum())
            found[f"{mode}/loss_ls{smoothing:g}/n_valid_examples"] = float(
                losses.size if weights is None else weights.sum()
            )

    def loss(params, of_train):
        outputs, _ = forward(params, of_train, True)
        losses, weights = workload.losses(outputs, of_train, None)
        return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()

    # The batch as an argument: XLA would compute with a constant while it compiles.
    grads = jax.jit(jax.grad(loss))(own_params, batch(name, "train"))
    found |= {f"grad/{path}": leaf for path, leaf in flat(grads).items()}
    found["grad/global_norm"] = float(
        np.sqrt(sum(np.sum(np.square(np.asarray(leaf, np.float64))) for leaf in jax.tree.leaves(grads)))
    )
    return found


def compared(name, found):
    """golden_check.compare: name -> how far ours is from AlgoPerf's."""
    return _modules()[1].compare(name, found, index())


def sampled(values, count=4096):
    """The entries that golden files keep of a large array."""
    values = np.asarray(values).reshape(-1)
    return values[_modules()[0].sample_index(len(values), count)]
