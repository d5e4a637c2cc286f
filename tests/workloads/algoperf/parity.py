"""What every workload of AlgoPerf's has to show: its parameters, and equality with the golden files."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn import metrics

import workloads
from submissions import api
from tests.workloads.algoperf import golden, narrow
from workloads.algoperf import _classes


def check_parameters(name):
    """Paths, shapes, types, totals and the state of the batch normalisation are those of the fact sheet."""
    sheet = golden.counts()[name]
    workload = workloads.load(f"algoperf/{name}")
    params, state = jax.eval_shape(workload.init, jax.random.key(0))
    total = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))
    assert total == sheet["total_params"]
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(state)) == sheet["model_state_total"]
    if "params" not in sheet:
        return
    types = golden.flat(api.view(workload).model_params_types)
    found = [[path, shape, types[path].name] for path, shape in golden.paths_and_shapes(params)]
    assert found == sorted(sheet["params"])
    states = [[f"batch_stats/{path}", shape] for path, shape in golden.paths_and_shapes(state)]
    assert states == sorted(
        [p if p.startswith("batch_stats") else f"batch_stats/{p}", s] for p, s in sheet["model_state"]
    )


def check_against_golden(
    name,
    logits=1e-5,
    training_logits=2e-4,
    state=2e-5,
    loss=1e-5,
    gradient_norm=1e-4,
    gradient=2e-3,
    workload=None,
):
    """Logits, losses, statistics and gradients agree with AlgoPerf's to float32 rounding.

    Args:
      name: of the workload.
      logits, training_logits: largest absolute differences, for logits of standard deviation 1. The golden files tell
        what one unit in the last place of every parameter changes (`noise/...`): a few times that is the tolerance.
      state: largest absolute difference of batch statistics.
      loss: relative, of summed losses.
      gradient_norm: relative, of the global norm.
      gradient: of sampled entries, relative to the leaf's largest. Leaves whose norm is below 1e-5 of the global norm
        are zero in exact arithmetic and are left out.
      workload: see `golden.outputs_and_gradients`.
    """
    found = golden.outputs_and_gradients(name, workload=workload)
    report = golden.compared(name, found)
    total = golden.scalars(name)["grad/global_norm"]
    assert report["eval/logits"]["max_abs"] < logits
    assert report["train/logits"]["max_abs"] < training_logits
    compared = 0
    for key, row in report.items():
        if "/per_example" in key:
            assert row["max_abs"] < max(training_logits, 1e-4) * max(1.0, row["reference_std"]), key
        elif "/new_state/" in key:
            assert row["max_abs"] < state, key
        elif "rel" in row:
            assert row["rel"] < (gradient_norm if key.startswith("grad/") else loss), key
        elif key.startswith("grad/") and np.linalg.norm(np.asarray(found[key], np.float64)) > 1e-5 * total:
            assert row.get("rel_to_leaf_max", row["norm_rel"]) < gradient, key
            compared += 1
    assert compared
    return report


def check_classification(name):
    """Losses and metrics of AlgoPerf's own logits: its sums, and for the mean ones scikit-learn's."""
    logits = golden.arrays(name)["eval/logits"]
    scalars, batch = golden.scalars(name), golden.batch(name, "eval")
    found = _classes.sums(jnp.asarray(logits), batch)
    assert found["accuracy"] == scalars["metrics/accuracy"]
    np.testing.assert_allclose(found["loss"], scalars["metrics/loss"], rtol=1e-6)
    # Example 1 has the wrong class, all others the right one.
    right = np.argmax(logits, axis=-1)
    wrong = right.copy()
    wrong[1] = (wrong[1] + 1) % logits.shape[-1]
    found = _classes.sums(jnp.asarray(logits), batch | {"targets": wrong})
    assert found["accuracy"] == scalars["metrics_alt_targets/accuracy"]
    np.testing.assert_allclose(found["loss"], scalars["metrics_alt_targets/loss"], rtol=1e-6)
    assert found["examples"] == batch["weights"].sum()
    classes = range(logits.shape[-1])
    weights = {"sample_weight": batch["weights"]}
    expected = metrics.log_loss(wrong, jax.nn.softmax(logits.astype(np.float64)), labels=classes, **weights)
    np.testing.assert_allclose(found["loss"] / found["examples"], expected, rtol=1e-5)
    accuracy = metrics.accuracy_score(wrong, right, **weights)
    np.testing.assert_allclose(found["accuracy"] / found["examples"], accuracy, rtol=1e-6)


def check_padding(model, base, images, classes):
    """A row of weight 0, whatever is in it, changes neither losses nor sums nor gradients of a classifier."""
    params, state = narrow.filled(model)
    targets = np.arange(len(images)) % classes
    plain = {"inputs": images, "targets": targets}
    rows = np.r_[0 : len(images), 0]
    padded = {
        "inputs": images[rows] * np.r_[np.ones(len(images)), 5.0].astype(np.float32).reshape(-1, 1, 1, 1),
        "targets": targets[rows],
        "weights": np.r_[np.ones(len(images)), 0.0].astype(np.float32),
    }

    @jax.jit
    def all_of(params, batch):
        def loss(params):
            logits, _ = model.model_fn(params, state, batch, None, False, False, None, 0.0)
            losses, weights = base.losses(logits, batch, 0.1)
            weights = jnp.ones_like(losses) if weights is None else weights
            return jnp.sum(losses * weights) / jnp.sum(weights), base.sums(logits, batch)

        return jax.value_and_grad(loss, has_aux=True)(params)

    one, other = all_of(params, plain), all_of(params, padded)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def check_abstract_step(workload, examples=2):
    """Initialisation, a training step's loss and gradient and an evaluation can be traced, with the right shapes."""
    params, state = jax.eval_shape(workload.init, jax.random.key(0))
    batch = workload.data.shapes("train", examples)

    def step(params, state, batch, key, rate, smoothing):
        regularization = workloads.Regularization(rate, smoothing)

        def loss(params):
            return workload.loss(params, state, batch, key, True, regularization)

        return jax.value_and_grad(loss, has_aux=True)(params)

    (value, new_state), grads = jax.eval_shape(step, params, state, batch, jax.random.key(0), 0.1, 0.1)
    assert (value.shape, value.dtype) == ((), np.float32)
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)  # noqa: E731
    assert shapes(grads) == shapes(params)
    assert shapes(new_state) == shapes(state)
    sums = jax.eval_shape(workload.metrics, params, state, batch, jax.random.key(0))
    assert all(leaf.shape == () for leaf in jax.tree.leaves(sums))


def check_training_step(workload, optimizer, examples=2):
    """A real step with a small batch: everything is finite, and every parameter that can move has moved."""
    key = jax.random.key(0)
    params, state = workload.init(key)
    batch = next(workload.data.once("train", key, examples, examples))

    @jax.jit
    def step(params, state, batch):
        regularization = workloads.Regularization(0.1, 0.1)

        def loss(params):
            return workload.loss(params, state, batch, key, True, regularization)

        (value, state), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return value, state, optax.apply_updates(params, updates)

    value, state, moved = step(params, state, batch)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state, moved)))
    assert any(np.any(a != b) for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(moved), strict=True))


def check_uniform(values, bound):
    """Uniform between -bound and bound; 6 standard errors, and extremes that 1 of 1e6 such samples misses."""
    count = values.size
    assert abs(values.mean()) < 6 * bound / np.sqrt(3 * count)
    # The variance of a uniform's square is (1/5 - 1/9) bound^4.
    assert abs(np.mean(values**2) - bound**2 / 3) < 6 * bound**2 * np.sqrt(4 / 45 / count)
    assert (1 - 14 * 2 / count) * bound < values.max() <= bound * (1 + 1e-6)
    assert (1 - 14 * 2 / count) * bound < -values.min() <= bound * (1 + 1e-6)


def check_normal(values, deviation):
    """Normal around 0, within 6 standard errors, with tails."""
    count = values.size
    assert abs(values.mean()) < 6 * deviation / np.sqrt(count)
    assert abs(np.mean(values**2) - deviation**2) < 6 * deviation**2 * np.sqrt(2 / count)
    assert np.abs(values).max() > 2.3 * deviation  # of a hundred values and more


def check_truncated_normal(values, deviation):
    """Normal within two standard deviations, made wider until its own deviation is the given one."""
    count = values.size
    bound = 2 * deviation / 0.87962566103423978  # standard deviation of a normal cut off at 2
    assert abs(values.mean()) < 6 * deviation / np.sqrt(count)
    assert abs(np.mean(values**2) - deviation**2) < 6 * deviation**2 * np.sqrt(2 / count)
    assert 0.9 * bound < np.abs(values).max() <= bound * (1 + 1e-6)
