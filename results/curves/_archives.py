"""TaskSet's learning curves as released: one file per task and set of optimizers.

    <task>/<set>_<steps>_replica<n>.npz     such as mlp_family_seed12/adam8p_wide_grid_1k_10000_replica5.npz

| key | dtype, shape | meaning |
|---|---|---|
| optimizers | byte strings (point,) | names such as adam8p_wide_grid_seed0 |
| xs | whole numbers (step,) | steps at which was evaluated, 0 first |
| ys | float32 (point, replica, step, split) | losses; splits are train, valid_inner, valid_outer, test |

valid_outer chooses hyperparameters, test judges them. Two readers of these files elsewhere call index 2, which is
valid_outer, "test". Files are read without pickles, and written beside their place and renamed.

Reference: Metz et al. 2020, arXiv:2002.11887; gs://gresearch/task_set_data.
"""

from __future__ import annotations

import collections
import dataclasses
import io
import math
import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from workloads.data import reading
from workloads.data.files import write_atomically

SPLITS = ("train", "valid_inner", "valid_outer", "test")
KEYS = ("optimizers", "xs", "ys")
_NAME = re.compile(r"(?P<set>.+)_(?P<steps>\d+)_replica(?P<replicas>\d+)\.npz")


@dataclasses.dataclass(frozen=True, eq=False)
class CurveArchive:
    """The curves of one set of optimizers on one task; what a released file holds.

    Attributes:
      task: TaskSet's name, such as mlp_family_seed12.
      optimizer_set: such as adam8p_wide_grid_1k.
      optimizers: one name per point, unique.
      xs: steps evaluated, ascending; 0 is before the first update.
      ys: losses; the last axis is `SPLITS`. NaN, inf or huge where training diverged; all NaN in a split that was not
        kept. Read-only.

    Raises:
      ValueError: names, steps and losses that do not fit together; the message says which.
    """

    task: str
    optimizer_set: str
    optimizers: tuple[str, ...]
    xs: Int64[np.ndarray, " step"]
    ys: Float32[np.ndarray, "point replica step split"]

    def __post_init__(self) -> None:
        parts = self.task.split("/")
        if not all(parts) or {".", ".."} & set(parts) or "/" in self.optimizer_set or not self.optimizer_set:
            raise ValueError(
                f"task is {self.task!r}, set {self.optimizer_set!r}; both must be names of files"
            )
        if self.ys.ndim != 4 or self.ys.shape[3] != len(SPLITS):
            raise ValueError(
                f"ys has shape {self.ys.shape}; must be (points, replicas, steps, {len(SPLITS)})"
            )
        if self.ys.dtype != np.float32:
            raise ValueError(f"ys has dtype {self.ys.dtype}; must be float32")
        if self.xs.shape != (self.ys.shape[2],) or not np.issubdtype(self.xs.dtype, np.integer):
            raise ValueError(
                f"xs has shape {self.xs.shape} and dtype {self.xs.dtype}; must be one whole number for each of the "
                f"{self.ys.shape[2]} steps of ys"
            )
        if not self.xs.size or self.xs[0] < 0 or (np.diff(self.xs) <= 0).any():
            raise ValueError("xs must hold at least one step, and ascend from 0 or later")
        if len(self.optimizers) != self.ys.shape[0]:
            raise ValueError(f"optimizers has {len(self.optimizers)} names but ys {self.ys.shape[0]} points")
        repeated = [name for name, count in collections.Counter(self.optimizers).items() if count > 1]
        if repeated:
            raise ValueError(f"optimizers holds {repeated[0]!r} more than once; names must be unique")
        for field, dtype in (("xs", np.int64), ("ys", np.float32)):
            kept = np.array(getattr(self, field), dtype=dtype, order="C")
            kept.flags.writeable = False
            object.__setattr__(self, field, kept)
        object.__setattr__(self, "optimizers", tuple(self.optimizers))

    @property
    def replicas(self) -> int:
        """Trainings of every point."""
        return self.ys.shape[1]

    @property
    def filename(self) -> str:
        """The name of its file, in the folder of its task."""
        return f"{self.optimizer_set}_{self.xs[-1]}_replica{self.replicas}.npz"

    def losses(self, split: str) -> Float32[np.ndarray, "point replica step"]:
        """The curves on one of `SPLITS`."""
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}; must be one of {', '.join(SPLITS)}")
        return self.ys[..., SPLITS.index(split)]

    def has(self, split: str) -> bool:
        """Whether anything was kept of a split."""
        return not bool(np.isnan(self.losses(split)).all())


def write_archive(folder: Path, archive: CurveArchive) -> Path:
    """Writes <folder>/<task>/<set>_<steps>_replica<n>.npz, whole or not at all; the same curves give the same bytes.

    Returns:
      The file's path.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, optimizers=np.char.encode(archive.optimizers, "utf-8"), xs=archive.xs, ys=archive.ys
    )
    path = folder / archive.task / archive.filename
    write_atomically(path, buffer.getvalue())
    return path


def read_archive(path: Path, task: str | None = None) -> CurveArchive:
    """Reads one released file.

    Args:
      path: <task>/<set>_<steps>_replica<n>.npz.
      task: name of the task; None takes that of the folder.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a name of another form, a file that is no archive, keys missing or too many, arrays of other kinds
        or shapes, contents that contradict the name. The message begins with the path.
    """
    named = _NAME.fullmatch(path.name)
    if not named:
        raise ValueError(f"{path}: is not named <set>_<steps>_replica<n>.npz, so its set is unknown")
    arrays = _read_arrays(path, KEYS)
    try:
        archive = CurveArchive(
            task=task or path.resolve().parent.name,
            optimizer_set=named["set"],
            optimizers=_names(arrays["optimizers"]),
            xs=_whole(arrays["xs"]),
            ys=_single(arrays["ys"], "ys"),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if archive.filename != path.name:
        raise ValueError(
            f"{path}: holds {archive.replicas} replicas up to step {archive.xs[-1]}, so its name should be "
            f"{archive.filename}"
        )
    return archive


def archive_paths(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Task -> its files, for all released files below a folder; both in order of name."""
    found: dict[str, list[Path]] = {}
    # A folder in place of a file is refused where it is read, not passed over.
    for path in sorted(reading.walk(folder)):
        if _NAME.fullmatch(path.name):
            found.setdefault(path.parent.relative_to(folder).as_posix(), []).append(path)
    if "." in found:  # the folder of a single task was given
        found[folder.resolve().name] = found.pop(".")
    return {task: tuple(paths) for task, paths in sorted(found.items())}


def read_replica_means(path: Path, optimizer_set: str = "adam8p_wide_grid_1k") -> tuple[CurveArchive, ...]:
    """Reads released curves as others re-packed them: replicas averaged, several tasks in one file, no test split.

    Keys: task_names (task,), optimizers (point,), steps (step,), and train, valid_inner, valid_outer, each float32
    (task, point, step). This is how the data of "Deep Power Laws for hyperparameter optimization" (Kadra et al. 2023,
    arXiv:2302.00441) hold eight tasks of TaskSet, put into one array file. What they call "test" is valid_outer.

    A single diverged replica makes a mean huge or NaN, and no spread over replicas can be had.

    Args:
      path: the file.
      optimizer_set: which set its optimizers are from.

    Returns:
      One archive per task, with one replica and a test split that is all NaN.

    Raises:
      FileNotFoundError, ValueError: as `read_archive`.
    """
    kept = SPLITS[:3]
    arrays = _read_arrays(path, ("task_names", "optimizers", "steps", *kept))
    try:
        tasks, optimizers = _names(arrays["task_names"]), _names(arrays["optimizers"])
        steps = _whole(arrays["steps"])
        for split in kept:
            expected = (len(tasks), len(optimizers), len(steps))
            if arrays[split].shape != expected:
                raise ValueError(f"{split} has shape {arrays[split].shape}; must be {expected}")
        ys = np.full((len(tasks), len(optimizers), 1, len(steps), len(SPLITS)), np.nan, np.float32)
        for k, split in enumerate(kept):
            ys[:, :, 0, :, k] = _single(arrays[split], split)
        return tuple(
            CurveArchive(task, optimizer_set, optimizers, steps, ys[t]) for t, task in enumerate(tasks)
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def holds_replica_means(path: Path) -> bool:
    """Whether an array file is of the form of `read_replica_means`, by most of its keys, rather than a released one.

    So that a file of either form with a wrong key is told which key is wrong. Where keys do not tell, the name does.
    """
    named = bool(_NAME.fullmatch(path.name))
    try:
        with np.load(path, allow_pickle=False) as file:
            keys = set(file.files)
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        return not named
    means, released = {"task_names", "steps", *SPLITS[:3]}, {"xs", "ys"}
    if len(keys & means) == len(keys & released):
        return not named
    return len(keys & means) > len(keys & released)


def read_task_names(path: Path) -> tuple[str, ...]:
    """Reads `task_names.txt`, the list of TaskSet's tasks beside its released curves: one name per line.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no names, a name twice, or a line that is no name.
    """
    names = tuple(line.strip() for line in reading.read_text(path).splitlines() if line.strip())
    if not names:
        raise ValueError(f"{path}: holds no names; one per line is expected")
    for number, name in enumerate(names, 1):
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"{path}: name {number} is {name!r}; a task's name has no blanks or slashes")
    if len(set(names)) < len(names):
        repeated = next(name for name, count in collections.Counter(names).items() if count > 1)
        raise ValueError(f"{path}: {repeated!r} appears more than once")
    return names


def family(task: str) -> str:
    """The family of a task, by its name: the sampler's, or what comes before the first underscore of a fixed task.

    Example:
      >>> family("mlp_family_seed12"), family("FixedMLP_mnist_ce_128x128x128_relu_bs128"), family("digits/conv")
      ('mlp_family', 'FixedMLP', 'digits')
    """
    sampled = re.fullmatch(r"(.+)_seed\d+", task)
    return sampled[1] if sampled else re.split(r"[_/]", task, maxsplit=1)[0]


def _read_arrays(path: Path, keys: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    size = reading.check_file(path).st_size
    try:
        with np.load(path, allow_pickle=False) as file:
            if set(file.files) != set(keys):
                raise ValueError(f"has the keys {', '.join(sorted(file.files))}; must have {', '.join(keys)}")
            assert file.zip is not None
            _check_sizes(file.zip, size)
            return {key: file[key] for key in keys}
    except PermissionError:
        raise  # the file may be as good as ever
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise ValueError(f"{path}: is not an array file (.npz), or is damaged: {error}") from None
    except (AttributeError, TypeError):  # a single array, or bytes that are none
        raise ValueError(
            f"{path}: is not an array file (.npz), or is damaged; only plain arrays are read"
        ) from None
    except (RuntimeError, SyntaxError, tokenize.TokenError, MemoryError) as error:  # a header beyond reading
        raise ValueError(f"{path}: is damaged: {_first_line(error)}") from None
    except ValueError as error:
        reason = "holds Python objects" if "pickle" in str(error).lower() else _first_line(error)
        raise ValueError(f"{path}: {reason}; only plain arrays are read") from None


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    """Refuses arrays that say to be larger than the file can hold, before memory is taken for them."""
    for item in archive.infolist():
        with archive.open(item) as member:
            version = np.lib.format.read_magic(member)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(member)
        if dtype.hasobject:
            raise ValueError("it holds pickled objects")
        # Deflate makes no more than 1,032 bytes of one.
        if math.prod(shape) * dtype.itemsize > max(item.file_size, 0) or item.file_size > 1032 * size + 1024:
            raise ValueError(
                f"{item.filename} says to hold {shape} numbers of {dtype}, more than the file has bytes for"
            )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _names(array: np.ndarray) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "SU":
        raise ValueError(f"names have dtype {array.dtype} and shape {array.shape}; must be a row of strings")
    names = tuple(item.decode() if isinstance(item, bytes) else str(item) for item in array.tolist())
    if "" in names:
        raise ValueError("a name is empty")
    return names


def _whole(array: np.ndarray) -> np.ndarray:
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not _are_whole(array):
        raise ValueError(f"steps have dtype {array.dtype} and shape {array.shape}; must be whole numbers")
    return array.astype(np.int64)


def _are_whole(array: np.ndarray) -> bool:
    """Whether all are whole numbers that a float holds exactly."""
    return bool(np.isfinite(array).all() and (np.abs(array.astype(np.float64)) <= 2**53).all()) and bool(
        (array == np.floor(array)).all()
    )


def _single(array: np.ndarray, key: str) -> np.ndarray:
    """Losses as float32; what float64 holds beyond its range becomes inf, which counts as diverged."""
    if array.dtype.kind != "f":
        raise ValueError(f"{key} has dtype {array.dtype}; must be floating point")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)
