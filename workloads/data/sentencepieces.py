"""SentencePiece models (Kudo and Richardson 2018, arXiv:1808.06226), as AlgoPerf's set-up trains them on its data.

The package of that name reads them. AlgoPerf asks tensorflow-text, which is the same code in TensorFlow's graphs: ids
and texts are equal.
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any


@functools.cache
def load(path: pathlib.Path) -> Any:
    """The package's processor with a model.

    Raises:
      FileNotFoundError: no such file.
      ValueError: it is no such model, or the package is missing.
    """
    try:
        import sentencepiece
    except ImportError:
        raise ValueError(
            f"{path}: reading a SentencePiece model needs a package: pip install 'shortlist[algoperf]'"
        ) from None
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    except RuntimeError as error:
        raise ValueError(f"{path}: is no SentencePiece model ({error})") from None
