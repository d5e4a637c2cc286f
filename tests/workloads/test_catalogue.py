"""The catalogue: what it says without loading, its filters, and its description of one workload."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import workloads
from workloads import _catalogue


def names(**filters) -> list[str]:
    return [row["name"] for row in workloads.select(**filters)]


def test_names_and_families_are_listed_without_jax_and_without_samples():
    code = (
        "import sys, workloads; workloads.families(); workloads.select(family='mlp_ae'); "
        "sys.exit('jax' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_families_count_all_names_once():
    families = workloads.families()
    assert sum(row["members"] for row in families.values()) == len(workloads.names())
    assert len([row for row in families.values() if row["kind"] == "sampled"]) == 12
    assert families["image_conv"] == {
        "kind": "fixed",
        "members": 23,
        "example": "taskset/FixedImageConv_cifar10_32x64x64_bs128",
    }


def test_image_data_sets_are_counted_as_in_the_original():
    # How often each is drawn among seeds 0 to 99 of the seven image families, as counted by others.
    drawn = {
        "fashion_mnist": 84, "imagenet_resized/32x32": 80, "sun397_32x32": 78, "cifar100": 78, "mnist": 75,
        "coil100_32x32": 67, "cifar10": 65, "food101_32x32": 64, "imagenet_resized/16x16": 55,
        "deep_weeds_32x32": 54,
    }  # fmt: skip
    rows = workloads.select(kinds=("sampled",))
    assert {name: sum(row["data"] == name for row in rows) for name in drawn} == drawn
    assert sum(row["data"] == "generated" for row in rows) == 200
    fixed = workloads.select(kinds=("fixed",))
    counts = {"cifar10": 33, "generated": 26, "mnist": 21, "imdb_reviews": 12, "food101": 6, "lm1b": 5}
    for name, count in counts.items():
        assert len(names(kinds=("fixed",), data=name)) == count
    assert len(fixed) == 109


def test_a_data_set_is_met_by_its_beginning_but_not_by_a_part_of_a_word():
    assert {row["data"] for row in workloads.select(data="mnist")} == {"mnist"}
    assert {row["data"] for row in workloads.select(data="cifar10")} == {"cifar10"}
    assert {row["data"] for row in workloads.select(data="imagenet_resized", kinds=("sampled",))} == {
        "imagenet_resized/16x16",
        "imagenet_resized/32x32",
    }


def test_filters_are_all_met():
    assert names(family="mlp_family", seeds=range(3, 5)) == [f"taskset/mlp_family_seed{k}" for k in (3, 4)]
    assert names(seeds=[1234], family="nvp_family") == ["taskset/nvp_family_seed1234"]
    assert names(family="mlp_family", kinds=("fixed",)) == []
    assert "algoperf/mnist" in names(data="mnist")
    assert "clicks/mlp" in names(kinds=("own",))


def test_costs_are_counted_only_where_a_filter_asks():
    (cheap,) = workloads.select(family="quadratic_family", seeds=[8], max_parameters=44, max_flops=4 * 44**2)
    # x -> A x in 44 dimensions, and the transpose for the gradient.
    assert (cheap["parameters"], cheap["flops_per_step"]) == (44, 2 * 2 * 44 * 44)
    assert workloads.select(family="quadratic_family", seeds=[8], max_parameters=43) == []
    assert workloads.select(family="quadratic_family", seeds=[8], max_flops=7743) == []
    (unasked,) = workloads.select(family="quadratic_family", seeds=[8])
    assert "parameters" not in unasked


def test_wrong_filters_are_refused_with_a_suggestion():
    with pytest.raises(ValueError, match="unknown family 'mlp_famly'; did you mean 'mlp_family'"):
        workloads.select(family="mlp_famly")
    with pytest.raises(ValueError, match="no data set 'minst' here; did you mean 'mnist'"):
        workloads.select(family="mlp_family", data="minst")


def test_a_description_holds_the_config_the_costs_and_the_data():
    name = "taskset/mlp_family_seed15"
    row = workloads.describe(name)
    assert json.loads(json.dumps(row)) == row
    assert row["config"]["layer_sizes"] == [18]
    assert (row["name"], row["family"], row["kind"], row["seed"]) == (name, "mlp_family", "sampled", 15)
    assert row["parameters"] == 784 * 18 + 18 + 18 * 10 + 10
    assert row["flops_per_step"] == 2 * 158 * (2 * 784 * 18 + 3 * 18 * 10)
    assert row["data"].startswith("embedded: ")
    assert row["quirks"] == {}


@pytest.mark.parametrize(
    ("name", "quirks"),
    [
        ("taskset/mlp_family_seed1", {"just_train"}),
        ("taskset/mlp_family_seed3", {"augment_splits"}),
        ("taskset/rnn_text_classification_family_seed3", {"text_dataset", "just_train"}),
        ("taskset/char_rnn_language_model_family_seed3", {"lm_padding"}),
        ("taskset/FixedMAF_mnist_2layer_bs64", {"maf_masks", "maf_kernel_constraint"}),
        ("taskset/FixedNVP_mnist_9layer_thin_bs16", {"misnamed_tasks"}),
        ("taskset/FixedMLP_cifar10_Dropout05_128x128_relu_bs128", {"dropout_eval"}),
        ("taskset/FixedMLP_cifar10_BatchNorm_128x128x128_relu_bs128", {"batch_norm"}),
        ("taskset/FixedMLP_cifar10_LayerNorm_128x128x128_relu_bs128", set()),
        ("taskset/FixedImageConv_cifar10_batchnorm_32x64x64_bs128", {"batch_norm"}),
        ("taskset/losg_tasks_family_seed0", {"losg_data_seed"}),
        ("digits/conv", set()),
    ],
)
def test_the_quirks_of_a_task_are_those_that_change_it(name, quirks):
    assert set(workloads.entry(name).quirks) == quirks


def test_misnamed_tasks_are_those_that_the_builders_rename():
    modules = ("fixed_flows", "fixed_image_autoencoders")
    tables = [importlib.import_module(f"workloads.taskset.{module}").AS_NAMED for module in modules]
    assert {name for table in tables for name in table} == set(_catalogue.MISNAMED)
