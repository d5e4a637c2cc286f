"""What gives an AlgoPerf workload away: its name, and numbers that fit no other."""

from __future__ import annotations

WORKLOADS = (
    "criteo1tb",
    "fastmri",
    "imagenet_resnet",
    "imagenet_vit",
    "librispeech_conformer",
    "librispeech_deepspeech",
    "ogbg",
    "wmt",
    "finewebedu_lm",
    "mnist",
    "cifar",
)

# The base workloads of AlgoPerf 0.6: for these get_batch_size must have an answer.
BASE_WORKLOADS = WORKLOADS[:8]

VARIANTS = (
    "criteo1tb_layernorm", "criteo1tb_resnet", "criteo1tb_embed_init",
    "fastmri_model_size", "fastmri_tanh", "fastmri_layernorm",
    "imagenet_resnet_silu", "imagenet_resnet_gelu", "imagenet_resnet_large_bn_init",
    "imagenet_vit_glu", "imagenet_vit_post_ln", "imagenet_vit_map",
    "librispeech_conformer_attention_temperature", "librispeech_conformer_layernorm", "librispeech_conformer_gelu",
    "librispeech_deepspeech_tanh", "librispeech_deepspeech_no_resnet", "librispeech_deepspeech_norm_and_spec_aug",
    "ogbg_gelu", "ogbg_silu", "ogbg_model_size",
    "wmt_post_ln", "wmt_attention_temp", "wmt_glu_tanh",
)  # fmt: skip

# Short forms by which people call them, as whole strings only: a word inside another string may be anything.
NAMES = frozenset({
    *WORKLOADS, *VARIANTS, "criteo", "imagenet", "librispeech", "conformer", "deepspeech", "resnet", "resnet50", "vit",
    "dlrm", "unet", "gnn", "cifar10", "fineweb",
})  # fmt: skip

# Properties whose values differ between workloads without saying anything about how to train one.
FACTS = frozenset({
    "num_train_examples", "num_eval_train_examples", "num_validation_examples", "num_test_examples",
    "validation_target_value", "test_target_value", "step_hint", "max_allowed_runtime_sec", "eval_period_time_sec",
    "eval_batch_size",
})  # fmt: skip

# Parameter counts, numbers of training examples and step hints; round ones are left out, since anybody may use them.
FINGERPRINTS = frozenset({
    539_267_457, 7_756_097, 25_557_032, 22_122_472, 32_321_792, 18_381_312, 3_554_176, 133_521_408, 252_815_372,
    101_770, 11_173_962, 4_195_197_692, 34_742, 1_281_167, 263_840, 350_343, 5_906_184, 8_749_870, 10_666, 18_094,
    195_999, 167_999, 36_189, 186_666, 133_333,
})  # fmt: skip
