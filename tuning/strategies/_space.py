"""The option that says what is searched: a file, else the optimizer's own space, else Medapati et al.'s."""

from __future__ import annotations

from pathlib import Path

import submissions
from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace, read_space
from tuning.strategies._strategy import Asked, Option

SPACE = Option("space", Path, "FILE", "tuning_search_space.json; default: the optimizer's own space.")


def given_space(asked: Asked) -> SearchSpace | None:
    """The space of the file that was given, None without one.

    Raises:
      ValueError: the file holds points, or nothing that is a space.
    """
    if (path := asked.options.get("space")) is None:
        return None
    read = read_space(path)
    if not isinstance(read, SearchSpace):
        raise ValueError(
            f"{path}: a list of {len(read)} points, not a space; use --strategy list --list {path}"
        )
    return read


def space_to_search(asked: Asked) -> SearchSpace:
    """What to draw from.

    Raises:
      ValueError: as `given_space`; or none is given, and the optimizer has nothing to search.
    """
    if (given := given_space(asked)) is not None:
        return given
    optimizer = submissions.optimizer(asked.optimizer)
    if not optimizer.hyperparameters:
        raise ValueError(
            f"optimizer {optimizer.name!r} has no hyperparameters to search; use --strategy taskset-grid "
            f"--grid {optimizer.name}"
        )
    of_its_own = optimizer.search_space
    return MEDAPATI_TABLE_1 if of_its_own is None else SearchSpace.from_json(of_its_own)
