"""Names, defaults, domains, and the scalars that a rule is run with."""

import json
import subprocess
import sys

import pytest

import submissions


def test_importing_the_table_needs_no_jax():
    code = "import sys, submissions; submissions.optimizer('nadamw_optax').prepare({'learning_rate': .1}, 10)"
    code += "; assert 'jax' not in sys.modules and 'optax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
def test_every_row_is_found_by_its_name_and_builds(name):
    optimizer = submissions.optimizer(name)
    prepared = optimizer.prepare({} if name == "zero" else {"learning_rate": 0.1}, total_steps=10)
    assert optimizer.name == name
    assert optimizer.reference
    assert hasattr(optimizer(prepared, 10), "update")


def test_an_adagrad_always_says_whose_it_is():
    assert {name for name in submissions.OPTIMIZERS if "adagrad" in name} == {"adagrad_tf", "adagrad_optax"}


def test_a_misspelt_optimizer_is_answered_with_the_closest():
    with pytest.raises(ValueError, match="unknown optimizer 'nadamw_optx'; did you mean 'nadamw_optax'"):
        submissions.optimizer("nadamw_optx")


def test_there_is_no_rule_called_just_nadamw():
    assert "nadamw" not in submissions.OPTIMIZERS


def test_canonical_fills_defaults_and_understands_other_spellings():
    given = {"learning_rate": 0.01, "one_minus_beta1": 0.25, "warmup_factor": 0.02}
    assert submissions.optimizer("nadamw_optax").canonical(given) == {
        "learning_rate": 0.01,
        "beta1": 0.75,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "weight_decay": 1e-4,
        "warmup_fraction": 0.02,
        "dropout_rate": 0.0,
        "label_smoothing": 0.0,
    }


def test_canonical_of_canonical_changes_nothing():
    optimizer = submissions.optimizer("nadamw_optax")
    once = optimizer.canonical({"learning_rate": 0.01, "one_minus_beta1": 0.3})
    assert optimizer.canonical(once) == once


def test_the_names_do_not_depend_on_the_point():
    optimizer = submissions.optimizer("nadamw_algoperf")
    short = optimizer.prepare({"learning_rate": 0.01}, 100)
    long = optimizer.prepare({"dropout_rate": 0.1, "grad_clip": 1.0, "learning_rate": 0.01}, 100)
    assert list(short) == list(long)


def test_defaults_of_the_optax_rule_are_optaxs():
    import inspect

    import optax

    theirs = inspect.signature(optax.nadamw).parameters
    ours = submissions.optimizer("nadamw_optax").canonical({"learning_rate": 1.0})
    names = {"beta1": "b1", "beta2": "b2", "epsilon": "eps", "weight_decay": "weight_decay"}
    assert {ours[name] for name in names} == {theirs[name].default for name in names.values()}


# AlgoPerf truncates; T = 36189 at 2 % and 133333 at 2 % are where rounding to nearest gives one step more.
@pytest.mark.parametrize(
    ("total", "fraction", "steps"),
    [(36189, 0.02, 723), (133333, 0.02, 2666), (1000, 0.05, 50), (10, 0.0, 0), (30, 0.1, 3), (1, 0.5, 0)],
)
def test_warmup_steps_truncate_as_in_algoperf(total, fraction, steps):
    prepared = submissions.optimizer("nadamw_optax").prepare(
        {"learning_rate": 0.1, "warmup_fraction": fraction}, total
    )
    assert prepared["warmup_steps"] == steps == int(fraction * total)


def test_regularization_passes_through_unchanged():
    given = {"learning_rate": 0.1, "dropout_rate": 0.1, "label_smoothing": 0.2}
    prepared = submissions.optimizer("nadamw_optax").prepare(given, 10)
    assert (prepared["dropout_rate"], prepared["label_smoothing"]) == (0.1, 0.2)


def test_metz_configurations_of_the_grid_are_accepted_as_they_are(shared):
    grid = json.loads((shared / "facts" / "optimizers_golden.json").read_text())["nadamw_grid"]
    for name, config in grid.items():
        canonical = submissions.optimizer("nadamw_metz_code").canonical(config, where=name)
        assert {key: canonical[key] for key in config} == config


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        (
            {"learning_rate": 1, "weight_decy": 0.1},
            "point 7: nadamw_optax has no hyperparameter 'weight_decy'; did you mean 'weight_decay'?",
        ),
        ({"learning_rate": -0.1}, r"point 7: learning_rate is -0.1; learning_rate must lie in \(0, inf\)"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": 1, "beta1": 1.0}, r"beta1 is 1.0; beta1 must lie in \[0, 1\)"),
        (
            {"learning_rate": 1, "one_minus_beta2": 1.5},
            r"one_minus_beta2 is 1.5, so beta2 is -0.5; beta2 must lie in",
        ),
        ({"learning_rate": 1, "warmup_fraction": 1}, r"warmup_fraction must lie in \[0, 1\)"),
        (
            {"learning_rate": 1, "beta1": 0.9, "one_minus_beta1": 0.1},
            "beta1 and one_minus_beta1 both set beta1",
        ),
        ({"beta1": 0.9}, "point 7: nadamw_optax needs learning_rate; the point has beta1"),
    ],
)
def test_bad_points_are_refused_in_one_line(hyperparameters, message):
    with pytest.raises(ValueError, match=message) as caught:
        submissions.optimizer("nadamw_optax").canonical(hyperparameters, where="point 7")
    assert "\n" not in str(caught.value)


def test_a_schedule_needs_at_least_one_step():
    with pytest.raises(ValueError, match="total_steps is 0; must be at least 1"):
        submissions.optimizer("nadamw_optax").prepare({"learning_rate": 0.1}, 0)
