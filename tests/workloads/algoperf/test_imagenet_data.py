"""ImageNet at full scale as its models see it; where AlgoPerf is installed, beside AlgoPerf's own pipeline."""

import csv
import dataclasses
import importlib.util
import itertools

import jax
import numpy as np
import pytest

from submissions import api
from tests.workloads import imagenet_folder
from tests.workloads.parting import assert_parts_make_the_whole, assert_turns_make_the_whole
from tuning.execution.trials.run import run
from workloads.algoperf import _build
from workloads.data import imagenet_augment, imagenet_images

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed; it is in [images]"
)
needs_algoperf = pytest.mark.skipif(
    not api.is_installed(), reason="AlgoPerf is not installed; docs/algoperf.md says how"
)
NAMES = ("imagenet_resnet", "imagenet_vit")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return imagenet_folder.write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module", params=NAMES)
def full(request, data_dir):
    return source(request.param, data_dir)


def source(name, data_dir):
    table = _build.base(name)
    assert table.read is not None
    return table.read(table.options, data_dir)


def take(data, first, count, batch_size=8, seed=3, split="train"):
    return list(itertools.islice(data.read(split, seed, batch_size, first), count))


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_stream_of_pictures_begins_at_any_step(full):
    batches = take(full, 0, 14)  # more than an epoch
    assert_same(take(full, 9, 5), batches[9:])
    assert not np.array_equal(batches[0]["inputs"], take(full, 0, 1, seed=4)[0]["inputs"])
    assert batches[0]["inputs"].shape == (8, 224, 224, 3)
    assert batches[0]["inputs"].dtype == np.float32
    assert np.isfinite(batches[0]["inputs"]).all()


def test_an_epoch_has_every_picture_once_augmented_anew(data_dir):
    resnet = source("imagenet_resnet", data_dir)
    batches = take(resnet, 0, 2, batch_size=83)
    labels = [batch["targets"].tolist() for batch in batches]
    assert sorted(labels[0]) == sorted(labels[1]) == sorted(7 * number % 1000 for number in range(83))
    assert labels[0] != labels[1]
    same = [
        np.array_equal(batches[0]["inputs"][place], batches[1]["inputs"][labels[1].index(label)])
        for place, label in enumerate(labels[0])
    ]
    assert sum(same) < 12  # some tiny ones are taken whole, or not flipped


def test_mixed_targets_are_shares_of_two_classes_that_the_pictures_have_too(data_dir):
    batch = take(source("imagenet_vit", data_dir), 0, 1)[0]
    resnet = take(source("imagenet_resnet", data_dir), 0, 1)[0]
    assert batch["targets"].shape == (8, 1000)
    np.testing.assert_allclose(batch["targets"].sum(1), 1, rtol=1e-6)
    own = batch["targets"][np.arange(8), resnet["targets"]]
    before = batch["targets"][np.arange(8), np.roll(resnet["targets"], 1)]
    np.testing.assert_allclose(own + before, 1, rtol=1e-6)
    assert np.ptp(own) < 1e-6  # one weight for the batch


def test_evaluations_see_every_picture_once_and_nothing_random(full):
    for split, size in (("validation", 37), ("test", 21)):
        batches = list(full.read_once(split, 16))
        assert [len(batch["targets"]) for batch in batches] == [16] * (size // 16) + [size % 16]
        assert len(set(np.concatenate([batch["targets"] for batch in batches]).tolist())) == size
        assert_same(batches[0], next(iter(full.read_once(split, 16))))
    (batch, *_) = full.read_once("train", 8)
    assert batch["targets"].tolist() == [7 * number for number in range(8)]  # in order, and not mixed


def test_a_picture_that_cannot_be_decoded_is_named(tmp_path):
    records = imagenet_folder.examples(6)
    records[4]["image"] = records[4]["image"][:300]
    imagenet_folder.write(tmp_path, validation=records, train=records)
    data = source("imagenet_resnet", tmp_path)
    what = r"imagenet2012-validation.tfrecord-00002-of-00003: record 0: its picture cannot be used: \w.*"
    with pytest.raises(ValueError, match=what) as found:
        list(data.read_once("validation", 4))
    assert "\n" not in str(found.value)


def test_a_damaged_record_is_named_not_told_of_by_tensorflow(tmp_path):
    folder = imagenet_folder.write(tmp_path, train=6, validation=3, test=3)
    path = folder / "imagenet2012/5.1.0/imagenet2012-train.tfrecord-00001-of-00003"
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    data = source("imagenet_resnet", tmp_path)
    with pytest.raises(
        ValueError, match=r"train.tfrecord-00001-of-00003: corrupt record at byte 0: .*payload"
    ):
        take(data, 0, 3)


def test_a_flip_is_of_half_the_pictures_and_a_crop_has_the_range_of_areas():
    tf = imagenet_images.tensorflow()
    seeds = [tf.constant([7, number], tf.int64) for number in range(200)]
    boxes = np.array([imagenet_images.box(tf.constant([300, 400, 3]), seed) for seed in seeds])
    area, aspect = boxes[:, 2] * boxes[:, 3] / 120_000, boxes[:, 3] / boxes[:, 2]
    # A pixel more or less of a side of 80 or more.
    assert 0.078 < area.min() < 0.2
    assert area.max() > 0.8
    assert 0.74 < aspect.min() < aspect.max() < 1.35
    content = imagenet_folder.picture(1)
    crops = [imagenet_images.trained(content, seed, 8).numpy() for seed in seeds[:40]]
    assert len({crop.tobytes() for crop in crops}) == 40


@pytest.mark.parametrize("name", imagenet_augment.OPERATIONS)
def test_an_operation_gives_bytes_and_only_moving_and_cutting_are_random(name):
    tf = imagenet_images.tensorflow()
    image = tf.constant(image_of("waves"))
    chances = [
        imagenet_augment.Chance(tf.constant(s), tf.constant(c))
        for s, c in ((1.0, [3, 150]), (-1.0, [120, 9]))
    ]
    one, other = (imagenet_augment.OPERATIONS[name](image, 1.0, chance).numpy() for chance in chances)
    assert one.shape == (224, 224, 3)
    assert one.dtype == np.uint8
    assert not np.array_equal(one, image)
    random = name.startswith(("rotate", "shear", "translate", "cutout"))
    assert np.array_equal(one, other) != random


def test_augmentation_is_a_function_of_its_seed_and_takes_all_operations(monkeypatch):
    tf = imagenet_images.tensorflow()
    image = tf.constant(image_of("waves", 32))
    first, again, other = (
        imagenet_augment.augmented(image, tf.constant(seed, tf.int64)).numpy()
        for seed in ([1, 2], [1, 2], [1, 4])
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    taken = []
    for name in imagenet_augment.OPERATIONS:
        monkeypatch.setitem(
            imagenet_augment.OPERATIONS,
            name,
            lambda image, level, chance, name=name: (taken.append(name), image)[1],
        )
    for number in range(150):
        imagenet_augment.augmented(image, tf.constant([0, number], tf.int64))
    assert set(taken) == set(imagenet_augment.OPERATIONS)
    assert len(taken) == 300


def image_of(kind, side=224):
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:side, :side][..., None] / side
    return {
        "noise": rng.integers(0, 256, (side, side, 3)),
        "waves": 127 + 70 * np.sin(7 * x + 4 * y + np.arange(3)) + 9 * rng.normal(size=(side, side, 3)),
        "dark": rng.integers(3, 40, (side, side, 3)) * [0, 1, 1],
        "constant": np.full((side, side, 3), [0, 128, 255]),
    }[kind].astype(np.uint8)


# Beside an installed AlgoPerf.


def theirs(module):
    return importlib.import_module(f"algoperf.workloads.imagenet_resnet.imagenet_jax.{module}")


@needs_algoperf
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_batches_of_evaluations_are_those_of_an_installed_algoperf(name, data_dir, split):
    from workloads.installed import _algoperf

    real = _algoperf.real_workload(name)
    queue = real._build_input_queue(
        jax.random.PRNGKey(0), split, str(data_dir), 8, cache=True, repeat_final_dataset=True
    )
    batches = list(source(name, data_dir).read_once(split, 8))
    assert len(batches) > 2
    for own in batches:
        expected, count = next(queue), len(own["targets"])
        np.testing.assert_array_equal(own["inputs"], expected["inputs"][:count])
        np.testing.assert_array_equal(own["targets"], expected["targets"][:count])
        assert not np.any(expected.get("weights", np.ones(count))[count:])


@needs_algoperf
@pytest.mark.parametrize("number", range(len(imagenet_folder.SIZES)))
def test_a_seed_gives_the_crop_and_the_flip_of_an_installed_algoperf(number):
    tf, pipeline = imagenet_images.tensorflow(), theirs("input_pipeline")
    content = imagenet_folder.picture(number)
    wanted = tf.function(
        lambda seed: pipeline.preprocess_for_train(
            content,
            seed,
            imagenet_images.MEAN,
            imagenet_images.DEVIATION,
            (0.75, 4 / 3),
            (0.08, 1.0),
            224,
            256,
        )
    )
    got = tf.function(lambda seed: imagenet_images.trained(content, seed, 224))
    for draw in range(6):
        seed = tf.constant([11, draw], tf.int64)
        np.testing.assert_array_equal(got(seed), wanted(seed))


@needs_algoperf
@pytest.mark.parametrize("kind", ["noise", "waves", "dark", "constant"])
@pytest.mark.parametrize("name", imagenet_augment.OPERATIONS)
def test_an_operation_at_every_level_is_that_of_an_installed_algoperf(name, kind, monkeypatch):
    tf, module = imagenet_images.tensorflow(), theirs("randaugment")
    their_name = "".join(part.capitalize() for part in name.split("_")).replace("Autoc", "AutoC")
    image = tf.constant(image_of(kind))
    for level, (sign, centre) in itertools.product(range(11), [(1.0, (100, 7)), (-1.0, (0, 223))]):
        at = iter(centre)

        def drawn(shape=(), minval=0, maxval=None, dtype=tf.float32, sign=sign, at=at):
            return tf.constant(next(at)) if dtype == tf.int32 else tf.constant(0.25 + 0.5 * (sign > 0))

        monkeypatch.setattr(module.tf.random, "uniform", drawn)
        function, _, arguments = module._parse_policy_info(their_name, 0.5, float(level), [128] * 3, 40, 100)
        wanted = function(image, *arguments)
        chance = imagenet_augment.Chance(tf.constant(sign), tf.constant(centre))
        got = imagenet_augment.OPERATIONS[name](image, level / 10, chance)
        np.testing.assert_array_equal(got, wanted, err_msg=f"level {level}, sign {sign}")


@needs_algoperf
def test_layers_are_those_of_an_installed_algoperf_once_operations_and_signs_are_the_same(monkeypatch):
    tf, module = imagenet_images.tensorflow(), theirs("randaugment")
    fold, image = tf.random.experimental.stateless_fold_in, tf.constant(image_of("waves"))
    monkeypatch.setattr(
        module.tf.random, "uniform", lambda *_, **more: tf.constant(3 if "shape" in more else 0.75)
    )
    chance = imagenet_augment.Chance(tf.constant(1.0), tf.constant([3, 3]))
    operations = tuple(imagenet_augment.OPERATIONS.values())
    for number in range(12):
        key = tf.constant([4, number], tf.int64)
        wanted, got = module.distort_image_with_randaugment(image, 2, 10, key), image
        for layer in range(2):
            key = fold(key, layer)
            which = int(tf.random.stateless_uniform([], key, maxval=16, dtype=tf.int32))
            got = operations[which](got, 1.0, chance)
            for place in range(16):
                key = fold(key, place)
        np.testing.assert_array_equal(got, wanted)


@needs_algoperf
def test_a_seed_mixes_as_an_installed_algoperf_does():
    tf, pipeline = imagenet_images.tensorflow(), theirs("input_pipeline")
    images = tf.random.stateless_normal([5, 6, 6, 3], [1, 2])
    labels = tf.constant([1, 999, 0, 5, 1], tf.int64)
    for number in range(5):
        seed = tf.constant([8, number], tf.int64)
        got, wanted = (
            imagenet_images.mixed(images, labels, seed, 1000),
            pipeline.mixup_tf(seed, images, labels, 0.2),
        )
        assert_same(got, wanted)


# The whole thing.


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_optimizer_trains_the_workload_on_its_files(name, tmp_path, monkeypatch):
    small = [
        {
            **imagenet_folder.examples(1)[0],
            "image": imagenet_folder.picture(number, (20 + number % 9, 24, "RGB")),
        }
        for number in range(1040)
    ]
    data_dir = imagenet_folder.write(tmp_path / "data", train=small, validation=50, test=20)
    table = _build.base(name)
    narrow = {
        "imagenet_resnet": {"stages": (1,), "filters": 2},
        "imagenet_vit": {"width": 8, "depth": 1, "heads": 1, "hidden": 8},
    }[name]
    options = dataclasses.replace(table.options, images=(32, 32, 3), **narrow)
    monkeypatch.setattr(
        importlib.import_module(f"workloads.algoperf.{name}"),
        "BASE",
        dataclasses.replace(table, options=options),
    )
    (done,) = run(
        optimizer="adam4p", workload=f"algoperf/{name}", data_dir=data_dir, experiment_dir=tmp_path,
        experiment_name="e", rng_seed=0, max_global_steps=2, eval_period_steps=1, isolated=False,
    )  # fmt: skip
    with (tmp_path / "e").joinpath(done.folder, "eval_measurements.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [int(row["global_step"]) for row in rows] == [1, 2]
    assert int(rows[0]["test/num_examples"]) == 20
    for row in rows:
        assert 6 < float(row["validation/loss"]) < 8  # ln 1000 = 6.9
        assert 6 < float(row["train/loss"]) < 8


def test_parts_of_several_processes_make_the_whole(full):
    assert_parts_make_the_whole(full, 8, 2, steps=2, first_step=9)  # across the end of an epoch
    assert_turns_make_the_whole(full, "validation", 16, 37, 2)
