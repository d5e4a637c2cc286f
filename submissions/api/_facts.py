"""What a view says of its workload: sizes, budgets, targets, and what its parameters are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from submissions.api import _parameters
from workloads import Workload
from workloads.evaluation import examples_of


class Facts:
    """The part of a view that needs no model to run. Where a workload has no number of AlgoPerf's kind, it is None."""

    spec: Any  # AlgoPerf's module in force
    workload: Workload

    def _set_parameter_facts(self, nested: Any) -> None:
        """Where AlgoPerf's base class keeps them; known before `init_model_fn` is called.

        Args:
          nested: parameters, or their shapes, as submissions see them.
        """
        self._param_shapes = _parameters.shapes(nested, self.spec)
        self._param_types = _parameters.types(nested, self.spec)
        self._output_layer = self.workload.output_layer or _parameters.output_layer(nested)

    @property
    def target_metric_name(self) -> str:
        """Name of the metric that the workload is judged by."""
        return self.workload.metric.name

    @property
    def validation_target_value(self) -> float | None:
        """To be passed; None where nobody has set one."""
        return self.workload.validation_target

    @property
    def test_target_value(self) -> float | None:
        """To be passed; None where nobody has set one."""
        return self.workload.test_target

    def has_reached_validation_target(self, eval_result: Mapping[str, float]) -> bool:
        """Whether the validation metric is strictly past its target; never, if there is none. Records ask less, see
        `results.reached`."""
        target = self.workload.validation_target
        return target is not None and self._is_past("validation", target, eval_result)

    def has_reached_test_target(self, eval_result: Mapping[str, float]) -> bool:
        """Whether the test metric is past its target; always, if there is one for validation only."""
        target = self.workload.test_target
        if target is None:
            return self.workload.validation_target is not None
        return self._is_past("test", target, eval_result)

    def _is_past(self, role: str, target: float, eval_result: Mapping[str, float]) -> bool:
        metric = self.workload.metric
        value = eval_result[f"{role}/{metric.name}"]
        return value < target if metric.minimize else value > target  # strictly, as AlgoPerf's workloads do

    @property
    def loss_type(self) -> Any:
        """Member of `LossType`."""
        return self.spec.LossType[self.workload.loss_type]

    @property
    def step_hint(self) -> int:
        """Steps of the full budget; schedules end there."""
        return self.workload.step_hint

    @property
    def max_allowed_runtime_sec(self) -> float | None:
        """Wall-clock budget; None where only steps count."""
        return self.workload.max_runtime_seconds

    @property
    def eval_period_time_sec(self) -> float | None:
        """Seconds between evaluations; None where only steps count, see `eval_period`."""
        return self.workload.eval_period_seconds

    @property
    def num_train_examples(self) -> int:
        """Of generated data: as many as a whole training sees, none of them twice."""
        size = self.workload.data.size(self.workload.eval_splits["train"])
        return self.workload.step_hint * self.workload.batch_size if size is None else size

    @property
    def num_eval_train_examples(self) -> int:
        """Training examples that an evaluation looks at."""
        return examples_of(self.workload, "train")

    @property
    def num_validation_examples(self) -> int:
        """Validation examples that an evaluation looks at: all, unless they are generated."""
        return examples_of(self.workload, "validation")

    @property
    def num_test_examples(self) -> int | None:
        """See `num_validation_examples`; None where there is no test split, as AlgoPerf has it."""
        return examples_of(self.workload, "test") if "test" in self.workload.eval_splits else None

    @property
    def eval_batch_size(self) -> int:
        """Our evaluation cuts splits by itself, so this is only its answer to who asks; all devices share it."""
        devices, size = jax.device_count(), self.workload.data.eval_batch_size
        return -(-min(size, self.num_validation_examples) // devices) * devices

    @property
    def train_mean(self) -> None:
        """Inputs are normalised already, or their model does it."""

    @property
    def train_stddev(self) -> None:
        """See `train_mean`."""

    def is_output_params(self, param_key: str) -> bool:
        """Whether the name is that of the output layer; False for all names where there is no such layer."""
        return param_key == self._output_layer
