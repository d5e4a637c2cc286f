"""Goes through the stages of a protocol at a scale."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from results.studies import StudySpec
from submissions.points import Point
from tuning import strategies
from tuning.execution.stopping import Stop
from tuning.protocols._protocol import Choose, Protocol, Report, Rerun, Scale, Tune
from tuning.studies.plan import plan, plan_leave_one_out
from tuning.studies.tune import tune
from workloads.spelling import did_you_mean

Progress = Callable[[str, int, int], None]


class Published(NamedTuple):
    """A published list: its points in order, and the optimizer that they are for, None where it does not say."""

    points: Sequence[Point]
    optimizer: str | None


class Rooms(NamedTuple):
    """What later rooms do in a protocol; they import this one, so it is handed in.

    Attributes:
      published: the list of a name.
      choose: (folder of the candidates' study, points in a list) -> for every workload the ids of the points of the
        list that was chosen without it.
      report: (folder of the studies, folder of the report) -> what a person opens.
    """

    published: Callable[[str], Published]
    choose: Callable[[Path, int], Mapping[str, Sequence[str]]]
    report: Callable[[Path, Path], Path]


def run(
    protocol: Protocol,
    scale: Scale,
    out: Path,
    rooms: Rooms,
    *,
    seed: int = 0,
    also: Collection[str] = (),
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Path:
    """Runs all stages of a protocol, or what is missing of them.

    Args:
      protocol: what to do.
      scale: how large, one of the protocol's or another.
      out: folder; gets `studies/` and `report/`. What is there is not trained again; the report is renewed.
      rooms: how lists are read and chosen, and the report written.
      seed: of all studies; fresh ones are made from it.
      also: names of optional studies to train.
      progress: called as (what, done, total).
      stop: set, from any thread, to end once what has begun has ended.

    Returns:
      What the report stage wrote; the folder of the studies where the protocol has none.

    Raises:
      ValueError: no optional study of that name; or as `plan` and `tune`.
      KeyboardInterrupt: stopped before all was done.
    """
    optional = [stage.study for stage in protocol.stages if isinstance(stage, Tune) and stage.optional]
    for name in also:
        if name not in optional:
            hint = did_you_mean(name, optional)
            raise ValueError(f"no optional study {name!r}{hint} (there is: {', '.join(optional) or 'none'})")
    folder = written = out / "studies"
    populations: dict = {}
    specs: dict[str, StudySpec] = {}
    chosen: dict[str, dict[str, list[Point]]] = {}  # study of candidates -> workload -> list

    def train(spec: StudySpec) -> None:
        def of_study(what: str, done: int, total: int) -> None:
            if progress:
                progress(f"{spec.name}: {what}", done, total)

        tune(folder / spec.name, spec, progress=of_study, populations=populations, stop=stop)
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt
        specs[spec.name] = spec

    for stage in protocol.stages:
        match stage:
            case Tune():
                if not stage.optional or stage.study in also:
                    train(_planned(stage, scale, seed, rooms))
            case Choose(candidates):
                ids = rooms.choose(folder / candidates, scale.size)
                chosen[candidates] = {
                    workload: _points(specs[candidates], workload, ids[workload]) for workload in ids
                }
            case Rerun():
                search = specs[stage.candidates]
                lists = plan_leave_one_out(
                    name=stage.study, points=chosen[search.name], candidates=search.name,
                    optimizer=search.optimizer, repeats=scale.repeats, seed=seed + stage.fresh, cohort_size=scale.size,
                )  # fmt: skip
                train(lists)
            case Report():
                written = rooms.report(folder, out / "report")
    return written


def _planned(stage: Tune, scale: Scale, seed: int, rooms: Rooms) -> StudySpec:
    options: dict[str, Any] = dict(stage.options)
    optimizer = None
    if stage.published is not None:
        points, optimizer = rooms.published(stage.published)
        options |= {"points": points, "list_name": stage.published}
    searched = strategies.row(stage.strategy).role == "candidates"
    return plan(
        name=stage.study,
        workloads=scale.workloads,
        strategy=stage.strategy,
        budget=scale.candidates if searched else scale.size,
        repeats=1 if searched else scale.repeats,
        optimizer=optimizer,
        seed=seed,
        # One size of cohorts for all studies, so that one program per workload and update rule serves them all.
        cohort_size=scale.size,
        **options,
    )


def _points(search: StudySpec, workload: str, ids: Sequence[str]) -> list[Point]:
    assert search.points is not None  # candidates do not wait for results
    by_id = {point.id: point for point in search.points[workload]}
    return [by_id[name] for name in ids]
