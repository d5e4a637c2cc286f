"""An installed AlgoPerf's workloads. Most tests need AlgoPerf itself; docs/algoperf.md says how to install it."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import workloads
from submissions import api
from tests.workloads import tfds_folders
from workloads import Regularization, ResidentData, StreamedData
from workloads.installed import _algoperf as _installed_algoperf

needs_algoperf = pytest.mark.skipif(
    not api.is_installed(), reason="AlgoPerf is not installed; docs/algoperf.md says how"
)

REGISTRY = """
import os
BASE = ['one']
WORKLOADS = {
  'one': {'workload_path': 'one/one', 'workload_class_name': 'One'},
  'one_two': {'workload_path': 'one/one', 'workload_class_name': 'Two'},
}
raise RuntimeError('this file is read, never run')
"""


def made_up_algoperf(folder: pathlib.Path, registry: str = REGISTRY) -> pathlib.Path:
    package = folder / "algoperf"
    (package / "workloads").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('this package is looked at, never imported')")
    (package / "spec.py").write_text("")
    (package / "workloads" / "workloads.py").write_text(registry)
    return folder


@pytest.fixture
def forgotten(monkeypatch):
    """As if nobody had imported AlgoPerf or what stands in for it."""
    for module in [m for m in sys.modules if m.partition(".")[0] == "algoperf"]:
        monkeypatch.delitem(sys.modules, module)


def test_names_are_read_from_the_source_without_importing_it(tmp_path, monkeypatch, forgotten):
    monkeypatch.syspath_prepend(made_up_algoperf(tmp_path))
    names = [name for name in workloads.names() if name.startswith("algoperf-installed/")]
    assert names == ["algoperf-installed/one", "algoperf-installed/one_two"]
    assert "algoperf" not in sys.modules
    assert workloads.entry("algoperf-installed/one_two").data == "one"
    with pytest.raises(ValueError, match=r"has no such workload; did you mean 'one_two"):
        workloads.load("algoperf-installed/one_too")


def test_an_algoperf_that_cannot_be_imported_says_so(tmp_path, monkeypatch, forgotten):
    monkeypatch.syspath_prepend(made_up_algoperf(tmp_path))
    monkeypatch.setattr(_installed_algoperf, "_prepare_process", lambda: None)
    with pytest.raises(ValueError, match=r"algoperf-installed/one: .* cannot import it: .* never imported"):
        workloads.load("algoperf-installed/one")


def test_an_unknown_form_of_the_registry_is_refused(tmp_path, monkeypatch, forgotten):
    monkeypatch.syspath_prepend(made_up_algoperf(tmp_path, "REGISTERED = {}"))
    with pytest.raises(ValueError, match="there is no table WORKLOADS"):
        workloads.names()


def test_without_algoperf_nothing_is_listed_and_loading_says_what_is_missing():
    # In a process without site-packages' algoperf: the finder that stands in for it must not be taken for it either.
    code = """
import sys
sys.modules["algoperf"] = None  # cannot be found
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "algoperf" else find(name, *rest)
import workloads
assert not any(name.startswith("algoperf-installed") for name in workloads.names())
try:
    workloads.load("algoperf-installed/mnist")
except ValueError as error:
    assert "there is no AlgoPerf on this machine" in str(error), error
else:
    raise AssertionError("loaded")
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="session")
def mnist_dir(tmp_path_factory) -> pathlib.Path:
    """60,000 and 10,000 images, as AlgoPerf insists: a bright row that depends on the label, in noise."""
    rng = np.random.default_rng(0)

    def examples(count: int) -> list[dict]:
        labels = rng.integers(10, size=count)
        images = rng.integers(0, 60, (count, 28, 28, 1)).astype(np.uint8)
        images[np.arange(count), 2 * labels + 4] = 255
        return [{"image": image, "label": label} for image, label in zip(images, labels, strict=True)]

    folder = tmp_path_factory.mktemp("data")
    features = {"image": tfds_folders.image(28, 28, 1), "label": tfds_folders.classes(10)}
    splits = {"train": examples(60_000), "test": examples(10_000)}
    tfds_folders.write(folder, "mnist:3.0.1", features, splits)
    return folder


@pytest.fixture(scope="session")
def mnist(mnist_dir):
    return workloads.load("algoperf-installed/mnist", mnist_dir)


@pytest.fixture(scope="session")
def streamed(mnist_dir, tmp_path_factory):
    """mnist as the larger data sets come."""
    from workloads.installed import _workload as _installed_workload

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_installed_workload, "RESIDENT", ())
        return workloads.load("algoperf-installed/mnist", mnist_dir)


@needs_algoperf
def test_every_number_is_the_installed_ones(mnist):
    real = _installed_algoperf.real_workload("mnist")
    assert (mnist.metric.name, mnist.metric.minimize) == ("accuracy", False)
    assert mnist.validation_target == real.validation_target_value == 0.97
    assert mnist.step_hint == real.step_hint == 7813
    assert mnist.max_runtime_seconds == real.max_allowed_runtime_sec == 60
    assert mnist.eval_period_seconds == real.eval_period_time_sec == 10
    assert mnist.loss_type == "SOFTMAX_CROSS_ENTROPY"
    assert workloads.parameter_count(mnist) == 101_770
    assert workloads.load("algoperf-installed/criteo1tb").metric.minimize


@needs_algoperf
def test_its_data_are_what_its_input_pipeline_makes(mnist, mnist_dir):
    import jax

    real = _installed_algoperf.real_workload("mnist")
    assert isinstance(mnist.data, ResidentData)
    for split in ("validation", "test"):
        queue = real._build_input_queue(jax.random.PRNGKey(0), split, str(mnist_dir), 10_000, False, False)
        batch = next(queue)
        np.testing.assert_array_equal(mnist.data.splits[split]["inputs"], batch["inputs"])
        np.testing.assert_array_equal(mnist.data.splits[split]["targets"], batch["targets"])
    ours = workloads.load("algoperf/mnist", mnist_dir)
    np.testing.assert_array_equal(mnist.data.splits["train"]["inputs"], ours.data.splits["train"]["inputs"])


@needs_algoperf
def test_its_loss_is_that_of_our_own_mnist(mnist, mnist_dir):
    import jax
    import jax.numpy as jnp

    params, model_state = mnist.init(jax.random.key(3))
    batch = {name: jnp.asarray(values[:32]) for name, values in mnist.data.splits["train"].items()}
    ours = workloads.load("algoperf/mnist", mnist_dir)
    for smoothing in (0.0, 0.2):
        losses = [
            w.loss(params, model_state, batch, jax.random.key(0), True, Regularization(0.0, smoothing))[0]
            for w in (mnist, ours)
        ]
        assert losses[0] == pytest.approx(float(losses[1]), rel=1e-6)  # a few float32 roundings


@needs_algoperf
def test_sums_agree_with_its_own_evaluation(mnist, streamed):
    import jax
    import jax.numpy as jnp

    params, model_state = mnist.init(jax.random.key(3))
    batch = {name: jnp.asarray(values) for name, values in mnist.data.splits["test"].items()}
    sums = mnist.metrics(params, model_state, batch, jax.random.key(0))
    found = streamed.measure.evaluate(params, model_state, "test", 10_000)
    assert found["accuracy"] == float(sums["accuracy"]) / float(sums["examples"])
    assert found["loss"] == pytest.approx(float(sums["loss"] / sums["examples"]), rel=1e-6)


@needs_algoperf
def test_streams_and_samples_of_training_examples_repeat_themselves(streamed):
    import jax

    assert isinstance(streamed.data, StreamedData)
    first, again, other = (
        next(streamed.data.stream("train", jax.random.key(seed), 64)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first["inputs"], again["inputs"])
    assert not np.array_equal(first["targets"], other["targets"])
    params, model_state = streamed.init(jax.random.key(3))
    found = [streamed.measure.evaluate(params, model_state, "train", 10_000) for _ in range(2)]
    assert found[0] == found[1]


@needs_algoperf
def test_a_population_trains_on_the_stream(streamed):
    from tests.tuning.toy import sgd
    from tuning.engine.population import Population

    rates = {"learning_rate": np.array([3e-2, 0.0])}
    curves = Population(streamed, sgd, 90, 30).run(rates, np.uint32([1, 1]), np.uint32([7]))
    trained, untrained = curves.metrics["validation/accuracy"]
    assert trained[-1] > 0.5
    assert (untrained == untrained[0]).all()
    assert {"train/loss", "validation/accuracy", "test/accuracy"} <= curves.metrics.keys()


@needs_algoperf
def test_a_broken_workload_says_that_it_is_broken():
    with pytest.raises(ValueError, match=r"cifar: broken in the installed AlgoPerf .* cannot be evaluated"):
        workloads.load("algoperf-installed/cifar")


@needs_algoperf
def test_facts_need_no_data_but_training_does(tmp_path):
    import jax

    fastmri = workloads.load("algoperf-installed/fastmri")
    assert workloads.facts(fastmri)["examples"] == {"train": 34_742, "validation": 3_554, "test": 3_581}
    with pytest.raises(ValueError, match="give data_dir"):
        fastmri.data.stream("train", jax.random.key(0), 32)
    with pytest.raises(FileNotFoundError, match="no prepared data set"):
        workloads.load("algoperf-installed/mnist", tmp_path)


@needs_algoperf
def test_a_speech_workload_insists_on_its_tokenizer(tmp_path):
    pytest.importorskip("tensorflow_text")
    with pytest.raises(FileNotFoundError, match=r"no .*spm_model\.vocab"):
        workloads.load("algoperf-installed/librispeech_conformer", tmp_path)
