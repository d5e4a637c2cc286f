"""What Medapati et al. print, as data: their tables, read from `published.json`."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import msgspec

import lists
from reports._contenders import Contender


@dataclass(frozen=True)
class Variant:
    """A workload with one thing changed, on which a list is tried that was built on the base workloads (Table 3).

    Attributes:
      name: as in our catalogue, without folder and scale.
      title: what was changed.
      target: of the metric of the base workload.
    """

    name: str
    title: str
    target: float


@dataclass(frozen=True)
class PaperWorkload:
    """A base workload of the paper (Tables 2, 3 and 11).

    Attributes:
      name: as in our catalogue, without folder and scale; columns of tables go by it.
      title: what it trains.
      short: of it, for headers.
      loss: what is trained.
      metric: what its target is for.
      minimize: whether less of it is better.
      target: of validation.
      steps: of the whole budget.
      evaluations: in it; inferred from the step fractions, see `period`.
      variant: the one of Table 3.
    """

    name: str
    title: str
    short: str
    loss: str
    metric: str
    minimize: bool
    target: float
    steps: int
    evaluations: int
    variant: Variant

    @property
    def period(self) -> int:
        """Steps between evaluations."""
        return self.steps // self.evaluations


@dataclass(frozen=True)
class Row:
    """A row of a table: workload -> value; None where a target was not reached."""

    name: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class PrintedTable:
    """A printed table, and which one it is."""

    source: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Reach:
    """Points that reach a workload's target and those of at least so many others (a row of Table 4)."""

    others: int
    values: Mapping[str, int]


@dataclass(frozen=True)
class ReachTable:
    """Table 4, of so many candidate points."""

    source: str
    points: int
    rows: tuple[Reach, ...]


@dataclass(frozen=True)
class PublishedList:
    """The list of Table 10: its name in `lists.PUBLISHED`."""

    source: str
    published: str


@dataclass(frozen=True)
class AtPenalty:
    """Left-out workloads trained by lists that were built with a penalty."""

    penalty: float
    trained: int


@dataclass(frozen=True)
class Penalties:
    """Table 12, of lists of so many points."""

    source: str
    size: int
    trained: tuple[AtPenalty, ...]


@dataclass(frozen=True)
class Constructions:
    """Table 13: method -> left-out workloads trained by lists of so many points."""

    source: str
    size: int
    trained: Mapping[str, int]


@dataclass(frozen=True)
class BudgetClaim:
    """What Figure 1 is said to show: the random search that lists of so many points equal, on most workloads.

    Attributes:
      least_trials: of random search, that are matched on most workloads.
      equal_only: where the list equals a random search of its own budget.
    """

    source: str
    size: int
    confidence: float
    least_trials: int
    equal_only: tuple[str, ...]


@dataclass(frozen=True)
class SizeClaim:
    """What Figure 2 is said to show: from how many points on every left-out workload is trained."""

    source: str
    all_trained_from: int


@dataclass(frozen=True)
class Cell:
    """Of a row of the tables of fractions and of best metrics, on a workload."""

    row: str
    workload: str


@dataclass(frozen=True)
class PublishedNumbers:
    """All of it.

    Attributes:
      source: the paper.
      note: how to read the file.
      workloads: the eight base workloads, in the paper's order.
      sources: fact of a workload -> the table that prints it.
      reach: Table 4.
      fractions: Tables 5, 7, 9 and 14: shares of the step budget.
      metrics: Tables 6 and 8: best validation metrics.
      list: Table 10.
      penalties: Table 12.
      constructions: Table 13.
      equal_budget: Figure 1.
      list_sizes: Figure 2.
      contradictions: cells in which a step fraction is printed although the printed metric misses the printed target.
      not_known: figures of which nobody wrote down what they show.
    """

    format: int
    source: str
    note: str
    workloads: tuple[PaperWorkload, ...]
    sources: Mapping[str, str]
    reach: ReachTable
    fractions: tuple[PrintedTable, ...]
    metrics: tuple[PrintedTable, ...]
    list: PublishedList
    penalties: Penalties
    constructions: Constructions
    equal_budget: BudgetClaim
    list_sizes: SizeClaim
    contradictions: tuple[Cell, ...]
    not_known: tuple[str, ...]

    def __post_init__(self) -> None:
        for table in (*self.fractions, *self.metrics):
            for row in table.rows:
                if set(row.values) != set(self.names):
                    raise ValueError(
                        f"{table.source}, row {row.name}: must have a value for {', '.join(self.names)}"
                    )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the base workloads, in the paper's order."""
        return tuple(workload.name for workload in self.workloads)

    def row(self, name: str) -> Contender | None:
        """What a row of the tables of fractions and of best metrics says, as reports compare contenders; None where the
        paper has no such row. On variants too, columns go by the base workloads.

        Example:
          >>> row = published_numbers().row("leave-one-out")
          >>> row.trained(row.fractions), row.fractions["wmt"], row.best["wmt"]
          (7, inf, 30.417497)
        """
        fractions, best = _row(self.fractions, name), _row(self.metrics, name)
        if fractions is None and best is None:
            return None
        found = {w: math.inf if value is None else value for w, value in (fractions or {}).items()}
        return Contender(name, found, {w: value for w, value in (best or {}).items() if value is not None})

    def printed(self, name: str) -> Contender:
        """As `row`, of one that the paper has.

        Raises:
          KeyError: it has not.
        """
        if (row := self.row(name)) is None:
            raise KeyError(name)
        return row

    def short(self, name: str) -> str:
        """The short title of a base workload.

        Example:
          >>> published_numbers().short("imagenet_resnet")
          'ResNet'
        """
        return next(workload.short for workload in self.workloads if workload.name == name)

    @property
    def points(self) -> lists.HyperparameterList:
        """The list of Table 10."""
        return lists.published(self.list.published)


def _row(tables: tuple[PrintedTable, ...], name: str) -> Mapping[str, float | None] | None:
    return next((row.values for table in tables for row in table.rows if row.name == name), None)


@functools.cache
def published_numbers() -> PublishedNumbers:
    """The numbers that Medapati et al. 2025, arXiv:2503.03986, print.

    Example:
      >>> numbers = published_numbers()
      >>> numbers.workloads[-1].name, numbers.workloads[-1].target
      ('wmt', 30.8491)
    """
    file = resources.files("reports.medapati").joinpath("published.json")
    return msgspec.json.decode(file.read_bytes(), type=PublishedNumbers)
