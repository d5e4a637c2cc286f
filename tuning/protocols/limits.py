"""Where a learned optimizer fails, as its papers say: trained for longer than it was made for, on larger models, on
other batch sizes, on estimated gradients. What is trained is data; `run_limits` trains it.

Reference: Metz et al. 2022, arXiv:2211.09760, on the limits of VeLO.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from results.limits import PARTS, THEN, TOLD, Cell
from submissions.learned import UNTUNED
from submissions.points import Point
from workloads.spelling import did_you_mean

ES_DEVIATION = 0.01


@dataclasses.dataclass(frozen=True)
class LimitsScale:
    """How large it is asked.

    Attributes:
      workloads: of the parts `longer` and `gradients`.
      steps: of a training.
      lengths: of `longer`, in multiples of `steps`.
      ladder: workloads of `larger`, from small to large.
      batch_workload: of `batch`.
      batch_sizes: of `batch`.
      batch_lengths: steps of the trainings of `batch`, of which the one that gets there first counts.
      pairs: of `gradients`: antithetic pairs of parameters behind each gradient.
      repeats: of every point.
      evaluations: in `steps`; longer and shorter trainings are evaluated as often.
      eval_batches: of each; None: on whole splits, which are the same whatever the size of batches.
      rates: first and last learning rate of a rule that is tuned by its rate.
      points: of a list.
    """

    workloads: tuple[str, ...]
    steps: int
    lengths: tuple[int, ...]
    ladder: tuple[str, ...]
    batch_workload: str
    batch_sizes: tuple[int, ...]
    batch_lengths: tuple[int, ...]
    pairs: tuple[int, ...]
    repeats: int
    evaluations: int
    eval_batches: int | None = None
    rates: tuple[float, float] = (1e-4, 1e-1)
    points: int = 1

    def __post_init__(self) -> None:
        if self.steps < self.evaluations:
            raise ValueError(
                f"{self.steps} steps; must be {self.evaluations} or more, for as many evaluations"
            )
        if self.steps % self.evaluations:
            raise ValueError(f"{self.steps} steps; must be a multiple of {self.evaluations}, its evaluations")


SCALES = {
    # Ten minutes of two cores.
    "mini": LimitsScale(
        workloads=("digits/conv", "clicks/mlp"),
        steps=200,
        lengths=(1, 2, 4),
        ladder=tuple(f"velo/image_mlp_seed109@hidden={width}" for width in (8, 32, 128, 512, 2048)),
        batch_workload="clicks/mlp",
        batch_sizes=(8, 16, 32, 64, 128, 256, 512, 1024),
        batch_lengths=(100, 200, 400, 800, 1600),
        pairs=(1, 4, 16),
        repeats=3,
        evaluations=20,
    ),
    # VeLO's lengths; hours of an accelerator.
    "full": LimitsScale(
        workloads=("digits/conv", "clicks/mlp", "stdlib/char_rnn", "algoperf/mnist"),
        steps=10_000,
        lengths=(1, 2, 4, 20),
        ladder=tuple(f"velo/lm_transformer_seed0@width={32 * n},heads={n}" for n in (1, 2, 4, 8, 16, 32)),
        batch_workload="algoperf/mnist",
        batch_sizes=tuple(2**power for power in range(3, 14)),
        batch_lengths=(100, 200, 500, 1000, 2000, 5000, 10_000, 20_000),
        pairs=(1, 4, 16, 64, 256),
        repeats=5,
        evaluations=100,
        rates=(1e-6, 1e-1),
        points=5,
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Contender:
    """Who is trained.

    Attributes:
      name: in tables.
      optimizer: its name.
      points: the best of which counts.
    """

    name: str
    optimizer: str
    points: tuple[Point, ...] = (Point("as trained", UNTUNED),)


def cells(
    scale: LimitsScale,
    contenders: Sequence[Contender],
    parts: Sequence[str],
    sizes: Sequence[int],
    ways: Sequence[str] = (),
) -> list[Cell]:
    """All that is to be trained.

    Args:
      scale: how large.
      contenders: the learned optimizer that it is about first.
      parts: of `PARTS`.
      sizes: parameters of the ladder's workloads.
      ways: in which the learned optimizer goes on in `longer`, beside the naive one.

    Raises:
      ValueError: no such part.
    """
    made = []
    for part in dict.fromkeys(parts):
        if part not in PARTS:
            raise ValueError(f"no part {part!r}{did_you_mean(part, PARTS)} (there is: {', '.join(PARTS)})")
        for of, workload, at, steps in _places(scale, part, sizes):
            for number, one in enumerate(contenders):
                if part == "longer" and number == 0 and steps < scale.steps * max(scale.lengths):
                    continue  # its longest trainings are told shorter ones too
                studies = [f"{part}-{number}-{steps}"]
                if part == "longer" and number == 0:
                    studies += [f"{part}-{number}-{way}-{steps}" for way in ways]
                made += [Cell(part, study, workload, of, one.name, at, steps) for study in studies]
    return made


def way_of(cell: Cell) -> str | None:
    """How the learned optimizer goes on after the steps that it was told; None: naively, or it is another cell."""
    middle = cell.study.split("-")[2:-1]
    return middle[0] if middle else None


def told_less(scale: LimitsScale, way: str) -> tuple[Point, ...]:
    """The point of the learned optimizer in `longer` that is told the least length, and goes on in a way."""
    return (Point(f"{TOLD}{scale.steps}{THEN}{way}", {"horizon_factor": 1 / max(scale.lengths)}),)


def told(scale: LimitsScale, trained_on: int | None) -> tuple[Point, ...]:
    """Points of the learned optimizer in `longer`: it is told each of the lengths, and what it was trained on."""
    longest = scale.steps * max(scale.lengths)
    steps = sorted(
        {scale.steps * length for length in scale.lengths} | ({trained_on} if trained_on else set())
    )
    return tuple(Point(f"{TOLD}{n}", {"horizon_factor": n / longest}) for n in steps)


def with_workloads(scale: LimitsScale, names: Sequence[str]) -> LimitsScale:
    """The scale with workloads of one's own, the first of which is that of the part on batch sizes too."""
    return dataclasses.replace(scale, workloads=tuple(names), batch_workload=names[0])


def resized(scale: LimitsScale, steps: int) -> LimitsScale:
    """The scale with other numbers of steps, those of the part on batch sizes in proportion."""
    lengths = dict.fromkeys(max(1, n * steps // scale.steps) for n in scale.batch_lengths)
    evaluations = next(n for n in range(min(scale.evaluations, steps), 0, -1) if steps % n == 0)
    return dataclasses.replace(scale, steps=steps, batch_lengths=tuple(lengths), evaluations=evaluations)


def _places(scale: LimitsScale, part: str, sizes: Sequence[int]) -> Iterator[tuple[str, str, int, int]]:
    """(workload, the workload as changed, place on the axis, steps)."""
    if part == "longer":
        for name in scale.workloads:
            yield from ((name, name, scale.steps * n, scale.steps * n) for n in sorted(scale.lengths))
    elif part == "larger":
        for name, parameters in zip(scale.ladder, sizes, strict=True):
            yield name, name, parameters, scale.steps
    elif part == "batch":
        name = scale.batch_workload
        for size in scale.batch_sizes:
            yield from ((name, f"{name}+batch_size={size}", size, steps) for steps in scale.batch_lengths)
    else:
        for name in scale.workloads:
            yield name, name, 0, scale.steps
            yield from (
                (name, f"{name}+es_gradient={ES_DEVIATION:g}:{pairs}", pairs, scale.steps)
                for pairs in scale.pairs
            )
