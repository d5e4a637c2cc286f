"""Parameters as AlgoPerf has them: a nested dictionary, with shapes and types of the same keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jax


class Nested:
    """A tree of any containers as nested dictionaries with string keys, and back.

    Tuples and lists become dictionaries of "0", "1", ...; other nodes are named as JAX's paths name them, and a tree
    that is nothing but an array stands under the name of `bare`. A tree that is nested dictionaries already stays
    as it is.
    """

    def __init__(self, tree: Any, bare: str = "params") -> None:
        """From an example of the tree; its leaves may be shapes."""
        paths, self._treedef = jax.tree_util.tree_flatten_with_path(tree)
        self._paths = [tuple(map(_name, path)) or (bare,) for path, _ in paths]
        self.empty = not paths
        self._same = _is_nested(tree)

    def to_dict(self, tree: Any) -> Any:
        """The nested dictionary of a tree."""
        if self._same:
            return tree
        made: dict[str, Any] = {}
        for path, leaf in zip(self._paths, self._treedef.flatten_up_to(tree), strict=True):
            node = made
            for name in path[:-1]:
                node = node.setdefault(name, {})
            node[path[-1]] = leaf
        return made

    def from_dict(self, nested: Any) -> Any:
        """The tree of a nested dictionary, whatever kind of mapping it is made of."""
        leaves = []
        for path in self._paths:
            node = nested
            for name in path:
                node = node[name]
            leaves.append(node)
        return self._treedef.unflatten(leaves)


def shapes(params: Any, spec: Any) -> Any:
    """Tree of `ShapeTuple`, with the keys of params."""
    return jax.tree.map(lambda leaf: spec.ShapeTuple(tuple(leaf.shape)), params)


def types(tree: Mapping[str, Any], spec: Any, parents: tuple[str, ...] = ()) -> dict[str, Any]:
    """Tree of `ParameterType`, with the keys of params.

    A parameter's own name and the names above it decide, as in AlgoPerf; but where AlgoPerf's own trees of types have
    keys in lower case, these have the keys of the parameters, so that both can be mapped over together.

    Args:
      tree: nested mappings; the leaves are not looked at.
      spec: AlgoPerf's module in force.
      parents: names above the tree.
    """
    return {
        name: types(value, spec, (*parents, name))
        if isinstance(value, Mapping)
        else spec.ParameterType[_type(tuple(map(str.lower, parents)), name.lower())]
        for name, value in tree.items()
    }


# Of a parameter whose parents match -> type of its `bias`, and type of its other parts. The first match counts.
_LAYERS = (
    (r"batch_?norm|\bbn", "BATCH_NORM_BIAS", "BATCH_NORM_SCALE"),
    (r"layer_?norm|(?:\b|_)ln", "LAYER_NORM_BIAS", "LAYER_NORM_SCALE"),
    (r"conv", "BIAS", "CONV_WEIGHT"),
)
_ATTENTION = {"query": "ATTENTION_Q", "key": "ATTENTION_K", "value": "ATTENTION_V", "out": "ATTENTION_OUT"}


def _type(parents: tuple[str, ...], name: str) -> str:
    path = "/".join(parents)
    for pattern, of_bias, of_others in _LAYERS:
        if re.search(pattern, path):
            return of_bias if "bias" in name else of_others
    if "embedding" in name or (name == "kernel" and "embedding" in path):
        return "EMBEDDING"
    if "attention" in path:
        if name == "bias":
            return "ATTENTION_BIAS"
        for part, kind in _ATTENTION.items():
            if name == "kernel" and part in path:
                return kind
    return "BIAS" if "bias" in name else "WEIGHT"


def output_layer(params: Mapping[str, Any]) -> str | None:
    """The name under which the output layer's parameters stand; None where no name says so.

    `linear`, or the last of `Dense`, `Dense_0`, `Dense_1`, ...
    """
    if "linear" in params:
        return "linear"
    numbered = {name: re.fullmatch(r"Dense(?:_(\d+))?", name) for name in params}
    dense = {name: int(match[1] or 0) for name, match in numbered.items() if match}
    return max(dense, key=lambda name: dense[name]) if dense else None


def _name(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _is_nested(tree: Any) -> bool:
    """Nested plain dictionaries with string keys and arrays as leaves."""
    if type(tree) is not dict:
        return False
    return all(
        isinstance(name, str) and (_is_nested(value) or jax.tree_util.all_leaves([value]))
        for name, value in tree.items()
    )
