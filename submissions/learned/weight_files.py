"""Files of trained weights: read, told apart, and written, in the two layouts that they are published in.

| layout | what | where |
|---|---|---|
| flax | a msgpack map of arrays, as Flax writes it; bare, or within {params, gen_id, step} | VeLO, Celo, ours |
| pylo | safetensors with PyTorch's names; VeLO's LSTM and MLP may be two files | PyLO |

Nothing is ever unpickled. Trees are nested dictionaries of float32 arrays, under the original's paths.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from submissions.learned import _pylo, _shapes, _switches
from submissions.learned._declaration import Learned
from submissions.learned._table import LEARNED
from workloads.data import reading
from workloads.data.files import write_atomically

Tree = dict[str, Any]
LAYOUTS = ("flax", "pylo")
WRAPPED = {"params", "gen_id", "step"}  # keys around the weights in a checkpoint of learned_optimization
LARGEST = 2**31  # bytes; the largest published one has 9 MB


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """What a file holds.

    Attributes:
      weights: the tree, in the order of the file.
      layout: one of `LAYOUTS`.
      sha256: of the file; of two files together, the hash of their hashes.
      size: bytes.
      optimizers: names of all whose weights they can be, and what sizes they have then.
      around: what stands beside the weights, such as {"gen_id": "...", "step": 100000}; empty where they are bare.
    """

    weights: Tree
    layout: str
    sha256: str
    size: int
    optimizers: Mapping[str, Mapping[str, int]]
    around: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def numbers(self) -> int:
        """How many float32 it holds."""
        return sum(leaf.size for leaf in _shapes.flat(self.weights).values())


def read(path: Path | str, *more: Path | str) -> WeightFile:
    """Reads a weight file, or the two files of PyLO's VeLO. Imports JAX.

    Args:
      path, more: of the files, in any order.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is cut short, of another kind, or not the weights of any learned optimizer; which it comes nearest
        to is in the message.
    """
    files = [Path(one) for one in (path, *more)]
    if len(files) == 1:
        return read_content(files[0])[0]
    named: dict[str, np.ndarray] = {}
    contents = [_content(file) for file in files]
    for file, content in zip(files, contents, strict=True):
        if not _pylo.is_safetensors(content):
            raise ValueError(f"{file}: is no safetensors file; only those of PyLO come in several")
        found = _pylo.tensors(content, str(file))
        if twice := sorted(set(named) & set(found)):
            raise ValueError(f"{file}: has {twice[0]} once more; give one file of each part")
        named |= found
    where = " and ".join(map(str, files))
    weights = _pylo.to_tree(named, where)
    hashes = sorted(hashlib.sha256(content).hexdigest() for content in contents)
    digest = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return _made(weights, "pylo", digest, sum(map(len, contents)), {}, where)


def parse(content: bytes, where: str = "weights") -> WeightFile:
    """What the bytes of a file hold; see `read`.

    Args:
      content: of the file.
      where: it lies, for messages.
    """
    digest = hashlib.sha256(content).hexdigest()
    if _pylo.is_safetensors(content):
        weights = _pylo.to_tree(_pylo.tensors(content, where), where)
        return _made(weights, "pylo", digest, len(content), {}, where)
    weights, around = _from_msgpack(content, where)
    return _made(weights, "flax", digest, len(content), around, where)


def read_content(file: Path) -> tuple[WeightFile, bytes]:
    """What one file holds, and its bytes, which are those that were read."""
    content = _content(file)
    return parse(content, str(file)), content


def for_optimizer(learned: Learned, file: WeightFile, where: str) -> Tree:
    """The weights of a file, for an optimizer.

    Raises:
      ValueError: they are another's.
    """
    if learned.name in file.optimizers:
        return file.weights
    looks = f"; they look like those of {' or '.join(file.optimizers)}"
    raise ValueError(
        f"{where}: not weights of {learned.name}: {_shapes.why_not(learned, file.weights)}{looks}"
    )


def named(file: Path | str, optimizer: str | None = None, switches: Sequence[str] = ()) -> str:
    """NAME@FILE, or NAME,SWITCH=VALUE,...@FILE, by which `submissions.optimizer` finds an optimizer with these weights.

    Args:
      file: of the weights.
      optimizer: a name of `LEARNED`, with or without switches; None: the one whose weights they are.
      switches: SWITCH=VALUE each.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the optimizer is not a learned one, or the weights fit several.
    """
    if optimizer is None:
        fitting = list(read(file).optimizers)
        if len(fitting) > 1:
            raise ValueError(f"{file}: can be the weights of {' or '.join(fitting)}; say of which")
        optimizer = fitting[0]
    optimizer, *given = optimizer.split(",")
    if optimizer not in LEARNED:
        raise ValueError(
            f"weights {file} go with a learned optimizer, and {optimizer} is none; those are {', '.join(LEARNED)}"
        )
    learned = LEARNED[optimizer]
    return f"{optimizer}{_switches.spelt(_switches.parsed(learned, [*given, *switches]))}@{file}"


def flax_bytes(weights: Tree, around: Mapping[str, Any] | None = None) -> bytes:
    """The weights as Flax writes them, in the order of the tree.

    Args:
      weights: the tree.
      around: gen_id and step, for the form that learned_optimization's own checkpoints have; None: bare.
    """
    from flax import serialization

    _check_arrays(weights, "weights")
    plain = _copied(weights)
    if around:
        if set(around) != WRAPPED - {"params"}:
            raise ValueError(f"beside the weights stand gen_id and step, not {', '.join(around)}")
        plain = {"params": plain, "gen_id": around["gen_id"], "step": around["step"]}
    return serialization.msgpack_serialize(plain, in_place=True)  # else it would sort the keys


def write(path: Path | str, weights: Tree, around: Mapping[str, Any] | None = None) -> None:
    """Writes weights in Flax's layout, whole or not at all; see `flax_bytes`."""
    write_atomically(Path(path), flax_bytes(weights, around))


def write_pylo(folder: Path | str, weights: Tree) -> list[Path]:
    """Writes the two files that PyLO's VeLO loads, each whole or not at all.

    Args:
      folder: gets VeLO_RNN/model.safetensors and VeLO_MLP/model.safetensors.
      weights: of VeLO's tree.

    Raises:
      ValueError: the weights are of an optimizer that this layout is not known for.
    """
    _check_arrays(weights, "weights")
    files = []
    for name, content in _pylo.files(weights).items():
        files.append(Path(folder) / name / "model.safetensors")
        write_atomically(files[-1], content)
    return files


def _content(file: Path) -> bytes:
    if reading.check_file(file, "no such file; give a file of trained weights").st_size > LARGEST:
        raise ValueError(f"{file}: has more than 2 GB; no learned optimizer's weights have")
    return file.read_bytes()


def _from_msgpack(content: bytes, where: str) -> tuple[Tree, dict[str, Any]]:
    from flax import serialization

    try:
        read = serialization.msgpack_restore(content)
    except Exception as error:  # msgpack's, NumPy's and Python's own, according to where it is damaged
        kind = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{where}: no weight file, or one that is cut short ({kind}); Flax's msgpack and safetensors are read"
        ) from None
    around: dict[str, Any] = {}
    if isinstance(read, dict) and "params" in read and set(read) <= WRAPPED:
        around = {name: value for name, value in read.items() if name != "params"}
        read = read["params"]
    if not isinstance(read, dict):
        raise ValueError(f"{where}: holds a {type(read).__name__}, not a map of arrays; no weight file")
    _check_arrays(read, where)
    return read, around


def _check_arrays(tree: Mapping[Any, Any], where: str) -> None:
    for path, leaf in _shapes.flat(tree).items():
        name = "/".join(map(str, path))
        if not all(isinstance(part, str) for part in path):
            raise ValueError(f"{where}: {name} is no name; no weight file")
        if not hasattr(leaf, "shape"):
            raise ValueError(f"{where}: {name} is a {type(leaf).__name__}, must be an array of float32")
        if leaf.dtype != np.float32:
            raise ValueError(f"{where}: {name} is of {leaf.dtype}, must be float32")
        if not np.isfinite(np.asarray(leaf)).all():
            raise ValueError(f"{where}: {name} has numbers that are not finite")


def _made(
    weights: Tree, layout: str, sha256: str, size: int, around: dict[str, Any], where: str
) -> WeightFile:
    fits = {
        name: sizes for name, row in LEARNED.items() if (sizes := _shapes.sizes(row, weights)) is not None
    }
    if not fits:
        raise ValueError(f"{where}: not the weights of a learned optimizer; {_nearest(weights)}")
    return WeightFile(weights, layout, sha256, size, fits, around)


def _nearest(weights: Tree) -> str:
    """What an unknown tree comes nearest to, in words."""
    nearest = max(LEARNED.values(), key=lambda row: _shapes.likeness(row, weights))
    if not _shapes.likeness(nearest, weights):
        there: Sequence[tuple[str, ...]] = list(_shapes.flat(weights))
        what = f"has {len(there)} arrays, such as {'/'.join(there[0])}" if there else "is empty"
        return f"it {what}; known are those of {', '.join(LEARNED)}"
    return f"nearest to {nearest.name}'s, but {_shapes.why_not(nearest, weights)}"


def _copied(tree: Mapping[str, Any]) -> Tree:
    return {
        name: _copied(value) if isinstance(value, Mapping) else np.asarray(value)
        for name, value in tree.items()
    }
