"""Curve files: read as written, to the last bit, and refused with a reason where they are something else."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import polars as pl
import pytest

import lists
import results
from results import curves as curve_files
from results import studies
from results.curves import SPLIT_OF_ROLE, CurveArchive
from submissions.points import Point
from submissions.taskset_grids import grid_point
from tests.reports.fake_curves import GRID, POINTS, STEPS, TASKS, fake_archives


def same(a: CurveArchive, b: CurveArchive) -> bool:
    """Equal to the last bit, NaN included."""
    named = all(getattr(a, name) == getattr(b, name) for name in ("task", "optimizer_set", "optimizers"))
    return named and a.xs.tobytes() == b.xs.tobytes() and a.ys.tobytes() == b.ys.tobytes()


def test_archives_come_back_to_the_last_bit(tmp_path):
    for archive in fake_archives():
        path = curve_files.write_archive(tmp_path, archive)
        assert path == tmp_path / archive.task / f"{GRID}_1000_replica2.npz"
        assert same(curve_files.read_archive(path), archive)


def test_the_same_curves_give_the_same_bytes(tmp_path):
    first, second = (curve_files.write_archive(tmp_path / name, fake_archives()[0]) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_released_file_has_the_documented_keys(tmp_path):
    path = curve_files.write_archive(tmp_path, fake_archives()[0])
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == ["optimizers", "xs", "ys"]
        assert file["optimizers"].dtype.kind == "S"
        assert file["optimizers"][3] == b"nadamw_grid_seed3"
        assert file["xs"].tolist() == STEPS.tolist()
        assert (file["ys"].shape, file["ys"].dtype) == ((POINTS, 2, 11, 4), np.float32)


def released(folder, name="set_10_replica1.npz", **changes):
    """A file like a released one, with some arrays changed."""
    arrays = {
        "optimizers": np.array([b"a", b"b"]),
        "xs": np.array([0, 10]),
        "ys": np.zeros((2, 1, 2, 4), np.float32),
    }
    path = folder / "task" / name
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"xs": np.array([0.0, 10.0])},  # whole numbers as floats
        {"ys": np.zeros((2, 1, 2, 4), np.float64)},
        {"optimizers": np.array(["a", "b"])},
    ],
)
def test_harmless_differences_of_type_are_read(tmp_path, changes):
    archive = curve_files.read_archive(released(tmp_path, **changes))
    assert (archive.optimizers, archive.xs.tolist(), archive.ys.dtype) == (("a", "b"), [0, 10], np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ys": None}, "has the keys optimizers, xs; must have optimizers, xs, ys"),
        ({"more": np.zeros(1)}, "has the keys more, optimizers, xs, ys"),
        ({"ys": np.zeros((2, 1, 2, 3), np.float32)}, r"ys has shape \(2, 1, 2, 3\); must be"),
        ({"ys": np.zeros((2, 1, 2, 4), np.int32)}, "ys has dtype int32; must be floating point"),
        ({"ys": np.zeros((3, 1, 2, 4), np.float32)}, "optimizers has 2 names but ys 3 points"),
        ({"xs": np.array([0, 5, 10])}, "one whole number for each of the 2 steps"),
        ({"xs": np.array([10, 0])}, "ascend"),
        ({"xs": np.array([0, 20])}, "its name should be set_20_replica1.npz"),
        ({"optimizers": np.array([b"a", b"a"])}, "holds 'a' more than once"),
        ({"optimizers": np.array([1, 2])}, "must be a row of strings"),
        (
            {"optimizers": np.array([{}, {}], dtype=object)},
            "holds Python objects; only plain arrays are read",
        ),
    ],
)
def test_wrong_arrays_are_refused_by_name(tmp_path, changes, message):
    path = released(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as error:
        curve_files.read_archive(path)
    assert str(error.value).startswith(str(path))


def test_damaged_and_misnamed_files_are_refused(tmp_path):
    path = released(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="is damaged"):
        curve_files.read_archive(path)
    with pytest.raises(ValueError, match="is not named"):
        curve_files.read_archive(released(tmp_path, "curves.npz"))
    with pytest.raises(FileNotFoundError, match="no such file"):
        curve_files.read_archive(tmp_path / "set_1_replica1.npz")


def test_a_folder_in_place_of_a_file_is_refused_and_no_task_passed_over(tmp_path):
    released(tmp_path).parent.rename(tmp_path / "other")
    path = released(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises((ValueError, OSError), match=path.name):
        curve_files.read_curves(tmp_path)


def replica_means(folder, name="means.npz", **changes):
    """A file of means over replicas, with some arrays changed."""
    arrays = {"task_names": np.array(["t"]), "optimizers": np.array(["a", "b"]), "steps": np.array([0, 10])}
    arrays |= {split: np.zeros((1, 2, 2), np.float32) for split in ("train", "valid_inner", "valid_outer")}
    path = folder / name
    np.savez(path, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return path


def test_replica_means_are_told_from_released_files_by_what_they_hold(tmp_path):
    assert results.read_curves(replica_means(tmp_path)).tasks == ("t",)
    assert results.read_curves(replica_means(tmp_path, "set_10_replica1.npz")).tasks == ("t",)
    assert results.read_curves(released(tmp_path)).tasks == ("task",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train": None},
            "has the keys optimizers, steps, task_names, valid_inner, valid_outer; must have task_names",
        ),
        ({"train": None, "training": np.zeros(1)}, "has the keys optimizers, steps, task_names, training"),
        ({"task_names": None, "tasks": np.array(["t"])}, "has the keys optimizers, steps, tasks"),
        ({"steps": np.array([0, 5, 10])}, r"train has shape \(1, 2, 2\); must be \(1, 2, 3\)"),
    ],
)
def test_replica_means_with_a_wrong_key_are_told_which(tmp_path, changes, message):
    path = replica_means(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as error:
        results.read_curves(path)
    assert str(error.value).startswith(str(path))


def test_a_released_file_with_a_wrong_key_is_told_which(tmp_path):
    with pytest.raises(ValueError, match="has the keys optimizers, xs; must have optimizers, xs, ys"):
        results.read_curves(released(tmp_path, ys=None))


def test_an_array_file_that_is_damaged_is_said_to_be(tmp_path):
    for name in ("means.npz", "set_10_replica1.npz"):
        path = replica_means(tmp_path, name)
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ValueError, match="is damaged"):
            results.read_curves(path)


def test_a_kill_while_writing_leaves_no_file(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("workloads.data.files.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        curve_files.write_archive(tmp_path, fake_archives()[0])
    assert not curve_files.archive_paths(tmp_path)


def test_a_table_and_archives_convert_both_ways_without_loss(tmp_path):
    for archives in (fake_archives(), fake_archives(test=False)):
        table = curve_files.archives_to_table(archives, "made up")
        assert table.height == len(TASKS) * POINTS * 2
        path = tmp_path / "curves.parquet"
        curve_files.write_table(path, table)
        read = curve_files.read_table(path)
        assert read.equals(table)
        assert all(itertools.starmap(same, zip(curve_files.table_to_archives(read), archives, strict=True)))


def test_the_rows_of_a_table_are_curves():
    archive = fake_archives()[1]
    table = curve_files.archives_to_table([archive], "made up")
    row = table.row(2 * 7 + 1, named=True)  # config 7, replica 1
    assert (row["optimizer"], row["replica"], row["provenance"]) == ("nadamw_grid_seed7", 1, "made up")
    assert np.array_equal(row["valid_outer"], archive.ys[7, 1, :, 2], equal_nan=True)
    assert json.loads(row["hyperparameters"]) == {
        k: float(v) for k, v in grid_point(row["optimizer"]).items()
    }
    assert row["update_rule"] == "nadamw_metz_code"


def test_a_row_order_of_its_own_does_not_mix_up_curves():
    table = curve_files.archives_to_table(fake_archives()[:2], "made up")
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=3)
    order = {archive.task: archive for archive in curve_files.table_to_archives(shuffled)}
    for archive in fake_archives()[:2]:
        found = order[archive.task]
        rows = [found.optimizers.index(name) for name in archive.optimizers]
        assert found.ys[rows].tobytes() == archive.ys.tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("test"), "no column 'test'"),
        (lambda t: t.with_columns(extra=1), "unknown column 'extra'"),
        (lambda t: t.head(0), "has no rows"),
        (lambda t: t.head(5), "must have every replica once"),
        (
            lambda t: t.with_columns(replica=pl.lit("a")),
            "column 'replica' has the type String; must be Int32",
        ),
        (lambda t: t.with_columns(task=pl.lit(None, pl.String)), "'task' has 40 nulls"),
        (
            lambda t: t.with_columns(train=pl.col("train").list.head(3)),
            "a curve of train has not one loss for each of 11 steps",
        ),
    ],
)
def test_tables_that_are_none_are_refused(change, message):
    table = curve_files.archives_to_table(fake_archives()[:1], "made up")
    with pytest.raises(ValueError, match=message):
        curve_files.table_to_archives(change(table))


def test_task_names_are_one_per_line(tmp_path):
    path = tmp_path / "task_names.txt"
    path.write_text("mlp_family_seed12\n\nTwoD_Bowl10\n")
    assert curve_files.read_task_names(path) == ("mlp_family_seed12", "TwoD_Bowl10")
    for text, message in (
        ("", "holds no names"),
        ("a\na\n", "'a' appears more than once"),
        ("a b\n", "name 1"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            curve_files.read_task_names(path)


# Studies


def write_study(folder, archives, *, start: int = 0, missing: int = 0):
    """A study whose trials have the curves of archives; the last `missing` trials of the first task are not run."""
    names = [f"taskset/{archive.task}" for archive in archives]
    points = tuple(Point(name, grid_point(name)) for name in archives[0].optimizers)
    spec = studies.StudySpec(
        name="sweep", title="a sweep", role="candidates", optimizer="nadamw_metz_code",
        strategy={"name": "taskset-grid"}, points=dict.fromkeys(names, points), workloads=tuple(names), repeats=2,
    )  # fmt: skip
    studies.write_spec(folder, spec)
    for number, (name, archive) in enumerate(zip(names, archives, strict=True)):
        for repeat in range(2):
            rows = []
            for config, point in enumerate(points):
                ys = archive.ys[config, repeat, start:].astype(np.float64)
                rows.append(
                    {
                        "workload": name, "cohort": repeat, "repeat": repeat, "point": point.id,
                        "hyperparameters": json.dumps(dict(point.hyperparameters)), "status": "done",
                        "global_step": archive.xs[start:].tolist(), "cohort_seconds": 40.0,
                        "optimizer": "nadamw_metz_code", "data": "synthetic: of a formula",
                        **{
                            # As studies store it: null where a diverged trial has no value.
                            f"{role}/loss": [None if np.isnan(y) else y for y in ys[:, k].tolist()]
                            for k, role in enumerate(SPLIT_OF_ROLE)
                        },
                    }
                )  # fmt: skip
            kept = rows[: len(rows) - missing] if number == 0 and repeat == 1 else rows
            made = pl.DataFrame(kept, infer_schema_length=None)
            studies.write_cohort(folder, name, repeat, studies.as_parquet(made))
    return folder


def test_a_study_becomes_the_curves_that_it_trained(tmp_path):
    archives = fake_archives()[:3]
    sizes = {"taskset/mlp_family_seed0": 1234}
    table, left_out = curve_files.curves_of_studies(write_study(tmp_path / "study", archives), sizes)
    assert left_out == ()
    assert all(itertools.starmap(same, zip(curve_files.table_to_archives(table), archives, strict=True)))
    first = table.row(0, named=True)
    assert (first["parameters"], first["seconds"]) == (1234, 40.0 / POINTS)
    assert first["provenance"] == "study sweep, trained here; data: synthetic: of a formula"
    assert first["update_rule"] == "nadamw_metz_code"


def test_a_task_with_missing_trials_is_left_out_with_the_reason(tmp_path):
    folder = write_study(tmp_path / "study", fake_archives()[:2], missing=3)
    table, left_out = curve_files.curves_of_studies(folder)
    assert table["task"].unique().to_list() == [TASKS[1]]
    assert [item.reason for item in left_out] == ["3 of 40 trials are not run yet"]


def test_curves_that_begin_after_the_first_step_have_no_cost(tmp_path):
    folder = write_study(tmp_path / "study", fake_archives()[:2], start=1)
    with pytest.raises(ValueError, match="curves begin at step 100"):
        lists.task_costs(results.read_curves(folder))


def test_all_forms_of_the_same_curves_cost_the_same(tmp_path):
    archives = fake_archives()[:4]
    study = write_study(tmp_path / "study", archives)
    table = tmp_path / "curves.parquet"
    results.convert_curves(study, table)
    done = results.convert_curves(table, tmp_path / "files")
    assert (len(done.files), done.tasks, done.curves, done.left_out) == (4, 4, 160, ())
    back = tmp_path / "back.parquet"
    results.convert_curves(tmp_path / "files", back)
    found = [lists.task_costs(results.read_curves(p))[0] for p in (study, table, tmp_path / "files", back)]
    for costs in found:
        order = [costs.tasks.index(archive.task) for archive in archives]
        first = [found[0].tasks.index(archive.task) for archive in archives]
        assert costs.costs[:, order].tobytes() == found[0].costs[:, first].tobytes()
        assert costs.judging[:, order].tobytes() == found[0].judging[:, first].tobytes()
    with pytest.raises(FileExistsError, match="exists already"):
        results.convert_curves(study, table)


def test_numbers_of_parameters_go_into_a_table_whatever_the_source(tmp_path):
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"workloads": [{"name": f"taskset/{TASKS[0]}", "parameters": 1234}]}))
    table = tmp_path / "curves.parquet"
    curve_files.write_table(table, curve_files.archives_to_table(fake_archives()[:2], "made up"))
    for archive in fake_archives()[:2]:
        curve_files.write_archive(tmp_path / "files", archive)
    for source in (table, tmp_path / "files"):
        results.convert_curves(source, tmp_path / "out.parquet", facts=facts, overwrite=True)
        found = pl.read_parquet(tmp_path / "out.parquet").select("task", "parameters").unique()
        assert dict(found.iter_rows()) == {TASKS[0]: 1234, TASKS[1]: None}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "hyperparameters",
            "x",
            "'hyperparameters' has 'x': not valid JSON .*; must be a JSON object of numbers",
        ),
        ("hyperparameters", '{"learning_rate": "high"}', "learning_rate is 'high'; must be a finite number"),
        ("hyperparameters", "[1]", "must be a mapping of names to numbers"),
        ("seconds", -1.5, "'seconds' has -1.5; must be 0 or more"),
        ("seconds", float("nan"), "'seconds' has nan; must be 0 or more"),
        ("parameters", -1, "'parameters' has -1; must be 0 or more"),
    ],
)
def test_facts_that_cannot_be_are_refused(tmp_path, column, value, message):
    table = curve_files.archives_to_table(fake_archives()[:1], "made up")
    path = tmp_path / "curves.parquet"
    table.with_columns(pl.lit(value, table.schema[column]).alias(column)).write_parquet(path)
    with pytest.raises(ValueError, match=message) as error:
        curve_files.read_table(path)
    assert str(path) in str(error.value)


def losses(archive, value, splits=curve_files.SPLITS):
    ys = archive.ys.copy()
    for split in splits:
        ys[..., curve_files.SPLITS.index(split)] = value
    return dataclasses.replace(archive, ys=ys)


def test_nothing_is_chosen_by_losses_that_are_not_there(tmp_path):
    def costs(*archives):
        table = curve_files.archives_to_table(archives, "made up")
        curve_files.write_table(tmp_path / "curves.parquet", table)
        return lists.task_costs(results.read_curves(tmp_path / "curves.parquet"))[0]

    one, two = fake_archives()[:2]
    with pytest.raises(ValueError, match=f"task {TASKS[1]}, set {GRID}: no losses on valid_outer"):
        costs(one, losses(two, np.nan, ["valid_outer"]))
    with pytest.raises(ValueError, match=f"set {GRID}: no loss on valid_outer is finite"):
        costs(*(losses(archive, np.inf) for archive in (one, two)))
    # A task on which everything diverged tells no point from another, and spoils no other task.
    assert set(costs(one, losses(two, np.inf)).costs[:, 1]) == {1.0}
    # Losses of diverged trainings may be nearly as large as a float32 can be: no sum of them overflows.
    ys = one.ys.copy()
    ys[0, :, 1:] = 3e38
    assert costs(dataclasses.replace(one, ys=ys), two).costs[0, 0] == pytest.approx(1.0)


def test_costs_are_normalised_over_all_sets_of_a_task(tmp_path):
    # The second set reaches half the loss of the first everywhere, so nothing of the first is at 0.
    first = fake_archives()[:2]
    second = [dataclasses.replace(a, optimizer_set="better", ys=a.ys / 2) for a in first]
    for archive in (*first, *second):
        curve_files.write_archive(tmp_path, archive)
    by_name = {c.optimizer_set: c for c in lists.task_costs(results.read_curves(tmp_path))}
    losses = first[0].losses("valid_outer").astype(np.float64)
    low = np.nanmin(losses) / 2
    line = np.minimum((losses - low) / (losses[..., :1] - low), 1.0)
    expected = np.where(np.isnan(losses), 1.0, line).mean(axis=(1, 2))
    column = by_name[GRID].tasks.index(first[0].task)
    assert by_name[GRID].costs[:, column] == pytest.approx(expected, rel=1e-12)
    # (y - m) / (y0 - m) grows as m falls: the set that holds the lowest loss costs less.
    assert (by_name["better"].costs[:, column] < by_name[GRID].costs[:, column] + 1e-12).all()


def test_a_folder_with_one_file_of_curves_stands_for_it(tmp_path):
    folder = tmp_path / "curves"
    folder.mkdir()
    study = write_study(tmp_path / "study", fake_archives()[:1])
    results.convert_curves(study, folder / "mine.parquet")
    assert results.read_curves(folder).tasks == results.read_curves(folder / "mine.parquet").tasks
    results.convert_curves(study, folder / "other.parquet")
    with pytest.raises(
        ValueError, match=r"2 files of curves; give one of them \(mine.parquet, other.parquet\)"
    ):
        results.read_curves(folder)
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        results.read_curves(tmp_path / "nowhere")
