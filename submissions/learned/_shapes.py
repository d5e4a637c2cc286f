"""Whose weights a tree can be: by the paths of its arrays, and by their shapes."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from submissions.learned._declaration import Learned

Path = tuple[str, ...]
Shapes = dict[Path, tuple[int, ...]]


def flat(tree: Any) -> dict[Path, Any]:
    """Path -> array, of a tree of dictionaries, in its order. An empty dictionary has nothing."""

    def walk(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
        if isinstance(node, Mapping):
            for name, value in node.items():
                yield from walk(value, (*path, name))
        else:
            yield path, node

    return dict(walk(tree, ()))


def sizes(learned: Learned, weights: Any) -> dict[str, int] | None:
    """The sizes with which an optimizer has weights of these paths and shapes; None: it never has.

    A size is read off an axis that it alone decides, and then everything is compared.
    """
    there = _shapes_of(weights)
    released = _initial(learned)
    if set(there) != set(released) or any(len(there[path]) != len(released[path]) for path in there):
        return None
    found = {name: value for name, value in learned.sizes.items() if isinstance(value, int)}
    for name in found:
        for path, axis, per_unit in _decided_by(learned, name):
            beyond, rest = divmod(there[path][axis] - released[path][axis], per_unit)
            if rest or found[name] + beyond < 1:
                return None
            found[name] += beyond
            break
    return found if _initial(learned, **found) == there else None


def likeness(learned: Learned, weights: Any) -> int:
    """How many arrays of a tree an optimizer has under the same path."""
    return len(set(_shapes_of(weights)) & set(_initial(learned)))


def why_not(learned: Learned, weights: Any) -> str:
    """The first thing that a tree has otherwise than an optimizer, as it was released."""
    there, released = _shapes_of(weights), _initial(learned)
    for path in released:
        if path not in there:
            return f"{'/'.join(path)} is missing"
    for path in there:
        if path not in released:
            return f"{'/'.join(path)} is not in it"
    differing = [path for path in released if there[path] != released[path]]
    fixed = [path for path in differing if _is_fixed_otherwise(learned, path, there[path])]
    path = (fixed or differing)[0]
    return f"{'/'.join(path)} is {there[path]}, in the released ones {released[path]}"


def _is_fixed_otherwise(learned: Learned, path: Path, shape: tuple[int, ...]) -> bool:
    """Whether no size could give an array this shape."""
    released = _initial(learned)[path]
    if len(shape) != len(released):
        return True
    free = {
        axis
        for name, value in learned.sizes.items()
        if isinstance(value, int)
        for axis, (one, two) in enumerate(
            zip(released, _initial(learned, **{name: value + 1})[path], strict=True)
        )
        if one != two
    }
    return any(
        one != two and axis not in free for axis, (one, two) in enumerate(zip(shape, released, strict=True))
    )


def _decided_by(learned: Learned, name: str) -> Iterator[tuple[Path, int, int]]:
    """Axes whose length one size alone decides: path, axis, and what they grow by with it."""
    released = _initial(learned)
    grown = {
        one: _initial(learned, **{one: value + 1})
        for one, value in learned.sizes.items()
        if isinstance(value, int)
    }
    for path, shape in released.items():
        for axis, length in enumerate(shape):
            by = {one: bigger[path][axis] - length for one, bigger in grown.items()}
            if by[name] > 0 and not any(more for one, more in by.items() if one != name):
                yield path, axis, by[name]


def _initial(learned: Learned, **sizes: int) -> Shapes:
    return _shapes_before_training(learned, tuple(sorted(sizes.items())))


@functools.cache
def _shapes_before_training(learned: Learned, sizes: tuple[tuple[str, int], ...]) -> Shapes:
    import jax

    made = jax.eval_shape(lambda key: learned.initial(key, **dict(sizes)), jax.random.key(0))
    return _shapes_of(made)


def _shapes_of(tree: Any) -> Shapes:
    return {path: tuple(getattr(leaf, "shape", ())) for path, leaf in flat(tree).items()}
