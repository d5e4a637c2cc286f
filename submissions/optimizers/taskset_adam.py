"""TaskSet's Adam with 1, 4, 6 and 8 hyperparameters.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; m and v the decayed means of g and g^2, this g
included; lr the scheduled rate. The first two are TensorFlow 1's own Adam, the others TaskSet's: they place epsilon
differently.

Reference: Metz et al. 2020, arXiv:2002.11887, section 3.2 and appendix C, and the program published with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import BETA1, BETA2, CONSTANT, EPSILON, RATE, Space, log
from submissions.optimizers._hyperparameters import NOT_NEGATIVE, Hyperparameter, Optimizer
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers._moments import add_to_moments, no_moments
from submissions.optimizers.schedules import linear_times_exponential

ADAM8P_STEPS = 10_000  # what TaskSet trained for, and what the decays of adam6p and adam8p are counted in


def adam1p(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """TensorFlow's Adam with its own defaults, at a constant learning rate.

        b1, b2, epsilon = 0.9, 0.999, 1e-8
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        c = sqrt(1 - b2^t) / (1 - b1^t)
        x = x - learning_rate * c * m / (sqrt(v) + epsilon)

    Args:
      hp: learning_rate.
      horizon: not used.
    """
    return adam4p({"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, **hp}, horizon)


def adam4p(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """TensorFlow's Adam at a constant learning rate: epsilon stays outside the bias correction.

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        c = sqrt(1 - b2^t) / (1 - b1^t)
        x = x - learning_rate * c * m / (sqrt(v) + epsilon)

    Args:
      hp: learning_rate, beta1, beta2, epsilon.
      horizon: not used.

    Reference: Kingma & Ba 2015, arXiv:1412.6980, end of section 2, whose epsilon hat this epsilon is.
    """
    del horizon
    return optax.chain(
        scale_by_adam_tensorflow(hp["beta1"], hp["beta2"], hp["epsilon"]),
        optax.scale_by_learning_rate(hp["learning_rate"]),
    )


def adam6p(
    hp: Mapping[str, Any],
    horizon: Any,
    *,
    adam8p_steps: str = "training_steps",
    adam8p_epsilon: str = "outside",
) -> optax.GradientTransformation:
    """`adam8p` without its two penalties. TaskSet's program does stretch this one's decays over training.

    Args:
      hp: learning_rate, beta1, beta2, epsilon, linear_decay, exponential_decay.
      horizon: T, read only where adam8p_steps is "training_steps". Steps.
      adam8p_steps: "always_10000" decays as over 10,000 steps, however long training is: TaskSet's program,
        whose adam8p never reads its number of steps; "training_steps" stretches the decays to T.
      adam8p_epsilon: "outside" as the program has it; "paper_inside" as the paper prints it, in the root.
    """
    check_switch("adam8p_steps", adam8p_steps, "always_10000", "training_steps")
    check_switch("adam8p_epsilon", adam8p_epsilon, "outside", "paper_inside")
    schedule = linear_times_exponential(
        hp["learning_rate"],
        hp["linear_decay"],
        hp["exponential_decay"],
        ADAM8P_STEPS if adam8p_steps == "always_10000" else horizon,
    )
    return optax.chain(
        scale_by_adam_taskset(hp["beta1"], hp["beta2"], hp["epsilon"], adam8p_epsilon == "paper_inside"),
        optax.scale_by_learning_rate(schedule),
    )


def adam8p(
    hp: Mapping[str, Any],
    horizon: Any,
    *,
    adam8p_steps: str = "always_10000",
    adam8p_epsilon: str = "outside",
) -> optax.GradientTransformation:
    """Adam on loss + l1 sum |x| + l2 sum x^2, with a linear and an exponential decay of the learning rate.

    Args:
      hp: learning_rate, beta1, beta2, epsilon, l1, l2, linear_decay, exponential_decay.
      horizon, adam8p_steps, adam8p_epsilon: as for `adam6p`.
    """
    decayed_adam = adam6p(hp, horizon, adam8p_steps=adam8p_steps, adam8p_epsilon=adam8p_epsilon)
    return optax.chain(add_penalties(hp["l1"], hp["l2"]), decayed_adam)


def add_penalties(l1: Any, l2: Any) -> optax.GradientTransformation:
    """Adds the gradient of l1 sum |x| + l2 sum x^2; that of |x| at 0 is 0."""

    def update(updates, state, params=None):
        penalised = jax.tree.map(lambda g, x: g + l1 * jnp.sign(x) + 2 * l2 * x, updates, params)
        return penalised, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def scale_by_adam_tensorflow(b1: Any, b2: Any, eps: Any) -> optax.GradientTransformation:
    """Adam whose epsilon stays outside the bias correction."""

    def update(updates, state, params=None):
        del params
        state = add_to_moments(updates, state, b1, b2)
        correction = jnp.sqrt(1 - b2**state.count) / (1 - b1**state.count)
        return jax.tree.map(lambda m, v: correction * m / (jnp.sqrt(v) + eps), state.mu, state.nu), state

    return optax.GradientTransformation(no_moments, update)


def scale_by_adam_taskset(b1: Any, b2: Any, eps: Any, eps_inside: bool) -> optax.GradientTransformation:
    """Adam with 1e-10 in the root and epsilon outside, or with epsilon inside."""

    def update(updates, state, params=None):
        del params
        state = add_to_moments(updates, state, b1, b2)
        correct1, correct2 = 1 - b1**state.count, 1 - b2**state.count

        def of_parameter(m, v):
            variance = v / correct2
            scale = jnp.sqrt(variance + eps) if eps_inside else jnp.sqrt(variance + 1e-10) + eps
            return m / correct1 / scale

        return jax.tree.map(of_parameter, state.mu, state.nu), state

    return optax.GradientTransformation(no_moments, update)


def check_switch(switch: str, value: str, *allowed: str) -> None:
    """Refuses a value that a switch has not."""
    if value not in allowed:
        raise ValueError(f"{switch} is {value!r}; allowed: {', '.join(map(repr, allowed))}")


# Defaults: TensorFlow's Adam, and neither decay nor penalty, so that each rule contains the one before it.
_ADAM4P = (RATE, BETA1, BETA2, EPSILON)
_DECAYS = (
    Hyperparameter("linear_decay", NOT_NEGATIVE, 0.0),
    Hyperparameter("exponential_decay", NOT_NEGATIVE, 0.0),
)
_PENALTIES = (Hyperparameter("l1", NOT_NEGATIVE, 0.0), Hyperparameter("l2", NOT_NEGATIVE, 0.0))

# TaskSet's own grids.
_SPACE_1P: Space = {"learning_rate": log(1e-8, 10.0)}
_SPACE_4P: Space = {
    **_SPACE_1P,
    "one_minus_beta1": log(1e-4, 1.0),
    "one_minus_beta2": log(1e-6, 1.0),
    "epsilon": log(1e-10, 1e3),
}
_SPACE_DECAYS: Space = {"linear_decay": log(1e-7, 1e-4), "exponential_decay": log(1e-6, 1e-3)}
_SPACE_6P: Space = {**_SPACE_4P, **_SPACE_DECAYS}
_SPACE_8P: Space = {**_SPACE_4P, "l1": log(1e-8, 10.0), "l2": log(1e-8, 10.0), **_SPACE_DECAYS}

_PROGRAM = "TaskSet's program: Metz et al. 2020, arXiv:2002.11887"
_PAPER = "Metz et al. 2020, arXiv:2002.11887, as its appendix prints epsilon"
_DECAY = "learning_rate * max(1 - linear_decay * n, 0) * exp(-exponential_decay * n)"
_STRETCHED = f"Learning rate lr: {_DECAY}, with n the update times 10,000 / workload.step_hint."
_FIXED = f"Learning rate lr: {_DECAY}, with n the update, however long training is."


def _row(
    name: str, reference: str, source: str, *, penalised: bool, inside: bool, stretched: bool
) -> Optimizer:
    """A row of adam6p or adam8p, of its switches."""
    root = "sqrt(v / (1 - b2^t) + epsilon)" if inside else "(sqrt(v / (1 - b2^t) + 1e-10) + epsilon)"
    return Optimizer(
        name,
        adam8p if penalised else adam6p,
        (*_ADAM4P, *(_PENALTIES if penalised else ()), *_DECAYS),
        reference,
        formula=("g = g + l1 * sign(x) + 2 * l2 * x\n" if penalised else "")
        + "m = b1 * m + (1 - b1) * g\n"
        + "v = b2 * v + (1 - b2) * g^2\n"
        + "u = m / (1 - b1^t)\n"
        + f"x = x - lr * u / {root}",
        source=source,
        schedule=_STRETCHED if stretched else _FIXED,
        options={
            "adam8p_steps": "training_steps" if stretched else "always_10000",
            "adam8p_epsilon": "paper_inside" if inside else "outside",
        },
        whole_warmup_steps=False,
        search_space=_SPACE_8P if penalised else _SPACE_6P,
        applies_constraints=False,
    )


_OF_METZ = "Metz et al., arXiv:2002.11887"
_PRINTED = f"of {_OF_METZ}, as the paper prints it, with epsilon inside the root."

ROWS = (
    Optimizer(
        "adam1p",
        adam1p,
        (RATE,),
        f"TensorFlow 1's Adam, in {_PROGRAM}",
        source=f"This is TensorFlow 1's Adam with its own defaults, as in the program of {_OF_METZ}. Its epsilon stays "
        "outside the bias correction.",
        schedule=CONSTANT,
        whole_warmup_steps=False,
        search_space=_SPACE_1P,
    ),
    Optimizer(
        "adam4p",
        adam4p,
        _ADAM4P,
        f"TensorFlow 1's Adam, in {_PROGRAM}",
        source=f"This is TensorFlow 1's Adam, as in the program of {_OF_METZ}. Its epsilon stays outside the bias "
        "correction.",
        schedule=CONSTANT,
        whole_warmup_steps=False,
        search_space=_SPACE_4P,
    ),
    _row(
        "adam6p",
        _PROGRAM,
        f"This is Adam6p of the program of {_OF_METZ}.",
        penalised=False, inside=False, stretched=True,
    ),
    _row(
        "adam6p_paper",
        _PAPER,
        f"This is Adam6p {_PRINTED}",
        penalised=False, inside=True, stretched=True,
    ),
    _row(
        "adam8p",
        f"{_PROGRAM}; decays as over 10,000 steps whatever the number of steps",
        f"This is Adam8p of the program of {_OF_METZ}.",
        penalised=True, inside=False, stretched=False,
    ),
    _row(
        "adam8p_stretched",
        f"{_PROGRAM}; decays stretched over training, as its adam6p does",
        f"This is Adam8p of the program of {_OF_METZ}, its decays stretched over training, as the program does for "
        "Adam6p only.",
        penalised=True, inside=False, stretched=True,
    ),
    _row(
        "adam8p_paper",
        f"{_PAPER}; decays stretched over training",
        f"This is Adam8p {_PRINTED}",
        penalised=True, inside=True, stretched=True,
    ),
)  # fmt: skip
