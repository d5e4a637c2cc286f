"""learned_optimization beside ours: importable from a clone of it, unmodified, on a current JAX."""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np


def importable_from(folder: Path) -> None:
    """Lets it be imported without TensorFlow, which it needs for summaries and files alone."""
    import flax.training.checkpoints  # noqa: F401, while it can still see that there is no TensorFlow

    class Anything(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    for name in ("tensorflow", "tensorflow.compat", "tensorflow.compat.v2", "tensorflow_datasets"):
        module = Anything(name)
        module.__spec__, module.__path__ = ModuleSpec(name, None), []
        sys.modules[name] = module
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], own, module)
    setattr(np, "product", np.prod)  # noqa: B010, gone since NumPy 2
    sys.path.insert(0, str(folder))
