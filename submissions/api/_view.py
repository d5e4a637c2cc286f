"""Our workloads as AlgoPerf's `spec.Workload`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from submissions.api import _jax_sharding_utils as sharding_utils
from submissions.api import _queue
from submissions.api._facts import Facts
from submissions.api._fields import Seen
from submissions.api._install import spec as spec_in_force
from submissions.api._model import Model, typed
from workloads import Workload, batch_shapes, processes
from workloads.arithmetic import Arithmetic, computed
from workloads.evaluation import Evaluator
from workloads.parts import WHOLE

AS_WRITTEN = Arithmetic()
ROLES = {"train": "train", "eval_train": "train", "validation": "validation", "test": "test"}


def view(workload: Workload, device_axis: bool = False) -> Any:
    """See `submissions.api.view`."""
    return _class(spec_in_force(), device_axis)(workload)


@functools.cache
def _class(spec: Any, device_axis: bool) -> type:
    """The view as a subclass of the `Workload` in force, for submissions that ask isinstance."""
    bases = (DeviceAxisView if device_axis else View, spec.Workload)
    return type("WorkloadView", bases, {"spec": spec, "__doc__": View.__doc__, "__module__": __name__})


class View(Facts, Model):
    """A workload of ours behind AlgoPerf's interface.

    Beyond the interface it has:
      workload: the workload itself.
      name: its name.
      batch_size: its own batch size, for submissions that have no answer to its name.
      eval_period: its steps between evaluations.
      project_params(params): the parameters after the workload's constraint, to be applied after every update.
      arithmetic: how `model_fn` computes; evaluations are as the workload is written.
      by(arithmetic): a view that computes otherwise.
      device_axis: whether parameters, model state and batches have a leading axis over devices.

    Where AlgoPerf has numbers of its own these are None for workloads that have none: no clock, no target.
    """

    device_axis = False

    def __init__(self, workload: Workload, arithmetic: Arithmetic = AS_WRITTEN) -> None:
        super().__init__()
        self.workload, self.arithmetic = workload, arithmetic
        self._computed = computed(workload, arithmetic)
        self.name = workload.name
        self.batch_size = workload.batch_size
        self.eval_period = workload.eval_period
        params, model_state = jax.eval_shape(workload.init, jax.random.key(0))
        self._set_model(params, model_state)
        self._set_parameter_facts(self._params.to_dict(params))
        self._evaluator = Evaluator(workload)

    def by(self, arithmetic: Arithmetic) -> View:
        """A view whose `model_fn` computes by such arithmetic; this one, where it does.

        Raises:
          ValueError: the workload cannot be computed so.
        """
        return self if arithmetic == self.arithmetic else type(self)(self.workload, arithmetic)

    # Data and evaluation, which the rules keep submissions from.

    def _build_input_queue(
        self,
        data_rng: Any,
        split: str,
        data_dir: str | None,
        global_batch_size: int,
        cache: bool | None = None,
        repeat_final_dataset: bool | None = None,
        num_batches: int | None = None,
    ) -> Any:
        """Batches of `train`, endless, or of `eval_train`, `validation` or `test`.

        Args:
          data_rng: everything random comes from it.
          split: AlgoPerf's name.
          data_dir: not used: the workload has its data.
          global_batch_size: a multiple of the number of devices, of all processes.
          cache: not used: data are in memory.
          repeat_final_dataset: of splits but `train`: begin again for ever.
          num_batches: of splits but `train`: stop after so many.
        """
        del data_dir, cache
        devices, part = jax.device_count(), processes.part()
        if split not in ROLES:
            raise ValueError(f"{self.name}: no split {split!r}; AlgoPerf's are {', '.join(ROLES)}")
        if global_batch_size < 1 or global_batch_size % devices:
            raise ValueError(
                f"{self.name}: batch size {global_batch_size} is not a positive multiple of the {devices} devices"
            )
        role, key = ROLES[split], typed(data_rng)
        data, of_role = self.workload.data, self.workload.eval_splits[role]
        place = functools.partial(jax.tree.map, self._placed)
        sharding = sharding_utils.get_batch_dim_sharding()
        of_part: Any = {} if part == WHOLE else {"part": part}  # sources of a user's own may know of no parts
        if split == "train":
            return data.stream(
                of_role,
                key,
                global_batch_size,
                finish=Seen(self._fields, global_batch_size // part.count, self._placed),
                sharding=sharding,
                **of_part,
            )

        def spread(batch):
            placed = place(batch)
            return jax.device_put(placed, sharding) if part == WHOLE else processes.joined(placed, sharding)

        def passes():
            made = 0
            while True:
                batches = _queue.evaluation_batches(
                    self.workload, self._fields, role, key, global_batch_size, spread, part
                )
                for batch in batches:
                    if num_batches is not None and made >= num_batches:
                        return
                    made += 1
                    yield batch
                if not repeat_final_dataset:
                    return

        return passes()

    @staticmethod
    def _placed(values: jax.Array) -> jax.Array:
        """An array of a batch, laid out as the view's batches are."""
        return values

    def _unplaced(self, params: Any, model_state: Any) -> tuple[Any, Any]:
        """Parameters and model state as one model's."""
        return params, model_state

    def _eval_model_on_split(
        self,
        split: str,
        num_examples: int,
        global_batch_size: int,
        params: Any,
        model_state: Any,
        rng: Any,
        data_dir: str | None,
        global_step: int = 0,
    ) -> dict[str, float]:
        """Metrics on `eval_train`, `validation`, `test`, or on a role of the workload's own."""
        del num_examples, global_batch_size, rng, data_dir, global_step
        params, model_state = self._unplaced(params, model_state)
        own, state = self._params.from_dict(params), self._own_state(model_state)
        return self._evaluator.metrics(ROLES.get(split, split), own, state)

    def eval_model(
        self,
        global_batch_size: int,
        params: Any,
        model_state: Any,
        rng: Any,
        data_dir: str | None,
        imagenet_v2_data_dir: str | None,
        global_step: int,
    ) -> dict[str, float]:
        """`<role>/<metric>` for every role of the workload, and how many examples validation and test have.

        The batch size and the random key do not matter: splits are cut, and whatever is random is drawn, by the rule of
        `workloads.evaluation`, so that both engines say the same of the same parameters.
        """
        del imagenet_v2_data_dir
        row: dict[str, float] = {}
        for role in self.workload.eval_splits:
            found = self._eval_model_on_split(
                role, 0, global_batch_size, params, model_state, rng, data_dir, global_step
            )
            row |= {f"{role}/{name}": value for name, value in found.items()}
        row["validation/num_examples"] = self.num_validation_examples
        if self.num_test_examples is not None:
            row["test/num_examples"] = self.num_test_examples
        return row


class DeviceAxisView(View):
    """As AlgoPerf v0.5 had it, for submissions by `jax.pmap`: parameters, model state and batches lead with an axis
    over the local devices, and the model gets its dropout rate when it is made.
    """

    device_axis = True
    _dropout_rate: Any = 0.0

    def __init__(self, workload: Workload, arithmetic: Arithmetic = AS_WRITTEN) -> None:
        super().__init__(workload, arithmetic)
        if jax.process_count() > 1:
            raise ValueError(
                f"{self.name}: a submission by jax.pmap computes on the devices of one process; run it on one host, or "
                "port it to jax.jit"
            )
        graphs = any(hasattr(field, "n_node") for field in batch_shapes(workload).values())
        if graphs and jax.local_device_count() > 1:
            raise ValueError(
                f"{self.name}: a batch of graphs is laid end to end and cannot be cut for jax.pmap over "
                f"{jax.local_device_count()} devices; show it one device, or use jax.jit"
            )

    def init_model_fn(
        self, rng: Any, dropout_rate: float | None = None, aux_dropout_rate: float | None = None
    ) -> tuple[Any, Any]:
        """Parameters and model state, the same on every device; aux_dropout_rate has no part in our models."""
        del aux_dropout_rate
        self._dropout_rate = dropout_rate or 0.0
        devices = jax.local_device_count()
        made = jax.tree.map(lambda x: jnp.stack([x] * devices), self._init(typed(rng)))
        return sharding_utils.shard_along_batch_dim(made)

    def model_fn(
        self,
        params: Any,
        augmented_and_preprocessed_input_batch: Mapping[str, Any],
        model_state: Any,
        mode: Any,
        rng: Any,
        update_batch_norm: bool,
        use_running_average_bn: bool | None = None,
        dropout_rate: Any = None,
    ) -> tuple[Any, Any]:
        """See `View.model_fn`; inside pmap nothing has an axis over devices. Of v0.5 it had no dropout_rate."""
        return super().model_fn(
            params,
            augmented_and_preprocessed_input_batch,
            model_state,
            mode,
            rng,
            update_batch_norm,
            use_running_average_bn,
            self._dropout_rate if dropout_rate is None else dropout_rate,
        )

    def project_params(self, params: Any) -> Any:
        """See `View.project_params`."""
        return params if self._project is None else jax.vmap(self._project)(params)

    @staticmethod
    def _placed(values: jax.Array) -> jax.Array:
        devices = jax.local_device_count()
        return values.reshape(devices, values.shape[0] // devices, *values.shape[1:])

    def _unplaced(self, params: Any, model_state: Any) -> tuple[Any, Any]:
        # Batch statistics differ between devices, which have seen different examples; v0.5 evaluated with their mean.
        return jax.tree.map(lambda x: x[0], params), jax.tree.map(lambda x: x.mean(0), model_state)
