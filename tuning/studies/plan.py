"""From what a person asks for to a study's specification: points drawn once and written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import submissions
from results.studies import StudySpec
from submissions import learned
from submissions.points import Point
from tuning import strategies
from tuning.studies._training_protocols import training_protocol
from workloads import own_files, recorded_name


def plan(
    *,
    name: str,
    workloads: Sequence[str],
    strategy: str | None = None,
    budget: int | None = None,
    optimizer: str | None = None,
    protocol: str | None = None,
    repeats: int | None = None,
    seed: int = 0,
    seeding: str = "hashed",
    cohort_size: int | None = None,
    shared_batches: bool = True,
    steps: int | None = None,
    eval_period: int | None = None,
    eval_batches: int | None = None,
    eval_at_start: bool | None = None,
    title: str | None = None,
    precision: str = "float32",
    micro_batches: int = 1,
    devices_per_trial: int = 1,
    **options: Any,
) -> StudySpec:
    """The specification of a study in which every workload gets the same strategy.

    Args:
      name: of the study.
      workloads: what to train; names as `workloads.load` takes them, FILE.py:NAME among them.
      strategy: a name of `strategies.STRATEGIES`; None: that which needs the options given, or the default.
      budget: number of points, or full trainings' worth of steps where a strategy stops trials; by default the
        strategy's own: all of a list, 5 of a sweep or of trainings, 20 otherwise; 1 of a learned optimizer, which is
        then as it was trained.
      optimizer: a name of `submissions.OPTIMIZERS`, FILE.py:FUNCTION, or NAME@FILE of a learned one; by default the
        warm start's or strategy's own.
      protocol: a name of `TRAINING_PROTOCOLS`, which gives repeats, steps and evaluation; each that is given replaces
        its own.
      repeats, seed, seeding, cohort_size, shared_batches, steps, eval_period, eval_batches, eval_at_start: see
        `StudySpec`.
      title: how reports call it; the strategy's own by default.
      precision, micro_batches, devices_per_trial: see `StudySpec`.
      options: what the strategy's row takes, such as space, weight_decay, grid, points; None is as not given.

    Raises:
      ValueError: an unknown strategy or protocol, an option that this strategy does not take, or needs, or a warm start
        from another optimizer, horizon or precision.

    Example:
      >>> spec = plan(name="sweep", workloads=["digits/conv"], strategy="lr-sweep", weight_decay=0.5)
      >>> spec.title, spec.role, len(spec.points["digits/conv"])
      ('learning-rate sweep, weight decay 0.5', 'baseline', 5)
    """
    names = tuple(map(recorded_name, workloads))
    for workload in names:
        if names.count(workload) > 1:
            raise ValueError(f"{workload} is named twice; name every workload once")
    if optimizer == "":
        raise ValueError("the optimizer has no name; leave it out for the default")
    if seeding == "targets":
        raise ValueError("seeding 'targets' is that of set-targets; allowed: hashed, algoperf")
    agreed = training_protocol(
        protocol,
        repeats=repeats,
        steps=steps,
        eval_period=eval_period,
        eval_batches=eval_batches,
        eval_at_start=eval_at_start,
    )
    given = {key: value for key, value in options.items() if value is not None}
    if strategy is None and budget in (None, 1) and not given and learned.is_learned_form(optimizer or ""):
        given = {"points": (Point("0", learned.UNTUNED),), "list_name": "as trained"}
    strategy = strategy or strategies.meant_by(given)
    row = strategies.row(strategy)
    if cohort_size is not None and issubclass(row.make, strategies.StepBudget):
        given["cohort"], cohort_size = cohort_size, None  # it decides who competes with whom
    strategies.check_options(strategy, given)
    defaults = row.make.defaults(given)
    start = given.get("warm_start")
    if (
        optimizer is None
        and start is not None
        and start.origin
        and start.origin.optimizer in submissions.OPTIMIZERS
    ):
        optimizer = start.origin.optimizer
    optimizer = submissions.recorded_name(optimizer or defaults.optimizer)
    made = strategies.planned(
        strategy,
        strategies.Asked(name, defaults.budget if budget is None else budget, optimizer, seed, given),
    )
    if row.asks == "sequential" and seeding == "algoperf":
        raise ValueError(
            f"seeding 'algoperf' numbers trials by their points, which strategy {strategy!r} does not know from the "
            "start; choose another strategy"
        )
    if row.asks == "sequential" and isinstance(made, strategies.StepBudget) and agreed.repeats > 1:
        raise ValueError(
            f"strategy {strategy!r} decides who stops as it goes, so its points have no {agreed.repeats} equal "
            "repeats; make studies of other seeds instead"
        )
    if start is not None and start.origin:
        file = getattr(submissions.optimizer(optimizer), "file", None)
        source = None if file is None else own_files.sha256(file.read_bytes())
        of_workloads = {name: one for name, one in start.origin.horizons.items() if name in names}
        origin = dataclasses.replace(start.origin, horizons=of_workloads)
        origin.check(submissions.portable_name(optimizer), source, (precision, micro_batches), agreed.steps)
    points = None if row.asks == "sequential" else dict.fromkeys(names, made.ask(()))
    return StudySpec(
        name=name,
        title=title or made.title,
        role=row.role,
        optimizer=submissions.portable_name(optimizer),
        strategy=_record(made),
        draws=made.draws,
        points=points,
        workloads=names,
        seed=seed,
        seeding=seeding,
        cohort_size=cohort_size,
        cohort_sizes=dict.fromkeys(names, made.cohort) if isinstance(made, strategies.StepBudget) else None,
        shared_batches=shared_batches,
        precision=precision,
        micro_batches=micro_batches,
        devices_per_trial=devices_per_trial,
        **dataclasses.asdict(agreed),
    )


def plan_leave_one_out(
    *,
    name: str,
    points: Mapping[str, Sequence[Point]],
    candidates: str,
    optimizer: str,
    repeats: int,
    seed: int,
    cohort_size: int | None = None,
    steps: int | None = None,
    title: str = "leave-one-out list",
    role: str = "leave-one-out",
) -> StudySpec:
    """The specification of a study that reruns, on each workload, the list built without that workload.

    Args:
      name, title: of the study.
      points: workload -> the list built without it.
      candidates: name of the study that the lists were built from.
      optimizer: that study's.
      repeats: trainings of every point, for medians.
      seed: must differ from that study's, so that nothing that chose a list also judges it.
      cohort_size, steps: that study's.
      role: "baseline" for lists that are held against those which a report is on.
    """
    called = f"built from {candidates} without the workload it is tried on"
    of_one = strategies.Listed(tuple(next(iter(points.values()))), called)
    return StudySpec(
        name=name,
        title=title,
        role=role,
        optimizer=optimizer,
        strategy=_record(of_one),
        draws=of_one.draws,
        points={workload: tuple(chosen) for workload, chosen in points.items()},
        workloads=tuple(points),
        repeats=repeats,
        seed=seed,
        cohort_size=cohort_size,
        steps=steps,
    )


def _record(strategy: strategies.Strategy) -> dict[str, Any]:
    """Name and arguments, without points, which stand beside it in the specification."""
    return {key: value for key, value in strategies.to_spec(strategy).items() if key != "points"}
