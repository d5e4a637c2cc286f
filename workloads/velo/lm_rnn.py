"""VeLO's `lm_rnn`: LSTMs that predict the next token. The program's entries named vanilla and GRU give LSTMs too."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from workloads._workload import Workload
from workloads.taskset import _recurrent
from workloads.velo import _draws, _sampled, _task, _text


def sample(rng: np.random.Generator) -> dict[str, Any]:
    """What a seed computes."""
    return {
        "units": _draws.log_int(rng, 8, 256),
        "embedding": _draws.log_int(rng, 8, 256),
        **_draws.texts(rng),
    }


def draw(rng: np.random.Generator) -> dict[str, float]:
    """Initialiser of a draw: of the embedding and of the last layer."""
    return _draws.initializer(rng)


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """As of classifiers, with tokens for classes; see `velo.normalizer`."""
    del drawn
    return _task.classes_normalizer(config["vocabulary"])


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload; the initial state is learnt."""
    tokens = config["vocabulary"]
    net = _recurrent.RecurrentNet(
        tokens, config["embedding"], _recurrent.lstm(config["units"]), tokens, trainable_init=True
    )

    def bind(numbers):
        w_init = _sampled.initializer(numbers)
        made = dataclasses.replace(net, output_init=w_init, embedding_init=w_init)

        def forward(params, ids, key, train):
            del key, train
            states = made.states(params, ids.T)
            return made.linear(params, states).swapaxes(0, 1)

        return _text.functions(config, lambda key: (made.init(key), ()), forward)

    summary = f"LSTM of {config['units']} units, {tokens:,} tokens, slices of {config['length']}"
    data = _text.load(config, data_dir)
    return _task.task(name, "lm_rnn", "rnn", summary, config, drawn, bind, data)
