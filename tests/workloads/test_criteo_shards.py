"""Criteo's click logs in AlgoPerf's layout: small shards of it, read through."""

import dataclasses
import itertools
import re
import shutil

import jax
import numpy as np
import pytest

import workloads
from submissions import api
from tests.workloads import click_logs
from tests.workloads.algoperf import golden
from tests.workloads.parting import assert_parts_make_the_whole, assert_turns_make_the_whole
from workloads.algoperf import _click_logs, criteo1tb
from workloads.data import criteo
from workloads.evaluation import Evaluator

TRAINING = [f"day_{day}_{shard:02}" for day in range(23) for shard in range(click_logs.SHARDS[day])]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("criteo1tb")
    return folder, click_logs.write(folder)


@pytest.fixture(scope="module")
def data(written):
    return _click_logs.read(written[0], 16)


@pytest.fixture
def folder(written, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(written[0], tmp_path / "criteo1tb")


@pytest.fixture
def small_blocks(monkeypatch):
    """A block ends within a line more often than not."""
    monkeypatch.setattr(criteo, "BLOCK", 1000)


def numbers(batches):
    """Which lines are in batches."""
    found = np.concatenate([np.rint(np.expm1(batch["inputs"][:, 0])) for batch in batches])
    return found.astype(int).tolist()


def of_shards(written, names):
    return [int(line.split("\t")[1]) for name in names for line in written[name]]


def take(data, first, count, seed=3, size=20):
    return list(itertools.islice(data.read("train", seed, size, first), count))


@golden.needs_golden
def test_lines_become_algoperfs_numbers():
    arrays, values = golden.components()
    inputs, targets = criteo.parse("".join(f"{line}\n" for line in values["criteo_lines"]).encode())
    assert inputs.dtype == targets.dtype == np.float32
    np.testing.assert_array_equal(inputs[:, 13:], arrays["criteo/inputs"][:, 13:])
    # A unit in the last place between two libraries' logarithms.
    np.testing.assert_allclose(inputs[:, :13], arrays["criteo/inputs"][:, :13], rtol=2.4e-7)
    np.testing.assert_array_equal(targets, arrays["criteo/targets"])


def test_what_is_left_out_is_0_or_the_category_of_zeros():
    line = "\t".join(["1", *["5"] * 13, *["00000000"] * 26])
    empty, negative, no_category = "\t" * 39, line.replace("5", "-7"), line.replace("00000000", "-1")
    inputs, targets = criteo.parse(f"{line}\n{empty}\n{negative}\n{no_category}\n".encode())
    np.testing.assert_allclose(inputs[0, :13], np.log(6), rtol=2.4e-7)
    assert not inputs[1:3, :13].any()
    assert (inputs[:, 13:] == inputs[0, 13:]).all()
    assert targets.tolist() == [1, 0, 1, 1]


def test_fingerprints_are_farmhashs():
    # `tf.fingerprint(..., "farmhash64")` of "000000000" and "0000000010".
    text = np.frombuffer(b"00000000", "<u8")
    found = [int(criteo.buckets(text, column, 2**64 - 1)[0]) for column in (0, 10)]
    assert found == [2271946735276985195, 2228973863545369937]


@pytest.mark.usefixtures("small_blocks")
def test_evaluations_see_every_line_once_in_order(written, data):
    lines = written[1]
    for split, shards in {"validation": range(19, 36), "test": range(19)}.items():
        expected = of_shards(lines, [f"day_23_{shard:02}" for shard in shards])
        batches = list(data.once(split, None, 16, data.size(split)))
        assert numbers(batches) == expected
        assert {len(batch["targets"]) for batch in batches[:-1]} == {16}
        assert data.size(split) == len(expected)
    of_training = numbers(data.read_once("train", 16))
    assert of_training == numbers(data.read_once("train", 9))
    assert sorted(of_training) == of_shards(lines, TRAINING)
    assert len({number // 14 for number in of_training[:32]}) > 2  # of several days


@pytest.mark.usefixtures("small_blocks")
def test_a_stream_begins_at_any_step_as_if_it_had_come_there(data):
    batches = take(data, 0, 40)
    for first in (1, 8, 9, 17, 33):
        for found, expected in zip(take(data, first, 40 - first), batches[first:], strict=True):
            jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert numbers(take(data, 0, 1, seed=4)) != numbers(batches[:1])


def test_a_batch_larger_than_the_split_is_refused(data):
    with pytest.raises(ValueError, match=r"batch_size 10000 exceeds the \d+ examples of split 'train'"):
        data.read("train", 0, 10_000, 0)


def test_an_epoch_is_all_shards_in_another_order_and_lines_as_they_lie(written, data):
    per_epoch = data.size("train") // 20
    batches = numbers(take(data, 0, 2 * per_epoch))
    epochs = batches[: 20 * per_epoch], batches[20 * per_epoch :]
    shard_of = {of_shards(written[1], [name])[0]: name for name in TRAINING}
    for epoch in epochs:
        names = [shard_of[number] for number in epoch if number in shard_of]
        assert of_shards(written[1], names)[: len(epoch)] == epoch
        assert len(set(epoch)) == len(epoch) > data.size("train") - 20
    assert epochs[0] != epochs[1]


def test_only_what_a_stream_needs_is_read(folder):
    data = _click_logs.read(folder, 16)
    names = numbers(take(data, 0, data.size("train") // 20))
    (folder / "day_0_00").unlink()
    (missing,) = [i for i, number in enumerate(names) if number == 1]
    # What lies before the first step is not opened. What is read ahead may reach the end of the epoch.
    assert numbers(take(data, missing // 20 + 1, 1)) == names[20 * (missing // 20 + 1) :][:20]


def test_shards_of_the_real_size_are_not_read_for_their_lines(folder, monkeypatch):
    monkeypatch.setattr(criteo, "LINES", 5)
    monkeypatch.setattr(criteo, "DAYS", tuple(5 * shards - 1 for shards in click_logs.SHARDS.values()))
    monkeypatch.setattr(criteo, "_count", lambda path: pytest.fail(f"{path} was read"))
    assert [shard.rows for shard in criteo.shards(folder)["train"]][:4] == [5, 4, 4, 4]
    # That they are as long as they are is then found at their end.
    with pytest.raises(ValueError, match=r"day_23_19: has more than the 5 lines"):
        list(_click_logs.read(folder, 16).read_once("validation", 16))


def test_a_last_line_needs_no_end(folder):
    path = folder / "day_23_19"
    path.write_bytes(path.read_bytes()[:-1])
    plain, cut = (list(_click_logs.read(where, 16).read_once("validation", 8)) for where in (folder, folder))
    assert numbers(plain) == numbers(cut)
    assert len(numbers(cut)) == _click_logs.read(folder, 16).size("validation")


def spoilt(folder, name, change):
    data = _click_logs.read(folder, 16)
    path = folder / name
    path.write_text(change(path.read_text()))
    return list(data.read_once("validation", 16))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("\t", " ", 1), r"day_23_20: line 1: .*Expected 40 columns, got 39"),
        (lambda text: re.sub("\n.*\n", "\n\n", text, count=1), r"day_23_20: line 2: an empty line"),
        (lambda text: "x" + text, r"day_23_20: line 1: .*error to float: invalid value 'x\d'"),
        (lambda text: text.replace("\n", "ab\n", 1), r"day_23_20: line 1: .*got a \d+-byte long string"),
        (lambda text: text[: text.index("\n") + 1], r"day_23_20: has 1 lines; \d were expected"),
        (lambda text: text + text, r"day_23_20: has more than the \d lines that were expected"),
    ],
    ids=["a column less", "an empty line", "no number", "a long category", "cut", "lengthened"],
)
def test_a_spoilt_shard_is_named(folder, change, said):
    with pytest.raises(ValueError, match=said):
        spoilt(folder, "day_23_20", change)


@pytest.mark.parametrize("name", ["day_4_00", "day_5_00", "day_23_00", "day_23_07", "day_23_35"])
def test_a_missing_shard_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is missing; AlgoPerf's dataset_setup makes"):
        criteo.shards(folder)


def test_a_missing_last_shard_of_a_whole_day_is_named(folder, monkeypatch):
    monkeypatch.setattr(criteo, "LINES", 5)
    monkeypatch.setattr(criteo, "DAYS", (10, 6, *criteo.DAYS[2:]))  # and one shard of day 1 is there
    with pytest.raises(FileNotFoundError, match="day_1_01 is missing"):
        criteo.shards(folder)


def test_days_make_the_splits_of_algoperf():
    assert sum(criteo.DAYS[:23]) == 4_195_197_692
    assert criteo.TEST_SHARDS * criteo.LINES == 95_000_000
    assert criteo.DAYS[23] - 95_000_000 == 83_274_637
    assert -(-criteo.DAYS[23] // criteo.LINES) == criteo.LAST_DAY_SHARDS


def test_the_workload_trains_and_is_evaluated_on_its_files(written, monkeypatch):
    narrow = dataclasses.replace(
        criteo1tb.BASE,
        options=dataclasses.replace(criteo1tb.Options(), rows=64, width=4, bottom=(8, 4), top=(8, 4)),
        batch_size=20,
    )
    monkeypatch.setattr(criteo1tb, "BASE", narrow)
    workload = workloads.load("algoperf/criteo1tb", written[0])
    assert workload.data.provenance.kind == "real"
    key = jax.random.key(0)
    params, state = workload.init(key)
    batch = next(workload.data.stream("train", key, 20))

    @jax.jit
    def losses(params, batch):
        return workload.losses(workload.apply(params, state, batch, key, False, 0.0)[0], batch, 0.0)[0]

    assert np.isfinite(losses(params, batch)).all()
    data = dataclasses.replace(workload.data, eval_batch_size=16)
    found = Evaluator(dataclasses.replace(workload, data=data)).metrics("validation", params, state)
    (validation,) = workload.data.read_once("validation", 1000)
    assert found["loss"] == pytest.approx(float(losses(params, validation).mean()), rel=1e-6)


@pytest.mark.skipif(not api.is_installed(), reason="AlgoPerf is not installed; docs/algoperf.md says how")
@pytest.mark.parametrize("split", ["validation", "test"])
def test_batches_are_those_of_an_installed_algoperf(written, data, split):
    from workloads.installed import _algoperf

    real = _algoperf.real_workload("criteo1tb")
    queue = real._build_input_queue(jax.random.PRNGKey(0), split, str(written[0]), 16)
    batches = list(data.once_filled(split, jax.random.key(0), 16, data.size(split)))
    assert len(batches) > 4
    for own in batches:
        theirs = next(queue)
        weights = np.asarray(theirs.get("weights", np.ones(16)), bool)
        np.testing.assert_array_equal(own.get("weights", np.ones(16)), weights)
        for name in ("inputs", "targets"):
            mine, other = np.asarray(own[name])[weights], np.asarray(theirs[name])[weights]
            assert mine.dtype == other.dtype
            # The logarithms of two libraries differ in the last place.
            np.testing.assert_allclose(mine, other, rtol=1.2e-7)
            np.testing.assert_array_equal(mine[..., 13:], other[..., 13:])


@pytest.mark.usefixtures("small_blocks")
def test_parts_of_several_processes_make_the_whole(data):
    assert_parts_make_the_whole(data, 20, 2, steps=12, first_step=1)  # more than an epoch
    assert_turns_make_the_whole(data, "test", 16, data.size("test"), 2)
    assert_turns_make_the_whole(data, "train", 16, 40, 2)
