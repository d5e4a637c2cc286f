"""TaskSet's synthetic sequences: associative retrieval and copying, made batch by batch.

With n = num_tokens, ids n and n + 1 are special. All four splits draw from the same distribution.

  associative  k1 v1 ... kP vP QUERY k -> the value of key k after the last token; the keys of a sequence are distinct.
               EMPTY = n is the target of all other places, QUERY = n + 1.
  copy         L tokens, SEP = n, L times EMIT = n + 1 -> L + 1 times token 0, then the L tokens.

The loss is the mean cross-entropy over the places that count: the last, or the last L.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads._source import GeneratedData, Provenance
from workloads._workload import Functions, Workload
from workloads.functions import functions_of
from workloads.losses import cross_entropy
from workloads.taskset import _recurrent, _task
from workloads.taskset.quirks import RELEASED, Quirks

Draw = Callable[[jax.Array, int], dict[str, jax.Array]]


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of group `associative` or `copy`.

    Args:
      name: of the workload.
      config: of `fixed.json`.
      data_dir: not used: the data are made.
      quirks: none of them concerns these tasks.
    """
    del data_dir, quirks
    n = config["num_tokens"]
    if config["group"] == "associative":
        draw, scored = associative(config["num_pairs"], n), 1
        what = f"retrieval of one of {config['num_pairs']} associations, {n} tokens"
    else:
        draw, scored = copy(config["length"], n), config["length"]
        what = f"copies of {config['length']} of {n} tokens"
    net = _recurrent.RecurrentNet(
        tokens=n + 2,
        embed_dim=None,
        cell=_recurrent.fixed(config["core"], config["units"]),
        outputs=n + 2,
        trainable_init=False,
    )
    return _task.task(
        name,
        "rnn",
        f"TaskSet {what}, {config['core']} {config['units']}",
        _functions(net, scored),
        GeneratedData(draw, Provenance("synthetic", f"{what}, drawn for every batch"), _task.SPLITS),
        config["batch_size"],
        "SOFTMAX_CROSS_ENTROPY",
    )


def associative(num_pairs: int, num_tokens: int) -> Draw:
    """(key, examples) -> `inputs` and `targets`, [example, 2 * num_pairs + 2]."""
    empty, query = num_tokens, num_tokens + 1

    def draw(key, examples):
        # One call: the order of the first num_tokens numbers chooses the keys.
        uniform = jax.random.uniform(key, (examples, num_tokens + num_pairs + 1))
        keys = jnp.argsort(uniform[:, :num_tokens], axis=1)[:, :num_pairs].astype(jnp.int32)
        values = jnp.floor(uniform[:, num_tokens:-1] * num_tokens).astype(jnp.int32)
        asked = jnp.floor(uniform[:, -1:] * num_pairs).astype(jnp.int32)
        pairs = jnp.stack([keys, values], axis=2).reshape(examples, 2 * num_pairs)
        asked_key, answer = (jnp.take_along_axis(row, asked, axis=1) for row in (keys, values))
        inputs = jnp.concatenate([pairs, jnp.full((examples, 1), query), asked_key], axis=1)
        targets = jnp.concatenate([jnp.full((examples, 2 * num_pairs + 1), empty), answer], axis=1)
        return {"inputs": inputs, "targets": targets}

    return draw


def copy(length: int, num_tokens: int) -> Draw:
    """(key, examples) -> `inputs` and `targets`, [example, 2 * length + 1]."""
    separator, emit = num_tokens, num_tokens + 1

    def draw(key, examples):
        uniform = jax.random.uniform(key, (examples, length))
        tokens = jnp.floor(uniform * num_tokens).astype(jnp.int32)
        after = jnp.full((examples, length + 1), emit).at[:, 0].set(separator)
        before = jnp.zeros((examples, length + 1), jnp.int32)  # token 0, which is a token like any other
        return {
            "inputs": jnp.concatenate([tokens, after], axis=1),
            "targets": jnp.concatenate([before, tokens], axis=1),
        }

    return draw


def _functions(net: _recurrent.RecurrentNet, scored: int) -> Functions:
    """Mean cross-entropy of the last `scored` places; an example of the metrics is such a place."""

    def apply(params, model_state, batch, key, train, dropout_rate):
        del key, train, dropout_rate
        states = net.states(params, batch["inputs"].T)[-scored:]
        return net.linear(params, states), model_state

    def losses(logits, batch, label_smoothing):
        del label_smoothing
        return cross_entropy(logits, batch["targets"].T[-scored:]), None

    return functions_of(lambda key: (net.init(key), ()), apply, losses, time_first=True)
