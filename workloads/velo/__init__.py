"""The parametric task families that VeLO was meta-trained on (Metz et al. 2022, arXiv:2211.09760, appendix C).

A seed of a family says what a task computes, which takes a program of its own; a draw of it changes numbers alone
(which initialiser, how wide, which activation), so that all draws of a seed are trained by one program:

    velo/image_mlp_seed12                      the seed's draw 0
    velo/image_mlp_seed12@draw=5               another draw
    velo/image_mlp_seed12@hidden=512,layers=2  the seed's task with sizes of one's own: a ladder of widths

Ranges, models and losses follow the released program, `google/learned_optimization`; the seeds are ours, as its draws
come from generators that differ between versions of JAX. It never measured an accuracy and had no evaluation splits of
its own; here a task is a workload like any other, judged by its loss.
"""

from __future__ import annotations

import importlib
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

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
    "lopt": "lopt",
}
_NAME = re.compile(r"velo/(?P<family>\w+)_seed(?P<seed>0|[1-9][0-9]*)(@(?P<switches>.*))?")


class Named(NamedTuple):
    """What a name says.

    Attributes:
      family: a key of `FAMILIES`.
      seed: of the family.
      draw: of the seed.
      sizes: of one's own in the place of the seed's.
    """

    family: str
    seed: int
    draw: int
    sizes: Mapping[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """What the task computes; see `sample`."""
        return {**sample(self.family, self.seed), **self.sizes}


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
    from workloads.velo import _draws

    return _draws.resampled(constants, key)


def parse(name: str) -> Named | None:
    """What a name such as `velo/vit_seed3@draw=2,hidden=64` says; None where it is none of this room.

    Raises:
      ValueError: no such family; or behind the @ something else than draw=K and whole numbers that the family has.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    _module(match["family"])
    named = Named(match["family"], int(match["seed"]), 0, {})
    for switch in (match["switches"] or "").split(",") if match["switches"] is not None else ():
        key, _, value = switch.partition("=")
        own = {
            key: n for key, n in sample(*named[:2]).items() if isinstance(n, int) and not isinstance(n, bool)
        }
        if key not in ("draw", *own):
            hint = did_you_mean(key, ("draw", *own))
            allowed = ", ".join(("draw=K", *(f"{each}=N" for each in own)))
            raise ValueError(f"{name}: {switch!r} is not understood{hint} (allowed behind the @: {allowed})")
        if not re.fullmatch(r"0|[1-9][0-9]*", value) or (value == "0" and key not in ("draw", "layers")):
            raise ValueError(
                f"{name}: {switch!r} is not understood: {value!r} is no whole number that it can be"
            )
        if key == "draw":
            named = named._replace(draw=int(value))
        else:
            named = named._replace(sizes={**named.sizes, key: int(value)})
    return named


def build(name: str, data_dir: pathlib.Path | None = None) -> Workload:
    """The workload of a name that `parse` takes. Imports JAX."""
    found = _parsed(name)
    drawn = draw(found.family, found.seed, found.draw)
    return _module(found.family).build(name, found.config, drawn, data_dir)


def normalizer(name: str) -> Callable[[jax.Array], jax.Array]:
    """What makes the losses of a task comparable with those of others: roughly 0 to 10, the worst where not finite.

    Meta-losses of VeLO are means of these. The function may be traced.
    """
    found = _parsed(name)
    return _module(found.family).normalizer(found.config, draw(found.family, found.seed, found.draw))


def _parsed(name: str) -> Named:
    found = parse(name)
    if found is None:
        raise ValueError(f"{name}: not a task of VeLO's families, such as velo/image_mlp_seed0")
    return found


def _module(family: str) -> Any:
    if family not in FAMILIES:
        hint = did_you_mean(family, FAMILIES)
        raise ValueError(f"VeLO has no task family {family!r}{hint} (it has {', '.join(FAMILIES)})")
    return importlib.import_module(f"workloads.velo.{FAMILIES[family]}")
