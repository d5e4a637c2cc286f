"""The built-in submissions: what is in them, and where their lists come from."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import lists
import results
import submissions
from submissions.package import built_in
from submissions.package.built_in import BUILT_IN
from tests.submissions import training
from tests.submissions.algoperf_toy import hyperparameters, imported, train
from tests.submissions.test_packaged_rules import Waves

SWEEP = Path(__file__).parents[2] / "docs/taskset_sweep/nadamw_62_tasks.parquet"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    written = built_in.write_all(tmp_path_factory.mktemp("built_in"))
    return dict(zip(BUILT_IN, written, strict=True))


def stored(name):
    return json.loads(
        resources.files("submissions.package").joinpath("built_in_points", f"{name}.json").read_text()
    )


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_folder_has_the_points_or_the_ranges_of_its_row(folders, name):
    row, space = BUILT_IN[name], json.loads((folders[name] / "tuning_search_space.json").read_text())
    if row.points:
        assert len(space) == 5
        for point, original in zip(space, stored(row.points)["points"], strict=True):
            assert set(original.values()) <= set(point.values())
    else:
        own = submissions.optimizer(row.optimizer).search_space
        assert list(space.values()) == list(own.values())
    info = (folders[name] / "submission_info.yml").read_text()
    assert f'submission_folder: "{name}"' in info
    assert f'submission_name: "{row.title}"' in info


@pytest.mark.parametrize(
    ("name", "of"),
    [("medapati2025", "medapati2025"), ("metz2020", "metz2020/appendix_f")],
)
def test_stored_points_are_the_published_ones(name, of):
    published = lists.published(of)
    assert stored(name)["points"] == [dict(point.hyperparameters) for point in published.points[:5]]
    assert stored(name)["optimizer"] == published.update_rule


def test_the_list_of_our_own_is_what_the_stored_sweep_gives():
    built = lists.list_from_curves(results.read_curves(SWEEP), size=5).as_list("sweep")
    assert stored("taskset_sweep")["points"] == [dict(point.hyperparameters) for point in built.points]
    assert stored("taskset_sweep")["optimizer"] == built.update_rule


@pytest.mark.parametrize("row", BUILT_IN.values(), ids=BUILT_IN)
def test_stored_points_are_for_the_rows_optimizer(row):
    if row.points:
        assert stored(row.points)["optimizer"] == row.optimizer


@pytest.mark.parametrize("name", ["nadamw_medapati2025", "nadamw_metz2020", "nadamw_taskset_sweep"])
def test_all_points_of_a_list_train_finitely(folders, name, algoperf):
    submission, workload = imported(folders[name]), Waves(BUILT_IN[name].optimizer)
    for trial in range(5):
        path, _, _ = train(
            submission, workload, hyperparameters(folders[name], trial), 20,
            batch=lambda t: {"targets": np.full(4, t)}, leaf=lambda params: params["body"],
        )  # fmt: skip
        losses = [training.loss(x) for x in path]
        assert np.isfinite(losses).all()
        assert losses[-1] != losses[0]
    assert workload.traces == 1


def test_arguments_replace_the_tables(tmp_path):
    folder = built_in.write(
        "lion", tmp_path / "our_lion", authors="B. Author", name="Our lion", version="2.0"
    )
    info = (folder / "submission_info.yml").read_text()
    assert all(f'"{word}"' in info for word in ("B. Author", "Our lion", "2.0", "our_lion"))


def test_an_unknown_name_says_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="no built-in submission 'loin'; did you mean 'lion'"):
        built_in.write("loin", tmp_path / "x")


def test_all_are_written_or_none(tmp_path):
    (tmp_path / "muon").mkdir()
    (tmp_path / "muon" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="muon"):
        built_in.write_all(tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["muon"]
