"""Baseline curves: against the original's answers, by hand, and as files."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.baselines import (
    BaselineCurve,
    Baselines,
    lower_envelope,
    read_baselines,
    smoothed,
    training_losses,
    tuned_curve,
    write_baselines,
)
from results.curves import CurveArchive, archives_to_table, write_table

STEPS = np.array([0.0, 10.0, 20.0, 30.0])
MINI = Path(__file__).resolve().parents[2] / "docs/medapati2025-mini/studies.parquet"


@pytest.fixture(scope="module")
def golden(shared) -> dict[str, np.ndarray]:
    path = shared / "data/learned_optimizer_golden/normalizer.npz"
    if not path.exists():
        pytest.skip("needs the golden of VeLOdrome's normalisers")
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


@pytest.mark.parametrize("kind", ["best_of_four", "adam"])
@pytest.mark.parametrize(
    "task",
    [
        "ImageMLP_FashionMnist8_Relu32",
        "ImageMLP_Cifar10_8_Relu32",
        "RNNLM_lm1bbytes_Patch32_LSTM128_Embed64",
    ],
)
def test_steps_are_those_of_the_original(golden, kind, task):
    x, y, loss, steps = (golden[f"{kind}/{task}/{name}"] for name in ("x", "y", "loss", "steps"))
    # The original interpolates in float32: steps of 1e5 are rounded to 0.0078, half of which is 0.0039.
    np.testing.assert_allclose(BaselineCurve(x, y).steps_to(loss), steps, rtol=0, atol=0.004)
    assert {0.0, 100_000.0} <= set(steps.tolist())  # NaN, infinities and losses off the curve are among them


def test_both_released_formats_are_read(golden, tmp_path):
    tasks = ("ImageMLP_FashionMnist8_Relu32", "ImageMLP_Cifar10_8_Relu32")
    pairs = {k: {t: [golden[f"{k}/{t}/{a}"] for a in "xy"] for t in tasks} for k in ("best_of_four", "adam")}
    lines = [
        f'"{t}":{json.dumps([one.tolist() for one in pair])}' for t, pair in pairs["best_of_four"].items()
    ]
    released = tmp_path / "speedup_over_multiple_baselines.json"
    released.write_text("{\n" + ",\n".join(lines) + "\n}")
    misnamed = tmp_path / "speedup_over_adam.pkl"
    with misnamed.open("wb") as file:
        np.savez_compressed(file, **{t: np.array(pair) for t, pair in pairs["adam"].items()})  # type: ignore[arg-type]
    four, adam = (read_baselines([path]) for path in (released, misnamed))
    assert set(four.curves) == set(adam.curves) == set(tasks)
    for kind, found in (("best_of_four", four), ("adam", adam)):
        for task in tasks:
            np.testing.assert_array_equal(found.curves[task].steps, pairs[kind][task][0])
            np.testing.assert_array_equal(found.curves[task].losses, pairs[kind][task][1].astype(np.float32))
    # The best of four is nowhere above Adam alone, so together they are the best of four.
    both = read_baselines([released, misnamed])
    np.testing.assert_array_equal(both.curves[tasks[0]].losses, four.curves[tasks[0]].losses)


def test_steps_by_hand():
    # From 4 to 2 in 10 steps, flat for 10, to 1 in 10.
    curve = BaselineCurve(STEPS, np.array([4.0, 2.0, 2.0, 1.0]))
    asked = [4.0, 3.0, 2.0, 1.75, 1.0, 5.0, 0.5]
    assert curve.steps_to(np.array(asked)).tolist() == [0.0, 5.0, 10.0, 22.5, 30.0, 0.0, 30.0]
    assert curve.steps_to(np.array([[math.nan, math.inf, -math.inf]])).tolist() == [[0.0, 0.0, 30.0]]


def test_a_curve_is_the_best_rate_at_every_step_by_hand():
    # Rate 0 diverges in one of two seeds after step 10; rate 1 is slow. Decay 1/2 from the first value on:
    # rate 0: means 8 2 nan nan -> 8, 5, nan, nan; rate 1: means 8 6 4 2 -> 8, 7, 5.5, 3.75.
    # Best: 8 5 5.5 3.75, at 0, 15, 30: 8, 5.25, 3.75.
    losses = np.array([[[9, 1, 1, 1], [7, 3, math.nan, math.inf]], [[8, 6, 4, 2], [8, 6, 4, 2]]], np.float64)
    curve = tuned_curve(STEPS, losses, decay=0.5, points=3)
    assert curve.steps.tolist() == [0.0, 15.0, 30.0]
    assert curve.losses.tolist() == [8.0, 5.25, 3.75]


def test_where_all_rates_are_gone_the_curve_stays():
    losses = np.array([[[4, 3, math.nan, math.nan]]])
    assert tuned_curve(STEPS, losses, decay=0.0, points=4).losses.tolist() == [4.0, 3.0, 3.0, 3.0]
    with pytest.raises(
        ValueError, match="no trial has a finite training loss at its first evaluation, step 0"
    ):
        tuned_curve(STEPS, losses * math.nan)


def test_minus_infinity_is_no_loss_to_be_best_with():
    losses = np.array([[[4, -math.inf, -math.inf, -math.inf]], [[4, 3, 2, 1]]], np.float64)
    assert tuned_curve(STEPS, losses, decay=0.0, points=4).losses.tolist() == [4.0, 3.0, 2.0, 1.0]


def test_averages_are_the_originals_recursion():
    rng = np.random.default_rng(0)
    curve = rng.normal(size=50)
    expected = [curve[0]]
    for value in curve[1:]:
        expected.append(expected[-1] * 0.95 + 0.05 * value)
    np.testing.assert_allclose(smoothed(curve[None])[0], expected, rtol=1e-12)  # the same sums


@given(st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=30), st.floats(-5, 5))
def test_the_curves_own_losses_need_their_own_steps(drops, last):
    losses = last + np.concatenate([np.cumsum(drops)[::-1], [0.0]])
    rounded = losses.astype(np.float32)
    steps = 7.0 * np.arange(len(losses))
    curve = BaselineCurve(steps, losses)
    if (np.diff(rounded) < 0).all():  # strictly falling, in the precision that it is kept in
        np.testing.assert_array_equal(curve.steps_to(losses), steps)  # so its score against itself is 1


@given(
    st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=20), st.floats(-20, 20), st.floats(-20, 20)
)
def test_a_lower_loss_never_needs_fewer_steps(values, one, other):
    curve = BaselineCurve(np.arange(len(values)) * 10.0, np.sort(values)[::-1])
    low, high = sorted((one, other))
    steps = curve.steps_to(np.array([low, high]))
    assert 0 <= steps[1] <= steps[0] <= curve.last_step


def test_an_envelope_joins_curves_of_any_steps_and_one_end():
    coarse = BaselineCurve(np.array([0.0, 20.0]), np.array([4.0, 0.0]))
    fine = BaselineCurve(np.array([0.0, 5.0, 20.0]), np.array([4.0, 1.0, 1.0]))
    joined = lower_envelope([coarse, fine])
    assert joined.steps.tolist() == [0.0, 5.0, 20.0]
    assert joined.losses.tolist() == [4.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="curves end at steps 20 and 30"):
        lower_envelope([coarse, BaselineCurve(STEPS, np.array([4.0, 3.0, 2.0, 1.0]))])


@pytest.mark.parametrize(
    ("steps", "losses", "said"),
    [
        ([0.0, 1.0], [1.0], "must be a loss for each"),
        ([0.0, 0.0], [1.0, 1.0], "steps must ascend"),
        ([0.0, 1.0], [1.0, 2.0], "never rises"),
        ([0.0, 1.0], [1.0, math.nan], "1 entries that are not finite"),
        ([0.0, 1.0], [1e300, 1.0], "beyond float32"),
    ],
)
def test_what_is_no_curve_is_refused(steps, losses, said):
    with pytest.raises(ValueError, match=said):
        BaselineCurve(np.array(steps), np.array(losses))


def archive(task: str = "mlp_family_seed1", name: str = "adam_rates") -> CurveArchive:
    """Two rates, two seeds, three evaluations; the second rate diverges."""
    train = np.array([[[4, 3, 2], [4, 3, 2]], [[4, 1, math.nan], [4, 1, 1]]], np.float32)
    ys = np.full((2, 2, 3, 4), np.nan, np.float32)
    ys[..., 0] = train
    return CurveArchive(task, name, ("slow", "fast"), np.array([0, 10, 20]), ys)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "curves.parquet"
    write_table(path, archives_to_table([archive()], "made up"))
    return path


def test_trainings_become_curves_that_are_kept(table, tmp_path):
    made = read_baselines([table], decay=0.0, points=3)
    assert made.curves["mlp_family_seed1"].losses.tolist() == [4.0, 1.0, 1.0]
    assert made.of("taskset/mlp_family_seed1") is made.curves["mlp_family_seed1"]
    assert made.of("mlp_family_seed2") is None
    assert made.made_of["mlp_family_seed1"] == "2 points of adam_rates, 2 repeats, 3 evaluations, average 0"
    kept = tmp_path / "kept.parquet"
    write_baselines(kept, made)
    read = read_baselines([kept])
    np.testing.assert_array_equal(read.curves["mlp_family_seed1"].losses, [4.0, 1.0, 1.0])
    assert (read.made_of, read.data, read.notes) == (made.made_of, made.data, {})
    with pytest.raises(FileExistsError, match="is there already"):
        write_baselines(kept, made)
    with pytest.raises(ValueError, match=r"ends in \.parquet"):
        write_baselines(tmp_path / "kept.csv", made)


def test_an_average_that_lags_behind_is_told_and_the_telling_is_kept(table, tmp_path):
    made = read_baselines([table])
    assert "the moving average of 20 evaluations lags behind curves of 3" in made.notes["mlp_family_seed1"]
    write_baselines(tmp_path / "kept.parquet", made)
    assert read_baselines([tmp_path / "kept.parquet"]).notes == made.notes


def test_several_baselines_are_pooled_before_they_are_averaged(tmp_path):
    # Separately averaged with decay 1/2 and interpolated at 0 and 20 alone, then joined, the end would be the same;
    # at 10 the pooled curve has min(3.5, 2.5) of the two.
    paths = []
    for number, (name, curve) in enumerate((("adam", [4.0, 3.0, 2.0]), ("radam", [4.0, 1.0, 5.0]))):
        ys = np.full((1, 1, 3, 4), np.nan, np.float32)
        ys[0, 0, :, 0] = curve
        paths.append(tmp_path / f"{number}.parquet")
        one = CurveArchive("mlp_family_seed1", name, ("only",), np.array([0, 10, 20]), ys)
        write_table(paths[-1], archives_to_table([one], "made up"))
    pooled = read_baselines(paths, decay=0.5, points=3).curves["mlp_family_seed1"]
    assert pooled.losses.tolist() == [4.0, 2.5, 2.5]  # averages: 4, 3.5, 2.75 and 4, 2.5, 3.75


def test_packed_results_have_the_losses_that_they_are_judged_by():
    found = training_losses(MINI)
    assert found.table["workload"].unique().to_list() == ["algoperf/criteo1tb@mini"]
    assert len(found.left_out) == 7
    assert "is judged by" in found.left_out[0].reason
    sweep = found.table.filter(contender="lr-sweep-wd-0.5")
    assert sweep.select("point", "repeat").n_unique() == 25
    assert sorted(sweep["place"].unique()) == [0, 1, 2, 3, 4]
    drawn = dict(found.table.select("contender", "drawn").unique().iter_rows())
    assert drawn["random"]
    assert not drawn["lr-sweep-wd-0.5"]


def test_of_several_contenders_one_may_be_the_baseline():
    alone = read_baselines([MINI], decay=0.0, only=["lr-sweep-wd-0.0001"])
    every = read_baselines([MINI], decay=0.0)
    assert "5 points of nadamw_optax" in alone.made_of["algoperf/criteo1tb@mini"]
    curves = [one.curves["algoperf/criteo1tb@mini"] for one in (alone, every)]
    assert (curves[0].losses >= curves[1].losses).all()
    assert (curves[0].losses > curves[1].losses).any()
    with pytest.raises(ValueError, match="no trainings of 'lr-sweep'"):
        read_baselines([MINI], only=["lr-sweep"])


def bad_zip() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, task=np.array([{"a": 1}], dtype=object))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b'{"task": [[0, 1]]}', "not VeLOdrome's curves"),
        ("a.json", b'{"task": [[0, 1], ["a", 1]]}', "a.json: task: "),
        ("a.json", b'{"task": [[0, 1], [1, 2]]}', "a.json: task: losses.1. is above"),
        ("a.json", b"{}", "holds no curves"),
        ("a.pkl", b"\x80\x04N.", "a real pickle is never opened here"),
        ("a.pkl", b"PK\x03\x04 and no more", "not an archive of arrays"),
        ("a.npz", bad_zip(), "not an archive of arrays"),
        ("a.txt", b"", "not baseline curves"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        read_baselines([tmp_path / name])


def test_a_kept_file_with_a_workload_twice_is_refused(tmp_path):
    curve = BaselineCurve(STEPS, np.array([4.0, 3.0, 2.0, 1.0]))
    write_baselines(tmp_path / "a.parquet", Baselines({"a": curve}))
    table = pl.read_parquet(tmp_path / "a.parquet")
    pl.concat([table, table]).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="a workload has two curves"):
        read_baselines([tmp_path / "a.parquet"])
