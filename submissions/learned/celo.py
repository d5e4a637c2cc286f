"""Celo: VeLO whose LSTM sees time and losses alone, and so is one learned schedule, and whose network is one.

Notation: p a parameter, g its gradient, t the update from 0.

Reference: Moudgil et al. 2025, arXiv:2501.12670; github.com/amoudgl/celo.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from submissions.learned import by_shape
from submissions.learned._declaration import Learned
from submissions.learned.fused_mlp import (
    Accumulators,
    flat_networks,
    gradient_added,
    initial_bank,
    no_gradients,
    steps,
)
from submissions.learned.loss_buffer import LossBuffer, empty_loss_buffer, loss_added, loss_features
from submissions.learned.lstm import LstmState, repeated_start
from submissions.learned.scheduler import (
    SHARED_INPUTS,
    fraction_left,
    initial_scheduler,
    scheduled,
    step_size,
)
from submissions.learned.velo import as_kept, cast_like, clipped, stacked_float32
from submissions.learned.wrapped import wrapped
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen


class Schedule(NamedTuple):
    """A learned schedule.

    Attributes:
      step: updates done, int32.
      horizon: that it was told, int32.
      losses: the training loss at ten time scales.
      lstm: [1, width]. The original keeps a row for every tensor, all equal.
    """

    step: jax.Array
    horizon: jax.Array
    losses: LossBuffer
    lstm: LstmState


class CeloState(NamedTuple):
    """What Celo carries from one update to the next.

    Attributes:
      step, horizon: of the schedule.
      losses, lstm: of the schedule.
      tensors: accumulators of each group of tensors of one shape, [stack, ...].
    """

    step: jax.Array
    horizon: jax.Array
    losses: LossBuffer
    lstm: LstmState
    tensors: tuple[Accumulators, ...]


def begun_schedule(weights: Any, horizon: Any) -> Schedule:
    """Before the first update."""
    return Schedule(
        jnp.zeros((), jnp.int32),
        jnp.asarray(horizon, jnp.int32),
        empty_loss_buffer(horizon),
        repeated_start(weights["lstm_init_state"], 1),
    )


def scheduled_rate(weights: Any, schedule: Schedule, loss: jax.Array) -> tuple[jax.Array, Schedule]:
    """(0.1 exp(step_size(h)), the schedule one update later)."""
    step, horizon, before, lstm = schedule
    losses = loss_added(before, loss)
    x = jnp.concatenate([fraction_left(step, horizon), loss_features(losses)])[None]
    lstm = scheduled(weights["rnn_params"], x, lstm)
    rate = 0.1 * jnp.exp(step_size(weights["rnn_params"], lstm.hidden)[0])
    return rate, Schedule(step + 1, horizon, losses, lstm)


def celo(
    weights: Any,
    *,
    apply_schedule: bool = True,
    weight_decay: float = 0.0,
    longest_horizon: int | None = None,
    skip_nonfinite: bool = False,
) -> Rule:
    """Celo with these weights.

        rate = 0.1 exp(LSTM(time, losses)), for all tensors
        d, s = network(g, p, decayed means of g, g^2 and their factors), per parameter
        p <- p - rate 0.001 d exp(0.001 s) sqrt(mean(p^2) + 1e-9)

    The original's network is mixed from a bank of one by a softmax over one control, which is 1: the layer
    `rnn_to_controls` of the weights is not used.

    Args:
      weights: "lstm_init_state", "rnn_params" and "ff_mod_stack", as in the released file.
      apply_schedule: False: the rate is 1, as while the network was trained, before the schedule was.
      weight_decay, longest_horizon, skip_nonfinite: see `submissions.learned.wrapped`.
    """

    def init(weights, hyperparameters, params, key, horizon):
        del hyperparameters, key
        shapes = by_shape.of(params)
        tensors = tuple(shapes.map(no_gradients, shapes.stacked(params)))
        return CeloState(*begun_schedule(weights, horizon), tensors)

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del hyperparameters
        shapes = by_shape.of(params)
        p, g = stacked_float32(shapes, params), clipped(stacked_float32(shapes, grads))
        rate, schedule = scheduled_rate(weights, Schedule(*state[:-1]), seen.loss)
        network = flat_networks(weights["ff_mod_stack"]["~"])
        accumulators = shapes.map(gradient_added, state.tensors, g)
        made = steps([jnp.repeat(network, len(stack), 0) for stack in p], p, g, accumulators)
        moved = [-rate * step if apply_schedule else -step for step in made]
        tensors = as_kept(tuple(accumulators), state.tensors)
        return cast_like(shapes.unstacked(moved), params), CeloState(*schedule, tensors)

    return wrapped(
        Rule(init, update, weights=weights),
        weight_decay=weight_decay,
        longest_horizon=longest_horizon,
        skip_nonfinite=skip_nonfinite,
    )


def initial_celo(key: jax.Array, lstm: int = 64) -> dict[str, Any]:
    """Weights before any training; of the released size by default: 37,089 numbers."""
    of_bank, of_rest = jax.random.split(key)
    return {
        "ff_mod_stack": {"~": initial_bank(of_bank, 1)},
        **initial_scheduler(of_rest, SHARED_INPUTS, lstm, 1),
    }


ROWS = (
    Learned(
        "celo",
        celo,
        initial_celo,
        "Moudgil et al. 2025, arXiv:2501.12670; algoperf/submissions/celo of github.com/amoudgl/celo",
        switches={
            "apply_schedule": True,
            "weight_decay": 0.0,
            "longest_horizon": None,
            "skip_nonfinite": False,
        },
        sizes={"lstm": 64},
    ),
)
