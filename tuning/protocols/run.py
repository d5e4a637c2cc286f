"""Goes through the stages of a protocol at a scale."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from results.studies import StudySpec
from submissions import environment
from submissions.points import Point
from tuning import strategies
from tuning.execution.stopping import Stop
from tuning.protocols._protocol import (
    Choose,
    Own,
    Protocol,
    Publish,
    Report,
    Rerun,
    RerunExact,
    Scale,
    Stage,
    Tune,
    Whole,
)
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
      choose: (folder of the candidates' study, points in a list, construction) -> for every workload the ids of the
        points of the list that was chosen without it.
      whole: (folder of the candidates' study, points in a list) -> ids of the list that was chosen on all workloads.
      publish: (folder of the candidates' study, folder of the lists' that were trained anew, points in a list, file)
        writes the list of all workloads.
      report: (folder of all that was trained, folder of the report) -> what a person opens.
    """

    published: Callable[[str], Published]
    choose: Callable[[Path, int, str], Mapping[str, Sequence[str]]]
    whole: Callable[[Path, int], Sequence[str]]
    publish: Callable[[Path, Path, int, Path], None]
    report: Callable[[Path, Path], Path]


def stages_of(
    protocol: Protocol,
    scale: Scale,
    own: Own | None = None,
    also: Collection[str] = (),
    without: Collection[str] = (),
) -> tuple[Stage, ...]:
    """The stages that are gone through: without optional ones that nobody asked for, those that the scale leaves out,
    those that make no sense for a user's own optimizer, and those that a person leaves out.

    Raises:
      ValueError: no optional study of that name, or none that may be left out.
    """
    optional = [stage.study for stage in protocol.stages if isinstance(stage, Tune) and stage.optional]
    for name in also:
        if name not in optional:
            hint = did_you_mean(name, optional)
            raise ValueError(f"no optional study {name!r}{hint} (there is: {', '.join(optional) or 'none'})")
    baselines = baselines_of(protocol)
    for name in without:
        if name not in baselines:
            hint = did_you_mean(name, baselines)
            raise ValueError(
                f"no baseline {name!r} to leave out{hint} (there is: {', '.join(baselines) or 'none'})"
            )

    def wanted(stage: Stage) -> bool:
        match stage:
            case Tune(study=study) if study in without:
                return False
            case Tune():
                asked = not stage.optional or stage.study in (*also, *scale.also)
                drawn = stage.points != "draws" or scale.draws > 0
                return asked and drawn and (own is None or stage.elsewhere is not None)
            case Whole():
                return scale.whole and (stage.on != "variants" or bool(scale.variants))
            case RerunExact():
                return scale.exact > 0 and own is None
        return True

    return tuple(stage for stage in protocol.stages if wanted(stage))


def baselines_of(protocol: Protocol) -> tuple[str, ...]:
    """The studies that no later stage needs."""
    needed = {stage.candidates for stage in protocol.stages if not isinstance(stage, Tune | Report)}
    return tuple(s.study for s in protocol.stages if isinstance(s, Tune) and s.study not in needed)


def trials_of(stages: Sequence[Stage], scale: Scale) -> int:
    """How many trials the stages train; without those of exact lists, which depend on what comes before."""
    return sum(
        points * repeats * len(workloads) for points, repeats, workloads in (_size(s, scale) for s in stages)
    )


def run(
    protocol: Protocol,
    scale: Scale,
    out: Path,
    rooms: Rooms,
    *,
    own: Own | None = None,
    seed: int = 0,
    also: Collection[str] = (),
    without: Collection[str] = (),
    data_dir: Path | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
    who: Mapping[str, Any] | None = None,
) -> Path:
    """Runs all stages of a protocol, or what is missing of them.

    Args:
      protocol: what to do.
      scale: how large, one of the protocol's or another.
      out: folder; gets `studies/`, `final/` (of the list that has seen all workloads, which it is not fair to compare
        with the studies), `list.json` and `report/`. What is there is not trained again; the rest is renewed.
      rooms: how lists are read and chosen, and the report written.
      own: another optimizer, or another space, than the protocol's.
      seed: of all studies; fresh ones are made from it.
      also: names of optional studies to train.
      without: names of baselines to leave out.
      data_dir: where real data sets lie; embedded ones otherwise.
      progress: called as (what is trained, trials done, trials of the whole protocol).
      stop: set, from any thread, to end once what has begun has ended.
      who: trains: executor, workers and what else `tune` takes of them.

    Returns:
      What the report stage wrote; the folder where the protocol has none.

    Raises:
      ValueError: no optional study, or no baseline, of that name; or as `plan` and `tune`.
      KeyboardInterrupt: stopped before all was done.
    """
    written = out
    stages = stages_of(protocol, scale, own, also, without)
    populations: dict = {}
    specs: dict[str, StudySpec] = {}
    chosen: dict[str, dict[str, list[Point]]] = {}  # study of candidates -> workload -> list
    count = _Count(progress, trials_of(stages, scale))
    # What cannot be planned is told before hours are spent on what can.
    planned = {
        stage.study: _planned(stage, scale, own, seed, rooms) for stage in stages if isinstance(stage, Tune)
    }
    for name, spec in planned.items():
        if spec.points is None and not (out / "studies" / name).exists():
            strategies.from_spec(spec.strategy).check_installed()

    device = ((who or {}).get("options") or {}).get("device") or environment.device_kind()

    def train(spec: StudySpec, folder: Path = out / "studies") -> None:
        told = functools.partial(count, spec.name)
        if device != "cpu":  # it trains many at a time; how many, the table of widths knows
            spec = replace(spec, cohort_size=None)
        tune(
            folder / spec.name, spec, data_dir=data_dir, progress=told, populations=populations, stop=stop,
            **(who or {}),
        )  # fmt: skip
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt
        specs[spec.name] = spec

    for stage in stages:
        match stage:
            case Tune():
                train(planned[stage.study])
            case Choose(candidates):
                ids = rooms.choose(out / "studies" / candidates, scale.size, "greedy")
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
            case RerunExact():
                search, trained = specs[stage.candidates], specs[stage.beside].points or {}
                ids = rooms.choose(out / "studies" / search.name, min(scale.exact, scale.size), "exact")
                others = {
                    workload: _points(search, workload, of_workload)
                    for workload, of_workload in ids.items()
                    if not set(of_workload) <= {point.id for point in trained[workload]}
                }
                if others:
                    count.more(scale.repeats * sum(map(len, others.values())))
                    lists = plan_leave_one_out(
                        name=stage.study, points=others, candidates=search.name, optimizer=search.optimizer,
                        repeats=scale.repeats, seed=seed + stage.fresh, cohort_size=scale.size,
                        title="exact leave-one-out list", role="baseline",
                    )  # fmt: skip
                    train(lists)
            case Whole():
                search = specs[stage.candidates]
                ids = rooms.whole(out / "studies" / stage.candidates, scale.size)
                what = f"built from {search.name} on all workloads"
                train(
                    plan(
                        name=stage.study,
                        workloads=_size(stage, scale).workloads,
                        strategy="list",
                        points=_points(search, scale.workloads[0], ids),
                        list_name=what,
                        optimizer=search.optimizer,
                        repeats=scale.repeats,
                        seed=seed + stage.fresh,
                        cohort_size=scale.size,
                        title=f"list {what}",
                    ),
                    out / "final",
                )
            case Publish():
                studies = out / "studies"
                rooms.publish(
                    studies / stage.candidates, studies / stage.proof, scale.size, out / "list.json"
                )
            case Report():
                written = rooms.report(out, out / "report")
    return written


class _Count:
    """Trials done of a whole protocol, told as one line."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total = progress, total
        self._done: dict[tuple[str, str], int] = {}

    def more(self, trials: int) -> None:
        self._total += trials

    def __call__(self, study: str, workload: str, done: int, total: int) -> None:
        self._done[study, workload] = done
        if self._progress:
            self._progress("trials", min(sum(self._done.values()), self._total), self._total)


class _Size(NamedTuple):
    points: int
    repeats: int
    workloads: tuple[str, ...]


def _size(stage: Stage, scale: Scale) -> _Size:
    """How much a stage trains."""
    match stage:
        case Tune():
            points = {
                "candidates": scale.candidates, "draws": scale.draws, "size": scale.size, "twice": 2 * scale.size
            }[stage.points]  # fmt: skip
            return _Size(points, scale.repeats if stage.points == "size" else 1, scale.workloads)
        case Rerun():
            return _Size(scale.size, scale.repeats, scale.workloads)
        case Whole():
            on = scale.variants if stage.on == "variants" else scale.workloads
            return _Size(scale.size, scale.repeats, on)
    return _Size(0, 0, ())


def _planned(stage: Tune, scale: Scale, own: Own | None, seed: int, rooms: Rooms) -> StudySpec:
    options: dict[str, Any] = dict(stage.options)
    strategy, optimizer = stage.strategy, None
    if stage.published is not None:
        points, optimizer = rooms.published(stage.published)
        options |= {"points": points, "list_name": stage.published}
    if own is not None:
        assert stage.elsewhere is not None  # `stages_of` has left the others out
        strategy, optimizer = stage.elsewhere, own.optimizer
        options |= {} if own.space is None else {"space": own.space}
    size = _size(stage, scale)
    spec = plan(
        name=stage.study,
        workloads=size.workloads,
        strategy=strategy,
        budget=size.points,
        repeats=size.repeats,
        optimizer=optimizer,
        seed=seed,
        # One size of cohorts for all studies, so that on a CPU one program per workload and rule serves them all.
        cohort_size=scale.size,
        **options,
    )
    # More than the others have, which nobody shall overlook.
    return replace(spec, title=f"{spec.title}, {size.points} trials") if stage.points == "twice" else spec


def _points(search: StudySpec, workload: str, ids: Sequence[str]) -> list[Point]:
    assert search.points is not None  # candidates do not wait for results
    by_id = {point.id: point for point in search.points[workload]}
    return [by_id[name] for name in ids]
