"""The sampled classifiers of images: configs exactly, shapes and parameter counts from the configs alone."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from tests.workloads.taskset import classifiers, published
from workloads import parameter_count
from workloads.taskset import _convolutions, conv_fc_family, conv_pooling_family, mlp_family
from workloads.taskset.quirks import RELEASED, Quirks

FAMILIES = {
    #                       module            characters of the published file
    "mlp_family": (mlp_family, 310_627),
    "conv_fc_family": (conv_fc_family, 444_935),
    "conv_pooling_family": (conv_pooling_family, 447_630),
}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("family", FAMILIES)
def test_configs_equal_the_golden_ones(shared, family, seed):
    published.assert_same(FAMILIES[family][0].sample(seed), published.golden_config(shared, family, seed))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_thousand_configs_fill_a_file_of_the_published_length(family):
    module, length = FAMILIES[family]
    assert published.characters(family, module.sample) == length


def test_convolutions_of_a_seed_are_the_same_in_both_families():
    # Both families have the offset 0, and draw their convolutions first.
    for seed in range(50):
        fc, pooling = conv_fc_family.sample(seed), conv_pooling_family.sample(seed)
        assert list(fc)[:5] == list(pooling)[:5]
        assert all(fc[field] == pooling[field] for field in list(fc)[:5])


def sizes(config) -> tuple[int, int, int, int]:
    """Side and channels of the last map, channels of the images, classes: from the config alone."""
    name, _, augmentation = config["dataset"]
    side, channels, classes = classifiers.PUBLISHED[name]
    side -= augmentation["crop_amount"] if augmentation else 0
    for (stride, _), padding in zip(config.get("strides", []), config.get("padding", []), strict=True):
        side = len(range(0, side if padding == "SAME" else side - 2, stride))
    return side, config.get("hidden_units", [channels])[-1], channels, classes


def dense_parameters(*widths: int) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(widths))


def expected_parameters(family, config) -> int:
    side, units, channels, classes = sizes(config)
    if family == "mlp_family":
        return dense_parameters(side**2 * units, *config["layer_sizes"], classes)
    pairs = itertools.pairwise([channels, *config["hidden_units"]])
    convolutions = sum((9 * inputs + config["use_bias"]) * outputs for inputs, outputs in pairs)
    if family == "conv_fc_family":
        return convolutions + dense_parameters(side**2 * units, *config["fc_hidden_units"], classes)
    return convolutions + dense_parameters(units, classes)


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_as_many_as_the_config_says(monkeypatch, family):
    classifiers.tiny_data(monkeypatch)
    module, _ = FAMILIES[family]
    counted = 0
    for seed in range(27):
        config = module.sample(seed)
        if sizes(config)[0] == 0:
            continue
        workload = module.build(None, seed)
        assert parameter_count(workload) == expected_parameters(family, config), seed
        assert workload.batch_size == config["dataset"][1]["bs"]
        assert workload.name == f"taskset/{family}_seed{seed}"
        counted += 1
    assert counted >= 26


# Of seeds 0 to 99: a VALID convolution meets a map of fewer than 3 pixels a side.
INVALID = {"conv_fc_family": [25, 33, 43, 56, 66], "conv_pooling_family": [33, 42, 43, 56, 66]}


@pytest.mark.parametrize("family", INVALID)
def test_convolutions_that_leave_nothing_are_refused(monkeypatch, family):
    classifiers.tiny_data(monkeypatch)
    module, _ = FAMILIES[family]
    assert [seed for seed in range(100) if sizes(module.sample(seed))[0] == 0] == INVALID[family]
    for seed in INVALID[family]:
        with pytest.raises(ValueError, match="is VALID and needs at least 3x3 pixels"):
            module.build(None, seed)


@pytest.mark.parametrize(
    ("image", "layer", "rows", "columns"),
    [
        # TensorFlow: SAME ceil(n / s), VALID ceil((n - 3 + 1) / s)
        ((7, 8, 1), (5, 1, "SAME"), 7, 8),
        ((7, 8, 1), (5, 2, "SAME"), 4, 4),
        ((7, 8, 1), (5, 1, "VALID"), 5, 6),
        ((7, 8, 1), (5, 2, "VALID"), 3, 3),
        ((3, 3, 1), (5, 2, "VALID"), 1, 1),
    ],
)
def test_maps_have_tensorflow_sizes(image, layer, rows, columns):
    assert _convolutions.map_shape(image, [_convolutions.Convolution(*layer)]) == (rows, columns, 5)


AUGMENTATION = {
    "crop_amount": 0,
    "flip_left_right": True,
    "flip_up_down": False,
    "do_color_aug": False,
    "brightness": 0.1,
    "saturation": 0.2,
    "hue": 0.1,
    "contrast": 0.2,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_tasks_share_a_program_where_only_the_data_differ(monkeypatch, family):
    classifiers.tiny_data(monkeypatch)
    module, _ = FAMILIES[family]
    arguments = {"bs": 8, "num_train": 2000, "num_classes": 10, "just_train": False}
    config = module.sample(2) | {"dataset": ["mnist", arguments, None], "center_data": True}

    def program(quirks=RELEASED, **changes):
        return module.from_config("test/shared", config | changes, quirks=quirks).shared.key

    assert program() == program(dataset=["fashion_mnist", arguments, None])
    assert program() == program(dataset=["mnist", arguments | {"num_train": 9, "just_train": True}, None])
    different = [
        program(dataset=["cifar10", arguments, None]),
        program(dataset=["mnist", arguments, AUGMENTATION]),
        program(center_data=False),
        program(activation="cos"),
        program(w_init=["random_normal", 0.5]),
        program(w_init=["random_normal", 0.6]),
        program(dataclasses.replace(RELEASED, truncated_normal="truncated")),
        program(Quirks(augment_splits="train_only"), dataset=["mnist", arguments, AUGMENTATION]),
    ]
    assert len({program(), *different}) == 1 + len(different)
