"""VeLO's `lopt`: training the weights of a small learned optimizer, which trains perceptrons that classify images."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads._source import Batch, ResidentData, Source
from workloads._workload import Workload
from workloads.functions import functions_of
from workloads.parts import WHOLE, Part
from workloads.velo import _draws, _images, _task, image_mlp

OPTIMIZERS = ("learnable_adam", "learnable_sgdm", "learnable_sgd", "mlp_lopt", "adafac_mlp_lopt")
NETWORKS = ("mlp_lopt", "adafac_mlp_lopt")  # of which sizes and factors are drawn
# Rooms point the other way, workloads know nothing of submissions. Here optimizers are what is trained: a name will do.
TRAINED = "submissions.learned.as_task"
EVALUATED = 8  # trainings of an evaluation; each has steps * inner batch size examples
INNER = ("hidden", "layers", "dataset", "image_size")


def sample(rng: np.random.Generator) -> dict[str, Any]:
    """What a seed computes: the perceptron, the optimizer, how long it trains, and how many trainings are a batch.

    A bound itself never comes up: 1 to 3 layers, 1 to 99 steps, 1 to 7 trainings.
    """
    inner = image_mlp.sample(rng)
    config = {name: inner[name] for name in INNER} | {"inner_batch_size": inner["batch_size"]}
    config["optimizer"] = _draws.choice(rng, OPTIMIZERS)
    if config["optimizer"] in NETWORKS:
        config["optimizer_hidden"] = _draws.log_int(rng, 2, 512)
        config["optimizer_layers"] = _draws.log_int(rng, 1, 4)
        config["exp_mult"] = _draws.log_float(rng, 1e-5, 1.0)
        config["step_mult"] = _draws.log_float(rng, 1e-5, 1.0)
    return config | {"steps": _draws.log_int(rng, 1, 100), "batch_size": _draws.log_int(rng, 1, 8)}


def draw(rng: np.random.Generator) -> dict[str, float]:
    """Draws do not differ: initialiser and activation of the perceptrons are drawn for every training."""
    del rng
    return {}


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """The perceptrons', though the loss is made of losses that it was applied to; see `velo.normalizer`."""
    return image_mlp.normalizer(config, drawn)


@dataclasses.dataclass(frozen=True)
class Unrolled(ResidentData):
    """Examples of a data set by the training: an example is all that one training sees, [step, row, ...].

    They are drawn by the key, with replacement.

    Attributes:
      steps, rows: of a training, and of each of its batches.
    """

    steps: int = 1
    rows: int = 1

    def batch(
        self, arrays: Mapping[str, Any], rows: jax.Array, key: jax.Array, split: str, batch_size: int
    ) -> Batch:
        """See `Source.batch`."""
        del batch_size
        places = jax.random.randint(key, (len(rows), self.steps, self.rows), 0, self.size(split))
        return {field: jnp.asarray(values)[places] for field, values in arrays.items()}

    def whole(self, arrays: Mapping[str, Any], key: jax.Array, examples: int) -> Batch:
        """See `Source.whole`."""
        stored = len(next(iter(arrays.values())))
        places = jax.random.randint(key, (examples, self.steps, self.rows), 0, stored)
        return {field: jnp.asarray(values)[places] for field, values in arrays.items()}

    def once(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """See `Source.once`."""
        for first in range(part.index * batch_size, examples, part.count * batch_size):
            rows = jnp.zeros(min(batch_size, examples - first), jnp.int32)
            yield self.batch(self.splits[split], rows, jax.random.fold_in(key, first), split, batch_size)

    def once_filled(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[dict[str, Any]]:
        """See `Source.once_filled`."""
        yield from Source.once_filled(self, split, key, batch_size, examples, part)


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload. The loss of a training is the mean over its steps of the perceptron's normalised losses."""
    trained = importlib.import_module(TRAINED).trained(
        config["optimizer"],
        {"hidden_size": config["optimizer_hidden"], "hidden_layers": config["optimizer_layers"]}
        if config["optimizer"] in NETWORKS
        else {},
        {key: config[key] for key in ("exp_mult", "step_mult") if key in config},
    )
    functions, steps = image_mlp.functions_of_draw(config), config["steps"]
    normalized = _task.classes_normalizer(_images.classes_of(config))

    def training(weights, batches, key):
        of_draw, of_params, of_state, key = jax.random.split(key, 4)
        net = functions(_draws.resampled(image_mlp.draw(np.random.default_rng(0)), of_draw))
        params, _ = net.init(of_params)
        state = trained.begin(weights, params, of_state, steps)

        @jax.checkpoint
        def step(carried, seen):
            params, state = carried
            batch, number = seen
            at = jax.random.fold_in(key, number)

            def loss_of(params):
                return net.loss(params, (), batch, at, True, _task.UNREGULARIZED)[0]

            loss, grads = jax.value_and_grad(loss_of)(params)
            updates, state = trained.step(weights, grads, state, params, loss, number, at)
            return (jax.tree.map(jnp.add, params, updates), state), loss

        _, losses = jax.lax.scan(step, (params, state), (batches, jnp.arange(steps)))
        return jnp.mean(normalized(losses))

    def apply(params, model_state, batch, key, train, dropout_rate):
        del train, dropout_rate
        batches = {field: batch[field] for field in ("inputs", "targets")}
        keys = jax.random.split(key, len(batch["targets"]))
        return jax.vmap(training, (None, 0, 0))(params, batches, keys), model_state

    def losses(outputs, batch, label_smoothing):
        del label_smoothing
        return outputs, batch.get("weights")

    def bind(numbers):
        del numbers
        return functions_of(lambda key: (trained.initial(key), ()), apply, losses)

    rows = config["inner_batch_size"]
    data = _images.load(config, data_dir)
    data = Unrolled(data.splits, data.provenance, steps=steps, rows=rows)
    summary = f"{config['optimizer']} for {steps} steps of perceptrons of {config['layers']} hidden layers"
    made = _task.task(name, "lopt", "lopt", summary, config, drawn, bind, data)
    return dataclasses.replace(made, eval_examples=EVALUATED)
