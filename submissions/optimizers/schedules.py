"""Learning-rate schedules whose parameters may be traced, the horizon too: none of them decides what is compiled.

Every scalar may be a number or an array of shape ().
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._late import jax, jnp, optax


def warmup_then_cosine(learning_rate: Any, warmup_steps: Any, horizon: Any) -> optax.Schedule:
    """Linear warm-up from zero, then half a cosine down to zero.

    With w warm-up steps of T and update number s = 0, 1, ...: rate(s) = lr * s / w for s < w, and
    lr * (1 + cos(pi * (s - w) / (T - w))) / 2 from there on. The first update has rate 0 unless w = 0.

    Args:
      learning_rate: lr, the peak.
      warmup_steps: w, a whole number in [0, T). Steps.
      horizon: T; the rate stays 0 afterwards. Steps.

    Returns:
      Update number -> learning rate.

    Reference: Medapati et al. 2025, arXiv:2503.03986; the same as optax's `linear_schedule` and
    `cosine_decay_schedule` joined at w, which take no traced w.
    """

    def schedule(step: Any) -> jax.Array:
        # Both branches are computed, so each must stay finite where the other is selected: hence the maxima.
        rising = learning_rate * (step / jnp.maximum(warmup_steps, 1))
        progress = (step - warmup_steps) / jnp.maximum(horizon - warmup_steps, 1)
        falling = learning_rate * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1))) / 2
        return jnp.where(step < warmup_steps, rising, falling)

    return schedule


def warmup_then_cosine_of(hp: Mapping[str, Any], horizon: Any) -> optax.Schedule:
    """`warmup_then_cosine` of the hyperparameters learning_rate and warmup_steps."""
    return warmup_then_cosine(hp["learning_rate"], hp["warmup_steps"], horizon)


def warmup_then_constant(learning_rate: Any, warmup_steps: Any) -> optax.Schedule:
    """Linear warm-up from zero, then constant: rate(s) = lr * min(s / w, 1), and lr throughout if w = 0.

    Args:
      learning_rate: lr.
      warmup_steps: w, at least 0. Steps.

    Returns:
      Update number s = 0, 1, ... -> learning rate.

    Reference: optax's `warmup_constant_schedule`, which takes no traced w and gives 0 for ever where w = 0.
    """

    def schedule(step: Any) -> jax.Array:
        rising = learning_rate * (step / jnp.maximum(warmup_steps, 1))
        return jnp.where(step < warmup_steps, rising, learning_rate)

    return schedule


def rampup_then_root_times_power(
    learning_rate: Any, rampup_steps: Any, decay_per_step: Any
) -> optax.Schedule:
    """The three schedules of VeLOdrome's Adam: constant, linear rise and decay as 1 / sqrt(n), decay as a power.

    With w ramp-up steps and n' = max(n, 1): rate(n) = lr * min(n' / w, sqrt(w / n')) * (1 - d)^n; without the minimum
    if w = 0. The first update has the rate of the second.

    Args:
      learning_rate: lr, the peak.
      rampup_steps: w, at least 0. Steps.
      decay_per_step: d, in [0, 1).

    Returns:
      Update number n = 0, 1, ... -> learning rate.

    Reference: Metz et al. 2022, arXiv:2211.09760, as its program has them: w = 1000, d = 0; and w = 0, d = 7e-5.
    """

    def schedule(step: Any) -> jax.Array:
        at_least_one = jnp.maximum(step, 1)
        # The quotient is only selected where there is a ramp, so its divisor may be anything but 0 elsewhere.
        ramp = jnp.where(rampup_steps > 0, rampup_steps, 1)
        shape = jnp.minimum(at_least_one / ramp, jnp.sqrt(ramp / at_least_one))
        return learning_rate * jnp.where(rampup_steps > 0, shape, 1) * (1 - decay_per_step) ** step

    return schedule


def linear_times_exponential(
    learning_rate: Any, linear_decay: Any, exponential_decay: Any, horizon: Any
) -> optax.Schedule:
    """Adam8p's schedule: rate(n) = lr * max(1 - a s, 0) * exp(-b s) with s = (10000 / T) n.

    Args:
      learning_rate: lr.
      linear_decay: a, per 1/10,000 of training.
      exponential_decay: b, per 1/10,000 of training.
      horizon: T. Steps.

    Returns:
      Update number n = 0, 1, ... -> learning rate.

    Reference: Metz et al. 2020, arXiv:2002.11887, as its program rescales the steps.
    """

    # In the rate's precision: the quotient of whole numbers would be float32 always, where the horizon is traced.
    stretch = jnp.asarray(10_000, jnp.result_type(learning_rate, 1.0)) / horizon

    def schedule(step: Any) -> jax.Array:
        scaled = stretch * step
        linear = jnp.maximum(1 - linear_decay * scaled, 0)
        return learning_rate * linear * jnp.exp(-exponential_decay * scaled)

    return schedule


def metz(
    learning_rate: Any,
    min_learning_rate_mult: Any,
    constant_fraction: Any,
    warmup_fraction: Any,
    horizon: Any,
    warmup_rule: str,
) -> optax.Schedule:
    """Constant, then half a cosine down to a share of the peak; a linear warm-up may be laid over the start.

    With T total steps, s = min(step, T), c = T * constant_fraction, y = max(s, c) and
    lo = min_learning_rate_mult * lr: rate(s) = (lr - lo) * (cos(pi * (y - c) / (T - c)) / 2 + 1 / 2) + lo.
    If warmup_fraction > 0, rate(s) = lr * s / w for s < w = T * f, which need not be whole, where f is the
    `warmup_rule` of both fractions: "min" in TensorFlow, with which the released curves were made; "max" in
    the JAX and PyTorch ports, whose warm-up therefore lasts through the whole constant phase.

    Args:
      learning_rate: lr, the peak.
      min_learning_rate_mult: final rate as a share of lr, in [0, 1].
      constant_fraction: share of the steps before the decay, in [0, 1].
      warmup_fraction: share of the steps of warm-up, in [0, 1]; 0 means none.
      horizon: T; the rate stays at lo afterwards. Steps.
      warmup_rule: "min" or "max".

    Returns:
      Update number -> learning rate.

    Reference: Metz et al. 2020, arXiv:2002.11887, appendix C.2, as its program has equation (19).
    """
    if warmup_rule not in ("min", "max"):
        raise ValueError(f"warmup_rule is {warmup_rule!r}; allowed: 'min', 'max'")
    combine = jnp.minimum if warmup_rule == "min" else jnp.maximum

    def schedule(step: Any) -> jax.Array:
        step = jnp.minimum(step, horizon)
        constant = horizon * jnp.asarray(constant_fraction)
        low = min_learning_rate_mult * learning_rate
        decay_steps = jnp.where(constant < horizon, horizon - constant, 1)
        progress = (jnp.maximum(step, constant) - constant) / decay_steps
        rate = (learning_rate - low) * (jnp.cos(jnp.pi * progress) / 2 + 0.5) + low
        warmup = jnp.where(warmup_fraction > 0, horizon * combine(warmup_fraction, constant_fraction), 0)
        # The quotient is only selected where step < warmup, so its divisor may be anything but 0 elsewhere.
        return jnp.where(step < warmup, learning_rate * step / jnp.where(warmup > 0, warmup, 1), rate)

    return schedule
