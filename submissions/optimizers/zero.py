"""Sets every weight to 0 at every step: what any training should beat.

Reference: Metz et al. 2020, arXiv:2002.11887, and the program of TaskSet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._hyperparameters import Optimizer
from submissions.optimizers._late import jax, jnp, optax


def zero(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """All weights 0.

        x = 0

    Args:
      hp: none.
      horizon: not used.
    """
    del hp, horizon

    def update(updates, state, params=None):
        del updates
        return jax.tree.map(jnp.negative, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


ROWS = (
    Optimizer(
        "zero",
        zero,
        (),
        "all weights 0, in TaskSet's program: Metz et al. 2020, arXiv:2002.11887",
        source="This is the baseline of Metz et al., arXiv:2002.11887, that any training should beat.",
        schedule="There is no learning rate.",
        whole_warmup_steps=False,
    ),
)
