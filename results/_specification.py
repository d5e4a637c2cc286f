"""What a study is asked for: everything that determines its numbers, and how its trials form cohorts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from submissions.points import Point
from workloads.arithmetic import Arithmetic

FORMAT = 3
ROLES = ("candidates", "baseline", "leave-one-out")
DRAWS = ("independent", "quasi-random", "chosen")
MOST_REPEATS = 100_000  # which are counted one by one
SEEDINGS = ("hashed", "algoperf", "targets")


@dataclasses.dataclass(frozen=True)
class Cohort:
    """Trials of one workload that are trained together and written as one file.

    Attributes:
      number: names the file.
      repeat: of all its trials.
      points: one per trial.
      size: trials of the largest cohort beside it; smaller ones are filled up, so that one program serves all.
    """

    number: int
    repeat: int
    points: tuple[Point, ...]
    size: int


@dataclasses.dataclass(frozen=True)
class Programs:
    """How the trials of a cohort are spread over programs, which decides the order of sums.

    Attributes:
      width: at most so many trials in one program.
      side_by_side: programs that share the trials at a time.
    """

    width: int
    side_by_side: int


@dataclasses.dataclass(frozen=True)
class StudySpec:
    """Everything that determines a study's numbers. The same specification gives the same numbers.

    Attributes:
      name: short name; the `submission` of AlgoPerf's vocabulary.
      title: how reports call it.
      role: what a report compares it as, one of `ROLES`.
      optimizer: a name of `submissions.OPTIMIZERS`.
      strategy: name and arguments of the strategy that gives the points.
      points: workload -> points, materialised once; None where a sequential strategy asks as it goes.
      workloads: names, in the order they are trained.
      repeats: independent trainings of every point.
      seed: of the whole study.
      seeding: how trials come by their random keys, one of `SEEDINGS`. "hashed": from (seed, workload, point, repeat).
        "algoperf": as `shortlist run` derives them, the n-th point having those of its trial n: initial parameters and
        batches are then the same in both engines, dropout is not. It takes batches of their own and one repeat.
        "targets": of the trainings that set a target, which are no study.
      cohort_size: at most so many trials form one cohort; None: as many as serve each workload best on the machine that
        begins the study. Either way programs hold what `tuning/engine/widths.json` says, as fits into memory.
      cohort_sizes: workload -> the size that was chosen so; `tune` fills it in, as a cohort must stay what it was.
      programs: workload -> how its cohorts are spread over programs; `tune` fills it in, so that whoever goes on with
        the study, on whatever machine, sums in the same order.
      shared_batches: the trials of a cohort see the same examples at every step.
      steps: steps of every trial and end of its schedule; None means the workload's step hint.
      eval_period: steps between evaluations; None means the workload's own, scaled as the steps are.
      eval_batches: evaluate on so many fresh minibatches of each split, see `tuning.engine.population.Evaluation`; None
        means on whole splits.
      eval_at_start: evaluate before the first step too.
      draws: how the points were come by, one of `DRAWS`: what a report may suppose of them; None in older studies.
      data: workload -> provenance of its data; `tune` fills it in, so that a study never mixes data sets.
      blocks: workload -> points of a cohort, for good: a study that grows keeps the cohorts that it has, and adds some
        of the same size. `tune` fills it in; None in studies from before they grew, whose cohorts are as equal as they
        can be, and where a strategy asks as it goes.
      grown: workload -> what was asked for before each time that it grew, as (points, repeats).
      sealed: every cohort says what it belongs to and has a checksum, so that one without is refused; False in older
        studies.
      precision, micro_batches: how a step is computed, see `workloads.arithmetic.Arithmetic`.
      devices_per_trial: devices that share the batches of a trial, see `tuning.engine.population.Population`.
      format: version of this layout.
    """

    name: str
    title: str
    role: str
    optimizer: str
    strategy: Mapping[str, Any]
    points: Mapping[str, tuple[Point, ...]] | None
    workloads: tuple[str, ...]
    repeats: int = 1
    seed: int = 0
    seeding: str = "hashed"
    cohort_size: int | None = None
    shared_batches: bool = True
    steps: int | None = None
    eval_period: int | None = None
    eval_batches: int | None = None
    eval_at_start: bool = False
    draws: str | None = None
    data: Mapping[str, str] | None = None
    cohort_sizes: Mapping[str, int] | None = None
    programs: Mapping[str, Programs] | None = None
    blocks: Mapping[str, int] | None = None
    grown: Mapping[str, tuple[tuple[int, int], ...]] | None = None
    sealed: bool = False
    precision: str = "float32"
    micro_batches: int = 1
    devices_per_trial: int = 1
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"study {self.name!r}: unknown role {self.role!r}; allowed: {', '.join(ROLES)}")
        if self.draws is not None and self.draws not in DRAWS:
            raise ValueError(
                f"study {self.name!r}: unknown draws {self.draws!r}; allowed: {', '.join(DRAWS)}"
            )
        if self.seeding not in SEEDINGS:
            raise ValueError(
                f"study {self.name!r}: unknown seeding {self.seeding!r}; allowed: {', '.join(SEEDINGS)}"
            )
        if self.seeding == "algoperf":
            self._check_algoperf()
        try:
            Arithmetic(self.precision, self.micro_batches)
        except ValueError as error:
            raise ValueError(f"study {self.name!r}: {error}") from None
        if not self.name.strip():
            raise ValueError("the study has no name; reports would have none to call it by")
        if not self.workloads:
            raise ValueError(f"study {self.name!r}: no workloads; name at least one")
        if twice := sorted({name for name in self.workloads if self.workloads.count(name) > 1}):
            raise ValueError(
                f"study {self.name!r}: {', '.join(twice)} is named twice; name every workload once"
            )
        if not self.optimizer:
            raise ValueError(f"study {self.name!r}: the optimizer has no name; leave it out for the default")
        if self.repeats < 1:
            raise ValueError(f"study {self.name!r}: repeats is {self.repeats}, must be at least 1")
        if self.repeats > MOST_REPEATS:
            raise ValueError(
                f"study {self.name!r}: repeats is {self.repeats}, must be at most {MOST_REPEATS}"
            )
        if self.devices_per_trial < 1:
            raise ValueError(
                f"study {self.name!r}: devices_per_trial is {self.devices_per_trial}, must be at least 1"
            )
        for field in ("cohort_size", "steps", "eval_period", "eval_batches"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f"study {self.name!r}: {field} is {value}, must be at least 1 or None")
        for field in ("cohort_sizes", "blocks"):
            for workload, value in (getattr(self, field) or {}).items():
                if value < 1:
                    raise ValueError(
                        f"study {self.name!r}: {field} of {workload} is {value}, must be at least 1"
                    )
        for workload, programs in (self.programs or {}).items():
            if programs.width < 1 or programs.side_by_side < 1:
                raise ValueError(
                    f"study {self.name!r}: programs of {workload} are {programs.width} wide and "
                    f"{programs.side_by_side} side by side, must be at least 1"
                )
        for workload, points in (self.points or {}).items():
            ids = [point.id for point in points]
            if len(set(ids)) < len(ids):
                twice = next(name for name in ids if ids.count(name) > 1)
                raise ValueError(f"study {self.name!r}: {workload} has two points with the id {twice!r}")
        if self.points is not None and set(self.points) != set(self.workloads):
            raise ValueError(
                f"study {self.name!r}: points are given for {sorted(self.points)}, "
                f"workloads are {sorted(self.workloads)}"
            )

        for workload, stages in (self.grown or {}).items():
            now = len((self.points or {}).get(workload, ()))
            for points, repeats in stages:
                if not (0 <= points <= now and 1 <= repeats <= self.repeats):
                    raise ValueError(
                        f"study {self.name!r}: grown says that {workload} had {points} points of {repeats} repeats, "
                        f"now it has {now} of {self.repeats}; a study never shrinks"
                    )

    def _check_algoperf(self) -> None:
        what = f"study {self.name!r}: seeding 'algoperf'"
        if self.shared_batches:
            raise ValueError(f"{what} gives every trial batches of its own; add --own-batches")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"{what} takes seeds in 0..{2**32 - 1}, not {self.seed}")
        if self.repeats != 1:
            raise ValueError(f"{what} has no repeats; make another study, with another seed")

    def cohort_size_of(self, workload: str) -> int:
        """At most so many trials of a workload form one cohort.

        Raises:
          ValueError: nobody has chosen yet.
        """
        if self.cohort_size is not None:
            return self.cohort_size
        if self.cohort_sizes is None:
            raise ValueError(f"study {self.name!r}: cohort_size is None; tune chooses one per workload")
        return self.cohort_sizes[workload]

    def cohorts(self, points: Sequence[Point], workload: str, first: int = 0) -> tuple[Cohort, ...]:
        """The study's work on points of one workload, numbered from `first`.

        A fixed partition, whatever is already done: resuming then trains the very same cohorts again, and what a study
        grows by comes after what it has. Trials of one repeat share an order of examples, so cohorts never mix repeats.
        """
        sizes = self._sizes(len(points), workload)
        parts = [
            (repeat, tuple(points[begin : min(begin + sizes.block, end)]))
            for repeat, first_point, end in self._stages(len(points), workload)
            for begin in range(first_point, end, sizes.block)
        ]
        return tuple(
            Cohort(first + i, repeat, chunk, sizes.filled(len(chunk)))
            for i, (repeat, chunk) in enumerate(parts)
        )

    def _sizes(self, points: int, workload: str) -> _Sizes:
        if self.blocks is None or workload not in self.blocks:
            block = balanced(points, self.cohort_size_of(workload))
            return _Sizes(block, block)
        block = self.blocks[workload]
        if self.programs is None:
            return _Sizes(block, block)
        # As `tuning.engine` spreads a whole cohort: programs of so many trials, so many turns of them side by side.
        at_a_time = self.programs[workload].side_by_side
        turns = -(-block // (self.programs[workload].width * at_a_time))
        return _Sizes(block, at_a_time * -(-block // (turns * at_a_time)))

    def _stages(self, points: int, workload: str) -> Iterator[tuple[int, int, int]]:
        """(repeat, first point, end) of everything that was asked for, in the order in which it was."""
        had_points, had_repeats = 0, 0
        for count, repeats in (*(self.grown or {}).get(workload, ()), (points, self.repeats)):
            for repeat in range(repeats):
                yield repeat, had_points if repeat < had_repeats else 0, count
            had_points, had_repeats = count, repeats


@dataclasses.dataclass(frozen=True)
class _Sizes:
    """Of cohorts: at most `block` trials, filled up to a multiple of `unit`, so that programs are of one width."""

    block: int
    unit: int

    def filled(self, trials: int) -> int:
        return min(self.block, -(-trials // self.unit) * self.unit)


def balanced(points: int, most: int) -> int:
    """Points of the largest cohort where these are as equal as they can be, and none has more than `most`."""
    count = -(-points // most)
    return -(-points // count) if count else 1
