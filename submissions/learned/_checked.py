"""Whether weights are those of an optimizer: their paths and shapes, told in one line where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workloads.spelling import did_you_mean

Path = tuple[str, ...]


def checked(optimizer: str, weights: Any, expected: Mapping[Path, tuple[int | str, ...]]) -> dict[str, int]:
    """The sizes of weights.

    Args:
      optimizer: its name, for messages.
      weights: a tree of dictionaries of arrays.
      expected: path -> shape, where axes of any length have a name and axes of one name one length.

    Returns:
      Name -> length.

    Raises:
      ValueError: other paths, or other shapes.
    """
    found = dict(_leaves(weights, ()))
    names = {"/".join(path): path for path in expected}
    for name, path in names.items():
        if path not in found:
            raise ValueError(f"{optimizer}: its weights lack {name} (needed: {', '.join(names)})")
    for path in found:
        if path not in expected:
            name = "/".join(path)
            raise ValueError(
                f"{optimizer}: weights have {name}, which it does not know{did_you_mean(name, names)}"
            )
    sizes: dict[str, int] = {}
    for path, axes in expected.items():
        shape = tuple(found[path].shape) if hasattr(found[path], "shape") else None
        fits = shape is not None and len(shape) == len(axes)
        fits = fits and all(
            length == (axis if isinstance(axis, int) else sizes.setdefault(axis, length))
            for length, axis in zip(shape or (), axes, strict=True)
        )
        if not fits:
            must = ", ".join(str(sizes.get(axis, axis) if isinstance(axis, str) else axis) for axis in axes)
            got = "no array" if shape is None else f"of shape {shape}"
            raise ValueError(
                f"{optimizer}: weight {'/'.join(path)} is {got}, must be ({must}{',' * (len(axes) == 1)})"
            )
    return sizes


def layer_count(weights: Any, name: str) -> int:
    """How many of name0, name1, ... a dictionary has without a gap; at least 2, which every network here has."""
    count = 0
    while isinstance(weights, Mapping) and f"{name}{count}" in weights:
        count += 1
    return max(count, 2)


def _leaves(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(value, (*path, str(name)))
    else:
        yield path, node
