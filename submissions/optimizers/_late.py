"""JAX and Optax, imported when first used: a rule can be declared, and its points checked, without them.

A packaged rule imports them as everybody does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    import optax
else:

    class _Late:
        def __init__(self, module: str) -> None:
            self._module = module

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self._module), name)

    jax, jnp, optax = _Late("jax"), _Late("jax.numpy"), _Late("optax")

__all__ = ["jax", "jnp", "optax"]
