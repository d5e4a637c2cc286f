"""From an estimate to the next weights: what is no number counts as 0, then clip, accumulate, Adam.

The order is learned_optimization's: each element is clipped by value, then K gradients are averaged, then Adam takes
them, without a schedule (arXiv:2211.09760, appendix E; its Adam 3e-4, clip 3 and K 4 to 20).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

LOSS_OF_NO_NUMBER = 20.0  # recorded where a meta-loss is none


class Learning(NamedTuple):
    """The weights, and the state of what trains them."""

    weights: Any
    state: Any


@dataclasses.dataclass(frozen=True)
class Learner:
    """How weights are trained.

    Attributes:
      learning_rate: Adam's.
      clip: bound of every element of a gradient.
      accumulate: gradients averaged for one step of Adam.
    """

    learning_rate: float = 3e-4
    clip: float = 3.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; must be positive and finite")
        if self.accumulate < 1:
            raise ValueError(f"accumulate is {self.accumulate} gradients; must be at least 1")

    def begin(self, weights: Any) -> Learning:
        """Before the first gradient."""
        weights = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), weights)
        return Learning(weights, self._transformation.init(weights))

    def update(self, learning: Learning, gradients: list[Any]) -> tuple[Learning, jax.Array]:
        """After the mean of some gradients, and the norm of that mean before the clip."""
        return _updated(self, learning, gradients)

    @functools.cached_property
    def _transformation(self) -> optax.GradientTransformation:
        adam = optax.MultiSteps(optax.adam(self.learning_rate), self.accumulate)
        return optax.chain(optax.clip(self.clip), adam.gradient_transformation())


@functools.partial(jax.jit, static_argnums=0)
def _updated(learner: Learner, learning: Learning, gradients: list[Any]) -> tuple[Learning, jax.Array]:
    mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *gradients)
    mean = jax.tree.map(lambda x: jnp.where(jnp.isfinite(x), x, 0.0), mean)
    updates, state = learner._transformation.update(mean, learning.state, learning.weights)
    return Learning(optax.apply_updates(learning.weights, updates), state), optax.tree.norm(mean)


def recorded_loss(losses: list[Any]) -> float:
    """The mean of meta-losses as it is recorded."""
    mean = float(np.mean([np.float32(loss) for loss in losses]))
    return mean if np.isfinite(mean) else LOSS_OF_NO_NUMBER
