"""Submissions that are ready to be written: the optimizers of ours that others know, and three lists.

    >>> BUILT_IN["lion"].optimizer
    'lion_optax'

The lists are in `built_in_points/`, each with its source; everything else searches the optimizer's own space. No folder
carries a score.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import shutil
from pathlib import Path
from typing import Any

from submissions.package import package
from submissions.package._rendering import check_free
from workloads.spelling import did_you_mean


@dataclasses.dataclass(frozen=True)
class BuiltIn:
    """A submission of this project.

    Attributes:
      title: for the leaderboard.
      optimizer: a name in `submissions.OPTIMIZERS`.
      description: one sentence for the leaderboard.
      points: a file of `built_in_points/` without its suffix; None: the optimizer's own search space.
    """

    title: str
    optimizer: str
    description: str
    points: str | None = None

    def arguments(self) -> dict[str, Any]:
        """What `package` is called with."""
        common = {"name": self.title, "optimizer": self.optimizer, "description": self.description}
        if self.points is None:
            return common
        file = importlib.resources.files("submissions.package").joinpath(
            "built_in_points", f"{self.points}.json"
        )
        stored = json.loads(file.read_text(encoding="utf-8"))
        return common | {"points": stored["points"], "provenance": stored["source"]}


BUILT_IN = {
    "nadamw_medapati2025": BuiltIn(
        "NAdamW, list of Medapati et al.",
        "nadamw_optax",
        "NAdamW with warm-up and cosine decay, and the five hyperparameter points of Medapati et al. 2025.",
        points="medapati2025",
    ),
    "nadamw_metz2020": BuiltIn(
        "NAdamW, list of Metz et al.",
        "nadamw_metz_code",
        "NAdamW as in TaskSet's program, with the first five entries of the list of Metz et al. 2020.",
        points="metz2020",
    ),
    "nadamw_taskset_sweep": BuiltIn(
        "NAdamW, list from 62 small tasks",
        "nadamw_metz_code",
        "NAdamW as in TaskSet's program, with five points learnt on 62 small TaskSet tasks.",
        points="taskset_sweep",
    ),
    "adamw": BuiltIn("AdamW", "adamw_optax", "AdamW with warm-up and cosine decay, searched."),
    "sgd_momentum": BuiltIn(
        "SGD with momentum",
        "sgd_optax",
        "SGD with heavy-ball or Nesterov's momentum, with warm-up and cosine decay, searched.",
    ),
    "adafactor": BuiltIn(
        "Adafactor", "adafactor_optax", "Adafactor with warm-up and cosine decay, searched."
    ),
    "lion": BuiltIn("Lion", "lion_optax", "Lion with warm-up and cosine decay, searched."),
    "muon": BuiltIn(
        "Muon",
        "muon_optax",
        "Muon for matrices and kernels, NAdamW for everything else, with warm-up and cosine decay, searched.",
    ),
    "shampoo": BuiltIn(
        "Shampoo, grafted",
        "shampoo_grafted",
        "Shampoo with Adam's step length and with matrix roots by Newton's iteration, searched.",
    ),
    "schedule_free_adamw": BuiltIn(
        "Schedule-Free AdamW",
        "schedule_free_adamw_optax",
        "Schedule-Free AdamW with warm-up, evaluated at the mean of its iterates, searched.",
    ),
}


def write(name: str, out: Path | str, /, *, authors: str = "Shortlist", **about: Any) -> Path:
    """Writes a built-in submission.

    Args:
      name: a key of `BUILT_IN`.
      out: as for `package`.
      authors: whoever submits it.
      about: more of `package`'s arguments, such as affiliations; they replace the table's.

    Returns:
      The folder.

    Raises:
      ValueError: no such submission, or as `package`.
      FileExistsError: as `package`.
    """
    if name not in BUILT_IN:
        raise ValueError(
            f"no built-in submission {name!r}{did_you_mean(name, BUILT_IN)} (there are: {', '.join(BUILT_IN)})"
        )
    return package(out, authors=authors, **(BUILT_IN[name].arguments() | about))


def write_all(out: Path | str, *, authors: str = "Shortlist", **about: Any) -> list[Path]:
    """Writes every built-in submission into a folder of its own name.

    Args:
      out: parent of the folders.
      authors, about: as for `write`.

    Returns:
      The folders, in the order of the table.

    Raises:
      FileExistsError: one of the folders exists and is not empty. Nothing is written then.
    """
    folders = {name: Path(out) / name for name in BUILT_IN}
    for folder in folders.values():
        check_free(folder)
    written: list[Path] = []
    try:
        for name, folder in folders.items():
            written.append(write(name, folder, authors=authors, **about))
    except BaseException:
        for folder in written:  # asking again works then
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return written
