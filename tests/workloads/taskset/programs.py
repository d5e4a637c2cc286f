"""Small programs for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def quick(function: Callable[..., Any], *args: Any) -> Any:
    """function(*args) as one program, compiled without optimisation because it runs once.

    Eagerly, every operation would be compiled alone.
    """
    options: dict[str, str | bool] = {"xla_backend_optimization_level": "0"}
    return jax.jit(function).lower(*args).compile(compiler_options=options)(*args)
