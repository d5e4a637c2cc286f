"""AlgoPerf's `param_utils`, its part for JAX: shapes and types of parameters."""

from __future__ import annotations

from typing import Any

from submissions.api import _parameters


def jax_param_shapes(params: Any) -> Any:
    """The tree of parameters with a `ShapeTuple` for every leaf."""
    from submissions.api import spec

    return _parameters.shapes(params, spec())


def jax_param_types(param_shapes: Any, parent_name: str = "") -> Any:
    """The tree of shapes with a `ParameterType` for every leaf.

    Args:
      param_shapes: of `jax_param_shapes`.
      parent_name: path of the tree, which counts as part of every parameter's.
    """
    from submissions.api import spec

    return _parameters.types(param_shapes, spec(), tuple(filter(None, parent_name.split("/"))))
