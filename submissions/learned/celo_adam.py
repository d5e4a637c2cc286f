"""Celo-Adam: Adam whose learning rate is Celo's learned schedule.

Reference: Moudgil et al. 2025, arXiv:2501.12670; github.com/amoudgl/celo.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from submissions.learned._declaration import Learned
from submissions.learned.celo import Schedule, begun_schedule, scheduled_rate
from submissions.learned.loss_buffer import LossBuffer
from submissions.learned.lstm import LstmState
from submissions.learned.scheduler import SHARED_INPUTS, initial_scheduler
from submissions.learned.velo import LARGEST_GRADIENT, as_kept
from submissions.learned.wrapped import wrapped
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

BETA1, BETA2, EPSILON, EPSILON_ROOT = 0.9, 0.999, 1e-8, 1e-10
CELO_ADAM_RATE = 0.001


class CeloAdamState(NamedTuple):
    """What Celo-Adam carries from one update to the next.

    Attributes:
      step, horizon, losses, lstm: of the schedule.
      m, v: decayed means of the gradient and of its square; trees like params.
    """

    step: jax.Array
    horizon: jax.Array
    losses: LossBuffer
    lstm: LstmState
    m: Any
    v: Any


def celo_adam(
    weights: Any,
    *,
    weight_decay: float = 0.0,
    longest_horizon: int | None = None,
    skip_nonfinite: bool = False,
) -> Rule:
    """Celo-Adam with these weights.

        rate = 0.0001 exp(LSTM(time, losses))
        p <- p - rate mh / (1e-8 + sqrt(vh + 1e-10)), mh and vh bias-corrected, beta .9 and .999

    Args:
      weights: "lstm_init_state" and "rnn_params", as in the released file.
      weight_decay, longest_horizon, skip_nonfinite: see `submissions.learned.wrapped`.
    """

    def init(weights, hyperparameters, params, key, horizon):
        del hyperparameters, key
        m, v = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        return CeloAdamState(*begun_schedule(weights, horizon), m, v)

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del hyperparameters
        rate, schedule = scheduled_rate(weights, Schedule(*state[:4]), seen.loss)
        g = jax.tree.map(lambda g: jnp.clip(g, -LARGEST_GRADIENT, LARGEST_GRADIENT), grads)
        m = as_kept(jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state.m, g), state.m)
        v = as_kept(jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g**2, state.v, g), state.v)
        of_m, of_v = (1 / (1 - beta ** schedule.step.astype(jnp.float32)) for beta in (BETA1, BETA2))

        def moved(m, v, p):
            step = CELO_ADAM_RATE * rate * (m * of_m) / (EPSILON + jnp.sqrt(v * of_v + EPSILON_ROOT))
            return (-step).astype(p.dtype)

        return jax.tree.map(moved, m, v, params), CeloAdamState(*schedule, m, v)

    return wrapped(
        Rule(init, update, weights=weights),
        weight_decay=weight_decay,
        longest_horizon=longest_horizon,
        skip_nonfinite=skip_nonfinite,
    )


def initial_celo_adam(key: jax.Array, lstm: int = 64) -> dict[str, Any]:
    """Weights before any training; of the released size by default: 36,865 numbers."""
    return initial_scheduler(key, SHARED_INPUTS, lstm, 0)


ROWS = (
    Learned(
        "celo_adam",
        celo_adam,
        initial_celo_adam,
        "Moudgil et al. 2025, arXiv:2501.12670; algoperf/submissions/celo_adam of github.com/amoudgl/celo",
        switches={"weight_decay": 0.0, "longest_horizon": None, "skip_nonfinite": False},
        sizes={"lstm": 64},
    ),
)
