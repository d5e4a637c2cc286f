"""The table of learned optimizers. A new one is a file beside this with its rows, and a line here.

Names are known before anything is imported, and a file is imported when one of its rows is asked for: a command line
that lists the names waits for no NumPy.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from submissions.learned._declaration import Learned

_FILES = {  # file -> names of its rows
    "velo": ("velo",),
    "celo": ("celo",),
    "celo_adam": ("celo_adam",),
    "controlled_adam": ("controlled_adam",),
    "hierarchical": ("hierarchical",),
    "mlp_lopt": ("mlp_lopt",),
    "adafac_mlp_lopt": ("adafac_mlp_lopt",),
    "star": ("star",),
    "nn_adam": ("nn_adam",),
    "learnable_adam": ("learnable_sgd", "learnable_sgdm", "learnable_adam"),
}


class _Rows(Mapping[str, Learned]):
    """Name -> row."""

    def __init__(self, files: Mapping[str, tuple[str, ...]]) -> None:
        self._file = {name: file for file, names in files.items() for name in names}

    def __getitem__(self, name: str) -> Learned:
        file = importlib.import_module(f"submissions.learned.{self._file[name]}")
        return {row.name: row for row in file.ROWS}[name]

    def __contains__(self, name: object) -> bool:
        return name in self._file

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)


LEARNED = _Rows(_FILES)
