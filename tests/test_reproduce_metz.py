"""The protocol metz2020, tiny: a sweep, the list of it, the list elsewhere, and the report of all."""

from __future__ import annotations

import dataclasses
import json
from functools import partial

import jax.numpy as jnp
import pytest

import lists
import results
import workloads
from results import studies
from shortlist.reproduce_metz import reproduce_metz
from submissions import Seen
from submissions import optimizer as row_of
from tests.tuning.toy import toy_workload
from tuning.protocols import METZ, TaskScale
from tuning.protocols.run_tasks import tasks_of
from workloads import Metric, _registry

TASKS = ("toy/task_0", "toy/task_1")
ELSEWHERE = "toy/elsewhere"
TINY = TaskScale(
    tasks=TASKS, grids={"nadamw_grid": 4}, log10_rates=(-4.0, -3.0, -2.0, -1.0), steps=8, eval_period=2, eval_batches=1,
    repeats=1, size=2, resamplings=8, workloads=(ELSEWHERE,), transfer_log10_rates=(-3.0, -1.0), transfer_repeats=1,
)  # fmt: skip


def task(data_dir, name):
    """A toy that is judged by its loss, as TaskSet's tasks are."""
    toy = toy_workload(features=2 + int(name[-1]) if name in TASKS else 3, name=name)

    def metrics(*args):
        found = toy.metrics(*args)
        return {"loss": found["mse"], "examples": found["examples"]}

    return dataclasses.replace(
        toy, metrics=metrics, metric=Metric("loss", minimize=True), validation_target=0.5
    )


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Taken back, as other tests count the names."""
    for name in (*TASKS, ELSEWHERE):
        workloads.register(name)(partial(task, name=name))
    yield
    for name in (*TASKS, ELSEWHERE):
        del _registry._REGISTERED[name]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    out = tmp_path_factory.mktemp("metz")
    reproduce_metz(TINY, out, seed=3)
    return out


def test_the_report_has_the_figures_the_numbers_and_the_transfer(out):
    told = json.loads((out / "report" / "report.json").read_text())
    page = (out / "report" / "index.html").read_text()
    assert "a list of 2 equals random search of" in page
    assert "Data of the tasks: 2 synthetic." in page
    tables = {path.stem for path in (out / "report" / "tables").glob("*.csv")}
    assert {"published_and_ours", "worth", "list", "transfer_fractions", "transfer_trained"} <= tables
    assert told


def test_lists_come_from_the_grid_and_are_tried_elsewhere_beside_adam(out):
    costs = {c.optimizer_set: c for c in lists.task_costs(results.read_curves(out / "curves.parquet"))}
    assert set(costs) == {"nadamw_grid", "adam_lr"}
    chosen = lists.greedy_normalised(costs["nadamw_grid"].costs, 2)
    names = [costs["nadamw_grid"].points[p] for p in chosen.points]
    specs = {
        path.name: studies.read_spec(path) for path in studies.find_studies(out / "studies" / "transfer")
    }
    assert [point.id for point in specs["learnt"].points[ELSEWHERE]] == names
    assert [point.id for point in specs["published"].points[ELSEWHERE]] == [
        point.id for point in lists.published("metz2020/appendix_f").points[:2]
    ]
    assert [point.id for point in specs["adam"].points[ELSEWHERE]] == ["adam_lr_-3.00", "adam_lr_-1.00"]
    assert [point.id for point in lists.read_list(out / "metz2020.json").points] == names


def test_adam_is_a_special_case_of_the_lists_rule():
    from tuning.protocols._metz import adam_at

    (point,) = adam_at((-2.0,))
    grads = [{"x": jnp.array([0.3, -2.0, 1e-4])}, {"x": jnp.array([-0.1, 1.0, 0.0])}]

    def steps(name, hyperparameters):
        row = row_of(name)
        prepared = row.prepare(hyperparameters, 10, where="test")
        params = {"x": jnp.array([1.0, 2.0, 3.0])}
        found = []
        state = row.rule.init(None, prepared, params, None, 10)
        for step, grad in enumerate(grads):
            change, state = row.rule.update(
                None, prepared, grad, state, params, Seen(jnp.float32(1.0), step, None)
            )
            params = {"x": params["x"] + change["x"]}
            found.append(params["x"])
        return jnp.stack(found)

    special = steps("nadamw_metz_code", point.hyperparameters)
    plain = steps("adam1p", {"learning_rate": 0.01})
    assert jnp.allclose(special, plain, rtol=1e-6, atol=0)


def test_mini_has_a_hundred_tasks_of_all_twelve_families():
    tasks = METZ.scales["mini"].tasks
    assert tasks is not None
    assert len(set(tasks)) == len(tasks) >= 100
    families = {workloads.entry(name).family for name in tasks}
    assert len(families) == 12
    assert not [name for name in tasks if workloads.entry(name).rejected]


def test_full_is_every_task_that_is_not_rejected():
    tasks = tasks_of(METZ.scales["full"])
    assert len(tasks) == 1228


def test_a_scale_that_cannot_be_run_is_refused():
    with pytest.raises(ValueError, match="size is 20 but there are only 4 points of nadamw_grid"):
        dataclasses.replace(TINY, size=20)
    with pytest.raises(ValueError, match=r"no scale 'large' \(there is: mini, full\)"):
        reproduce_metz("large", None)
