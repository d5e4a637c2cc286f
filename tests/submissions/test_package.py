"""Packaged submissions: the folder, and the code in it, run as AlgoPerf runs it but without AlgoPerf."""

import ast
import inspect
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

import submissions
from submissions.package import package
from tests.submissions.algoperf_toy import Tilted, hyperparameters, imported, train

MEDAPATI = (  # Table 10 of arXiv:2503.03986, rows 1 and 2: values with all their digits
    {
        "learning_rate": 0.007188680089024849,
        "warmup_fraction": 0.1,
        "beta1": 0.9521079797438937,
        "beta2": 0.9545645606521953,
        "weight_decay": 0.020932289532959312,
        "dropout_rate": 0.0,
        "label_smoothing": 0.2,
    },
    {
        "learning_rate": 0.0011719210768906827,
        "warmup_fraction": 0.02,
        "beta1": 0.9641782560318817,
        "beta2": 0.9953311727740848,
        "weight_decay": 0.15957548811577366,
        "dropout_rate": 0.1,
        "label_smoothing": 0.0,
    },
)
METZ = {
    "learning_rate": 0.01,
    "beta1": 0.9,
    "beta2": 0.99,
    "epsilon": 0.001,
    "use_nesterov": 1.0,
    "adamw_weight_decay": 0.05,
    "l2_weight_decay": 0.02,
    "warmup_fraction": 0.2,
    "min_learning_rate_mult": 0.1,
    "constant_fraction": 0.5,
}
ABOUT = {"name": "My list", "authors": "A. Author", "provenance": "chosen by hand"}

# Float32 roundoff 6e-8, amplified by 1 / (1 - beta2) = 100 in the first corrections, over at most 50 updates.
FLOAT32 = 50 * 100 * 6e-8


NADAMW = [name for name in submissions.OPTIMIZERS if name.startswith("nadamw_")]


def points_for(rule):
    return [METZ] if "metz" in rule else [MEDAPATI[0]]


# ---- The rules -------------------------------------------------------------------------------------------


@pytest.fixture
def golden(shared):
    return json.loads((shared / "facts" / "nadamw_golden.json").read_text())["trajectories"]


@pytest.mark.parametrize(
    ("rule", "golden_rule", "nesterov"),
    [
        ("nadamw_optax", "optax", True),
        ("nadamw_algoperf", "algoperf", True),
        ("nadamw_metz_code", "metz_code", False),
        ("nadamw_metz_code_ported", "metz_code", True),
        ("nadamw_metz_code_ported", "metz_code", False),
    ],
)
def test_packaged_rule_follows_the_golden_trajectories(
    tmp_path, algoperf, golden, rule, golden_rule, nesterov
):
    rows = [row for row in golden if (row["rule"], row["nesterov"]) == (golden_rule, nesterov)]
    assert rows
    for number, row in enumerate(rows):
        point = {key: row[key] for key in ("learning_rate", "beta1", "beta2", "epsilon")}
        workload = Tilted()
        if "metz" in rule:
            # The golden learning rate is constant. The program as released never reads use_nesterov.
            configured = nesterov if rule == "nadamw_metz_code_ported" else not nesterov
            point |= {
                "use_nesterov": float(configured),
                "adamw_weight_decay": row["decoupled_weight_decay"],
                "l2_weight_decay": row["l2"],
                "constant_fraction": 1.0,
            }
        else:
            # ... and so is, to float32, the start of a cosine over a billion steps.
            workload.step_hint = 10**9
            point |= {"weight_decay": row["decoupled_weight_decay"], "warmup_fraction": 0.0}
        folder = package(tmp_path / f"golden{number}", **ABOUT, points=[point], optimizer=rule)
        path, _, _ = train(imported(folder), workload, hyperparameters(folder), 50)
        for t, expected in row["x_after_t"].items():
            np.testing.assert_allclose(path[int(t) - 1], expected, rtol=0, atol=FLOAT32)


def reference_learning_rate(rule, point, total, step):
    """The scheduled rate of update `step`, in float64, from the formulas."""
    lr = point["learning_rate"]
    if "metz" not in rule:
        warmup = int(point["warmup_fraction"] * total)
        if step < warmup:
            return lr * step / warmup
        return lr * (1 + np.cos(np.pi * (min(step, total) - warmup) / (total - warmup))) / 2
    step = min(step, total)
    pick = max if rule == "nadamw_metz_code_ported" else min
    warmup = total * pick(point["warmup_fraction"], point["constant_fraction"])
    if step < warmup:
        return lr * step / warmup
    constant = total * point["constant_fraction"]
    low = point["min_learning_rate_mult"] * lr
    return low + (lr - low) * (1 + np.cos(np.pi * (max(step, constant) - constant) / (total - constant))) / 2


def reference_path(rule, point, total, steps, start=Tilted.start):
    """x after 1, ..., steps updates in float64, from the formulas; shares nothing with the code."""
    b1, b2 = point["beta1"], point["beta2"]
    eps = point.get("epsilon", 1e-8)
    decay, l2 = point.get("weight_decay", point.get("adamw_weight_decay")), point.get("l2_weight_decay", 0.0)
    x = np.array(start)
    m, v, path = np.zeros(3), np.zeros(3), []
    for t in range(1, steps + 1):
        g = np.sin(0.7 * t + np.arange(3)) + 0.1 * x - l2 * x
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        v_hat, ahead = v / (1 - b2**t), b1 * m + (1 - b1) * g
        if rule == "nadamw_optax":
            u = (b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)) / (np.sqrt(v_hat) + eps)
            u = u + decay * x
        elif rule == "nadamw_algoperf":
            u = ahead / (1 - b1**t) / (np.sqrt(v_hat) + eps) + decay * x
        else:
            momentum = ahead if rule == "nadamw_metz_code_ported" and point["use_nesterov"] else m
            u = np.sqrt(1 - b2**t) / (1 - b1**t) * (momentum / (np.sqrt(v) + eps) + decay * x)
        x = x - reference_learning_rate(rule, point, total, t - 1) * u
        path.append(x)
    return path


@pytest.mark.parametrize("rule", NADAMW)
def test_packaged_rule_and_schedule_equal_the_formulas_and_go_on_past_the_step_hint(tmp_path, algoperf, rule):
    point = points_for(rule)[0]
    workload = Tilted()
    workload.step_hint = 20
    folder = package(tmp_path / "list", **ABOUT, points=[point], optimizer=rule)
    path, _, _ = train(imported(folder), workload, hyperparameters(folder), 24)
    np.testing.assert_allclose(path, reference_path(rule, point, 20, 24), rtol=0, atol=FLOAT32)


def test_gradient_clipping_scales_the_whole_gradient_and_zero_means_none(tmp_path, algoperf):
    paths = []
    for number, clip in enumerate((0.0, 1e9, 0.01)):
        point = {**MEDAPATI[0], "grad_clip": clip, "epsilon": 0.1}
        folder = package(tmp_path / f"clip{number}", **ABOUT, points=[point], optimizer="nadamw_algoperf")
        path, _, _ = train(imported(folder), Tilted(), hyperparameters(folder), 110)
        paths.append(path[-1])
    np.testing.assert_array_equal(paths[0], paths[1])
    # With this epsilon the size of a gradient matters, so the clipped run moves less.
    assert np.abs(paths[2] - Tilted.start).max() < np.abs(paths[0] - Tilted.start).max()


def test_masked_examples_count_neither_in_the_sum_nor_in_the_mean(tmp_path, algoperf):
    folder = package(tmp_path / "list", **ABOUT, points=[MEDAPATI[0]], optimizer="nadamw_optax")

    def padded(t):
        real = np.tile(np.sin(0.7 * t + np.arange(3)), (4, 1))
        return {"targets": np.vstack([real, 1e3 * real]), "weights": np.array([1, 1, 1, 1, 0, 0, 0, 0])}

    whole, _, _ = train(imported(folder), Tilted(), hyperparameters(folder), 5)
    masked, _, _ = train(imported(folder), Tilted(), hyperparameters(folder), 5, padded)
    np.testing.assert_allclose(masked, whole, rtol=1e-6)


# ---- AlgoPerf's interface --------------------------------------------------------------------------------


def test_empty_model_state_keeps_its_form_so_that_nothing_is_compiled_twice(tmp_path, algoperf):
    class StartsWithEmptyState(Tilted):  # as AlgoPerf's ViT: init gives {}, model_fn returns None
        def init_model_fn(self, rng):
            return super().init_model_fn(rng)[0], {}

    folder = package(tmp_path / "list", **ABOUT, points=[MEDAPATI[0]], optimizer="nadamw_optax")
    workload = StartsWithEmptyState()
    _, _, model_state = train(imported(folder), workload, hyperparameters(folder), 3)
    assert model_state == {}
    assert workload.traces == 1


def test_batch_statistics_are_carried_from_step_to_step(tmp_path, algoperf):
    class Counts(Tilted):
        def init_model_fn(self, rng):
            return super().init_model_fn(rng)[0], {"batch_stats": {"n": jnp.zeros(())}}

        def model_fn(self, params, batch, model_state, *args, **kwargs):
            logits, _ = super().model_fn(params, batch, model_state, *args, **kwargs)
            return logits, {"batch_stats": {"n": model_state["batch_stats"]["n"] + 1}}

    folder = package(tmp_path / "list", **ABOUT, points=[MEDAPATI[0]], optimizer="nadamw_optax")
    _, _, model_state = train(imported(folder), Counts(), hyperparameters(folder), 3)
    assert model_state["batch_stats"]["n"] == 3


def test_optimizer_state_is_a_pair_whose_first_half_holds_arrays_only(tmp_path, algoperf):
    folder = package(tmp_path / "list", **ABOUT, points=[MEDAPATI[0]], optimizer="nadamw_optax")
    _, state, _ = train(imported(folder), Tilted(), hyperparameters(folder), 3)
    saved, train_step = state  # AlgoPerf's checkpoints unpack exactly two and save the first
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(saved))
    assert saved[0].count == 3  # the first of the transformations that optax.nadamw chains
    assert callable(train_step)


def test_only_prepare_for_eval_waits_for_the_device(tmp_path, algoperf, monkeypatch):
    waited = []
    folder = package(tmp_path / "list", **ABOUT, points=[MEDAPATI[0]], optimizer="nadamw_optax")
    monkeypatch.setattr(jax, "block_until_ready", lambda x: waited.append(x) or x)
    train(imported(folder), Tilted(), hyperparameters(folder), 3)
    assert len(waited) == 3  # the loop prepares for an evaluation after every step


def test_dropout_rate_and_label_smoothing_reach_the_workload(tmp_path, algoperf):
    class Reports(Tilted):
        def init_model_fn(self, rng):
            return super().init_model_fn(rng)[0], {"seen": jnp.zeros(2)}

        def model_fn(self, params, batch, model_state, mode, rng, update_batch_norm, dropout_rate=0.5):
            self.dropout_rate = dropout_rate
            logits, _ = super().model_fn(params, batch, model_state, mode, rng, update_batch_norm)
            return logits, {"seen": jnp.stack([dropout_rate, self.label_smoothing])}

        label_smoothing = jnp.float32(0)

        def loss_fn(self, label_batch, logits_batch, mask_batch=None, label_smoothing=0.0):
            loss = super().loss_fn(label_batch, logits_batch, mask_batch)
            return loss | {"summed": loss["summed"] + label_smoothing * logits_batch.sum()}

    folder = package(tmp_path / "list", **ABOUT, points=MEDAPATI, optimizer="nadamw_optax")
    submission = imported(folder)
    _, _, seen = train(submission, Reports(), hyperparameters(folder, 1), 2)
    assert seen["seen"][0] == np.float32(0.1)

    smoothed = hyperparameters(folder, 0)
    path, _, _ = train(submission, Reports(), smoothed, 150)
    plain, _, _ = train(submission, Reports(), smoothed._replace(label_smoothing=0.0), 150)
    assert (path[-1] < plain[-1]).all()  # this loss_fn pushes down with label_smoothing


def test_batch_sizes_are_the_baselines_and_an_unknown_name_is_a_value_error(tmp_path, algoperf):
    folder = package(tmp_path / "list", **ABOUT, points=[MEDAPATI[0]], optimizer="nadamw_optax")
    submission = imported(folder)
    assert submission.get_batch_size("criteo1tb") == 262_144
    assert submission.get_batch_size("imagenet_resnet_silu") == 512
    # AlgoPerf retries a variant with its base's name on a ValueError and on nothing else.
    with pytest.raises(ValueError, match="wmt_post_ln"):
        submission.get_batch_size("wmt_post_ln")


def test_functions_have_the_parameters_that_algoperf_passes(tmp_path, algoperf):
    folder = package(tmp_path / "list", **ABOUT, points=[MEDAPATI[0]], optimizer="nadamw_optax")
    submission = imported(folder)
    common = "workload current_param_container current_params_types model_state hyperparameters loss_type "
    common += "optimizer_state eval_results global_step rng"
    assert set(inspect.signature(submission.update_params).parameters) == {*common.split(), "batch"}
    assert set(inspect.signature(submission.prepare_for_eval).parameters) == set(common.split())


def test_self_tuning_submission_carries_its_point_and_no_search_space(tmp_path, algoperf):
    folder = package(
        tmp_path / "alone", **ABOUT, points=[MEDAPATI[0]], optimizer="nadamw_optax", ruleset="self-tuning"
    )
    assert not (folder / "tuning_search_space.json").exists()
    workload = Tilted()
    workload.step_hint = 20
    path, _, _ = train(imported(folder), workload, None, 20)
    np.testing.assert_allclose(
        path, reference_path("nadamw_optax", MEDAPATI[0], 20, 20), rtol=0, atol=FLOAT32
    )


# ---- The folder ------------------------------------------------------------------------------------------


def test_search_space_is_algoperfs_list_with_every_value_bit_for_bit(tmp_path):
    folder = package(tmp_path / "list", **ABOUT, points=MEDAPATI, optimizer="nadamw_optax")
    written = json.loads((folder / "tuning_search_space.json").read_text())
    assert isinstance(written, list)
    assert len({tuple(point) for point in written}) == 1
    for point, original in zip(written, MEDAPATI, strict=True):
        renamed = {"warmup_factor" if k == "warmup_fraction" else k: v for k, v in original.items()}
        assert {key: point[key] for key in renamed} == renamed
        assert point["epsilon"] == 1e-8  # what the point left to the rule is written out


def written_space(folder, **arguments):
    """tuning_search_space.json of a package."""
    folder = package(folder / "written", **ABOUT, **arguments)
    return json.loads((folder / "tuning_search_space.json").read_text())


def test_a_point_keeps_the_spelling_it_was_tuned_in(tmp_path):
    point = {"learning_rate": 1e-3, "one_minus_beta1": 0.02686663061, "beta2": 0.998, "warmup_factor": 0.02}
    (written,) = written_space(tmp_path, points=[point], optimizer="nadamw_algoperf")
    assert written["one_minus_beta1"] == 0.02686663061  # 1 - (1 - value) would not be
    assert "beta1" not in written
    assert "grad_clip" not in written


def test_numpy_scalars_and_switches_become_plain_numbers(tmp_path):
    point = METZ | {"use_nesterov": True, "epsilon": np.float64(1e-3)}
    (written,) = written_space(tmp_path, points=[point], optimizer="nadamw_metz_code")
    assert all(type(value) is float for value in written.values())
    assert written["warmup_fraction"] == 0.2  # Metz' word, as warmup_factor means another schedule


def as_the_pull_request_check_reads_it(text):
    """AlgoPerf's check takes each line up to the first '#', strips it, and parses what is left as YAML."""
    return yaml.safe_load("\n".join(line.split("#")[0].strip() for line in text.splitlines()))


def test_submission_info_survives_algoperfs_check_whatever_the_words(tmp_path):
    words = 'a "list": #1, C:\\new, it\'s 50% {ok} – naïve'
    folder = package(
        tmp_path / "my_list",
        name=words,
        authors=f"{words}, B. Author",
        affiliations="",
        description=f"{words}\nin two lines",
        provenance=words,
        points=MEDAPATI,
        optimizer="nadamw_optax",
    )
    text = (folder / "submission_info.yml").read_text()
    info = yaml.safe_load(text)
    assert info == as_the_pull_request_check_reads_it(text)
    assert info == {
        "submission_name": words,
        "submission_folder": "my_list",
        "authors": f"{words}, B. Author",
        "affiliations": "",
        "version": "1.0",
        "ruleset": "external",
        "framework": "JAX",
        "description": f"{words} in two lines",
    }


def test_words_of_the_user_reach_the_docstring_unchanged(tmp_path):
    words = 'a """quoted""" \\n name \\'
    folder = package(
        tmp_path / "list",
        name=words,
        authors="A",
        provenance=words,
        points=MEDAPATI,
        optimizer="nadamw_optax",
    )
    docstring = ast.get_docstring(ast.parse((folder / "submission.py").read_text()))
    assert docstring.startswith(f"{words}: a submission to AlgoPerf's external tuning ruleset")
    assert "with a list of 2 fixed points" in docstring
    assert f"Source: {words}" in docstring
    assert f"# {words}\n" in (folder / "README.md").read_text()


def test_the_folder_holds_what_algoperf_wants_and_equal_arguments_give_equal_bytes(tmp_path):
    folders = [
        package(tmp_path / parent / "my_list", **ABOUT, points=MEDAPATI, optimizer="nadamw_optax")
        for parent in ("a", "b")
    ]
    files = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
    assert files[0] == files[1]
    assert set(files[0]) == {
        "__init__.py",
        "README.md",
        "optimizer.py",
        "requirements.txt",
        "submission.py",
        "submission_info.yml",
        "tuning_search_space.json",
        "pull_request.md",
    }
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["my_list"]  # nothing is left beside it


# ---- Bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": []}, "the list is empty"),
        ({"optimizer": "nadamw"}, "unknown optimizer 'nadamw'.*nadamw_optax"),
        ({"ruleset": "self"}, "unknown ruleset 'self'.*self-tuning"),
        ({"ruleset": "self-tuning"}, "exactly one point, not 2"),
        ({"name": " \n"}, "name: is empty"),
        ({"name": "a\x1bb"}, "name: .* cannot be printed"),
        ({"authors": ""}, "authors: is empty"),
        ({"points": [MEDAPATI[0], MEDAPATI[1] | {"beta2": float("nan")}]}, r"points\[1\]: beta2 is nan"),
        ({"points": [MEDAPATI[0] | {"beta2": float("inf")}]}, r"points\[0\]: beta2 is inf"),
        ({"points": [MEDAPATI[0] | {"beta2": "0.9"}]}, r"points\[0\]: beta2 is '0.9'"),
        ({"points": [MEDAPATI[0] | {"beta2": None}]}, r"points\[0\]: beta2 is None"),
        ({"points": [MEDAPATI[0] | {"beta2": 1.0}]}, r"points\[0\]: .*beta2.*\[0, 1\)"),
        ({"points": [MEDAPATI[0] | {"momentum": 0.9}]}, r"points\[0\]: .*momentum.*allowed"),
        (
            {"points": [MEDAPATI[0] | {"warmup_factor": 0.1}]},
            r"points\[0\]: .*warmup_fraction.*warmup_factor",
        ),
        ({"points": [{"beta1": 0.9}]}, r"points\[0\]: .*learning_rate"),
        ({"points": [MEDAPATI[0], {"learning_rate": 0.1}]}, r"points\[1\]: .*equal names.*dropout_rate"),
    ],
)
def test_bad_arguments_are_one_line_value_errors_and_leave_nothing_behind(tmp_path, change, message):
    arguments = ABOUT | {"points": MEDAPATI, "optimizer": "nadamw_optax"} | change
    with pytest.raises(ValueError, match=message) as error:
        package(tmp_path / "my_list", **arguments)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["My_list", "my-list", "my list", "1list", "v0.6", "_list", "naïve"])
def test_folder_names_that_algoperf_could_not_import_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="lower-case letters, digits and underscores"):
        package(tmp_path / name, **ABOUT, points=MEDAPATI, optimizer="nadamw_optax")


def test_a_folder_with_something_in_it_is_never_touched(tmp_path):
    folder = tmp_path / "my_list"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        package(folder, **ABOUT, points=MEDAPATI, optimizer="nadamw_optax")
    assert [file.name for file in folder.iterdir()] == ["notes.txt"]
    (tmp_path / "a_file").write_text("mine")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        package(tmp_path / "a_file", **ABOUT, points=MEDAPATI, optimizer="nadamw_optax")
    assert (tmp_path / "a_file").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "my_list").mkdir()
    folder = package(tmp_path / "my_list", **ABOUT, points=MEDAPATI, optimizer="nadamw_optax")
    assert (folder / "submission.py").is_file()


def test_a_failure_while_writing_leaves_neither_the_folder_nor_a_half_of_it(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        package(tmp_path / "my_list", **ABOUT, points=MEDAPATI, optimizer="nadamw_optax")
    assert list(tmp_path.iterdir()) == []


def test_packaging_needs_no_jax():
    code = "import sys; from submissions.package import package; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


LOG = {"min": 1e-4, "max": 1e-2, "scaling": "log"}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "has no dimensions"),
        ({"learning_rate": 0.1}, "learning_rate: must be an object with min, .*, not 0.1"),
        (
            {"learning_rate": {"min": 0.1, "max": 1}},
            "learning_rate: has min, max; must be either min, max, scaling",
        ),
        ({"learning_rate": LOG | {"step": 2}}, "learning_rate: unknown key 'step'"),
        ({"learning_rate": LOG | {"scaling": "Log"}}, "scaling is 'Log'; allowed: 'log', 'linear'"),
        ({"learning_rate": LOG | {"min": 0.1}}, "min 0.1 is not below max 0.01"),
        ({"learning_rate": LOG | {"min": 0}}, "min 0.0 has no logarithm"),
        (
            {"learning_rate": LOG | {"max": float("inf")}},
            "learning_rate: max is inf; must be a finite number",
        ),
        ({"learning_rate": {"feasible_points": []}}, "feasible_points is empty; give at least one"),
        (
            {"learning_rate": {"feasible_points": [0.1, "big"]}},
            "feasible_points is 'big'; must be a finite number",
        ),
        (
            {"learning_rate": {"feasible_points": [0.1, -1, 0.2]}},
            "learning_rate is -1.0; learning_rate must lie in",
        ),
        (
            {"learning_rate": LOG, "beta1": {"min": 0.5, "max": 1.0, "scaling": "linear"}},
            "beta1 is 1.0; beta1 must",
        ),
        ({"learning_rate": LOG, "momentum": LOG}, "has no hyperparameter 'momentum'"),
        ({"beta1": {"feasible_points": [0.9]}}, "needs learning_rate"),
        ({"learning_rate": LOG, "beta1": LOG, "one_minus_beta1": LOG}, "both set beta1"),
    ],
)
def test_ranges_that_are_none_are_one_line_value_errors(tmp_path, space, message):
    with pytest.raises(ValueError, match=message) as error:
        package(tmp_path / "mine", **ABOUT, optimizer="nadamw_optax", search_space=space)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_ranges_keep_their_order_and_get_algoperfs_names(tmp_path):
    space = {"weight_decay": LOG, "warmup_fraction": {"feasible_points": [0.1]}, "learning_rate": LOG}
    written = written_space(tmp_path / "adamw", search_space=space, optimizer="adamw_optax")
    assert list(written) == ["weight_decay", "warmup_factor", "learning_rate"]
    space = {"learning_rate": LOG, "warmup_fraction": LOG}
    metz = written_space(tmp_path / "metz", search_space=space, optimizer="nadamw_metz_code")
    assert list(metz) == ["learning_rate", "warmup_fraction"]  # another schedule's


def test_without_points_or_ranges_the_optimizers_own_are_searched(tmp_path):
    folder = package(tmp_path / "mine", name="M", authors="A", optimizer="nadamw_optax")
    space = json.loads((folder / "tuning_search_space.json").read_text())
    assert list(space)[:3] == ["learning_rate", "warmup_factor", "one_minus_beta1"]
    assert "Medapati et al. 2025, arXiv:2503.03986, Table 1" in (folder / "README.md").read_text()


def test_the_pull_request_carries_what_its_check_reads(tmp_path):
    words = {"name": "Mine #1", "evidence": "https://example.org/paper"}
    folder = package(tmp_path / "mine", **ABOUT | words, optimizer="lion_optax")
    text = (folder / "pull_request.md").read_text()
    info = as_the_pull_request_check_reads_it(text.split("```yaml\n")[1].split("\n```")[0])
    assert info == yaml.safe_load((folder / "submission_info.yml").read_text())
    assert "[submission] Mine #1" in text
    assert "https://example.org/paper" in text.split("## Evidence")[1].split("## Comments")[0]
