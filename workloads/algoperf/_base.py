"""What a base workload of AlgoPerf's declares: its model with options, its variants and its scales as rows of tables.

The file of a base workload (`criteo1tb.py`, `fastmri.py`, ...) has one `BASE` of this kind; `_build.py` makes
`Workload`s of it. Facts: AlgoPerf v0.6 and v1.0, whose JAX models are the same.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax

from workloads._measure import Measure
from workloads._source import Batch, Source
from workloads._workload import Losses, ModelFn, ModelState, Params


class Model(NamedTuple):
    """A model with its options set.

    Attributes:
      init: key -> (params, model_state): nested dictionaries named as AlgoPerf's, without a leading "params";
        model_state is () where the model keeps none, else what AlgoPerf has below "batch_stats".
      model_fn: see `workloads.ModelFn`.
    """

    init: Callable[[jax.Array], tuple[Params, ModelState]]
    model_fn: ModelFn


# (outputs in evaluation, batch) -> sums over the batch's examples, with "examples" among them.
Sums = Callable[[Any, Batch], Mapping[str, jax.Array]]


class Reader(Protocol):
    """(options, data_dir) -> the data set's own files, in the layout that AlgoPerf's dataset_setup makes."""

    def __call__(self, options: Any, data_dir: pathlib.Path) -> Source: ...


@dataclasses.dataclass(frozen=True)
class Scale:
    """A row of the scales: the same modules, narrower and shallower, on other data.

    Attributes:
      data: options -> source. The package that ships the data may be absent: a generator of equal shapes stands in.
      options: what differs from full scale.
      batch_size, step_hint, eval_period: in examples, and steps.
      eval_examples: see `Workload`.
      variants: variant -> options that it has at this scale instead of its own, such as other widths.
    """

    data: Callable[[Any], Source]
    options: Mapping[str, Any]
    batch_size: int
    step_hint: int
    eval_period: int
    eval_examples: int = 512
    variants: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Base:
    """A base workload, from which its variants and scales differ by rows.

    Attributes:
      name: AlgoPerf's.
      summary: the model in a line.
      data_set: name of the data set.
      cost_class: see `Workload`.
      loss_type: AlgoPerf's name of the loss.
      options: a frozen dataclass; the defaults are the base workload at full scale.
      model: options -> model.
      losses: see `Workload.losses`. Of the weights, those of the batch (`batch.get("weights")`) are among them.
      stand_in: options -> generated data of the full scale's shapes, for who has not the data set.
      batch_size: of AlgoPerf's baseline submission.
      sums: for measures that are sums over examples; None: of the losses alone.
      measure: (options, model, source) -> measure, where it is none of these. Some need the data, such as for the words
        of tokens.
      read: the data set's own files; None where there is no reader yet.
      beside: (options, data_dir) -> options that files beside the data decide, such as the tokenizer's; None: none do.
      variants: name -> options that differ.
      batch_sizes: variant -> batch size, where it is another.
      mended: variant -> what is broken in AlgoPerf and how it is mended here.
      scales: name -> scale.
      dropout_rate: AlgoPerf's default, for submissions that pass none.
      output_layer: top-level name of the output layer's parameters, as AlgoPerf's `is_output_params` has it.
    """

    name: str
    summary: str
    data_set: str
    cost_class: str
    loss_type: str
    options: Any
    model: Callable[[Any], Model]
    losses: Losses
    stand_in: Callable[[Any], Source]
    batch_size: int
    sums: Sums | None = None
    measure: Callable[[Any, Model, Source], Measure] | None = None
    read: Reader | None = None
    beside: Callable[[Any, pathlib.Path], Any] | None = None
    variants: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    batch_sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    mended: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scales: Mapping[str, Scale] = dataclasses.field(default_factory=dict)
    dropout_rate: float = 0.0
    output_layer: str | None = None
