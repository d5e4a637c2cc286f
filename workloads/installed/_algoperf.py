"""The workloads of an installed AlgoPerf, as AlgoPerf's own objects.

Which there are is read from its source, without importing it: the import takes PyTorch and TensorFlow, and seconds.
Versions are told apart by what is there, never by a version number: v0.6 and v1.0 have one interface.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from workloads.installed._presence import PREFIX, is_installed
from workloads.spelling import closest

GUIDE = (
    "install it from a checkout of its repository, as docs/algoperf.md says; "
    "'algoperf/mnist' and all other workloads need no AlgoPerf"
)

# By the beginning of a name: shapes of a batch's fields where they are plain arrays, or pairs of them; the models do
# not care for the batch's size. For tracing alone.
_IMAGE = {"inputs": ((2, 224, 224, 3), "float32")}
_SOUND = {"inputs": (((2, 320_000), "float32"), ((2, 320_000), "float32"))}
_BATCHES: Mapping[str, Mapping[str, Any]] = {
    "criteo1tb": {"inputs": ((2, 39), "float32")},
    "fastmri": {"inputs": ((2, 320, 320), "float32")},
    "imagenet": _IMAGE,
    "librispeech": _SOUND,
    "wmt": {"inputs": ((2, 256), "int32"), "targets": ((2, 256), "int32")},
    "mnist": {"inputs": ((2, 28, 28, 1), "float32")},
    "cifar": {"inputs": ((2, 32, 32, 3), "float32")},
}


def names() -> tuple[str, ...]:
    """`algoperf-installed/<name>` for every workload of the installed AlgoPerf; none without one."""
    return tuple(f"{PREFIX}{name}" for name in _table()) if is_installed() else ()


def known(name: str) -> str:
    """AlgoPerf's own name of a workload.

    Args:
      name: with or without `algoperf-installed/`.

    Raises:
      ValueError: there is no AlgoPerf, or it has no such workload.
    """
    plain = name.removeprefix(PREFIX)
    if not is_installed():
        raise ValueError(f"{PREFIX}{plain}: there is no AlgoPerf on this machine; {GUIDE}")
    if plain not in _table():
        hint = closest(plain, _table(), f"it has {', '.join(_table())}")
        raise ValueError(f"{PREFIX}{plain}: the installed AlgoPerf has no such workload; {hint}")
    return plain


def real_workload(name: str, data_dir: str | os.PathLike[str] | None = None) -> Any:
    """AlgoPerf's own `spec.Workload`, for JAX, after a look at whether its model can be traced at all.

    Args:
      name: with or without `algoperf-installed/`.
      data_dir: where its data set lies. Only the speech workloads look at it here, for their tokenizer.

    Returns:
      A new object; `param_shapes` and `model_params_types` are set.

    Raises:
      ValueError: there is no AlgoPerf or no such workload, or this one is broken in the installed version.
      FileNotFoundError: data_dir has no tokenizer for a speech workload.
    """
    name = known(name)
    row = _table()[name]
    try:
        _prepare_process()
        path = row["workload_path"].replace("/", ".")
        module = partner(f"algoperf.workloads.{path}_jax.workload")
    except ImportError as error:
        raise ValueError(
            f"{PREFIX}{name}: the installed AlgoPerf cannot import it: {error}; complete its installation, "
            "see docs/algoperf.md"
        ) from error
    made = getattr(module, row["workload_class_name"])
    arguments = {}
    if data_dir is not None and "tokenizer_vocab_path" in inspect.signature(made).parameters:
        arguments["tokenizer_vocab_path"] = _tokenizer(name, pathlib.Path(data_dir))
    real = made(**arguments)
    if "dropout_rate" not in inspect.signature(real.model_fn).parameters:
        raise ValueError(
            f"{PREFIX}{name}: the installed AlgoPerf is older than v0.6 (its model_fn takes no dropout_rate); "
            "install v0.6 or v1.0"
        )
    _look(name, real)
    return real


def version() -> str:
    """Of the installed AlgoPerf, for people: where it comes from an archive, it says little."""
    return str(getattr(partner("algoperf"), "__version__", "of an unknown version"))


def partner(module: str) -> Any:
    """A module of AlgoPerf or of what it brings. By name, so that nothing is missed where there is no AlgoPerf."""
    return importlib.import_module(module)


def _table() -> Mapping[str, Mapping[str, str]]:
    """AlgoPerf's registry: name -> where its class is."""
    found = importlib.util.find_spec("algoperf")
    assert found is not None
    for folder in found.submodule_search_locations or ():
        path = pathlib.Path(folder) / "workloads" / "workloads.py"
        if path.is_file():
            return _registry_of(path)
    raise ValueError(
        f"AlgoPerf is installed at {found.origin}, without workloads/workloads.py; install it again, "
        "from its repository"
    )


@functools.cache
def _registry_of(path: pathlib.Path) -> Mapping[str, Mapping[str, str]]:
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Assign) and [ast.unparse(t) for t in statement.targets] == ["WORKLOADS"]:
            return ast.literal_eval(statement.value)
    raise ValueError(
        f"{path}: there is no table WORKLOADS; this AlgoPerf is of a version that is not known here"
    )


def _prepare_process() -> None:
    """What AlgoPerf's runner does before it imports a workload, and its modules rely on."""
    from absl import flags

    partner("tensorflow").config.set_visible_devices([], "GPU")  # the accelerators are JAX's
    # Its random numbers ask a flag of the runner which framework they are for.
    if "framework" not in flags.FLAGS:
        flags.DEFINE_enum("framework", "jax", ["jax", "pytorch"], "Framework of the workloads.")
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def _tokenizer(name: str, data_dir: pathlib.Path) -> str:
    # Without it every word error rate is 0, and the target reached at once.
    path = data_dir / "spm_model.vocab"
    if not path.is_file():
        raise FileNotFoundError(
            f"{PREFIX}{name}: no {path}; AlgoPerf's dataset_setup.py makes it from the transcripts"
        )
    return str(path)


def _look(name: str, real: Any) -> None:
    """Traces initialisation, a training step's forward pass with a traced dropout rate, and an evaluation's.

    Raises:
      ValueError: one of them fails; some workloads of every version do.
    """
    import jax

    modes = partner("algoperf.spec").ForwardPassMode

    def attempt(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return jax.eval_shape(function, *arguments)
        except Exception as error:
            said = str(error).strip().split("\n")[0]
            raise ValueError(
                f"{PREFIX}{name}: broken in the installed AlgoPerf {version()}: it cannot {what} "
                f"({type(error).__name__}: {said}); no submission can run on it"
            ) from error

    key = jax.ShapeDtypeStruct((2,), "uint32")
    params, model_state = attempt("be initialised", real.init_model_fn, key)
    fields = next((fields for start, fields in _BATCHES.items() if name.startswith(start)), None)
    if fields is None:  # graphs, and whatever a later version has
        return
    batch = {field: _shapes(shape) for field, shape in fields.items()}

    def train(params, model_state, batch, key, dropout_rate):
        return real.model_fn(params, batch, model_state, modes.TRAIN, key, True, dropout_rate=dropout_rate)

    def evaluate(params, model_state, batch, key):
        return real.model_fn(params, batch, model_state, modes.EVAL, key, False)

    rate = jax.ShapeDtypeStruct((), "float32")
    attempt("be trained with a traced dropout rate", train, params, model_state, batch, key, rate)
    attempt("be evaluated", evaluate, params, model_state, batch, key)


def _shapes(shape: Any) -> Any:
    import jax

    if isinstance(shape[1], str):
        return jax.ShapeDtypeStruct(*shape)
    return tuple(map(_shapes, shape))
