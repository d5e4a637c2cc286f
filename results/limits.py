"""Where optimizers fail: which trainings answer that, as the file `limits.json` beside their studies.

    limits.json    what was asked for
    studies/       a study for every part, contender and number of steps

Every cell is a workload that a contender was trained on for so many steps, all of them in one of the studies. Nothing
here needs JAX.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from workloads.data import reading
from workloads.data.files import write_atomically

FORMAT = 1
FILE = "limits.json"
STUDIES = "studies"
TOLD = "told "  # before the number of steps that a learned optimizer was told, in the names of points
THEN = ", then "  # and before how it goes on after them, where it does not simply go on
PARTS = {
    "longer": "trained for longer",
    "larger": "larger models",
    "batch": "batch size",
    "gradients": "estimated gradients",
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """Trainings that stand in one place of a table.

    Attributes:
      part: of `PARTS`.
      study: its name.
      workload: with what was changed of it.
      of: the workload that was changed.
      contender: whose trainings they are.
      at: where on the axis: steps, parameters, examples in a batch, pairs of an estimated gradient (0: the true one).
      steps: of the training.
    """

    part: str
    study: str
    workload: str
    of: str
    contender: str
    at: int
    steps: int


@dataclasses.dataclass(frozen=True)
class Limits:
    """What was asked for.

    Attributes:
      contenders: name -> optimizer, the learned one first.
      points: contender -> how many points it has, of which the best counts.
      steps: that the parts are about; longer ones are multiples.
      cells: in the order of tables.
      trained_on: the longest training that the learned optimizer's weights were made by, where that is known.
      target: loss of the part on batch sizes; None: one that all reach.
      sha256: contender -> of its file, of those that have one.
    """

    contenders: dict[str, str]
    points: dict[str, int]
    steps: int
    cells: tuple[Cell, ...]
    trained_on: int | None = None
    target: float | None = None
    sha256: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def learned(self) -> str:
        """The contender that it is about."""
        return next(iter(self.contenders))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"format": FORMAT, **msgspec.to_builtins(self)}


def write_limits(folder: Path, limits: Limits) -> None:
    """Writes what was asked for.

    Raises:
      ValueError: the folder holds something else that was asked for; parts may be added, and nothing else changed.
    """
    path = folder / FILE
    if path.exists():
        there = read_limits(folder)
        kept = tuple(cell for cell in there.cells if cell.part not in {c.part for c in limits.cells})
        again = {cell for cell in there.cells if cell not in kept}
        if again - set(limits.cells) or _rest(there) != _rest(limits):
            raise ValueError(
                f"{path}: other contenders, workloads or sizes were asked for; choose another folder"
            )
        order = list(PARTS)
        cells = sorted((*kept, *limits.cells), key=lambda cell: order.index(cell.part))
        limits = dataclasses.replace(limits, cells=tuple(cells))
    write_atomically(path, msgspec.json.format(msgspec.json.encode(limits.to_json()), indent=1) + b"\n")


def read_limits(folder: Path) -> Limits:
    """What was asked for in a folder of `shortlist limits`.

    Raises:
      FileNotFoundError, ValueError: there is none, or it is damaged.
    """
    path = Path(folder) / FILE
    read = reading.read_json(path, "no such file; 'shortlist limits' makes one")
    if not isinstance(read, dict) or read.pop("format", None) != FORMAT:
        raise ValueError(f"{path}: is not of format {FORMAT}; made by another version, or no such file")
    try:
        return msgspec.convert(read, Limits)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: {error}") from None


def _rest(limits: Limits) -> Limits:
    return dataclasses.replace(limits, cells=(), target=None)
