"""AlgoPerf's `spec`: the names, values and signatures that a submission refers to (v0.6 and v1.0 agree on them).

The values of the enumerations are part of the interface: they stand in logs.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable, Iterator
from typing import Any


class LossType(enum.Enum):
    """What kind of loss a workload has."""

    SOFTMAX_CROSS_ENTROPY = 0
    SIGMOID_CROSS_ENTROPY = 1
    MEAN_SQUARED_ERROR = 2
    CTC_LOSS = 3
    MEAN_ABSOLUTE_ERROR = 4


class ForwardPassMode(enum.Enum):
    """Whether a model is being trained: dropout and batch statistics depend on it."""

    TRAIN = 0
    EVAL = 1


class ParameterType(enum.Enum):
    """What part of a model a parameter is."""

    WEIGHT = 0
    BIAS = 1
    CONV_WEIGHT = 2
    BATCH_NORM_SCALE = 3
    BATCH_NORM_BIAS = 4
    LAYER_NORM_SCALE = 5
    LAYER_NORM_BIAS = 6
    EMBEDDING = 7
    ATTENTION_Q = 8
    ATTENTION_K = 9
    ATTENTION_V = 10
    ATTENTION_OUT = 11
    ATTENTION_QKV = 12
    ATTENTION_KV = 13
    ATTENTION_BIAS = 14


class ShapeTuple:
    """A shape that is a leaf: mapping over a tree of shapes stops at it, not at its numbers."""

    def __init__(self, shape_tuple: tuple[int, ...]) -> None:
        self.shape_tuple = shape_tuple

    def __repr__(self) -> str:
        return f"ShapeTuple({self.shape_tuple})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeTuple) and self.shape_tuple == other.shape_tuple

    def __hash__(self) -> int:
        return hash(self.shape_tuple)


class TrainingCompleteError(Exception):
    """Raised by a submission's update_params to end its training before the budget is spent."""


# Names for annotations. Arrays belong to whichever framework a submission uses.
Tensor = Any
Shape = tuple[int, ...] | ShapeTuple
ParameterKey = str
ParameterShapeTree = dict[ParameterKey, Any]
ParameterContainer = dict[ParameterKey, Any]
ParameterTypeTree = dict[ParameterKey, Any]
RandomState = Any
OptimizerState = dict[str, Any] | tuple[Any, Any]
Hyperparameters = Any
Timing = int
Steps = int
ModelAuxiliaryState = Any
ModelInitState = tuple[ParameterContainer, ModelAuxiliaryState]
UpdateReturn = tuple[OptimizerState, ParameterContainer, ModelAuxiliaryState]
InitOptimizerFn = Callable[..., OptimizerState]
UpdateParamsFn = Callable[..., UpdateReturn]
PrepareForEvalFn = Callable[..., UpdateReturn]
DataSelectionFn = Callable[..., dict[str, Tensor]]


class Workload(metaclass=abc.ABCMeta):
    """What a submission is given to train. Its rules forbid it `_build_input_queue` and evaluation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs
        self._param_shapes: ParameterShapeTree | None = None
        self._param_types: ParameterTypeTree | None = None
        self._eval_iters: dict[str, Iterator[Any]] = {}
        self.metrics_logger: Any = None

    def attach_metrics_logger(self, metrics_logger: Any) -> None:
        """Gives submissions something to log scalars to."""
        self.metrics_logger = metrics_logger

    @property
    def param_shapes(self) -> ParameterShapeTree:
        """Tree of `ShapeTuple`."""
        if self._param_shapes is None:
            raise ValueError("param_shapes are known once init_model_fn has been called; call it first")
        return self._param_shapes

    @property
    def model_params_types(self) -> ParameterTypeTree:
        """Tree of `ParameterType`."""
        if self._param_types is None:
            raise ValueError("model_params_types are known once init_model_fn has been called; call it first")
        return self._param_types

    @property
    @abc.abstractmethod
    def target_metric_name(self) -> str:
        """Name of the metric that targets are set for."""

    @abc.abstractmethod
    def has_reached_validation_target(self, eval_result: dict[str, float]) -> bool:
        """Whether an evaluation is past the validation target."""

    @abc.abstractmethod
    def has_reached_test_target(self, eval_result: dict[str, float]) -> bool:
        """Whether an evaluation is past the test target."""

    @abc.abstractmethod
    def _build_input_queue(
        self,
        data_rng: RandomState,
        split: str,
        data_dir: str,
        global_batch_size: int,
        cache: bool | None = None,
        repeat_final_dataset: bool | None = None,
        num_batches: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Batches of a split."""

    @property
    @abc.abstractmethod
    def validation_target_value(self) -> float:
        """To be passed on the validation split."""

    @property
    @abc.abstractmethod
    def test_target_value(self) -> float:
        """To be passed on the test split."""

    @property
    @abc.abstractmethod
    def loss_type(self) -> LossType:
        """Kind of the loss."""

    @property
    @abc.abstractmethod
    def num_train_examples(self) -> int:
        """Size of the training split."""

    @property
    @abc.abstractmethod
    def eval_batch_size(self) -> int:
        """Examples per batch of an evaluation."""

    @property
    @abc.abstractmethod
    def num_eval_train_examples(self) -> int:
        """Training examples that an evaluation looks at."""

    @property
    @abc.abstractmethod
    def num_validation_examples(self) -> int:
        """Size of the validation split."""

    @property
    @abc.abstractmethod
    def num_test_examples(self) -> int | None:
        """Size of the test split; None where there is none."""

    @property
    @abc.abstractmethod
    def train_mean(self) -> Any:
        """Mean that inputs are normalised with."""

    @property
    @abc.abstractmethod
    def train_stddev(self) -> Any:
        """Standard deviation that inputs are normalised with."""

    @property
    @abc.abstractmethod
    def max_allowed_runtime_sec(self) -> int:
        """Wall-clock budget of the external tuning ruleset."""

    @property
    @abc.abstractmethod
    def eval_period_time_sec(self) -> int:
        """Seconds between evaluations."""

    @property
    @abc.abstractmethod
    def step_hint(self) -> int:
        """About as many steps as fit the budget; schedules end there."""

    @abc.abstractmethod
    def is_output_params(self, param_key: ParameterKey) -> bool:
        """Whether the parameters of that name are the output layer."""

    @abc.abstractmethod
    def init_model_fn(self, rng: RandomState) -> ModelInitState:
        """Parameters and model state at the start."""

    @abc.abstractmethod
    def model_fn(
        self,
        params: ParameterContainer,
        augmented_and_preprocessed_input_batch: dict[str, Tensor],
        model_state: ModelAuxiliaryState,
        mode: ForwardPassMode,
        rng: RandomState,
        update_batch_norm: bool,
        dropout_rate: float,
    ) -> tuple[Tensor, ModelAuxiliaryState]:
        """Outputs of the model, and its new state."""

    def output_activation_fn(self, logits_batch: Tensor, framework: str) -> Tensor:
        """What the loss takes the outputs for: probabilities, or for errors the outputs themselves."""
        if framework != "jax":
            raise ValueError(
                f"framework is {framework!r}; without an installed AlgoPerf it can only be 'jax'"
            )
        import jax

        if self.loss_type in (LossType.SOFTMAX_CROSS_ENTROPY, LossType.CTC_LOSS):
            return jax.nn.softmax(logits_batch)
        if self.loss_type is LossType.SIGMOID_CROSS_ENTROPY:
            return jax.nn.sigmoid(logits_batch)
        return logits_batch

    @abc.abstractmethod
    def loss_fn(
        self,
        label_batch: Tensor,
        logits_batch: Tensor,
        mask_batch: Tensor | None = None,
        label_smoothing: float = 0.0,
    ) -> dict[str, Tensor]:
        """`summed`, `n_valid_examples` and `per_example` losses."""

    @abc.abstractmethod
    def _eval_model_on_split(
        self,
        split: str,
        num_examples: int,
        global_batch_size: int,
        params: ParameterContainer,
        model_state: ModelAuxiliaryState,
        rng: RandomState,
        data_dir: str,
        global_step: int = 0,
    ) -> dict[str, float]:
        """Metrics on one split."""

    def eval_model(
        self,
        global_batch_size: int,
        params: ParameterContainer,
        model_state: ModelAuxiliaryState,
        rng: RandomState,
        data_dir: str,
        imagenet_v2_data_dir: str | None,
        global_step: int,
    ) -> dict[str, float]:
        """`<role>/<metric>` on the training, validation and, where there is one, test split."""
        splits = {
            "train": ("eval_train", self.num_eval_train_examples),
            "validation": ("validation", self.num_validation_examples),
            "test": ("test", self.num_test_examples),
        }
        row: dict[str, float] = {}
        for role, (split, examples) in splits.items():
            if examples is None:
                continue
            folder = imagenet_v2_data_dir or data_dir if role == "test" else data_dir
            found = self._eval_model_on_split(
                split, examples, global_batch_size, params, model_state, rng, folder, global_step
            )
            row |= {f"{role}/{name}": value for name, value in found.items()}
            if role != "train":
                row[f"{role}/num_examples"] = examples
        return row


# What a submission defines, with the arguments it is called with.


def get_batch_size(workload_name: str) -> int:
    """Training examples per step, over all devices."""
    raise NotImplementedError("a submission defines get_batch_size")


def init_optimizer_state(
    workload: Workload,
    model_params: ParameterContainer,
    model_state: ModelAuxiliaryState,
    hyperparameters: Hyperparameters,
    rng: RandomState,
) -> OptimizerState:
    """(state, whatever update_params needs besides)."""
    raise NotImplementedError("a submission defines init_optimizer_state")


def data_selection(
    workload: Workload,
    input_queue: Iterator[dict[str, Any]],
    optimizer_state: OptimizerState,
    current_param_container: ParameterContainer,
    model_state: ModelAuxiliaryState,
    hyperparameters: Hyperparameters,
    global_step: int,
    rng: RandomState,
) -> dict[str, Tensor]:
    """The batch of the next step."""
    raise NotImplementedError("a submission defines data_selection")


def update_params(
    workload: Workload,
    current_param_container: ParameterContainer,
    current_params_types: ParameterTypeTree,
    model_state: ModelAuxiliaryState,
    hyperparameters: Hyperparameters,
    batch: dict[str, Tensor],
    loss_type: LossType,
    optimizer_state: OptimizerState,
    eval_results: list[tuple[int, dict[str, float]]],
    global_step: int,
    rng: RandomState,
    train_state: dict[str, Any] | None = None,
) -> UpdateReturn:
    """One step."""
    raise NotImplementedError("a submission defines update_params")


def prepare_for_eval(
    workload: Workload,
    current_param_container: ParameterContainer,
    current_params_types: ParameterTypeTree,
    model_state: ModelAuxiliaryState,
    hyperparameters: Hyperparameters,
    loss_type: LossType,
    optimizer_state: OptimizerState,
    eval_results: list[tuple[int, dict[str, float]]],
    global_step: int,
    rng: RandomState,
) -> UpdateReturn:
    """What is evaluated, where it is not what is trained."""
    raise NotImplementedError("a submission may define prepare_for_eval")
