"""VeLO's weights as PyLO (Belilovsky-Lab/pylo) keeps them: safetensors with the names of its two modules.

Linear weights are transposed, as PyTorch has them; the first layer of the MLP is one array in channel order, where the
original has one per group of features. PyLO keeps the MLP that it works with beside the bank; it is made anew at every
step, so it is not read, and zeros are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

GROUPS = (1, 1, 1, 3, 1, 3, 1, 3, 1, 3, 3, 3, 3, 3)  # channels of w0__0, w0__1, ...
RNN, MLP = "VeLO_RNN", "VeLO_MLP"  # its two files
LINEAR = {  # PyLO's module -> path in ours
    "mix_layer1": ("rnn_params", "linear"),  # unused there too
    "mix_layer2": ("rnn_params", "linear_1"),
    "final_mix_layer": ("rnn_params", "linear_2"),
    "lstm.linear": ("rnn_params", "rnn/linear"),
    "rnn_to_controls": ("rnn_params", "rnn_to_controls"),
    "step_size": ("rnn_params", "step_size"),
}
BANK = {  # PyLO's name -> ours, and whether it is transposed
    "input_bias_": ("b0", False),
    "hidden_bias_.0": ("b1", False),
    "output_bias_": ("b2", False),
    "hidden_weights_.0": ("w1", True),
    "output_weights_": ("w2", True),
}
FIRST = "input_weights_"
HIDDEN, CELL = "lstm_init_state.0", "lstm_init_state.1"


def is_safetensors(content: bytes) -> bool:
    """By how it begins: the length of a JSON object, and that."""
    return len(content) > 9 and content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content)


def tensors(content: bytes, where: str) -> dict[str, np.ndarray]:
    """Name -> array.

    Raises:
      ImportError: the library is not installed.
      ValueError: the file is damaged.
    """
    library = _library()
    try:
        return library.load(content)
    except Exception as error:  # its own, or of a type that NumPy has not
        raise ValueError(f"{where}: a damaged safetensors file ({error})") from None


def to_tree(named: Mapping[str, np.ndarray], where: str) -> dict[str, Any]:
    """PyLO's arrays as the original's tree.

    Raises:
      ValueError: some are missing, as where only one of the two files was given.
    """
    wanted = {
        RNN: [*(f"{module}.{kind}" for module in LINEAR for kind in ("weight", "bias")), HIDDEN, CELL],
        MLP: [FIRST, *BANK],
    }
    for part, names in wanted.items():
        missing = [name for name in names if name not in named]
        if len(missing) == len(names) and len(named):
            other = MLP if part == RNN else RNN
            if any(name in named for name in wanted[other]):
                raise ValueError(f"{where}: is PyLO's {other} alone; give its {part} beside it")
            raise ValueError(f"{where}: safetensors, but not PyLO's VeLO: it has {next(iter(named))}")
        if missing:
            raise ValueError(f"{where}: {missing[0]} of PyLO's {part} is missing")
    first = named[FIRST]
    if first.ndim != 3 or first.shape[2] != sum(GROUPS):
        raise ValueError(f"{where}: {FIRST} is {first.shape}, must be (bank, width, {sum(GROUPS)})")
    flat = [name for module in LINEAR for name in (f"{module}.weight",) if named[name].ndim != 2]
    flat += [name for name, (_, transposed) in BANK.items() if transposed and named[name].ndim != 3]
    if flat:
        raise ValueError(f"{where}: {flat[0]} is {named[flat[0]].shape}, which has another number of axes")
    ends = np.cumsum(GROUPS)[:-1]
    groups = np.split(np.swapaxes(first, 1, 2), ends, axis=1)
    bank = {f"w0__{number}": group for number, group in enumerate(groups)}
    for name, (ours, transposed) in BANK.items():
        bank[ours] = np.swapaxes(named[name], 1, 2) if transposed else named[name]
    tree: dict[str, Any] = {
        "ff_mod_stack": {"~": dict(sorted(bank.items()))},
        "lstm_init_state": {"cell": named[CELL], "hidden": named[HIDDEN]},
        "rnn_params": {},
    }
    for module, (part, layer) in LINEAR.items():
        tree[part][layer] = {"b": named[f"{module}.bias"], "w": named[f"{module}.weight"].T}
    tree["rnn_params"] = dict(sorted(tree["rnn_params"].items()))
    return _contiguous(tree)


def files(tree: Mapping[str, Any]) -> dict[str, bytes]:
    """Name of the part -> content of its file.

    Raises:
      ImportError: the library is not installed.
      ValueError: it is another tree than VeLO's.
    """
    library = _library()
    try:
        bank, start, layers = tree["ff_mod_stack"]["~"], tree["lstm_init_state"], tree["rnn_params"]
        first = np.concatenate([bank[f"w0__{number}"] for number in range(len(GROUPS))], axis=1)
        rnn = {HIDDEN: start["hidden"], CELL: start["cell"]}
        for module, (_, layer) in LINEAR.items():
            rnn |= {
                f"{module}.weight": np.transpose(layers[layer]["w"]),
                f"{module}.bias": layers[layer]["b"],
            }
        mlp = {FIRST: np.swapaxes(first, 1, 2)}
        for name, (ours, transposed) in BANK.items():
            mlp[name] = np.swapaxes(bank[ours], 1, 2) if transposed else bank[ours]
    except KeyError as missing:
        raise ValueError(
            f"PyLO's layout is known for VeLO's weights alone, and these have no {missing}"
        ) from None
    working = {name.replace("_.", ".").removesuffix("_"): np.zeros_like(x[0]) for name, x in mlp.items()}
    parts = {RNN: rnn, MLP: mlp | working}
    return {
        part: library.save({name: np.ascontiguousarray(x) for name, x in arrays.items()})
        for part, arrays in parts.items()
    }


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "PyLO's weights are read by safetensors, which is not installed; pip install 'shortlist[weights]'"
        ) from error
    return safetensors.numpy


def _contiguous(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _contiguous(part) for name, part in tree.items()}
    return np.ascontiguousarray(tree)
