"""What the population benchmark trains, and what it hopes for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

import workloads
from workloads import Functions, Metric, Provenance, ResidentData, Workload
from workloads.layers import mlp, mlp_init
from workloads.losses import classification_sums, cross_entropy

HIDDEN, BATCH, CLASSES = 32, 128, 10
EXAMPLES = 2048


@dataclasses.dataclass(frozen=True)
class Case:
    """One workload of the benchmark.

    Attributes:
      make: the workload.
      trials: in the population.
      widths: trials per program that `--write-widths` tries.
      sketch: times the plain loop that a naive vmap in a scan reached on two cores, where that was measured: the floor.
      aim: times the plain loop that we aim for on two cores.
      aim_of_peak: share of the matrix-multiply peak that we aim for.
    """

    make: Callable[[], Workload]
    trials: int
    widths: tuple[int, ...]
    sketch: float | None = None
    aim: float = 1.0
    aim_of_peak: float | None = None


def perceptron(side: int) -> Workload:
    """A perceptron with one hidden layer of 32 on random images [side, side, 3] of 10 classes, batch 128."""
    rng = np.random.default_rng(0)
    sizes = (side * side * 3, HIDDEN, CLASSES)

    def split(examples: int) -> dict[str, np.ndarray]:
        return {
            "inputs": rng.normal(size=(examples, sizes[0])).astype(np.float32),
            "targets": rng.integers(CLASSES, size=examples).astype(np.int32),
        }

    def logits(params, batch):
        return mlp(params, batch["inputs"], jax.nn.relu)

    def loss(params, model_state, batch, key, train, regularization):
        del key, train, regularization
        return cross_entropy(logits(params, batch), batch["targets"]).mean(), model_state

    def metrics(params, model_state, batch, key):
        del model_state, key
        return classification_sums(logits(params, batch), batch["targets"])

    functions = Functions(lambda key: (mlp_init(key, sizes), ()), loss, metrics)
    return Workload(
        name=f"benchmark/mlp_{side}x{side}x3",
        cost_class="mlp",
        summary=f"perceptron {'-'.join(map(str, sizes))}",
        init=functions.init,
        loss=functions.loss,
        metrics=functions.metrics,
        data=ResidentData(
            {"train": split(EXAMPLES), "validation": split(BATCH), "test": split(BATCH)},
            Provenance("synthetic", "noise"),
        ),
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=1000,
        eval_period=1000,
        batch_size=BATCH,
        loss_type="SOFTMAX_CROSS_ENTROPY",
    )


def _named(name: str) -> Callable[[], Workload]:
    return lambda: workloads.load(f"taskset/{name}")


WIDE, MIDDLE, NARROW = (8, 16, 32, 64), (1, 2, 4, 8, 16), (1, 2, 4)

CASES = {
    #                           workload                    trials  widths  sketch aim  of peak
    "mlp_8x8x3":           Case(lambda: perceptron(8), 32, WIDE, 3.4, 5.0, 0.6),
    "mlp_16x16x3":         Case(lambda: perceptron(16), 32, WIDE, 4.6, 5.5, 0.6),
    "mlp_32x32x3":         Case(lambda: perceptron(32), 32, WIDE, 2.7, 3.3, 0.6),
    "mlp_family":          Case(_named("mlp_family_seed13"), 32, WIDE),
    "mlp_ae_family":       Case(_named("mlp_ae_family_seed9"), 32, WIDE),
    "nvp_family":          Case(_named("nvp_family_seed14"), 16, MIDDLE),
    "maf_family":          Case(_named("maf_family_seed13"), 16, MIDDLE),
    "quadratic_family":    Case(_named("quadratic_family_seed15"), 64, (16, 64, 256)),
    "conv_pooling_family": Case(_named("conv_pooling_family_seed11"), 8, NARROW, aim=1.7),
    "conv_fc_family":      Case(_named("conv_fc_family_seed1"), 8, NARROW, aim=1.7),
    "char_rnn_gru":        Case(_named("char_rnn_language_model_family_seed11"), 8, NARROW, aim=1.7),
    "char_rnn_lstm":       Case(_named("char_rnn_language_model_family_seed5"), 8, NARROW, aim=1.7),
}  # fmt: skip
