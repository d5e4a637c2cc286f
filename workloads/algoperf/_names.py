"""Names of AlgoPerf's workloads: which there are, and what is in one. Needs no JAX."""

from __future__ import annotations

from typing import NamedTuple

PREFIX = "algoperf/"
FULL = "full"  # the scale that a name without one has
SCALES = ("mini", "small")


class Row(NamedTuple):
    """A base workload's: the module with its table is `workloads.algoperf.<base workload>`."""

    variants: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()  # beside the full one


# A line each, in AlgoPerf's order.
BASES: dict[str, Row] = {
    "criteo1tb": Row(
        ("criteo1tb_test", "criteo1tb_layernorm", "criteo1tb_resnet", "criteo1tb_embed_init"), SCALES
    ),
    "fastmri": Row(("fastmri_model_size", "fastmri_tanh", "fastmri_layernorm"), SCALES),
    "imagenet_resnet": Row(
        ("imagenet_resnet_silu", "imagenet_resnet_gelu", "imagenet_resnet_large_bn_init"), SCALES
    ),
    "imagenet_vit": Row(("imagenet_vit_glu", "imagenet_vit_post_ln", "imagenet_vit_map"), SCALES),
    "librispeech_conformer": Row(
        (
            "librispeech_conformer_attention_temperature",
            "librispeech_conformer_layernorm",
            "librispeech_conformer_gelu",
        ),
        SCALES,
    ),
    "librispeech_deepspeech": Row(
        (
            "librispeech_deepspeech_tanh",
            "librispeech_deepspeech_no_resnet",
            "librispeech_deepspeech_norm_and_spec_aug",
        ),
        SCALES,
    ),
    "ogbg": Row(("ogbg_gelu", "ogbg_silu", "ogbg_model_size"), SCALES),
    "wmt": Row(("wmt_post_ln", "wmt_attention_temp", "wmt_glu_tanh"), SCALES),
    "finewebedu_lm": Row(scales=SCALES),
    "cifar": Row(scales=SCALES),
}


def names() -> tuple[str, ...]:
    """Every base workload and variant at every scale, `algoperf/<workload>[@<scale>]`."""
    return tuple(
        f"{PREFIX}{name}{scale}"
        for base, row in BASES.items()
        for scale in ("", *(f"@{scale}" for scale in row.scales))
        for name in (base, *row.variants)
    )


def is_name(name: str) -> bool:
    """Whether it names one of them, at any scale."""
    try:
        parse(name)
    except ValueError:
        return False
    return True


def parse(name: str) -> tuple[str, str, str]:
    """(base workload, workload, scale) of a name.

    Example:
      >>> parse("algoperf/cifar@mini")
      ('cifar', 'cifar', 'mini')

    Raises:
      ValueError: no such workload or scale.
    """
    plain, at, scale = name.removeprefix(PREFIX).partition("@")
    base = next((base for base, row in BASES.items() if plain in (base, *row.variants)), None)
    if base is None:
        raise ValueError(f"{name}: AlgoPerf has no workload {plain!r}")
    if at and scale not in SCALES:
        raise ValueError(f"{name}: no scale {scale!r}; known: {', '.join(SCALES)}")
    return base, plain, scale or FULL
