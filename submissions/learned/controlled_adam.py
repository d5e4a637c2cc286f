"""Adam whose learning rate and momentum a small network sets, for every tensor and at every step.

The network sees what decides a learning rate: how much of the training is left, whether the loss still falls, how large
a tensor is and how far it has moved, and whether its gradients agree with each other. Nothing is run on every parameter
but Adam, and the network is small enough to be trained on a laptop: 663 numbers. The update of a parameter is Adam's
own, so that nothing has to be learned about scales of gradients.

Notation: p a parameter, p_0 its value at first, g its gradient, t the update from 1, T the horizon, i a tensor.

No paper has this rule. Networks that set Adam's rate: Metz et al. 2020, arXiv:2009.11243 (NNAdam); Moudgil et al. 2025,
arXiv:2501.12670 (Celo-Adam). Losses at ten time scales are VeLO's; the distance from the start as a measure of how long
steps should be is Ivgi et al.'s, arXiv:2302.12022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from submissions.learned import by_shape
from submissions.learned._declaration import Learned
from submissions.learned.loss_buffer import (
    LOSS_FEATURES,
    LossBuffer,
    empty_loss_buffer,
    loss_added,
    loss_features,
)
from submissions.learned.lstm import initial_linear, linear
from submissions.learned.velo import as_kept, cast_like, clipped, over_stack, stacked_float32
from submissions.learned.wrapped import wrapped
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

MOMENTA = (0.0, 0.9, 0.99)  # of the gradient itself, and of two decayed means
BETA2, EPSILON = 0.99, 1e-8
TIME_INPUTS, TENSOR_INPUTS = 4, 10
INPUTS = TIME_INPUTS + LOSS_FEATURES + 2 * TENSOR_INPUTS
OUTPUTS = 2 + len(MOMENTA)
DRIFT = 0.1  # by which a step may change the logarithm of a rate for good
FIRST_RATE = 3e-3
LEAST = 1e-8  # root mean square
LOG_RATES = (-16.0, 3.0)


class ControlledAdamState(NamedTuple):
    """What the optimizer carries from one update to the next.

    Attributes:
      step, horizon: updates done, and that it was told; int32.
      losses: the training loss at ten time scales.
      drift: [tensor], what the network has added to the logarithm of the rate so far.
      start: parameters at first; like the others below, [stack, *S] for each group of tensors of one shape.
      fast, slow: decayed means of the gradient.
      squares: of its square.
    """

    step: jax.Array
    horizon: jax.Array
    losses: LossBuffer
    drift: jax.Array
    start: tuple[jax.Array, ...]
    fast: tuple[jax.Array, ...]
    slow: tuple[jax.Array, ...]
    squares: tuple[jax.Array, ...]


def controlled_adam(
    weights: Any,
    *,
    weight_decay: float = 0.0,
    longest_horizon: int | None = None,
    skip_nonfinite: bool = False,
) -> Rule:
    """Adam controlled by these weights.

        d_k = mh_k / (1e-8 + sqrt(vh)), m_k a mean of decay 0, .9 and .99, v of decay .99, bias-corrected
        rate, a, c = network(time, losses, tensor i, mean over tensors)
        p <- p - exp(rate_i + drift_i) sum_k softmax(a_i)_k d_k
        drift_i <- drift_i + 0.1 tanh(c_i)

    rate_i + drift_i counts between -16 and 3, an element of a gradient between -1000 and 1000. Four arrays of the
    parameters' size are kept: p_0, two means of the gradient, and v.

    Args:
      weights: "hidden" and "out", two linear layers with a tanh between, and "direct", the inputs' own share in rate,
        which makes it a product of powers of what the inputs are logarithms of: {"w": [inputs], "b": []}.
      weight_decay, longest_horizon, skip_nonfinite: see `submissions.learned.wrapped`.
    """

    def init(weights, hyperparameters, params, key, horizon):
        del weights, hyperparameters, key
        shapes = by_shape.of(params)
        start = shapes.stacked(params)
        nothing = tuple(map(jnp.zeros_like, start))
        return ControlledAdamState(
            jnp.zeros((), jnp.int32),
            jnp.asarray(horizon, jnp.int32),
            empty_loss_buffer(horizon),
            jnp.zeros(len(shapes.shapes)),
            start,
            nothing,
            nothing,
            nothing,
        )

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del hyperparameters
        shapes = by_shape.of(params)
        p, g = stacked_float32(shapes, params), clipped(stacked_float32(shapes, grads))
        t = state.step + 1
        fast, slow = (
            _decayed(beta, old, g) for beta, old in zip(MOMENTA[1:], (state.fast, state.slow), strict=True)
        )
        squares = _decayed(BETA2, state.squares, [x**2 for x in g])
        scale = [1 / (EPSILON + jnp.sqrt(v / (1 - BETA2**t))) for v in squares]
        directions = tuple(
            [m / (1 - beta**t) * s for m, s in zip(means, scale, strict=True)]
            for beta, means in zip(MOMENTA, (g, fast, slow), strict=True)
        )
        losses = loss_added(state.losses, seen.loss)
        moved = [x - start.astype(jnp.float32) for x, start in zip(p, state.start, strict=True)]
        of_tensors = shapes.joined(shapes.map(_seen_of_tensor, p, moved, *directions))
        of_tensors = jnp.concatenate([of_tensors, state.drift[:, None]], -1)
        x = _inputs(state.step, state.horizon, losses, of_tensors)
        log_rate, drift, shares = controls(weights, x)
        rate = jnp.exp(jnp.clip(log_rate + state.drift, *LOG_RATES))
        steps = []
        for number, (of_group, rates) in enumerate(
            zip(shapes.parted(shares), shapes.parted(rate), strict=True)
        ):
            mixed = [over_stack(of_group[:, k], d[number]) * d[number] for k, d in enumerate(directions)]
            steps.append(-over_stack(rates, mixed[0]) * sum(mixed))
        kept = as_kept((tuple(fast), tuple(slow), tuple(squares)), (state.fast, state.slow, state.squares))
        after = ControlledAdamState(t, state.horizon, losses, state.drift + drift, state.start, *kept)
        return cast_like(shapes.unstacked(steps), params), after

    return wrapped(
        Rule(init, update, weights=weights),
        weight_decay=weight_decay,
        longest_horizon=longest_horizon,
        skip_nonfinite=skip_nonfinite,
    )


def controls(weights: Mapping[str, Any], x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What the network says of inputs [tensor, 33]: logarithm of the rate, its drift, [tensor]; shares, [tensor, 3]."""
    out = linear(weights["out"], jnp.tanh(linear(weights["hidden"], x)))
    log_rate = linear(weights["direct"], x) + out[:, 0]
    return log_rate, DRIFT * jnp.tanh(out[:, 1]), jax.nn.softmax(out[:, 2:])


def _decayed(beta: float, means: Sequence[jax.Array], xs: Sequence[jax.Array]) -> list[jax.Array]:
    return [beta * m + (1 - beta) * x for m, x in zip(means, xs, strict=True)]


def _rms(x: jax.Array) -> jax.Array:
    """At least 1e-8, so that it has a logarithm, and a derivative at 0."""
    return jnp.sqrt(jnp.mean(x**2) + LEAST**2)


def _seen_of_tensor(p: jax.Array, moved: jax.Array, *directions: jax.Array) -> jax.Array:
    """[9], of a tensor of any shape: sizes of parameters, way and directions, what agrees, and what kind it is."""
    own, way, (now, fast, slow) = _rms(p), _rms(moved), map(_rms, directions)
    agree = jnp.mean(directions[0] * directions[1]) / (now * fast)
    onward = -jnp.mean(directions[1] * moved) / (fast * way)
    kind = [jnp.log10(p.size) - 2.0, float(p.ndim > 1)]
    logarithms = map(jnp.log10, (own, way, now, fast, slow))
    return jnp.stack([*logarithms, agree, onward, *kind])


def _inputs(step: Any, horizon: Any, losses: LossBuffer, of_tensors: jax.Array) -> jax.Array:
    """[tensor, 33]: time, losses, the tensor, the mean over tensors."""
    horizon = jnp.asarray(horizon, jnp.float32)
    done = step / horizon
    time = [
        jnp.log(jnp.maximum(1 - done, 0) + 1 / horizon),
        jnp.log(done + 1 / horizon),
        done,
        jnp.log10(horizon) - 2.5,
    ]
    shared = jnp.concatenate([jnp.stack(time), loss_features(losses), of_tensors.mean(0)])
    return jnp.concatenate([jnp.broadcast_to(shared, (len(of_tensors), len(shared))), of_tensors], -1)


def initial_controlled_adam(key: jax.Array, hidden: int = 16) -> dict[str, Any]:
    """Weights before any training, with which it is Adam: rate 0.003 falling linearly to 0, momentum mostly .9."""
    direct = jnp.zeros(INPUTS).at[0].set(1.0)
    out = jnp.zeros(OUTPUTS).at[2 + MOMENTA.index(0.9)].set(2.0)
    return {
        "direct": {"w": direct, "b": jnp.log(jnp.asarray(FIRST_RATE))},
        "hidden": initial_linear(key, INPUTS, hidden),
        "out": {"w": jnp.zeros((hidden, OUTPUTS)), "b": out},
    }


ROWS = (
    Learned(
        "controlled_adam",
        controlled_adam,
        initial_controlled_adam,
        "this project; no paper has it",
        switches={"weight_decay": 0.0, "longest_horizon": None, "skip_nonfinite": False},
        sizes={"hidden": 16},
    ),
)
