"""A stand-in for AlgoPerf: the two modules that a submission imports, a workload, and the runner's loop."""

import collections
import enum
import functools
import importlib.util
import json
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np


class ForwardPassMode(enum.Enum):
    TRAIN = 0
    EVAL = 1


def modules():
    """A minimal `algoperf` with the shardings of the real one: module name -> module."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
    named = functools.partial(jax.sharding.NamedSharding, mesh)
    spec = types.ModuleType("algoperf.spec")
    spec.ForwardPassMode = ForwardPassMode
    sharding = types.ModuleType("algoperf.jax_sharding_utils")
    sharding.get_replicate_sharding = lambda: named(jax.sharding.PartitionSpec())
    sharding.get_batch_dim_sharding = lambda: named(jax.sharding.PartitionSpec("batch"))
    package = types.ModuleType("algoperf")
    package.spec, package.jax_sharding_utils = spec, sharding
    return {"algoperf": package, "algoperf.spec": spec, "algoperf.jax_sharding_utils": sharding}


class Tilted:
    """Three parameters with the gradient of the golden trajectories: targets_i + 0.1 x_i.

    The loss is summed over the examples of a batch, whose targets agree, so its mean has that gradient.
    """

    step_hint = 1000
    start = (0.5, -1.0, 2.0)
    metrics_logger = None
    traces = 0

    def init_model_fn(self, rng):
        return {"x": jnp.array(self.start, jnp.float32)}, None

    def model_fn(self, params, batch, model_state, mode, rng, update_batch_norm, dropout_rate=0.1):
        assert mode is ForwardPassMode.TRAIN
        assert update_batch_norm
        self.traces += 1
        return jnp.broadcast_to(params["x"], batch["targets"].shape), None

    def loss_fn(self, label_batch, logits_batch, mask_batch=None, label_smoothing=0.0):
        each = (label_batch * logits_batch + 0.05 * logits_batch**2).sum(-1)
        mask = jnp.ones(len(each)) if mask_batch is None else mask_batch
        return {"summed": (each * mask).sum(), "n_valid_examples": mask.sum(), "per_example": each}


def imported(folder):
    """The packaged submission.py, imported by its path as a module of its folder."""
    name = f"packaged_{folder.parent.name.replace('-', '_')}_{folder.name}"
    package = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    sys.modules[name] = importlib.util.module_from_spec(package)
    sys.modules.pop(f"{name}.submission", None)
    return importlib.import_module(f"{name}.submission")


def hyperparameters(folder, trial=0):
    """What AlgoPerf makes of the list: a named tuple of the JSON's keys."""
    point = json.loads((folder / "tuning_search_space.json").read_text())[trial]
    return collections.namedtuple("Hyperparameters", point)(**point)


def waves(t):
    """The batch of update t of `Tilted`: four examples with equal targets."""
    return {"targets": np.tile(np.sin(0.7 * t + np.arange(3)), (4, 1))}


def train(submission, workload, hyperparameters, steps, batch=waves, leaf=lambda params: params["x"]):
    """AlgoPerf's training loop: parameters after each step, last optimizer state, last model state."""
    params, model_state = workload.init_model_fn(jax.random.PRNGKey(0))
    state = submission.init_optimizer_state(
        workload, params, model_state, hyperparameters, jax.random.PRNGKey(1)
    )
    path = []
    sharding = sys.modules["algoperf"].jax_sharding_utils.get_batch_dim_sharding()
    for step in range(steps):
        queue = iter([jax.device_put(jax.tree.map(jnp.float32, batch(step + 1)), sharding)])
        common = {
            "workload": workload,
            "current_params_types": None,
            "hyperparameters": hyperparameters,
            "loss_type": None,
            "eval_results": [],
            "global_step": step,
        }
        rng = jax.random.fold_in(jax.random.PRNGKey(2), step)
        state, params, model_state = submission.update_params(
            **common,
            current_param_container=params,
            model_state=model_state,
            batch=submission.data_selection(
                workload, queue, state, params, model_state, hyperparameters, step, rng
            ),
            optimizer_state=state,
            rng=rng,
        )
        state, params, model_state = submission.prepare_for_eval(
            **common, current_param_container=params, model_state=model_state, optimizer_state=state, rng=rng
        )
        path.append(jax.tree.map(np.asarray, leaf(params)))
    return path, state, model_state
