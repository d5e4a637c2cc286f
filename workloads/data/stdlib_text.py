"""Text that every Python carries: sources of quiet modules of its standard library."""

from __future__ import annotations

import hashlib
import importlib.util
import pathlib
import platform
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from workloads._source import Provenance

# Old, pure-Python modules that hardly change between versions.
MODULES = (
    *("bisect", "calendar", "cmd", "colorsys", "configparser", "copy", "csv"),
    *("difflib", "fnmatch", "fractions", "getopt", "gettext", "heapq", "optparse"),
    *("pprint", "queue", "reprlib", "sched", "shlex", "string", "textwrap"),
)

# The characters: new line, then ASCII 32..126 without capitals, 70 in all: text is put in small letters, and
# any other character is left out.
VOCABULARY = "\n" + "".join(c for c in map(chr, range(32, 127)) if not c.isupper())

# Which part of every module belongs to which split, as shares of its length.
PARTS = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}


def stdlib_windows(
    length: int, sizes: Mapping[str, int], seed: int = 0
) -> tuple[dict[str, UInt8[np.ndarray, "example length"]], Provenance]:
    """Windows of consecutive characters as indices into `VOCABULARY`; no two windows share a character.

    Args:
      length: characters per window.
      sizes: at most so many windows of `train`, `validation` and `test`, drawn without replacement.
      seed: of the draw.

    Returns:
      Windows by split, and a provenance with Python's version and the hash of the text, because another
      version has slightly different sources.

    Raises:
      ValueError: this Python comes without the sources of its library.
    """
    texts = [source_text(module) for module in MODULES]
    windows = windows_of(texts, length, sizes, seed)
    digest = hashlib.sha256("".join(texts).encode()).hexdigest()[:12]
    provenance = Provenance(
        kind="embedded",
        source=f"source text, in small letters, of {len(MODULES)} modules of the standard library of Python "
        f"{platform.python_version()} (sha256 {digest})",
    )
    return windows, provenance


def windows_of(
    texts: Sequence[str], length: int, sizes: Mapping[str, int], seed: int = 0
) -> dict[str, UInt8[np.ndarray, "example length"]]:
    """Windows of consecutive characters as indices into `VOCABULARY`; no two windows share a character.

    Args:
      texts: `PARTS` says which part of every one belongs to which split.
      length: characters per window.
      sizes: at most so many windows of every split, drawn without replacement.
      seed: of the draw.
    """
    # Characters that are not in the vocabulary have no code; neither do those beyond ASCII.
    table = np.full(128, len(VOCABULARY), np.uint8)
    table[[ord(character) for character in VOCABULARY]] = np.arange(len(VOCABULARY))
    codes = [table[np.frombuffer(text.lower().encode("ascii", "ignore"), np.uint8)] for text in texts]
    codes = [code[code < len(VOCABULARY)] for code in codes]
    generator = np.random.default_rng(seed)
    windows = {}
    for split, (start, stop) in PARTS.items():
        parts = [code[round(start * len(code)) : round(stop * len(code))] for code in codes]
        whole = [part[: len(part) // length * length].reshape(-1, length) for part in parts]
        shuffled = generator.permutation(np.concatenate(whole))
        windows[split] = np.ascontiguousarray(shuffled[: sizes[split]])
    return windows


def source_text(module: str) -> str:
    """The source of a module of this Python.

    Raises:
      ValueError: it comes without.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ValueError(
            f"this Python has no source text of its module {module!r}; "
            "text of the standard library needs an installation with the library's .py files"
        )
    return pathlib.Path(spec.origin).read_text(encoding="utf-8")
