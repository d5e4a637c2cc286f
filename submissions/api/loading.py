"""A submission's folder as a module that can be called.

A submission is one file, `submission.py`, with AlgoPerf's functions. It may import files beside it, relatively or by
name, and its own repository by absolute paths; all of these are found from where the file lies, without a working
directory or PYTHONPATH of a certain kind. `import algoperf` works with or without AlgoPerf, see `algoperf_api`.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from submissions.api import _imports

# function -> names of its arguments; True: AlgoPerf calls it with names, else by position
REQUIRED: dict[str, tuple[bool, tuple[str, ...]]] = {
    "get_batch_size": (False, ("workload_name",)),
    "init_optimizer_state": (
        False,
        ("workload", "model_params", "model_state", "hyperparameters", "rng"),
    ),
    "update_params": (
        True,
        (
            "workload",
            "current_param_container",
            "current_params_types",
            "model_state",
            "hyperparameters",
            "batch",
            "loss_type",
            "optimizer_state",
            "eval_results",
            "global_step",
            "rng",
        ),
    ),
    "data_selection": (
        False,
        (
            "workload",
            "input_queue",
            "optimizer_state",
            "current_param_container",
            "model_state",
            "hyperparameters",
            "global_step",
            "rng",
        ),
    ),
}
OPTIONAL: dict[str, tuple[bool, tuple[str, ...]]] = {
    "get_eval_batch_size": (False, ("workload_name",)),
    "prepare_for_eval": (
        True,
        (
            "workload",
            "current_param_container",
            "current_params_types",
            "model_state",
            "hyperparameters",
            "loss_type",
            "optimizer_state",
            "eval_results",
            "global_step",
            "rng",
        ),
    ),
}


@dataclasses.dataclass(frozen=True)
class Submission:
    """A loaded submission.

    Attributes:
      path: of submission.py.
      module: what it became; no other load gives the same one.
      get_batch_size, init_optimizer_state, update_params, data_selection: see `REQUIRED` for how to call them.
      get_eval_batch_size, prepare_for_eval: see `OPTIONAL`; None where there are none.
      source: text of submission.py.
      device_axis: it was written for AlgoPerf v0.5: it trains by jax.pmap, so parameters, model state and batches need
        a leading axis over the devices; `api.view(workload, device_axis=True)` gives them one.
      wants_train_state: update_params takes `train_state`.
    """

    path: Path
    module: ModuleType
    get_batch_size: Callable[..., Any]
    init_optimizer_state: Callable[..., Any]
    update_params: Callable[..., Any]
    data_selection: Callable[..., Any]
    get_eval_batch_size: Callable[..., Any] | None
    prepare_for_eval: Callable[..., Any] | None
    source: str
    device_axis: bool
    wants_train_state: bool


def load(path: str | os.PathLike[str]) -> Submission:
    """The submission in a folder or file. Its code runs, as a module of a name of its own.

    Args:
      path: of submission.py (whatever it is called), or of the folder it lies in.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is not Python, not for JAX, lacks a function, or has one that cannot be called as AlgoPerf does.
      ImportError: something that it imports is not there.
    """
    file = submission_file(path)
    source = file.read_text(encoding="utf-8")
    try:
        tree = ast.parse(source, str(file))
    except SyntaxError as error:
        raise ValueError(f"{file}:{error.lineno}: is not Python: {error.msg}") from error
    if _imports.is_for_pytorch(tree):
        raise ValueError(
            f"{file}: is written for PyTorch (it imports torch and not jax); only JAX submissions run here"
        )
    missing = [name for name in REQUIRED if name not in _names(tree)]
    if missing and not _has_star_import(tree):
        raise ValueError(f"{file}: defines no {', '.join(missing)}; AlgoPerf calls {', '.join(REQUIRED)}")
    module = _imports.import_file(file, tree)
    functions: dict[str, Any] = {}
    for name, (by_name, arguments) in (REQUIRED | OPTIONAL).items():
        functions[name] = getattr(module, name, None)
        if functions[name] is None and name in REQUIRED:
            raise ValueError(f"{file}: defines no {name}; AlgoPerf calls {', '.join(REQUIRED)}")
        if functions[name] is not None:
            _check_signature(file, name, functions[name], by_name, arguments)
    return Submission(
        path=file,
        module=module,
        **functions,
        source=source,
        device_axis=_imports.uses_pmap(module),
        wants_train_state="train_state" in inspect.signature(functions["update_params"]).parameters,
    )


def submission_file(path: str | os.PathLike[str]) -> Path:
    """The file of a submission that is given as file or folder.

    Raises:
      FileNotFoundError: there is none.
    """
    found = Path(path).expanduser().resolve()
    if found.is_dir():
        found = found / "submission.py"
        if not found.is_file():
            raise FileNotFoundError(f"{Path(path)}: holds no submission.py")
    elif not found.is_file():
        raise FileNotFoundError(f"{Path(path)}: no such file; give a submission.py or the folder it lies in")
    return found


def fingerprint(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a submission's own files, of submission.py and all that it imports beside it, by their content.

    Raises:
      FileNotFoundError: there is no submission.
    """
    file = submission_file(path)
    digest = hashlib.sha256()
    for one in sources(file):
        content = one.read_bytes()
        digest.update(f"{os.path.relpath(one, file.parent)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def sources(file: Path) -> list[Path]:
    """A submission's own files: its file, and all that it imports beside it."""
    try:
        return sorted(_imports.local_sources(file))
    except (ValueError, RecursionError, MemoryError):  # not Python: loading says so
        return [file]


def batch_size(
    submission: Submission, workload_name: str, base_name: str | None = None, default: int | None = None
) -> int:
    """Training examples per step, over all devices: the submission's answer.

    As in AlgoPerf, where get_batch_size raises ValueError for a variant, it is asked for the base workload instead.
    Names that AlgoPerf has are asked for as AlgoPerf spells them: `mnist` for `algoperf/mnist`. If ValueError is the
    last word, or, for names that AlgoPerf does not have, KeyError or None, the default counts.

    Args:
      submission: whom to ask.
      workload_name: ours or AlgoPerf's.
      base_name: of a variant, the workload it varies.
      default: the workload's own batch size; None: a missing answer is an error.

    Raises:
      ValueError: no answer and no default, or an answer that is not a positive integer.
    """
    prefix, slash, rest = workload_name.rpartition("/")
    known = not slash or prefix in ("algoperf", "algoperf-installed")
    name = rest if known else workload_name
    unknown = (ValueError,) if known else (ValueError, KeyError)
    answer: Any = None
    problem: Exception | None = None
    for asked in filter(None, (name, base_name)):
        try:
            answer = submission.get_batch_size(asked)
        except unknown as error:
            problem = error
        else:
            break
    if answer is None:
        if default is not None and (problem is not None or not known):
            return default
        reason = f"raised {problem!r}" if problem else "returned None"
        raise ValueError(f"{submission.path}: get_batch_size({name!r}) {reason}; it must return an integer")
    if isinstance(answer, bool) or not hasattr(answer, "__index__") or answer < 1:
        raise ValueError(
            f"{submission.path}: get_batch_size({name!r}) returned {answer!r}, not a positive integer"
        )
    return int(answer)


def _check_signature(file: Path, name: str, function: Any, by_name: bool, arguments: tuple[str, ...]) -> None:
    how = ", ".join(f"{argument}=" for argument in arguments) if by_name else ", ".join(arguments)
    if not callable(function):
        raise ValueError(f"{file}: {name} is {type(function).__name__}, not a function of ({how})")
    signature = inspect.signature(function)
    values: dict[str, Any] = dict.fromkeys(arguments)
    if by_name and "train_state" in signature.parameters:
        values["train_state"] = None
    try:
        signature.bind(**values) if by_name else signature.bind(*values)
    except TypeError as error:
        line = function.__code__.co_firstlineno if hasattr(function, "__code__") else "?"
        called = "with these names" if by_name else "by position"
        raise ValueError(
            f"{file}:{line}: {name}{signature} cannot be called as AlgoPerf does, {called} ({how}): {error}"
        ) from error


def _names(tree: ast.Module) -> set[str]:
    """What the module defines, assigns or imports, also within a top-level if or try."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def _has_star_import(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        for node in ast.walk(tree)
    )
