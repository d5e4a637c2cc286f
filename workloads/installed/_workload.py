"""An installed AlgoPerf's workload behind our interface: every number and function is the installed object's.

What AlgoPerf leaves to others has two answers here. The batch size is that of its baseline submission. The period
between evaluations, in AlgoPerf a time, is the same part of the step hint as it is of the runtime budget.
"""

from __future__ import annotations

import itertools
import pathlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from workloads._measure import ForeignMeasure
from workloads._source import Provenance, ResidentData, StreamedBatch, StreamedData
from workloads._workload import Metric, Workload
from workloads.installed import _algoperf as _installed_algoperf
from workloads.installed._algoperf import partner
from workloads.installed._presence import PREFIX

EVAL_SEED = 0x5EED  # of what is random in an evaluation, the same for every trial


class Base(NamedTuple):
    """What is not in AlgoPerf's object, for a base workload and its variants."""

    batch_size: int  # of AlgoPerf's baseline submission
    cost_class: str
    data: str


# By the beginning of a name, in order.
BASES: Mapping[str, Base] = {
    "criteo1tb": Base(262_144, "other", "Criteo 1TB click logs"),
    "fastmri": Base(32, "conv", "fastMRI knee, single coil"),
    "imagenet_resnet_silu": Base(512, "conv", "ImageNet 2012"),
    "imagenet_resnet_gelu": Base(512, "conv", "ImageNet 2012"),
    "imagenet_resnet": Base(1_024, "conv", "ImageNet 2012"),
    "imagenet_vit": Base(1_024, "other", "ImageNet 2012"),
    "librispeech": Base(256, "rnn", "LibriSpeech"),
    "ogbg": Base(512, "other", "ogbg-molpcba"),
    "wmt": Base(128, "other", "WMT 2017 German-English"),
    "finewebedu_lm": Base(64, "other", "FineWeb-Edu"),
    "mnist": Base(16, "mlp", "MNIST"),
    "cifar": Base(128, "conv", "CIFAR-10"),
}
RESIDENT = ("mnist",)  # small, and its input pipeline does nothing random but shuffle


def build(name: str, data_dir: pathlib.Path | None = None) -> Workload:
    """The workload of that name.

    Args:
      name: behind `algoperf-installed/`.
      data_dir: with its data set in AlgoPerf's layout; without, only what needs no data can be asked.

    Raises:
      ValueError, FileNotFoundError: see `real_workload`; or mnist's data are not in data_dir.
    """
    real = _installed_algoperf.real_workload(name, data_dir)
    base = next((base for start, base in BASES.items() if name.startswith(start)), None)
    if base is None:
        raise ValueError(
            f"{PREFIX}{name}: nobody has said what batch size it takes; add it to workloads.installed._workload.BASES"
        )
    functions = _Functions(real)
    test = bool(real.num_test_examples)
    metric, target = real.target_metric_name, real.validation_target_value
    # Reached below the target: smaller is better. Neither `<` nor `<=` is assumed.
    minimize = bool(
        real.has_reached_validation_target({f"validation/{metric}": target - abs(target) / 2 - 1})
    )
    data, measure = _data(name, real, functions, base, data_dir)
    roles = ("train", "validation", "test") if test else ("train", "validation")
    return Workload(
        name=f"{PREFIX}{name}",
        cost_class=base.cost_class,
        summary=f"AlgoPerf's own {name}, from the installed package",
        init=functions.init,
        loss=functions.loss,
        metrics=functions.metrics,
        apply=functions.apply,
        losses=functions.losses,
        data=data,
        measure=measure,
        metric=Metric(metric, minimize=minimize),
        validation_target=float(target),
        test_target=float(real.test_target_value) if test else None,
        step_hint=real.step_hint,
        eval_period=max(1, real.step_hint * real.eval_period_time_sec // real.max_allowed_runtime_sec),
        batch_size=base.batch_size,
        loss_type=real.loss_type.name,
        max_runtime_seconds=float(real.max_allowed_runtime_sec),
        eval_period_seconds=float(real.eval_period_time_sec),
        eval_splits={role: role for role in roles},
        eval_examples=real.num_eval_train_examples,
    )


class _Functions:
    """AlgoPerf's functions in our terms: typed keys, and () for no model state."""

    def __init__(self, real: Any) -> None:
        modes = partner("algoperf.spec").ForwardPassMode
        self.real = real
        self.modes = {True: modes.TRAIN, False: modes.EVAL}
        self.no_state = jax.eval_shape(real.init_model_fn, jax.ShapeDtypeStruct((2,), "uint32"))[1]
        self.stateless = not jax.tree.leaves(self.no_state)

    def init(self, key):
        params, model_state = self.real.init_model_fn(_plain(key))
        return params, () if self.stateless else model_state

    def apply(self, params, model_state, batch, key, train, dropout_rate):
        dropout = {"dropout_rate": dropout_rate} if train else {}
        outputs, new = self.real.model_fn(
            params, batch, self.state(model_state), self.modes[train], _plain(key), train, **dropout
        )
        if self.stateless:
            return outputs, model_state
        return outputs, jax.tree.unflatten(jax.tree.structure(model_state), jax.tree.leaves(new))

    def loss(self, params, model_state, batch, key, train, regularization):
        outputs, model_state = self.apply(params, model_state, batch, key, train, regularization.dropout_rate)
        found = self._loss(outputs, batch, regularization.label_smoothing if train else None)
        return found["summed"] / found["n_valid_examples"], model_state

    def losses(self, outputs, batch, label_smoothing):
        losses, weights = self._loss(outputs, batch, label_smoothing)["per_example"], batch.get("weights")
        if not isinstance(batch["targets"], tuple):
            return losses, None if weights is None else jnp.reshape(weights, losses.shape).astype(
                losses.dtype
            )
        # Transcripts: AlgoPerf divides by their tokens, so an example weighs as many.
        tokens = jnp.sum(1 - batch["targets"][1], axis=-1)
        tokens = tokens if weights is None else tokens * weights
        return losses / jnp.maximum(tokens, 1), tokens

    def metrics(self, params, model_state, batch, key):
        outputs, _ = self.apply(params, model_state, batch, key, False, 0.0)
        losses, weights = self.losses(outputs, batch, None)
        weights = jnp.ones_like(losses) if weights is None else weights
        sums = {"loss": jnp.sum(losses * weights), "examples": jnp.sum(weights)}
        if self.real.target_metric_name == "accuracy":
            right = jnp.argmax(outputs, axis=-1) == batch["targets"]
            sums["accuracy"] = jnp.sum(right * weights)
        return sums

    def state(self, model_state):
        """What AlgoPerf's functions take: None, or {}, where there is none."""
        return self.no_state if self.stateless else model_state

    def _loss(self, outputs, batch, label_smoothing):
        smoothing = 0.0 if label_smoothing is None else label_smoothing
        return self.real.loss_fn(batch["targets"], outputs, batch.get("weights"), smoothing)


def _plain(key):
    """AlgoPerf's keys are plain arrays."""
    if key is None or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    return jax.random.key_data(key)


def _data(
    name: str, real: Any, functions: _Functions, base: Base, data_dir: pathlib.Path | None
) -> tuple[ResidentData | StreamedData, ForeignMeasure | None]:
    """Its data, and its measure where that is AlgoPerf's own."""
    provenance = Provenance("real", f"{base.data}, as AlgoPerf {_installed_algoperf.version()} reads it")
    if name in RESIDENT and data_dir is not None:
        return ResidentData(_mnist(real, data_dir), provenance), None
    turn = threading.Lock()  # its iterators and the frameworks' seeds are shared by threads

    def folder() -> str:
        if data_dir is None:
            raise ValueError(
                f"{PREFIX}{name}: its data set is not known; give data_dir (--data-dir), in the layout that "
                "AlgoPerf's dataset_setup.py makes"
            )
        return str(data_dir)

    def read(split: str, seed: int, batch_size: int, first_step: int) -> Iterator[StreamedBatch]:
        del first_step  # AlgoPerf's pipelines begin at their beginning
        where = folder()
        # The first of a key's two words seeds the shuffling: of a fresh key it is always 0, of a split one it is not.
        key, _ = jax.random.split(jax.random.PRNGKey(seed))
        with turn:
            _seed_frameworks(seed)
            queue = iter(real._build_input_queue(key, split, where, batch_size))
            first = next(queue)  # some pipelines are only made here
        return itertools.chain([first], queue)

    def evaluate(params: Any, model_state: Any, split: str, examples: int) -> dict[str, float]:
        where = folder()
        with turn:
            # Its sample of training examples goes on from one evaluation to the next, so that it would depend on which
            # trial was evaluated before; a new iterator begins at the same place.
            real._eval_iters.pop("eval_train", None)
            _seed_frameworks(EVAL_SEED)
            found = real._eval_model_on_split(
                split={"train": "eval_train"}.get(split, split),
                num_examples=examples,
                global_batch_size=real.eval_batch_size,
                params=params,
                model_state=functions.state(model_state),
                rng=jax.random.PRNGKey(EVAL_SEED),
                data_dir=where,
                global_step=0,
            )
        return {metric: float(value) for metric, value in found.items()}

    sizes = {"train": real.num_train_examples, "validation": real.num_validation_examples}
    if real.num_test_examples:
        sizes["test"] = real.num_test_examples
    return StreamedData(read, sizes, provenance, begins_anywhere=False), ForeignMeasure(evaluate)


def _seed_frameworks(seed: int) -> None:
    """LibriSpeech is shuffled by PyTorch, and Criteo by a TensorFlow that was given no seed."""
    partner("torch").manual_seed(seed)
    partner("tensorflow").random.set_seed(seed)


def _mnist(real: Any, data_dir: pathlib.Path) -> dict[str, dict[str, np.ndarray]]:
    """Its splits as its input pipeline makes them, in the stored order."""
    tfds, cut = partner("tensorflow_datasets"), real.num_train_examples
    slices = {"train": f"train[:{cut}]", "validation": f"train[{cut}:]", "test": "test"}
    try:
        stored = {
            split: tfds.as_numpy(
                tfds.load("mnist", split=part, data_dir=str(data_dir), batch_size=-1, download=False)
            )
            for split, part in slices.items()
        }
    except (AssertionError, FileNotFoundError) as error:
        raise FileNotFoundError(
            f"{PREFIX}mnist: TFDS finds no prepared data set under {data_dir} (mnist/3.0.1 is expected there): {error}"
        ) from error
    mean, deviation = np.float32(real.train_mean), np.float32(real.train_stddev)
    return {
        split: {
            "inputs": (examples["image"].astype(np.float32) - mean) / deviation,
            "targets": examples["label"],
        }
        for split, examples in stored.items()
    }
