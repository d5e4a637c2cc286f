"""VeLO: an LSTM per tensor that mixes, at every step, the weights of a small network run on every parameter.

Notation: p a parameter, g its gradient, m and rms decayed means of the gradient and of its square, t the update from 0.

Reference: Metz et al. 2022, arXiv:2211.09760; `HyperV2` of learned_optimization, whose slips are switches here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from submissions.learned import by_shape
from submissions.learned._declaration import Learned
from submissions.learned.features import clipped_log, sums
from submissions.learned.fused_mlp import (
    MOMENTUM_DECAYS,
    Accumulators,
    flat_networks,
    gradient_added,
    initial_bank,
    no_gradients,
    steps,
)
from submissions.learned.loss_buffer import LossBuffer, empty_loss_buffer, loss_added, loss_features
from submissions.learned.lstm import LstmState, linear, repeated_start
from submissions.learned.scheduler import (
    SHARED_INPUTS,
    fraction_left,
    initial_scheduler,
    scheduled,
    step_size,
)
from submissions.learned.wrapped import wrapped
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

LARGEST_GRADIENT = 1000.0
BANK_MULT = 100.0
RANKS = 5
TENSOR_INPUTS = 1 + RANKS + 3 + 3  # of the LSTM, that differ between tensors
BUGGED_HORIZON = 10


class VeloState(NamedTuple):
    """What VeLO carries from one update to the next.

    Attributes:
      step: updates done, int32.
      horizon: that it was told, int32.
      losses: the training loss at ten time scales.
      lstm: [tensor, width], rows in the order of the parameters' leaves.
      tensors: accumulators of each group of tensors of one shape, [stack, ...].
    """

    step: jax.Array
    horizon: jax.Array
    losses: LossBuffer
    lstm: LstmState
    tensors: tuple[Accumulators, ...]


def velo(
    weights: Any,
    *,
    use_bugged_loss_features: bool = False,
    use_bugged_next_lstm_state: bool = False,
    var_rms_uses_mean_m: bool = True,
    weight_decay: float = 0.0,
    longest_horizon: int | None = None,
    skip_nonfinite: bool = False,
) -> Rule:
    """VeLO with these weights.

        controls, lr_mult = LSTM(time, losses, statistics of p, m, rms), per tensor
        network_k = 100 mean_j(controls_kj bank_j), per tensor k
        d, s = network_k(g, p, m, rms, factored moments), per parameter
        p <- p - lr_mult 0.001 d exp(0.001 s) sqrt(mean(p^2) + 1e-9)

    Args:
      weights: "lstm_init_state", "rnn_params" and "ff_mod_stack", as in the released file.
      use_bugged_loss_features: all losses' decays are those of a horizon of 10; for some early weights.
      use_bugged_next_lstm_state: the LSTM starts anew at every step; for some early weights.
      var_rms_uses_mean_m: the spread of rms is that about the three means of m, as in the original, and not about its
        own mean (which then fills three inputs).
      weight_decay, longest_horizon, skip_nonfinite: see `submissions.learned.wrapped`.
    """

    def init(weights, hyperparameters, params, key, horizon):
        del hyperparameters, key
        shapes = by_shape.of(params)
        return VeloState(
            jnp.zeros((), jnp.int32),
            jnp.asarray(horizon, jnp.int32),
            empty_loss_buffer(BUGGED_HORIZON if use_bugged_loss_features else horizon),
            repeated_start(weights["lstm_init_state"], len(shapes.shapes)),
            tuple(shapes.map(no_gradients, shapes.stacked(params))),
        )

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del hyperparameters
        shapes = by_shape.of(params)
        p, g = stacked_float32(shapes, params), clipped(stacked_float32(shapes, grads))
        losses = loss_added(state.losses, seen.loss)
        shared = jnp.concatenate([fraction_left(state.step, state.horizon), loss_features(losses)])
        statistics = shapes.joined(shapes.map(tensor_statistics, p, state.tensors))
        own = tensor_features(statistics, shapes.shapes, var_rms_uses_mean_m)
        x = jnp.concatenate([jnp.broadcast_to(shared, (len(own), SHARED_INPUTS)), own], -1)
        lstm = scheduled(weights["rnn_params"], x, state.lstm)
        networks = mixed(
            weights["ff_mod_stack"]["~"], linear(weights["rnn_params"]["rnn_to_controls"], lstm.hidden)
        )
        lr_mult = step_size(weights["rnn_params"], lstm.hidden)

        accumulators = shapes.map(gradient_added, state.tensors, g)
        made = steps(shapes.parted(networks), p, g, accumulators)
        moved = [
            -over_stack(rate, step) * step for rate, step in zip(shapes.parted(lr_mult), made, strict=True)
        ]
        state = VeloState(
            state.step + 1,
            state.horizon,
            losses,
            state.lstm if use_bugged_next_lstm_state else lstm,
            as_kept(tuple(accumulators), state.tensors),
        )
        return cast_like(shapes.unstacked(moved), params), state

    return wrapped(
        Rule(init, update, weights=weights),
        weight_decay=weight_decay,
        longest_horizon=longest_horizon,
        skip_nonfinite=skip_nonfinite,
    )


def tensor_statistics(p: jax.Array, accumulators: Accumulators) -> jax.Array:
    """[9], of one tensor before the step: mean of p^2; means and variances of m; mean and variance of rms."""
    kept = [channel.astype(jnp.float32) for x in accumulators[:2] for channel in x]
    means = sums([jnp.square(p), *kept]) / p.size
    centered = [jnp.square(x - mean) for x, mean in zip(kept, means[1:], strict=True)]
    variances = sums(centered) / p.size
    m, rms = len(MOMENTUM_DECAYS), 1
    return jnp.concatenate([means[: 1 + m], variances[:m], means[-rms:], variances[-rms:]])


def tensor_features(
    statistics: jax.Array, shapes: Sequence[tuple[int, ...]], var_rms_uses_mean_m: bool
) -> jax.Array:
    """[tensor, 12], inputs of the LSTM: mean of rms; rank, one-hot; variances of m; variances of rms.

    All in units of the tensor's root mean square, rms too, although it is a square.

    Args:
      statistics: [tensor, 9], see `tensor_statistics`.
      shapes: of the tensors.
      var_rms_uses_mean_m: see `velo`.
    """
    square_p, mean_m, var_m, mean_rms, var_rms = jnp.split(statistics, (1, 4, 7, 8), -1)
    per_size = jax.lax.rsqrt(jnp.maximum(1e-9, square_p))
    if var_rms_uses_mean_m:
        # mean((rms - a)^2) is the variance and the distance of the means: one pass for three a.
        var_rms = var_rms + jnp.square(mean_rms - mean_m)
    squared = jnp.square(per_size)
    values = jnp.concatenate(
        [mean_rms * per_size, var_m * squared, jnp.broadcast_to(var_rms, mean_m.shape) * squared], -1
    )
    logs = 0.5 * clipped_log(10 * values)
    ranks = np.array([sum(n > 1 for n in shape) for shape in shapes])
    one_hot = jnp.asarray(ranks[:, None] == np.arange(RANKS), jnp.float32)
    return jnp.concatenate([logs[:, :1], one_hot, logs[:, 1:]], -1)


def mixed(bank: Mapping[str, jax.Array], controls: jax.Array) -> jax.Array:
    """[tensor, 154]: 100 times the mean over the bank of controls [tensor, network] times networks, in one product."""
    return controls @ flat_networks(bank) * (BANK_MULT / controls.shape[-1])


def stacked_float32(shapes: by_shape.Shapes, tree: Any) -> list[jax.Array]:
    """Stacks of a tree, in the precision that the network computes in."""
    return [stack.astype(jnp.float32) for stack in shapes.stacked(tree)]


def clipped(stacks: Sequence[jax.Array]) -> list[jax.Array]:
    """Gradients, each element between -1000 and 1000."""
    return [jnp.clip(g, -LARGEST_GRADIENT, LARGEST_GRADIENT) for g in stacks]


def over_stack(rates: jax.Array, stack: jax.Array) -> jax.Array:
    """[stack] -> [stack, 1, ..., 1], to meet [stack, *S]."""
    return jnp.reshape(rates, (-1, *[1] * (stack.ndim - 1)))


def as_kept(new: Any, old: Any) -> Any:
    """New accumulators in the precision that the old ones have."""
    return jax.tree.map(lambda n, o: n.astype(o.dtype), new, old)


def cast_like(tree: Any, like: Any) -> Any:
    """A tree in the precision of another."""
    return jax.tree.map(lambda x, y: x.astype(y.dtype), tree, like)


def initial_velo(key: jax.Array, lstm: int = 512, bank: int = 256) -> dict[str, Any]:
    """Weights before any training; of the released sizes by default: 2,320,385 numbers.

    Args:
      key: random.
      lstm: width of the LSTM.
      bank: networks that are mixed.
    """
    of_bank, of_rest = jax.random.split(key)
    return {
        "ff_mod_stack": {"~": initial_bank(of_bank, bank)},
        **initial_scheduler(of_rest, SHARED_INPUTS + TENSOR_INPUTS, lstm, bank),
    }


ROWS = (
    Learned(
        "velo",
        velo,
        initial_velo,
        "Metz et al. 2022, arXiv:2211.09760; HyperV2 of learned_optimization",
        switches={
            "use_bugged_loss_features": False,
            "use_bugged_next_lstm_state": False,
            "var_rms_uses_mean_m": True,
            "weight_decay": 0.0,
            "longest_horizon": None,
            "skip_nonfinite": False,
        },
        sizes={"lstm": 512, "bank": 256},
    ),
)
