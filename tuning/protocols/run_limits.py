"""Trains what says where a learned optimizer fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import submissions
import workloads as catalogue
from results.limits import PARTS, STUDIES, Cell, Limits, write_limits
from results.studies import StudySpec
from submissions.learned import is_learned_form, named
from submissions.learned import parts as parts_of
from tuning.execution.stopping import Stop
from tuning.protocols.limits import Contender, LimitsScale, cells, told, told_less, way_of
from tuning.protocols.run import Progress
from tuning.studies.plan import plan
from tuning.studies.tune import tune


def run_limits(
    contenders: Sequence[Contender],
    scale: LimitsScale,
    out: Path,
    *,
    parts: Sequence[str] = tuple(PARTS),
    trained_on: int | None = None,
    target: float | None = None,
    seed: int = 0,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
    who: Mapping[str, Any] | None = None,
) -> Limits:
    """Trains all contenders on all cells, or what is missing of them.

    Args:
      contenders: NAME@FILE of a learned optimizer, which it is about, first.
      scale: how large.
      out: folder; gets `limits.json` and `studies/`.
      parts: of `results.limits.PARTS`.
      trained_on: the longest training by which the learned optimizer's weights were made, to tell it that as well.
      target: loss of the part on batch sizes; None: one that all reach.
      seed: of all studies.
      data_dir: where real data sets lie; embedded ones and stand-ins otherwise.
      progress: called as (what, trials done, trials in all).
      stop: set, from any thread, to end once what has begun has ended.
      who: trains: executor, workers and what else `tune` takes of them.

    Returns:
      What was asked for, as it is written down.

    Raises:
      ValueError: the first contender is not a learned one, two have one name, or the folder holds other trainings.
      KeyboardInterrupt: stopped before all was done.
    """
    first, names = contenders[0], [one.name for one in contenders]
    if not is_learned_form(first.optimizer):
        raise ValueError(
            f"{first.optimizer}: is no learned optimizer with weights, which is what this is about"
        )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} is named twice; name every contender once")
    ladder = scale.ladder if "larger" in parts else ()
    sizes = [catalogue.parameter_count(catalogue.load(name, data_dir)) for name in ladder]
    ways = ("more_steps", "reset") if "longer" in parts and _keeps_horizon(first.optimizer) else ()
    made = cells(scale, contenders, parts, sizes, ways)
    asked = Limits(
        {one.name: submissions.portable_name(submissions.recorded_name(one.optimizer)) for one in contenders},
        {one.name: len(one.points) for one in contenders},
        scale.steps,
        tuple(made),
        trained_on,
        target,
        {one.name: digest for one in contenders if (digest := _digest(one.optimizer))},
    )
    write_limits(out, asked)
    specs = [_spec(study, of, contenders, scale, trained_on, seed) for study, of in _by_study(made).items()]
    total = sum(spec.repeats * sum(map(len, (spec.points or {}).values())) for spec in specs)
    counted: dict[tuple[str, str], int] = {}
    # Lengths of one workload are trained by one program, contender after contender.
    populations: dict[tuple[object, ...], Any] = {}
    for spec in specs:

        def tell(workload: str, done: int, of: int, study: str = spec.name) -> None:
            counted[study, workload] = done
            if progress:
                progress("trials", sum(counted.values()), total)

        tune(
            out / STUDIES / spec.name, spec, data_dir=data_dir, progress=tell, populations=populations, stop=stop,
            **(who or {}),
        )  # fmt: skip
        if stop is not None and stop.is_set():
            raise KeyboardInterrupt
    return asked


def _by_study(made: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells of each study; studies of one contender and part after each other."""
    found: dict[str, list[Cell]] = {}
    for cell in sorted(made, key=lambda cell: (list(PARTS).index(cell.part), cell.study)):
        found.setdefault(cell.study, []).append(cell)
    return found


def _spec(
    study: str,
    of: Sequence[Cell],
    contenders: Sequence[Contender],
    scale: LimitsScale,
    trained_on: int | None,
    seed: int,
) -> StudySpec:
    cell = of[0]
    one = next(one for one in contenders if one.name == cell.contender)
    points, optimizer, way = one.points, one.optimizer, way_of(cell)
    if cell.part == "longer" and one is contenders[0]:
        points = told(scale, trained_on) if way is None else told_less(scale, way)
        learned, file, switches = parts_of(optimizer)
        optimizer = optimizer if way is None else named(learned, file, {**switches, "continuation": way})
    per_evaluation = scale.steps // scale.evaluations  # the same of all lengths, so that they share programs
    return plan(
        name=study, workloads=tuple(cell.workload for cell in of), strategy="list", points=points,
        list_name=one.name, optimizer=optimizer, title=f"{one.name}, {PARTS[cell.part]}", seed=seed,
        repeats=scale.repeats, steps=cell.steps, eval_period=per_evaluation, eval_batches=scale.eval_batches,
        eval_at_start=True,
    )  # fmt: skip


def _keeps_horizon(optimizer: str) -> bool:
    from submissions.learned.continuation import keeps_horizon

    return keeps_horizon(submissions.optimizer(optimizer).rule)


def _digest(optimizer: str) -> str | None:
    found = submissions.optimizer(optimizer)
    return found.sha256 if isinstance(found, submissions.LearnedOptimizer) else None
