"""fastMRI's volumes in AlgoPerf's layout: small ones, read through."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

import workloads
from submissions import api
from tests.workloads import knees
from tests.workloads.algoperf import golden
from tests.workloads.parting import assert_parts_make_the_whole, assert_turns_make_the_whole
from workloads.algoperf import _knees
from workloads.algoperf import fastmri as workload_file
from workloads.data import fastmri, mri, stateless
from workloads.evaluation import Evaluator

h5py = pytest.importorskip("h5py", reason="h5py is not installed; it is in the extra [algoperf]")
needs_algoperf = pytest.mark.skipif(
    not api.is_installed(), reason="AlgoPerf is not installed; docs/algoperf.md says how"
)
FIELDS = {"inputs", "targets", "mean", "std", "volume_max"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fastmri")
    knees.write(folder)
    return folder


@pytest.fixture(scope="module")
def data(written):
    return _knees.read(written, 12, 16)


@pytest.fixture
def folder(tmp_path):
    """One that may be spoilt."""
    knees.write(tmp_path, training=(2,), held_out=101)
    return tmp_path


def slices(folder, paths):
    """Every slice of volumes: frequencies, image, largest."""
    for path in paths:
        with h5py.File(folder / path) as file:
            yield from (
                (file["kspace"][i], file["reconstruction_esc"][i], file.attrs["max"])
                for i in range(len(file["kspace"]))
            )


def names(folder, kind):
    return sorted(str(path.relative_to(folder)) for path in (folder / f"knee_singlecoil_{kind}").iterdir())


def take(data, first, count, seed=3, size=4):
    return list(itertools.islice(data.read("train", seed, size, first), count))


def rows(batches):
    return [tuple(map(float, row.ravel())) for batch in batches for row in batch["targets"]]


@golden.needs_golden
def test_the_columns_of_evaluations_are_algoperfs():
    arrays, _ = golden.components()
    masks = [name for name in arrays.files if name.startswith("fastmri/eval_mask_W")]
    assert len(masks) == 20
    for name in masks:
        width = int(name.rpartition("W")[2])
        kept = mri.kept_columns(stateless.uniform((0, 0), width)[None])[0]
        np.testing.assert_array_equal(kept, np.unpackbits(arrays[name])[:width].astype(bool))


def test_numbers_of_a_seed_are_tensorflows():
    # tf.random.stateless_uniform((5,), [123, -5])
    expected = np.float32([0.2000202, 0.21850169, 0.38799536, 0.36431885, 0.7635497])
    np.testing.assert_array_equal(stateless.uniform((123, -5), 5), expected)
    many = stateless.uniform((7, 2**40), 40_000)
    np.testing.assert_array_equal(many[:9], stateless.uniform((7, 2**40), 9))
    assert many.mean() == pytest.approx(0.5, abs=5 / np.sqrt(12 * 40_000))
    assert 0 <= many.min() < 1e-3 < 0.999 < many.max() < 1


def test_evaluations_see_every_slice_once_in_order(written, data):
    paths = names(written, "val")
    for split, of_split in {"validation": paths[:100], "test": paths[100:]}.items():
        batches = list(data.once(split, None, 16, data.size(split)))
        assert {name: values.dtype.name for name, values in batches[0].items()} == dict.fromkeys(
            FIELDS, "float32"
        )
        assert [len(batch["mean"]) for batch in batches[:-1]] == [16] * (len(batches) - 1)
        found = {name: np.concatenate([batch[name] for batch in batches]) for name in FIELDS}
        expected = list(slices(written, of_split))
        assert len(expected) == data.size(split) == len(found["mean"])
        for i, (kspace, image, largest) in enumerate(expected):
            kept = mri.kept_columns(stateless.uniform((0, 0), kspace.shape[1])[None])[0]
            shown = mri.magnitudes((kspace * kept)[None], 12)[0]
            assert found["volume_max"][i] == largest
            assert found["mean"][i] == pytest.approx(shown.mean(), rel=1e-5)
            assert found["std"][i] == pytest.approx(shown.std(), rel=1e-5)
            for name, of in (("inputs", shown), ("targets", image)):
                normalised = (of - shown.mean()) / shown.std()
                np.testing.assert_allclose(found[name][i], np.clip(normalised, -6, 6), atol=1e-5)
    assert data.size("train") == 13


def test_a_stream_begins_at_any_step_as_if_it_had_come_there(data):
    batches = take(data, 0, 12)
    assert {values.shape for values in batches[0].values()} == {(4, 12, 12), (4,)}
    for first in (1, 2, 3, 7):
        for found, expected in zip(take(data, first, 12 - first), batches[first:], strict=True):
            jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert rows(take(data, 0, 1, seed=4)) != rows(batches[:1])


def test_an_epoch_has_a_slice_once_and_a_slice_keeps_its_columns(data):
    batches = take(data, 0, 6)
    first, second = batches[:3], batches[3:]
    assert len(set(rows(first))) == len(set(rows(second))) == 12
    assert rows(first) != rows(second)

    def by_volume(batches):
        return {
            (float(top), *map(float, np.unique(image * std + mean).round(4))): inputs
            for batch in batches
            for top, image, inputs, mean, std in zip(
                *(batch[name] for name in ("volume_max", "targets", "inputs", "mean", "std")), strict=True
            )
        }

    one, other = by_volume(first), by_volume(second)
    both = one.keys() & other.keys()
    assert len(both) >= 8
    for slice_ in both:
        np.testing.assert_array_equal(one[slice_], other[slice_])


def test_a_batch_larger_than_the_split_is_refused(data):
    with pytest.raises(ValueError, match="batch_size 14 exceeds the 13 examples of split 'train'"):
        data.read("train", 0, 14, 0)


def test_training_slices_are_evaluated_with_columns_of_their_own(data):
    once = next(iter(data.read_once("train", 13)))
    assert set(map(tuple, once["targets"].reshape(13, -1).tolist())) <= set(
        rows(take(data, 0, 6, seed=0, size=13))
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-50]),
            r"file1000000.h5: no HDF5, cut short or damaged",
        ),
        (lambda path: path.write_text("nothing"), r"file1000000.h5: no HDF5, cut short or damaged"),
        (
            lambda path: h5py.File(path, "a").pop("kspace"),
            r"file1000000.h5: 'kspace' is nothing; must be complex64 \[slice, row, column\]",
        ),
        (
            lambda path: knees.volume(path, np.random.default_rng(0), 2, 24, 20, 16),
            r"file1000000.h5: images of shape \(2, 16, 16\) to frequencies of \(2, 24, 20\); must be \(2, 12, 12\)",
        ),
        (lambda path: (path.unlink(), path.mkdir()), r"file1000000.h5: is a folder; give a file"),
        (lambda path: path.unlink(), r"has 100 volumes; the first 100 validate"),
    ],
    ids=["cut", "no HDF5", "nothing in it", "other images", "a folder", "too few"],
)
def test_a_spoilt_volume_is_named(folder, spoil, said):
    spoil(folder / "knee_singlecoil_val" / "file1000000.h5")
    with pytest.raises(ValueError, match=said):
        fastmri.volumes(folder, 12)


def test_a_missing_folder_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"knee_singlecoil_train: no \*.h5 in it; AlgoPerf's"):
        fastmri.volumes(folder / "knee_singlecoil_val", 12)


def test_what_is_missing_in_a_volume_while_it_is_read_is_named(folder):
    data = _knees.read(folder, 12)
    path = folder / "knee_singlecoil_val" / "file1000000.h5"
    with h5py.File(path, "a") as file:
        del file["reconstruction_esc"]
    with pytest.raises(
        ValueError, match=r"file1000000.h5: no HDF5, cut short or damaged: .*reconstruction_esc"
    ):
        list(data.read_once("validation", 50))


def test_the_workload_trains_and_is_evaluated_on_its_files(written, monkeypatch):
    options = dataclasses.replace(workload_file.Options(), side=12, channels=2, levels=1)
    narrow = dataclasses.replace(workload_file.BASE, options=options, batch_size=4)
    monkeypatch.setattr(workload_file, "BASE", narrow)
    workload = workloads.load("algoperf/fastmri_tanh", written)
    assert workload.data.provenance.kind == "real"
    key = jax.random.key(0)
    params, state = workload.init(key)
    batch = next(workload.data.stream("train", key, 4))

    @jax.jit
    def metrics(params, batch):
        outputs = workload.apply(params, state, batch, key, False, 0.0)[0]
        return workload_file.sums(outputs, batch)

    assert np.isfinite(float(metrics(params, batch)["loss"]))
    found = Evaluator(workload).metrics("test", params, state)
    (test,) = workload.data.read_once("test", 100)
    expected = metrics(params, test)
    assert found["ssim"] == pytest.approx(float(expected["ssim"] / expected["examples"]), rel=1e-5)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Of the size that AlgoPerf insists on."""
    folder = tmp_path_factory.mktemp("large")
    knees.write(folder, (1,), rows=640, widths=(368, 322, 372), side=320)
    return folder


@needs_algoperf
@pytest.mark.parametrize("split", ["validation", "test"])
def test_batches_are_those_of_an_installed_algoperf(large, split):
    from workloads.installed import _algoperf

    real = _algoperf.real_workload("fastmri")
    queue = real._build_input_queue(jax.random.PRNGKey(0), split, str(large), 40)
    data = _knees.read(large, 320)
    batches = list(data.once_filled(split, jax.random.key(0), 40, data.size(split)))
    for own in batches:
        theirs = next(queue)
        weights = np.asarray(theirs.get("weights", np.ones(40)), bool)
        assert own.keys() - {"weights"} == theirs.keys() - {"weights"} == FIELDS
        np.testing.assert_array_equal(own.get("weights", np.ones(40)), weights)
        for name in FIELDS:
            mine, other = np.asarray(own[name])[weights], np.asarray(theirs[name])[weights]
            assert mine.dtype == other.dtype
            # Two libraries' Fourier transforms in float32; in units of the deviation for images.
            np.testing.assert_allclose(mine, other, rtol=2e-6, atol=2e-5 if mine.ndim == 3 else 0)


@needs_algoperf
def test_a_slice_is_made_as_an_installed_algoperf_makes_it_of_the_same_seed(large):
    import importlib

    pipeline = importlib.import_module("algoperf.workloads.fastmri.input_pipeline")
    rng = np.random.default_rng(0)
    (volume,) = fastmri.volumes(large, 320)["train"]
    image = fastmri.read(volume, 0).image
    for width in (320, 368, 454):
        noise = rng.normal(size=(2, 640, width)).astype(np.float32)
        measured = fastmri.Slice((noise[0] + 1j * noise[1]).astype(np.complex64), image, 3.0)
        seed = tuple(rng.integers(0, 2**32, 2).tolist())
        shapes = np.array((640, width)), np.array((320, 320))
        theirs = pipeline._process_example(measured.frequencies, shapes[0], image, shapes[1], 3.0, seed)
        for name, values in _knees.example(measured, seed).items():
            np.testing.assert_allclose(values[0], theirs[name], rtol=2e-6, atol=2e-5)


def test_parts_of_several_processes_make_the_whole(data):
    assert_parts_make_the_whole(data, 4, 2, steps=5)  # more than an epoch
    assert_turns_make_the_whole(data, "test", 4, data.size("test"), 2)
    assert_turns_make_the_whole(data, "train", 4, 7, 2)
