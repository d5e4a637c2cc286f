"""Weights that come with the program: there, with the record of their training, and by their name alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import submissions
from results.meta_trainings import read_meta_training
from submissions import Seen
from submissions.learned import LEARNED, has_shipped_weights, weight_files
from submissions.learned._table import SHIPPED
from tuning.meta_training.schedules import longest_of


@pytest.mark.parametrize("name", SHIPPED)
def test_the_name_alone_means_weights_that_come_with_the_record_of_their_training(name):
    optimizer = submissions.optimizer(name)
    assert isinstance(optimizer, submissions.LearnedOptimizer)
    assert optimizer.sha256 == weight_files.read(SHIPPED[name]).sha256
    folder = SHIPPED[name].parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 1e6
    runs = [read_meta_training(path.parent) for path in sorted(folder.rglob("meta_training.json"))]
    assert runs
    for run in runs:
        assert run.description["plan"]["optimizer"] == name
        assert run.description["made_by"]["device"]
        assert set(run.description["data"]) == set(run.workloads["workload"])
        assert all(run.description["data"].values())
        assert (
            weight_files.read(run.folder / "weights.msgpack").around["step"] == run.rows["outer_step"].max()
        )


def test_the_last_training_of_the_controlled_adam_began_with_the_weights_of_the_first():
    folder = SHIPPED["controlled_adam"].parent
    first, last = folder / "begun_with", read_meta_training(folder)
    assert last.description["plan"]["initial"] == weight_files.read(first / "weights.msgpack").sha256
    assert longest_of(SHIPPED["controlled_adam"]) == 400


def test_the_name_stays_what_a_study_keeps_wherever_the_program_is():
    plain = "controlled_adam,weight_decay=1e-06"
    path = f"{plain}@{SHIPPED['controlled_adam']}"
    assert submissions.portable_name("controlled_adam") == "controlled_adam"
    assert submissions.portable_name(plain) == submissions.portable_name(path) == plain
    assert has_shipped_weights(path)
    assert not has_shipped_weights("controlled_adam@other.msgpack")
    assert (
        submissions.recorded_name("controlled_adam")
        == f"controlled_adam@{SHIPPED['controlled_adam'].resolve()}"
    )


def test_another_learned_optimizer_still_needs_weights():
    with pytest.raises(ValueError, match=r"celo is a learned optimizer, which needs trained weights"):
        submissions.optimizer("celo")


def test_trained_it_is_ahead_of_what_it_was_before():
    """On a quadratic whose curvatures span four orders of magnitude, and whose minimum is far away."""
    curvatures, minimum = jnp.logspace(-2, 2, 20), jnp.linspace(-30.0, 30.0, 20)
    loss = lambda p: jnp.sum(curvatures * (p["x"] - minimum) ** 2)  # noqa: E731
    rule = submissions.optimizer("controlled_adam").rule  # type: ignore[attr-defined]

    @jax.jit
    def last(weights):
        def step(carry, t):
            p, state = carry
            value, g = jax.value_and_grad(loss)(p)
            updates, state = rule.update(weights, {}, g, state, p, Seen(value, t, None))
            return (jax.tree.map(jnp.add, p, updates), state), value

        start = {"x": jnp.ones(20)}
        return jax.lax.scan(step, (start, rule.init(weights, {}, start, None, 100)), jnp.arange(100))[1][-1]

    before = LEARNED["controlled_adam"].initial(jax.random.key(0))
    # Adam at .003 has no time to get there; these make their steps longer.
    assert last(rule.weights) < 0.6 * last(before)
