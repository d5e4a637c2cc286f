"""Names that JAX had when public submissions were written, and has no longer.

Submissions were never changed again. Where one uses such a name, it is added to the `jax` of this process: under the
old name stands what JAX has under the new one. Whatever JAX understands by itself stays as it is.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# old name in the module `jax` -> where it is now
RENAMED = {
    "tree_map": "jax.tree_util:tree_map",
    "tree_leaves": "jax.tree_util:tree_leaves",
    "tree_flatten": "jax.tree_util:tree_flatten",
    "tree_unflatten": "jax.tree_util:tree_unflatten",
    "tree_structure": "jax.tree_util:tree_structure",
    "tree_transpose": "jax.tree_util:tree_transpose",
    "tree_multimap": "jax.tree_util:tree_map",
}


# function of `jax.numpy` -> old keyword -> new one
KEYWORDS = {"clip": {"a_min": "min", "a_max": "max"}}


def complete(sources: Mapping[Path, ast.Module]) -> tuple[str, ...]:
    """Adds to `jax` the old names and keywords that these files use and JAX lacks; returns what was added.

    Args:
      sources: path -> syntax.
    """
    nodes = [node for tree in sources.values() for node in ast.walk(tree)]
    return (*_names(nodes), *_keywords(nodes))


def _names(nodes: Sequence[ast.AST]) -> list[str]:
    used = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "jax"
    }
    added = []
    for name in sorted(used & RENAMED.keys()):
        import jax

        try:
            getattr(jax, name)
        except AttributeError:
            module, attribute = RENAMED[name].split(":")
            setattr(jax, name, getattr(importlib.import_module(module), attribute))
            added.append(name)
    return added


def _keywords(nodes: Sequence[ast.AST]) -> list[str]:
    added = []
    for name, renamed in KEYWORDS.items():
        calls = (
            node
            for node in nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
        )
        if any(keyword.arg in renamed for call in calls for keyword in call.keywords):
            import jax.numpy as jnp

            function = getattr(jnp, name)
            if not renamed.keys() & inspect.signature(function).parameters.keys():
                setattr(jnp, name, _translating(function, renamed))
                added.append(name)
    return added


def _translating(function: Callable[..., Any], renamed: Mapping[str, str]) -> Callable[..., Any]:
    """The function, with old keywords besides its own."""

    @functools.wraps(function)
    def translated(*args: Any, **keywords: Any) -> Any:
        return function(*args, **{renamed.get(name, name): value for name, value in keywords.items()})

    parameters = inspect.signature(function).parameters
    old = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in renamed]
    translated.__signature__ = inspect.Signature([*parameters.values(), *old])  # type: ignore[attr-defined]
    return translated
