"""How a population is evaluated while it trains: on whole splits, or on fresh random minibatches as in TaskSet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads import Batch, GeneratedData, ResidentData, Workload

# The largest number of examples that one evaluation call sees; larger splits are evaluated in chunks.
EVAL_CHUNK = 2048
EVAL_SEED = 0x5EED  # of what is random in an evaluation of whole splits, the same for every trial and study
EVAL_STREAM = 0xFFFFFFFF  # sets the draws of evaluations apart from those of the steps, which count from 0

Data = Mapping[str, Mapping[str, jax.Array]]  # split -> field -> [example, ...]; {} per split where generated
Metrics = Callable[[Any, Any, Batch, jax.Array], Mapping[str, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """When and on what a population is evaluated.

    | batches | each role's metric | randomness |
    |---|---|---|
    | None | sum / examples over the whole split (the leading `eval_examples` of the training split) | one fixed key |
    | N | mean over N minibatches of (sum / examples) | fresh minibatches at every evaluation |

    Attributes:
      batches: minibatches of the training batch size per role. Their examples are drawn uniformly with replacement,
        independently for every role and evaluation, from a key derived from the batch seed and the number of the
        evaluation: trials that share batches share these too.
      at_start: evaluate the initial parameters too, at step 0.

    TaskSet is `Evaluation(batches=50, at_start=True)` every 200 of 10,000 steps: 51 evaluations (arXiv:2002.11887;
    its minibatches come from repeated, shuffled splits).
    """

    batches: int | None = None
    at_start: bool = False

    def __post_init__(self) -> None:
        if self.batches is not None and self.batches < 1:
            raise ValueError(
                f"evaluation on {self.batches} batches; must be at least 1, or None for whole splits"
            )


def metrics_of(
    evaluation: Evaluation, workload: Workload, metrics: Metrics, axes: tuple[Any, Any], shared_batches: bool
) -> Callable[..., dict[str, jax.Array]]:
    """(params, model state, data, batch keys, number of the evaluation) -> "<role>/<metric>" -> [trial].

    Args:
      evaluation: on what.
      workload: gives roles, batch size and how a batch is made.
      metrics: of one trial, with the workload's constants bound.
      axes: of the trials in params and model state.
      shared_batches: trials that share batches share those of evaluations too.
    """

    def on_whole_splits(params, model_state, data, keys, number):
        del keys, number
        sums = jax.vmap(metrics, in_axes=(*axes, None, None))
        return _on_whole_splits(workload, lambda batch, key: sums(params, model_state, batch, key), data)

    batches = evaluation.batches
    if batches is None:
        return on_whole_splits

    def on_batches(params, model_state, data, keys, number):
        keys = jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, EVAL_STREAM), number))(keys)
        axis = None if shared_batches else 0
        sums = jax.vmap(metrics, in_axes=(*axes, axis, axis))

        def of_batch(draw, keys):
            draw_keys, keys = jax.vmap(lambda key: tuple(jax.random.split(key)))(keys)
            if shared_batches:
                return sums(params, model_state, draw(draw_keys[0]), keys[0])
            return sums(params, model_state, jax.vmap(draw)(draw_keys), keys)

        return _on_batches(workload, of_batch, batches, data, keys)

    return on_batches


def _on_batches(
    workload: Workload,
    sums: Callable[..., Mapping[str, jax.Array]],
    batches: int,
    data: Data,
    keys: jax.Array,
) -> dict[str, jax.Array]:
    """Means over fresh minibatches of (sum / examples).

    All roles go through one loop whose body holds the model once: the model is most of what there is to compile.

    Args:
      workload: gives roles, batch size and how a batch is made.
      sums: (key -> batch, [1 or trial] keys) -> sums of all trials.
      batches: per role.
      data: resident splits.
      keys: [1 or trial], of this evaluation.
    """
    roles = workload.eval_splits
    keys = jax.vmap(lambda key: jax.random.split(key, len(roles) * batches))(
        keys
    ).T  # [role * batch, 1 or trial]
    role_of = jnp.repeat(jnp.arange(len(roles)), batches)
    draws = [_draw(workload, data, split) for split in roles.values()]

    def of_batch(role_and_keys):
        role, keys = role_and_keys
        totals = sums(lambda key: jax.lax.switch(role, draws, key), keys)
        return {name: total / totals["examples"] for name, total in totals.items() if name != "examples"}

    means = jax.lax.map(of_batch, (role_of, keys))
    return {
        f"{role}/{name}": values.reshape(len(roles), batches, -1)[i].mean(0)
        for i, role in enumerate(roles)
        for name, values in means.items()
    }


def _draw(workload: Workload, data: Data, split: str) -> Callable[[jax.Array], Batch]:
    """key -> a fresh minibatch of a split, as the model sees it."""
    source = workload.data
    if isinstance(source, GeneratedData):
        return lambda key: source.draw(key, workload.batch_size)

    assert isinstance(source, ResidentData)  # streamed data have a lane of their own

    def draw(key: jax.Array) -> Batch:
        rows_key, key = jax.random.split(key)
        rows = jax.random.randint(rows_key, (workload.batch_size,), 0, source.size(split))
        batch = {field: values[rows] for field, values in data[split].items()}
        return source.transform(key, batch, split) if source.transform else batch

    return draw


def _on_whole_splits(
    workload: Workload, sums: Callable[[Batch, jax.Array], Mapping[str, jax.Array]], data: Data
) -> dict[str, jax.Array]:
    """Sums over whole splits, divided by their examples.

    Args:
      workload, data: as for `_on_batches`.
      sums: (batch, key) -> sums of all trials.
    """
    recorded = {}
    for i, (role, split) in enumerate(workload.eval_splits.items()):
        key = role_key(i)
        if isinstance(workload.data, GeneratedData):
            examples = workload.data.draw(key, workload.eval_examples)
        else:
            limit = workload.eval_examples if role == "train" else None
            examples = {field: values[:limit] for field, values in data[split].items()}

        def of_chunk(batch, key=key, split=split):
            if isinstance(workload.data, ResidentData) and workload.data.transform:
                batch = workload.data.transform(key, batch, split)
            return sums(batch, key)

        totals = _sum_over_chunks(of_chunk, examples)
        for name, total in totals.items():
            if name != "examples":
                recorded[f"{role}/{name}"] = total / totals["examples"]
    return recorded


def role_key(number: int) -> jax.Array:
    """Feeds what is random when a whole split is evaluated for a role, by the role's number.

    The same at every evaluation: a curve moves with the model, not with the draw.
    """
    return jax.random.fold_in(jax.random.key(EVAL_SEED), number)


def _sum_over_chunks(sums_of: Callable[[Any], Any], split: Mapping[str, jax.Array]) -> Any:
    """Adds a batch's sums over a split in chunks of `EVAL_CHUNK`, so that its activations need not fit at once."""
    if not split:
        return sums_of({})
    examples = len(next(iter(split.values())))
    whole, rest = divmod(examples, EVAL_CHUNK)
    parts = []
    if whole:
        chunks = {
            k: v[: whole * EVAL_CHUNK].reshape(whole, EVAL_CHUNK, *v.shape[1:]) for k, v in split.items()
        }
        parts.append(jax.tree.map(lambda s: s.sum(0), jax.lax.map(sums_of, chunks)))
    if rest:
        parts.append(sums_of({k: v[whole * EVAL_CHUNK :] for k, v in split.items()}))
    return jax.tree.map(lambda *s: sum(s), *parts)
