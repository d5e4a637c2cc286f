"""The task of the golden file of gradient estimators, and its windows."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from tuning.meta_training._estimate import Carried
from tuning.meta_training._unroll import Unroll, World
from tuning.meta_training.distribution import Task
from workloads import Functions, GeneratedData, Metric, Provenance, SharedProgram, Workload

H = np.linspace(0.5, 4, 8, dtype=np.float32)
START = np.linspace(-1, 1, 8, dtype=np.float32)
TASKS, STD, LENGTH = 5, 0.01, 13


def _loss(params, model_state, batch, key, train, regularization):
    del key, train, regularization
    return 0.5 * jnp.sum(H * (params["w"] - batch["data"]) ** 2), model_state


def _init(key):
    del key
    return {"w": jnp.asarray(START)}, ()


def _metrics(params, model_state, batch, key):
    return {"loss": _loss(params, model_state, batch, key, False, None)[0], "examples": jnp.float32(1)}


def _draw(key, examples):
    import jax

    del examples
    return {"data": jax.random.normal(key, (8,))}


FUNCTIONS = Functions(_init, _loss, _metrics)
TASK = Task(
    Workload(
        name="golden/quadratic",
        cost_class="objective",
        summary="The quadratic of the golden file.",
        init=_init,
        loss=_loss,
        metrics=_metrics,
        data=GeneratedData(_draw, Provenance("synthetic", "normal numbers")),
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=20,
        eval_period=10,
        batch_size=1,
        loss_type="MEAN_SQUARED_ERROR",
        shared=SharedProgram("golden quadratic", {}, lambda constants: FUNCTIONS),
    )
)


def world(low=LENGTH, high=LENGTH) -> World:
    """Arrays of the golden runs: losses as they are."""
    data = {split: {} for split in TASK.workload.eval_splits.values()}
    return World(jnp.int32([low, high]), jnp.float32([0, 0]), {}, data, jnp.arange(TASKS))


def unroll(rule, **other) -> Unroll:
    """The golden task, every task with a batch of its own."""
    return Unroll(TASK, rule, **{"signs": 2, "shared_batches": False} | other)


def tree(golden, prefix: str) -> dict[str, np.ndarray]:
    """The arrays below a name."""
    return {name.removeprefix(f"{prefix}/"): golden[name] for name in golden if name.startswith(f"{prefix}/")}


def nested(flat) -> dict:
    """A tree of weights from paths, whose last part is an array's name in a layer."""
    made = {}
    for path, value in flat.items():
        layer, slash, name = path.rpartition("/")
        (made.setdefault(layer, {}) if slash else made)[name] = value
    return made


def batches(data, signs=2):
    """Stored data [step, task, 8] as the engine's trials see them, none for the meta-loss."""
    return ({"data": jnp.concatenate([data] * signs, 1)}, None)


def carried(began: Carried, inner_step) -> Carried:
    """Fresh tasks that have taken so many steps."""
    return began._replace(tasks=began.tasks._replace(number=jnp.asarray(inner_step)))
