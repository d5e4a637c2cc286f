"""The parametric task families that VeLO was meta-trained on (Metz et al. 2022, arXiv:2211.09760, appendix C).

A seed of a family says what a task computes, which takes a program of its own; a draw of it changes numbers alone
(which initialiser, how wide, which activation), so that all draws of a seed are trained by one program:

    velo/image_mlp_seed12           the seed's draw 0
    velo/image_mlp_seed12@draw=5    another draw

Ranges, models and losses follow the released program, `google/learned_optimization`; the seeds are ours, as its draws
come from generators that differ between versions of JAX. It never measured an accuracy and had no evaluation splits of
its own; here a task is a workload like any other, judged by its loss.
"""

from __future__ import annotations

import importlib
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workloads._workload import Workload
from workloads.spelling import did_you_mean

if TYPE_CHECKING:
    import jax

    from workloads.velo._work import Work

# family -> module that builds it
FAMILIES = {
    "image_mlp": "image_mlp",
    "image_conv": "image_conv",
    "image_mlp_ae": "image_mlp_ae",
    "image_mlp_vae": "image_mlp_vae",
    "image_resnet": "image_resnet",
    "vit": "vit",
    "lm_rnn": "lm_rnn",
    "lm_transformer": "lm_transformer",
}
_DRAWN = (
    "initializer", "initial_scale", "activation", "log_loss", "center_data", "constrain_output", "per_dim_loss",
)  # fmt: skip
_NAME = re.compile(r"velo/(?P<family>\w+)_seed(?P<seed>0|[1-9][0-9]*)(@(?P<switches>.*))?")


def sample(family: str, seed: int) -> dict[str, Any]:
    """What a seed of a family computes: plain JSON values.

    Args:
      family: a key of `FAMILIES`.
      seed: 0 or more.

    Raises:
      ValueError: unknown family, or a negative seed.

    Example:
      >>> sorted(sample("image_mlp", 0))
      ['batch_size', 'dataset', 'hidden', 'image_size', 'layers']
    """
    from workloads.velo import _draws

    module = _module(family)
    return module.sample(_draws.generator(family, seed))


def draw(family: str, seed: int, number: int) -> dict[str, float]:
    """The numbers of one draw of a seed; {} of a family without any. See `sample`."""
    from workloads.velo import _draws

    module = _module(family)
    return module.draw(_draws.generator(family, seed, number))


def work(family: str, seed: int) -> Work:
    """How much work a step of a seed is, counted from its sizes; nothing is built."""
    from workloads.velo._work import of_config

    return of_config(family, sample(family, seed))


def resampled(constants: Mapping[str, Any], key: jax.Array) -> dict[str, Any]:
    """The constants of a task with another draw's numbers, as `draw` makes them. May be traced.

    Args:
      constants: of `Workload.shared`.
      key: of the draws.
    """
    import jax
    import jax.numpy as jnp

    from workloads.velo import _draws

    counts = {"initializer": len(_draws.INITIALIZERS), "activation": len(_draws.ACTIVATIONS)}
    made = dict(constants)
    for number, name in enumerate(sorted({*constants} & {*_DRAWN})):
        noise = jax.random.fold_in(key, number)
        if name == "initial_scale":
            made[name] = jax.random.uniform(noise, (), jnp.float32, *_draws.SCALES)
        else:
            made[name] = jax.random.randint(noise, (), 0, counts.get(name, 2), jnp.int32)
    return made


def parse(name: str) -> tuple[str, int, int] | None:
    """(family, seed, draw) of a name such as `velo/vit_seed3@draw=2`; None where it is none of this room.

    Raises:
      ValueError: no such family, or something else than draw=K behind the @.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    _module(match["family"])
    if match["switches"] is None:
        return match["family"], int(match["seed"]), 0
    number = re.fullmatch(r"draw=(0|[1-9][0-9]*)", match["switches"])
    if number is None:
        raise ValueError(f"{name}: {match['switches']!r} is not understood; allowed behind the @: draw=K")
    return match["family"], int(match["seed"]), int(number[1])


def build(name: str, data_dir: pathlib.Path | None = None) -> Workload:
    """The workload of a name that `parse` takes. Imports JAX."""
    found = parse(name)
    if found is None:
        raise ValueError(f"{name}: not a task of VeLO's families, such as velo/image_mlp_seed0")
    family, seed, number = found
    return _module(family).build(name, sample(family, seed), draw(family, seed, number), data_dir)


def normalizer(name: str) -> Callable[[jax.Array], jax.Array]:
    """What makes the losses of a task comparable with those of others: roughly 0 to 10, the worst where not finite.

    Meta-losses of VeLO are means of these. The function may be traced.
    """
    found = parse(name)
    if found is None:
        raise ValueError(f"{name}: not a task of VeLO's families, such as velo/image_mlp_seed0")
    family, seed, number = found
    return _module(family).normalizer(sample(family, seed), draw(family, seed, number))


def _module(family: str) -> Any:
    if family not in FAMILIES:
        hint = did_you_mean(family, FAMILIES)
        raise ValueError(f"VeLO has no task family {family!r}{hint} (it has {', '.join(FAMILIES)})")
    return importlib.import_module(f"workloads.velo.{FAMILIES[family]}")
