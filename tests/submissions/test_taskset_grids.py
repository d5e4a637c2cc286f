"""TaskSet's optimizer settings against its own, number for number."""

import json
import math
import subprocess
import sys

import pytest

import submissions
from submissions.taskset_grids import GRIDS, grid, grid_names, grid_point

SAMPLED = [name for name, row in GRIDS.items() if row.sample]
# Characters of the file of seeds 0 to 999 that each sampler writes with the math module's exp and log.
CHARACTERS = {
    "adam1p_wide_grid": 90156,
    "adam4p_wide_grid": 181100,
    "adagrad_wide_grid": 143253,
    "adam6p_wide_grid": 264690,
    "adam8p_wide_grid": 321326,
    "nadamw_grid": 381432,
}


@pytest.mark.parametrize("name", SAMPLED)
def test_settings_match_tasksets_golden_ones(name, shared):
    golden = json.loads((shared / "facts" / "optimizers_golden.json").read_text())[name]
    assert len(golden) == 50
    for seed in range(50):
        got, expected = grid_point(name, seed), golden[f"{name}_seed{seed}"]
        assert list(got) == list(expected)
        assert got == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("name", SAMPLED)
def test_a_thousand_settings_have_the_characters_of_tasksets_file(name):
    lines = {f"{name}_seed{seed}": [grid_point(name, seed), name] for seed in range(1000)}
    body = ",\n".join(f'"{key}":{json.dumps(lines[key])}' for key in sorted(lines))
    assert len("{\n" + body + "\n}") == CHARACTERS[name]


def test_the_thousand_entries_of_nadamw_have_the_known_make_up():
    entries = [grid_point("nadamw_grid", seed) for seed in range(1000)]
    assert sum(e["warmup_fraction"] > 0 for e in entries) == 516
    assert sum(e["warmup_fraction"] > e["constant_fraction"] for e in entries) == 3
    assert sum(e["l2_weight_decay"] > 0 for e in entries) == 641
    assert sum(e["adamw_weight_decay"] > 0 for e in entries) == 686
    assert sum(e["use_nesterov"] for e in entries) == 502


@pytest.mark.parametrize("name", GRIDS)
def test_settings_are_accepted_by_the_grids_optimizer_as_they_are(name):
    optimizer = submissions.optimizer(grid(name).optimizer)
    for setting in grid_names(name, min(grid(name).size, 50)):
        point = grid_point(setting)
        canonical = optimizer.canonical(point, where=setting)
        assert {key: canonical[key] for key in point} == point


@pytest.mark.parametrize("kind", ["adam_lr", "adagrad_lr"])
def test_fixed_learning_rates_are_half_orders_of_magnitude(kind):
    names = grid_names(kind, 17)
    assert (names[0], names[7], names[-1]) == (f"{kind}_-7.00", f"{kind}_-3.50", f"{kind}_1.00")
    for name in names:
        rate = grid_point(name)["learning_rate"]
        assert math.log10(rate) == pytest.approx(float(name.rsplit("_", 1)[1]), abs=1e-12)


def test_equal_seeds_of_adam4p_and_adam8p_begin_alike():
    four, eight = grid_point("adam4p_wide_grid", 21), grid_point("adam8p_wide_grid", 21)
    assert {key: eight[key] for key in four} == four


def test_a_fixed_setting_cannot_be_changed_through_what_was_handed_out():
    grid_point("adam_lr_-3.00")["learning_rate"] = 5.0
    assert grid_point("adam_lr_-3.00") == {"learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adam8p_wide_gird_seed21",), r"unknown grid 'adam8p_wide_gird'; did you mean 'adam8p_wide_grid'"),
        (("adam_lr_-3.1",), r"unknown setting 'adam_lr_-3.1'; did you mean 'adam_lr_"),
        (("nadamw_grid",), r"unknown setting 'nadamw_grid'; did you mean 'nadamw_grid_seed0'"),
        (("nadamw_grid_seed007",), "unknown setting 'nadamw_grid_seed007'"),
        (("adam_lr", 3), "adam_lr takes no seed; its settings are adam_lr_-7.00, "),
        (("nadamw_grid", -1), r"seed is -1; must be from 0 to 4294952937 \(TaskSet has 0 to 999\)"),
        (("nadamw_grid", 2**32), "seed is 4294967296; must be from 0 to 4294952937"),
    ],
)
def test_unknown_settings_and_impossible_seeds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        grid_point(*arguments)


@pytest.mark.parametrize(("name", "size"), [("adam_lr", 17), ("zero", 1), ("nadamw_grid", 1000)])
def test_no_more_settings_are_named_than_there_are(name, size):
    assert len(set(grid_names(name, size))) == size
    with pytest.raises(ValueError, match=f"{size + 1} settings of {name}: it has {size}"):
        grid_names(name, size + 1)


def test_settings_need_no_jax():
    code = "import sys; from submissions import taskset_grids; taskset_grids.grid_point('nadamw_grid_seed3')"
    code += "; assert not {'jax', 'optax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
