"""Vizier's default algorithm, a Gaussian-process bandit, asked for one trial at a time.

It runs in a process of its own, or in that of a service for several workers (`vizier_service`), because it needs JAX in
float64 and training does not. Nothing here imports JAX or Vizier. The first suggestion is the centre of the space. What
the others cost: docs/strategies.md.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuning.strategies._process import LibraryProcess
from tuning.strategies._space import SPACE
from tuning.strategies._strategy import Option, Row, check_whole
from tuning.strategies._suggesting import Suggesting
from tuning.strategies._warm_start import WARM_START
from workloads.data.caches import cache_folder

PARALLEL = Option(
    "parallel",
    int,
    "N",
    "points of a workload outstanding at once, in all processes together; more than 1 needs --service. Default: 1.",
    least=1,
)


def variables(folder: Path) -> Mapping[str, str]:
    """Environment variables of a process that runs Vizier's model.

    Args:
      folder: where it keeps what it compiles, if it can keep it nowhere else.
    """
    # It computes what JAX compiles, which takes longer than to run it: so compiled programs are kept, where the
    # user's other caches are.
    place = cache_folder()
    kept = folder if place is None else place / "vizier"
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError:  # no place to write in
        kept = folder
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(kept),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "NPROC": "1",  # threads of XLA: the other cores belong to training
    }
    own = {name: os.environ.get(name, value) for name, value in cache.items()}
    return {**own, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}  # accelerators belong to training


PROCESS = LibraryProcess(
    "Vizier",
    "tuning.strategies._vizier_worker",
    ("vizier", "chex", "flax", "equinox", "jaxopt", "tensorflow_probability", "typeguard"),
    "pip install 'shortlist[vizier]'",
    variables,
)


@dataclasses.dataclass(frozen=True)
class Vizier(Suggesting):
    """Google's Vizier, its local designer; see `Suggesting`.

    Attributes:
      parallel: points of a workload outstanding at once. With one, its points are a function of the other arguments and
        of what it was told; with several, which a service alone gives, the order in which they end decides.

    Reference: the baseline of Medapati et al. 2025, arXiv:2503.03986, section 3.1.1, which used Google's internal
    service.
    """

    called = "Vizier"
    process = PROCESS

    parallel: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, parallel=1)

    @property
    def title(self) -> str:
        return super().title + (f", {self.parallel} at a time" if self.parallel > 1 else "")

    def settings(self) -> dict[str, Any]:
        return {}


ROW = Row(
    Vizier,
    asks="sequential",
    role="baseline",
    takes=(SPACE, WARM_START, PARALLEL),
    reference="arXiv:2503.03986, section 3.1.1, with google-vizier",
)
