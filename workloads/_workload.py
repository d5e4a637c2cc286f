"""What a workload is: pure functions, a source of examples, a measure, and facts.

Everything here is importable without JAX; the functions inside a `Workload` need it.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from workloads._measure import ForeignMeasure, Measure
from workloads._source import Batch, Source
from workloads.spelling import did_you_mean

if TYPE_CHECKING:
    import jax
    import numpy as np

# AlgoPerf's, which submissions are told.
LOSS_TYPES = (
    "SOFTMAX_CROSS_ENTROPY", "SIGMOID_CROSS_ENTROPY", "MEAN_SQUARED_ERROR", "MEAN_ABSOLUTE_ERROR", "CTC_LOSS",
)  # fmt: skip

Params = Any  # a pytree of jax.Array
ModelState = Any  # a pytree of jax.Array; () where the model keeps none


class Regularization(NamedTuple):
    """Strengths that are hyperparameters, hence traced: a new value never compiles anything."""

    dropout_rate: Any = 0.0  # probability of dropping a unit, in [0, 1)
    label_smoothing: Any = 0.0  # share of the label's mass spread over all classes, in [0, 1)


@dataclasses.dataclass(frozen=True)
class Metric:
    """The number a workload is judged by."""

    name: str  # a key of what `Workload.metrics` returns
    minimize: bool


Apply = Callable[[Params, ModelState, Batch, Any, bool, Any], tuple[Any, ModelState]]
Losses = Callable[[Any, Batch, Any], tuple[Any, Any]]


class ModelFn(Protocol):
    """A model with AlgoPerf's switches, for models that tell more apart than training and evaluation.

    Args:
      params, model_state, batch, key: see `Workload.apply`.
      train: AlgoPerf's mode is TRAIN. A Python bool, as the next two.
      update_batch_norm: statistics of batch normalisation are updated.
      use_running_average_bn: running statistics normalise; None: the model's own rule, from the other two.
      dropout_rate: may be traced.

    Returns:
      (outputs, new model_state).
    """

    def __call__(
        self,
        params: Params,
        model_state: ModelState,
        batch: Batch,
        key: Any,
        train: bool,
        update_batch_norm: bool,
        use_running_average_bn: bool | None,
        dropout_rate: Any,
    ) -> tuple[Any, ModelState]: ...


class Functions(NamedTuple):
    """The functions of a workload, see `Workload`."""

    init: Callable[[jax.Array], tuple[Params, ModelState]]
    loss: Callable[..., tuple[jax.Array, ModelState]]
    metrics: Callable[[Params, ModelState, Batch, jax.Array], Mapping[str, jax.Array]]
    apply: Apply | None = None
    losses: Losses | None = None


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
      cost_class: workloads that one width of a population serves best, such as `mlp`, `conv`, `rnn`. Any other
        counts as a class of its own, with the width of those that nobody measured.
      summary: one line for people.
      init: key -> (params, model_state).
      loss: (params, model_state, batch, key, train, regularization) -> (mean loss over the batch, new model_state).
        train is a Python bool; key feeds dropout and other noise; regularization holds traced scalars.
      metrics: (params, model_state, batch, key) -> sums over the batch, each a scalar, with "examples" among them.
        Sums may be added over batches and devices; metric = sum / examples. key feeds what is random even in
        evaluation, such as the latent sample of an autoencoder.
      apply: (params, model_state, batch, key, train, dropout_rate) -> (outputs, new_model_state), the model without
        its loss; None where the loss is not a mean over predictions, as of a quadratic.
      losses: (outputs, batch, label_smoothing) -> (losses, weights), arrays of equal shape, one entry per example of
        the metrics; weights None: all 1. label_smoothing None: none. loss = sum(losses * weights) / sum(weights), and
        it is `apply` and `losses` that `loss` is made of.
      data: where examples come from; eval_splits says which split plays which role.
      metric: name and direction.
      validation_target, test_target: values of the metric, or None where nobody set one yet.
      step_hint: steps of the full budget; schedules end here.
      eval_period: steps between evaluations.
      batch_size: training examples per step.
      loss_type: AlgoPerf's name of the loss, or of the nearest that it has; one of `LOSS_TYPES`.
      max_runtime_seconds: AlgoPerf's wall-clock budget, None where there is none.
      eval_period_seconds: AlgoPerf's time between evaluations, None where only steps count.
      eval_splits: role ("train", "validation", "test", or one of the workload's own) -> split name.
      eval_examples: at most so many leading examples of the train split are evaluated, and so many examples of
        every role if they are generated.
      shared: set where other workloads can be trained by the same compiled program.
      measure: how a split is judged, where that is no sum over examples of `metrics`; None: it is.
      constraint: params -> params that satisfy it, applied after every update by optimizers that honour
        constraints; None where there is none.
      model_fn: the model with AlgoPerf's switches of batch normalisation; None: what submissions see follows from
        `apply`. Where it is set, apply(..., train, ...) = model_fn(..., train, train, None, ...).
      dropout_rate: of submissions that pass none, as AlgoPerf's workloads have it.
      output_layer: name under which the output layer's parameters stand; None: found by the names.
    """

    name: str
    cost_class: str
    summary: str
    init: Callable[[jax.Array], tuple[Params, ModelState]]
    loss: Callable[..., tuple[jax.Array, ModelState]]
    metrics: Callable[[Params, ModelState, Batch, jax.Array], Mapping[str, jax.Array]]
    data: Source
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
    apply: Apply | None = None
    losses: Losses | None = None
    shared: SharedProgram | None = None
    constraint: Callable[[Params], Params] | None = None
    measure: Measure | ForeignMeasure | None = None
    model_fn: ModelFn | None = None
    dropout_rate: float = 0.0
    output_layer: str | None = None

    def __post_init__(self) -> None:
        for name in ("step_hint", "eval_period", "batch_size"):
            value = getattr(self, name)
            if not (isinstance(value, numbers.Integral) and int(value) > 0):
                raise ValueError(f"{self.name}: {name} is {value!r}; must be a whole number above 0")
        for name in ("validation_target", "test_target"):
            value = getattr(self, name)
            if not (value is None or (isinstance(value, numbers.Real) and math.isfinite(float(value)))):
                raise ValueError(
                    f"{self.name}: {name} is {value!r}; must be a number, or None where nobody set one"
                )
        if self.loss_type not in LOSS_TYPES:
            raise ValueError(
                f"{self.name}: loss_type is {self.loss_type!r}{did_you_mean(self.loss_type, LOSS_TYPES)}; must be the "
                f"nearest of AlgoPerf's: {', '.join(LOSS_TYPES)}"
            )
        if not isinstance(self.metric, Metric):
            raise ValueError(f"{self.name}: metric is {self.metric!r}; must be a workloads.Metric")
        missing = set(self.eval_splits.values()) - set(self.data.splits)
        if missing:
            raise ValueError(f"{self.name}: no split {sorted(missing)}; data has {sorted(self.data.splits)}")
        split = self.eval_splits["train"]
        size = self.data.size(split)
        if size is not None and self.batch_size > size:
            raise ValueError(
                f"{self.name}: batch_size {self.batch_size} exceeds the {size} examples of split {split!r}"
            )
