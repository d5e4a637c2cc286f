"""An installed AlgoPerf's models beside ours: the same parameters, state and batch, and what differs.

    python -m tests.workloads.algoperf.installed [NAME ...]

prints the table of docs/algoperf.md; docs/algoperf.md says how to install AlgoPerf.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np

import workloads
from submissions import api
from tests.workloads.algoperf import golden
from workloads.algoperf import _dropout
from workloads.algoperf._names import BASES
from workloads.installed import _algoperf as _installed_algoperf

EXAMPLES = 3
KEPT = 1 << 20  # entries of a leaf that are drawn; larger leaves repeat them


class Differences(NamedTuple):
    """Between AlgoPerf's and ours, largest over all entries.

    Attributes:
      evaluation, training: of outputs, in units of the outputs' standard deviation.
      state: of the updated model state; None where there is none.
      losses: of the summed loss in training mode, with label smoothing .1, relative.
      examples: of AlgoPerf's `n_valid_examples`.
    """

    evaluation: float
    training: float
    state: float | None
    losses: float
    examples: float


def names() -> tuple[str, ...]:
    """Of AlgoPerf's workloads that we have, base workloads first."""
    return ("mnist", *(name for base, row in BASES.items() for name in (base, *row.variants)))


def real(name: str) -> Any:
    """AlgoPerf's object, not looked at: what is broken in it may not matter here."""
    with mock.patch.object(_installed_algoperf, "_look"):
        return _installed_algoperf.real_workload(name)


def differences(name: str) -> Differences:
    """Of one forward pass in evaluation and one in training, both without anything random."""
    ours, theirs = workloads.load(f"algoperf/{name}"), real(name)
    apply, losses = ours.apply, ours.losses
    assert apply is not None
    assert losses is not None
    params, state = filled(ours)
    key = jax.random.key(0)
    batch = next(ours.data.once("train", key, EXAMPLES, EXAMPLES))
    found: dict[bool, tuple] = {}
    with nothing_random():
        # Their parameters are known to `model_fn` only after an initialisation, of which nothing is computed.
        their_state = _in_their_form(
            jax.eval_shape(theirs.init_model_fn, jax.random.PRNGKey(0))[1], name, state
        )
        for train in (False, True):
            mode = _partner("algoperf.spec").ForwardPassMode[("EVAL", "TRAIN")[train]]
            expected = theirs.model_fn(
                params, _their_batch(batch), their_state, mode, jax.random.PRNGKey(0), update_batch_norm=train
            )
            got = jax.jit(lambda p, s, b, t=train: apply(p, s, b, key, t, 0.0))(params, state, batch)
            found[train] = expected, got
    away = {}
    for train, ((expected, _), (got, _)) in found.items():
        pairs = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
        away[train] = max(_largest(a, b) / max(float(np.std(b)), 1e-6) for a, b in pairs)
    (expected, their_new), (got, new) = found[True]
    of_state = None
    if jax.tree.leaves(state):
        of_state = max(
            _largest(leaf, np.reshape(golden.flat(_unwrapped(their_new))[path], np.shape(leaf)))
            for path, leaf in golden.flat(new).items()
        )
    values, weights = losses(got, batch, 0.1)
    weights = np.ones_like(values) if weights is None else weights
    loss = theirs.loss_fn(batch["targets"], expected, batch.get("weights"), 0.1)
    return Differences(
        away[False],
        away[True],
        of_state,
        abs(float(np.sum(values * weights)) / float(loss["summed"]) - 1),
        abs(float(np.sum(weights)) - float(loss["n_valid_examples"])),
    )


def filled(workload: workloads.Workload) -> tuple[Any, Any]:
    """(params, model_state): noise that keeps activations at order 1, and does not leave a layer out as zeros do."""

    def fill(path, leaf):
        rng = np.random.default_rng([len(path), *leaf.shape])
        noise = np.resize(rng.normal(size=min(leaf.size, KEPT)).astype(np.float32), leaf.shape)
        name = str(path[-1].key)
        if name in ("scale", "var") or not leaf.shape:
            return np.float32(1.0) + np.float32(0.1) * np.abs(noise)
        if name in ("bias", "mean") or len(leaf.shape) == 1:
            return np.float32(0.1) * noise
        inputs = leaf.shape[0] if len(leaf.shape) == 3 else np.prod(leaf.shape[:-1])
        return noise / np.float32(np.sqrt(leaf.shape[-1] if "embedding" in name else inputs))

    shapes = jax.eval_shape(workload.init, jax.random.key(0))
    return jax.tree.map(jax.numpy.asarray, jax.tree_util.tree_map_with_path(fill, shapes))


@contextlib.contextmanager
def nothing_random() -> Iterator[None]:
    """Every uniform number is a half, and nothing is dropped, in either's code."""

    def half(key, shape=(), dtype=float, minval=0.0, maxval=1.0, **_):
        del key
        return jax.numpy.full(shape, (minval + maxval) / 2, jax.numpy.float32 if dtype is float else dtype)

    def kept(self, x, *_, **__):
        del self
        return x

    theirs = _partner("algoperf.jax_utils").Dropout
    with (
        mock.patch.object(jax.random, "uniform", half),
        mock.patch.object(theirs, "__call__", kept),
        mock.patch.object(_dropout.Dropout, "__call__", kept),
    ):
        yield


def _partner(module: str) -> Any:
    return importlib.import_module(module)


def _largest(a: Any, b: Any) -> float:
    return float(np.max(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)), initial=0.0))


def _their_batch(batch: Any) -> Any:
    inputs = batch["inputs"]
    if not hasattr(inputs, "n_node"):
        return batch
    # Graphs: the same fields, in jraph's own tuple.
    return {**batch, "inputs": _partner("jraph").GraphsTuple(**inputs._asdict())}


def _in_their_form(shapes: Any, name: str, state: Any) -> Any:
    if name == "cifar":  # AlgoPerf hands out the parameters as the state
        return {"batch_stats": state}
    if not jax.tree.leaves(state):
        return shapes
    ours = golden.flat(state)
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: ours["/".join(str(k.key) for k in path if str(k.key) != "batch_stats")].reshape(
            leaf.shape
        ),
        shapes,
    )


def _unwrapped(state: Any) -> Any:
    state = dict(state)
    return state.get("batch_stats", state)


def main(asked: list[str]) -> None:
    """Prints a row per workload."""
    if not api.is_installed():
        raise SystemExit("AlgoPerf is not installed; docs/algoperf.md says how")
    import flax

    print(f"AlgoPerf {_installed_algoperf.version()}, jax {jax.__version__}, flax {flax.__version__}\n")
    print("| workload | evaluation | training | state | loss |\n|---|---|---|---|---|")
    for name in asked or names():
        try:
            row = differences(name)
        except Exception as error:
            print(f"| {name} | {type(error).__name__}: {str(error).splitlines()[0]} | | | |", flush=True)
            continue
        state = "" if row.state is None else f"{row.state:.1e}"
        print(
            f"| {name} | {row.evaluation:.1e} | {row.training:.1e} | {state} | {row.losses:.1e} |", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
