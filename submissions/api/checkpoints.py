"""Checkpoints of a submission's trial: the arrays of its state in one file, and the rest of it as JSON beside them.

Only numbers are saved, never code: a file is read without executing anything, and restoring compares it leaf by leaf
with a freshly made state. Every array has a checksum, which reading looks at.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from workloads import processes
from workloads.data import reading
from workloads.data.files import write_atomically

FORMAT = 1
_NAME = re.compile(r"checkpoint_(\d+)\.npz")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError, NotImplementedError)


class Damaged(ValueError):
    """A file that is no whole checkpoint, of whatever state."""


def check_savable(optimizer_state: Any) -> None:
    """Accepts an optimizer state that can be saved.

    Raises:
      ValueError: it is not a pair (arrays, function), or holds something in its first part that is no number.
    """
    if not isinstance(optimizer_state, tuple) or len(optimizer_state) != 2:
        raise ValueError(
            f"init_optimizer_state returned {type(optimizer_state).__name__}, not a pair (arrays, function); AlgoPerf "
            "saves the first part of a pair, so return one, or run with --no-save-checkpoints"
        )
    for path, leaf in jax.tree_util.tree_leaves_with_path(optimizer_state[0]):
        if not isinstance(leaf, int | float | complex | np.generic | np.ndarray | jax.Array):
            raise ValueError(
                f"optimizer_state[0]{jax.tree_util.keystr(path)} is {type(leaf).__name__}; only arrays and numbers can "
                "be saved, functions belong into optimizer_state[1]; or run with --no-save-checkpoints"
            )


def save(
    folder: Path,
    step: int,
    arrays: Any,
    kept: Mapping[str, Any],
    keep_others: bool,
    owner: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a checkpoint; a kill at any moment leaves the one before it or this one.

    Args:
      folder: of the trial.
      step: steps made.
      arrays: a pytree of arrays and numbers.
      kept: JSON.
      keep_others: leave earlier checkpoints where they are.
      owner: JSON, what the state belongs to, such as a workload and a seed.
    """
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    header = {"format": FORMAT, "kept": kept, "leaves": []}
    if owner is not None:
        header["owner"] = owner
    stored: dict[str, Any] = {}
    for number, (path, leaf) in enumerate(leaves):
        value = np.asarray(_numbers(leaf))
        # As bytes: NumPy's own format knows neither bfloat16 nor the other small floats.
        stored[f"leaf_{number}"] = np.frombuffer(value.tobytes(), np.uint8)
        header["leaves"].append([jax.tree_util.keystr(path), value.dtype.name, list(value.shape)])
    content = io.BytesIO()
    np.savez(content, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **stored)
    file = folder / f"checkpoint_{step}.npz"
    write_atomically(file, content.getvalue())
    if not keep_others:
        for other, _ in _files(folder):
            if other != file:
                other.unlink(missing_ok=True)
    return file


def numbers(arrays: Any) -> list[np.ndarray]:
    """The leaves of what `save` saves, as it saves them."""
    return [np.asarray(_numbers(leaf)) for leaf in jax.tree.leaves(arrays)]


def of_numbers(values: Sequence[np.ndarray], like: Any) -> Any:
    """A tree whose leaves had these numbers, on the devices of `like`."""
    leaves, structure = jax.tree.flatten(like)
    return structure.unflatten([_like(value, leaf) for value, leaf in zip(values, leaves, strict=True)])


def last(folder: Path) -> Path | None:
    """The checkpoint with the most steps."""
    return next(iter(newest_first(folder)), None)


def newest_first(folder: Path) -> list[Path]:
    """All checkpoints in a folder, by falling number of steps."""
    return [path for path, _ in sorted(_files(folder), key=lambda found: found[1], reverse=True)]


def kept(file: Path) -> dict[str, Any]:
    """The JSON beside the arrays, for those whose arrays cannot be made before they know it.

    Raises:
      Damaged: the file is no whole checkpoint.
    """
    header, _ = _read(file)
    return header["kept"]


def leaves(file: Path) -> tuple[list[tuple[str, np.ndarray]], dict[str, Any]]:
    """What was saved, by the names of the arrays and in their order, for those who know the structure; and the JSON.

    Raises:
      Damaged: the file is no whole checkpoint.
      ValueError: it is of another format.
    """
    header, contents = _read(file)
    _check_format(file, header)
    found = [
        (name, _array(file, name, dtype, shape, content))
        for (name, dtype, shape), content in zip(header["leaves"], contents, strict=True)
    ]
    return found, header["kept"]


def restore(file: Path, like: Any, owner: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
    """What was saved: arrays in the structure of `like`, on its devices, and the JSON.

    Args:
      file: of the checkpoint.
      like: a state as training begins with it.
      owner: what the state must belong to, where the file says what it does.

    Raises:
      Damaged: the file is no whole checkpoint.
      ValueError: the file is of another format or owner, or its arrays are not those of `like`.
    """
    header, contents = _read(file)
    _check_format(file, header)
    for name, value in (owner or {}).items():
        if "owner" in header and (there := header["owner"].get(name)) != value:
            raise ValueError(f"{file}: was saved of {name} {there!r}, not {value!r}")
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    expected = [jax.tree_util.keystr(path) for path, _ in leaves]
    found = [name for name, _, _ in header["leaves"]]
    if found != expected:
        differing = next(
            (a or b for a, b in zip(found, expected, strict=False) if a != b),
            f"{len(found)} and {len(expected)}",
        )
        raise ValueError(
            f"{file}: saved another state than this submission and workload begin with, first at {differing}; a state "
            "that changes its structure while training cannot be resumed"
        )
    restored = []
    for (name, dtype, shape), content, (_, leaf) in zip(header["leaves"], contents, leaves, strict=True):
        value = _array(file, name, dtype, shape, content)
        if np.shape(_numbers(leaf)) != value.shape:
            raise ValueError(f"{file}: {name} has shape {value.shape}, the trial has {np.shape(leaf)}")
        restored.append(_like(value, leaf))
    return jax.tree_util.tree_unflatten(structure, restored), header["kept"]


def _check_format(file: Path, header: Mapping[str, Any]) -> None:
    if header.get("format") != FORMAT:
        raise ValueError(f"{file}: checkpoint format {header.get('format')}, not {FORMAT}")


def _array(file: Path, name: str, dtype: str, shape: Sequence[int], content: bytes) -> np.ndarray:
    try:
        return np.frombuffer(content, np.dtype(dtype)).reshape(shape)
    except _BROKEN as error:
        raise Damaged(f"{file}: damaged ({name}: {error})") from error


def _read(file: Path) -> tuple[dict[str, Any], list[bytes]]:
    """The header of a checkpoint and the bytes of its arrays."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            header = json.loads(stored["header"].tobytes())
            leaves, kept = header["leaves"], header["kept"]
            if not isinstance(kept, dict) or not isinstance(header.get("owner", {}), dict):
                raise ValueError("its header is not that of a checkpoint")
            if not all(
                isinstance(name, str) and isinstance(kind, str) and isinstance(shape, list)
                for name, kind, shape in leaves
            ):
                raise ValueError("its header is not that of a checkpoint")
            return header, [stored[f"leaf_{number}"].tobytes() for number in range(len(leaves))]
    except (*_BROKEN, RecursionError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Damaged(f"{file}: damaged, no whole checkpoint ({said})") from error


def _files(folder: Path) -> list[tuple[Path, int]]:
    matches = ((path, _NAME.fullmatch(path.name)) for path in reading.matching(folder, "checkpoint_*.npz"))
    return [(path, int(match[1])) for path, match in matches if match and path.is_file()]


def _numbers(leaf: Any) -> Any:
    """A leaf as plain numbers: keys of JAX's new kind are theirs in disguise."""
    if isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return leaf


def _like(value: np.ndarray, leaf: Any) -> Any:
    if isinstance(leaf, jax.Array):
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(jax.numpy.asarray(value), impl=jax.random.key_impl(leaf))
        if not leaf.is_fully_addressable:
            return processes.placed(value, leaf.sharding)
        return jax.device_put(value, leaf.sharding) if leaf.committed else jax.device_put(value)
    if isinstance(leaf, bool | int | float | complex):
        return type(leaf)(value.item())
    return value.copy()
