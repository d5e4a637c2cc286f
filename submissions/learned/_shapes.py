"""Whose weights a tree can be: by the paths of its arrays, and by their shapes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from submissions.learned._declaration import Learned

Path = tuple[str, ...]
Shapes = dict[Path, tuple[int, ...]]
MOST_LAYERS = 8  # that weights are recognised with


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

    Sizes that decide which arrays there are, such as a number of layers, are tried in turn; any other is read off an
    axis that it alone decides. Then everything is compared.
    """
    there = _shapes_of(weights)
    for counts in _counts(learned):
        released = _initial(learned, **counts)
        if set(there) != set(released) or any(len(there[path]) != len(released[path]) for path in there):
            continue
        found = {**_of_axes(learned), **counts}
        for name in set(found) - set(counts):
            for path, axis, per_unit in _decided_by(learned, name, counts):
                found[name] += (there[path][axis] - released[path][axis]) // per_unit
                break
        if min(found.values(), default=1) > 0 and _initial(learned, **found) == there:
            return {name: found[name] for name in learned.sizes if name in found}
    return None


def _of_axes(learned: Learned) -> dict[str, int]:
    """Sizes that are lengths or counts; others, such as a learning rate to begin with, are of no shape."""
    return {name: value for name, value in learned.sizes.items() if isinstance(value, int)}


def _counts(learned: Learned) -> Iterator[dict[str, int]]:
    """Values to try of the sizes that decide which arrays there are."""
    released = _of_axes(learned)
    names = [
        name
        for name, value in released.items()
        if set(_initial(learned, **{name: value + 1})) != set(_initial(learned))
    ]
    for values in itertools.product(range(1, MOST_LAYERS + 1), repeat=len(names)):
        yield dict(zip(names, values, strict=True))


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
    grown = [_initial(learned, **{name: value + 1}).get(path) for name, value in _of_axes(learned).items()]
    free = {
        axis
        for bigger in grown
        if bigger is not None and len(bigger) == len(released)
        for axis, (one, two) in enumerate(zip(released, bigger, strict=True))
        if one != two
    }
    return any(
        one != two and axis not in free for axis, (one, two) in enumerate(zip(shape, released, strict=True))
    )


def _decided_by(learned: Learned, name: str, counts: Mapping[str, int]) -> Iterator[tuple[Path, int, int]]:
    """Axes whose length one size alone decides: path, axis, and what they grow by with it; `counts` are as they are."""
    released = _initial(learned, **counts)
    grown = {
        one: _initial(learned, **counts, **{one: value + 1})
        for one, value in _of_axes(learned).items()
        if one not in counts
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
