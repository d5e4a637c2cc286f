"""Lists by name or file, as the commands take them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from submissions.points import Point
from submissions.spaces import SearchSpace, read_space
from workloads.data import reading

if TYPE_CHECKING:
    import lists
    from tuning.strategies import WarmStart


@dataclasses.dataclass(frozen=True)
class GivenList:
    """The points of `--list`.

    Attributes:
      name: of the list.
      points: in order.
      update_rule: the rule they are for; None where the file does not say.
      source: where they come from, in a sentence.
      adds: how many of the first ones lower the list's cost; None where it is not known.
    """

    name: str
    points: tuple[Point, ...]
    update_rule: str | None
    source: str
    adds: int | None = None


def read_points(name_or_file: str) -> GivenList:
    """A published list by name, one of our list files, or AlgoPerf's tuning_search_space.json in list form.

    Raises:
      ValueError, FileNotFoundError: neither a published name nor a file of these forms.
    """
    import lists

    path = Path(name_or_file)
    if name_or_file in lists.PUBLISHED or not (path.suffix == ".json" or path.exists()):
        return _from(lists.published(name_or_file))
    if isinstance(reading.read_json(path, "no such list file; shortlist build-list SOURCE writes one"), list):
        points = read_space(path)
        assert not isinstance(points, SearchSpace)
        return GivenList(path.stem, points, None, f"the list of points in {path.name}")
    return _from(lists.read_list(path))


def read_warm_start(given: str) -> WarmStart:
    """The trials of an older study, if that is a folder, else the points of a list.

    Raises:
      ValueError, FileNotFoundError: as `read_points`, or a study without finished trials.
    """
    from tuning.strategies import Origin, WarmStart

    if Path(given).is_dir():
        from tuning.studies.warm_start import of_study

        return of_study(Path(given))
    read = read_points(given)
    origin = Origin(f"list {read.name}", read.update_rule)
    return WarmStart(first=tuple(point.hyperparameters for point in read.points), origin=origin)


def _from(read: lists.HyperparameterList) -> GivenList:
    return GivenList(read.name, read.points, read.update_rule, read.source, read.adding)
