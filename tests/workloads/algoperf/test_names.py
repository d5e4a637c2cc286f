"""All of AlgoPerf's workloads have names, at every scale, and a line in the list."""

from __future__ import annotations

import re

import pytest

import workloads
from workloads.benchmarks import benchmark

NATIVE = [name for name in workloads.names() if name.startswith("algoperf/")]
FULL = [name.removeprefix("algoperf/") for name in NATIVE if "@" not in name]


def test_every_workload_of_the_benchmark_is_native():
    assert set(FULL) == set(benchmark("v1.0").workloads)
    assert len(FULL) == 11 + 25


def test_every_workload_of_the_paper_has_a_mini_scale():
    eight = {name for name, facts in benchmark("v1.0").workloads.items() if facts.role == "base"}
    variants = {  # Medapati et al. 2025, arXiv:2503.03986, Table 3
        "criteo1tb_layernorm", "fastmri_layernorm", "imagenet_resnet_silu", "imagenet_vit_post_ln",
        "librispeech_conformer_gelu", "librispeech_deepspeech_tanh", "ogbg_gelu", "wmt_post_ln",
    }  # fmt: skip
    assert {f"algoperf/{name}@mini" for name in eight | variants} <= set(NATIVE)


def test_each_has_a_line_with_its_cost_and_targets():
    rows = {row["name"]: row for row in workloads.select(family="algoperf")}
    assert set(rows) == set(NATIVE)
    assert all(row["parameters"] and row["flops_per_step"] for row in rows.values())
    assert rows["algoperf/wmt_glu_tanh"]["target v0.5"] == 29.5779
    assert rows["algoperf/wmt_glu_tanh"]["target v1.0"] == 29.5779
    assert rows["algoperf/finewebedu_lm"]["target v0.6"] is None


@pytest.mark.parametrize("name", ["cifar", "imagenet_vit@mini", "finewebedu_lm@mini"])
def test_the_list_says_what_the_workload_is(name):
    (row,) = (row for row in workloads.select(family="algoperf") if row["name"] == f"algoperf/{name}")
    workload = workloads.load(f"algoperf/{name}")
    assert row["parameters"] == workloads.parameter_count(workload)
    assert row["flops_per_step"] == workloads.flops_per_step(workload)
    assert row["step_hint"] == workload.step_hint


def test_unknown_scales_and_workloads_are_refused():
    with pytest.raises(ValueError, match=re.escape("unknown workload 'algoperf/wmt@huge'")):
        workloads.load("algoperf/wmt@huge")
    with pytest.raises(ValueError, match=re.escape("unknown workload 'algoperf/wtm@mini'")):
        workloads.load("algoperf/wtm@mini")
