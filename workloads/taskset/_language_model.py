"""TaskSet's recurrent language models: from each token, the next."""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from workloads._workload import Functions, Workload
from workloads.functions import functions_of
from workloads.losses import cross_entropy
from workloads.taskset import _nets, _recurrent, _task, _text
from workloads.taskset.quirks import RELEASED, Quirks

LOGITS_AT_ONCE = 2**24  # 64 MiB; more are made in pieces, and made again on the way back


def sampled(
    name: str,
    config: dict[str, Any],
    per_validation: int,
    data_dir: pathlib.Path | None,
    quirks: Quirks = RELEASED,
) -> Workload:
    """A workload of a config of the byte or word family; both honour just_train.

    Args:
      name: of the workload.
      config: as the family samples it.
      per_validation: texts of each validation split of real data.
      data_dir: see `workloads.load`.
      quirks: lm_padding, truncated_normal.
    """
    dataset, arguments = config["dataset"]
    net = _recurrent.RecurrentNet(
        tokens=config["vocab_size"],
        embed_dim=config["embed_dim"],
        cell=_recurrent.sampled(config["core"], quirks),
        outputs=config["vocab_size"],
        trainable_init=config["trainable_init"],
        output_init=_nets.initializer(*config["w_init"], quirks=quirks),
    )
    masked = quirks.lm_padding == "masked"
    made = functions(net, masked)
    structure = {key: value for key, value in config.items() if key != "dataset"} | {
        "family": "language_model",
        "patch_length": arguments["patch_length"],
        "quirks": [quirks.lm_padding, quirks.truncated_normal],
    }
    core, core_arguments = config["core"]
    return _task.task(
        name,
        "rnn",
        f"TaskSet language model with a {core} of {core_arguments['core_dim']} units, {config['vocab_size']:,} tokens, "
        f"slices of {arguments['patch_length']} of {dataset}",
        made,
        _text.load(
            dataset,
            arguments["patch_length"],
            per_validation,
            arguments["num_train"],
            data_dir,
            just_train=arguments["just_train"],
        ),
        arguments["batch_size"],
        "SOFTMAX_CROSS_ENTROPY",
        _task.one_program(structure, made),
    )


def functions(net: _recurrent.RecurrentNet, masked: bool) -> Functions:
    """Cross-entropy of tokens 1, 2, ... given those before, in nats per token.

    Ids from net.tokens on count as the last one. An example of the metrics is a predicted token, so that tokens of all
    batches weigh alike. The outputs are logits [time, batch, token], or if these are very many the states that they
    come from, with the linear layer's parameters.

    Args:
      net: with as many outputs as tokens.
      masked: leave padding out of the mean; else it is predicted as well.
    """

    def tokens_of(batch):
        return jnp.minimum(batch["text"].T, net.tokens - 1)  # time first spares the recurrence transpositions

    def apply(params, model_state, batch, key, train, dropout_rate):
        del key, train, dropout_rate
        states = net.states(params, tokens_of(batch)[:-1])
        if states.shape[0] * states.shape[1] * net.outputs <= LOGITS_AT_ONCE:
            return net.linear(params, states), model_state
        return {"states": states, "linear": params["linear"]}, model_state

    def losses(outputs, batch, label_smoothing):
        del label_smoothing
        targets = tokens_of(batch)[1:]
        in_pieces = isinstance(outputs, dict)
        values = _in_pieces(net, outputs, targets) if in_pieces else cross_entropy(outputs, targets)
        return values, (targets > 0).astype(jnp.float32) if masked else jnp.ones(targets.shape)

    return functions_of(lambda key: (net.init(key), ()), apply, losses, time_first=True)


def _in_pieces(
    net: _recurrent.RecurrentNet, outputs: Any, targets: Integer[Array, "time batch"]
) -> Float[Array, "time batch"]:
    """Cross-entropy of the targets, of so many logits that they are never there at once.

    Args:
      net: whose linear layer is meant.
      outputs: `states` [time, batch, unit] and the parameters `linear`.
      targets: tokens.
    """

    def of_piece(states, targets):
        return cross_entropy(net.linear(outputs, states), targets)

    states = outputs["states"]
    rows = max(LOGITS_AT_ONCE // net.outputs, 1)
    pieces = -(-targets.size // rows)
    short = pieces * rows - targets.size
    states = jnp.pad(states.reshape(targets.size, -1), ((0, short), (0, 0))).reshape(pieces, rows, -1)
    padded = jnp.pad(targets.reshape(-1), (0, short)).reshape(pieces, rows)
    made = jax.lax.map(jax.checkpoint(lambda piece: of_piece(*piece)), (states, padded))
    return made.reshape(-1)[: targets.size].reshape(targets.shape)
