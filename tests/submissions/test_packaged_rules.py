"""Every optimizer of the table as a submission: its updates are those of the optimizer, and its code is clean."""

import ast
import collections
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import submissions
from submissions import Seen
from submissions.package import package
from tests.submissions import training
from tests.submissions.algoperf_toy import Tilted, hyperparameters, imported, train

FILES = ("submission.py", "optimizer.py")
STEPS = 16  # Shampoo goes by its first roots from update 13 on
STEP_HINT = 20
ABOUT = {"name": "Mine", "authors": "A. Author", "provenance": "chosen by hand"}
# Settings with which each rule gets somewhere in 16 updates.
SETTINGS = {
    "adagrad_tf": {"learning_rate": 1.0},
    "adagrad_optax": {"learning_rate": 1.0},
    "muon_optax": {"learning_rate": 0.5},
    "prodigy_optax": {"learning_rate": 1.0, "estim_lr0": 0.1},
    "zero": {},
}

# 1 - .999 is good to 6e-5 in float32, its root to 3e-5; over 16 updates of at most .1 that is 5e-5. Where both sides
# round alike, they agree to 1e-6.
TOLERANCE = 5e-5


class Waves(Tilted):
    """The problem of `training`, whose parameters are a vector, a matrix, a kernel and what a rule treats apart."""

    step_hint = STEP_HINT

    def __init__(self, name):
        self.name = name

    def init_model_fn(self, rng):
        # A copy each: the submission donates what it is given.
        return {"body": jax.tree.map(jnp.float32, training.start_of(self.name))}, None

    def model_fn(self, params, batch, model_state, mode, rng, update_batch_norm, dropout_rate=0.1):
        self.traces += 1

        # As float32 at once: JAX would remember NumPy's float64 as it is taken here, also where 64 bits are enabled.
        def ramp(*arguments):
            return jnp.float32(training._ramp(*arguments))

        def loss(t):
            return sum(
                (ramp(x.shape, 0.2, 2.0) * (x - training.TARGET) ** 2).sum() / 2
                + (jnp.sin(0.7 * t + ramp(x.shape, 0.0, 7.0)) * x).sum()
                for x in params["body"].values()
            )

        return jax.vmap(loss)(batch["targets"]), None

    def loss_fn(self, label_batch, logits_batch, mask_batch=None, label_smoothing=0.0):
        return {
            "summed": logits_batch.sum(),
            "n_valid_examples": len(logits_batch),
            "per_example": logits_batch,
        }


def two_points(name):
    """Two points that set all hyperparameters: the defaults, and numbers from inside the domains."""
    row = submissions.optimizer(name)
    defaults = {h.name: h.default for h in row.hyperparameters if h.default is not None}
    settings = SETTINGS.get(name, {"learning_rate": 0.1})
    others = {}
    for key, value in defaults.items():
        low_high = {
            "[0, 1)": (0.5, 0.5),
            "[0, 1]": (0.4, 0.4),
            "(0, 1)": (0.6, 0.6),
            "{0, 1}": (1.0 - value, 0),
        }
        by_domain = next(h.domain.text for h in row.hyperparameters if h.name == key)
        others[key] = low_high[by_domain][0] if by_domain in low_high else (1.3 * value or 0.01)
    return [defaults | settings, defaults | others | {key: value / 2 for key, value in settings.items()}]


def path_of_ours(name, points):
    """Parameters to evaluate after every update, by the optimizer as `tune` runs it; for every point."""
    optimizer = submissions.optimizer(name)

    rule, horizon, key = submissions.optimizer(name).rule, jnp.int32(STEP_HINT), jax.random.key(0)

    @jax.jit
    def step(hp, x, state, t):
        gradient, seen = training.gradient(t, x, 1.0, sin=jnp.sin), Seen(training.loss(x), t - 1, key)
        updates, state = rule.update(rule.weights, hp, gradient, state, x, seen)
        x = optax.apply_updates(x, updates)
        return x, state, rule.evaluated(state, x) if rule.evaluated else x

    paths = []
    for point in points:
        hp = jax.tree.map(jnp.float32, optimizer.prepare(point, STEP_HINT))
        x = jax.tree.map(jnp.float32, training.start_of(name))
        state, path = rule.init(rule.weights, hp, x, key, horizon), []
        for t in range(1, STEPS + 1):
            x, state, evaluated = step(hp, x, state, jnp.float32(t))
            path.append(evaluated)
        paths.append(path)
    return paths


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
def test_a_packaged_rule_updates_as_the_optimizer_does_and_is_traced_once_for_all_points(
    tmp_path, algoperf, name
):
    points = two_points(name)
    folder = package(tmp_path / name, **ABOUT, optimizer=name, points=points)
    submission, workload = imported(folder), Waves(name)
    paths, ours = [], path_of_ours(name, points)
    for trial in range(2):
        path, _, _ = train(
            submission, workload, hyperparameters(folder, trial), STEPS,
            batch=lambda t: {"targets": np.full(4, t)}, leaf=lambda params: params["body"],
        )  # fmt: skip
        paths.append(path)
        for got, expected in zip(path, ours[trial], strict=True):
            for key in expected:
                np.testing.assert_allclose(got[key], expected[key], rtol=0, atol=TOLERANCE, err_msg=key)
        moved = {key: np.abs(path[-1][key] - start) for key, start in training.start_of(name).items()}
        assert all(by.max() > 100 * TOLERANCE for by in moved.values())
    assert workload.traces == 1
    if submissions.optimizer(name).hyperparameters:
        assert np.abs(paths[0][-1]["kernel"] - paths[1][-1]["kernel"]).max() > 1e-3  # each used its own point


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
def test_every_row_is_explained(name):
    row = submissions.optimizer(name)
    assert row.formula.splitlines()[-1].startswith("x = ")
    assert all(text.endswith(".") for text in (row.source, row.schedule))
    assert (
        "arXiv:" in row.reference
        or "ICML" in row.reference
        or "JMLR" in row.reference
        or "lecture" in row.reference
    )


def folders_of(tmp_path, name):
    """An external submission with ranges, or with a point where there is nothing to search, and a self-tuning one."""
    about = ABOUT | {"provenance": "made by many words " * 20, "name": "A name of some length " * 5}
    point = two_points(name)[0]
    searched = {} if submissions.optimizer(name).hyperparameters else {"points": [point]}
    return [
        package(tmp_path / f"{name}_external", **about, optimizer=name, **searched),
        package(tmp_path / f"{name}_alone", **about, optimizer=name, points=[point], ruleset="self-tuning"),
    ]


@pytest.mark.parametrize("name", submissions.OPTIMIZERS)
def test_submissions_import_jax_optax_algoperf_and_the_standard_library_and_are_clean(tmp_path, name):
    folders = folders_of(tmp_path, name)
    for folder in folders:
        third_party = set()
        for file in FILES:
            names = set()
            for node in ast.walk(ast.parse((folder / file).read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level:
                    assert (file, node.level, node.module) == ("submission.py", 1, "optimizer")
                elif isinstance(node, ast.ImportFrom):
                    names.add(node.module)
            third_party |= {name.split(".")[0] for name in names} - sys.stdlib_module_names
        assert third_party == {"jax", "optax", "algoperf"}
    # The rule stands as in its own file, whose lines are longer.
    for file, width in zip(FILES, ("88", "110"), strict=True):
        for command in (["format", "--check", "--diff"], ["check", "--select", "E,F,I,UP,B,PIE,RUF100"]):
            ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--target-version", "py311"]
            if file == "optimizer.py":
                ruff += ["--line-length", width] + ["--ignore", "E501"] * (command[0] == "check")
            done = subprocess.run([*ruff, *(f / file for f in folders)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["nadamw_optax", "muon_optax"])
def test_what_the_ranges_leave_out_is_a_number_in_the_submission(tmp_path, algoperf, name):
    space = {
        "one_minus_beta1": {"min": 0.01, "max": 0.2, "scaling": "log"},
        "learning_rate": {"min": 0.1, "max": 0.3, "scaling": "log"},
        "warmup_factor": {"feasible_points": [0.0, 0.1]},
    }
    folder = package(tmp_path / name, **ABOUT, optimizer=name, search_space=space)
    drawn = {"one_minus_beta1": 0.125, "learning_rate": 0.2, "warmup_factor": 0.1}
    Hyperparameters = collections.namedtuple("Hyperparameters", drawn)
    path, _, _ = train(
        imported(folder), Waves(name), Hyperparameters(**drawn), 4,
        batch=lambda t: {"targets": np.full(4, t)}, leaf=lambda params: params["body"],
    )  # fmt: skip
    expected = path_of_ours(name, [{"learning_rate": 0.2, "beta1": 0.875, "warmup_fraction": 0.1}])[0][3]
    for key in expected:
        np.testing.assert_allclose(path[3][key], expected[key], rtol=0, atol=TOLERANCE)


def test_prodigy_waits_for_a_gradient(tmp_path, algoperf):
    class Still(Waves):
        def loss_fn(self, label_batch, logits_batch, mask_batch=None, label_smoothing=0.0):
            return super().loss_fn(label_batch, 0.0 * logits_batch)

    name = "prodigy_optax"
    folder = package(tmp_path / name, **ABOUT, optimizer=name, points=[{"weight_decay": 0.1}])
    path, (state, _), _ = train(
        imported(folder), Still(name), hyperparameters(folder), 2,
        batch=lambda t: {"targets": np.full(4, t)}, leaf=lambda params: params["body"],
    )  # fmt: skip
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a, np.float32(b)), path[-1], training.start_of(name)
    )
    assert state.count == 0


# What submissions use of Optax, all of it in 0.2.2, AlgoPerf's pin. Trajectories of every rule with JAX 0.7.0 and Optax
# 0.2.2 were those with JAX 0.10.2 and Optax 0.2.8 to 1e-4 for Shampoo and to 2e-6 for all others (CPU, 14 updates).
OF_OPTAX = {
    "EmaState", "EmptyState", "GradientTransformation", "GradientTransformationExtraArgs", "OptState",
    "ScaleByAdamState", "ScaleByScheduleState", "Schedule", "TraceState", "adagrad", "adam", "adamw",
    "add_decayed_weights", "apply_updates", "chain", "clip_by_block_rms", "ema", "lion", "multi_transform",
    "nadamw", "radam", "rmsprop", "scale", "scale_by_adam", "scale_by_factored_rms", "scale_by_learning_rate",
    "scale_by_param_block_rms", "scale_by_rss", "scale_by_schedule",
}  # fmt: skip


def test_submissions_use_only_what_algoperfs_optax_has(tmp_path):
    used = set()
    for name in submissions.OPTIMIZERS:
        for folder in folders_of(tmp_path, name):
            used |= {
                n.attr
                for file in FILES
                for n in ast.walk(ast.parse((folder / file).read_text()))
                if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "optax"
            }
    assert used == OF_OPTAX
