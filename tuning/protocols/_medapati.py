"""The protocol of Medapati et al.: a list from the candidates, judged where it has not been, against baselines."""

from __future__ import annotations

from tuning.protocols._protocol import (
    Choose,
    Protocol,
    Publish,
    Report,
    Rerun,
    RerunExact,
    Scale,
    Tune,
    Whole,
)

BASE = (
    "criteo1tb",
    "fastmri",
    "imagenet_resnet",
    "imagenet_vit",
    "librispeech_conformer",
    "librispeech_deepspeech",
    "ogbg",
    "wmt",
)
# Table 3: of every workload, the variant on which its best point ranked lowest.
VARIANTS = (
    "criteo1tb_layernorm",
    "fastmri_layernorm",
    "imagenet_resnet_silu",
    "imagenet_vit_post_ln",
    "librispeech_conformer_gelu",
    "librispeech_deepspeech_tanh",
    "ogbg_gelu",
    "wmt_post_ln",
)


def _algoperf(scale: str) -> Scale:
    """All of the paper: 200 candidates, five points in a list, four in an exact one, five repeats."""
    at = "" if scale == "full" else f"@{scale}"
    return Scale(
        workloads=tuple(f"algoperf/{name}{at}" for name in BASE),
        variants=tuple(f"algoperf/{name}{at}" for name in VARIANTS),
        candidates=200, repeats=5, size=5, draws=40, whole=True, also=("vizier",), exact=4,
    )  # fmt: skip


MEDAPATI = Protocol(
    reference="Medapati et al. 2025, arXiv:2503.03986, sections 2.5 to 3.1",
    stages=(
        Tune("quasirandom", "medapati-candidates", points="candidates", elsewhere="quasirandom"),
        Choose("quasirandom"),
        Rerun("leave-one-out", "quasirandom"),
        RerunExact("leave-one-out-exact", "quasirandom", beside="leave-one-out"),
        Tune("lr-sweep-wd-0.5", "lr-sweep", {"weight_decay": 0.5}),
        Tune("lr-sweep-wd-0.0001", "lr-sweep", {"weight_decay": 1e-4}),
        Tune("medapati2025", "list", published="medapati2025"),
        Tune("metz2020-appendix_f", "list", published="metz2020/appendix_f"),
        Tune("random", "random", points="draws", elsewhere="random"),
        # Many seconds per suggestion.
        Tune("vizier", "vizier", points="twice", optional=True, elsewhere="vizier"),
        Whole("final-list", "quasirandom"),
        Whole("final-list-variants", "quasirandom", on="variants"),
        Publish("quasirandom", "leave-one-out"),
        Report(),
    ),
    scales={
        # Two cores, minutes.
        "demo": Scale(
            workloads=(
                "algoperf/mnist",
                "taskset/mlp_family_seed15",
                "digits/conv",
                "photographs/autoencoder",
                "stdlib/char_rnn",
                "clicks/mlp",
            ),
            candidates=40,
            repeats=3,
            size=5,
        ),
        "mini": _algoperf("mini"),  # two cores, an hour
        "small": _algoperf("small"),  # one GPU
        "full": _algoperf("full"),  # the paper's own: months
    },
)
