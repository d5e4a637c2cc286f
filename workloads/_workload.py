"""What a workload is: pure functions, resident data, and facts.

Everything here is importable without JAX; the functions inside a `Workload` need it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import jax

    from workloads._streamed import StreamedData

Params = Any  # a pytree of jax.Array
ModelState = Any  # a pytree of jax.Array; () where the model keeps none
Batch = Mapping[str, "jax.Array"]  # field -> [example, ...]


class Regularization(NamedTuple):
    """Strengths that are hyperparameters, hence traced: a new value never compiles anything."""

    dropout_rate: Any = 0.0  # probability of dropping a unit, in [0, 1)
    label_smoothing: Any = 0.0  # share of the label's mass spread over all classes, in [0, 1)


@dataclasses.dataclass(frozen=True)
class Metric:
    """The number a workload is judged by."""

    name: str  # a key of what `Workload.metrics` returns
    minimize: bool


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Which data a result came from. A stand-in is never shown as the real thing."""

    kind: Literal["real", "embedded", "synthetic"]
    source: str  # what it is and how it was made, in one sentence
    stands_in_for: str | None = None  # the data set it replaces, if any

    def __str__(self) -> str:
        replaced = f", in place of {self.stands_in_for}" if self.stands_in_for else ""
        return f"{self.kind}: {self.source}{replaced}"


@dataclasses.dataclass(frozen=True)
class ResidentData:
    """Splits small enough to live on the device as arrays.

    Attributes:
      splits: split name -> field name -> array [example, ...]; fields of a split agree in length.
      provenance: where the arrays come from.
      transform: (key, batch, split name) -> the batch that the model sees, such as augmented images or a random
        slice of each text. It runs once per batch, before the trials of a population part ways. None: as stored.
    """

    splits: Mapping[str, Mapping[str, np.ndarray]]
    provenance: Provenance
    transform: Callable[[jax.Array, Batch, str], Batch] | None = None

    def size(self, split: str) -> int:
        """Number of examples in a split."""
        return len(next(iter(self.splits[split].values())))


@dataclasses.dataclass(frozen=True)
class GeneratedData:
    """Batches made as they are needed, without end; every split draws from the same distribution.

    Attributes:
      draw: (key, examples) -> batch. An objective that needs no examples returns {}.
      provenance: how they are made.
      splits: names of the splits.
    """

    draw: Callable[[jax.Array, int], Batch]
    provenance: Provenance
    splits: tuple[str, ...] = ("train", "validation", "test")


Predict = Callable[[Params, ModelState, Batch, Any, bool, Any], tuple[Any, ModelState]]
Score = Callable[[Any, Batch, Any], tuple[Any, Any]]


class Functions(NamedTuple):
    """The functions of a workload, see `Workload`."""

    init: Callable[[jax.Array], tuple[Params, ModelState]]
    loss: Callable[..., tuple[jax.Array, ModelState]]
    metrics: Callable[[Params, ModelState, Batch, jax.Array], Mapping[str, jax.Array]]
    predict: Predict | None = None
    score: Score | None = None


@dataclasses.dataclass(frozen=True)
class SharedProgram:
    """What lets workloads of equal structure be trained by one compiled program.

    Attributes:
      key: workloads with equal keys promise that `bind` (and `data.transform` or `data.draw`) compute the same
        function of their arrays: whatever else differs between them stands in `constants` or in the data.
      constants: name -> array; equal shapes where keys are equal.
      bind: (constants, possibly traced) -> functions. `Workload.init` and so on are bind(constants)'s.
    """

    key: Hashable
    constants: Mapping[str, np.ndarray]
    bind: Callable[[Mapping[str, Any]], Functions]


@dataclasses.dataclass(frozen=True)
class Workload:
    """What is trained: a model, a loss, data, and when it counts as trained.

    Attributes:
      name: path-like, such as `taskset/mlp_family_seed12`.
      family: workloads of one family share a training lane, such as `mlp`, `conv`, `rnn`.
      summary: one line for people.
      init: key -> (params, model_state).
      loss: (params, model_state, batch, key, train, regularization) -> (mean loss over the batch, new model_state).
        train is a Python bool; key feeds dropout and other noise; regularization holds traced scalars.
      metrics: (params, model_state, batch, key) -> sums over the batch, each a scalar, with "examples" among them.
        Sums may be added over batches and devices; metric = sum / examples. key feeds what is random even in
        evaluation, such as the latent sample of an autoencoder.
      predict: (params, model_state, batch, key, train, dropout_rate) -> (outputs, new_model_state), the model without
        its loss; None where the loss is not a mean over predictions, as of a quadratic.
      score: (outputs, batch, label_smoothing) -> (losses, weights), arrays of equal shape, one entry per example of
        the metrics; weights None: all 1. label_smoothing None: none. loss = sum(losses * weights) / sum(weights), and
        it is `predict` and `score` that `loss` is made of.
      data: resident splits, a generator, or streams; eval_splits says which split plays which role.
      metric: name and direction.
      validation_target, test_target: values of the metric, or None where nobody set one yet.
      step_hint: steps of the full budget; schedules end here.
      eval_period: steps between evaluations.
      batch_size: training examples per step.
      loss_type: AlgoPerf's name of the loss, such as `SOFTMAX_CROSS_ENTROPY`.
      max_runtime_seconds: AlgoPerf's wall-clock budget, None where there is none.
      eval_period_seconds: AlgoPerf's time between evaluations, None where only steps count.
      eval_splits: role ("train", "validation", "test", or one of the workload's own) -> split name.
      eval_examples: at most so many leading examples of the train split are evaluated, and so many examples of
        every role if they are generated.
      shared: set where other workloads can be trained by the same compiled program.
      constraint: params -> params that satisfy it, applied after every update by optimizers that honour
        constraints; None where there is none.
    """

    name: str
    family: str
    summary: str
    init: Callable[[jax.Array], tuple[Params, ModelState]]
    loss: Callable[..., tuple[jax.Array, ModelState]]
    metrics: Callable[[Params, ModelState, Batch, jax.Array], Mapping[str, jax.Array]]
    data: ResidentData | GeneratedData | StreamedData
    metric: Metric
    validation_target: float | None
    test_target: float | None
    step_hint: int
    eval_period: int
    batch_size: int
    loss_type: str
    max_runtime_seconds: float | None = None
    eval_period_seconds: float | None = None
    eval_splits: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: {"train": "train", "validation": "validation", "test": "test"}
    )
    eval_examples: int = 512
    predict: Predict | None = None
    score: Score | None = None
    shared: SharedProgram | None = None
    constraint: Callable[[Params], Params] | None = None

    def __post_init__(self) -> None:
        missing = set(self.eval_splits.values()) - set(self.data.splits)
        if missing:
            raise ValueError(f"{self.name}: no split {sorted(missing)}; data has {sorted(self.data.splits)}")
        if isinstance(self.data, GeneratedData):
            return
        if self.batch_size > self.data.size("train"):
            raise ValueError(
                f"{self.name}: batch_size {self.batch_size} exceeds the {self.data.size('train')} training examples"
            )
