"""Published lists as data."""

from __future__ import annotations

import json
import math

import pytest

import lists
from submissions.taskset_grids import grid_point

METZ = {
    "metz2020/appendix_f": "paper_appendix_F_first50 (= old opt_list/nadamw_opt_list.txt, first 50)",
    "metz2020/opt_list": "current_opt_list_package_and_learned_optimization",
}
# Of the eight workloads left out, by lists of ours, as docs/lists.md has them; others miss none.
MISSED = {
    "mini/muon_optax": 1, "mini/shampoo_grafted": 1, "mini/ademamix": 1, "mini/sgd_optax": 2, "mini/lion_optax": 5,
}  # fmt: skip


def seeds_of(name):
    return [int(point.id.removeprefix("nadamw_grid_seed")) for point in lists.published(name).points]


@pytest.mark.parametrize("name", lists.PUBLISHED)
def test_every_published_list_opens_and_knows_its_name(name):
    published = lists.published(name)
    assert published.name == name
    if name.startswith("mini/"):  # ours, printed nowhere: it brings its proof, and says of which data
        assert published.made_by["left_out"] == len(published.workloads) == 8
        missed = MISSED.get(name, 0)
        assert published.made_by["trained"] == 8 - missed
        data = [published.made_by[f"data of {workload}"] for workload in published.workloads]
        assert all(str(said).startswith("embedded: ") for said in data)
    else:
        assert "arXiv:" in published.source


@pytest.mark.parametrize("name", lists.PUBLISHED)
def test_published_files_are_written_as_the_library_writes(name, tmp_path):
    from importlib import resources

    lists.write_list(tmp_path / "again.json", lists.published(name))
    stored = resources.files("lists").joinpath("published", *f"{name}.json".split("/"))
    assert (tmp_path / "again.json").read_bytes() == stored.read_bytes()


@pytest.mark.parametrize("name", METZ)
def test_metz_hyperparameters_are_the_samplers(name):
    published = lists.published(name)
    assert published.update_rule == "nadamw_metz_code"
    assert len(published.points) == 50
    for point, seed in zip(published.points, seeds_of(name), strict=True):
        assert dict(point.hyperparameters) == grid_point("nadamw_grid", seed)


@pytest.mark.parametrize("name", METZ)
def test_metz_orders_are_the_published_ones(name, shared):
    orders = json.loads((shared / "facts" / "opt_list_order.json").read_text())
    assert seeds_of(name) == orders[METZ[name]][:50]


def test_the_two_orders_of_metz_list_differ_as_known():
    paper, package = seeds_of("metz2020/appendix_f"), seeds_of("metz2020/opt_list")
    assert paper[:5] == [743, 342, 799, 611, 437]
    assert package[:5] == [251, 611, 799, 209, 739]
    assert len(set(paper) & set(package)) == 44
    assert [package.index(seed) for seed in paper[:9]] == [9, 8, 2, 1, 6, 7, 3, 16, 18]


def test_medapatis_list_is_the_papers_table_10():
    published = lists.published("medapati2025")
    assert published.update_rule == "nadamw_optax"
    assert published.penalty == 2.0
    assert [point.id for point in published.points] == ["173", "170", "197", "43", "104"]
    assert dict(published.points[0].hyperparameters) == {
        "learning_rate": 0.007188680089024849,
        "warmup_fraction": 0.1,
        "beta1": 0.9521079797438937,
        "beta2": 0.9545645606521953,
        "weight_decay": 0.020932289532959312,
        "dropout_rate": 0.0,
        "label_smoothing": 0.2,
    }


def test_medapatis_point_43_is_row_43_of_algoperfs_quasirandom_points(shared):
    golden = json.loads((shared / "facts" / "halton_golden.json").read_text())
    rows = next(rows for key, rows in golden.items() if key.startswith("unshuffled_num_dims_7"))
    u = rows[43]

    def log_scaled(x, low, high):
        return low * math.exp(x * math.log(high / low))

    expected = {
        "learning_rate": log_scaled(u[0], 1e-4, 1e-2),
        "warmup_fraction": [0.02, 0.05, 0.1][math.floor(u[1] * 3)],
        "beta1": 1 - log_scaled(u[2], 1e-3, 0.2),
        "beta2": 1 - log_scaled(u[3], 1e-3, 0.2),
        "weight_decay": log_scaled(u[4], 1e-4, 0.5),
        "label_smoothing": [0.0, 0.1, 0.2][math.floor(u[5] * 3)],
        "dropout_rate": [0.0, 0.1][math.floor(u[6] * 2)],
    }
    assert dict(lists.published("medapati2025").points[3].hyperparameters) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("medapati", "; did you mean 'medapati2025'?"),
        ("metz2020/optlist", "; did you mean 'metz2020/opt_list'?"),
        ("zzz", ""),
    ],
)
def test_an_unknown_list_is_answered_with_the_closest_and_all_names(name, hint):
    with pytest.raises(ValueError) as caught:
        lists.published(name)
    names = (
        "medapati2025, metz2020/appendix_f, metz2020/opt_list, mini/nadamw_optax, mini/adamw_optax, "
        "mini/schedule_free_adamw_optax, mini/soap, mini/muon_optax, mini/shampoo_grafted, mini/ademamix, "
        "mini/sgd_optax, mini/lion_optax"
    )
    assert str(caught.value) == f"no published list '{name}'{hint} (published: {names})"
