"""VeLO's weights as PyLO (Belilovsky-Lab/pylo) keeps them: safetensors with the names of its two modules.

Linear weights are transposed, as PyTorch has them; the first layer of the MLP is one array in channel order, where the
original has one per group of features. PyLO keeps the MLP that it works with beside the bank; it is made anew at every
step, so it is not read, and zeros are written.

Its MetaMLP, one safetensors file, is the network of AdafacMLPLOpt. The decays of that optimizer are in no file: they
are defaults of PyLO's own class, those of the weights that it was published with.
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
META = "network."  # before every name of a MetaMLP
META_INPUTS = 39  # as AdafacMLPLOpt has them, in its order
META_DECAYS = {
    "momentum_decays": (0.15216392, 0.14245212, 0.06812963),
    "rms_decays": (0.01079706,),
    "adafactor_decays": (0.18621896, -0.10864615, -0.06185547),
}
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
    if named and all(name.startswith(META) for name in named):
        return _meta_tree(named, where)
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
            raise ValueError(
                f"{where}: safetensors, but neither PyLO's VeLO nor its MetaMLP: it has {next(iter(named))}"
            )
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


def _meta_tree(named: Mapping[str, np.ndarray], where: str) -> dict[str, Any]:
    """A MetaMLP as AdafacMLPLOpt's tree: its layers, and the decays that PyLO gives it."""
    hidden = sum(name.startswith(f"{META}linear_") and name.endswith(".weight") for name in named)
    layers = [f"{META}input", *(f"{META}linear_{i}" for i in range(hidden)), f"{META}output"]
    wanted = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    if other := sorted(set(named) ^ set(wanted)):
        what = "is missing" if other[0] in wanted else "is none of its"
        raise ValueError(f"{where}: looks like PyLO's MetaMLP, but {other[0]} {what}")
    network = {}
    for i, layer in enumerate(layers):
        w, b = named[f"{layer}.weight"], named[f"{layer}.bias"]
        ends = (
            b.shape[0] if i + 1 < len(layers) else 2,
            META_INPUTS if i == 0 else network[f"b{i - 1}"].shape[0],
        )
        if b.ndim != 1 or w.shape != ends:
            raise ValueError(
                f"{where}: {layer}.weight is {w.shape} and its bias {b.shape}; must be {ends}, and ({ends[0]},)"
            )
        network |= {f"w{i}": w.T, f"b{i}": b}
    decays = {name: np.asarray(values, np.float32) for name, values in META_DECAYS.items()}
    return _contiguous({**decays, "nn": {"~": network}})


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
            f"PyLO's layout is written for VeLO's weights alone, and these have no {missing}"
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
