"""The protocol of Metz et al.: a list from many small tasks, judged on others, then tried on workloads unlike them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from submissions.points import Point
from tuning.protocols._protocol import Report

SWEEP_RULE = "nadamw_metz_code"  # what nadamw_grid is for


@dataclasses.dataclass(frozen=True)
class TaskScale:
    """How large a protocol over tasks is run.

    Attributes:
      tasks: names of TaskSet's, such as taskset/mlp_family_seed12; None is every task of the catalogue that is not
        rejected.
      grids: TaskSet's grid -> how many of its first points are trained on every task; lists come from the first grid.
      log10_rates: learning rates of Adam that are trained on every task, as logarithms.
      steps, eval_period, eval_batches, repeats: of every training on a task; it is evaluated at the start too.
      size: points in the list that is made and compared.
      resamplings: random halves of the tasks behind every median.
      workloads: where the list is tried afterwards.
      transfer_log10_rates: learning rates of Adam that are trained there, as logarithms; the lists get as many trials.
      transfer_repeats: trainings of every point there, for medians.
    """

    tasks: tuple[str, ...] | None
    grids: Mapping[str, int]
    log10_rates: tuple[float, ...]
    steps: int
    eval_period: int
    eval_batches: int
    repeats: int
    size: int
    resamplings: int
    workloads: tuple[str, ...]
    transfer_log10_rates: tuple[float, ...]
    transfer_repeats: int

    def __post_init__(self) -> None:
        if self.tasks is not None and len(self.tasks) < 2:
            raise ValueError(
                f"{len(self.tasks)} task; lists are judged on other tasks, which takes at least 2"
            )
        if not self.grids:
            raise ValueError("no grid; lists are chosen from the points of one")
        for field in (
            "steps",
            "eval_period",
            "eval_batches",
            "repeats",
            "size",
            "resamplings",
            "transfer_repeats",
        ):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}; must be at least 1")
        grid, points = next(iter(self.grids.items()))
        if points < max(self.size, len(self.transfer_log10_rates)):
            raise ValueError(
                f"size is {max(self.size, len(self.transfer_log10_rates))} but there are only {points} points of {grid}"
            )


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Trains the points of the scale's grids on all tasks, each grid in a study of its name."""


@dataclasses.dataclass(frozen=True)
class Learn:
    """Learns the list from all tasks, by the paper's cost, and writes it as a file.

    Attributes:
      name: of the list.
    """

    name: str


@dataclasses.dataclass(frozen=True)
class Rates:
    """Trains Adam at fixed learning rates.

    It is trained as a special case of the list's rule, which is the same arithmetic (no warm-up, no decay of any kind,
    beta1 .9, beta2 .999, epsilon 1e-8), so that the programs that are compiled for lists serve it too.

    Attributes:
      study: its name.
      on: "tasks" or "workloads".
    """

    study: str
    on: str


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Trains the first points of a list on the workloads, as many as Adam has learning rates there.

    Attributes:
      study: its name.
      learnt: name of the list of an earlier stage; or
      published: name of a published list.
    """

    study: str
    learnt: str | None = None
    published: str | None = None

    def __post_init__(self) -> None:
        if (self.learnt is None) == (self.published is None):
            raise ValueError(
                f"study {self.study!r}: give the name of a learnt or of a published list, one of them"
            )


TaskStage = Sweep | Learn | Rates | Transfer | Report


@dataclasses.dataclass(frozen=True)
class TaskProtocol:
    """How lists are learnt on tasks, judged on others, and carried to workloads of another kind.

    Attributes:
      stages: in order.
      scales: name -> how large it can be run, the smallest first.
      reference: whose protocol it is.
    """

    stages: tuple[TaskStage, ...]
    scales: Mapping[str, TaskScale]
    reference: str


def adam_at(log10_rates: tuple[float, ...]) -> tuple[Point, ...]:
    """Adam at fixed learning rates as points of the list's rule, under TaskSet's names.

    Example:
      >>> adam_at((-3.0,))[0].id, adam_at((-3.0,))[0].hyperparameters["learning_rate"]
      ('adam_lr_-3.00', 0.001)
    """
    fixed = {
        "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "use_nesterov": 0.0, "adamw_weight_decay": 0.0,
        "l2_weight_decay": 0.0, "warmup_fraction": 0.0, "min_learning_rate_mult": 1.0, "constant_fraction": 1.0,
    }  # fmt: skip
    return tuple(
        Point(f"adam_lr_{log10:.2f}", {"learning_rate": 10.0**log10, **fixed}) for log10 in log10_rates
    )


def _halves(low: float, high: float) -> tuple[float, ...]:
    """Half orders of magnitude from 10^low to 10^high."""
    return tuple(low + half / 2 for half in range(round(2 * (high - low)) + 1))


# Of the seeds 0 to 29 of every family (0 to 99 of language models and variational autoencoders) that are not rejected,
# those with the fewest operations per step, as `shortlist workloads --family NAME --max-flops 1e30` counts them: from
# one word model, whose cheapest costs as much as ten others, to all but a few of the families without a network.
_MINI_SEEDS: Mapping[str, tuple[int, ...]] = {
    "mlp_family": (10, 12, 9, 3, 27, 8, 25, 29, 15, 2, 17, 13, 18, 5),
    "mlp_ae_family": (22, 17, 26, 12, 2, 28),
    "mlp_vae_family": (55, 97, 10),
    "conv_fc_family": (11, 29, 14),
    "conv_pooling_family": (17, 11, 15),
    "char_rnn_language_model_family": (69, 21, 11),
    "word_rnn_language_model_family": (63,),
    "rnn_text_classification_family": (5, 16, 26, 9, 7, 14),
    "maf_family": (16, 4),
    "nvp_family": (5, 28, 27, 29, 1),
    "quadratic_family": (
        10, 18, 19, 6, 3, 5, 16, 4, 7, 27, 12, 14, 13, 8, 1, 9, 11, 22, 23, 2, 28, 0, 25, 17, 20,
        26, 24, 15, 21,
    ),
    "losg_tasks_family": (
        2, 3, 4, 5, 6, 7, 14, 15, 17, 19, 20, 23, 25, 27, 28, 12, 9, 16, 18, 0, 24, 10, 22, 26, 11,
        21, 13, 29, 8,
    ),
}  # fmt: skip

MINI = tuple(f"taskset/{family}_seed{seed}" for family, seeds in _MINI_SEEDS.items() for seed in seeds)

ALGOPERF = (
    "criteo1tb", "fastmri", "imagenet_resnet", "imagenet_vit", "librispeech_conformer", "librispeech_deepspeech",
    "ogbg", "wmt",
)  # fmt: skip

METZ = TaskProtocol(
    reference="Metz et al. 2020, arXiv:2002.11887, sections 3 to 6",
    stages=(
        Sweep(),
        Rates("adam-rates", on="tasks"),
        Learn("metz2020"),
        Transfer("learnt", learnt="metz2020"),
        Transfer("published", published="metz2020/appendix_f"),
        Rates("adam", on="workloads"),
        Report(),
    ),
    scales={
        # 40 minutes of one core, estimated from a task or two of every family.
        "mini": TaskScale(
            tasks=MINI or ("taskset/quadratic_family_seed10", "taskset/quadratic_family_seed18"),
            grids={"nadamw_grid": 192, "adam8p_wide_grid": 160},
            log10_rates=_halves(-6.5, 1.0),
            steps=40,
            eval_period=8,
            eval_batches=1,
            repeats=1,
            size=10,
            resamplings=50,
            workloads=tuple(f"algoperf/{name}@mini" for name in ALGOPERF),
            transfer_log10_rates=_halves(-4.0, -2.0),
            transfer_repeats=1,
        ),
        # The paper's own sweep.
        "full": TaskScale(
            tasks=None,
            grids=dict.fromkeys(
                (
                    "nadamw_grid",
                    "adam8p_wide_grid",
                    "adam6p_wide_grid",
                    "adam4p_wide_grid",
                    "adam1p_wide_grid",
                ),
                1000,
            ),
            log10_rates=_halves(-7.0, 1.0),
            steps=10_000,
            eval_period=200,
            eval_batches=50,
            repeats=5,
            size=10,
            resamplings=50,
            workloads=tuple(f"algoperf/{name}" for name in ALGOPERF),
            # Section 6.1: half orders of magnitude from 1e-6 to 3e-2.
            transfer_log10_rates=_halves(-6.0, -1.5),
            transfer_repeats=5,
        ),
    },
)
