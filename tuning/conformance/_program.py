"""Checks of a workload's program: init, loss, gradients, masks, measure. Nothing is trained."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tuning.conformance._check import Failure, Skip
from workloads import ForeignMeasure, Regularization, Workload
from workloads.evaluation import measure_of

# Sums of one order against another's, in float32.
TOLERANCE = 1e-4


class Parts:
    """A workload with parameters, a batch of every role, and a key: what the checks look at."""

    def __init__(self, workload: Workload, seed: int) -> None:
        """Initialises once, and draws a batch of every role."""
        self.workload = workload
        self.key = jax.random.key(seed)
        self.params, self.model_state = jax.jit(workload.init)(self.key)

    @functools.cached_property
    def train_batch(self) -> Any:
        """The first training batch."""
        workload = self.workload
        return next(workload.data.stream(workload.eval_splits["train"], self.key, workload.batch_size))

    @functools.cached_property
    def eval_batch(self) -> Any:
        """Examples of the validation split, at most as many as are in a training batch, and an even number."""
        workload, role = self.workload, "validation" if "validation" in self.workload.eval_splits else "train"
        split = workload.eval_splits[role]
        size = workload.data.size(split)
        count = min(workload.batch_size, workload.batch_size if size is None else size)
        count -= count % 2
        if count < 2:
            raise Skip("its batches have one example")
        return next(iter(workload.data.once(split, self.key, count, count)))

    @functools.cached_property
    def loss(self) -> Any:
        """(params, dropout rate, label smoothing) -> loss of the training batch; compiled."""
        workload, batch = self.workload, self.train_batch

        @jax.jit
        def loss(params, model_state, key, dropout_rate, label_smoothing):
            regularization = Regularization(dropout_rate, label_smoothing)
            return workload.loss(params, model_state, batch, key, True, regularization)

        return lambda params, rate=0.0, smoothing=0.0, key=self.key: loss(
            params, self.model_state, key, jnp.float32(rate), jnp.float32(smoothing)
        )[0]


def shapes(parts: Parts) -> str:
    """init and loss fit each other, and the state keeps its structure, shapes and types."""
    workload = parts.workload
    loss, state = jax.eval_shape(
        lambda *given: workload.loss(*given, True, Regularization()),
        parts.params, parts.model_state, parts.train_batch, parts.key,
    )  # fmt: skip
    if loss.shape != () or not jnp.issubdtype(loss.dtype, jnp.floating):
        raise Failure(f"the loss is {loss.dtype}{list(loss.shape)}; must be one floating-point number")
    before, after = (
        jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree) for tree in (parts.model_state, state)
    )
    if jax.tree.structure(parts.model_state) != jax.tree.structure(state) or before != after:
        raise Failure(
            f"a step makes of the model state {before} {after}; must stay alike, or every step compiles"
        )
    wrong = [
        leaf.dtype for leaf in jax.tree.leaves(parts.params) if not jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    if wrong:
        raise Failure(
            f"parameters of type {sorted({str(dtype) for dtype in wrong})}; only numbers with gradients are trained"
        )
    count = sum(leaf.size for leaf in jax.tree.leaves(parts.params))
    return f"{count:,} parameters in {len(jax.tree.leaves(parts.params))} arrays"


def predictions(parts: Parts) -> str:
    """loss = sum(losses * weights) / sum(weights) of what `apply` and `losses` give."""
    workload = parts.workload
    apply, of_outputs = workload.apply, workload.losses
    if apply is None or of_outputs is None:
        raise Skip("its loss is no mean over predictions: it has no apply, or no losses")

    @jax.jit
    def both(params, model_state, batch, key):
        outputs, _ = apply(params, model_state, batch, key, True, jnp.float32(0.1))
        losses, weights = of_outputs(outputs, batch, jnp.float32(0.1))
        weights = jnp.ones_like(losses) if weights is None else weights
        shape = (losses.shape, weights.shape)
        total, _ = workload.loss(params, model_state, batch, key, True, Regularization(0.1, 0.1))
        return jnp.sum(losses * weights) / jnp.sum(weights), total, jnp.zeros(shape[0]), jnp.zeros(shape[1])

    mean, loss, losses, weights = both(parts.params, parts.model_state, parts.train_batch, parts.key)
    if losses.shape != weights.shape:
        raise Failure(
            f"losses are {list(losses.shape)} and their weights {list(weights.shape)}; must be of one shape"
        )
    if not _close(mean, loss):
        raise Failure(f"the loss is {float(loss):.6g}, but the mean of the losses {float(mean):.6g}")
    return f"losses {list(losses.shape)}"


def determinism(parts: Parts) -> str:
    """Equal keys give equal parameters, batches and losses; other keys give other parameters."""
    workload = parts.workload
    again, _ = jax.jit(workload.init)(parts.key)
    if not _equal(parts.params, again):
        raise Failure("init of one key gave two sets of parameters; take all that is random from the key")
    other, _ = jax.jit(workload.init)(jax.random.fold_in(parts.key, 1))
    if _equal(parts.params, other):
        raise Failure("init of two keys gave the same parameters; draw them from the key")
    split = workload.eval_splits["train"]
    first = [next(workload.data.stream(split, parts.key, workload.batch_size)) for _ in range(2)]
    if not _equal(*first):
        raise Failure(f"two streams of split {split!r} with one key began with different batches")
    if not _equal(parts.loss(parts.params, 0.1), parts.loss(parts.params, 0.1)):
        raise Failure("the loss of one key, batch and parameters came out twice differently")
    return "parameters, batches and losses repeat bit for bit"


def seeking(parts: Parts) -> str:
    """A stream that begins at a later step gives the batches that one from the start comes to."""
    workload, split = parts.workload, parts.workload.eval_splits["train"]
    stream = workload.data.stream(split, parts.key, workload.batch_size)
    batches = [next(stream) for _ in range(4)]
    later = next(workload.data.stream(split, parts.key, workload.batch_size, first_step=3))
    if not _equal(batches[3], later):
        raise Failure(
            "the batch of step 3 depends on whether those before it were taken; resumed trainings would differ"
        )
    return "step 3 from the start and from step 3 are one batch"


def gradients(parts: Parts) -> str:
    """Gradients are finite, and every parameter has one."""
    found = jax.device_get(jax.grad(parts.loss)(parts.params))
    paths = jax.tree_util.tree_flatten_with_path(found)[0]
    infinite = [jax.tree_util.keystr(path) for path, leaf in paths if not np.all(np.isfinite(leaf))]
    if infinite:
        raise Failure(f"gradients at initialisation are not finite: {', '.join(infinite[:4])}")
    if all(not np.any(leaf) for _, leaf in paths):
        raise Failure("all gradients at initialisation are zero; the loss does not depend on the parameters")
    norm = float(np.sqrt(sum(np.sum(np.square(leaf, dtype=np.float64)) for _, leaf in paths)))
    still = [jax.tree_util.keystr(path) for path, leaf in paths if not np.any(leaf)]
    without = f"; zero at initialisation: {', '.join(still[:4])}" if still else ""
    return f"norm {norm:.4g}{without}"


def rates(parts: Parts) -> str:
    """Dropout rate and label smoothing may be traced, and another value compiles nothing."""
    values = [
        float(parts.loss(parts.params, rate, smoothing))
        for rate, smoothing in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.2))
    ]
    if not np.all(np.isfinite(values)):
        raise Failure(
            f"losses without, with dropout .5 and with label smoothing .2 are {values}; must be finite"
        )
    told = [
        name
        for name, value in zip(("dropout", "label smoothing"), values[1:], strict=True)
        if value != values[0]
    ]
    return f"acts: {', '.join(told) or 'neither'}"


def masks(parts: Parts) -> str:
    """An example of weight 0 changes neither the loss nor the metrics."""
    batch = parts.eval_batch
    if "weights" not in batch:
        raise Skip("its batches have no weights")
    workload = parts.workload
    weights = np.array(batch["weights"])
    half = len(weights) // 2
    masked = {
        **batch,
        "weights": jnp.asarray(np.concatenate([weights[:half], np.zeros_like(weights[half:])])),
    }
    turned = _swapped(masked, half)
    if turned is None:
        raise Skip("its batches are not rows of examples")

    @jax.jit
    def judged(batch):
        return (
            workload.loss(parts.params, parts.model_state, batch, parts.key, False, Regularization())[0],
            workload.metrics(parts.params, parts.model_state, batch, parts.key),
        )

    if not _close(judged(masked), judged(turned)):
        raise Failure(
            "examples of weight 0 change the loss or the metrics; multiply both by the weights, and divide by their sum"
        )
    return f"{half} of {len(weights)} examples exchanged"


def independence(parts: Parts) -> str:
    """In evaluation an example's loss does not depend on the batch that it is in."""
    workload, batch = parts.workload, parts.eval_batch
    apply, of_outputs = workload.apply, workload.losses
    if apply is None or of_outputs is None:
        raise Skip("its loss is no mean over predictions")
    sizes = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(dict(batch))}
    if len(sizes) != 1:
        raise Skip("its batches are not rows of examples")
    half = sizes.pop() // 2

    @jax.jit
    def losses(batch):
        outputs, _ = apply(parts.params, parts.model_state, batch, parts.key, False, 0.0)
        return of_outputs(outputs, batch, None)[0]

    whole, part = losses(batch), losses(jax.tree.map(lambda x: x[:half], dict(batch)))
    if not _close(whole[: len(part)], part):
        raise Failure(
            "the losses of some examples change when the others of their batch are left out, in evaluation"
        )
    return f"{half} examples alone and in a batch of {2 * half}"


def measure(parts: Parts) -> str:
    """Two halves of a split, merged, have the metrics of the whole; the metric that judges is among them."""
    workload, batch = parts.workload, parts.eval_batch
    found = measure_of(workload, workload.metrics)
    if isinstance(found, ForeignMeasure):
        raise Skip("foreign code takes its measure as a whole")
    accumulate = jax.jit(functools.partial(found.accumulate, parts.params, parts.model_state))

    def totals(batch):
        return jax.device_get(accumulate(batch, parts.key))

    whole = found.compute(totals(batch))
    if workload.metric.name not in whole:
        raise Failure(
            f"the metrics are {', '.join(sorted(whole))}; {workload.metric.name!r}, which judges, is not among them"
        )
    sizes = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(dict(batch))}
    if len(sizes) != 1:
        raise Skip("its batches are not rows of examples")
    half = sizes.pop() // 2
    if not jax.tree.leaves(dict(batch)):
        raise Skip("it has no examples")

    def part(rows):
        return totals(jax.tree.map(lambda x: x[rows], dict(batch)))

    merged = found.compute(found.merge(part(slice(half)), part(slice(half, 2 * half))))
    differ = [name for name in whole if not _close(np.asarray(whole[name]), np.asarray(merged[name]))]
    if differ:
        told = ", ".join(f"{name} {float(merged[name]):.6g} for {float(whole[name]):.6g}" for name in differ)
        raise Failure(f"two halves merged give {told}; totals must add up")
    return ", ".join(f"{name} {float(np.asarray(value)):.4g}" for name, value in sorted(whole.items()))


def _swapped(batch: Any, half: int) -> Any:
    """The batch with everything but the weights of its second half exchanged for the first half's; None where its
    arrays are no rows of examples."""
    rows = len(batch["weights"])
    if any(np.ndim(leaf) == 0 or len(leaf) != rows for leaf in jax.tree.leaves(dict(batch))):
        return None
    order = jnp.concatenate([jnp.arange(half), jnp.arange(rows - half) % half])
    return {
        name: value if name == "weights" else jax.tree.map(lambda x: x[order], value)
        for name, value in batch.items()
    }


def _equal(one: Any, other: Any) -> bool:
    return all(
        np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


def _close(one: Any, other: Any) -> bool:
    return all(
        np.allclose(np.asarray(a), np.asarray(b), rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )
